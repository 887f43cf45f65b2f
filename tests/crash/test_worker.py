"""A third of the matrix through a real Celery worker: its child dies at every point, and in every scenario.

Celery acknowledges early, so the hint dies with the child; the next one finds the row. The default run takes three
deaths, ``CTCT_TEST_FULL=1`` one diagonal in three, on v3 one in six. No server is needed: the broker is a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_ctct import tasks
from django_ctct.ledger import QUARANTINE
from django_ctct.outbox import LEASE, VERIFY_AFTER
from tests.account import Sandbox, by_wire
from tests.worker import folder_broker, kill, running_worker, wait_for

from .conftest import mortal
from .points import DRAIN_POINTS, Point
from .scenarios import SCENARIOS, Scenario
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

UPGRADE = SCENARIOS["an upgrade"]
DEATHS = (
    [
        (point, scenario)
        for row, point in enumerate(DRAIN_POINTS)
        for column, scenario in enumerate(SCENARIOS.values())
        if (row + column) % by_wire(3, 6) == 0 and point not in scenario.unreached
    ]
    if FULL
    else [(point, UPGRADE) for point in (Point.CLAIM_READ, Point.SENT, Point.CONFIRMING)]
)


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


class Hints:
    """The messages that were sent to the worker and did not die with its child, and what its log tells of them."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._sent = 0

    def send(self) -> None:
        """Send what a kick sends, and wait until it is done: the next scene is nobody's business before."""
        self._sent += 1
        self.send_to_die()
        wait_for(lambda: self._done() == self._sent, 30, "the worker to come to rest")

    def send_to_die(self) -> None:
        tasks.drain.apply_async(args=["default"])

    def _done(self) -> int:
        return len(re.findall(r"drain\[[-\w]+\] succeeded in", self._log.read_text()))


@pytest.fixture(scope="module")
def hints(worker_log: Path) -> Hints:
    return Hints(worker_log)


@pytest.mark.parametrize(
    ("point", "scenario"), [pytest.param(*death, id=f"{death[0].value}-{death[1].name}") for death in DEATHS]
)
def test_a_workers_child_that_is_killed_leaves_nothing_undone(
    site: Sandbox, worker_log: Path, hints: Hints, order: Path, point: Point, scenario: Scenario
) -> None:
    address = new_address()
    scenario.arrange(site, address)
    let_the_scene_settle(site)
    scenario.wish(address)
    order.write_text(point.value)
    hints.send_to_die()
    wait_for(lambda: not order.exists(), 30, "the child to die")
    if scenario.meanwhile is not None:
        scenario.meanwhile(address)
    for span in (LEASE, VERIFY_AFTER, QUARANTINE):
        wait_for(lambda: site.control("state", method="GET")["landing"] == 0, 10, "late writes to land")
        let_time_pass(span + MOMENT)
        hints.send()
    converged(site, scenario, address)
    kept_the_rules(site, scenario)
    assert address not in worker_log.read_text()
