"""The limit per API key: so many calls in any second, so many in a UTC day.

It exists apart from the account's rules because it belongs to the key, not to a contact. It counts only the
calls that it lets through: a refused call costs nothing, so a client that waits is served again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from threading import Lock

from django_ctct.sandbox.switches import Switches
from django_ctct.sandbox.values import Clock


class Over(StrEnum):
    """Name the limit that was passed, in the gateway's words."""

    SECOND = "QPS"
    DAY = "RATE"


@dataclass(frozen=True, slots=True)
class Turned:
    """Say which limit turned a call away, and in how many seconds the next may come."""

    over: Over
    retry_after: int


class Gate:
    """Admit or turn away calls; safe to share between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._recent: deque[float] = deque()
        self._day: date | None = None
        self._used = 0

    def admit(self, switches: Switches) -> Turned | None:
        """Count one call, or return why it is turned away."""
        now, reading = self._clock.now(), self._clock.seconds()
        with self._lock:
            self._forget_the_past(now.date(), reading)
            turned = self._verdict(switches, now) if switches.rate_limit else None
            if turned is None:
                self._used += 1
                self._recent.append(reading)
            return turned

    def _forget_the_past(self, today: date, reading: float) -> None:
        if today != self._day:
            self._day, self._used = today, 0
        while self._recent and self._recent[0] <= reading - 1.0:
            self._recent.popleft()

    def _verdict(self, switches: Switches, now: datetime) -> Turned | None:
        if self._used >= switches.calls_per_day:
            midnight = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
            return Turned(Over.DAY, int((midnight - now).total_seconds()) + 1)
        if len(self._recent) >= switches.calls_per_second:
            return Turned(Over.SECOND, 1)
        return None

    def used_today(self) -> int:
        """Return the calls let through on the present UTC day."""
        with self._lock:
            self._forget_the_past(self._clock.now().date(), self._clock.seconds())
            return self._used

    def reset(self) -> None:
        """Forget every call."""
        with self._lock:
            self._recent.clear()
            self._used = 0
