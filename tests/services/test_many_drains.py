"""Eight drains at once, as processes of ``manage.py ctct_drain``, with the limits that a real key has.

A tenth of the contacts is new and needs a read and a write; the others are as wished and need one read. The
default run takes 20 contacts, ``CTCT_TEST_FULL=1`` takes 1,000, which at 3.3 calls a second is about six minutes.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from django_ctct.models import Account, Contact, DatabaseNow, Membership, WriteAttempt
from tests.account import Sandbox
from tests.worker import end, environment

from .conftest import FULL

pytestmark = [pytest.mark.services, pytest.mark.sandbox]

DRAINS = 8
DUE = 1000 if FULL else 20
NEW = DUE // 10
PATIENCE = 600 if FULL else 60
LIMIT = 4


def addresses(kind: str, many: int) -> list[str]:
    return [f"{kind}.{number}@example.com" for number in range(many)]


def make_due(box: Sandbox) -> None:
    """Make contacts that are due: most are known and as wished, some are new."""
    known, new = addresses("known", DUE - NEW), addresses("new", NEW)
    contacts = [{"email": one, "lists": ["Free members"]} for one in known]
    box.control("reset", {"lists": _lists(box), "contacts": contacts})
    ids = {email: str(found["id"]) for email, found in box.contacts().items()}
    account = Account.objects.get()
    rows = Contact.objects.bulk_create(
        Contact(account=account, email=one, remote_id=ids.get(one), desired_gen=1, priority=5, due_at=DatabaseNow())
        for one in known + new
    )
    saved = {row.email: row for row in rows}
    Membership.objects.bulk_create(
        Membership(contact=saved[one], key="free", member_key=f"site.member:{one}") for one in known + new
    )


def _lists(box: Sandbox) -> list[str]:
    """Return the names in the order in which the lists were made, so that they are given the same ids."""
    return [one["name"] for one in box.control("state", method="GET")["lists"]]


def drain_together(box: Sandbox, folder: Path) -> list[int]:
    """Run the drains until nothing is due; return how they ended."""
    env = environment(
        box.url,
        "memory://",
        DJANGO_SETTINGS_MODULE="tests.services.settings",
        CTCT_TEST_QUEUE="none",
        CTCT_TEST_CALLS_PER_SECOND=str(LIMIT),
    )
    command = [sys.executable, "-m", "django", "ctct_drain", "--pythonpath", "."]
    drains: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(DRAINS):
            with (folder / f"drain-{number}.log").open("ab") as out:
                drains.append(subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True))
        return [one.wait(PATIENCE) for one in drains]
    finally:
        for one in drains:
            end(one)


def fullest_second(times: list[float]) -> int:
    """Return the most calls in any window of one second."""
    return max(sum(1 for one in times if first <= one < first + 1.0) for first in times)


def test_eight_drains_share_the_work_and_the_limit(connected: Sandbox, tmp_path: Path) -> None:
    make_due(connected)
    assert drain_together(connected, tmp_path) == [0] * DRAINS
    calls = connected.requests()
    met = Counter((one["method"], one["path"]) for one in calls)
    reads = {path: times for (method, path), times in met.items() if method == "GET"}
    assert len(reads) == DUE
    assert set(reads.values()) == {1}, "no contact was taken twice"
    assert met["POST", "/ws/customers/acme/contacts"] == NEW
    at = [one["time"] for one in calls]
    assert fullest_second(at) <= LIMIT, [round(one - at[0], 2) for one in at]
    assert {one["status"] for one in calls} == {200, 201}
    assert sorted(WriteAttempt.objects.values_list("contact__email", "outcome")) == sorted(
        (one, "ok") for one in addresses("new", NEW)
    )
    assert Contact.objects.filter(desired_gen=1, applied_gen=1, due_at=None, lease_token=None).count() == DUE
