"""The crash matrix: a drain dies by SIGKILL at every point of the trip, in every scenario, and all converges.

Every cell has an address of its own, so that one database and one sandbox serve them all. The default run takes
a good quarter, each point and each scenario among them; ``CTCT_TEST_FULL=1`` takes all. The database is the one
that ``CTCT_TEST_DATABASE`` names; ``CTCT_TEST_SWITCHES`` sets the sandbox's doubts, as JSON.

Nobody waits for a lease of two minutes. After the death, time passes in the tables alone: what the queue and the
journal wait for is moved into the past, in the three steps that a real sweep would come by: when the lease has
ended, when a write can no longer be on its way, and when a consent may be used again. What people did keeps its
time, because Constant Contact's own clock goes on as it is.
"""

from __future__ import annotations

import itertools
import os
import time
from datetime import timedelta

import pytest
from django.db.models import F

from django_ctct.ledger import QUARANTINE
from django_ctct.models import Contact, WriteAttempt
from django_ctct.outbox import LEASE, VERIFY_AFTER
from tests.account import Sandbox, by_wire, run_due
from tests.worker import wait_for

from .conftest import Runner
from .points import DRAIN_POINTS, SITE_POINTS, Point
from .scenarios import SCENARIOS, Scenario, contact_of

pytestmark = pytest.mark.sandbox

MOMENT = timedelta(seconds=1)
FULL = os.environ.get("CTCT_TEST_FULL") == "1"
_numbers = itertools.count(1)


def cells(points: tuple[Point, ...]) -> list[object]:
    """Return the cells of these points; in the default run one diagonal in four, and every death with a write sent."""
    return [
        pytest.param(point, scenario, id=f"{point.value}-{name}")
        for row, point in enumerate(points)
        for column, (name, scenario) in enumerate(SCENARIOS.items())
        if FULL or point is Point.SENT or (row + column) % 4 == 0
    ]


def new_address() -> str:
    return f"ada.{next(_numbers)}@example.com"


def let_time_pass(span: timedelta) -> None:
    """Move into the past what the queue waits for and what the journal knows."""
    for name in ("due_at", "lease_until", "verify_at"):
        Contact.objects.filter(**{f"{name}__isnull": False}).update(**{name: F(name) - span})
    WriteAttempt.objects.update(at=F("at") - span)


def let_the_scene_settle(box: Sandbox) -> None:
    """Let the scene be some seconds old: v3 counts in whole ones, and changes within one cannot be told apart."""
    time.sleep(by_wire(v1=0, v3=2.1))
    box.forget()


def recover(box: Sandbox) -> None:
    """Let the sweep come when it would come, once all that is on its way has landed."""
    let_time_pass(LEASE + MOMENT)
    run_due()
    wait_for(lambda: box.control("state", method="GET")["landing"] == 0, 10, "late writes to land")
    for span in (VERIFY_AFTER + MOMENT, QUARANTINE + MOMENT):
        let_time_pass(span)
        run_due()


def converged(box: Sandbox, scenario: Scenario, address: str) -> None:
    """Check what must be true in the end, here and there."""
    ours, theirs = contact_of(address), box.contacts()[address]
    assert (set(theirs["lists"]), theirs["status"]) == (scenario.lists, scenario.status)
    assert ours.state == scenario.state, (ours.error_code, ours.refusal)
    assert ours.applied_gen == ours.desired_gen > 0
    assert (ours.lease_token, ours.verify_at, ours.due_at) == (None, None, None)
    left = ours.list_opt_outs.values_list("list__name", flat=True)
    assert set(left) == scenario.left, "nobody is said to have left what she did not leave"


def kept_the_rules(box: Sandbox, scenario: Scenario) -> None:
    """Check each write that was sent since the wish, whether or not it was answered."""
    writes = box.writes()
    assert scenario.forbidden(box, writes) == []
    applied = [one for one in writes if one["applied"] in (200, 201, 204)]
    assert len(applied) <= scenario.most_writes, [(one["method"], one["applied"]) for one in writes]


@pytest.mark.usefixtures("cell")
@pytest.mark.parametrize(("point", "scenario"), cells(DRAIN_POINTS))
def test_a_drain_that_is_killed_leaves_nothing_undone(
    site: Sandbox, runner: Runner, point: Point, scenario: Scenario
) -> None:
    address = new_address()
    scenario.arrange(site, address)
    let_the_scene_settle(site)
    scenario.wish(address)
    assert runner.told_to_die(point, "drain") is (point not in scenario.unreached)
    if scenario.meanwhile is not None:
        scenario.meanwhile(address)
    recover(site)
    converged(site, scenario, address)
    kept_the_rules(site, scenario)


@pytest.mark.usefixtures("cell")
@pytest.mark.parametrize(("point", "scenario"), cells(SITE_POINTS))
def test_a_site_that_is_killed_has_changed_all_or_nothing(
    site: Sandbox, runner: Runner, point: Point, scenario: Scenario
) -> None:
    address = new_address()
    scenario.arrange(site, address)
    let_the_scene_settle(site)
    assert runner.told_to_die(point, "wish", scenario.name, address)
    if point is Point.SITE_BEFORE_COMMIT:
        run_due()
        assert site.requests() == [], "what was not committed was not wished for"
        scenario.wish(address)
    if scenario.meanwhile is not None:
        scenario.meanwhile(address)
    recover(site)
    converged(site, scenario, address)
    kept_the_rules(site, scenario)
