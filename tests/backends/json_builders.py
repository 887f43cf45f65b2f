"""v3's answers with defaults, for made-up people at example.com. The shapes follow the protocol sheet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
import responses

from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.types import RemoteContact
from tests.sandbox.v3_rules import client_faults

V3 = "https://api.cc.email/v3"
INCLUDED = "custom_fields,list_memberships,phone_numbers,street_addresses,taggings,notes"
OPTIONS = {"access_token": "t0k.en"}


def uid(number: int, kind: str = "c") -> str:
    """Return an id to recognise: ``c`` for contacts, ``1`` lists, ``2`` tags, ``f`` own fields, ``a`` activities."""
    return f"{kind * 8}-0000-4000-8000-{number:012}"


KIM = uid(2)
FREE, PAID, NEWS = (uid(n, "1") for n in (1, 2, 3))
TIER, OLD3 = uid(1, "f"), uid(2, "f")
KIM_URL = f"{V3}/contacts/{KIM}"
ACTIVITY = uid(1, "a")

#: What a contact of tomorrow may have and no rule of today knows: it is sent back as it was read.
UNKNOWN = "engagement"


def backend(**options: Any) -> JSONBackend:
    made = JSONBackend({**OPTIONS, **options})
    made.activity_waits = (0, 0, 0)
    return made


def email(address: str = "kim@example.com", permission: str | None = "implicit", **more: Any) -> dict[str, Any]:
    return {
        "address": address,
        **({} if permission is None else {"permission_to_send": permission}),
        "created_at": "2026-04-28T21:46:22Z",
        "updated_at": "2026-04-28T21:46:22Z",
        "opt_in_source": "Account",
        "opt_in_date": "2026-04-28T21:46:22Z",
        "confirm_status": "off",
        **more,
    }


def contact(
    contact_id: str = KIM,
    address: str = "kim@example.com",
    lists: Iterable[str] | None = (FREE,),
    permission: str | None = "implicit",
    opt: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Build a contact as GET answers it with all includes. None in ``more`` is null; ``lists`` None is absent."""
    return {
        "contact_id": contact_id,
        "email_address": email(address, permission, **(opt or {})),
        "first_name": "Kim",
        "last_name": "Lee",
        "create_source": "Account",
        "update_source": "Account",
        "created_at": "2026-04-28T21:46:22Z",
        "updated_at": "2026-04-28T21:46:22Z",
        "custom_fields": [],
        **({} if lists is None else {"list_memberships": list(lists)}),
        "taggings": [],
        "notes": [],
        **more,
    }


def written(**more: Any) -> dict[str, Any]:
    """Build what a PUT says of ``contact()`` when nothing but ``more`` is changed."""
    return {
        "email_address": {"address": "kim@example.com", "permission_to_send": "implicit"},
        "first_name": "Kim",
        "last_name": "Lee",
        "update_source": "Account",
        "custom_fields": [],
        "list_memberships": [FREE],
        "taggings": [],
        "notes": [],
        **more,
    }


def page(*rows: dict[str, Any], collection: str = "contacts", next: str | None = None) -> dict[str, Any]:
    links = {"next": {"href": next}} if next is not None else None
    return {collection: list(rows), "_links": links}


def definitions(*extra: dict[str, Any], next: str | None = None) -> dict[str, Any]:
    rows = [
        {"custom_field_id": TIER, "name": "tier", "label": "Tier", "type": "string"},
        {"custom_field_id": OLD3, "name": "custom_field_3", "label": "Custom Field 3", "type": "string"},
        {"custom_field_id": uid(3, "f"), "name": "size", "label": "Size", "type": "single_select"},
    ]
    return page(*rows, *extra, collection="custom_fields", next=next)


def listed(list_id: str = FREE, name: str = "Free", **more: Any) -> dict[str, Any]:
    return {
        "list_id": list_id,
        "name": name,
        "description": "of the site",
        "favorite": True,
        "created_at": "2026-04-28T21:46:22Z",
        "updated_at": "2026-04-28T21:46:22Z",
        **more,
    }


def activity(state: str = "completed", errors: Iterable[object] = (), **more: Any) -> dict[str, Any]:
    return {"activity_id": ACTIVITY, "state": state, "activity_errors": list(errors), "percent_done": 100, **more}


def refusal(key: str = "contacts.api.validation.error", words: str = "kim@example.com is not valid") -> list[Any]:
    return [{"error_key": key, "error_message": words}]


@contextmanager
def scripted() -> Iterator[responses.RequestsMock]:
    """Answer by script. What was asked is held to the published rules; what is answered may break any."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock
        asked_for = [call.request for call in mock.calls]
    faults = [each for one in asked_for for each in client_faults(_exchange(one))]
    faults = [each for each in faults if not each.endswith(f"the member {UNKNOWN} is not published")]
    assert faults == [], faults


def _exchange(request: requests.PreparedRequest) -> dict[str, Any]:
    """Return a request as the sandbox's journal shows it."""
    return {
        "method": request.method,
        "path": request.path_url,
        "headers": {name.lower(): str(value) for name, value in request.headers.items()},
        "body": request.body.decode() if isinstance(request.body, bytes) else request.body or "",
    }


def read(wire: responses.RequestsMock, document: dict[str, Any] | None = None) -> RemoteContact:
    """Read a contact through the wire; the answer stays there for further readings."""
    wire.upsert("GET", KIM_URL, json=contact() if document is None else document)
    found = backend().get(KIM)
    assert found is not None
    return found


def sent(wire: responses.RequestsMock, place: int = -1) -> Any:
    """Return the body of a request that was made."""
    body = wire.calls[place].request.body
    assert isinstance(body, bytes)
    return json.loads(body)


def asked(wire: responses.RequestsMock) -> list[tuple[str, str]]:
    """Return what was asked for: methods and addresses without their query."""
    return [(str(call.request.method), str(call.request.url).split("?")[0]) for call in wire.calls]
