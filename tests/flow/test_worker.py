"""The trip of DESIGN §7, function by function, with a real Celery worker process between the two halves."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_ctct import tasks
from django_ctct.models import Membership, SyncState, WriteAttempt
from tests.account import UNMANAGED, Sandbox, contact, make_due, run_due
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


def messages(folder: Path) -> list[Any]:
    """Return what the messages that wait in a broker of files call their task with."""
    bodies = [json.loads(path.read_text())["body"] for path in folder.glob("*.msg")]
    return [json.loads(base64.b64decode(body))[:2] for body in bodies]


def wishes(email: str) -> set[str]:
    return set(Membership.objects.filter(contact__email=email).values_list("key", flat=True))


def test_an_upgrade_walks_the_whole_trip_through_a_worker(
    connected: Sandbox, broker: dict[str, str], tmp_path: Path
) -> None:
    env = environment(connected.url, **broker)
    connected.add(ADA, UNMANAGED)
    member = Member.objects.create(email=ADA)
    run_due()
    connected.forget()
    # The site's half: the wish, the row that is due, and a hint that names the account and nobody.
    member.is_free, member.is_sustainer = False, True
    member.save()
    row = contact(ADA)
    assert (wishes(ADA), row.state) == ({"sustainers"}, SyncState.PENDING)
    assert row.desired_gen > row.applied_gen
    assert row.due_at is not None
    wait_for(lambda: messages(tmp_path / "broker"), 10, "the hint")
    assert {str(each) for each in messages(tmp_path / "broker")} == {str([["default"], {}])}
    assert connected.requests() == [], "nobody is asked from the request"
    # The worker's half: a fresh reading, a permit, one write, and the row as it was read.
    started = time.monotonic()
    with running_worker(env, tmp_path / "worker.log"):
        wait_for(lambda: in_sync(ADA), 20, "the upgrade to be in sync")
    assert time.monotonic() - started < 20
    assert connected.methods() == ["GET", "PUT"]
    assert connected.lists_of(ADA) == {"Sustainers", UNMANAGED}
    row = contact(ADA)
    assert (row.applied_gen, row.due_at, row.lease_token, row.verify_at) == (row.desired_gen, None, None, None)
    permit = WriteAttempt.objects.latest("at")
    assert (permit.verb, permit.outcome, permit.source, permit.gen) == ("update", "ok", "site", row.desired_gen)
    assert set(permit.lists_after) - set(permit.lists_before) == {connected.list_id("Sustainers")}
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


#: Answers that no server should give, to a reading and to a write.
HOSTILE: list[tuple[str, dict[str, Any]]] = [
    ("garbage", {}),
    ("truncate", {}),
    ("gzip_bomb", {}),
    ("huge", {"size": 16 * 1024 * 1024}),
    ("deep_xml", {}),
    ("xml_bomb", {}),
    ("wrong_length", {}),
    ("redirect", {"headers": {"Location": "http://127.0.0.1:9/elsewhere"}}),
    ("status", {"status": 500}),
]


@pytest.mark.parametrize("verb", ["GET", "PUT"])
def test_hostile_answers_end_no_worker_and_lose_no_change(
    connected: Sandbox, broker: dict[str, str], tmp_path: Path, verb: str
) -> None:
    member = Member.objects.create(email=ADA)
    run_due()
    env, log = environment(connected.url, **broker), tmp_path / "worker.log"
    with running_worker(env, log) as worker:
        for kind, told in HOSTILE:
            connected.control("clock", {"advance": 5})  # what was changed a moment ago has no certain time on v3
            connected.fault(f"{verb} *contacts/*", kind, **told)
            member.is_free, member.is_sustainer = member.is_sustainer, member.is_free
            member.save()
            wait_for(lambda: connected.faults() == [] and contact(ADA).lease_token is None, 20, f"the answer: {kind}")
            make_due()
            tasks.kick("default")
            wait_for(lambda: in_sync(ADA), 20, f"the change after {kind}")
            assert connected.lists_of(ADA) == {"Sustainers" if member.is_sustainer else "Free members"}, kind
        assert worker.poll() is None
    assert ADA not in log.read_text()
    assert "Traceback" not in log.read_text()
