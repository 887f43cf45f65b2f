"""``ctct_drain``: the worker's work without a worker, once or for good."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar

import pytest

from django_ctct.management.commands.ctct_drain import Command
from django_ctct.models import Account, Contact, DatabaseNow
from django_ctct.signals import contact_synced
from tests.account import Sandbox, contact
from tests.commands.run import CANARY, ROOT, environment, manage, run
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

#: What a slow machine may need to start a process and do one change (seconds).
PATIENCE = 30.0


def _until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_it_does_all_that_is_due_and_counts(connected: Sandbox) -> None:
    for n in range(3):
        Member.objects.create(email=f"member{n}@example.com")
    ran = run("ctct_drain")
    assert (ran.code, ran.out) == (0, "3 done, 0 failed.\n")
    assert connected.lists_of("member2@example.com") == {"Free members"}


class Impatient(Command):
    """Looks up from its work after each contact."""

    slice: ClassVar[float] = 0.02


def test_a_long_queue_is_done_slice_by_slice(connected: Sandbox) -> None:
    for n in range(3):
        Member.objects.create(email=f"member{n}@example.com")
    assert run(Impatient()).out == "3 done, 0 failed.\n"


def test_with_nothing_due_it_ends_at_once_and_calls_nobody(connected: Sandbox) -> None:
    assert run("ctct_drain").out == "0 done, 0 failed.\n"
    assert connected.requests() == []


def test_it_prints_no_address(connected: Sandbox) -> None:
    Member.objects.create(email=CANARY)
    assert CANARY not in run("ctct_drain", "--verbosity=2").out


def test_verbosity_2_names_each_contact_by_id_with_the_outcome(connected: Sandbox) -> None:
    Member.objects.create(email=CANARY)
    ran = run("ctct_drain", "--verbosity=2")
    assert ran.out.splitlines()[0] == f"contact {contact(CANARY).pk}: create"


def test_a_failure_makes_exit_code_1(connected: Sandbox) -> None:
    Member.objects.create(email="no address at all")
    ran = run("ctct_drain", "--verbosity=2")
    assert ran.code == 1
    assert f"contact {Contact.objects.get().pk}: address" in ran.out
    assert "0 done, 1 failed." in ran.out


def test_an_unbound_key_is_a_failure_and_not_a_traceback(connected: Sandbox) -> None:
    Member.objects.create(email=CANARY)
    contact(CANARY).memberships.create(key="patrons", member_key="site.member:1")
    ran = run("ctct_drain", "--verbosity=2")
    assert (ran.code, "ListNotBound" in ran.out) == (1, True)


def test_a_paused_account_is_said_and_makes_exit_code_1(connected: Sandbox) -> None:
    Member.objects.create(email=CANARY)
    Account.objects.update(paused_until=DatabaseNow() + timedelta(hours=1), pause_reason="credentials refused")
    ran = run("ctct_drain")
    assert ran.code == 1
    assert "Paused: credentials refused. What is due waits." in ran.out
    assert connected.requests() == []


def test_no_more_than_the_seconds_given_are_used(connected: Sandbox) -> None:
    Member.objects.create(email=CANARY)
    assert run("ctct_drain", "--seconds=0").out == "0 done, 0 failed.\n"


def test_a_loop_ends_after_the_seconds_given_with_exit_code_0(connected: Sandbox) -> None:
    Member.objects.create(email=CANARY)
    began = time.monotonic()
    ran = run("ctct_drain", "--loop", "--seconds=1")
    assert (ran.code, ran.out) == (0, "1 done, 0 failed.\n")
    assert 0.9 < time.monotonic() - began < 5


@pytest.mark.parametrize("word", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_lets_the_contact_in_hand_be_finished(connected: Sandbox, word: signal.Signals) -> None:
    Member.objects.create(email=CANARY)

    def stop(**_: object) -> None:
        signal.raise_signal(word)

    contact_synced.connect(stop)
    try:
        ran = run("ctct_drain", "--loop", "--seconds=20")
    finally:
        contact_synced.disconnect(stop)
    assert (ran.code, ran.out) == (0, "1 done, 0 failed.\n")
    seen = contact(CANARY)
    assert seen.applied_gen == seen.desired_gen


def test_the_signals_are_given_back_afterwards(connected: Sandbox) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run("ctct_drain")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_loop_that_waits_wakes_for_new_work_and_ends_on_sigterm(connected: Sandbox) -> None:
    environ = environment(connected.url)
    words = manage("ctct_drain", "--loop", "--verbosity=2")
    with subprocess.Popen(words, env=environ, cwd=ROOT, text=True, stdout=subprocess.PIPE) as process:
        try:
            Member.objects.create(email="first@example.com")
            _until(lambda: "first@example.com" in connected.contacts(), process)
            Member.objects.create(email=CANARY)
            _until(lambda: CANARY in connected.contacts(), process)
            process.send_signal(signal.SIGTERM)
            out, _err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0
    assert out.splitlines()[-1] == "2 done, 0 failed."
    assert CANARY not in out


def test_news_that_cannot_be_read_is_asked_for_once_and_not_again_and_again(connected: Sandbox) -> None:
    Member.objects.create(email="ada@example.com")
    Account.objects.update(pulled_at=DatabaseNow() - timedelta(days=1), pulled_to=DatabaseNow() - timedelta(days=1))
    Account.objects.update(lists_read_at=DatabaseNow())
    connected.fault("GET *contacts*", "status", status=503, times=50)
    ran = run("ctct_drain", "--seconds=20")
    assert ran.code == 1
    assert "news could not be read" in ran.out
    assert len(connected.requests()) == 1
