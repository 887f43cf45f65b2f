"""All traffic of the backends' tests with a sandbox is held to the published rules of v3."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_ctct.sandbox import RunningSandbox
from tests.sandbox.v3_rules import breaches

#: What the modules call their sandbox.
NAMES = ("box", "running")


@pytest.fixture(autouse=True)
def v3_is_spoken_by_the_rules(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail any test in which client or sandbox breaks one."""
    found = [request.getfixturevalue(name) for name in NAMES if name in request.fixturenames]
    journals = [one.sandbox.journal for one in found if isinstance(one, RunningSandbox)]
    for journal in journals:
        journal.clear()
    yield
    assert [each for journal in journals for each in breaches(one.as_exchange() for one in journal.entries())] == []
