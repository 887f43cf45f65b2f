"""The other side as v3 tells it: JSON, and a token of the demo's own beside the one that the site was given."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from .constant_contact import Holding, ReadBack, Reader, Words

__all__ = ["JsonReader", "pretty"]

#: The sandbox's own, known to everybody.
_TOKEN = "sandbox-token"
_SAID_OF_THE_ADDRESS = ("permission_to_send", "opt_in_source", "opt_out_source")


class JsonReader(Reader):
    """Read one sandbox over v3."""

    words = Words(
        no_lists='"list_memberships": []',
        empty='"list_memberships": []',
        site_acts='"update_source": "Account"',
        contact_acts='"update_source": "Contact"',
        removed="on no list",
        opted_out="unsubscribed",
    )

    def __init__(self, url: str) -> None:
        super().__init__(url, f"Bearer {_TOKEN}")

    def read_back(self, holding: Holding) -> ReadBack:
        """Ask for the address: v3 leaves an unsubscribed one out unless it is asked for all."""
        query = urlencode({"email": holding.email, "status": "all", "include": "list_memberships"}, safe="@")
        path = f"/v3/contacts?{query}"
        (found,) = self._get(f"{self._url}{path}").json()["contacts"]
        return ReadBack(path, pretty(found, self.list_names(by="uuid")))

    def lists_in(self, body: str) -> str:
        return _lists(json.loads(body), {})

    def act_in(self, body: str) -> str:
        source = json.loads(body).get("update_source")
        return f'"update_source": "{source}"' if source else "(no update_source)"


def pretty(contact: dict[str, Any], names: dict[str, str]) -> str:
    """Return what a contact's document says of consent and of lists, each list with its name."""
    email = contact["email_address"]
    told = [f'  "{name}": "{email[name]}"' for name in _SAID_OF_THE_ADDRESS if name in email]
    return '"email_address": {\n' + ",\n".join(told) + "\n},\n" + _lists(contact, names)


def _lists(document: dict[str, Any], names: dict[str, str]) -> str:
    found = document.get("list_memberships")
    if found is None:
        return "(there is no list_memberships in it)"
    rows = "".join(f'  "{one}"{"," if one != found[-1] else ""}  // {names.get(one, "")}\n' for one in found)
    return '"list_memberships": [' + (f"\n{rows}" if rows else "") + "]"
