"""Fixtures: one sandbox per test module, made fresh for each test, and a caller for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_ctct.sandbox import RunningSandbox, Switches, serve
from tests.sandbox.caller import Caller
from tests.sandbox.v3_caller import V3
from tests.sandbox.v3_rules import server_faults

LISTS = ["Free members", "Sustainers", "News"]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with serve() as sandbox:
        yield sandbox


@pytest.fixture
def api(running: RunningSandbox) -> Iterator[Caller]:
    """A caller of an account with three lists and, unless a test says more, nobody on them."""
    running.account.switches = Switches()
    caller = Caller(running)
    caller.control("reset", {"lists": LISTS})
    with caller.session:
        yield caller


@pytest.fixture
def scene(api: Caller) -> Caller:
    """A caller of an account with one contact of each status, ids 1 to 4."""
    api.control(
        "reset",
        {
            "lists": LISTS,
            "contacts": [
                {"email": "ada@example.com", "lists": ["Free members"], "first_name": "Ada", "last_name": "Byron"},
                {"email": "rex@example.com", "lists": []},
                {"email": "dora@example.com", "status": "Do Not Mail", "first_name": "Dora"},
                {"email": "una@example.com", "lists": ["News"], "status": "Unconfirmed"},
            ],
        },
    )
    return api


@pytest.fixture
def v3(running: RunningSandbox) -> Iterator[V3]:
    """A v3 caller of an account with three lists and nobody on them; what it is told is held to the sheet."""
    running.account.switches = Switches()
    caller = V3(running)
    caller.control("reset", {"lists": LISTS})
    with caller.session:
        yield caller
        faults = [each for logged in running.sandbox.journal.entries() for each in server_faults(logged.as_exchange())]
        broken = [logged.path for logged in running.sandbox.journal.entries() if logged.applied == 500]
    assert (faults, broken) == ([], [])


ACTIVE, REMOVED, GONE, WAITING = 1, 2, 3, 4
