"""The test's hand on the sandbox, over its JSON controls, and short ways to drive the site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from django_ctct import catalogue, drain, services
from django_ctct.models import Contact, DatabaseNow
from django_ctct.sandbox import Switches
from django_ctct.services import Result

from .sandbox.v3_rules import breaches
from .settings import API

LISTS = {"free": "Free members", "sustainers": "Sustainers", "newsletter": "Newsletter"}
UNMANAGED = "Board"


@dataclass(frozen=True)
class Sandbox:
    """A sandbox by its URL. All v3 traffic is held to the sheet, also what is forgotten before the test ends."""

    url: str
    _broken: list[str] = field(default_factory=list)

    def breaches(self) -> list[str]:
        """Return what client and sandbox did against the published rules of v3 (``tests/sandbox/v3_rules.py``)."""
        self._broken.extend(breaches(self.control("exchanges", method="GET")["exchanges"]))
        return self._broken

    def control(self, name: str, body: object | None = None, method: str = "POST") -> Any:
        if name == "reset" or (name, method) == ("requests", "DELETE"):
            self.breaches()
        answer = requests.request(method, f"{self.url}/_sandbox/{name}", json=body, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def reset(self, *contacts: Mapping[str, Any]) -> None:
        """Start over with the usual lists and these contacts; no faults, no log, default switches."""
        self.control("reset", {"lists": [*LISTS.values(), UNMANAGED], "contacts": list(contacts)})
        self.control("switches", Switches().as_dict())
        self.control("requests", method="DELETE")

    def add(self, email: str, *lists: str, **fields: str) -> None:
        """Make a contact, as the account's owner would."""
        self.act(email, "create", lists=list(lists), **fields)

    def act(self, email: str, do: str, **more: Any) -> None:
        self.control("act", {"email": email, "do": do, **more})

    def fault(self, match: str, kind: str, **more: Any) -> None:
        self.control("faults", {"match": match, "kind": kind, **more})

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults that are still to happen."""
        return [one for one in self.control("faults", method="GET")["faults"] if one["left"] != 0]

    def switch(self, **switches: Any) -> None:
        self.control("switches", switches)

    def contacts(self) -> dict[str, Any]:
        return {one["email"]: one for one in self.control("state", method="GET")["contacts"]}

    def lists_of(self, email: str) -> set[str]:
        return set(self.contacts()[email]["lists"])

    def status_of(self, email: str) -> str:
        return self.contacts()[email]["status"]

    def list_id(self, name: str) -> str:
        """Return the id of a list on the wire under test."""
        found = self.control("state", method="GET")["lists"]
        return next(str(one["uuid" if API == "v3" else "id"]) for one in found if one["name"] == name)

    def requests(self) -> list[dict[str, Any]]:
        """Return the API requests since the last ``forget``."""
        return self.control("requests", method="GET")["requests"]

    def methods(self) -> list[str]:
        return [one["method"] for one in self.requests()]

    def writes(self) -> list[dict[str, Any]]:
        return [one for one in self.requests() if one["method"] != "GET"]

    def forget(self) -> None:
        """Empty the request log."""
        self.control("requests", method="DELETE")

    def point(self, ctct: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings with the default account at this sandbox."""
        account = ctct["ACCOUNTS"]["default"]
        options = {**account["OPTIONS"], "base_url": self.url}
        return {**ctct, "ACCOUNTS": {**ctct["ACCOUNTS"], "default": {**account, "OPTIONS": options}}}

    def bind(self) -> None:
        """Read the lists and bind the test site's keys."""
        with services.connect("default") as link:
            rows = {row.name: row for row in catalogue.read_lists(link)}
            for key, name in LISTS.items():
                catalogue.bind_list(link.account, key, rows[name].remote_id)
        self.forget()


def by_wire(v1: Any, v3: Any) -> Any:
    """Return what is right on the wire under test, where the two differ (docs/wires.md)."""
    return v3 if API == "v3" else v1


def with_wrong_secret(ctct: Mapping[str, Any], secret: str) -> dict[str, Any]:
    """Return the settings with credentials that nobody accepts."""
    account = ctct["ACCOUNTS"]["default"]
    options = {**account["OPTIONS"], by_wire("password", "access_token"): secret}
    return {**ctct, "ACCOUNTS": {"default": {**account, "OPTIONS": options}}}


def run_due() -> list[Result]:
    """Do what a worker does, here: reconcile all that is due."""
    results: list[Result] = []
    drain.drain("default", watch=results.append)
    return results


def make_due() -> None:
    """Let the waits of failed tries and of verify passes be over."""
    Contact.objects.filter(verify_at__isnull=False).update(verify_at=DatabaseNow())
    Contact.objects.filter(due_at__isnull=False).update(due_at=DatabaseNow())


def contact(email: str) -> Contact:
    return Contact.objects.with_state().get(email=email)
