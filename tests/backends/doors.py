"""Ways to a sandbox over each wire, and the doubts of the protocol sheets the other way round."""

from __future__ import annotations

import requests

from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.backends.base import Gate
from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.sandbox import RunningSandbox


def connected(box: RunningSandbox, gate: Gate | None = None, **options: str) -> AtomBackend:
    """Connect with key and password, or with what is given."""
    options = options or {"api_key": "sandbox-key", "password": "sandbox-password"}
    return AtomBackend({"username": "ACME", "base_url": box.url, **options}, gate=gate)


OTHERWISE = {
    "email_miss": "error",
    "page_size": 7,
    "next_href": "relative",
    "lone_name": "comma",
    "put_omitted": "keep",
    "missing_contact_lists": "reject",
    "list_check_before_duplicate": False,
    "location_scheme": "https",
    "list_put_bumps_update": True,
    "etag": True,
    "delete_source": "ACTION_BY_CONTACT",
    "list_created_body": "entry",
    "content_type": "xml",
    "error_body": "html",
    "service_document": False,
    "next_token_refusal": "404",
}


def connected_v3(box: RunningSandbox, **switches: object) -> JSONBackend:
    """Connect with the sandbox's fixed token, to an account that has a field of its own."""
    box.sandbox.account.reset()
    headers = {"Authorization": "Bearer sandbox-token"}
    field = {"label": "tier", "type": "string"}
    made = requests.post(f"{box.url}/v3/contact_custom_fields", json=field, headers=headers, timeout=5)
    assert (made.status_code, made.json()["name"]) == (201, "tier"), made.text
    box.sandbox.account.switch(switches)
    return with_token(box)


def with_token(box: RunningSandbox, gate: Gate | None = None) -> JSONBackend:
    """Connect with the sandbox's fixed token."""
    return JSONBackend({"base_url": box.url, "access_token": "sandbox-token"}, gate=gate)


OTHERWISE_V3: dict[str, object] = {
    "default_status": "active",
    "lists_filter": "all",
    "email_case": "kept",
    "cursor_extras": "ignore",
    "last_page_links": "empty",
    "put_omitted_arrays": "null",
    "put_omitted_email": "400",
    "empty_lists_put_v3": "400",
    "read_only_keys": "400",
    "updated_bump_on_list_change": False,
    "unsubscribed_keeps_lists": True,
    "resubscribe_by_account": "ignore",
    "page_size": 7,
    "next_token_refusal": "404",
    "taken_words": "not_unique",
}
