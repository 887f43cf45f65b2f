"""The flow over real brokers, and what happens when a broker is killed, frozen or emptied.

A hint may be lost in every way that a broker knows: the site answers as if nothing had happened, the sweep finds
the row, and the worker goes on once the broker is back. The trouble is made with Redis by default, and with
RabbitMQ too under ``CTCT_TEST_FULL=1``, always with a broker that the test itself has started.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from django_ctct.models import SyncState
from tests.account import UNMANAGED, contact, run_due
from tests.worker import wait_for

from .conftest import FULL, Trip
from .servers import OwnBroker, own_broker, usual_rabbitmq, usual_redis

pytestmark = [pytest.mark.services, pytest.mark.sandbox, pytest.mark.worker]

ADA, BOB, CYD = "ada@example.com", "bob@example.com", "cyd@example.com"
#: Loose, for a busy machine: a broker that refuses costs a publisher 0.6 s and more, a silent one all its life.
AT_ONCE = 0.5
#: A process may take 1.5 s for its last hints, and a busy machine as long again to end it.
SOON = 6.0
KINDS = ("redis", "rabbitmq")


@pytest.fixture(params=KINDS if FULL else KINDS[:1])
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    folder: Path = tmp_path_factory.mktemp("broker")
    with own_broker(request.param, folder) as started:
        yield started


def in_sync(email: str) -> bool:
    return contact(email).state == SyncState.IN_SYNC


def arrives(email: str) -> None:
    wait_for(lambda: in_sync(email), 30, "the change to arrive")


def swept(email: str) -> None:
    """Check that nobody has done the work, and that a sweep does it."""
    assert contact(email).state == SyncState.PENDING
    run_due()
    assert in_sync(email)


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_walks_the_whole_trip_over_the_machines_own_broker(trip: Trip, kind: str) -> None:
    usual = usual_redis(f"{trip.queue}:") if kind == "redis" else usual_rabbitmq(trip.queue)
    trip.box.add(ADA, UNMANAGED)
    with usual as (url, options):
        env = trip.environment(url, options)
        with trip.worker(env), trip.site(env) as site:
            site.save(ADA)
            arrives(ADA)
            assert trip.box.lists_of(ADA) == {"Free members", UNMANAGED}
            site.save(ADA, "sustainers")
            wait_for(lambda: contact(ADA).applied_gen == 2, 30, "the upgrade to arrive")
    assert trip.box.lists_of(ADA) == {"Sustainers", UNMANAGED}
    assert [one["method"] for one in trip.box.writes()] == ["PUT", "PUT"]


def test_a_broker_that_is_killed_costs_no_change_and_the_worker_goes_on_with_the_next(
    trip: Trip, broker: OwnBroker
) -> None:
    env = trip.environment(broker.url)
    with trip.worker(env), trip.site(env) as site:
        site.save(ADA)
        arrives(ADA)
        broker.kill()
        assert site.save(BOB) < AT_ONCE
        assert site.save(CYD, "sustainers") < AT_ONCE
        swept(BOB)
        assert in_sync(CYD)
        site.save(BOB, "sustainers")
        broker.start()
        with trip.beat(env):
            arrives(BOB)
    assert trip.box.lists_of(BOB) == {"Sustainers"}


def test_a_broker_that_is_frozen_keeps_neither_a_request_nor_the_end_of_a_process_waiting(
    trip: Trip, broker: OwnBroker
) -> None:
    env = trip.environment(broker.url)
    with trip.worker(env):
        with trip.site(env) as site:
            site.save(ADA)
            arrives(ADA)
            broker.freeze()
            assert site.save(BOB) < AT_ONCE
            assert site.save(CYD) < AT_ONCE
            swept(BOB)
            assert in_sync(CYD)
            site.save(CYD, "sustainers")
            assert site.leave(30) < SOON
        broker.thaw()
        with trip.beat(env):
            arrives(CYD)
    assert trip.box.lists_of(CYD) == {"Sustainers"}


def test_a_broker_that_was_emptied_after_the_hint_costs_a_sweeps_time_and_nothing_else(
    trip: Trip, broker: OwnBroker
) -> None:
    env = trip.environment(broker.url)
    with trip.site(env) as site:
        site.save(ADA)
        wait_for(lambda: broker.hints(trip.queue) == 1, 20, "the hint to be in the queue")
        broker.empty(trip.queue)
    with trip.worker(env):
        assert contact(ADA).state == SyncState.PENDING
        with trip.beat(env):
            arrives(ADA)
    assert trip.box.lists_of(ADA) == {"Free members"}
