"""Run a command as a person would, and keep what she would see."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import connection

from django_ctct.signals import work_due

ROOT = Path(__file__).resolve().parents[2]

#: Addresses that must not show, unless a test is about ctct_plan.
CANARY = "canary@example.com"


@dataclass(frozen=True)
class Ran:
    """What a command printed, its exit code, and the one sentence of its error."""

    out: str
    code: int
    error: str = ""


def run(command: str | BaseCommand, *arguments: str) -> Ran:
    """Run a command in this process."""
    out, err, code, error = StringIO(), StringIO(), 0, ""
    try:
        call_command(command, *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        code = int(end.code or 0)
    except CommandError as wrong:
        code, error = wrong.returncode, str(wrong)
    assert CANARY not in err.getvalue() + error
    return Ran(out.getvalue(), code, error)


def manage(*arguments: str) -> list[str]:
    """Return the words that start a command as a process of its own."""
    return [sys.executable, "-m", "django", *arguments]


def environment(sandbox: str = "http://127.0.0.1:9", **more: str) -> dict[str, str]:
    """Return the environment in which such a process works on the test's own database."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(ROOT),
        "CTCT_TEST_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        "CTCT_TEST_SANDBOX": sandbox,
        **more,
    }


@contextmanager
def hints() -> Iterator[list[str]]:
    """Collect the accounts for which a committed change asks for a worker."""
    found: list[str] = []

    def note(*, alias: str, **_: object) -> None:
        found.append(alias)

    work_due.connect(note)
    try:
        yield found
    finally:
        work_due.disconnect(note)
