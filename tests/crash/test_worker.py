"""One column of the matrix through a real Celery worker: its child dies at every point, in the midst of an upgrade.

Celery acknowledges early, so the hint dies with the child; the next one finds the row. The default run takes three
points, ``CTCT_TEST_FULL=1`` all. No server is needed: the broker is a folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db.models import F

from django_ctct import tasks
from django_ctct.models import Contact, DatabaseNow
from django_ctct.outbox import LEASE, VERIFY_AFTER
from tests.account import Sandbox
from tests.worker import folder_broker, kill, running_worker, wait_for

from .conftest import mortal
from .points import DRAIN_POINTS, Point
from .scenarios import SCENARIOS
from .test_matrix import (
    FULL,
    MOMENT,
    converged,
    kept_the_rules,
    let_the_scene_settle,
    let_time_pass,
    new_address,
)

pytestmark = [pytest.mark.sandbox, pytest.mark.worker]

POINTS = DRAIN_POINTS if FULL else (Point.CLAIM_READ, Point.SENT, Point.CONFIRMING)


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worker") / "order"


@pytest.fixture(scope="module")
def worker_log(site: Sandbox, order: Path) -> Iterator[Path]:
    """A worker of one child, and this process as its sender."""
    log = order.parent / "worker.log"
    with (
        folder_broker(order.parent / "broker") as broker,
        running_worker(mortal(site, order, **broker), log) as worker,
    ):
        yield log
        kill(worker)


def hint(address: str) -> None:
    """Send what a kick sends, and wait until the worker has nothing more to do for her."""
    tasks.drain.apply_async(args=["default"])
    rests = Contact.objects.filter(email=address, applied_gen=F("desired_gen"), lease_token=None)
    wait_for(lambda: rests.exclude(due_at__lte=DatabaseNow()).exists(), 30, "the worker to be done with her")


@pytest.mark.parametrize("point", [pytest.param(one, id=one.value) for one in POINTS])
def test_a_workers_child_that_is_killed_leaves_nothing_undone(
    site: Sandbox, worker_log: Path, order: Path, point: Point
) -> None:
    scenario, address = SCENARIOS["an upgrade"], new_address()
    scenario.arrange(site, address)
    let_the_scene_settle(site)
    scenario.wish(address)
    order.write_text(point.value)
    tasks.drain.apply_async(args=["default"])
    wait_for(lambda: not order.exists(), 30, "the child to die")
    let_time_pass(LEASE + MOMENT)
    hint(address)
    let_time_pass(VERIFY_AFTER + MOMENT)
    hint(address)
    converged(site, scenario, address)
    kept_the_rules(site, scenario)
    assert address not in worker_log.read_text()
