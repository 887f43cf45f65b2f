"""The levers for machines under ``/_sandbox/``: state, requests, reset, act, faults, switches, clock, oauth.

It exists so that tests and a site's own CI can drive the sandbox by JSON. It is not part of any wire of
Constant Contact, needs no credentials, and refuses requests that a foreign web page could have caused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from django_ctct.sandbox import acts, state
from django_ctct.sandbox.account import Account
from django_ctct.sandbox.faults import Faults, read_fault
from django_ctct.sandbox.journal import Journal
from django_ctct.sandbox.json_api import JsonApi
from django_ctct.sandbox.values import Refused
from django_ctct.sandbox.wire import Answer, Request

PREFIX = "/_sandbox/"


class Controls:
    """Answer the control requests of one sandbox; every wrong input is a 400 with a sentence."""

    def __init__(
        self, account: Account, journal: Journal, faults: Faults, landing: Callable[[], int], api: JsonApi
    ) -> None:
        self._account = account
        self._journal = journal
        self._faults = faults
        self._landing = landing
        self._api = api
        self._verbs: Mapping[tuple[str, str], Callable[[Any], object]] = {
            ("GET", "state"): lambda _: self._state(),
            ("GET", "requests"): lambda _: self._requests(),
            ("DELETE", "requests"): lambda _: self._journal.clear(),
            ("GET", "exchanges"): lambda _: self._exchanges(),
            ("POST", "reset"): self._reset,
            ("POST", "act"): self._act,
            ("GET", "faults"): lambda _: {"faults": self._faults.as_list()},
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): lambda _: self._faults.clear(),
            ("GET", "switches"): lambda _: self._account.switches.as_dict(),
            ("POST", "switches"): self._switch,
            ("GET", "clock"): lambda _: self._clock(),
            ("POST", "clock"): self._advance,
            ("GET", "oauth"): lambda _: self._api.state(),
            ("POST", "oauth"): self._api.pull,
        }

    def __call__(self, request: Request) -> Answer:
        """Answer one control request."""
        name = request.path.removeprefix(PREFIX).rstrip("/")
        verb = self._verbs.get((request.method, name))
        if verb is None:
            return self._unknown(name)
        try:
            given = _read(request) if request.method == "POST" else {}
            return _json(200, verb(given) or {"ok": True})
        except Refused as refused:
            return _json(400, {"error": refused.refusal.value})
        except ValueError as wrong:
            return _json(400, {"error": str(wrong)})

    def _unknown(self, name: str) -> Answer:
        methods = sorted(method for method, known in self._verbs if known == name)
        if methods:
            return _json(405, {"error": f"This control knows {' and '.join(methods)}."})
        names = ", ".join(sorted({known for _, known in self._verbs}))
        return _json(404, {"error": f"The controls are: {names}."})

    def _state(self) -> dict[str, Any]:
        return {**state.account_state(self._account), "landing": self._landing(), "oauth": self._api.state()}

    def _requests(self) -> dict[str, Any]:
        return {"requests": [entry.as_dict() for entry in self._journal.entries()]}

    def _exchanges(self) -> dict[str, Any]:
        """Return the requests of v3 with what they were answered, for checks of all traffic."""
        return {"exchanges": [entry.as_exchange() for entry in self._journal.entries() if entry.is_of_v3]}

    def _reset(self, given: Mapping[str, Any]) -> dict[str, Any]:
        acts.reset(self._account, given)
        self._faults.clear()
        self._journal.clear()
        return self._state()

    def _act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        acts.act(self._account, given)
        email = given.get("to") if given.get("do") == "edit" and "to" in given else given.get("email")
        with self._account.lock:
            contact = self._account.find(str(email or "").lower())
            lists = {each.id: each for each in self._account.lists()}
            return {"contact": contact and state.contact_state(contact, lists)}

    def _add_faults(self, given: Any) -> dict[str, Any]:
        wishes: list[Any] = given if isinstance(given, list) else [given]
        if not all(isinstance(wish, dict) for wish in wishes):
            raise ValueError("A fault is an object.")
        faults = [(read_fault(wish), _seed(wish)) for wish in wishes]
        for fault, seed in faults:
            self._faults.add(fault, seed)
        return {"faults": self._faults.as_list()}

    def _switch(self, given: Mapping[str, Any]) -> dict[str, bool | int | str]:
        self._account.switch(given)
        return self._account.switches.as_dict()

    def _clock(self) -> dict[str, str]:
        return {"clock": self._account.clock.now().isoformat(timespec="milliseconds")}

    def _advance(self, given: Mapping[str, Any]) -> dict[str, str]:
        seconds = given.get("advance")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise ValueError('The clock takes {"advance": seconds}.')
        self._account.clock.advance(seconds)
        return self._clock()


def _read(request: Request) -> Any:
    try:
        given = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise ValueError("The body is not JSON.") from error
    if not isinstance(given, dict) and not (isinstance(given, list) and request.path.endswith("faults")):
        raise ValueError("The body is not a JSON object.")
    return given


def _seed(wish: Mapping[str, Any]) -> int | None:
    seed = wish.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise ValueError("The seed of a fault is a whole number.")
    return seed


def _json(status: int, value: object) -> Answer:
    return Answer(status, json.dumps(value).encode(), "application/json")
