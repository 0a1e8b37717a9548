#!/usr/bin/env python3
"""Lets Spark and pyarrow read the folders that Thalweg writes, and compares with the rows that went in.

`outputs/job.sql` writes `outputs/rows.jsonl` into folders of every format. Spark reads each folder with the schema of the job, and
its rows must be those of `outputs/rows.jsonl`, as Spark itself reads them there; pyarrow reads the ones of parquet. What Spark
read is written to `outputs/FOLDER.jsonl`; a test of the project lets Thalweg read its own folders and wants the same. Run it by
`tests/spark/make outputs BINARY`, with a build that has the feature `parquet`.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import pyarrow.dataset
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, expr, when

HERE = pathlib.Path(__file__).parent / "outputs"
JOB = (HERE / "job.sql").read_text()
FORMAT = "map('ignoreNullFields', 'false', 'timestampFormat', 'yyyy-MM-dd\\'T\\'HH:mm:ss.SSSSSSXXX', 'timestampNTZFormat', 'yyyy-MM-dd\\'T\\'HH:mm:ss.SSSSSS')"
COLUMNS = re.search(r"CREATE TABLE rows \((.*?)\) USING", JOB, re.S).group(1).strip()
NESTED = ["bytes", "list", "tags", "place"]
# What a reader is told, beside the folder.
READ = {
    "csv_header": {"header": "true", "nullValue": "-", "multiLine": "true"},
    "csv_by": {"sep": ";", "nullValue": "-", "multiLine": "true"},
}


def lines(frame):
    """The rows of a frame, a JSON object each, sorted."""
    frame = frame.selectExpr(f"to_json(struct(*), {FORMAT}) AS line")
    return sorted(row.line for row in frame.collect())


def went_in(spark, name):
    """The rows that a folder must hold."""
    rows = spark.read.schema(COLUMNS).option("mode", "FAILFAST").json(str(HERE / "rows.jsonl"))
    if name.endswith("_by"):
        # An empty text has no folder of its own, in Spark either.
        rows = rows.withColumn("kind", when(col("kind") == "", None).otherwise(col("kind")))
    if name.startswith("csv"):
        # `-` is what NULL is written as, and white space around a text is cut off.
        rows = rows.drop(*NESTED).withColumn("name", when(col("name") == "-", None).otherwise(expr("trim(name)")))
    if name.startswith(("csv", "json")):
        # As Spark's own writers do it.
        rows = rows.withColumns({column: expr(f"date_trunc('MILLISECOND', {column})") for column in ("at", "wall")})
        rows = rows.withColumn("wall", expr("CAST(wall AS TIMESTAMP_NTZ)"))
    if name.startswith("text"):
        rows = rows.filter("name IS NOT NULL").select(expr("replace(name, '\\n', ' ') AS value"), "kind")
    return rows


def read(spark, name, folder, schema):
    kind = name.partition("_")[0]
    return spark.read.schema(schema).options(**READ.get(name, {})).format(kind).load(folder)


def arrow_counts(folder):
    """How many rows pyarrow finds, and that it takes all values."""
    files = pyarrow.dataset.dataset(folder, format="parquet", partitioning="hive")
    return files.to_table().num_rows


def main():
    binary = os.path.abspath(sys.argv[1])
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    wrong = 0
    with tempfile.TemporaryDirectory() as out:
        environment = {**os.environ, "ROWS": str(HERE / "rows.jsonl"), "OUT": out}
        subprocess.run([binary, "run", str(HERE / "job.sql"), "--http", "off"], env=environment, check=True, capture_output=True)
        for name in re.findall(r"path '\$\{OUT\}/(\w+)'", JOB):
            folder = f"{out}/{name}"
            wanted = went_in(spark, name)
            expected = lines(wanted)
            came = lines(read(spark, name, folder, wanted.schema).select(*wanted.columns))
            if name.startswith("parquet") and arrow_counts(folder) != len(expected):
                print(f"{name}: pyarrow finds {arrow_counts(folder)} rows of {len(expected)}")
                wrong += 1
            (HERE / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in came))
            if came != expected:
                wrong += 1
                for line in sorted(set(expected) ^ set(came)):
                    print(f"{name}: {'wrote' if line in expected else 'Spark read'} {line}")
            print(f"{name}: {len(came)} rows")
    spark.stop()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
