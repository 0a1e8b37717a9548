"""Jobs that run, a Prometheus that asks them, and faults that are planted in them: who is called, and who is not.

    monitoring/live.py BINARY PROMETHEUS

A job that is well calls nobody; the others have one fault each and call as docs/runbooks.md says, and nobody else: records
that fail, a typo, a broker that is away, a table and a model that are damaged while they are used, rows that are late, an
output that is slow and one that never answers, state that grows; at last one is killed, and one is shown as of another
version. The pauses of the rules (`for`) are shortened to a second. Every expression of the dashboard is asked of that
Prometheus, too. Without a runtime for models (ORT_DYLIB_PATH) the job with one is left out.

Exit 1 when anything is wrong, with one line per fault.
"""

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import names

TICKS = "CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '50');\nCREATE TABLE out USING noop;\nSET queryName = '{}';\n"
COUNTS = "SET outputMode = 'update';\nINSERT INTO out SELECT value % 10 AS k, count(*) AS n FROM ticks GROUP BY value % 10;\n"


def posts(path, more=""):
    """A job whose output is the receiver, asked at this path."""
    return (
        TICKS.replace("USING noop", f"USING http OPTIONS (url '{{receiver}}/{path}')")
        + f"SET checkpointLocation = 'checkpoints';\n{more}INSERT INTO out SELECT value FROM ticks;\n"
    )


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
    # Every tenth row is an hour old, and windows are over after ten seconds.
    "late": TICKS
    + "INSERT INTO out SELECT window(at, '10 seconds') AS w, count(*) AS n FROM (\n"
    "  SELECT timestamp - make_dt_interval(0, if(value % 10 = 9, 1, 0)) AS at FROM ticks\n"
    ") WATERMARK at DELAY OF INTERVAL 10 SECONDS GROUP BY window(at, '10 seconds');\n",
    # The receiver takes a tenth of a second for each row, and never answers.
    "slow": posts("slow").replace("'50'", "'5'"),
    "stalled": posts("never", "SET checkpointInterval = '100 ms';\n"),
    # 100 kB more with each row.
    "growing": TICKS
    + "SET checkpointHistory = off;\nSET outputMode = 'update';\n"
    "INSERT INTO out SELECT value AS k, max(repeat(concat('key', value % 10), 25000)) AS x FROM ticks WHERE value < 600 GROUP BY value;\n",
    # Its model fails from the hundredth row on, and its file is replaced by one that is none.
    "modelled": TICKS
    + "CREATE MODEL modelled USING onnx OPTIONS (path './modelled.onnx');\n"
    "INSERT INTO out SELECT predict('modelled', named_struct('amount', value)) FALLBACK -1 AS score FROM ticks;\n",
}
# Who is called for a job while it has its fault.
CALLED = {
    "well": set(),
    "failing": {"RecordsFail"},
    "refused": {"JobRefused"},
    "waiting": {"QueryNotReady", "NoCheckpoint", "QueryRestarts"},
    "outdated": {"StaticTableOutdated"},
    "late": {"RowsTooLate"},
    "slow": {"SlowRecords"},
    "stalled": {"OutputStalls", "EpochsRefused"},
    "growing": {"StateGrows"},
    "modelled": {"ModelOutdated", "ModelFallsBack"},
}
# What follows from the fault, too, sooner or later.
MAY_BE_CALLED = {
    "stalled": {"QueryNotReady", "NoCheckpoint"},
}
# Of any job where the machine is busy with others: that they are silent is tried by rules_test.yml.
OF_THE_MACHINE = {"SlowRecords", "LongCut"}
# Those that commit before their fault is there, or beside it.
COMMITTING = {"well", "failing", "outdated", "late", "slow", "growing", "modelled"}
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
    raise SystemExit(f"FAULT: not within {patience} s: {what() if callable(what) else what}")


