#!/usr/bin/env python3
"""Measures what a job adds to the latency of Kinesis, beside a bare client that polls the same way, and its memory with 100 shards.

    kinesis_latency.py

Each message carries the time at which it was sent; it has arrived when this program has read it: from the answer of
GetRecords itself (bare), or from the standard output of a job that reads the stream and writes a line for each row. Both ask each
shard every 200 ms, the shortest that five reads a second allow, and have their turns in rounds, so that what else the machine
does falls on both. The server is kinesalite on loopback (kinesis.sh), started here; nothing is left behind.

Environment: THALWEG (default thalweg), a program with the feature kinesis; ROUNDS (default 5), SECONDS_EACH (default 20),
SHARDS (default 4), RATE (default 40), messages a second.
"""

import base64
import http.client
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
THALWEG = os.environ.get("THALWEG", "thalweg")
ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = float(os.environ.get("SECONDS_EACH", "20"))
SHARDS = int(os.environ.get("SHARDS", "4"))
RATE = float(os.environ.get("RATE", "40"))
POLL = 0.2
HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Date": "20260101T000000Z",
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=x",
}


class Service:
    """One kept connection to the server."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, timeout=30)

    def ask(self, action, **told):
        headers = {**HEADERS, "X-Amz-Target": f"Kinesis_20131202.{action}"}
        self.connection.request("POST", "/", json.dumps(told), headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{action}: {answer.status} {body.decode()}")
        return json.loads(body) if body else {}

    def make(self, stream, shards):
        self.ask("CreateStream", StreamName=stream, ShardCount=shards)
        while self.ask("DescribeStreamSummary", StreamName=stream)["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
            time.sleep(0.1)


def served():
    """The server, and its address."""
    server = subprocess.Popen([HERE / "kinesis.sh", "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline().strip()
    if not line.startswith("http://"):
        raise SystemExit("the server did not start")
    return server, line.removeprefix("http://")


def send(address, stream, until, rate):
    """Sends messages at moments by chance until then; each holds its time."""
    service = Service(address)
    count = 0
    while time.monotonic() < until:
        time.sleep(random.uniform(0.5, 1.5) / rate)
        data = base64.b64encode(str(time.monotonic_ns()).encode()).decode()
        service.ask("PutRecord", StreamName=stream, PartitionKey=str(random.random()), Data=data)
        count += 1
    return count


def late(sent):
    return (time.monotonic_ns() - int(sent)) / 1e6


def bare_shard(address, stream, shard, until, found):
    service = Service(address)
    iterator = service.ask("GetShardIterator", StreamName=stream, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]
    # Shards are not asked all at once.
    due = time.monotonic() + random.uniform(0, POLL)
    while time.monotonic() < until:
        time.sleep(max(0.0, due - time.monotonic()))
        due = max(due + POLL, time.monotonic())
        answer = service.ask("GetRecords", ShardIterator=iterator, Limit=10000)
        iterator = answer["NextShardIterator"]
        for record in answer["Records"]:
            found.append(late(base64.b64decode(record["Data"])))


def bare(address, stream):
    """Latencies in milliseconds, read by this program itself."""
    found, end = [], time.monotonic() + SECONDS + 2
    shards = [shard["ShardId"] for shard in Service(address).ask("ListShards", StreamName=stream)["Shards"]]
    threads = [threading.Thread(target=bare_shard, args=(address, stream, shard, end, found)) for shard in shards]
    for thread in threads:
        thread.start()
    time.sleep(1)
    send(address, stream, end - 1, RATE)
    for thread in threads:
        thread.join()
    return found


def job(folder, address, stream):
    """A job that is running: writes a line for each message to its standard output."""
    path = pathlib.Path(folder, f"{stream}.sql")
    path.write_text(f"""
CREATE TABLE messages USING kinesis OPTIONS (streamName '{stream}', endpointUrl 'http://{address}', region 'us-east-1',
  awsAccessKeyId 'test', awsSecretKey 'test', startingPosition 'LATEST');
CREATE TABLE out USING file OPTIONS (path '-');
SET checkpointLocation = '{folder}/checkpoints-{time.monotonic_ns()}';
INSERT INTO out SELECT CAST(data AS STRING) AS sent FROM messages;
""")
    child = subprocess.Popen(
        [THALWEG, "run", str(path), "--http", "off"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in child.stderr:
        if line.rstrip().endswith("running"):
            break
    else:
        raise SystemExit("the job did not start")
    threading.Thread(target=child.stderr.read, daemon=True).start()
    return child


def engine(address, stream, folder):
    """Latencies in milliseconds, through a job."""
    child, found = job(folder, address, stream), []

    def read():
        for line in child.stdout:
            found.append(late(json.loads(line)["sent"]))

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(1)
    send(address, stream, time.monotonic() + SECONDS, RATE)
    time.sleep(1)
    child.send_signal(signal.SIGTERM)
    child.wait()
    reader.join()
    return found


def shown(who, found):
    cut = statistics.quantiles(found, n=100)
    print(f"{who}: {len(found)} messages, p50 {cut[49]:.1f} ms, p90 {cut[89]:.1f} ms, p99 {cut[98]:.1f} ms", flush=True)
    return cut[49], cut[98]


def memory(address, folder):
    """Resident memory in MB of a job that reads 100 shards, while messages come."""
    Service(address).make("wide", 100)
    child = job(folder, address, "wide")
    threading.Thread(target=child.stdout.read, daemon=True).start()
    most = 0
    sending = threading.Thread(target=send, args=(address, "wide", time.monotonic() + 15, 200))
    sending.start()
    while sending.is_alive():
        status = pathlib.Path(f"/proc/{child.pid}/status").read_text()
        most = max(most, int(status.split("VmRSS:")[1].split()[0]))
        time.sleep(0.5)
    child.send_signal(signal.SIGTERM)
    child.wait()
    return most * 1024 / 1e6


def main():
    if len(sys.argv) > 1:
        raise SystemExit(__doc__)
    server, address = served()
    try:
        with tempfile.TemporaryDirectory() as folder:
            Service(address).make("messages", SHARDS)
            sides = {"bare": [], "job": []}
            for _ in range(ROUNDS):
                sides["bare"] += bare(address, "messages")
                sides["job"] += engine(address, "messages", folder)
            (bare50, bare99), (job50, job99) = (shown(who, found) for who, found in sides.items())
            print(f"the job takes {job50 / bare50:.2f} x at p50 and {job99 / bare99:.2f} x at p99")
            print(f"100 shards: {memory(address, folder):.0f} MB resident at most")
    finally:
        server.stdin.close()
        server.wait()


if __name__ == "__main__":
    main()
