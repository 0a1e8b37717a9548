#!/usr/bin/env python3
"""Asks Spark what a column without AS is called, and writes `functions/columns.jsonl`: a line `["expression", "name"]` for
each expression of `functions/columns.txt` over the columns of a table `t`. Run it by `tests/spark/make columns`.
"""

import json
import pathlib

from pyspark.sql import SparkSession

HERE = pathlib.Path(__file__).parent / "functions"
# The test of names declares the same columns.
SCHEMA = (
    "id INT, cur STRING, ok BOOLEAN, amt DOUBLE, ts TIMESTAMP, dt DATE, tss STRING, karr ARRAY<INT>, st STRUCT<a: INT>,"
    " m MAP<STRING, INT>, arrst ARRAY<STRUCT<a: INT>>, js STRING, some_col_Case STRING"
)


def main():
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    spark.createDataFrame([], SCHEMA).createOrReplaceTempView("t")
    lines = []
    for expression in (HERE / "columns.txt").read_text().splitlines():
        [name] = spark.sql(f"SELECT {expression} FROM t").columns
        lines.append(json.dumps([expression, name], ensure_ascii=False, separators=(",", ":")))
    spark.stop()
    (HERE / "columns.jsonl").write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
