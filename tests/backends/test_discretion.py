"""Canaries: no address, name, token or body in the text of any error, its context, or a log line of any level."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import responses

from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.exceptions import RemoteError
from django_ctct.types import RemoteContact, Verb

from .builders import BASE, contact, feed, permit, summary

CANARY = "canary"
EMAIL = f"{CANARY}@example.com"
OPTIONS = {"username": f"{CANARY}-user", "api_key": f"{CANARY}-key", "password": f"{CANARY}-password"}
OWN = BASE.replace("/acme", f"/{OPTIONS['username']}")

FAULTS: list[dict[str, Any]] = [
    *({"status": status, "body": f"Error: {EMAIL}"} for status in (301, 400, 401, 403, 404, 409, 412, 429, 500, 503)),
    {"status": 403, "body": f"Developer Over Rate {EMAIL}"},
    {"status": 403, "body": f"Developer Over Qps {EMAIL}"},
    {"status": 500, "headers": {"X-Request-Id": EMAIL}},
    {"status": 302, "headers": {"Location": f"https://x.example.com/{EMAIL}"}},
    *({"status": 200, "body": body} for body in (EMAIL, contact(email=EMAIL), feed(summary(email=EMAIL)))),
    {"status": 200, "body": contact(email=EMAIL, status=f"<Status>{EMAIL}</Status>")},
    {"status": 200, "body": feed(summary(email=EMAIL), next=f"https://x.example.com/{EMAIL}")},
    *({"body": kind(f"GET {OWN}/contacts?email={EMAIL}")} for kind in (
        requests.ConnectionError, requests.ReadTimeout, requests.ConnectTimeout, requests.exceptions.SSLError,
        requests.exceptions.InvalidURL, requests.exceptions.ChunkedEncodingError, OSError, ValueError,
    )),
]  # fmt: skip


@pytest.fixture
def kim() -> RemoteContact:
    with responses.RequestsMock() as wire:
        document = contact(email=EMAIL).replace("/customers/acme", f"/customers/{OPTIONS['username']}")
        wire.get(f"{OWN}/contacts/2", body=document)
        found = AtomBackend(OPTIONS).get("2")
    assert found is not None
    return found


def verbs(backend: AtomBackend, kim: RemoteContact) -> Iterator[Callable[[], object]]:
    fields = {"first_name": f"{CANARY}-name"}
    yield lambda: backend.find(EMAIL)
    yield lambda: backend.get("2")
    yield lambda: backend.create(permit(Verb.CREATE, EMAIL, ["1"], fields=fields))
    yield lambda: backend.update(kim, permit(email=EMAIL, lists=["1"], fields=fields))
    yield lambda: backend.opt_out(kim, permit(Verb.OPT_OUT, EMAIL))
    yield lambda: list(backend.contacts())
    yield lambda: backend.create_list(f"{CANARY}-list")
    yield lambda: backend.update(kim, permit(email=f"{CANARY} @example.com"))


@pytest.mark.parametrize("fault", FAULTS, ids=range(len(FAULTS)))
def test_no_fault_sings(fault: dict[str, Any], kim: RemoteContact, caplog: pytest.LogCaptureFixture) -> None:
    backend = AtomBackend(OPTIONS)
    for act in verbs(backend, kim):
        with responses.RequestsMock(assert_all_requests_are_fired=False) as wire, caplog.at_level(logging.DEBUG):
            for method in ("GET", "POST", "PUT", "DELETE"):
                for path in ("/contacts", "/contacts/2", "/lists"):
                    wire.add(method, OWN + path, **fault)
            try:
                act()
            except RemoteError as error:
                told = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
                # The traceback shows source lines, and this file's own hold the word.
                told = told.replace("AtomBackend(OPTIONS)", "").replace("EMAIL", "")
                lines = [line for line in told.splitlines() if not line.strip().startswith(("yield", "File"))]
                assert CANARY not in "\n".join(lines)
    assert CANARY not in caplog.text


def test_nothing_of_the_backend_shows_its_credentials() -> None:
    backend = AtomBackend(OPTIONS)
    assert CANARY not in repr(backend) + repr(vars(backend)["_http"])


def test_an_answer_shows_neither_its_address_nor_its_body(kim: RemoteContact) -> None:
    assert CANARY not in repr(kim.document)
