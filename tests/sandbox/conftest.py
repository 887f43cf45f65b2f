"""Fixtures: one sandbox per test module, made fresh for each test, and a caller for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_ctct.sandbox import RunningSandbox, Switches, serve
from tests.sandbox.caller import Caller

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


ACTIVE, REMOVED, GONE, WAITING = 1, 2, 3, 4
