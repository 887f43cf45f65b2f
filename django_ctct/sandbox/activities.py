"""The queue of bulk activities: what waits, what is done, and how it went (v3 sheet §4).

It exists because v3 does bulk work later: a job is queued with its delay by the sandbox's clock, and does its
work when somebody looks after that. It knows no HTTP, and of the account only clock, switches and lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from uuid import uuid4

from django_ctct.sandbox.account import Account

KEPT = timedelta(days=10)
"""How long the status of an activity can be read."""


class State(StrEnum):
    """Name the states of an activity."""

    INITIALIZED = "initialized"
    PROCESSING = "processing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Say how a job went: counts for the status, and sentences; never a word about a single row."""

    counts: dict[str, int]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Activity:
    """Hold one activity; it is over at ``due``."""

    uuid: str
    created: datetime
    due: datetime
    total: int
    state: State = State.INITIALIZED
    started: datetime | None = None
    outcome: Outcome = field(default_factory=lambda: Outcome({}))


Job: TypeAlias = Callable[[], Outcome]


class QueueFull(Exception):
    """Refuse one more activity."""


class Activities:
    """Keep the activities of one account, oldest first."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._clear()
        account.at_reset(self._clear)

    def _clear(self) -> None:
        self._known: dict[str, Activity] = {}
        self._jobs: dict[str, Job] = {}

    def start(self, job: Job, total: int) -> Activity:
        """Queue a job over ``total`` items and return it as it stands then, or raise ``QueueFull``."""
        with self._account.lock:
            self.settle()
            if len(self._jobs) >= self._account.switches.activity_queue:
                raise QueueFull
            now = self._account.clock.now()
            due = now + timedelta(seconds=self._account.switches.activity_delay)
            activity = Activity(str(uuid4()), now, due, total)
            self._known[activity.uuid] = activity
            self._jobs[activity.uuid] = job
            self.settle()
            return activity

    def settle(self) -> None:
        """Do the work of every job that is due."""
        if not self._jobs:
            return
        with self._account.lock:
            now = self._account.clock.now()
            for uuid in list(self._jobs):
                self._advance(self._known[uuid], now)

    def get(self, uuid: str) -> Activity | None:
        """Return one activity, unless it is too old to be read."""
        found = self._known.get(uuid)
        return found if found is not None and self._is_kept(found) else None

    def all(self) -> list[Activity]:
        """Return every activity that can be read, oldest first."""
        return [activity for activity in self._known.values() if self._is_kept(activity)]

    def _is_kept(self, activity: Activity) -> bool:
        return activity.uuid in self._jobs or self._account.clock.now() - activity.created <= KEPT

    def _advance(self, activity: Activity, now: datetime) -> None:
        if now >= activity.due:
            job = self._jobs.pop(activity.uuid)
            state = State(self._account.switches.activity_outcome)
            outcome = job() if state is State.COMPLETED else Outcome({}, ("The activity was not carried out.",))
            done = replace(activity, state=state, started=activity.started or activity.created, outcome=outcome)
            self._known[activity.uuid] = done
        elif now >= activity.created + (activity.due - activity.created) / 2:
            self._known[activity.uuid] = replace(activity, state=State.PROCESSING, started=activity.started or now)
