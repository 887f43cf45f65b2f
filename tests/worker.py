"""Start and end real Celery worker processes that work on the test's own database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery
from django.db import connection

from example_project import broker as folder_transport


def environment(sandbox_url: str, broker: str = "memory://", **more: str) -> dict[str, str]:
    """Return what a worker needs to stand on the same database, sandbox and broker as the test."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "CTCT_TEST_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        "CTCT_TEST_SANDBOX": sandbox_url,
        "CTCT_TEST_BROKER": broker,
        **more,
    }


@contextmanager
def folder_broker(folder: Path, *, polling: float = 0.1) -> Iterator[dict[str, str]]:
    """Make this process the sender of a broker of files; no server is needed. Yield what its workers' environment adds.

    It is the demo's transport: kombu's own may give a worker a message that is not yet written, and the worker ends.
    """
    options: dict[str, Any] = {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(folder / "control"),
        "polling_interval": polling,
    }
    (folder / "control").mkdir(parents=True)
    url = f"{folder_transport.SCHEME}://"
    app = Celery("sender", broker=url, set_as_current=True)
    app.conf.broker_transport_options = options
    app.set_default()
    try:
        yield {"CTCT_TEST_BROKER": url, "CTCT_TEST_BROKER_OPTIONS": json.dumps(options)}
    finally:
        app.close()


@contextmanager
def running_worker(
    env: Mapping[str, str], log: Path, *, concurrency: int = 1, pool: str = "prefork"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker in a process group of its own, and end the whole group afterwards."""
    command = [sys.executable, "-m", "celery", "-A", "tests.celery_app", "worker", "--loglevel", "info"]
    options = ["--pool", pool, "--concurrency", str(concurrency), "--without-gossip", "--without-mingle"]
    with log.open("ab") as out:
        worker = subprocess.Popen([*command, *options], env=dict(env), stdout=out, stderr=out, start_new_session=True)
    try:
        wait_for(lambda: b" ready." in log.read_bytes() or worker.poll() is not None, 60, f"the worker: {log}")
        assert worker.poll() is None, log.read_text()[-2000:]
        yield worker
    finally:
        end(worker)


def end(worker: subprocess.Popen[bytes]) -> None:
    """End a worker and its children, whatever state they are in."""
    for sign, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        if worker.poll() is None:
            os.killpg(worker.pid, sign)
            try:
                worker.wait(patience)
            except subprocess.TimeoutExpired:
                continue


def kill(worker: subprocess.Popen[bytes]) -> None:
    """Kill a worker and its children at once."""
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(10)


def wait_for(true: Callable[[], Any], seconds: float, what: str) -> None:
    """Wait until something is true; fail with a sentence when it is not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.05)
