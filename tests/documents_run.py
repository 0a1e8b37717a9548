"""Follows the documents as a reader does: runs what needs nothing from outside, and compares what it prints.

Each document has an empty folder, with the repository's `bin` and `loadtest` in it, a `job.sql` and a `loyalty.sql`, and the program on the path. In it, from top
to bottom:

- a `sql` block whose first line is `-- NAME.sql: ...` is saved under that name;
- a `sh` block is run, unless a line of OUTSIDE says what it needs from outside. A block of calls of `thalweg` alone is looked
  at call by call, any other as a whole. It must succeed;
- a `text` block right behind a `sh` block that was run whole is what that prints to standard output, to the letter;
- a `json` block is JSON, whole or line by line;
- the recipes in Python and Java of docs/coordinates.md are run with records that come once, twice and without a coordinate.

`thalweg check` takes every `sql` block (documents.py). The scripts of docs/spark.md are run by Spark and their jobs by
bin/tests/spark.rs, docs/score_transactions.md is followed by bin/tests/tutorial.rs, the Rust blocks of docs/rust.md are
compiled and called by bin/tests/rust_api.rs, and the Kinesis program of docs/programs.md is run by bin/tests/kinesis.rs.
"""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What a command needs that is not there: then its flags are checked, and no more.
OUTSIDE = [
    (r"\bcargo\b|\bdocker\b|target/(release|dist)|tests/all|thalweg-loadtest", "a build, which takes minutes"),
    (r"\bkubectl\b|k8s/check", "a cluster"),
    (r"\bcurl\b|thalweg (top|why-slow|leave)\b", "a job that runs"),
    (r"broker\.sh|--connect|thalweg (verify|dlq|explain-record)\b|^export KAFKA", "a broker"),
    (r"kinesis_messages", "a Kinesis; bin/tests/kinesis.rs has one"),
    (r"s3://|OTEL_", "a server"),
    (r"(inspect|checkpoint \w+) |checkpoints/", "checkpoints of the reader's own"),
    (r"thalweg run \w+\.sql( --(set|http|token-file|member|hold-on-refusal).*)?$", "a job that runs until it is stopped"),
    (r"tests/loyalty|tests/new|/var/lib|new\.sql|features\.sql --keys", "files of the reader's own"),
    (r"job\.sql --keys 100000 --rate 500", "the job of which the text behind it is"),
    (r"completions", "an interactive shell"),
]
# Documents that another test follows, or whose commands are of one machine.
ELSEWHERE = {"score_transactions.md", "figures.md"}
# The names that this page saves are run to their end.
ENDS = ("read.sql",)


def fenced(text):
    """The fenced blocks: line, language, text, and what stands between the block and the one before."""
    end = 0
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        between = text[end : match.start()]
        end = match.end()
        yield text.count("\n", 0, match.start()) + 2, match.group(1), match.group(2), between


def needs(command):
    """What a command needs from outside; None where it can be run."""
    if any(f"thalweg run {name}" in command for name in ENDS):
        return None
    bare = re.sub(r" +#.*$", "", command, flags=re.M).strip()
    return next((why for pattern, why in OUTSIDE if re.search(pattern, bare, re.M)), None)


def commands(block):
    """The parts of a block that are looked at one by one."""
    lines = block.replace("\\\n", "  ").splitlines()
    if all(line.startswith("thalweg ") for line in lines if line.strip()):
        return [line for line in lines if line.strip()]
    return [block]


def shell(command, folder):
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder}/.path:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# The port of the page may be taken by another job of this machine.
PROGRAM = """#!/bin/sh
[ "$1" != run ] || {{ shift; set -- run --http off "$@"; }}
exec '{}' "$@"
"""


def scene(folder, binary):
    """What a reader has: the program, the repository's jobs, and a job under the names that the documents use."""
    program = Path(folder, ".path/thalweg")
    program.parent.mkdir()
    program.write_text(PROGRAM.format(binary))
    program.chmod(0o755)
    for name in ("bin", "loadtest"):
        Path(folder, name).symlink_to(ROOT / name)
    Path(folder, "job.sql").symlink_to(ROOT / "bin/jobs/card_totals.sql")
    Path(folder, "loyalty.sql").symlink_to(ROOT / "bin/jobs/loyalty.sql")


