#!/usr/bin/env python3
"""Runs whole PySpark scripts by Spark, against a real Kafka broker, and writes down what they wrote.

`scripts/NAME.py` is a script as its author would run it, `scripts/NAME.sql` the same as a job file; docs/spark.md shows both.
`scripts/NAME/INPUT.jsonl` is what comes in, into the topic INPUT: a line is a record's value, or its `key` and `value`. The rows
of `actions` go into a folder, a file for each, so that Spark's watermark moves from row to row; `merchants` is a CSV file. What the script
wrote goes to `scripts/NAME/OUTPUT.expected.jsonl`, which the job must write too.

A script runs for ever; here each query reads what is there and ends, as `trigger(availableNow=True)` would. Run it by
`tests/spark/make scripts [NAME...]`.
"""

import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile

from pyspark.sql import SparkSession
from pyspark.sql.streaming import DataStreamWriter

HERE = pathlib.Path(__file__).parent
SCRIPTS = HERE / "scripts"
BROKER = HERE.parent.parent / "loadtest" / "broker.sh"

# What each script writes: a topic, or a folder with the columns to read it by.
OUTPUTS = {
    "dedup": ("unique", None),
    "enrich": ("enriched", None),
    "matches": ("matches", None),
    "merchants": ("named", None),
    "purchases": ("minutes", "start TIMESTAMP, end TIMESTAMP, district STRING, purchases BIGINT, mean DOUBLE"),
}
STATIC = {"merchants"}
FOLDERS = {"actions"}
FORMAT = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"}

start = DataStreamWriter.start


def to_the_end(writer, *arguments, **named):
    return start(writer.trigger(availableNow=True), *arguments, **named)


def topic(kafka, name):
    tool = [str(BROKER), "tool", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", kafka]
    subprocess.run([*tool, "--create", "--partitions", "1", "--topic", name], check=True, stdout=subprocess.DEVNULL)


def put(spark, kafka, path):
    """The rows of a file to where the script reads them."""
    name, lines = path.stem, path.read_text().splitlines()
    if name in STATIC:
        rows = [json.loads(line) for line in lines]
        cells = [",".join("" if value is None else f'"{value}"' for value in row.values()) for row in rows]
        pathlib.Path(f"{name}.csv").write_text("".join(f"{line}\n" for line in [",".join(rows[0]), *cells]))
    elif name in FOLDERS:
        folder = pathlib.Path(name)
        folder.mkdir()
        for number, line in enumerate(lines):
            file = folder / f"{number:04}.json"
            file.write_text(f"{line}\n")
            # Spark reads files by the time of their last change.
            os.utime(file, (1_700_000_000 + number, 1_700_000_000 + number))
    else:
        topic(kafka, name)
        frame = spark.createDataFrame([record(line) for line in lines], "key STRING, value STRING").coalesce(1)
        frame.write.format("kafka").option("kafka.bootstrap.servers", kafka).option("topic", name).save()


def record(line):
    row = json.loads(line)
    if isinstance(row, dict) and set(row) == {"key", "value"}:
        return row["key"], row["value"]
    return None, line


def got(spark, kafka, output, columns):
    """What the script has written, a JSON object a row, sorted."""
    if columns is None:
        read = spark.read.format("kafka").option("kafka.bootstrap.servers", kafka).option("subscribe", output)
        frame = read.load().selectExpr("CAST(key AS STRING) AS key", "CAST(value AS STRING) AS value")
    else:
        frame = spark.read.schema(columns).json(output)
    return sorted(row.line for row in frame.selectExpr(f"to_json(struct(*), map('timestampFormat', \"{FORMAT['timestampFormat']}\")) AS line").collect())


def one(spark, kafka, name):
    output, columns = OUTPUTS[name]
    for path in sorted((SCRIPTS / name).glob("*.jsonl")):
        if not path.name.endswith(".expected.jsonl"):
            put(spark, kafka, path)
    if columns is None:
        topic(kafka, output)
    runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    lines = got(spark, kafka, output, columns)
    (SCRIPTS / name / f"{output}.expected.jsonl").write_text("".join(f"{line}\n" for line in lines))
    print(f"{name}: {len(lines)} rows")


def main():
    jars, *wanted = sys.argv[1:]
    jars = pathlib.Path(jars).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        # Before Java starts: a relative path of a script is below the folder in which it started.
        os.mkdir(f"{scratch}/scripts")
        os.chdir(f"{scratch}/scripts")
        run(jars, scratch, wanted or sorted(OUTPUTS))
        os.chdir("/")


def run(jars, scratch, wanted):
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.jars", ",".join(str(jar) for jar in jars.glob("*.jar")))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    DataStreamWriter.start = to_the_end
    started = [str(BROKER), "start", f"{scratch}/broker", "0"]
    kafka = subprocess.run(started, check=True, capture_output=True, text=True).stdout.strip()
    os.environ["KAFKA"] = kafka
    try:
        for name in wanted:
            one(spark, kafka, name)
    finally:
        subprocess.run([str(BROKER), "stop", f"{scratch}/broker"], check=False)
    spark.stop()


if __name__ == "__main__":
    main()
