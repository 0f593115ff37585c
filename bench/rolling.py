#!/usr/bin/env python3
"""New connections at a rate, each with one exchange, until SIGTERM or --seconds: rolling.py IP:PORT --rate N --seconds S
Prints {"connections","failed","errors":{word:count},"slowest_ms","endpoints"}; exit 1 when one failed. Runs inside a pod (carrick lab exec)."""
import argparse
import collections
import json
import signal
import socket
import sys
import time

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("target")
parser.add_argument("--rate", type=int, default=2000)
parser.add_argument("--seconds", type=float, default=10)
flags = parser.parse_args()
host, port = flags.target.rsplit(":", 1)
running = True


def stop(*_):
    global running
    running = False


signal.signal(signal.SIGTERM, stop)
errors, endpoints, count, failed, slowest = collections.Counter(), set(), 0, 0, 0.0
request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
began = time.monotonic()
while running and time.monotonic() - began < flags.seconds:
    due = began + count / flags.rate
    if (wait := due - time.monotonic()) > 0:
        time.sleep(wait)
    start, answer = time.monotonic(), b""
    try:
        with socket.create_connection((host, int(port)), timeout=3) as connection:
            connection.sendall(request)
            while piece := connection.recv(4096):
                answer += piece
        if b"200 OK" not in answer:
            raise ConnectionError("no answer")
        endpoints.add(answer.rsplit(b'"pod"', 1)[-1][:80])
    except OSError as error:
        failed += 1
        errors[f"{type(error).__name__}: {error}"] += 1
    count += 1
    slowest = max(slowest, time.monotonic() - start)
seconds = time.monotonic() - began
print(json.dumps({"connections": count, "per_second": round(count / seconds), "failed": failed, "errors": errors,
                  "slowest_ms": round(slowest * 1000, 1), "endpoints": len(endpoints)}))
sys.exit(1 if failed else 0)
