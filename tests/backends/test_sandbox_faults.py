"""Both wires over HTTP to a sandbox that has been told to fail: what each says, and what became of the write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.backends.base import BaseBackend
from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.exceptions import (
    AmbiguousWrite,
    MalformedResponse,
    QuotaExhausted,
    RateLimited,
    RemoteConflict,
    RemoteError,
    RemoteUnavailable,
    RequestRejected,
)
from django_ctct.sandbox import RunningSandbox, serve
from django_ctct.types import Collection, ContactStatus, RemoteContact, Verb

from .builders import permit

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with serve() as running:
        yield running


class Box:
    """The sandbox with one contact on one list, driven by its JSON controls; spoken to over one wire."""

    def __init__(self, url: str, wire: str) -> None:
        self.url = url
        self.post("reset", lists=["Free"], contacts=[{"email": "kim@example.com", "lists": ["Free"]}])
        self.backend: BaseBackend = v3(url) if wire == "v3" else v1(url)
        (self.free,) = [one.remote_id for one in self.backend.lists()]

    def post(self, control: str, **told: Any) -> None:
        answered = requests.post(f"{self.url}/_sandbox/{control}", json=told, timeout=5)
        assert answered.ok, answered.text

    def fault(self, match: str, kind: str, **told: Any) -> None:
        self.post("faults", match=match, kind=kind, times=1, **told)

    def read(self) -> RemoteContact:
        found = self.backend.find("kim@example.com")
        assert found is not None
        return found


def v1(url: str) -> AtomBackend:
    options = {"username": "acme", "api_key": "sandbox-key", "password": "sandbox-password", "base_url": url}
    return AtomBackend(options)


def v3(url: str) -> JSONBackend:
    backend = JSONBackend({"access_token": "sandbox-token", "base_url": url})
    backend.activity_waits = (0, 0.01, 0.05)
    return backend


only_v1 = pytest.mark.parametrize("wire", ["v1"])
only_v3 = pytest.mark.parametrize("wire", ["v3"])


@pytest.fixture(params=["v1", "v3"])
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def box(running: RunningSandbox, wire: str) -> Iterator[Box]:
    usual = running.account.switches
    box = Box(running.url, wire)
    yield box
    box.backend.close()
    running.account.switch(usual.as_dict())


@pytest.mark.parametrize(
    ("kind", "told", "error"),
    [
        ("status", {"status": 503}, RemoteUnavailable),
        ("status", {"status": 429, "headers": {"Retry-After": "9"}}, RateLimited),
        ("reset", {}, RemoteUnavailable),
        ("truncate", {}, RemoteUnavailable),
        ("garbage", {}, RemoteUnavailable),
        ("redirect", {}, MalformedResponse),
        ("gzip_bomb", {}, RemoteUnavailable),
        ("xml_bomb", {}, (MalformedResponse, RemoteUnavailable)),
    ],
)
def test_a_read_that_fails_is_read_again(box: Box, kind: str, told: dict[str, Any], error: Any) -> None:
    box.fault("GET */contacts*", kind, **told)
    with pytest.raises(error):
        box.read()
    assert box.read().status is ContactStatus.ACTIVE


@pytest.mark.parametrize(
    ("kind", "told", "error"),
    [
        ("status", {"status": 503}, AmbiguousWrite),
        ("status", {"status": 401}, RemoteError),
        ("reset", {}, AmbiguousWrite),
        ("garbage", {}, AmbiguousWrite),
        ("redirect", {}, MalformedResponse),
        ("gzip_bomb", {}, AmbiguousWrite),
        ("xml_bomb", {}, AmbiguousWrite),
    ],
)
def test_a_write_that_fails_is_not_called_done(
    box: Box, kind: str, told: dict[str, Any], error: type[RemoteError]
) -> None:
    kim = box.read()
    box.fault("PUT */contacts/*", kind, **told)
    with pytest.raises(error):
        box.backend.update(kim, permit())
    box.backend.update(box.read(), permit())
    assert box.read().status is ContactStatus.REMOVED


def test_a_create_whose_answer_is_garbled_is_made_or_ambiguous_and_never_failed(box: Box) -> None:
    for n, kind in enumerate(("reset", "truncate", "garbage", "gzip_bomb")):
        email = f"new{n}@example.com"
        box.fault("POST */contacts", kind)
        try:
            box.backend.create(permit(Verb.CREATE, email, [box.free]))
        except RemoteError as error:
            assert isinstance(error, AmbiguousWrite)  # noqa: PT017


def ask_often(box: Box) -> None:
    for _ in range(5):
        box.backend.get_list(box.free)


@only_v1
@pytest.mark.parametrize("shape", ["403_mashery", "429"])
def test_limits_are_told_apart_from_refusals(box: Box, shape: str) -> None:
    box.post("switches", rate_limit=True, over_limit=shape, calls_per_second=1, calls_per_day=1000)
    with pytest.raises(RateLimited):
        ask_often(box)
    box.post("switches", calls_per_second=1000, calls_per_day=1)
    with pytest.raises(QuotaExhausted if shape == "403_mashery" else RateLimited):
        ask_often(box)
    box.post("switches", rate_limit=False)


@only_v3
def test_v3s_limits_are_told_apart(box: Box) -> None:
    box.post("switches", rate_limit=True, calls_per_second=1, calls_per_day=1000)
    with pytest.raises(RateLimited):
        ask_often(box)
    box.post("switches", calls_per_second=1000, calls_per_day=1)
    with pytest.raises(QuotaExhausted):
        ask_often(box)
    box.post("switches", rate_limit=False)


@only_v1
def test_a_tag_guards_against_a_change_in_between(box: Box) -> None:
    box.post("switches", etag=True)
    kim = box.read()
    box.backend.update(kim, permit(lists=[box.free], fields={"city": "Bonn"}))
    with pytest.raises(RemoteConflict):
        box.backend.update(kim, permit())
    assert box.read().status is ContactStatus.ACTIVE


@only_v1
@pytest.mark.parametrize("scheme", ["http", "https", "none"])
def test_a_created_contact_is_known_whatever_location_says(box: Box, scheme: str) -> None:
    box.post("switches", location_scheme=scheme)
    assert box.backend.create(permit(Verb.CREATE, "new@example.com", ["1"])).remote_id == "2"


@only_v1
@pytest.mark.parametrize("refusal", ["403", "400"])
def test_an_opted_out_contact_is_refused_in_either_way(box: Box, refusal: str) -> None:
    box.post("switches", dnm_refusal=refusal)
    box.backend.opt_out(box.read(), permit(Verb.OPT_OUT))
    with pytest.raises(RequestRejected):
        box.backend.update(box.read(), permit(lists=[box.free]))
    assert box.read().status is ContactStatus.DO_NOT_MAIL


@only_v1
def test_put_bodies_carry_the_source_that_the_empty_lists_need(box: Box) -> None:
    box.post("switches", empty_lists_need_optin=True, put_omitted="clear")
    before = box.read()
    box.backend.update(before, permit())
    after = box.read()
    assert (after.status, after.fields) == (ContactStatus.REMOVED, before.fields)


# v3 alone


@only_v3
@pytest.mark.parametrize("refusal", ["400", "403", "ignore"])
def test_an_opt_out_between_reading_and_writing_is_not_undone(box: Box, refusal: str) -> None:
    """The document says implicit, as it was read; the server knows better, whatever it answers (§2.8)."""
    box.post("switches", resubscribe_by_account=refusal)
    kim = box.read()
    box.post("act", email="kim@example.com", do="unsubscribe")
    try:
        box.backend.update(kim, permit(lists=[box.free], fields={"city": "Bonn"}))
    except RemoteError as error:
        assert refusal != "ignore", error  # noqa: PT017
    assert box.read().status is ContactStatus.DO_NOT_MAIL


@only_v3
@pytest.mark.parametrize("arrays", ["keep", "null"])
@pytest.mark.parametrize("empty", ["accept", "400"])
def test_leaving_the_last_list_keeps_all_else_in_either_way(box: Box, arrays: str, empty: str) -> None:
    box.post("switches", put_omitted_arrays=arrays, empty_lists_put_v3=empty, activity_delay=0)
    box.backend.update(box.read(), permit(lists=[box.free], fields={"home_phone": "1", "city": "Bonn"}))
    before = box.read()
    box.backend.update(before, permit(fields={"city": "Köln", "last_name": "Lee"}))
    after = box.read()
    assert (after.status, after.fields) == (
        ContactStatus.REMOVED,
        {**before.fields, "city": "Köln", "last_name": "Lee"},
    )


@only_v3
def test_an_activity_that_takes_its_time_is_ambiguous_and_lands(box: Box) -> None:
    box.post("switches", empty_lists_put_v3="400", activity_delay=60)
    with pytest.raises(AmbiguousWrite) as caught:
        box.backend.update(box.read(), permit())
    assert caught.value.code == "activity_open"
    box.post("clock", advance=61)
    assert box.read().status is ContactStatus.REMOVED


@only_v3
@pytest.mark.parametrize("outcome", ["failed", "cancelled", "timed_out"])
def test_an_activity_that_ends_badly_is_refused(box: Box, outcome: str) -> None:
    box.post("switches", empty_lists_put_v3="400", activity_outcome=outcome)
    with pytest.raises(RequestRejected) as caught:
        box.backend.update(box.read(), permit())
    assert caught.value.code == "activity_failed"
    assert box.read().status is ContactStatus.ACTIVE


@only_v3
def test_a_full_queue_of_activities_is_for_later(box: Box) -> None:
    box.post("switches", empty_lists_put_v3="400", activity_queue=1, activity_delay=60)
    with pytest.raises(AmbiguousWrite):
        box.backend.update(box.read(), permit())
    with pytest.raises((RateLimited, RemoteUnavailable)):
        box.backend.update(box.read(), permit())
    assert box.read().status is ContactStatus.ACTIVE


@only_v3
def test_a_deleted_contact_returns_with_a_list(box: Box) -> None:
    headers = {"Authorization": "Bearer sandbox-token"}
    kim = box.read()
    gone = requests.delete(f"{box.url}/v3/contacts/{kim.remote_id}", headers=headers, timeout=5)
    assert gone.status_code == 204
    deleted = box.read()
    assert (deleted.status, dict(deleted.lists)) == (ContactStatus.REMOVED, {})
    box.backend.update(deleted, permit())
    assert box.read().status is ContactStatus.REMOVED
    box.backend.update(deleted, permit(lists=[box.free]))
    assert box.read().status is ContactStatus.ACTIVE


@only_v3
def test_an_opt_out_of_a_deleted_contact_is_done_or_refused_and_revives_nobody(box: Box) -> None:
    headers = {"Authorization": "Bearer sandbox-token"}
    requests.delete(f"{box.url}/v3/contacts/{box.read().remote_id}", headers=headers, timeout=5)
    try:
        box.backend.opt_out(box.read(), permit(Verb.OPT_OUT))
    except RequestRejected:
        assert box.read().status is ContactStatus.REMOVED
    else:
        assert box.read().status is ContactStatus.DO_NOT_MAIL


@only_v3
def test_an_upgrade_is_one_reading_and_one_put(box: Box) -> None:
    plus = box.backend.create_list("Plus")
    kim = box.read()
    before = len(requests.get(f"{box.url}/_sandbox/requests", timeout=5).json()["requests"])
    found = box.backend.get(kim.remote_id)
    assert found is not None
    box.backend.update(found, permit(lists=[plus.remote_id], fields={"first_name": "Kim"}))
    after = requests.get(f"{box.url}/_sandbox/requests", timeout=5).json()["requests"][before:]
    assert [one["method"] for one in after if one["path"].startswith("/v3")] == ["GET", "PUT"]


@only_v3
def test_a_token_that_expired_is_replaced_once(box: Box) -> None:
    class Store:
        def current(self) -> str:
            return "expired-token"

        def instead_of(self, refused: str) -> str:
            assert refused == "expired-token"
            return "sandbox-token"

    backend = JSONBackend({"client_id": "sandbox-client", "base_url": box.url}, tokens=Store())
    assert backend.find("kim@example.com") is not None
    made = backend.create(permit(Verb.CREATE, "new@example.com", [box.free]))
    assert backend.get(made.remote_id) is not None
    backend.close()


@only_v3
def test_the_ids_of_v1_are_known_to_v3(box: Box) -> None:
    old = v1(box.url)
    (listed,), known = old.lists(), old.find("kim@example.com")
    assert known is not None
    assert box.backend.new_ids(Collection.LISTS, [listed.remote_id]) == {listed.remote_id: box.free}
    assert box.backend.new_ids(Collection.CONTACTS, [known.remote_id]) == {known.remote_id: box.read().remote_id}
    old.close()
