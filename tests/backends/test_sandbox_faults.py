"""v1 over HTTP to a sandbox that has been told to fail: what the wire says, and what became of the write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from django_ctct.backends.atom_v1 import AtomBackend
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
from django_ctct.types import ContactStatus, RemoteContact, Verb

from .builders import permit

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with serve() as running:
        yield running


class Box:
    """The sandbox with one contact on one list, driven by its JSON controls."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.post("reset", lists=["Free"], contacts=[{"email": "kim@example.com", "lists": ["Free"]}])
        options = {"username": "acme", "api_key": "sandbox-key", "password": "sandbox-password", "base_url": url}
        self.backend = AtomBackend(options)

    def post(self, control: str, **told: Any) -> None:
        answered = requests.post(f"{self.url}/_sandbox/{control}", json=told, timeout=5)
        assert answered.ok, answered.text

    def fault(self, match: str, kind: str, **told: Any) -> None:
        self.post("faults", match=match, kind=kind, times=1, **told)

    def read(self) -> RemoteContact:
        found = self.backend.find("kim@example.com")
        assert found is not None
        return found


@pytest.fixture
def box(running: RunningSandbox) -> Iterator[Box]:
    usual = running.account.switches
    box = Box(running.url)
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
    box.fault("GET */contacts/*", kind, **told)
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
            box.backend.create(permit(Verb.CREATE, email, ["1"]))
        except RemoteError as error:
            assert isinstance(error, AmbiguousWrite)  # noqa: PT017


def ask_often(box: Box) -> None:
    for _ in range(5):
        box.backend.get("1")


@pytest.mark.parametrize("shape", ["403_mashery", "429"])
def test_limits_are_told_apart_from_refusals(box: Box, shape: str) -> None:
    box.post("switches", rate_limit=True, over_limit=shape, calls_per_second=1, calls_per_day=1000)
    with pytest.raises(RateLimited):
        ask_often(box)
    box.post("switches", calls_per_second=1000, calls_per_day=1)
    with pytest.raises(QuotaExhausted if shape == "403_mashery" else RateLimited):
        ask_often(box)
    box.post("switches", rate_limit=False)


def test_a_tag_guards_against_a_change_in_between(box: Box) -> None:
    box.post("switches", etag=True)
    kim = box.read()
    box.backend.update(kim, permit(lists=["1"], fields={"city": "Bonn"}))
    with pytest.raises(RemoteConflict):
        box.backend.update(kim, permit())
    assert box.read().status is ContactStatus.ACTIVE


@pytest.mark.parametrize("scheme", ["http", "https", "none"])
def test_a_created_contact_is_known_whatever_location_says(box: Box, scheme: str) -> None:
    box.post("switches", location_scheme=scheme)
    assert box.backend.create(permit(Verb.CREATE, "new@example.com", ["1"])).remote_id == "2"


@pytest.mark.parametrize("refusal", ["403", "400"])
def test_an_opted_out_contact_is_refused_in_either_way(box: Box, refusal: str) -> None:
    box.post("switches", dnm_refusal=refusal)
    box.backend.opt_out(box.read(), permit(Verb.OPT_OUT))
    with pytest.raises(RequestRejected):
        box.backend.update(box.read(), permit(lists=["1"]))
    assert box.read().status is ContactStatus.DO_NOT_MAIL


def test_put_bodies_carry_the_source_that_the_empty_lists_need(box: Box) -> None:
    box.post("switches", empty_lists_need_optin=True, put_omitted="clear")
    before = box.read()
    box.backend.update(before, permit())
    after = box.read()
    assert (after.status, after.fields) == (ContactStatus.REMOVED, before.fields)
