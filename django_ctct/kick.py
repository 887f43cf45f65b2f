"""The kick: tell a worker that something is due, without the request ever waiting for the broker.

A broker that refuses costs 0.6 s, one that is silent blocks for ever. So a commit only sets an event; one
daemon thread a process publishes one hint an account, and rests after a failure. Hints may be lost: the sweep
finds what is due. This room knows no Celery: what publishes is handed in.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable

__all__ = ["Kicker"]

logger = logging.getLogger(__name__)

#: After a failure nothing is published for this long (seconds).
REST = 30.0
#: How long the end of the process may wait for hints that are still to be published (seconds).
FAREWELL = 1.5


class Kicker:
    """Publish coalesced hints from a thread of its own."""

    def __init__(self, publish: Callable[[str], None]) -> None:
        self._publish = publish
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.wait, FAREWELL)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._waiting: set[str] = set()
        self._thread: threading.Thread | None = None
        self._rest_until = 0.0

    def kick(self, alias: str) -> None:
        """Ask for a hint. Returns at once and raises nothing."""
        with self._lock:
            self._waiting.add(alias)
            self._idle.clear()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="ctct-kick", daemon=True)
                self._thread.start()
        self._wake.set()

    def wait(self, seconds: float) -> bool:
        """Wait until all hints are out or given up; at most ``seconds``. Say whether they are."""
        return self._idle.wait(seconds)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                aliases, self._waiting = self._waiting, set()
            for alias in sorted(aliases):
                self.publish(alias)
            with self._lock:
                if not self._waiting:
                    self._idle.set()

    def publish(self, alias: str) -> None:
        """Publish a hint here and now, unless the broker is being left alone. Raises nothing."""
        if time.monotonic() < self._rest_until:
            return
        try:
            self._publish(alias)
        except Exception as error:  # noqa: BLE001 - whatever a broker raises, the sweep comes
            self._rest_until = time.monotonic() + REST
            logger.warning("no hint could be published (%s); the sweep will find the work", type(error).__name__)
