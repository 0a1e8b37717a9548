#!/usr/bin/env python3
"""Asks Spark for the value of each expression of the functions' conformance, and writes `functions/answers.jsonl`;
and for the names of its functions: `functions/names.txt`.

The expressions are those of `functions/*.sql`, a line each. `{class}` in a line stands for each edge value of a class of
`functions/edges.txt`: all of them where there is one, a fixed choice of `*N` combinations (14 unless the line ends with
another number) where there are several; `{all:class}` is every value whatever the number. A line `-- set: ansi=false, zone=Europe/Berlin` holds for the lines after it, until the next one.

An answer is a line: `["expression", "type", "value"]`, the value as CAST AS STRING gives it (BINARY in hex), null where
it is NULL, or `["expression", "ERROR_CLASS"]`. A line `{"ansi": .., "zone": ..}` holds for the lines after it. Intervals
are written with all their fields. Run it by `tests/spark/make functions`.
"""

import itertools
import json
import pathlib
import random
import re

from py4j import java_gateway, protocol
from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

HERE = pathlib.Path(__file__).parent / "functions"
PLACE = re.compile(r"\{(all:)?([a-z][a-z_]*)\}")
TOGETHER = 24
WHOLE = {"year": "INTERVAL YEAR TO MONTH", "month": "INTERVAL YEAR TO MONTH"}


def edges():
    """The values of each class; a class may name others as `{class}`."""
    classes, values = {}, None
    for line in (HERE / "edges.txt").read_text().splitlines():
        if line.startswith("#") or not line:
            continue
        if line.endswith(":"):
            values = classes.setdefault(line[:-1], [])
        elif match := re.fullmatch(r"\{([a-z][a-z_]*)\}", line):
            values.extend(classes[match[1]])
        else:
            values.append(line)
    return classes


def crossed(line, classes):
    """The expressions that a line stands for."""
    most = 14
    if match := re.fullmatch(r"(.*\S) \*(\d+)", line):
        line, most = match[1], int(match[2])
    places = [(every, name) for every, name in PLACE.findall(line) if name in classes]
    if not places:
        return [line]
    lists = [classes[name] for _, name in places]

    def fill(values):
        rest = iter(values)
        return PLACE.sub(lambda place: next(rest) if place[2] in classes else place[0], line)

    if len(lists) == 1 and (places[0][0] or len(lists[0]) <= 4 * most):
        return [fill([value]) for value in lists[0]]
    every = 1
    for values in lists:
        every *= len(values)
    if every <= most or any(all_of for all_of, _ in places):
        combinations = [[]]
        for values in lists:
            combinations = [begun + [value] for begun in combinations for value in values]
        return [fill(values) for values in combinations]
    # Each value of each place at least once, beside others drawn by a seed that is the line.
    draw = random.Random(line)
    longest = max(len(values) for values in lists)
    shuffled = [draw.sample(values, len(values)) for values in lists]
    rounds = max(most, longest)
    chosen = [[values[i % len(values)] for values in shuffled] for i in range(min(longest, rounds))]
    chosen += [[draw.choice(values) for values in lists] for _ in range(rounds - len(chosen))]
    return [fill(values) for values in chosen]


def cases():
    """The expressions in order, with the settings that they are asked under."""
    classes, known = edges(), set()
    for file in sorted(HERE.glob("*.sql")):
        ansi, zone = True, "UTC"
        for line in file.read_text().splitlines():
            if line.startswith("-- set:"):
                say = dict(pair.strip().split("=") for pair in line[7:].split(",") if pair.strip())
                ansi, zone = say.get("ansi", "true") == "true", say.get("zone", "UTC")
            elif line and not line.startswith("--"):
                for sql in crossed(line, classes):
                    if (sql, ansi, zone) not in known:
                        known.add((sql, ansi, zone))
                        yield sql, ansi, zone


class Asked:
    """Asks Spark for several expressions at once: the analysis of a query takes far longer than the evaluation."""

    def __init__(self, spark):
        self.session = spark._jsparkSession
        optimizer = spark._jvm.org.apache.spark.sql.catalyst.optimizer
        self.replace = getattr(getattr(optimizer, "ReplaceExpressions$"), "MODULE$")
        self.empty = getattr(getattr(spark._jvm.org.apache.spark.sql.catalyst, "InternalRow$"), "MODULE$").empty()

    def expressions(self, items):
        """The analyzed expressions of a SELECT of these items."""
        plan = self.session.sql(f"SELECT {', '.join(items)}").queryExecution().analyzed()
        listed = self.replace.apply(plan).projectList()
        return [listed.apply(i).child() for i in range(listed.size())]

    def optimized(self, sql):
        """By way of the whole optimizer, for the few expressions that cannot be evaluated before it."""
        frame = self.session.sql(f"SELECT CAST(({sql}) AS STRING) FROM VALUES (0)")
        row = frame.queryExecution().optimizedPlan().data().head()
        return None if row.isNullAt(0) else row.getString(0)

    def value(self, sql, kind, shown):
        kind = kind.dataType().catalogString()
        if kind == "binary":
            [shown] = self.expressions([f"hex({sql})"])
        elif kind.startswith("interval "):
            whole = WHOLE.get(kind.split()[1], "INTERVAL DAY TO SECOND")
            kind = whole.lower()
            [shown] = self.expressions([f"CAST(CAST({sql} AS {whole}) AS STRING)"])
        value = shown.eval(self.empty)
        return [sql, kind, None if value is None else value if isinstance(value, str) else value.toString()]

    def answers(self, cases):
        try:
            both = self.expressions(item for sql in cases for item in (f"({sql})", f"CAST(({sql}) AS STRING)"))
        except Py4JError as error:
            if len(cases) == 1:
                return [[cases[0], condition(error)]]
            half = len(cases) // 2
            return self.answers(cases[:half]) + self.answers(cases[half:])
        return [self.answer(*one) for one in zip(cases, both[::2], both[1::2])]

    def answer(self, sql, kind, shown):
        try:
            return self.value(sql, kind, shown)
        except Py4JError as error:
            if condition(error) != "INTERNAL_ERROR":
                return [sql, condition(error)]
        try:
            return [sql, kind.dataType().catalogString(), self.optimized(sql)]
        except Py4JError as error:
            return [sql, condition(error)]


def condition(error):
    """The class of what Spark threw."""
    thrown = error.java_exception
    found = re.match(r"\s*\[([A-Z_0-9.]+)\]", thrown.getMessage() or "")
    return found[1] if found else thrown.getClass().getSimpleName()


def main():
    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    # Errors as they are thrown: PySpark's own are many times slower to make.
    java_gateway.get_return_value = protocol.get_return_value
    asked, lines, count = Asked(spark), [], 0
    for (ansi, zone), group in itertools.groupby(cases(), key=lambda case: case[1:]):
        spark.conf.set("spark.sql.ansi.enabled", str(ansi).lower())
        spark.conf.set("spark.sql.session.timeZone", zone)
        lines.append(json.dumps({"ansi": ansi, "zone": zone}))
        group = [sql for sql, _, _ in group]
        for first in range(0, len(group), TOGETHER):
            for answer in asked.answers(group[first : first + TOGETHER]):
                lines.append(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))
            count += len(group[first : first + TOGETHER])
            print(f"{count} expressions", flush=True)
    names = sorted(row.function for row in spark.sql("SHOW SYSTEM FUNCTIONS").collect())
    spark.stop()
    (HERE / "names.txt").write_text("".join(f"{name}\n" for name in names))
    (HERE / "answers.jsonl").write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
