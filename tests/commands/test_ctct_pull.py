"""``ctct_pull``: what changed, or all of it, and how far it came."""

from __future__ import annotations

import pytest

from django_ctct import pull, services
from django_ctct.models import Account, Contact
from tests.account import LISTS, Sandbox, by_wire, with_wrong_secret

from .run import run

pytestmark = pytest.mark.sandbox

FREE = LISTS["free"]


def fill(box: Sandbox, many: int) -> None:
    box.reset(*({"email": f"p{number}@example.com", "lists": [FREE]} for number in range(many)))


def test_the_first_pull_reads_every_contact_and_says_what_comes_next(connected: Sandbox) -> None:
    fill(connected, 3)
    Account.objects.update(approved_at=None)
    done = run("ctct_pull")
    assert done.code == 0
    assert done.out.startswith("3 contacts read, 3 of them new here, 0 to be looked at again.")
    assert "ctct_plan --approve" in done.out
    assert connected.writes() == []


def test_a_later_one_tells_how_far_the_news_goes(connected: Sandbox) -> None:
    fill(connected, 1)
    run("ctct_pull")
    connected.add("new@example.com", FREE)
    done = run("ctct_pull")
    assert "1 of them new here" in done.out
    assert "is known here" in done.out


def test_a_full_pull_goes_on_where_it_was_stopped(connected: Sandbox) -> None:
    fill(connected, by_wire(120, 1100))
    stopped = run("ctct_pull", "--seconds=-1")
    assert "run it again to go on" in stopped.out
    seen = Account.objects.get().walk_seen
    assert 0 < seen < by_wire(120, 1100)
    done = run("ctct_pull", "--full")
    assert done.code == 0
    assert Contact.objects.count() == by_wire(120, 1100)
    assert Account.objects.get().walk == 1


def test_the_progress_goes_on_through_the_members_of_lists(connected: Sandbox) -> None:
    fill(connected, 7)
    steps: list[int] = []
    with services.connect("default") as link:
        done = pull.pull(link, watch=lambda told: steps.append(told.rows))
    assert done.seen == 7
    assert steps[-1] == by_wire(14, 7), "v1 tells of each member of a list once more"


def test_a_restored_database_is_read_anew(connected: Sandbox) -> None:
    fill(connected, 3)
    run("ctct_pull")
    done = run("ctct_pull", "--restored")
    assert done.code == 0
    assert Account.objects.get().walk == 2
    assert "is known here" in done.out


def test_what_cannot_be_read_is_said_in_a_sentence_and_ends_in_1(connected: Sandbox) -> None:
    fill(connected, 1)
    connected.fault("GET *", "status", status=503, times=20)
    done = run("ctct_pull")
    assert done.code == 1
    assert "run it again" in done.out
    assert "Traceback" not in done.out + done.error


def test_wrong_credentials_end_in_1(connected: Sandbox, settings) -> None:  # type: ignore[no-untyped-def]
    settings.CTCT = with_wrong_secret(settings.CTCT, "wrong")
    assert run("ctct_pull").code == 1
    assert Account.objects.get().paused_until is not None
    assert "paused" in run("ctct_pull").out
