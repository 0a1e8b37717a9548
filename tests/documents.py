"""Checks what the documents say against the repository and the program.

    tests/documents.py BINARY [PROMTOOL]

- every relative link and anchor leads somewhere;
- every `sql` block is a job that `thalweg check` takes (as it is, or with the README's tables in front), or that needs a
  feature which the given build lacks;
- the scripts of tests/spark/scripts and the jobs beside them are blocks of docs/spark.md; the shipped jobs and scripts that documents
  show whole are those that ship;
- every command of `thalweg` in a shell block is one that the program's help knows, with all its flags;
- the metrics of docs/metrics.md are those of a running job: names, types and labels, both ways;
- what needs nothing from outside is run, and prints what the document shows (documents_run.py says what is run, what is only
  checked, and why);
- with promtool: the running job's metrics are well formed (monitoring/check looks at the alerts).

Exit 1 when anything is wrong, with one line per fault.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True  # The folder of the tests stays as it is.
import documents_run

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("loadtest/*.md")])
ENVIRONMENT = {
    **os.environ,
    "KAFKA": "127.0.0.1:1",
    "INPUT": "in",
    "OUTPUT": "out",
    "PASSWORD": "secret",
}


def blocks(text, *languages):
    """The fenced blocks of these languages: line number and text."""
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        if match.group(1) in languages:
            yield text.count("\n", 0, match.start()) + 2, match.group(2)


def without_blocks(text):
    return re.sub(r"^```.*?^```$", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.M | re.S)


def anchors(text):
    """The anchors of headings, as the usual renderers make them."""
    for heading in re.findall(r"^#+ +(.*)$", without_blocks(text), re.M):
        plain = re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading).strip().lower()
        yield re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def links():
    for document in DOCUMENTS:
        text = document.read_text()
        for match in re.finditer(r"\[[^\]]*\]\(([^)\s]+)\)", without_blocks(text)):
            target = match.group(1)
            where = f"{document.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            led = (document.parent / path).resolve() if path else document
            if not led.exists():
                yield f"{where}: {target} leads nowhere"
            elif anchor and anchor not in set(anchors(led.read_text())):
                yield f"{where}: {led.name} has no heading #{anchor}"


def run(binary, *arguments, cwd=None):
    return subprocess.run(
        [binary, *arguments], env=ENVIRONMENT, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def refused(checked):
    """Whether a job was refused, and not only because the build lacks one of its connectors: the tests check those."""
    return checked.returncode != 0 and "this build lacks the feature" not in checked.stderr


def give_models(folder):
    """The models that jobs of the documents name, in the folder `models`: the shipped one, and that of docs/models.md."""
    models = Path(folder, "models")
    models.mkdir()
    for path in [*ROOT.glob("bin/jobs/models/fraud.*"), ROOT / "tests/models/payments.onnx"]:
        shutil.copy(path, models)


def jobs(binary):
    for document in DOCUMENTS:
        for line, block in blocks(document.read_text(), "sql"):
            with tempfile.TemporaryDirectory() as folder:
                give_models(folder)
                path = Path(folder, "job.sql")
                path.write_text(block)
                checked = run(binary, "check", str(path), cwd=folder)
            if refused(checked):
                yield f"{document.relative_to(ROOT)}:{line}: the job is refused:\n{checked.stderr.strip()}"
    for path in [*ROOT.glob("k8s/**/*.sql"), *ROOT.glob("loadtest/*.sql"), *ROOT.glob("bin/jobs/*.sql")]:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, path.name)
            # Files of secrets are there in the cluster only; models lie beside the jobs.
            copy.write_text(re.sub(r"\$\{file:[^}]*\}", "${PASSWORD}", path.read_text()))
            checked = run(binary, "check", str(copy), cwd=path.parent)
        if refused(checked):
            yield f"{path.relative_to(ROOT)}: the job is refused:\n{checked.stderr.strip()}"


SHOWN = {
    "README.md": ["bin/jobs/loyalty.sql"],
    "docs/score_transactions.md": ["bin/jobs/fraud_rules.sql", "bin/jobs/fraud.sql", "bin/jobs/models/train.py"],
}


def shipped():
    """What documents show of the shipped jobs and scripts is what ships, but for comments."""

    def bare(text):
        return [line for line in text.splitlines() if line.strip() and not line.startswith("--")]

    for document, files in SHOWN.items():
        shown = [block for _, block in blocks((ROOT / document).read_text(), "sql", "python")]
        for file in files:
            text = (ROOT / file).read_text()
            if not any(bare(block) == bare(text) for block in shown):
                yield f"{document}: {file} is not a block of it"


def scripts():
    """Each script that Spark has run, and its job, stand whole in docs/spark.md."""
    shown = [block for _, block in blocks((ROOT / "docs/spark.md").read_text(), "python", "sql")]
    for path in sorted(ROOT.glob("tests/spark/scripts/*.*")):
        if path.read_text() not in shown:
            yield f"docs/spark.md: {path.relative_to(ROOT)} is not a block of it"


def flags(binary, path):
    """The flags and subcommands that the help of a command knows."""
    told = run(binary, *path, "--help")
    known = set(re.findall(r"(--[\w-]+)", told.stdout))
    section = told.stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    return known, set(re.findall(r"^ {2}(\w[\w-]*)", section, re.M))


def commands(binary):
    """Every call of the program in a shell block, or at the start of inline code."""
    for document in DOCUMENTS:
        text = document.read_text()
        found = [
            (line + number, command)
            for line, block in blocks(text, "sh")
            for number, command in enumerate(block.replace("\\\n", "  ").splitlines())
        ]
        found += [
            (text.count("\n", 0, match.start()) + 1, match.group(1))
            for match in re.finditer(r"`((?:thalweg|cargo run --release --) [^`\n]+)`", without_blocks(text))
        ]
        for line, command in found:
            for call in re.findall(r"(?<!-p)(?:^|[;&|\s'])(?:(?:target/(?:release|dist)/)?thalweg|cargo run --release --) ([^|;&']*)", command):
                try:
                    words = shlex.split(call, comments=True)
                except ValueError:
                    words = call.split()
                path = []
                known, subcommands = flags(binary, path)
                while len(path) < len(words) and words[len(path)] in subcommands:
                    path.append(words[len(path)])
                    known, subcommands = flags(binary, path)
                where = f"{document.relative_to(ROOT)}:{line}"
                if not path and not (words and words[0].startswith("--")):
                    yield f"{where}: `thalweg {call.strip()}` is no command"
                elif subcommands and path:
                    yield f"{where}: `thalweg {' '.join(path)}` needs one of {', '.join(sorted(subcommands))}"
                for word in words:
                    flag = word.partition("=")[0]
                    if flag.startswith("--") and flag not in known:
                        yield f"{where}: `thalweg {' '.join(path)}` has no {flag}"


def scrape(binary):
    """The metrics of a job with state that has committed an epoch."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    child = subprocess.Popen(
        [binary, "run", str(ROOT / "bin/jobs/rate_counts.sql"), "--http", f"127.0.0.1:{port}"],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    text = answer.read().decode()
                signs = ("thalweg_epochs_committed_total", "thalweg_state_keys")
                if all(re.search(rf"^{sign}\{{.*\}} [1-9]", text, re.M) for sign in signs):
                    return text
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit("the job served no metrics of a committed epoch within 20 s")
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


