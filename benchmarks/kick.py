"""What a request pays for its kick when the broker is in trouble: ``python -m benchmarks.kick``.

Three brokers, each a socket on a free port: one that refuses, one that takes the call and says nothing, one that
answers with something else. A kick is what a commit costs on top of its rows, in the thread of the request. The
last column is how long a process took to end with hints still to be published.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

KICKS = 1000


@contextmanager
def broker(kind: str) -> Iterator[int]:
    """Yield the port of a broker in trouble."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        if kind != "refuses":
            door.listen(64)
            threading.Thread(target=welcome, args=(door, kind == "lies"), daemon=True).start()
        yield door.getsockname()[1]


def welcome(door: socket.socket, lies: bool) -> None:
    kept = []
    while True:
        try:
            caller, _ = door.accept()
        except OSError:
            return
        kept.append(caller)
        if lies:
            caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n" * 100)


def measure() -> None:
    """Kick as many commits would; say the times in ms. Run in a process of its own."""
    import django

    django.setup()
    from django_ctct import tasks
    from tests import celery_app  # noqa: F401 - as a project's __init__ does

    times = []
    for _ in range(KICKS):
        started = time.perf_counter()
        tasks.kick("default")
        times.append((time.perf_counter() - started) * 1000)
        time.sleep(0.001)
    high = statistics.quantiles(times, n=100)[98]
    sys.stdout.write(f"{statistics.median(times):.4f} {high:.4f} {max(times):.4f}\n")
    sys.stdout.flush()


def run(kind: str, scheme: str) -> None:
    with broker(kind) as port:
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "CTCT_TEST_KICK": "thread",
            "CTCT_TEST_BROKER": f"{scheme}://127.0.0.1:{port}//",
        }
        command = [sys.executable, "-m", "benchmarks.kick", "measure"]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as one:
            assert one.stdout is not None
            middle, high, most = one.stdout.readline().split()
            told = time.monotonic()
            one.wait(60)
            ended = time.monotonic() - told
    sys.stdout.write(f"  {scheme:5} {kind:12} {middle:>8} {high:>8} {most:>9} {ended:>10.2f} s\n")


def main() -> None:
    if sys.argv[1:] == ["measure"]:
        measure()
        return
    sys.stdout.write(f"one kick of {KICKS}, in ms:  median     99 %       max   end of the process\n")
    for scheme in ("redis", "amqp"):
        for kind in ("refuses", "is silent", "lies"):
            run(kind, scheme)


if __name__ == "__main__":
    main()
