"""One run from one seed: a few people, two or three workers, some rough minutes, and then calm ones.

The processes of the site are here; who acts on them is ``people``, and what a backup undoes is ``backup``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

from django.db import connection
from django.test import override_settings
from greenlet import getcurrent

from django_ctct import catalogue, drain, pull, services
from django_ctct.models import Account, Contact

from .backup import Backups, clear
from .mix import Mix
from .network import Weather
from .people import People
from .scheduler import Crash, Rates, Run, Scheduler
from .wires import WIRES
from .world import KEYS, UNMANAGED, Violation, World

__all__ = ["Run", "simulate"]

CALM = 900.0


def settings_of(wire: str) -> dict[str, Any]:
    backend = f"tests.simulation.wires.{WIRES[wire][0].__name__}"
    accounts = {"default": {"BACKEND": backend, "OPTIONS": {}}}
    return {"ACCOUNTS": accounts, "ADAPTERS": ["tests.site.ctct.Members"], "KICK": "off"}


def simulate(seed: int, rates: Rates | None = None, *, wire: str = "memory") -> Run:
    """Run one seed over one wire. The database's tables are emptied first."""
    site = _Site(seed, rates or Rates(), wire)
    clear()
    violation = ""
    with override_settings(CTCT=settings_of(wire)), site.clock(), connection.execute_wrapper(site.statement):
        try:
            site.play()
        except Violation as found:
            violation = str(found)
        except Exception as bug:  # noqa: BLE001 - whatever the package raises out of a worker is a finding
            violation = f"{type(bug).__name__}: {bug}"
    counts = {**site.world.counts, "crashes": site.scheduler.crashes, "pauses": site.scheduler.pauses}
    return Run(seed, violation, counts, tuple(site.scheduler.trace))


