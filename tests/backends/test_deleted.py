"""A deleted contact opts out on v3: whether she can is in doubt (v3 sheet §2.5), and she is never revived for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.exceptions import RequestRejected
from django_ctct.sandbox import Account, RunningSandbox, Switches, serve
from django_ctct.sandbox.acts import act, reset
from django_ctct.sandbox.values import Contact, Source
from django_ctct.types import ContactStatus, OptInSource, RemoteContact, Verb

from .builders import permit
from .doors import with_token

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def box() -> Iterator[RunningSandbox]:
    with serve() as running:
        yield running


@pytest.fixture
def account(box: RunningSandbox) -> Iterator[Account]:
    account = box.sandbox.account
    account.switches = Switches()
    reset(account, {"lists": ["Free"], "contacts": [{"email": "kim@example.com", "lists": ["Free"]}]})
    act(account, {"do": "delete", "email": "kim@example.com"})
    yield account
    account.switches = Switches()


@pytest.fixture
def backend(box: RunningSandbox) -> Iterator[JSONBackend]:
    backend = with_token(box)
    yield backend
    backend.close()


def kim(account: Account) -> Contact:
    found = account.find("kim@example.com")
    assert found is not None
    return found


def read(backend: JSONBackend) -> RemoteContact:
    found = backend.find("kim@example.com")
    assert found is not None
    return found


@pytest.mark.parametrize("source", list(OptInSource))
@pytest.mark.parametrize(("position", "stays"), [("stays_deleted", True), ("revives", False)])
def test_where_she_can_she_has_opted_out_and_is_on_no_list(
    account: Account, backend: JSONBackend, position: str, stays: bool, source: OptInSource
) -> None:
    account.switch({"deleted_unsubscribe": position})
    backend.opt_out(read(backend), permit(Verb.OPT_OUT, source=source))
    after = read(backend)
    assert (after.status, dict(after.lists)) == (ContactStatus.DO_NOT_MAIL, {})
    assert (kim(account).deleted is not None) is stays
    assert kim(account).memberships == {}


def test_where_she_cannot_she_stays_deleted_and_it_is_said(account: Account, backend: JSONBackend) -> None:
    before = kim(account)
    with pytest.raises(RequestRejected) as caught:
        backend.opt_out(read(backend), permit(Verb.OPT_OUT))
    assert caught.value.code == "deleted"
    assert kim(account) == before


def test_once_she_is_back_she_can_opt_out_and_the_feed_tells_that_she_is(
    account: Account, backend: JSONBackend
) -> None:
    account.clock.advance(60)
    since = account.clock.now()
    act(account, {"do": "add", "email": "kim@example.com", "list": "Free"})
    (back,) = [one for page in backend.changes(since) for one in page.sightings]
    assert back.status is ContactStatus.ACTIVE
    backend.opt_out(read(backend), permit(Verb.OPT_OUT, source=OptInSource.CONTACT))
    assert (read(backend).status, kim(account).memberships) == (ContactStatus.DO_NOT_MAIL, {})


def test_who_opted_out_before_she_was_deleted_needs_no_more(account: Account, backend: JSONBackend) -> None:
    account.opt_out(kim(account).id, Source.CONTACT)
    before = kim(account)
    backend.opt_out(read(backend), permit(Verb.OPT_OUT))
    assert kim(account) == before
