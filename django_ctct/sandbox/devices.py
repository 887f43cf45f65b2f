"""The device flow's memory: which codes were shown, who approved them, and how often a device asked.

It exists apart from ``grants`` because nothing is granted here until a person says so on a page. It knows no
HTTP. Times are of the sandbox's clock. Rules: v3 sheet §1.1, and RFC 8628 where the sheet says nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django_ctct.sandbox.account import Account

LIFE = timedelta(seconds=600)
INTERVAL = 5
"""Seconds that a device waits between two questions."""
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


class Said(StrEnum):
    """Name the answers to a device's question; all but the first are errors of the token endpoint."""

    ALLOWED = "allowed"
    PENDING = "authorization_pending"
    TOO_SOON = "slow_down"
    EXPIRED = "expired_token"
    REFUSED = "access_denied"
    UNKNOWN = "invalid_grant"


@dataclass(slots=True)
class Device:
    """Hold one device that waits; only ``Devices`` changes it."""

    user_code: str
    scopes: frozenset[str]
    ends: datetime
    said: Said = Said.PENDING
    asked: float | None = None
    interval: int = INTERVAL


class Devices:
    """Keep the devices that wait; safe to share between threads."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._clear()
        account.at_reset(self._clear)

    def _clear(self) -> None:
        self._waiting: dict[str, Device] = {}

    def begin(self, scopes: frozenset[str]) -> tuple[str, Device]:
        """Return the secret code for a device, and what a person is shown."""
        user_code = "".join(secrets.choice(_LETTERS) for _ in range(8))
        device = Device(user_code, scopes, self._account.clock.now() + LIFE)
        if self._account.switches.auto_consent:
            device.said = Said.ALLOWED
        code = secrets.token_urlsafe(32)
        with self._account.lock:
            self._waiting[code] = device
        return code, device

    def decide(self, user_code: str, *, allow: bool) -> bool:
        """Note what a person decided; tell whether such a device waits."""
        wanted = user_code.replace("-", "").strip().upper()
        with self._account.lock:
            for device in self._waiting.values():
                if device.user_code == wanted and device.said is Said.PENDING and not self._over(device):
                    device.said = Said.ALLOWED if allow else Said.REFUSED
                    return True
        return False

    def ask(self, code: str) -> tuple[Said, frozenset[str]]:
        """Answer a device; an allowed one gets its answer once."""
        with self._account.lock:
            device = self._waiting.get(code)
            if device is None:
                return Said.UNKNOWN, frozenset()
            said = self._said(device)
            if said is Said.ALLOWED:
                del self._waiting[code]
            return said, device.scopes

    def _said(self, device: Device) -> Said:
        if self._over(device):
            return Said.EXPIRED
        now, before = self._account.clock.seconds(), device.asked
        device.asked = now
        if device.said is Said.PENDING and before is not None and now - before < device.interval:
            device.interval += INTERVAL
            return Said.TOO_SOON
        return device.said

    def _over(self, device: Device) -> bool:
        return device.ends <= self._account.clock.now()
