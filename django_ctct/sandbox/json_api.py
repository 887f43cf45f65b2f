"""The parts of v3 put together over one account: the API's door, the OAuth server, the queue.

It exists so that the server has one thing to hold for the new wire. It decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django_ctct.sandbox import json_door, oauth
from django_ctct.sandbox.account import Account
from django_ctct.sandbox.activities import Activities
from django_ctct.sandbox.catalogue import Catalogue
from django_ctct.sandbox.devices import Devices
from django_ctct.sandbox.grants import SCOPES, Consent, Grants
from django_ctct.sandbox.imports import Importer
from django_ctct.sandbox.json_activities import ActivitiesDoor
from django_ctct.sandbox.json_catalogue import CatalogueDoor
from django_ctct.sandbox.json_contacts import ContactsDoor
from django_ctct.sandbox.json_door import JsonDoor
from django_ctct.sandbox.json_lists import ListsDoor
from django_ctct.sandbox.oauth import OAuthDoor
from django_ctct.sandbox.oauth_pages import Registered, oauth_pages
from django_ctct.sandbox.people import People
from django_ctct.sandbox.wire import Door

_URI = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(/[!-~]*)?")


class JsonApi:
    """Hold v3 over one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.grants = Grants(account)
        self.devices = Devices(account)
        self.registered = Registered(account)
        self.activities = Activities(account)
        catalogue = Catalogue(account)
        people = People(account, catalogue)
        contacts = ContactsDoor(account, catalogue, people)
        importer = Importer(account, catalogue, people)
        activities = ActivitiesDoor(account, self.activities, people, contacts, importer)
        lists = ListsDoor(account, activities.delete_list)
        of_account = json_door.account_routes(account)
        parts = (contacts, lists, activities, CatalogueDoor(account, catalogue))
        routes = (*of_account, *(route for part in parts for route in part.routes()))
        self._door = JsonDoor(account, self.grants, routes)
        pages = oauth_pages(account, self.grants, self.devices, self.registered)
        self._oauth = OAuthDoor(account, self.grants, self.devices, pages)

    def doors(self) -> tuple[tuple[str, Door], ...]:
        """Return the doors with the starts of their paths."""
        return ((json_door.PREFIX, self._door), (oauth.PREFIX, self._oauth))

    # Levers for the controls

    def state(self) -> dict[str, Any]:
        """Return what the controls show of the OAuth server: counts, never a token."""
        uris = self.registered.uris
        return {
            "token_calls": self._oauth.token_calls,
            **self.grants.state(),
            "redirect_uris": "any http URI of this machine" if uris is None else list(uris),
        }

    def pull(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Pull the levers of the OAuth server; raise ``ValueError`` with a sentence for a wrong one."""
        if strange := sorted(set(given) - {"expire", "revoke", "redirect_uris", "grant", "device", "allow"}):
            raise ValueError(f"There is no lever {strange[0]!r}.")
        uris = _uris(given["redirect_uris"]) if "redirect_uris" in given else self.registered.uris
        scopes = _scopes(given["grant"]) if "grant" in given else None
        self.registered.uris = uris
        if given.get("expire") is True:
            self.grants.expire_access_tokens()
        if given.get("revoke") is True:
            self.grants.revoke()
        if "device" in given and not self.devices.decide(str(given["device"]), allow=given.get("allow") is not False):
            raise ValueError("No device waits with this code.")
        tokens = (
            {} if scopes is None else {"tokens": self.grants.grant(Consent(scopes, False, "offline_access" in scopes))}
        )
        return {**self.state(), **tokens}


def _uris(given: object) -> tuple[str, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(each, str) and _URI.fullmatch(each) for each in given):
        raise ValueError("The redirect_uris are a list of URIs, or null for any of this machine.")
    return tuple(given)


def _scopes(given: object) -> frozenset[str]:
    scopes = oauth.read_scopes(given) if isinstance(given, str) else None
    if scopes is None:
        raise ValueError(f"The grant is a text of scopes: {' '.join(sorted(SCOPES))}.")
    return scopes
