"""``ctct_mirror``: what was changed behind Django's signals is found."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from typing import Any, ClassVar

import pytest

from django_ctct.management.commands.ctct_mirror import Command
from django_ctct.models import Membership
from tests.account import contact
from tests.commands.run import CANARY, ROOT, environment, hints, manage, run
from tests.site.models import Member


@pytest.fixture
def five(db: None) -> list[Member]:
    """Five members who came in by a bulk write, so that no signal told of them."""
    return Member.objects.bulk_create(Member(email=f"member{n}@example.com") for n in range(5))


def test_members_who_came_by_a_bulk_write_are_found_and_counted(five: list[Member]) -> None:
    ran = run("ctct_mirror")
    assert (ran.code, ran.out) == (0, "site.Member in default: 5 members, 5 changed.\n")
    assert Membership.objects.filter(key="free").count() == 5


def test_a_second_run_changes_nothing(five: list[Member]) -> None:
    run("ctct_mirror")
    assert run("ctct_mirror").out == "site.Member in default: 5 members, 0 changed.\n"


def test_a_member_who_was_deleted_behind_our_back_is_forgotten(five: list[Member]) -> None:
    run("ctct_mirror")
    Member.objects.filter(pk=five[0].pk)._raw_delete("default")
    run("ctct_mirror")
    assert Membership.objects.count() == 4


def test_members_whose_address_cannot_be_kept_are_listed_by_key_and_not_by_address(db: None) -> None:
    member = Member(email="x" * 300 + CANARY)
    Member.objects.bulk_create([member])
    ran = run("ctct_mirror")
    assert ran.code == 1, "somebody has to look"
    assert f"site.member:{member.pk}: the address is too long" in ran.out
    assert CANARY not in ran.out


def test_it_runs_for_one_account_only_when_asked(five: list[Member], settings: Any) -> None:
    accounts = settings.CTCT["ACCOUNTS"]
    settings.CTCT = {**settings.CTCT, "ACCOUNTS": {**accounts, "other": accounts["default"]}}
    ran = run("ctct_mirror", "--account=other")
    assert "No adapter in CTCT['ADAPTERS'] serves this account" in ran.out
    assert Membership.objects.count() == 0


class Talkative(Command):
    """Tells of every step, as a long run does every ten seconds."""

    plain_every: ClassVar[float] = 0.0


def test_progress_is_plain_lines_where_there_is_no_terminal(five: list[Member]) -> None:
    lines = run(Talkative()).out.splitlines()
    assert lines[:5] == [f"site.Member mirrored: {n} of 5" for n in range(1, 6)]
    assert "\x1b" not in "".join(lines)


def on_a_terminal(*words: str) -> tuple[str, str]:
    """Run a command in a process whose errors go to a terminal. Return what it printed, and what stood there."""
    terminal, end = pty.openpty()
    shown = b""
    with subprocess.Popen(
        words, env=environment(TERM="xterm"), cwd=ROOT, stdout=subprocess.PIPE, stderr=end
    ) as process:
        os.close(end)
        while piece := _read(terminal):
            shown += piece
        assert process.stdout is not None
        printed = process.stdout.read().decode()
    os.close(terminal)
    assert process.returncode == 0, shown
    return printed, shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # nobody writes there any more
        return b""


@pytest.mark.django_db(transaction=True)
def test_progress_is_a_bar_on_a_terminal() -> None:
    Member.objects.bulk_create(Member(email=f"member{n}@example.com") for n in range(5))
    printed, shown = on_a_terminal(*manage("ctct_mirror"))
    assert printed == "site.Member in default: 5 members, 5 changed.\n"
    assert re.search("site.Member mirrored.*100%", shown)
    assert "example.com" not in shown


@pytest.mark.django_db(transaction=True)
def test_no_bar_is_drawn_where_nothing_is_to_be_said() -> None:
    assert on_a_terminal(*manage("ctct_mirror", "--verbosity=0")) == ("", "")


def test_verbosity_0_says_nothing(five: list[Member]) -> None:
    assert run("ctct_mirror", "--verbosity=0").out == ""


def test_an_adapter_that_cannot_be_imported_is_one_sentence(settings: Any, db: None) -> None:
    settings.CTCT = {**settings.CTCT, "ADAPTERS": ["tests.site.ctct.Membres"]}
    ran = run("ctct_mirror")
    assert ran.code == 1
    assert "CTCT['ADAPTERS'] names 'tests.site.ctct.Membres', which cannot be imported" in ran.error


def test_what_it_marks_is_due(five: list[Member]) -> None:
    run("ctct_mirror")
    assert contact("member0@example.com").due_at is not None


def test_a_worker_is_told_after_the_commit(transactional_db: None) -> None:
    Member.objects.bulk_create([Member(email="ada@example.com")])
    with hints() as told:
        run("ctct_mirror")
        assert set(told) == {"default"}
