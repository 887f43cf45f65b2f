"""The database ends the worker's connections in the midst of its work. Only where there is a server to do so.

Collected when ``CTCT_TEST_DATABASE`` is postgresql or mariadb; SQLite has no connection that could be cut.
"""

from __future__ import annotations

import pytest
from django.db import connection

from django_ctct.models import Contact
from django_ctct.outbox import LEASE
from tests.account import UNMANAGED
from tests.crash.test_matrix import MOMENT, let_time_pass
from tests.worker import wait_for

from .conftest import Trip
from .servers import usual_redis

pytestmark = [pytest.mark.services, pytest.mark.sandbox, pytest.mark.worker]

ADA = "ada@example.com"

_POSTGRESQL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_MARIADB = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"


def cut_connections() -> int:
    """End every connection to the test's own database but this one. Return how many there were."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRESQL)
            return len(cursor.fetchall())
        cursor.execute(_MARIADB)
        others = [row[0] for row in cursor.fetchall()]
        for one in others:
            cursor.execute(f"KILL {int(one)}")
        return len(others)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_worker_whose_connection_is_cut_at_work_lives_and_the_change_arrives(trip: Trip, method: str) -> None:
    with usual_redis(f"{trip.queue}:") as (url, options):
        env = trip.environment(url, options)
        trip.box.add(ADA, UNMANAGED)
        trip.box.fault(f"{method} *", "late", seconds=3, hold=True)
        with trip.worker(env) as worker:
            with trip.site(env) as site:
                site.save(ADA)
                wait_for(lambda: any(one["fault"] for one in trip.box.requests()), 30, "the request to be under way")
            assert cut_connections() > 0
            wait_for(lambda: trip.box.requests()[-1]["applied"], 20, "the answer to come")
            let_time_pass(LEASE + MOMENT)
            with trip.beat(env):
                wait_for(lambda: Contact.objects.filter(email=ADA, applied_gen=1).exists(), 30, "the change to arrive")
            assert worker.poll() is None
    assert trip.box.lists_of(ADA) == {"Free members", UNMANAGED}
    assert [one["applied"] for one in trip.box.writes()] == [204]