class _Site:
    """The site, its workers and the weather of one run."""

    def __init__(self, seed: int, rates: Rates, wire: str) -> None:
        self.random = Random(seed)
        random.seed(seed)  # the backoff's jitter
        self.mix = Mix.drawn(seed, self.random, rates)
        self.scheduler = Scheduler(self.random, self.mix.rates)
        self.scheduler.log(str(self.mix))
        self.world = World(self.scheduler, wire)
        self.sleeping: list[Any] = []
        self.living: list[Any] = []
        self.people = People(self.scheduler, self.world, self.mix, self._kick)
        self.backups = Backups(self.scheduler, self.world, self.stop)
        self.scheduler.stir = self.people.react
        Weather.world = self.world

    def stop(self) -> None:
        """Kill every process of the site: each comes up again some seconds later."""
        self.sleeping.clear()
        for one in list(self.living):
            one.throw(Crash)

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Put the database on simulated time, by the one SQL function that it reads the clock with."""
        connection.ensure_connection()

        def strftime(_format: str, _moment: str) -> str:
            return self.scheduler.now().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]

        connection.connection.create_function("STRFTIME", 2, strftime)
        try:
            yield
        finally:
            connection.close() if not connection.in_atomic_block and not connection.is_in_memory_db() else None

    def statement(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """Take a step before each statement outside a transaction; inside one, only death comes."""
        if getcurrent() is not self.scheduler._main and self.scheduler._main is not None:
            if not connection.in_atomic_block:
                self.scheduler.step("sql")
            elif not self.scheduler.calm and self.random.random() < self.scheduler.rates.crash / 2:
                self.scheduler.crashes += 1
                self.scheduler.log("crash in a transaction")
                raise Crash
        return execute(sql, params, many, context)

    def play(self) -> None:
        self._bind()
        if self.mix.settled:
            self._settle()
        rough = self.mix.rough
        for _ in range(self.mix.workers):
            self._start(self._worker)
        self._start(self._puller, self.random.random() * 120)
        if self.mix.backup:
            self.scheduler.after(self.random.random() * rough, self._back_up)
        self.scheduler.after(60, self._sweep)
        self.scheduler.after(self.random.random() * self.mix.read_plan, self.people.read_plan)
        for email in self.mix.people:
            if self.random.random() < self.mix.members:
                self.scheduler.after(self.random.random() * 10, partial(self.people.save, email))
        for moment in self.mix.moments:
            self.scheduler.after(moment, self.people.something)
        self.scheduler.run(rough)
        self.scheduler.calm = True
        self.scheduler.log("calm")
        self.scheduler.after(CALM / 3 - 60, lambda: self._start(self._pull))
        self.scheduler.after(CALM / 3 - 30, self.people.somebody_leaves_unseen)
        self.scheduler.after(CALM / 3, self._walk_all)
        self.scheduler.run(rough + CALM)
        self.world.check_end()

    def _walk_all(self) -> None:
        """Ask for a full pull, as beat does once a day: what people did over there sends no message."""
        self.world.check_truth()
        pull.begin_walk(Account.objects.get())
        self._start(self._pull_on)

    def _bind(self) -> None:
        """Come to an account that may have people of its own: then its plan has to be read first."""
        account = Account.objects.for_alias("default")
        Account.objects.update(approved_at=None, pulled_at=None)
        for key in KEYS:
            catalogue.bind_list(account, key, self.world.ids[key])
        for email in self.mix.people:
            if self.random.random() < self.mix.known:
                names = self.random.sample((*KEYS, *UNMANAGED), self.random.randint(1, 2))
                self.world.existing(email, frozenset(self.world.numbers[name] for name in names))

    def _settle(self) -> None:
        """Read the account for the first time, and approve the plan, before anything happens."""
        self.scheduler.calm = True
        self._pull()
        self.people.approve()
        self.scheduler.calm = False

    def _back_up(self) -> None:
        """Keep a copy of the database, and put it back some time later."""
        later = self.random.random() * (self.mix.rough - self.scheduler.seconds)
        copy = self.backups.take()
        self.scheduler.after(later, lambda: self.backups.put_back(copy, self.people))

    # Workers

    def _start(self, work: Callable[[], None], delay: float = 0.0) -> None:
        """Start a process that comes up again when it was killed.

        A new process has a new connection: whatever the old one held is gone.
        """

        def live() -> None:
            self.living.append(getcurrent())
            try:
                work()
            except Crash:
                self._start(work, 1 + self.random.random() * 20)
            finally:
                self.living.remove(getcurrent())

        self.scheduler.spawn(live, delay)

    def _worker(self) -> None:
        while True:
            drain.drain("default", seconds=3600)
            self.sleeping.append(getcurrent())
            self.scheduler._main.switch()

    def _puller(self) -> None:
        while not self.scheduler.calm:  # then a full pull comes, and asks for all
            self._pull()
            self.scheduler.sleep(self.mix.pull_every * (1 + self.random.random()))

    def _pull_on(self) -> None:
        """Pull as beat does in a quarter of an hour: a walk, lists and changes each have their turn."""
        for _ in range(3):
            self._pull()
            self.scheduler.sleep(30)

    def _pull(self) -> None:
        with services.connect("default") as link:
            if pull.pull(link, seconds=3600).again:
                self.scheduler.after(0, self._hint)

    # Hints

    def _hint(self) -> None:
        """A message reaches a worker that is idle; a busy one will look again by itself, or the sweep comes."""
        if self.sleeping:
            self.sleeping.pop(self.random.randrange(len(self.sleeping))).switch()

    def _sweep(self) -> None:
        """Look for work every so often, as beat does once a minute and a drain in a loop all the time."""
        self.scheduler.after(60 if self.scheduler.calm else self.mix.sweep_every, self._sweep)
        if Contact.objects.filter(due_at__lte=self.scheduler.now()).exists() or self.random.random() < 0.1:
            self._hint()

    def _kick(self) -> None:
        """Hint at a change that was committed, if the hint is not lost."""
        self.world.count("changes")
        if self.scheduler.calm or self.random.random() >= self.scheduler.rates.lost_hint:
            self.scheduler.after(self.random.random() * 0.5, self._hint)
