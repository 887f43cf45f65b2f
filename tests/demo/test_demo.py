"""``manage.py demo``: the whole story with real processes, and what is left of it afterwards.

The default run tells the story over v3 and interrupts it once; ``CTCT_TEST_FULL=1`` takes both APIs and each signal.
"""

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
from urllib.parse import urljoin

import pytest
import requests

from tests.sandbox.v3_rules import breaches

pytestmark = [pytest.mark.worker, pytest.mark.sandbox]

PROJECT = Path(__file__).resolve().parents[2]
FULL = os.environ.get("CTCT_TEST_FULL") == "1"
only_in_full = pytest.mark.skipif(not FULL, reason="half a minute: CTCT_TEST_FULL=1 runs it, as .ci/run does")
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


def step(text: str, number: int) -> str:
    """Return what was said in one step."""
    return text.partition(f"\n{number}. ")[2].partition(f"\n{number + 1}. ")[0]


def tokens_kept_in(directory: Path) -> list[str]:
    """Unseal, in the demo's settings, the tokens that a demo has left in its database."""
    program = (
        "import django, json; django.setup()\n"
        "from django_ctct import models, vault\n"
        "found = json.loads(vault.unseal(models.Account.objects.get().tokens))\n"
        "print(found['access'], found['refresh'])"
    )
    place = {"CTCT_DEMO_DIRECTORY": str(directory), "DJANGO_SETTINGS_MODULE": "example_project.settings"}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env=environment(directory) | place,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


def origin(url: str) -> str:
    """Return the server of an address."""
    return urljoin(url, "/").rstrip("/")


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


#: How the story is told over each API: the number of its steps, and what the last list's PUT holds. About 25 s each.
TELLINGS = {"v3": ([], 14, '"list_memberships": []'), "v1": (["--api", "v1"], 13, "<ContactLists />")}


def expect_a_discreet_connect(text: str) -> None:
    """Check that Connect went the whole way, and said nothing secret."""
    way = re.findall(r"(GET|POST) +/\S*/(login|connect|authorize|callback)/? → (\d+)", text)
    assert way == [
        ("GET", "login", "200"),
        ("POST", "login", "302"),
        ("POST", "connect", "302"),
        ("GET", "authorize", "200"),
        ("POST", "authorize", "302"),
        ("GET", "callback", "302"),
    ]
    assert "✓ the account is connected" in text
    assert not re.search(r"sandbox-secret|sandbox-token|code=|state=|\bgAAAA|[A-Za-z0-9_-]{24,}", text)


@pytest.mark.parametrize("api", TELLINGS if FULL else ["v3"])
def test_the_story_comes_out_as_told_and_leaves_nothing_behind(folder, api):
    options, steps, no_lists = TELLINGS[api]
    with demo(folder, "--once", *options) as process:
        assert process.wait(LONGEST) == 0, said(folder)
    text = said(folder)
    assert re.search(rf"^ +API +{api}$", text, re.MULTILINE)
    assert len(re.findall(r"^\d+\. ", text, re.MULTILINE)) == steps
    assert text.count("✓") == steps + 1
    assert "✗" not in text
    assert "\033" not in text
    assert no_lists in text
    if api == "v3":
        expect_a_discreet_connect(step(text, 1))
    assert list(folder.iterdir()) == []


def test_a_consent_that_cannot_be_given_ends_in_1(folder):
    with demo(folder, "--once", "--switch", "auto_consent=true") as process:
        assert process.wait(LONGEST) == 1, said(folder)
    assert "found no button “Allow”" in step(said(folder), 1)
    assert "Traceback" not in said(folder)


def test_an_api_that_there_is_not_is_a_mistake_of_the_command_line(folder):
    with demo(folder, "--once", "--api", "nonsense") as process:
        assert process.wait(LONGEST) == 2
    assert "invalid choice: 'nonsense' (choose from" in said(folder)
    assert list(folder.iterdir()) == []


@only_in_full
def test_a_step_that_does_not_come_out_ends_in_1_and_shows_the_logs(folder):
    with demo(folder, "--once", "--api", "v1", "--patience", "8", "--switch", "empty_lists_put=reject") as process:
        assert process.wait(LONGEST) == 1, said(folder)
    text = said(folder)
    assert "✗ expected Removed, on no list" in text
    assert "found Active, on Free members" in text
    assert "The end of the log of the worker" in text
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP] if FULL else [signal.SIGINT])
def test_an_interruption_stops_every_process(folder, number):
    with demo(folder, "--once") as process:
        wait_for(folder, "2. The plan")
        assert len(still_running(folder)) > 3
        process.send_signal(number)
        assert process.wait(LONGEST) == 130
    assert list(folder.iterdir()) == []


@only_in_full
def test_afterwards_the_site_is_served_until_ctrl_c(folder):
    directory = folder / "kept"
    with demo(folder, "--directory", str(directory)) as process:
        wait_for(folder, "Ctrl-C stops everything")
        wait_for(folder, str(directory / "logs"))
        urls = re.findall(r"(?:the site|its admin|Constant Contact) +(http\S+)", said(folder))
        assert [requests.get(url, timeout=10).status_code for url in urls] == [200, 200, 200]
        exchanges = requests.get(f"{origin(urls[2])}/_sandbox/exchanges", timeout=10).json()["exchanges"]
        assert len([one for one in exchanges if one["path"].startswith("/v3/")]) > 20
        assert breaches(exchanges) == []
        process.send_signal(signal.SIGINT)
        assert process.wait(LONGEST) == 0
    assert "nothing is left running" in said(folder)
    secrets = tokens_kept_in(directory)
    assert len(secrets) == 2
    logs = {path.name: path.read_text("utf-8") for path in (directory / "logs").iterdir()}
    assert {"site.log", "worker.log", "sandbox.log"} <= set(logs)
    assert "account/callback/?… " in logs["site.log"]
    for text in (said(folder), *logs.values()):
        assert not any(one in text for one in secrets)


def test_a_directory_that_holds_something_else_is_left_alone(folder):
    (folder / "thesis.txt").write_text("years of work")
    with demo(folder, "--once", "--directory", str(folder)) as process:
        assert process.wait(LONGEST) == 1
    assert "did not make" in said(folder)
    assert [each.name for each in folder.iterdir()] == ["thesis.txt"]
