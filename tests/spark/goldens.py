#!/usr/bin/env python3
"""Asks Spark Structured Streaming for the answer to each case, and writes it beside the query.

A case is `cases/NAME.sql`: one SELECT in words that Spark and Thalweg share, with directives above it:

    -- input: NAME, NAME      the lines of inputs/NAME.jsonl, columns of inputs/NAME.columns
    -- static: NAME, NAME     the same of tables that streams are joined with
    -- mode: complete         the output mode; of `complete` the last table counts, of `append` all rows
    -- watermark: ts 10 minutes  of every input
    -- ordered: yes           the order of the rows is part of the answer
    -- ansi: false            spark.sql.ansi.enabled
    -- batch: yes             Spark refuses it on streams, so the answer is that of a batch over the same lines
    -- fails: ERROR_CLASS     the answer is an error
    -- note: TEXT              for readers

The answer is `cases/NAME.expected.jsonl`, a JSON object a row as to_json writes it, NULLs too. Rows without an order are
sorted as text. Run it by `tests/spark/make`.
"""

import pathlib
import sys
import tempfile

from pyspark.sql import SparkSession
from pyspark.sql.functions import struct, to_json

HERE = pathlib.Path(__file__).parent
FORMAT = {"ignoreNullFields": "false", "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}


def directives(text):
    lines = [line[3:].split(":", 1) for line in text.splitlines() if line.startswith("-- ")]
    return {name.strip(): value.strip() for name, value in lines}


def answer(spark, case, scratch):
    text = case.read_text()
    say = directives(text)
    spark.conf.set("spark.sql.ansi.enabled", say.get("ansi", "true"))
    batch = "batch" in say
    static = say["static"].split(", ") if "static" in say else []
    for name in [*say["input"].split(", "), *static]:
        folder = scratch / case.stem / name
        folder.mkdir(parents=True)
        (folder / "rows.json").write_bytes((HERE / "inputs" / f"{name}.jsonl").read_bytes())
        columns = (HERE / "inputs" / f"{name}.columns").read_text().strip()
        reader = (spark.read if batch or name in static else spark.readStream).schema(columns)
        rows = reader.option("mode", "FAILFAST").json(str(folder))
        if "watermark" in say and name not in static:
            column, delay = say["watermark"].split(" ", 1)
            rows = rows.withWatermark(column, delay)
        rows.createOrReplaceTempView(name)
    query = "\n".join(line for line in text.splitlines() if not line.startswith("-- "))
    batches = []

    def collect(rows, _number):
        lines = rows.select(to_json(struct("*"), FORMAT).alias("line"))
        batches.append([row.line for row in lines.collect()])

    if batch:
        collect(spark.sql(query), 0)
        return batches[0] if say.get("ordered") else sorted(batches[0])
    stream = (
        spark.sql(query)
        .writeStream.outputMode(say["mode"])
        .option("checkpointLocation", str(scratch / f"{case.stem}-checkpoint"))
        .trigger(availableNow=True)
        .foreachBatch(collect)
        .start()
    )
    stream.awaitTermination()
    if say["mode"] == "complete":
        lines = batches[-1] if batches else []
    else:
        lines = [line for batch in batches for line in batch]
    return lines if say.get("ordered") else sorted(lines)


def main():
    wanted = sys.argv[1:]
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.streaming.noDataMicroBatches.enabled", "true")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for case in sorted((HERE / "cases").glob("*.sql")):
            if wanted and case.stem not in wanted:
                continue
            fails = directives(case.read_text()).get("fails")
            out = case.with_suffix("").with_suffix(".expected.jsonl")
            try:
                lines = answer(spark, case, pathlib.Path(scratch))
            except Exception as error:  # whatever Spark throws is its answer
                if fails and fails in str(error):
                    out.unlink(missing_ok=True)
                    print(f"{case.stem}: fails with {fails}")
                    continue
                failed += 1
                print(f"{case.stem}: {str(error)[-900:]}", file=sys.stderr)
                continue
            if fails:
                failed += 1
                print(f"{case.stem}: gives rows and not {fails}: {lines}", file=sys.stderr)
                continue
            out.write_text("".join(f"{line}\n" for line in lines))
            print(f"{case.stem}: {len(lines)} rows")
    spark.stop()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
