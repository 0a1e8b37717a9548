"""Jobs that run, a Prometheus that asks them, and faults that are planted in them: who is called, and who is not.

    monitoring/live.py BINARY PROMETHEUS

A job that is well calls nobody; one whose records fail, one that is refused, one whose broker is away, one whose table is
damaged while it runs, and one that is killed call as docs/runbooks.md says. The pauses of the rules (`for`) are shortened
to a second. Every expression of the dashboard is asked of that Prometheus, too.

Exit 1 when anything is wrong, with one line per fault.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import names

TICKS = "CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '50');\nCREATE TABLE out USING noop;\nSET queryName = '{}';\n"
COUNTS = "SET outputMode = 'update';\nINSERT INTO out SELECT value % 10 AS k, count(*) AS n FROM ticks GROUP BY value % 10;\n"
JOBS = {
    "well": TICKS + COUNTS,
    "failing": TICKS + "SET onError = 'skip';\nINSERT INTO out SELECT CAST(concat('x', value) AS BIGINT) AS n FROM ticks;\n",
    "refused": TICKS + "INSERT INTO out SELECT valeu FROM ticks;\n",
    "waiting": "CREATE TABLE asked (n BIGINT) USING kafka OPTIONS (\n"
    "  kafka.bootstrap.servers '127.0.0.1:1', subscribe 'asked', format 'json');\n"
    "CREATE TABLE out USING noop;\nSET queryName = '{}';\nINSERT INTO out SELECT n FROM asked;\n",
    "outdated": TICKS
    + "CREATE TABLE known (id BIGINT, name STRING) USING csv OPTIONS (path './known.csv', static 'true', mode 'FAILFAST');\n"
    "INSERT INTO out SELECT t.value, k.name FROM ticks t LEFT JOIN known k ON t.value = k.id;\n",
}
# Who is called for a job while it has its fault. The waiting one also begins again and again.
CALLED = {
    "well": set(),
    "failing": {"RecordsFail"},
    "refused": {"JobRefused"},
    "waiting": {"QueryNotReady", "NoCheckpoint"},
    "outdated": {"StaticTableOutdated"},
}
MAY_BE_CALLED = {"waiting": {"QueryRestarts"}}
PATIENCE = 60


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def until(what, so, patience=PATIENCE):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if found := so():
                return found
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"FAULT: not within {patience} s: {what}")


class Stage:
    """The jobs and the Prometheus, in a folder; all of them end with it."""

    def __init__(self, binary, prometheus, folder):
        self.folder, self.children, self.ports = Path(folder), {}, {}
        Path(folder, "known.csv").write_text("1,one\n2,two\n")
        for job, text in JOBS.items():
            self.ports[job] = free_port()
            Path(folder, f"{job}.sql").write_text(text.replace("{}", job))
            command = [binary, "run", f"{job}.sql", "--http", f"127.0.0.1:{self.ports[job]}", "--hold-on-refusal"]
            self.children[job] = self.start(job, command)
        for job in JOBS:
            until(f"{job} serves metrics", lambda job=job: get(f"http://127.0.0.1:{self.ports[job]}/metrics"))
        for job in ("well", "failing", "outdated"):
            page = f"http://127.0.0.1:{self.ports[job]}/metrics"
            until(f"{job} commits", lambda page=page: re.search(r"_committed_total\{.*\} [1-9]", get(page)))
        self.ask = f"http://127.0.0.1:{free_port()}"
        self.prometheus(prometheus)

    def start(self, name, command):
        with Path(self.folder, f"{name}.log").open("w") as log:
            return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=log)

    def prometheus(self, binary):
        rules = re.sub(r"^( +for:) \S+$", r"\1 1s", (names.HERE / "rules.yml").read_text(), flags=re.M)
        Path(self.folder, "rules.yml").write_text(rules)
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": job}} for job, port in self.ports.items()
        ]
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": "thalweg", "static_configs": targets}],
        }
        Path(self.folder, "prometheus.yml").write_text(json.dumps(config))
        command = [binary, "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        command.append("--web.listen-address=" + self.ask.removeprefix("http://"))
        self.children["prometheus"] = self.start("prometheus", command)
        until("Prometheus answers", lambda: get(f"{self.ask}/-/ready"))

    def firing(self):
        """By job: the alerts that fire."""
        called = {job: set() for job in JOBS}
        for alert in json.loads(get(f"{self.ask}/api/v1/alerts"))["data"]["alerts"]:
            labels = alert["labels"]
            if alert["state"] == "firing":
                called[labels.get("query") or labels["instance"]].add(labels["alertname"])
        return called

    def value(self, expression):
        """The series of an expression now; the error where it is none."""
        asked = urllib.parse.urlencode({"query": names.plain(expression)})
        try:
            answer = json.loads(get(f"{self.ask}/api/v1/query?{asked}"))
        except urllib.error.HTTPError as error:
            return None, error.read().decode()
        return answer["data"]["result"], ""

    def end(self):
        for child in self.children.values():
            child.send_signal(signal.SIGTERM)
        for child in self.children.values():
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def story(stage):
    Path(stage.folder, "known.new").write_text("one,1\n")
    os.rename(Path(stage.folder, "known.new"), Path(stage.folder, "known.csv"))

    def called():
        firing = stage.firing()
        return all(firing[job] >= wanted for job, wanted in CALLED.items())

    begun = time.monotonic()
    until(f"all are called, now {stage.firing()}", called)
    # As long again, so that what comes late is seen.
    time.sleep(max(5, time.monotonic() - begun))
    firing = stage.firing()
    for job, alerts in firing.items():
        print(f"  {job}: {', '.join(sorted(alerts)) or 'nobody is called'}")
        for alert in sorted(alerts - CALLED[job] - MAY_BE_CALLED.get(job, set())):
            yield f"{alert} is called for the job `{job}`"
        for alert in sorted(CALLED[job] - alerts):
            yield f"{alert} is called for the job `{job}` no more, although its fault is still there"
    yield from panels(stage)
    stage.children["well"].kill()
    until("ThalwegDown is called for a job that was killed", lambda: "ThalwegDown" in stage.firing()["well"])
    print("  well, killed: ThalwegDown")


# What these jobs have nothing of: models, Kafka's and Kinesis' lag.
ABSENT = re.compile(r"thalweg_model_|thalweg_partition_lag_")


def panels(stage):
    empty = 0
    for title, expression in names.expressions():
        found, error = stage.value(expression)
        if found is None:
            yield f"dashboard.json: `{title}`: {expression}: {error}"
        elif not found:
            empty += 1
            if not ABSENT.search(expression) and not title.startswith(("annotation", "Hand-over")):
                yield f"dashboard.json: `{title}` shows nothing: {expression}"
    print(f"  dashboard: {len(list(names.expressions()))} expressions asked, {empty} have nothing to show here")


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), folder)
        try:
            faults = list(story(stage))
        finally:
            stage.end()
    for fault in faults:
        print(f"FAULT: {fault}")
    print(f"monitoring, live: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
