"""One run from one seed: a few people, two or three workers, ten rough minutes, and then calm ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from random import Random
from typing import Any

from django.db import connection
from django.test import override_settings
from greenlet import getcurrent

from django_ctct import acts, catalogue, drain
from django_ctct.models import (
    Account,
    Consent,
    Contact,
    ContactList,
    DatabaseNow,
    ListOptOut,
    Membership,
    RemoteMembership,
    WriteAttempt,
)
from tests.site.models import Member

from .network import SimulatedBackend
from .scheduler import Crash, Rates, Run, Scheduler
from .world import KEYS, UNMANAGED, Violation, World

__all__ = ["Run", "simulate"]

ROUGH = 600.0
CALM = 900.0
PEOPLE = ("ada@example.com", "bob@example.com")
SETTINGS: dict[str, Any] = {
    "ACCOUNTS": {"default": {"BACKEND": "tests.simulation.network.SimulatedBackend", "OPTIONS": {}}},
    "ADAPTERS": ["tests.site.ctct.Members"],
    "KICK": "off",
}
TABLES = (WriteAttempt, Consent, ListOptOut, RemoteMembership, Membership, Contact, ContactList, Account, Member)


def simulate(seed: int, rates: Rates | None = None) -> Run:
    """Run one seed. The database's tables are emptied first."""
    _Site(seed, rates or Rates()).clear()
    site = _Site(seed, rates or Rates())
    violation = ""
    with override_settings(CTCT=SETTINGS), site.clock(), connection.execute_wrapper(site.statement):
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

    def __init__(self, seed: int, rates: Rates) -> None:
        self.random = Random(seed)
        random.seed(seed)  # the backoff's jitter
        self.scheduler = Scheduler(self.random, rates)
        self.world = World(self.scheduler)
        self.sleeping: list[Any] = []
        SimulatedBackend.world = self.world

    def clear(self) -> None:
        for table in TABLES:
            table._default_manager.all()._raw_delete("default")

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
        for _ in range(self.random.randint(2, 3)):
            self.scheduler.spawn(self._worker)
        self.scheduler.after(60, self._sweep)
        for _ in range(self.random.randint(10, 30)):
            self.scheduler.after(self.random.random() * ROUGH, self._something)
        self.scheduler.run(ROUGH)
        self.scheduler.calm = True
        self.scheduler.log("calm")
        self.scheduler.after(CALM / 3, self._look_at_all)
        self.scheduler.run(ROUGH + CALM)
        self.world.check_end()

    def _look_at_all(self) -> None:
        """Look once at everybody, as a pull does: what people did over there sends no message."""
        self.world.check_truth()
        Contact.objects.filter(hold="").update(due_at=DatabaseNow())
        self._hint()

    def _bind(self) -> None:
        account = Account.objects.for_alias("default")
        for key in KEYS:
            catalogue.bind_list(account, key, self.world.ids[key])
        for email in PEOPLE:
            if self.random.random() < 0.4:
                names = self.random.sample((*KEYS, *UNMANAGED), self.random.randint(1, 2))
                lists = frozenset(int(self.world.ids[name]) for name in names)
                self._existing(email, lists)

    def _existing(self, email: str, lists: frozenset[int]) -> None:
        from django_ctct.sandbox.values import Draft, Source

        self.world.account.create(Draft(email, {}, lists, Source.CUSTOMER))

    # Workers

    def _worker(self) -> None:
        try:
            while True:
                drain.drain("default", seconds=3600)
                self.sleeping.append(getcurrent())
                self.scheduler._main.switch()
        except Crash:
            # A new process has a new connection: whatever the old one held is gone.
            self.scheduler.spawn(self._worker, 1 + self.random.random() * 20)

    def _hint(self) -> None:
        """A message reaches a worker that is idle; a busy one will look again by itself, or the sweep comes."""
        if self.sleeping:
            self.sleeping.pop(self.random.randrange(len(self.sleeping))).switch()

    def _sweep(self) -> None:
        self.scheduler.after(60, self._sweep)
        self._hint()

    def _kick(self) -> None:
        if self.scheduler.calm or self.random.random() >= self.scheduler.rates.lost_hint:
            self.scheduler.after(self.random.random() * 0.5, self._hint)

    # People

    def _something(self) -> None:
        """Let one thing happen, on the site or over there."""
        self.world.check_truth()
        email = self.random.choice(PEOPLE)
        act = self.random.choice((*[self._save] * 8, self._delete, self._leave_here, self._opt_out, *[self._there] * 8))
        act(email)
        if self.random.random() < 0.3:
            self._resubscribe(email)

    def _save(self, email: str) -> None:
        """Save a member; half of the time she changes her mind again soon, while a worker may be at it."""
        member = Member.objects.filter(email=email).order_by("pk").first() or Member(email=email)
        member.is_free = self.random.random() < 0.5
        member.is_sustainer = not member.is_free and self.random.random() < 0.8
        member.wants_newsletter = self.random.random() < 0.5
        member.save()
        self.scheduler.log(f"save {email} {member.is_free} {member.is_sustainer} {member.wants_newsletter}")
        self._kick()
        if self.random.random() < 0.5:
            self.scheduler.after(self.random.random() * 1.5, lambda: self._save(email))

    def _delete(self, email: str) -> None:
        for member in Member.objects.filter(email=email):
            member.delete()
            self.scheduler.log(f"delete {email}")
        self._kick()

    def _leave_here(self, email: str) -> None:
        key = self.random.choice(KEYS)
        acts.leave_list(email, key)
        self.world.left_here[email, self.world.ids[key]] = self.scheduler.now()
        self.scheduler.log(f"leave {email} {key}")
        self._kick()

    def _opt_out(self, email: str) -> None:
        row = Contact.objects.filter(email=email).first()
        if row is not None and self.random.random() < 0.5:
            acts.opt_out(row)
            self.world.site_opt_out[email] = self.scheduler.now()
            self.scheduler.log(f"opt out {email}")
            self._kick()

    def _resubscribe(self, email: str) -> None:
        row = Contact.objects.filter(email=email).first()
        if row is None:
            return
        key = self.random.choice(KEYS)
        self.scheduler.seconds += 0.01
        acts.resubscribe(row, [key], method="simulated")
        at: datetime = self.scheduler.now()
        self.world.consents[email, self.world.ids[key]] = at
        self.scheduler.seconds += 0.01
        self.scheduler.log(f"resubscribe {email} {key}")
        self._kick()

    def _there(self, email: str) -> None:
        world = self.world
        name = self.random.choice(KEYS)
        act = self.random.choice(("unsubscribe", "leave", "leave", "leave", "join", "add", "remove", "unmanaged"))
        if act == "unsubscribe":
            world.unsubscribe(email)
        elif act == "leave":
            world.leave(email, name)
        elif act == "join":
            world.join(email, name)
        elif act == "unmanaged":
            world.owner_sets(email, self.random.choice(UNMANAGED), self.random.random() < 0.6)
        else:
            world.owner_sets(email, name, act == "add")
