"""The gate: one row per API key, so that all workers together keep Constant Contact's limits.

Calls are spaced, never bursts: at exactly 4 a second a window of one second saw 5, so the spacing is a fifth
longer than the limit asks. A worker that comes late to its slot takes another: after the machine has stood
still, all workers' slots lie in the past, and their calls would leave together. The last tenth of the day's
calls is kept for removals and opt-outs. It may import models, conf and exceptions only.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .conf import AccountSettings
from .exceptions import QuotaExhausted, RateLimited, RemoteConflict
from .models import DatabaseNow, Quota
from .types import Priority

__all__ = ["LONGEST_WAIT", "AccountGate", "key_hash"]

#: How much longer than the limit asks two calls are kept apart.
SLACK = 1.2
#: A call this late for its slot takes another one (seconds). Four spacings less this are still a second.
LATE = 0.1
#: The share of the day's calls that only removals and opt-outs may use.
RESERVE = 0.1
#: A gate that is this far behind says so instead of keeping a worker waiting (seconds).
LONGEST_WAIT = 10.0


@dataclass(slots=True)
class AccountGate:
    """What a backend asks before each request.

    ``lane`` is the urgency of the contact at hand, ``patience`` how long a call may wait for its slot (seconds),
    ``send_by`` when a permitted write has to be out (this machine's clock, seconds since the epoch): it holds for
    every request up to it, a second try with another token too.
    """

    settings: AccountSettings
    lane: Priority = Priority.RESYNC
    patience: float = LONGEST_WAIT
    send_by: float | None = None

    def acquire(self) -> None:
        """Wait for this call's slot and count it.

        Raise ``QuotaExhausted`` when the day's calls are used up for this lane, ``RateLimited`` (code ``busy``)
        when the wait for a slot is longer than ``patience``, ``RemoteConflict`` (code ``stale``) after ``send_by``.
        """
        begun, counts = time.monotonic(), True
        while not _keep(self._reserve(counts)):
            if time.monotonic() - begun > self.patience:
                raise RateLimited("This machine is too busy to keep its slots.", retry_after=1.0, code="busy")
            counts = False  # it is one call still
        self._check_time()

    def begun(self) -> None:
        """A part of the write is done: the rest of it is not held up."""
        self.send_by = None

    def _check_time(self) -> None:
        """Stop a write whose process slept after it was permitted: what it was read from has grown old."""
        if self.send_by is not None and time.time() > self.send_by:
            self.send_by = None
            raise RemoteConflict("The write waited too long to be sent.", code="stale")

    def _reserve(self, counts: bool) -> float:
        """Take the next free slot by compare-and-swap; return when it is, by this machine's monotonic clock."""
        while True:
            row, now = self._row()
            read = time.monotonic()
            slot = max(row.next_slot or now, now)
            self._check(row, now, slot)
            if self._swap(row, now, slot, counts):
                return read + (slot - now).total_seconds()

    def _row(self) -> tuple[Quota, datetime]:
        digest = key_hash(self.settings)
        row = Quota.objects.annotate(moment=DatabaseNow()).filter(key_hash=digest).first()
        if row is None:
            Quota.objects.get_or_create(key_hash=digest)
            return self._row()
        return row, row.moment

    def _check(self, row: Quota, now: datetime, slot: datetime) -> None:
        used = row.used if row.day == now.astimezone(UTC).date() else 0
        if used >= self._allowance():
            until = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)
            raise QuotaExhausted("The calls of this day are used up for changes of this urgency.", until=until)
        behind = (slot - now).total_seconds()
        if behind > self.patience:
            raise RateLimited("Too many workers wait for this account's next call.", retry_after=behind, code="busy")

    def _allowance(self) -> int:
        most = self.settings.calls_per_day
        return most if self.lane <= Priority.REMOVAL else most - int(most * RESERVE)

    def _swap(self, row: Quota, now: datetime, slot: datetime, counts: bool) -> bool:
        today = now.astimezone(UTC).date()
        spacing = timedelta(seconds=SLACK / self.settings.calls_per_second)
        unchanged = Quota.objects.filter(pk=row.pk, next_slot=row.next_slot, used=row.used, day=row.day)
        used = (row.used if row.day == today else 0) + counts
        return bool(unchanged.update(next_slot=slot + spacing, day=today, used=used))


def _keep(slot: float) -> bool:
    """Wait for a slot; return False when it is over already."""
    time.sleep(max(0.0, slot - time.monotonic()))
    return time.monotonic() - slot <= LATE


def key_hash(settings: AccountSettings) -> str:
    """Return the name under which a key's calls are counted. The limits belong to the key, not to the account."""
    options = settings.options
    key = options.get("api_key") or options.get("client_id") or options.get("access_token") or settings.alias
    return hashlib.sha256(str(key).encode()).hexdigest()
