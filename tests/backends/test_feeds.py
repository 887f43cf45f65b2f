"""The feeds' contract, run over each door; and what only one of the wires does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_ctct.backends.base import BaseBackend, Gate
from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.backends.memory import MemoryBackend
from django_ctct.sandbox import Account, RunningSandbox, Switches, serve
from django_ctct.sandbox.acts import act, reset
from django_ctct.types import ContactStatus, Verb

from .builders import permit
from .doors import OTHERWISE, OTHERWISE_V3, connected, with_token
from .feeds import FREE, PAID, SCENE, Door, FeedContract, sightings


class TestMemory(FeedContract):
    forgets = False
    wire = "memory"

    @pytest.fixture
    def account(self) -> Account:
        return Account()

    @pytest.fixture
    def door(self, account: Account) -> Door:
        return lambda gate: MemoryBackend({"account": account}, gate=gate)


@pytest.fixture(scope="module")
def box() -> Iterator[RunningSandbox]:
    with serve() as running:
        yield running


@pytest.fixture
def doors(box: RunningSandbox) -> Iterator[list[BaseBackend]]:
    """Collect what is opened, to close it."""
    opened: list[BaseBackend] = []
    yield opened
    for one in opened:
        one.close()


class OverHTTP(FeedContract):
    switches: dict[str, object] = {}

    @pytest.fixture
    def account(self, box: RunningSandbox) -> Iterator[Account]:
        account = box.sandbox.account
        account.reset()
        account.switch(self.switches)
        yield account
        account.switches = Switches()

    @pytest.fixture
    def door(self, box: RunningSandbox, doors: list[BaseBackend]) -> Door:
        def opened(gate: Gate | None) -> BaseBackend:
            doors.append(self.opened(box, gate))
            return doors[-1]

        return opened

    def opened(self, box: RunningSandbox, gate: Gate | None) -> BaseBackend:
        return connected(box, gate)


@pytest.mark.sandbox
class TestAtom(OverHTTP):
    pass


@pytest.mark.sandbox
class TestAtomWhereTheDocumentsLeaveDoubt(OverHTTP):
    switches = {**OTHERWISE, "page_size": 50, "updatedsince_inclusive": False}


@pytest.mark.sandbox
class TestJSON(OverHTTP):
    names_lists = True
    calls_for_nothing = 1
    crowd = 1_100
    wire = "v3"

    def opened(self, box: RunningSandbox, gate: Gate | None) -> BaseBackend:
        return with_token(box, gate)


@pytest.mark.sandbox
class TestJSONWhereTheDocumentsLeaveDoubt(TestJSON):
    switches = OTHERWISE_V3


@pytest.fixture
def v3(box: RunningSandbox) -> Iterator[JSONBackend]:
    account = box.sandbox.account
    account.switches = Switches()
    reset(account, SCENE)
    backend = with_token(box)
    yield backend
    backend.close()
    account.switches = Switches()


@pytest.mark.sandbox
@pytest.mark.parametrize(("bump", "news"), [(True, ["kim@example.com"]), (False, [])])
def test_an_opt_out_that_is_no_change_on_v3_is_found_by_its_own_date(
    box: RunningSandbox, v3: JSONBackend, bump: bool, news: list[str]
) -> None:
    account = box.sandbox.account
    account.switch({"updated_bump_on_opt_out": bump})
    account.clock.advance(60)
    since = account.clock.now()
    act(account, {"do": "unsubscribe", "email": "kim@example.com"})
    assert [one.email for one in sightings(v3.changes(since))] == news
    (out,) = sightings(v3.opt_outs(since))
    assert (out.email, out.status) == ("kim@example.com", ContactStatus.DO_NOT_MAIL)
    assert out.opted_out_at is not None
    assert abs((out.opted_out_at - since).total_seconds()) < 5


@pytest.mark.sandbox
@pytest.mark.parametrize(("bump", "news"), [(True, ["kim@example.com"]), (False, [])])
def test_a_change_of_lists_that_is_no_change_on_v3_is_found_by_a_walk(
    box: RunningSandbox, v3: JSONBackend, bump: bool, news: list[str]
) -> None:
    account = box.sandbox.account
    account.switch({"updated_bump_on_list_change": bump})
    ids = {one.name: one.remote_id for one in v3.lists()}
    account.clock.advance(60)
    since = account.clock.now()
    kim = v3.find("kim@example.com")
    assert kim is not None
    v3.update(kim, permit(Verb.UPDATE, kim.email, [ids[PAID]]))
    assert [one.email for one in sightings(v3.changes(since))] == news
    (met,) = [one for one in sightings(v3.walk([])) if one.email == "kim@example.com"]
    assert (met.lists, ids[FREE] in (met.lists or ())) == (frozenset({ids[PAID]}), False)
