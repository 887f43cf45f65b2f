"""A worker's child, or the worker with all its children, is killed in the midst of a request.

The sandbox holds the request, so that it is known what was under way. Celery loses the message with the child, and
the lease keeps others away until it ends; then the next sweep, from beat, does the rest. Nobody waits for the
lease: its end is moved into the past. The default run takes one of the two each, ``CTCT_TEST_FULL=1`` both.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from django_ctct.models import Contact, SyncState
from django_ctct.outbox import LEASE
from tests.account import UNMANAGED, contact
from tests.crash.test_matrix import MOMENT, let_time_pass
from tests.worker import kill, wait_for

from .conftest import FULL, Trip
from .servers import usual_redis

pytestmark = [pytest.mark.services, pytest.mark.sandbox, pytest.mark.worker]

ADA = "ada@example.com"
#: What is held: a read that is not answered, or a write that is done and not answered.
HELD = [pytest.param("GET *", False, id="reading"), pytest.param("PUT *", True, id="writing")]


def children(worker: subprocess.Popen[bytes]) -> list[int]:
    return [int(one) for one in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()]


def held(trip: Trip) -> bool:
    """Say whether the sandbox keeps a request waiting."""
    return any(one["struck"] for one in trip.box.control("faults", method="GET")["faults"])


def lease_ends() -> None:
    assert Contact.objects.get(email=ADA).lease_token is not None
    let_time_pass(LEASE + MOMENT)


def arrives(trip: Trip) -> None:
    done = {"applied_gen": 1, "lease_token": None}
    wait_for(lambda: Contact.objects.filter(email=ADA, **done).exists(), 30, "the change to arrive")
    assert trip.box.lists_of(ADA) == {"Free members", UNMANAGED}
    assert [one["applied"] for one in trip.box.writes()] == [204], "written once, whoever did it"
    assert contact(ADA).state == SyncState.PENDING, "a verify pass is still to come"


@pytest.mark.parametrize(("match", "applied"), HELD if FULL else HELD[:1])
def test_a_child_that_is_killed_at_work_is_followed_by_another(trip: Trip, match: str, applied: bool) -> None:
    with usual_redis(f"{trip.queue}:") as (url, options):
        env = trip.environment(url, options)
        trip.box.add(ADA, UNMANAGED)
        trip.box.fault(match, "timeout", seconds=120, apply=applied)
        with trip.worker(env) as worker:
            with trip.site(env) as site:
                site.save(ADA)
                wait_for(lambda: held(trip), 30, "the request to be under way")
            for child in children(worker):
                os.kill(child, signal.SIGKILL)
            lease_ends()
            with trip.beat(env):
                arrives(trip)
            assert worker.poll() is None


@pytest.mark.parametrize(("match", "applied"), HELD if FULL else HELD[1:])
def test_a_worker_that_is_killed_with_all_its_children_is_followed_by_another(
    trip: Trip, match: str, applied: bool
) -> None:
    with usual_redis(f"{trip.queue}:") as (url, options):
        env = trip.environment(url, options)
        trip.box.add(ADA, UNMANAGED)
        trip.box.fault(match, "timeout", seconds=120, apply=applied)
        with trip.worker(env) as worker:
            with trip.site(env) as site:
                site.save(ADA)
                wait_for(lambda: held(trip), 30, "the request to be under way")
            kill(worker)
        lease_ends()
        with trip.worker(env), trip.beat(env):
            arrives(trip)
