"""The trip of DESIGN §7, function by function, with a real Celery worker process between the two halves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_ctct.models import SyncState, WriteAttempt
from tests.account import UNMANAGED, Sandbox, contact
from tests.site.models import Member
from tests.worker import environment, folder_broker, kill, running_worker, wait_for

pytestmark = [pytest.mark.sandbox, pytest.mark.worker]

ADA = "ada@example.com"


@pytest.fixture
def broker(tmp_path: Path, settings: Any) -> Iterator[dict[str, str]]:
    settings.CTCT = {**settings.CTCT, "KICK": "thread"}
    with folder_broker(tmp_path / "broker") as added:
        yield added


def in_sync(email: str) -> bool:
    return contact(email).state == SyncState.IN_SYNC


def test_an_upgrade_walks_the_whole_trip_through_a_worker(
    connected: Sandbox, broker: dict[str, str], tmp_path: Path
) -> None:
    env = environment(connected.url, **broker)
    connected.add(ADA, UNMANAGED)
    with running_worker(env, tmp_path / "worker.log"):
        member = Member.objects.create(email=ADA)
        wait_for(lambda: in_sync(ADA), 20, "the new member to be in sync")
        assert connected.lists_of(ADA) == {"Free members", UNMANAGED}
        started = time.monotonic()
        member.is_free, member.is_sustainer = False, True
        member.save()
        wait_for(lambda: in_sync(ADA), 20, "the upgrade to be in sync")
        took = time.monotonic() - started
    assert connected.lists_of(ADA) == {"Sustainers", UNMANAGED}
    assert [one.outcome for one in WriteAttempt.objects.all()] == ["ok", "ok"]
    assert took < 10
    log = (tmp_path / "worker.log").read_text()
    assert ADA not in log
    assert "sandbox-password" not in log


def test_a_change_made_while_no_worker_lives_arrives_when_one_comes(
    connected: Sandbox, broker: dict[str, str], tmp_path: Path
) -> None:
    env = environment(connected.url, **broker)
    with running_worker(env, tmp_path / "first.log") as worker:
        member = Member.objects.create(email=ADA)
        wait_for(lambda: in_sync(ADA), 20, "the new member to be in sync")
        kill(worker)
    member.is_free, member.is_sustainer = False, True
    member.save()
    with running_worker(env, tmp_path / "second.log"):
        wait_for(lambda: in_sync(ADA), 30, "the upgrade to be in sync")
    assert connected.lists_of(ADA) == {"Sustainers"}
