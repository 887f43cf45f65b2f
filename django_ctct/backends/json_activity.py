"""Taking a contact off her last list where v3 does not let a PUT do it: a bulk activity for her alone.

Whether ``list_memberships: []`` is taken by a PUT is in doubt (protocol/v3-json.md §2.5); the activity is
documented (§4). It runs on its own: it is asked for, and looked at until it has ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..exceptions import AmbiguousWrite, RateLimited, RemoteError, RemoteUnavailable, RequestRejected
from ..types import RemoteContact
from .http import Call
from .json_document import Breach, Unreadable, decode, shaped
from .json_payload import Activity
from .json_requests import Requests

__all__ = ["Departure", "begun"]

_START = Call("POST", "/activities/remove_list_memberships")
_LOOK = Call("GET", "/activities/{id}")
_ENDED = frozenset({"completed", "cancelled", "failed", "timed_out"})


class Departure:
    """One contact's leave from all the lists she was read on."""

    def __init__(self, wire: Requests, contact_id: str, lists: Iterable[str]) -> None:
        self._wire = wire
        self._contact_id = contact_id
        self._lists = {one.lower() for one in lists}

    def start(self) -> None:
        """Ask for the activity. Refused is refused; taken, the write has begun."""
        body = {"source": {"contact_ids": [self._contact_id]}, "list_ids": sorted(self._lists)}
        answer = self._wire.send(_START, self._wire.url("activities", "remove_list_memberships"), body=body)
        try:
            self._activity = shaped(decode(answer.body), Activity)
        except (Breach, Unreadable):
            raise answer.error(AmbiguousWrite, "success, without saying which activity", code="no_id") from None

    def finish(self, waits: Iterable[float]) -> bool:
        """Look until it has ended, after each of ``waits`` (seconds). Say whether it is known to have done all.

        A look that fails for the moment is made again. Raise ``AmbiguousWrite`` when it is still at work after all.
        """
        for seconds in waits:
            if self._activity.state in _ENDED:
                break
            time.sleep(seconds)
            self._look()
        if self._activity.state not in _ENDED:
            raise _LOOK.error(AmbiguousWrite, "the lists are still being taken off", code="activity_open")
        return self._activity.state == "completed" and not self._activity.activity_errors

    def _look(self) -> None:
        try:
            answer = self._wire.read(_LOOK, self._wire.url("activities", self._activity.activity_id))
            self._activity = shaped(decode(answer.body), Activity)
        except (RemoteUnavailable, RateLimited, Breach, Unreadable):
            return

    def judge(self, now: RemoteContact | None) -> None:
        """Say from a reading what became of an activity that did not end well: v3 tells nothing of each row (§4)."""
        left = self._lists & set(now.lists if now else ())
        if left == self._lists:
            raise _START.error(RequestRejected, "the lists could not be taken off", code="activity_failed")
        if left:
            raise _START.error(AmbiguousWrite, "some lists could not be taken off", code="activity_partly")


@contextmanager
def begun(call: Call) -> Iterator[None]:
    """Call what fails in here ambiguous: a part of the write is done, so "nothing was applied" would be untrue."""
    try:
        yield
    except AmbiguousWrite:
        raise
    except RemoteError as error:
        reason = "a part of the write is done, the rest is not known"
        raise call.error(AmbiguousWrite, reason, code=error.code, status=error.status) from None
