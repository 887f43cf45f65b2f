"""``ctct_drain``: do the worker's work here, once or for good: for cron, for systemd, and without a broker.

A loop also asks every few minutes what has happened at Constant Contact, as beat's pull does.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.db import close_old_connections

from ... import outbox
from ...drain import drain
from ...exceptions import CopyDetected
from ...models import Account
from ...pull import EVERY, pull
from ...services import Result, connect
from ..account_command import AccountCommand

#: How often a loop looks for new work (seconds). A look is one small read of an index.
POLL = 2.0


class Command(AccountCommand):
    help = "Bring due contacts to Constant Contact. Exit code 1: something failed, or the account is paused."
    #: A stop is noticed at the latest after so much more work (seconds).
    slice: ClassVar[float] = 5.0

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--loop", action="store_true", help="go on until SIGTERM or SIGINT")
        parser.add_argument("--seconds", type=float, metavar="N", help="stop after N seconds at the latest")

    def carry_out(self, options: dict[str, Any]) -> int:
        seconds = options["seconds"] if options["seconds"] is not None else float("inf")
        self._alias, self._deadline = options["account"], time.monotonic() + seconds
        self._done, self._failed, self._paused = 0, 0, ""
        with _stop_signals() as self._stop, self.progress("contacts") as self._advance:
            if options["loop"]:
                self._drain_for_good()
            else:
                self._drain_once()
        self._report()
        return 0 if options["loop"] else int(bool(self._failed or self._paused))

    def _drain_once(self) -> None:
        """Work in slices, so that a signal need not wait for all of it."""
        while not self._ended():
            self._drain_slice()
            if not self._can_go_on():
                return

    def _drain_for_good(self) -> None:
        next_pull = 0.0
        while not self._ended():
            if time.monotonic() >= next_pull:
                self._pull()
                next_pull = time.monotonic() + EVERY
            self._drain_slice()
            close_old_connections()
            if not self._can_go_on():
                self._wait()

    def _pull(self) -> None:
        with suppress(CopyDetected), connect(self._alias) as link:
            pull(link, seconds=self.slice)

    def _drain_slice(self) -> None:
        outcome = drain(self._alias, seconds=min(self.slice, self._deadline - time.monotonic()), watch=self._watch)
        self._done += outcome.done
        self._failed += outcome.failed
        self._paused = outcome.paused

    def _watch(self, result: Result) -> None:
        self._advance()
        if self.verbosity > 1:
            self.say(f"contact {result.contact_id}: {_outcome(result)}")

    def _can_go_on(self) -> bool:
        return not self._paused and self._anything_due()

    def _anything_due(self) -> bool:
        return bool(outbox.due(Account.objects.for_alias(self._alias).pk, limit=1))

    def _wait(self) -> None:
        """Sleep until something is due, or the end. At least one pause, so that a paused account costs little."""
        while not self._ended():
            self._stop.wait(min(POLL, max(0.0, self._deadline - time.monotonic())))
            if self._ended() or self._anything_due():
                return

    def _ended(self) -> bool:
        return self._stop.is_set() or time.monotonic() >= self._deadline

    def _report(self) -> None:
        self.say(f"{self._done} done, {self._failed} failed.")
        if self._paused:
            self.say(f"Paused: {self._paused}. What is due waits.")


def _outcome(result: Result) -> str:
    if result.error is not None:
        return getattr(result.error, "code", type(result.error).__name__)
    return type(result.plan).__name__.lower() if result.plan is not None else "left to another worker"


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turn SIGTERM and SIGINT into an event, so that the contact in hand is finished first."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Signals belong to the main thread; whoever runs us in another one stops us by --seconds.
        return
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for one, action in before.items():
            signal.signal(one, action)
