"""What her own word is good for: the whole table, each row from her act to the wire and back.

A consent of her own that is later than an opt-out covering the list undoes it, for the lists she named. Everything
else leaves her where she is: an older one, one at the same moment, one for another list, one that was used already,
one that somebody typed in her name, and one whose order to the opt-out cannot be told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db.models import F
from django.utils import timezone
from django.utils.translation import override

from django_ctct import acts, pull, services
from django_ctct.models import Consent, Contact, SyncState, WriteAttempt
from django_ctct.types import ConsentKind
from tests.account import Sandbox, by_wire, contact, make_due, run_due
from tests.site.models import Member

pytestmark = pytest.mark.sandbox
ADA = "ada@example.com"
OPTED_OUT_THERE, OPTED_OUT_HERE, LEFT_THE_LETTER = "there", "here", "the letter"
NEVER: set[str] = set()
LETTER, LETTER_AND_FREE = {"Newsletter"}, {"Newsletter", "Free members"}


@pytest.fixture
def ada(connected: Sandbox) -> Sandbox:
    """Ada is a member on *Free members* and *Newsletter*, in step."""
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    assert connected.lists_of(ADA) == LETTER_AND_FREE
    return connected


def look() -> None:
    """Read her afresh, and do what follows."""
    acts.sync_now([contact(ADA)])
    run_due()


def hear() -> None:
    """Let a pull tell what is new."""
    with services.connect("default") as link:
        pull.catch_up(link)


def comes_back(*keys: str, **more: Any) -> None:
    acts.resubscribe(contact(ADA), keys or ["newsletter"], method="preference page", **more)


def goes(box: Sandbox, how: str) -> datetime:
    """Let her opt out one way, carry it out, and return from when on that counts, as the books have it."""
    if how == OPTED_OUT_THERE:
        box.act(ADA, "unsubscribe")
        look()
        return _known_opt_out()
    if how == OPTED_OUT_HERE:
        acts.opt_out(contact(ADA))
        run_due()
        look()  # the server dates it a little later
        return _known_opt_out()
    acts.leave_list(ADA, "newsletter")
    run_due()
    return contact(ADA).list_opt_outs.get().at


def _known_opt_out() -> datetime:
    at, seen_at = contact(ADA).opted_out_at, contact(ADA).opted_out_seen_at
    assert at is not None
    return max(at, seen_at or at)


@dataclass(frozen=True)
class Row:
    """One row of the table: how she went, what she says when, and where she is afterwards."""

    went: str
    says: str
    keys: tuple[str, ...]
    later: timedelta
    ends_on: set[str]
    kind: ConsentKind = ConsentKind.CONTACT_ACTION

    def __str__(self) -> str:
        return f"{self.went}-{self.says}"


A_SECOND = timedelta(seconds=1)
A_TICK = timedelta(milliseconds=1)
SAME = timedelta()
TABLE = [
    *(Row(went, "before", ("newsletter",), -A_SECOND, NEVER) for went in (OPTED_OUT_THERE, OPTED_OUT_HERE)),
    *(Row(went, "just before", ("newsletter",), -A_TICK, NEVER) for went in (OPTED_OUT_THERE, OPTED_OUT_HERE)),
    *(Row(went, "at the same moment", ("newsletter",), SAME, NEVER) for went in (OPTED_OUT_THERE, OPTED_OUT_HERE)),
    *(Row(went, "just after", ("newsletter",), A_TICK, LETTER) for went in (OPTED_OUT_THERE, OPTED_OUT_HERE)),
    *(
        Row(went, "after, for both", ("newsletter", "free"), A_TICK, LETTER_AND_FREE)
        for went in (OPTED_OUT_THERE, OPTED_OUT_HERE)
    ),
    *(
        Row(went, "after, for a list the site does not want her on", ("sustainers",), A_TICK, NEVER)
        for went in (OPTED_OUT_THERE, OPTED_OUT_HERE)
    ),
    *(
        Row(went, "after, typed by whomever", ("newsletter",), A_TICK, NEVER, ConsentKind.REQUEST)
        for went in (OPTED_OUT_THERE, OPTED_OUT_HERE)
    ),
    Row(LEFT_THE_LETTER, "before", ("newsletter",), -A_SECOND, {"Free members"}),
    Row(LEFT_THE_LETTER, "at the same moment", ("newsletter",), SAME, {"Free members"}),
    Row(LEFT_THE_LETTER, "just after", ("newsletter",), A_TICK, LETTER_AND_FREE),
    Row(LEFT_THE_LETTER, "after, for another list", ("free",), A_TICK, {"Free members"}),
    Row(LEFT_THE_LETTER, "typed by whomever", ("newsletter",), A_TICK, {"Free members"}, ConsentKind.REQUEST),
]


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_her_word_counts_only_after_she_went_and_for_the_lists_she_named(ada: Sandbox, row: Row) -> None:
    went = goes(ada, row.went)
    ada.forget()
    comes_back(*row.keys, at=went + row.later, kind=row.kind)
    for _ in range(2):
        look()
        assert ada.lists_of(ADA) == row.ends_on
    refused = SyncState.IN_SYNC if row.ends_on == LETTER_AND_FREE else SyncState.REFUSED
    assert contact(ADA).state == refused
    own_act = by_wire("ACTION_BY_CONTACT", '"update_source":"Contact"')
    assert all((own_act in one["body"]) == (row.went != LEFT_THE_LETTER) for one in ada.writes())
    assert len(ada.writes()) == (row.ends_on not in (NEVER, {"Free members"}))


def leaves_the_letter_there(box: Sandbox) -> None:
    """Take back here what she left over there as well: only then is there anything to ask for."""
    acts.leave_list(ADA, "newsletter")
    box.act(ADA, "leave", list="Newsletter")


def unsubscribes_there(box: Sandbox) -> None:
    box.act(ADA, "unsubscribe")


@pytest.mark.parametrize("by_pull", [False, True])
@pytest.mark.parametrize(
    ("goes_there", "ends_on"), [(unsubscribes_there, NEVER), (leaves_the_letter_there, {"Free members"})]
)
def test_her_word_does_not_lift_what_the_site_had_not_heard_of(
    ada: Sandbox, goes_there: Callable[[Sandbox], None], ends_on: set[str], by_pull: bool
) -> None:
    goes_there(ada)
    ada.control("clock", {"advance": 1})  # v3 counts in whole seconds
    comes_back("newsletter", "free")
    if by_pull:
        hear()
    for _ in range(2):
        look()
        assert ada.lists_of(ADA) == ends_on
    comes_back("newsletter", "free")
    look()
    assert ada.lists_of(ADA) == LETTER_AND_FREE


def test_the_sites_own_opt_out_is_no_news_when_its_answer_was_lost(ada: Sandbox) -> None:
    acts.opt_out(contact(ADA))
    ada.fault(by_wire("DELETE *", "PUT *"), "reset_after", times=1)
    run_due()
    assert ada.status_of(ADA) == "Do Not Mail"
    ada.control("clock", {"advance": 1})  # v3 counts in whole seconds
    time.sleep(by_wire(0.01, 1.1))
    comes_back("newsletter")
    for _ in range(3):
        make_due()
        look()
    assert contact(ADA).opted_out_seen_at is None
    assert (ada.status_of(ADA), ada.lists_of(ADA)) == ("Active", LETTER)


def test_before_she_opts_out_a_consent_of_any_age_is_none_afterwards(ada: Sandbox) -> None:
    comes_back("newsletter", "free")
    look()
    ada.act(ADA, "unsubscribe")
    look()
    assert (ada.status_of(ADA), ada.lists_of(ADA)) == ("Do Not Mail", NEVER)


def test_a_consent_that_lies_ahead_is_dated_now(ada: Sandbox) -> None:
    comes_back(at=timezone.now() + timedelta(days=400))
    assert Consent.objects.get().at <= timezone.now() + A_SECOND
    acts.opt_out(contact(ADA))
    run_due()
    assert ada.status_of(ADA) == "Do Not Mail"


# Spent once


def test_a_consent_is_spent_by_the_return_it_brought(ada: Sandbox) -> None:
    goes(ada, OPTED_OUT_THERE)
    comes_back()
    run_due()
    assert ada.lists_of(ADA) == LETTER
    ada.act(ADA, "unsubscribe")
    ada.forget()
    for _ in range(3):
        look()
    assert (ada.status_of(ADA), ada.writes()) == ("Do Not Mail", [])


def test_a_consent_that_an_unclear_write_rests_on_is_not_sent_twice(ada: Sandbox) -> None:
    goes(ada, OPTED_OUT_THERE)
    comes_back()
    ada.forget()
    ada.fault("PUT */contacts/*", "status", status=500, body="Error 500: sorry")
    for _ in range(4):
        run_due()
        make_due()
    assert [one["method"] for one in ada.writes()] == ["PUT"]
    WriteAttempt.objects.update(at=F("at") - timedelta(minutes=11))  # the quarantine is over
    run_due()
    assert ada.lists_of(ADA) == LETTER


def test_an_opt_out_while_her_return_is_unclear_ends_the_consent(ada: Sandbox) -> None:
    goes(ada, OPTED_OUT_THERE)
    comes_back()
    # The return arrives, and its answer gets lost; then she opts out again.
    ada.fault("PUT */contacts/*", "reset_after", times=1)
    run_due()
    assert ada.lists_of(ADA) == LETTER
    ada.control("clock", {"advance": 1})  # v3 counts in whole seconds
    ada.act(ADA, "unsubscribe")
    WriteAttempt.objects.update(at=F("at") - timedelta(minutes=11))
    ada.forget()
    for _ in range(3):
        make_due()
        look()
    assert (ada.status_of(ADA), ada.writes()) == ("Do Not Mail", [])


# Two clocks


@contextmanager
def servers_clock(hours: float, box: Sandbox) -> Iterator[None]:
    """Let Constant Contact's clock be wrong. The database's, which dates consents, is not touched.

    The sandbox goes forward by its control. Behind it can only be by the clock of its process.
    """
    with ExitStack() as stack:
        if hours > 0:
            box.control("clock", {"advance": hours * 3600})
        else:
            stack.enter_context(time_machine.travel(timezone.now() + timedelta(hours=hours), tick=True))
        yield


SKEWS = [-26, -1, -0.01, 0.01, 1, 26]


@pytest.mark.parametrize("hours", SKEWS)
def test_whatever_the_servers_clock_says_who_opts_out_after_her_consent_stays_out(ada: Sandbox, hours: float) -> None:
    comes_back("newsletter", "free")
    look()
    with servers_clock(hours, ada):
        ada.act(ADA, "unsubscribe")
        for _ in range(2):
            look()
            assert (ada.status_of(ADA), ada.lists_of(ADA)) == ("Do Not Mail", NEVER)


@pytest.mark.parametrize("hours", SKEWS)
def test_whatever_the_servers_clock_says_who_opts_out_after_her_return_stays_out(ada: Sandbox, hours: float) -> None:
    with servers_clock(hours, ada):
        acts.opt_out(contact(ADA))
        run_due()
        Contact.objects.update(opted_out_at=F("opted_out_at") - timedelta(days=2))
        comes_back()
        run_due()
        if ada.lists_of(ADA) == LETTER:
            ada.act(ADA, "unsubscribe")
        for _ in range(2):
            look()
            assert ada.status_of(ADA) == "Do Not Mail"


def test_a_server_ahead_of_us_keeps_her_out_until_her_word_is_later_by_its_clock_too(ada: Sandbox) -> None:
    ada.control("clock", {"advance": 3600})
    ada.act(ADA, "unsubscribe")
    look()
    comes_back()
    look()
    assert ada.status_of(ADA) == "Do Not Mail", "on the safe side: the order of the two cannot be told"


# No time given


@pytest.fixture
def timeless(ada: Sandbox) -> Sandbox:
    """A wire whose answers tell that she opted out, and not when."""
    ada.switch(opt_out_shown=False)
    return ada


def test_without_a_time_an_opt_out_is_dated_by_its_first_sight(timeless: Sandbox) -> None:
    before = timezone.now()
    timeless.act(ADA, "unsubscribe")
    look()
    first = _known_opt_out()
    assert first >= before
    look()
    assert _known_opt_out() == first


def test_without_a_time_a_consent_counts_after_the_first_sight(timeless: Sandbox) -> None:
    timeless.act(ADA, "unsubscribe")
    look()
    comes_back()
    look()
    assert timeless.lists_of(ADA) == LETTER


def test_without_a_time_a_consent_before_the_first_sight_does_not_count(timeless: Sandbox) -> None:
    timeless.act(ADA, "unsubscribe")
    comes_back()
    for _ in range(2):
        look()
        assert timeless.status_of(ADA) == "Do Not Mail"


def test_without_a_time_a_second_opt_out_is_not_taken_for_the_first(timeless: Sandbox) -> None:
    timeless.act(ADA, "unsubscribe")
    look()
    timeless.act(ADA, "join", list="Newsletter")
    comes_back()
    look()
    assert timeless.lists_of(ADA) == LETTER
    timeless.act(ADA, "unsubscribe")
    for _ in range(2):
        look()
        assert timeless.status_of(ADA) == "Do Not Mail"


# Who may say it


def test_staff_cannot_consent_for_her(ada: Sandbox) -> None:
    goes(ada, OPTED_OUT_HERE)
    with pytest.raises(ValueError, match="Staff cannot consent for her"):
        comes_back(actor="sam")
    with pytest.raises(ValueError, match="Staff cannot consent for her"):
        comes_back(actor="sam", kind="contact_action")
    assert not Consent.objects.exists()


def test_what_staff_write_down_is_kept_and_undoes_nothing(ada: Sandbox) -> None:
    goes(ada, OPTED_OUT_HERE)
    comes_back(actor="sam", kind=ConsentKind.REQUEST, evidence="She rang, ticket 12")
    look()
    assert ada.status_of(ADA) == "Do Not Mail"
    kept = Consent.objects.get()
    assert (kept.kind, kept.actor, kept.evidence) == ("request", "sam", "She rang, ticket 12")


def test_a_request_does_not_make_her_own_leaving_into_one_of_staff(ada: Sandbox) -> None:
    goes(ada, LEFT_THE_LETTER)
    comes_back(kind=ConsentKind.REQUEST)
    acts.leave_all_lists(contact(ADA))
    acts.lift_removal(contact(ADA))
    run_due()
    assert ada.lists_of(ADA) == {"Free members"}


def test_what_she_was_shown_is_kept_with_its_language(ada: Sandbox) -> None:
    with override("de-at"):
        comes_back(wording="Ja, schreibt mir")
    comes_back(wording="Yes, write to me", language="en")
    comes_back()
    assert [one.language for one in Consent.objects.order_by("pk")] == ["de-at", "en", ""]
