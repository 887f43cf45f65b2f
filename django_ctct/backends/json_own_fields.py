"""The account's own fields: their definitions are asked for when they matter, and remembered for a day.

Without a memory each run of a worker would ask once more, which is a third of what one change may cost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

import msgspec

from ..types import Permit
from .http import Call
from .json_document import Breach, shaped
from .json_fields import CustomFields
from .json_payload import FieldPage, FieldPayload
from .json_requests import Requests

__all__ = ["OwnFields"]

logger = logging.getLogger(__name__)

#: As many definitions as a page may have (§5).
_LIMIT = "100"
#: How long a definition is believed without being asked for (seconds). One that is missed is asked for at once.
_BELIEVED = 24 * 3600
_KEY = "custom_fields"


class OwnFields:
    """What an account calls its fields. ``memory`` is the account's: what is learned here is there the next time."""

    def __init__(self, wire: Requests, memory: MutableMapping[str, Any]) -> None:
        self._wire = wire
        self._memory = memory
        self._asked = False
        self._known: CustomFields | None = None

    @property
    def known(self) -> CustomFields:
        """Return what is known without asking."""
        if self._known is None:
            self._known = CustomFields(self._remembered())
        return self._known

    def knowing(self, *wanted: str) -> CustomFields:
        """Return the definitions, asked for where one of these names or ids is not known."""
        if not all(self.known.has(one) for one in wanted):
            self.ask_again()
        return self.known

    def ask_again(self) -> bool:
        """Ask for the definitions, once in the life of this object. Return whether that was still to be done."""
        if self._asked:
            return False
        call = Call("GET", "/contact_custom_fields")
        pages = self._wire.pages(call, "contact_custom_fields", [("limit", _LIMIT)], FieldPage)
        found = [one for _, page in pages for one in page.custom_fields]
        self._asked, self._known = True, CustomFields(found)
        self._memory[_KEY] = {"read": int(time.time()), "fields": msgspec.to_builtins(found)}
        return True

    def placed(self, permit: Permit) -> Permit:
        """Leave out what has no place in this account: an id that v3 does not know is a 400 for the whole (§5)."""
        asked = sorted(name for name in permit.fields if name.startswith("custom:"))
        if any(self.known.id_of(name) is None for name in asked):
            self.ask_again()
        unknown = [name for name in asked if self.known.id_of(name) is None]
        if unknown:
            logger.warning("the account has no custom field that takes text for %s: not sent", ", ".join(unknown))
        return replace(permit, fields={name: one for name, one in permit.fields.items() if name not in unknown})

    def mistaken(self, permit: Permit) -> bool:
        """Say, of a write that was refused, whether what was remembered may be why. Then it is not any more."""
        return any(name.startswith("custom:") for name in permit.fields) and self.ask_again()

    def _remembered(self) -> list[FieldPayload]:
        """Return what an earlier link learned: nothing where that is long ago, or not what it should be."""
        try:
            kept = self._memory[_KEY]
            if not 0 <= time.time() - kept["read"] < _BELIEVED:
                return []
            return shaped(kept["fields"], list[FieldPayload])
        except (Breach, KeyError, TypeError):
            return []