class Server(http.server.ThreadingHTTPServer):
    """Lives as long as the program, and does not mind jobs that end while they ask."""

    daemon_threads = True

    def handle_error(self, *_):
        pass


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes rows: late, or never."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.1 if self.path == "/slow" else 3600)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Stage:
    """The jobs and the Prometheus, in a folder; all of them end with it."""

    def __init__(self, folder):
        self.folder, self.children, self.ports = Path(folder), {}, {}

    def set(self, binary, prometheus):
        """Starts all, and waits until what is well works."""
        Path(self.folder, "known.csv").write_text("1,one\n2,two\n")
        Path(self.folder, "modelled.onnx").write_bytes((names.HERE.parent / "tests/models/fragile.onnx").read_bytes())
        server = Server(("127.0.0.1", 0), Receiver)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        receiver = f"http://127.0.0.1:{server.server_port}"
        for job, text in JOBS.items():
            self.ports[job] = free_port()
            Path(self.folder, f"{job}.sql").write_text(text.replace("{}", job).replace("{receiver}", receiver))
            command = [binary, "run", f"{job}.sql", "--http", f"127.0.0.1:{self.ports[job]}", "--hold-on-refusal"]
            self.children[job] = self.start(job, command)
        for job in JOBS:
            until(f"{job} serves metrics", lambda job=job: get(f"http://127.0.0.1:{self.ports[job]}/metrics"))
        for job in COMMITTING & JOBS.keys():
            page = f"http://127.0.0.1:{self.ports[job]}/metrics"
            until(f"{job} commits", lambda page=page: re.search(r"_committed_total\{.*\} [1-9]", get(page)))
        self.ask = f"http://127.0.0.1:{free_port()}"
        self.configure()
        command = [prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        command.append("--web.listen-address=" + self.ask.removeprefix("http://"))
        self.children["prometheus"] = self.start("prometheus", command)
        until("Prometheus answers", lambda: get(f"{self.ask}/-/ready"))

    def start(self, name, command):
        with Path(self.folder, f"{name}.log").open("w") as log:
            return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=log)

    def configure(self, **shown):
        """What the Prometheus asks and thinks of it. Jobs are `shown` as of other versions than they are."""
        rules = re.sub(r"^( +for:) \S+$", r"\1 1s", (names.HERE / "rules.yml").read_text(), flags=re.M)
        Path(self.folder, "rules.yml").write_text(rules)
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": job}} for job, port in self.ports.items()
        ]
        others = [
            {"source_labels": ["instance", "version"], "regex": f"{job};.+", "target_label": "version", "replacement": version}
            for job, version in shown.items()
        ]
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": "thalweg", "static_configs": targets, "metric_relabel_configs": others}],
        }
        Path(self.folder, "prometheus.yml").write_text(json.dumps(config))

    def firing(self):
        """By job: the alerts that fire; those of all processes of a job under the name of the scrape."""
        called = {job: set() for job in [*JOBS, "thalweg"]}
        for alert in json.loads(get(f"{self.ask}/api/v1/alerts"))["data"]["alerts"]:
            labels = alert["labels"]
            if alert["state"] == "firing":
                whose = [labels.get(name) for name in ("query", "model", "instance", "job")]
                called[next(filter(None, whose))].add(labels["alertname"])
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


def missing(firing):
    """The alerts that nobody has heard yet, by job."""
    return {job: CALLED[job] - firing[job] for job in JOBS if CALLED[job] - firing[job]}


def story(stage):
    for name, damaged in (("known.csv", "one,1\n"), ("modelled.onnx", "no model\n")):
        Path(stage.folder, "new").write_text(damaged)
        os.rename(Path(stage.folder, "new"), Path(stage.folder, name))

    def called():
        firing = stage.firing()
        return all(firing[job] >= CALLED[job] for job in JOBS)

    begun = time.monotonic()
    until(lambda: f"all are called, but {missing(stage.firing())}", called)
    print(f"  all are called after {time.monotonic() - begun:.0f} s")
    # As long again, so that what comes late is seen.
    time.sleep(max(5, time.monotonic() - begun))
    firing = stage.firing()
    for job, alerts in firing.items():
        print(f"  {job}: {', '.join(sorted(alerts)) or 'nobody is called'}")
        for alert in sorted(alerts - CALLED.get(job, set()) - MAY_BE_CALLED.get(job, set()) - OF_THE_MACHINE):
            yield f"{alert} is called for the job `{job}`"
        for alert in sorted(CALLED.get(job, set()) - alerts):
            yield f"{alert} is called for the job `{job}` no more, although its fault is still there"
    yield from panels(stage)
    stage.children["well"].kill()
    until("ThalwegDown is called for a job that was killed", lambda: "ThalwegDown" in stage.firing()["well"])
    print("  well, killed: ThalwegDown")
    stage.configure(late="0.0.1")
    stage.children["prometheus"].send_signal(signal.SIGHUP)
    until("RollOutStandsStill is called for a job of two versions", lambda: "RollOutStandsStill" in stage.firing()["thalweg"])
    print("  thalweg, of two versions: RollOutStandsStill")


# What these jobs have nothing of: models where there is no runtime, Kafka's and Kinesis' lag.
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
    if not os.environ.get("ORT_DYLIB_PATH"):
        print("  modelled: left out, ORT_DYLIB_PATH names no runtime for models")
        del JOBS["modelled"]
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(folder)
        try:
            stage.set(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
            faults = list(story(stage))
        finally:
            stage.end()
    for fault in faults:
        print(f"FAULT: {fault}")
    print(f"monitoring, live: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