def exported(text):
    """Name to type and labels, as a scrape tells."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    labels = {name: set() for name in types}
    for name, pairs in re.findall(r"^(\w+)(?:\{(.*)\})? ", text, re.M):
        family = name if name in types else re.sub(r"_(bucket|sum|count)$", "", name)
        labels[family] |= set(re.findall(r"(\w+)=\"", pairs)) - {"le"}
    return {name: (kind, labels[name]) for name, kind in types.items()}


def documented(text):
    rows = re.findall(r"^\| `(thalweg_\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|", text, re.M)
    return {name: (kind, set(filter(None, labels.strip().split(", ")))) for name, kind, _, labels in rows}


def metrics(scraped):
    told = documented((ROOT / "docs/metrics.md").read_text())
    real = exported(scraped)
    # Only inputs that know their end have a lag, in records or in time; this job has neither static table nor model nor traces,
    # and is not refused.
    optional = {
        "thalweg_job_refused",
        "thalweg_partition_lag_records",
        "thalweg_partition_lag_milliseconds",
        "thalweg_static_table_rows",
        "thalweg_static_table_outdated",
        "thalweg_trace_spans_total",
        *(name for name in told if name.startswith("thalweg_model_")),
    }
    for name in sorted(set(real) - set(told)):
        yield f"docs/metrics.md does not know {name}"
    for name in sorted(set(told) - set(real) - optional):
        yield f"docs/metrics.md: no running job has {name}"
    for name in sorted(set(told) & set(real)):
        if told[name] != real[name]:
            yield f"docs/metrics.md: {name} is {real[name]}, not {told[name]}"
    series = len(re.findall(r"^thalweg_", scraped, re.M))
    if series > 2000:
        yield f"the job has {series} series, more than 2,000"


def prometheus(promtool, scraped):
    linted = subprocess.run([promtool, "check", "metrics"], input=scraped, capture_output=True, text=True, check=False)
    if linted.returncode != 0 or linted.stderr.strip():
        yield f"promtool check metrics: {linted.stdout}{linted.stderr}"


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    binary = os.path.abspath(sys.argv[1])
    scraped = scrape(binary)
    checks = {
        "links": links(),
        "jobs": jobs(binary),
        "shipped jobs and scripts": shipped(),
        "the scripts": scripts(),
        "commands": commands(binary),
        "commands and recipes run": documents_run.faults(DOCUMENTS, binary),
        "metrics": metrics(scraped),
    }
    if len(sys.argv) > 2:
        checks["promtool"] = prometheus(sys.argv[2], scraped)
    wrong = 0
    for name, faults in checks.items():
        faults = list(faults)
        wrong += len(faults)
        for fault in faults:
            print(f"FAULT: {fault}")
        print(f"documents: {name}: {len(faults)} faults", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
