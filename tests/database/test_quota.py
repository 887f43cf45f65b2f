"""The gate: all workers together keep to the calls a second and the calls a day."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from django_ctct.conf import AccountSettings
from django_ctct.exceptions import QuotaExhausted, RateLimited, RemoteConflict
from django_ctct.models import DatabaseNow, Quota
from django_ctct.quota import AccountGate, key_hash
from django_ctct.types import Priority

pytestmark = pytest.mark.django_db


def gate(lane: Priority = Priority.ADD, **limits: Any) -> AccountGate:
    return AccountGate(AccountSettings("default", "x.y", {"api_key": "secret-key"}, **limits), lane)


def test_calls_are_spaced_more_widely_than_the_limit_asks() -> None:
    one = gate(calls_per_second=20)
    started = time.monotonic()
    for _ in range(5):
        one.acquire()
    assert time.monotonic() - started >= 4 * 0.05


def test_the_key_itself_is_not_kept() -> None:
    gate().acquire()
    assert "secret-key" not in str(Quota.objects.values())
    assert Quota.objects.get().used == 1


def test_two_accounts_with_one_key_share_its_calls() -> None:
    one = AccountSettings("default", "x.y", {"api_key": "k"})
    two = AccountSettings("other", "x.y", {"api_key": "k"})
    assert key_hash(one) == key_hash(two)
    assert key_hash(AccountSettings("a", "x.y", {})) != key_hash(AccountSettings("b", "x.y", {}))


def test_the_last_tenth_of_the_day_is_kept_for_removals() -> None:
    limits = {"calls_per_day": 20, "calls_per_second": 10_000}
    for _ in range(18):
        gate(**limits).acquire()
    with pytest.raises(QuotaExhausted) as caught:
        gate(**limits).acquire()
    assert caught.value.until.time().isoformat() == "00:00:00"
    assert timedelta(0) < caught.value.until - datetime.now(UTC) <= timedelta(days=1)
    gate(Priority.REMOVAL, **limits).acquire()
    gate(Priority.OPT_OUT, **limits).acquire()
    with pytest.raises(QuotaExhausted):
        gate(Priority.OPT_OUT, **limits).acquire()
    assert Quota.objects.get().used == 20


def test_a_new_day_begins_at_zero() -> None:
    limits = {"calls_per_day": 1, "calls_per_second": 10_000}
    gate(Priority.REMOVAL, **limits).acquire()
    Quota.objects.update(day=datetime.now(UTC).date() - timedelta(days=1))
    gate(Priority.REMOVAL, **limits).acquire()
    assert Quota.objects.get().used == 1


def test_a_gate_that_is_far_behind_says_so_instead_of_keeping_the_worker() -> None:
    gate().acquire()
    Quota.objects.update(next_slot=DatabaseNow() + timedelta(minutes=5))
    with pytest.raises(RateLimited) as caught:
        gate().acquire()
    assert 200 < caught.value.retry_after <= 300
    assert Quota.objects.get().used == 1


def test_a_slot_that_another_worker_took_meanwhile_is_not_taken_twice() -> None:
    one = gate(calls_per_second=10_000)
    one.acquire()
    swaps: list[str] = []

    def meanwhile(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            swaps.append(sql)
            if len(swaps) == 1:
                gate(calls_per_second=10_000).acquire()
        return execute(sql, *rest)

    with connection.execute_wrapper(meanwhile):
        one.acquire()
    assert len(swaps) == 3, "one swap came too late, was seen to, and was tried again"
    assert Quota.objects.get().used == 3


def test_a_write_whose_process_slept_is_not_sent() -> None:
    one = gate(calls_per_second=10_000)
    one.send_by = time.time() - 1
    with pytest.raises(RemoteConflict) as caught:
        one.acquire()
    assert (caught.value.code, caught.value.status) == ("stale", None)
    one.acquire()  # the next request is another one
    one.send_by = time.time() + 5
    one.acquire()


def test_a_worker_that_comes_late_to_its_slot_takes_another_and_counts_once() -> None:
    one = gate(calls_per_second=10)
    one.acquire()
    stalls = iter([0.3, 0.0, 9.0])

    def stall(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            time.sleep(next(stalls))
        return execute(sql, *rest)

    started = time.monotonic()
    with connection.execute_wrapper(stall):
        one.acquire()
    assert next(stalls) == 9.0, "two swaps: the first slot was over when it was given"
    assert time.monotonic() - started >= 0.3
    assert Quota.objects.get().used == 2


def test_a_machine_that_never_keeps_a_slot_gives_up() -> None:
    one = gate(calls_per_second=10)
    one.patience = 0.5

    def stall(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            time.sleep(0.2)
        return execute(sql, *rest)

    with connection.execute_wrapper(stall), pytest.raises(RateLimited) as caught:
        one.acquire()
    assert caught.value.code == "busy"