def json_faults(block):
    for part in (block, *block.splitlines()):
        try:
            json.loads(part)
            if part is block:
                return None
        except ValueError as error:
            if part is not block:
                return str(error)
    return None


def followed(document, binary, counts):
    """The faults of one document."""
    name = document.relative_to(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        scene(folder, binary)
        printed = None
        for line, language, block, between in fenced(document.read_text()):
            where, before, printed = f"{name}:{line}", printed, None
            if language == "sql" and (saved := re.match(r"-- (\w+\.sql):", block)):
                target = Path(folder, saved.group(1))
                if not target.is_symlink():
                    target.write_text(block)
            elif language == "sh":
                parts = commands(block)
                outputs = []
                for command in parts:
                    if needs(command):
                        counts["checked only"] += 1
                        continue
                    done = shell(command, folder)
                    counts["run"] += 1
                    outputs.append(done.stdout)
                    if done.returncode:
                        yield f"{where}: exit {done.returncode} of {command.strip()}\n{done.stdout}{done.stderr}"
                printed = "".join(outputs) if len(outputs) == len(parts) else None
            elif language == "text" and before is not None and len(between.strip().splitlines()) <= 2:
                counts["compared"] += 1
                told = [text.rstrip() for text in block.rstrip().splitlines()]
                real = [text.rstrip() for text in before.rstrip().splitlines()]
                if told != real:
                    shown = "\n".join(real)
                    yield f"{where}: this is not what is printed, but\n{shown}"
            elif language == "json" and (fault := json_faults(block)):
                yield f"{where}: no JSON: {fault}"


# A record that comes, the same again after a restart, another row of it, the next one, one of another partition, and one
# that no single record has made, twice.
ORIGINS = ["v1;j;q;t;0;7;0", "v1;j;q;t;0;7;0", "v1;j;q;t;0;7;1", "v1;j;q;t;0;8;0", "v1;j;q;t;1;7;0", "v1;j;q;t;0;;", "v1;j;q;t;0;;"]
FRESH = [True, False, True, True, True, True, True]


def python_recipe(block):
    class Message:
        def __init__(self, origin):
            self.origin = origin

        def headers(self):
            return [("thalweg-origin", self.origin.encode())]

    names = {}
    exec(block, names)  # noqa: S102: the document's own text.
    return [names["is_new"](Message(origin)) for origin in ORIGINS]


JAVA = """
import java.nio.charset.StandardCharsets;
import java.util.*;

public class Recipe {
    record Header(byte[] value) {}
    record Headers(Header header) { Header lastHeader(String name) { return header; } }
    record ConsumerRecord<K, V>(Headers headers) {}

    %s

    public static void main(String[] origins) {
        Recipe recipe = new Recipe();
        for (String origin : origins) {
            var header = new Header(origin.getBytes(StandardCharsets.UTF_8));
            System.out.println(recipe.isNew(new ConsumerRecord<String, String>(new Headers(header))));
        }
    }
}
"""


def java_recipe(block):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "Recipe.java")
        source.write_text(JAVA % block)
        done = subprocess.run(["java", str(source), *ORIGINS], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            return done.stderr
        return [line == "true" for line in done.stdout.split()]


def recipes():
    """How consumers leave out repetitions, in the words of docs/coordinates.md."""
    text = (ROOT / "docs/coordinates.md").read_text()
    for line, language, block, _ in fenced(text):
        recipe = {"python": python_recipe, "java": java_recipe}.get(language)
        answers = recipe and recipe(block)
        if answers and answers != FRESH:
            yield f"docs/coordinates.md:{line}: of {ORIGINS} the recipe finds new: {answers}"


def faults(documents, binary):
    """All faults; says at the end how much was run."""
    counts = {"run": 0, "checked only": 0, "compared": 0}
    for document in documents:
        if document.name not in ELSEWHERE:
            yield from followed(document, binary, counts)
    yield from recipes()
    print("documents: commands: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
