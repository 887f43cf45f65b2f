"""A backup of the site's database: taken at one time, and put back when the site has been away for hours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django_ctct.models import (
    Account,
    Consent,
    Contact,
    ContactList,
    FormerAddress,
    ListOptOut,
    Membership,
    OptOut,
    PastAddress,
    RemoteMembership,
    WriteAttempt,
)
from tests.site.models import Member

from .people import People
from .scheduler import Scheduler
from .world import World

__all__ = ["Backups", "clear"]

#: What a run writes, in an order in which it can be deleted.
TABLES = (
    WriteAttempt,
    FormerAddress,
    PastAddress,
    Consent,
    OptOut,
    ListOptOut,
    RemoteMembership,
    Membership,
    Contact,
    ContactList,
    Account,
    Member,
)
#: A copy that is put back so long after it was taken has old news in any case.
SHORTEST_AWAY = timedelta(minutes=40)


class Copy(NamedTuple):
    """The rows of each table, and when they were read."""

    rows: list[tuple[Any, list[dict[str, Any]]]]
    taken: datetime


def clear() -> None:
    for table in TABLES:
        table._default_manager.all()._raw_delete("default")


class Backups:
    """Takes copies and puts them back. ``stop`` kills every process of the site."""

    def __init__(self, scheduler: Scheduler, world: World, stop: Callable[[], None]) -> None:
        self.scheduler, self.world, self.stop = scheduler, world, stop

    def take(self) -> Copy:
        self.scheduler.log("a backup is taken")
        return Copy(
            [(table, list(table._default_manager.values())) for table in reversed(TABLES)], self.scheduler.now()
        )

    def put_back(self, copy: Copy, people: People) -> None:
        """Stop every process; while the site is away people go on over there; then put the copy back."""
        self.stop()
        self.world.all_arrive()
        for _ in range(self.scheduler.random.randint(0, 3)):
            self.scheduler.skip(timedelta(seconds=self.scheduler.random.random() * 3600))
            people.somebody_acts_there()
        self.scheduler.skip(SHORTEST_AWAY)
        self.scheduler.log("the backup is put back")
        clear()
        for table, rows in copy.rows:
            table._default_manager.bulk_create(table(**row) for row in rows)
        self.world.restored(copy.taken)
