"""The processes around a broker: a site that sends hints, a worker that gets them, a beat that sweeps."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.account import Sandbox
from tests.worker import end, environment, running_worker

#: Files that need a database server.
collect_ignore = [] if os.environ.get("CTCT_TEST_DATABASE") in ("postgresql", "mariadb") else ["test_connection_cut.py"]
FULL = os.environ.get("CTCT_TEST_FULL") == "1"
__all__ = ["FULL", "Site", "Trip", "running_beat", "running_site"]


@dataclass(frozen=True)
class Site:
    """A web process. ``save`` lets a member join and returns the seconds that her request took."""

    worker: subprocess.Popen[bytes]

    def save(self, email: str, name: str = "free") -> float:
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        self.worker.stdin.write(f"{email}\t{name}\n".encode())
        self.worker.stdin.flush()
        assert select.select([self.worker.stdout], [], [], 30)[0], "the request hangs"
        status, seconds = self.worker.stdout.readline().split()
        assert status == b"200"
        return float(seconds)

    def leave(self, patience: float) -> float:
        """Let the process end by itself; return the seconds that it took."""
        assert self.worker.stdin is not None
        started = time.monotonic()
        self.worker.stdin.close()
        assert self.worker.wait(patience) == 0
        return time.monotonic() - started


@contextmanager
def running_site(env: Mapping[str, str], log: Path) -> Iterator[Site]:
    with log.open("ab") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.services.site_process"],
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield Site(worker)
    finally:
        end(worker)
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def running_beat(env: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Run Celery's beat, which sends the sweep each second."""
    log = folder / "beat.log"
    command = [sys.executable, "-m", "celery", "-A", "tests.celery_app", "beat", "--pidfile=", "--loglevel", "info"]
    with log.open("ab") as out:
        beat = subprocess.Popen(
            [*command, "--schedule", str(folder / "beat")],
            env=dict(env),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield
    finally:
        end(beat)


@dataclass(frozen=True)
class Trip:
    """Names and folders of one test, and its processes on a given broker."""

    box: Sandbox
    folder: Path
    queue: str

    def environment(self, broker: str, options: Mapping[str, Any] | None = None, **more: str) -> dict[str, str]:
        return environment(
            self.box.url,
            broker,
            DJANGO_SETTINGS_MODULE="tests.services.settings",
            CTCT_TEST_BROKER_OPTIONS=json.dumps(options or {}),
            CTCT_TEST_KICK="thread",
            CTCT_TEST_QUEUE=self.queue,
            **more,
        )

    def worker(self, env: Mapping[str, str]) -> Any:
        return running_worker(env, self.folder / f"worker-{uuid.uuid4().hex[:6]}.log")

    def site(self, env: Mapping[str, str]) -> Any:
        return running_site(env, self.folder / "site.log")

    def beat(self, env: Mapping[str, str]) -> Any:
        return running_beat(env, self.folder)


@pytest.fixture
def trip(connected: Sandbox, tmp_path: Path) -> Iterator[Trip]:
    """A trip on a fresh account. What its processes said is shown when the test fails."""
    yield Trip(connected, tmp_path, f"ctct-test-{uuid.uuid4().hex[:12]}")
    for log in sorted(tmp_path.glob("*.log")):
        print(f"{log.name}: {log.read_text(errors='replace')[-1500:]}")
