"""Canaries: no address, name, token or body in the text of any error, its context, or a log line of any level.

Each test runs for both wires.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import responses

from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.backends.base import BaseBackend
from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.exceptions import RemoteError
from django_ctct.types import RemoteContact, Verb

from . import json_builders as v3
from .builders import BASE, contact, feed, permit, summary

CANARY = "canary"
EMAIL = f"{CANARY}@example.com"


@dataclass(frozen=True)
class Wire:
    """One wire: how to connect, where it is, a contact and a list there, and the canary's own document."""

    kind: type[BaseBackend]
    options: dict[str, str]
    base: str
    contact_id: str
    list_id: str
    document: str = field(repr=False)
    collections: tuple[str, ...]
    faults: tuple[dict[str, Any], ...] = ()

    def connect(self) -> BaseBackend:
        return self.kind(self.options)

    @property
    def paths(self) -> Iterator[str]:
        yield from self.collections
        yield f"/contacts/{self.contact_id}"


V1_OPTIONS = {"username": f"{CANARY}-user", "api_key": f"{CANARY}-key", "password": f"{CANARY}-password"}
V1 = Wire(
    AtomBackend,
    V1_OPTIONS,
    BASE.replace("/acme", f"/{V1_OPTIONS['username']}"),
    "2",
    "1",
    contact(email=EMAIL).replace("/customers/acme", f"/customers/{V1_OPTIONS['username']}"),
    ("/contacts", "/lists"),
    (
        *({"status": 200, "body": body} for body in (contact(email=EMAIL), feed(summary(email=EMAIL)))),
        {"status": 200, "body": contact(email=EMAIL, status=f"<Status>{EMAIL}</Status>")},
        {"status": 200, "body": feed(summary(email=EMAIL), next=f"https://x.example.com/{EMAIL}")},
    ),
)
V3 = Wire(
    JSONBackend,
    {"access_token": f"{CANARY}-token", "client_id": f"{CANARY}-id", "client_secret": f"{CANARY}-secret"},
    v3.V3,
    v3.KIM,
    v3.FREE,
    json.dumps(v3.contact(address=EMAIL)),
    (
        *("/contacts", "/contact_lists", "/contact_custom_fields"),
        *("/activities/remove_list_memberships", f"/activities/{v3.ACTIVITY}"),
    ),
    (
        *({"status": status, "json": v3.refusal(words=EMAIL)} for status in (400, 401, 403, 409, 429)),
        *({"status": 400, "json": v3.refusal(key)} for key in (EMAIL, CANARY, f"{CANARY} api error")),
        {"status": 429, "json": {"error_key": "quota_exceeded", "error_message": EMAIL}},
        {"status": 200, "json": v3.contact(address=EMAIL)},
        {"status": 200, "json": v3.contact(address=EMAIL, permission=EMAIL)},
        {"status": 200, "json": v3.contact(address=EMAIL, lists=[EMAIL])},
        {"status": 200, "json": v3.page(v3.contact(address=EMAIL), next=f"https://x.example.com/{EMAIL}")},
        {"status": 200, "json": v3.page(v3.contact(v3.uid(3), EMAIL), v3.contact(address=EMAIL))},
        {"status": 200, "json": v3.activity(EMAIL)},
        {"status": 200, "json": {EMAIL: EMAIL}},
    ),
)
WIRES = [V1, V3]

FAULTS: list[dict[str, Any]] = [
    *({"status": status, "body": f"Error: {EMAIL}"} for status in (301, 400, 401, 403, 404, 409, 412, 429, 500, 503)),
    {"status": 403, "body": f"Developer Over Rate {EMAIL}"},
    {"status": 403, "body": f"Developer Over Qps {EMAIL}"},
    {"status": 500, "headers": {"X-Request-Id": EMAIL}},
    {"status": 302, "headers": {"Location": f"https://x.example.com/{EMAIL}"}},
    {"status": 200, "body": EMAIL},
    *({"body": kind(f"GET https://api.example.com/contacts?email={EMAIL}")} for kind in (
        requests.ConnectionError, requests.ReadTimeout, requests.ConnectTimeout, requests.exceptions.SSLError,
        requests.exceptions.InvalidURL, requests.exceptions.ChunkedEncodingError, OSError, ValueError,
    )),
]  # fmt: skip


CASES = [(wire, fault) for wire in WIRES for fault in (*FAULTS, *wire.faults)]
NAMES = [f"{wire.kind.__name__}-{n}" for n, (wire, _) in enumerate(CASES)]


def kim_of(own: Wire) -> RemoteContact:
    with responses.RequestsMock() as wire:
        wire.get(f"{own.base}/contacts/{own.contact_id}", body=own.document)
        found = own.connect().get(own.contact_id)
    assert found is not None
    return found


def verbs(own: Wire, backend: BaseBackend, kim: RemoteContact) -> Iterator[Callable[[], object]]:
    fields = {"first_name": f"{CANARY}-name", "custom:7": f"{CANARY}-value"}
    yield lambda: backend.find(EMAIL)
    yield lambda: backend.get(own.contact_id)
    yield lambda: backend.create(permit(Verb.CREATE, EMAIL, [own.list_id], fields=fields))
    yield lambda: backend.update(kim, permit(email=EMAIL, lists=[own.list_id], fields=fields))
    yield lambda: backend.update(kim, permit(email=EMAIL))
    yield lambda: backend.opt_out(kim, permit(Verb.OPT_OUT, EMAIL))
    yield lambda: list(backend.contacts())
    yield lambda: backend.create_list(f"{CANARY}-list")
    yield lambda: backend.update(kim, permit(email=f"{CANARY} @example.com"))


@pytest.mark.parametrize(("own", "fault"), CASES, ids=NAMES)
def test_no_fault_sings(own: Wire, fault: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    backend, kim = own.connect(), kim_of(own)
    for act in verbs(own, backend, kim):
        with responses.RequestsMock(assert_all_requests_are_fired=False) as wire, caplog.at_level(logging.DEBUG):
            for method in ("GET", "POST", "PUT", "DELETE"):
                for path in own.paths:
                    wire.add(method, own.base + path, **fault)
            try:
                act()
            except RemoteError as error:
                told = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
                # The traceback shows source lines, and this file's own hold the word.
                told = told.replace("EMAIL", "")
                lines = [line for line in told.splitlines() if not line.strip().startswith(("yield", "File"))]
                assert CANARY not in "\n".join(lines)
    assert CANARY not in caplog.text


@pytest.mark.parametrize("own", WIRES, ids=["v1", "v3"])
def test_nothing_of_the_backend_shows_its_credentials(own: Wire) -> None:
    backend = own.connect()
    shown = repr(backend) + "".join(repr(one) for name, one in vars(backend).items() if name in ("_http", "_wire"))
    assert CANARY not in shown + repr(vars(vars(backend).get("_wire", backend)).get("_bearer"))


@pytest.mark.parametrize("own", WIRES, ids=["v1", "v3"])
def test_an_answer_shows_neither_its_address_nor_its_body(own: Wire) -> None:
    assert CANARY not in repr(kim_of(own).document)
