"""The account as JSON-ready values, for the controls.

It exists apart from the acts because looking changes nothing. It shows what both wires say of a contact, and
no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.values import Contact, ContactList, OptIn


def account_state(account: Account) -> dict[str, Any]:
    """Return the whole account as JSON-ready values."""
    with account.lock:
        lists = {each.id: each for each in account.lists()}
        counts, switches = account.counts(), account.switches
        return {
            "contacts": [contact_state(contact, lists) for contact in account.contacts()],
            "lists": [
                {"id": each.id, "uuid": each.uuid, "name": each.name, "count": counts[each.id]}
                for each in account.lists()
            ],
            "quota": {
                "used": account.gate.used_today(),
                "limit": switches.calls_per_day,
                "per_second": switches.calls_per_second,
                "on": switches.rate_limit,
            },
            "clock": account.clock.now().isoformat(timespec="milliseconds"),
            "switches": switches.as_dict(),
        }


def contact_state(contact: Contact, lists: Mapping[int, ContactList]) -> dict[str, Any]:
    """Return one contact as JSON-ready values; lists sorted by name."""
    gone = contact.opt_out
    return {
        "id": contact.id,
        "uuid": contact.uuid,
        "email": contact.address,
        "status": contact.status.value,
        "permission": contact.permission_to_send.value,
        "deleted": contact.deleted and contact.deleted.isoformat(),
        "lists": sorted(lists[each].name for each in contact.memberships),
        "list_ids": sorted(contact.memberships),
        "list_uuids": sorted(lists[each].uuid for each in contact.memberships),
        "sources": {lists[each].name: opt_in.source.value for each, opt_in in contact.memberships.items()},
        "opt_in": _opt_in_state(contact.opt_in),
        "opt_out": gone and {"source": gone.source.value, "time": gone.at.isoformat(), "reason": gone.reason},
        "confirmed": contact.confirmed,
        "inserted": contact.inserted.isoformat(),
        "updated": contact.updated.isoformat(),
        "version": contact.version,
        "fields": {name: text for name, text in contact.fields.items() if text},
    }


def _opt_in_state(opt_in: OptIn) -> dict[str, str]:
    return {"source": opt_in.source.value, "time": opt_in.at.isoformat()}
