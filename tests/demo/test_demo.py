"""``manage.py demo``: the whole story with real processes, and what is left of it afterwards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

pytestmark = [pytest.mark.worker, pytest.mark.sandbox]

PROJECT = Path(__file__).resolve().parents[2]
#: Nothing of the demo takes this long (seconds), on a slow machine either.
LONGEST = 150.0


def environment(folder: Path) -> dict[str, str]:
    """Give the demo a temporary folder of its own, by which its processes and files can be told."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("CTCT_", "DJANGO_", "COV_"))}
    return {**kept, "TMPDIR": str(folder), "PLACE_OF_THE_TEST": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "manage.py", "demo", *options]
    with (folder.parent / f"{folder.name}.txt").open("w") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment(folder), stdout=output, stderr=subprocess.STDOUT, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def said(folder: Path) -> str:
    return (folder.parent / f"{folder.name}.txt").read_text("utf-8")


def wait_for(folder: Path, words: str) -> None:
    deadline = time.monotonic() + LONGEST
    while words not in said(folder):
        assert time.monotonic() < deadline, f"never said {words!r}:\n{said(folder)}"
        time.sleep(0.1)


def still_running(folder: Path) -> list[str]:
    """Return the commands of the processes that were started for this place."""
    mark = f"PLACE_OF_THE_TEST={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue  # it has ended meanwhile
    return found


def litter() -> set[str]:
    """Return what a careless demo would leave in the project's folder."""
    patterns = (".demo", "celerybeat*", "*.sqlite3*", "*.log", "messages", "control")
    return {str(found) for pattern in patterns for found in PROJECT.glob(pattern)}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("the processes of a run are told by /proc")
    place, before = tmp_path / "place", litter()
    place.mkdir()
    yield place
    assert still_running(place) == []
    assert litter() == before


def test_the_story_comes_out_as_told_and_leaves_nothing_behind(folder):
    with demo(folder, "--once") as process:
        assert process.wait(LONGEST) == 0, said(folder)
    text = said(folder)
    steps = re.findall(r"^\d+\. ", text, re.MULTILINE)
    assert len(steps) >= 9
    assert text.count("✓") == len(steps) + 1
    assert "✗" not in text
    assert "\033" not in text
    assert "<ContactLists />" in text
    assert list(folder.iterdir()) == []


def test_a_step_that_does_not_come_out_ends_in_1_and_shows_the_logs(folder):
    with demo(folder, "--once", "--patience", "3", "--switch", "empty_lists_put=reject") as process:
        assert process.wait(LONGEST) == 1, said(folder)
    text = said(folder)
    assert "✗ expected Removed, on no list" in text
    assert "found Active, on Free members" in text
    assert "The end of the log of the worker" in text
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_stops_every_process(folder, number):
    with demo(folder, "--once") as process:
        wait_for(folder, "2. A new Free member")
        assert len(still_running(folder)) > 2
        process.send_signal(number)
        assert process.wait(LONGEST) == 130
    assert list(folder.iterdir()) == []


def test_afterwards_the_site_is_served_until_ctrl_c(folder):
    directory = folder / "kept"
    with demo(folder, "--directory", str(directory)) as process:
        wait_for(folder, "Ctrl-C stops everything")
        wait_for(folder, str(directory / "logs"))
        urls = re.findall(r"(?:the site|its admin|Constant Contact) +(http\S+)", said(folder))
        assert [requests.get(url, timeout=10).status_code for url in urls] == [200, 200, 200]
        process.send_signal(signal.SIGINT)
        assert process.wait(LONGEST) == 0
    assert (directory / "site.sqlite3").exists()
    assert "nothing is left running" in said(folder)


def test_a_directory_that_holds_something_else_is_left_alone(folder):
    (folder / "thesis.txt").write_text("years of work")
    with demo(folder, "--once", "--directory", str(folder)) as process:
        assert process.wait(LONGEST) == 1
    assert "did not make" in said(folder)
    assert [each.name for each in folder.iterdir()] == ["thesis.txt"]
