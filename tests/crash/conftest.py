"""A site, a sandbox and a runner that the whole matrix shares, and the line that sums it up."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test.utils import override_settings

from django_ctct.sandbox import RunningSandbox
from tests.account import Sandbox
from tests.worker import end, environment

from .points import Point
from .scenarios import SWITCHES, Scenario


@dataclass(frozen=True)
class Runner:
    """The warm process that forks drains, and the file that tells them where to die."""

    worker: subprocess.Popen[bytes]
    order: Path

    def told_to_die(self, point: str, *words: str) -> bool:
        """Let a child work. Return whether it was killed there; fail when it ended in any other way."""
        self.order.write_text(str(point))
        status = self._ask("\t".join(words))
        unmet = self.order.exists()
        self.order.unlink(missing_ok=True)
        assert status in (0, -9), f"the child ended with {status}"
        assert (status == -9) is not unmet, "it dies by the order and by nothing else"
        return status == -9

    def _ask(self, line: str) -> int:
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        self.worker.stdin.write(f"{line}\n".encode())
        self.worker.stdin.flush()
        assert select.select([self.worker.stdout], [], [], 60)[0], "the child hangs"
        answer = self.worker.stdout.readline()
        assert answer, "the runner is gone"
        return int(answer)


@pytest.fixture(scope="module")
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The fixture of that name, but emptied after a module, not after each test."""
    with django_db_blocker.unblock():
        yield
        call_command("flush", verbosity=0, interactive=False)
        connection.close()


@pytest.fixture(scope="module")
def site(transactional_db: None, running_sandbox: RunningSandbox) -> Iterator[Sandbox]:
    """One database and one sandbox for all cells of a module: each has an address of its own."""
    box = Sandbox(running_sandbox.url)
    with override_settings(CTCT=box.point(settings.CTCT)):
        box.reset()
        box.switch(**SWITCHES)
        box.bind()
        yield box
        assert box.breaches() == []


@pytest.fixture(autouse=True)
def clean_road(site: Sandbox) -> Iterator[None]:
    """Take away a fault that no request has met."""
    yield
    site.control("faults", method="DELETE")


def mortal(box: Sandbox, order: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process whose drains can be told to die."""
    return environment(box.url, DJANGO_SETTINGS_MODULE="tests.crash.settings", CTCT_TEST_DEATH=str(order), **more)


@contextmanager
def running_runner(env: dict[str, str], order: Path, log: Path) -> Iterator[Runner]:
    command = [sys.executable, "-m", "tests.crash.runner"]
    with log.open("ab") as out:
        worker = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, start_new_session=True
        )
    try:
        yield Runner(worker, order)
        assert b"Traceback" not in log.read_bytes(), log.read_text()[-3000:]
    finally:
        end(worker)
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture(scope="module")
def runner(site: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("crash")
    order = folder / "order"
    with running_runner(mortal(site, order), order, folder / "runner.log") as started:
        yield started


# The summary


@pytest.fixture
def cell(record_property: Any, point: Point, scenario: Scenario) -> None:
    """Mark a test as a cell of the matrix, for the summary."""
    record_property("cell", f"{point.value} × {scenario.name}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in one line how many cells there were."""

    def cells(outcome: str) -> list[str]:
        reports = terminalreporter.stats.get(outcome, [])
        return [dict(one.user_properties)["cell"] for one in reports if "cell" in dict(one.user_properties)]

    passed, failed = cells("passed"), cells("failed")
    if passed or failed:
        points, scenarios = ({one.split(" × ")[part] for one in (*passed, *failed)} for part in (0, 1))
        kind = f"{os.environ.get('CTCT_TEST_DATABASE', 'sqlite')} over {os.environ.get('CTCT_TEST_API', 'v1')}"
        terminalreporter.write_line(
            f"crash matrix on {kind}: {len(passed)} of {len(passed) + len(failed)} cells converged "
            f"({len(points)} points, {len(scenarios)} scenarios)"
        )
