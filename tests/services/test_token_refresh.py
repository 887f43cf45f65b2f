"""Eight processes and one rotating token: one call a round, and the grant lives (RELIABILITY.md, E8 and R17).

A rotating refresh token is good once; whoever sends it a second time destroys the grant. Each round ends the
access token, lets all eight ask at the same moment, and counts. ``CTCT_TEST_FULL=1`` also keeps the server's limit
of one call a second, which takes a minute.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from django_ctct.models import Account, DatabaseNow
from tests.oauth import site
from tests.oauth.server import TokenServer, running_server
from tests.worker import end, environment

from .conftest import FULL
from .token_worker import fingerprint

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

WORKERS, ROUNDS = 8, 30


@pytest.fixture
def server(settings: Any) -> Iterator[TokenServer]:
    with running_server() as running:
        settings.CTCT = site.settings_for(settings.CTCT, running)
        running.limit = FULL
        running.delay = 0.05  # long enough for everybody to run into it
        site.connect(running)
        yield running


@contextmanager
def workers(settings: Any, folder: Path) -> Iterator[list[subprocess.Popen[str]]]:
    accounts = {"default": settings.CTCT["ACCOUNTS"]["default"]}
    env = environment(
        "http://127.0.0.1:9",
        "memory://",
        DJANGO_SETTINGS_MODULE="tests.services.token_settings",
        CTCT_TEST_ACCOUNTS=json.dumps(accounts),
    )
    command = [sys.executable, "-m", "tests.services.token_worker"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running: list[subprocess.Popen[str]] = []
    with (folder / "workers.log").open("a") as log:
        try:
            for _ in range(WORKERS):
                running.append(subprocess.Popen(command, env=env, stderr=log, start_new_session=True, **pipes))
            assert [_line(one) for one in running] == ["ready"] * WORKERS, (folder / "workers.log").read_text()
            yield running
        finally:
            for one in running:
                end(one)  # type: ignore[arg-type]
                one.stdin.close()  # type: ignore[union-attr]
                one.stdout.close()  # type: ignore[union-attr]


def _line(one: subprocess.Popen[str]) -> str:
    assert one.stdout is not None
    return one.stdout.readline().strip()


def ask_all(running: list[subprocess.Popen[str]], word: str) -> list[str]:
    """Let all workers ask at once; return what each got."""
    for one in running:
        assert one.stdin is not None
        one.stdin.write(word + "\n")
        one.stdin.flush()
    return [_line(one) for one in running]


def alive(server: TokenServer) -> bool:
    """Say whether the stored refresh token is the one that the server would take."""
    return server.refresh == {site.held().refresh}


def settle() -> None:
    """Let the rest after the last call be over: in full runs by waiting, else by a statement."""
    if FULL:
        time.sleep(1.2)
    else:
        site.rest_is_over()


def play(server: TokenServer, running: list[subprocess.Popen[str]], *, refused: bool) -> tuple[list[int], int]:
    """Play all rounds; return the calls of each, and in how many the grant was alive afterwards.

    The token has ended by the clock, or it is ``refused`` although it should be good.
    """
    calls, living = [], 0
    for _ in range(ROUNDS):
        settle()
        if not refused:
            site.expire()
        before = len(server.asked)
        got = ask_all(running, site.held().access if refused else "current")
        assert set(got) == {fingerprint(site.held().access)}, got
        calls.append(len(server.asked) - before)
        living += alive(server)
    print(f"calls: {sum(calls)} in {ROUNDS} rounds, grant alive in {living}")
    return calls, living


def test_eight_processes_renew_an_expired_rotating_token_once(
    server: TokenServer, settings: Any, tmp_path: Path
) -> None:
    with workers(settings, tmp_path) as running:
        calls, living = play(server, running, refused=False)
    assert (set(calls), living) == ({1}, ROUNDS)
    assert {one.status for one in server.asked} == {200}


def test_eight_processes_whose_token_is_refused_renew_it_once(
    server: TokenServer, settings: Any, tmp_path: Path
) -> None:
    with workers(settings, tmp_path) as running:
        calls, living = play(server, running, refused=True)
    assert (set(calls), living) == ({1}, ROUNDS)


def test_a_worker_that_dies_while_it_renews_keeps_the_others_no_longer_than_its_lease(
    server: TokenServer, settings: Any, tmp_path: Path
) -> None:
    """The server has not looked at its request yet: then nothing is lost but the lease's time."""
    site.expire()
    server.delay = 30.0
    with workers(settings, tmp_path) as running:
        victim = running[0]
        assert victim.stdin is not None
        victim.stdin.write("current\n")
        victim.stdin.flush()
        deadline = time.monotonic() + 20
        while site.account().token_lease is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        victim.kill()
        victim.wait(10)
        server.delay = 0.0
        Account.objects.update(token_lease_until=DatabaseNow())  # the lease has ended
        got = ask_all(running[1:], "current")
    assert set(got) == {fingerprint(site.held().access)}
