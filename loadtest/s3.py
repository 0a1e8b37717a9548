"""An S3 on loopback: moto, with faults on demand.

  POST /faults   a JSON list of {"method": "GET", "path": "/b/in/", "from": 4194304, "status": 503, "code": "SlowDown", "times": 3}: the
                 next so many requests of the method whose path (with the query) holds the text, and whose range begins
                 there where `from` is given, and whose access key is "key" where that is given, are answered so; times -1 is all of them until the list is replaced.
                 With "hold": true they are held until the list is replaced, and then answered in the usual way; with
                 "careless": true they are answered in the usual way, but the condition If-None-Match is not kept
  GET /counts    how often each method was asked for

A request of the access key `wrong` is answered with InvalidAccessKeyId, one of `denied` with AccessDenied.
"""

import io
import json
import os
import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

inner = DomainDispatcherApplication(create_backend_app)
lock = threading.Condition()
# moto is not made for threads: a listing stumbles over what another request removes meanwhile.
alone = threading.Lock()
faults = []
counts = {}


def refuse(start, status, code):
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>planted</Message></Error>".encode()
    start(f"{status} Planted", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def fits(fault, method, path, begin, key):
    return (
        fault["times"] != 0
        and fault.get("method", method) == method
        and fault.get("path", "") in path
        and fault.get("from", begin) == begin
        and fault.get("key", key) == key
    )


def planted(method, path, begin, key):
    """The fault of a request; one that is held waits here."""
    global faults
    with lock:
        counts[method] = counts.get(method, 0) + 1
        for fault in faults:
            if not fits(fault, method, path, begin, key):
                continue
            if fault.get("hold"):
                known = faults
                lock.wait_for(lambda: faults is not known)
                return None
            if fault["times"] > 0:
                fault["times"] -= 1
            return fault
    return None


def serve(environ, start):
    global faults
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    if path in ("/faults", "/counts"):
        with lock:
            if path == "/faults":
                length = int(environ.get("CONTENT_LENGTH") or 0)
                faults = json.loads(environ["wsgi.input"].read(length))
                lock.notify_all()
            body = json.dumps(counts).encode()
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]
    # Read before moto has its turn, so that nobody who sends slowly keeps the others waiting.
    sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(sent)
    key = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/")[0]
    if key == "wrong":
        return refuse(start, 403, "InvalidAccessKeyId")
    if key == "denied":
        return refuse(start, 403, "AccessDenied")
    span = environ.get("HTTP_RANGE", "").removeprefix("bytes=").partition("-")[0]
    query = environ.get("QUERY_STRING", "")
    fault = planted(method, f"{path}?{query}", int(span) if span.isdigit() else None, key)
    if fault and fault.get("careless"):
        environ.pop("HTTP_IF_NONE_MATCH", None)
    elif fault:
        return refuse(start, fault["status"], fault["code"])
    with alone:
        return list(inner(environ, start))


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


def end_with_the_pipe():
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    # moto asks nobody outside.
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    server = make_server("127.0.0.1", int(sys.argv[1]), serve, threaded=True, request_handler=Quiet)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    if not sys.stdin.isatty():
        threading.Thread(target=end_with_the_pipe, daemon=True).start()
    server.serve_forever()
