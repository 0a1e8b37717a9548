"""Runs a container's own command as its pod would: with its broker away, and with a job that is refused."""

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import manifests

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def answer(port, path, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return None, ""


TOKEN = "anna 0123456789abcdef"


def secret_files(text, arguments, mounts, folder):
    """Files for all that the job and its command line name, with a certificate of their own; both with their places."""
    for number, (mount, _) in enumerate(mounts):
        place = Path(folder, f"secret-{number}")
        place.mkdir()
        make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=test -keyout tls.key -out tls.crt"
        subprocess.run(make.split(), cwd=place, capture_output=True, check=True)
        Path(place, "ca.crt").write_bytes(Path(place, "tls.crt").read_bytes())
        for path in manifests.file_names(text, arguments):
            wanted = Path(place, Path(path).name)
            if str(Path(path).parent) == mount["mountPath"] and not wanted.exists():
                wanted.write_text(TOKEN if path in arguments else "secret")
        text = text.replace(mount["mountPath"] + "/", f"{place}/")
        arguments = [argument.replace(mount["mountPath"] + "/", f"{place}/") for argument in arguments]
    return text, arguments


def start(binary, container, text, mounts, folder):
    """The container's command on this job, in this folder, at a free port; its broker is away."""
    text, given = secret_files(text, container["args"], mounts, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = Path(folder, Path(container["args"][1]).name)
    path.write_text(text)
    arguments = [path if a == container["args"][1] else a for a in given]
    arguments[arguments.index("--http") + 1] = f"127.0.0.1:{port}"
    arguments += ["--set", f"checkpointLocation={folder}/checkpoints"]
    environment = {**os.environ, **{v["name"]: v["value"] for v in container.get("env", []) if "value" in v}}
    environment["KAFKA"] = "127.0.0.1:1"
    log = Path(folder, "log")
    with log.open("w") as sink:
        child = subprocess.Popen([binary, *arguments], env=environment, stdout=sink, stderr=sink)
    return child, port, log


def process(documents, binary):
    """As in a cluster where the job comes up first, and as after a roll-out of a job with a mistake in it."""
    for workload, spec, container in manifests.jobs(documents):
        text, _ = manifests.job_text(documents, container, spec)
        if text is None:
            continue
        mounts = list(manifests.mounted(documents, workload, spec, container))
        broken = text.replace("INSERT INTO", "INSRT INTO", 1)
        for what, job, ready, code in (("its broker is away", text, None, 0), ("its job is refused", broken, "INSRT", 2)):
            with tempfile.TemporaryDirectory() as folder:
                child, port, log = start(binary, container, job, mounts, folder)
                try:
                    who = f"{manifests.name(workload)}, {what}"
                    yield from behaviour(who, child, container, spec, port, log, ready, code)
                finally:
                    child.kill()
                    child.wait()


def behaviour(who, child, container, spec, port, log, ready, expected_code):
    paths = {probe: container[probe]["httpGet"]["path"] for probe in PROBES}
    until = time.monotonic() + 20
    while answer(port, paths["startupProbe"])[0] != 200 and time.monotonic() < until and child.poll() is None:
        time.sleep(0.05)
    if child.poll() is not None:
        yield f"{who}: the process ended with {child.returncode}: {log.read_text()[-500:]}"
        return
    expected = {paths["startupProbe"]: 200, paths["livenessProbe"]: 200, paths["readinessProbe"]: 503, "/metrics": 200}
    for path, status in expected.items():
        found, body = answer(port, path)
        if found != status:
            yield f"{who}: {path} answers {found}, expected {status}"
        if ready and path == paths["readinessProbe"] and ready not in body:
            yield f"{who}: {path} does not say why: {body}"
    if "--token-file" in container["args"] and not expected_code:
        name, token = TOKEN.split()
        for sent, status in ((None, 401), (name, 401), (token, 200)):
            found, _ = answer(port, "/api/v1/queries", sent)
            if found != status:
                yield f"{who}: with the token {sent} the state of the job answers {found}, expected {status}"
    begun = time.monotonic()
    child.send_signal(signal.SIGTERM)
    try:
        code = child.wait(spec["terminationGracePeriodSeconds"])
    except subprocess.TimeoutExpired:
        yield f"{who}: SIGTERM did not end the process within the grace period"
        return
    if code != expected_code:
        yield f"{who}: exit {code} after SIGTERM, expected {expected_code}: {log.read_text()[-500:]}"
    print(f"  {who}: alive, not ready, ended {time.monotonic() - begun:.1f} s after SIGTERM with exit {code}")
