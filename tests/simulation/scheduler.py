"""Simulated time, and workers that can be paused or killed between any two steps.

Each worker is a greenlet; the scheduler alone decides who goes on. A step is an SQL statement outside a
transaction, or a side of a network call. Killing is an exception that nothing catches: inside a transaction it
rolls back, as the end of a connection does.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from greenlet import getcurrent, greenlet

__all__ = ["Crash", "Rates", "Run", "Scheduler"]

BEGINNING = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Crash(BaseException):
    """The worker was killed here."""


@dataclass(frozen=True)
class Rates:
    """How rough the weather is, as probabilities per step or per call; ``fates`` are what may become of a call."""

    crash: float = 0.006
    pause: float = 0.01
    fault: float = 0.25
    feed_fault: float = 0.25
    lost_hint: float = 0.3
    fates: tuple[str, ...] = ()

    def scaled(self, factor: float) -> Rates:
        """Return the same weather, as many times rougher."""
        scaled = {name: getattr(self, name) * factor for name in ("crash", "pause", "fault", "feed_fault", "lost_hint")}
        return replace(self, **scaled)


@dataclass(frozen=True)
class Run:
    """How a run ended. ``violation`` is empty when all invariants held."""

    seed: int
    violation: str
    counts: dict[str, int]
    trace: tuple[str, ...]


@dataclass
class Scheduler:
    """Runs what is due, in an order that the seed decides."""

    random: Random
    rates: Rates
    seconds: float = 0.0
    skipped: timedelta = timedelta(0)
    calm: bool = False
    watched: bool = False
    crashes: int = 0
    pauses: int = 0
    trace: list[str] = field(default_factory=list)
    #: Called at each step, and after each act: whoever watches over the account looks then.
    look: Callable[[], None] = lambda: None
    #: Called when a process is killed or pauses, and when it has written: people may act in just that moment.
    stir: Callable[[], None] = lambda: None
    _queue: list[tuple[float, int, Callable[[], Any]]] = field(default_factory=list)
    _numbers: Any = field(default_factory=itertools.count)
    _main: Any = None

    def now(self) -> datetime:
        """Return the simulated moment, in whole milliseconds."""
        moment = BEGINNING + timedelta(seconds=self.seconds) + self.skipped
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def skip(self, delay: timedelta) -> None:
        """Let time pass in which no process runs: what is still to come keeps its distance."""
        self.skipped += delay
        self.log(f"{delay} pass")

    def log(self, text: str) -> None:
        self.trace.append(f"{self.seconds:9.3f} {text}")

    def after(self, delay: float, act: Callable[[], Any]) -> None:
        """Do something later."""
        heapq.heappush(self._queue, (self.seconds + delay, next(self._numbers), act))

    def spawn(self, run: Callable[[], Any], delay: float = 0.0) -> None:
        """Start a worker that ``step`` can pause and kill."""
        self.after(delay, greenlet(run, parent=self._main or getcurrent()).switch)

    def sleep(self, delay: float) -> None:
        """Let the current worker wait."""
        current = getcurrent()
        self.after(delay, current.switch)
        self._main.switch()

    @contextmanager
    def unmoved(self) -> Iterator[None]:
        """Look at the tables without taking a step: an observer takes no time, and nobody dies of him."""
        before, self.watched = self.watched, True
        try:
            yield
        finally:
            self.watched = before

    def step(self, where: str) -> None:
        """Let the current worker take a step: mostly it goes on, sometimes it is paused, or killed."""
        if self.watched:
            return
        self.look()
        self.seconds += 0.002
        if self.calm or getcurrent() is self._main:
            return
        fate = self.random.random()
        if fate < self.rates.crash:
            self.crashes += 1
            self.log(f"crash {where}")
            self.stir()
            raise Crash
        if fate < self.rates.crash + self.rates.pause:
            self.pauses += 1
            delay = self.random.choice((0.5, 5, 60, 130, 200)) * self.random.random()
            self.log(f"pause {delay:.1f} {where}")
            self.stir()
            self.sleep(delay)
        elif fate < 0.1:
            self.sleep(self.random.random() * 0.05)

    def run(self, until: float) -> None:
        """Run everything that is due before ``until`` (seconds)."""
        self._main = getcurrent()
        while self._queue and self._queue[0][0] <= until:
            moment, _number, act = heapq.heappop(self._queue)
            self.seconds = max(self.seconds, moment)
            act()
            self.look()
        self.seconds = max(self.seconds, until)
