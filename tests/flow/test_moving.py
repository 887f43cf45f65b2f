"""A site moves from v1 to v3: ids change, and nothing else does."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_ctct import acts, catalogue, drain, moving, services
from django_ctct.admin.trouble import trouble
from django_ctct.management.health import examine
from django_ctct.models import (
    Account,
    Contact,
    ContactList,
    DatabaseNow,
    Hold,
    ListOptOut,
    RemoteMembership,
    SyncState,
    WriteAttempt,
)
from django_ctct.moving import Found, Move, MoveRefused
from django_ctct.types import ContactStatus, OptOutSource, Outcome
from tests.account import LISTS, UNMANAGED, Sandbox, contact, run_due
from tests.sandbox.v3_rules import UUID
from tests.settings import WIRES
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

ADA, BOB, DORA, LEO, REX = (f"{name}@example.com" for name in ("ada", "bob", "dora", "leo", "rex"))
NUMBER = "[0-9]+"

Switch = Callable[[str], None]


@pytest.fixture
def speak(box: Sandbox, settings: Any) -> Switch:
    """Change the account's wire, as a site owner does in the settings."""

    def change(wire: str) -> None:
        account = {**settings.CTCT["ACCOUNTS"]["default"], **WIRES[wire]}
        settings.CTCT = box.point({**settings.CTCT, "ACCOUNTS": {"default": account}})

    return change


@pytest.fixture
def on_v1(box: Sandbox, speak: Switch, transactional_db: None) -> Sandbox:
    """A site that speaks v1, with its lists bound, whatever wire the suite runs over."""
    speak("v1")
    box.bind()
    return box


@pytest.fixture(params=["on", "off"])
def xrefs(request: pytest.FixtureRequest, on_v1: Sandbox) -> bool:
    """Whether the cross-reference still answers."""
    on_v1.switch(xrefs=request.param == "on")
    return bool(request.param == "on")


def planned() -> Move:
    with services.connect("default") as link:
        return moving.plan_move(link)


def move() -> Move:
    with services.connect("default") as link:
        plan = moving.plan_move(link)
        moving.move(link, plan)
    return plan


def rows(*, without: tuple[str, ...] = ()) -> dict[str, list[dict[str, Any]]]:
    """Return every row that the package keeps, but for its counts of calls."""
    models = [
        one for one in apps.get_app_config("django_ctct").get_models() if one.__name__ not in ("Account", "Quota")
    ]
    return {
        one.__name__: [
            {name: value for name, value in row.items() if name not in without}
            for row in one._base_manager.order_by("pk").values()
        ]
        for one in models
    }


def ids(model: type[Contact] | type[ContactList]) -> list[str | None]:
    return list(model.objects.values_list("remote_id", flat=True))


def matches(pattern: str, found: list[str | None]) -> bool:
    return bool(found) and all(one is not None and re.fullmatch(pattern, one) for one in found)


def look_at(email: str) -> None:
    """Make a contact due, without a new wish."""
    Contact.objects.filter(email=email).update(due_at=DatabaseNow())


def look_at_all() -> None:
    Contact.objects.filter(hold="").update(due_at=DatabaseNow())


def row_of(name: str) -> ContactList:
    return ContactList.objects.get(name=name, key__isnull=False)


def new_id(box: Sandbox, name: str) -> str:
    return str(next(one["uuid"] for one in box.control("state", method="GET")["lists"] if one["name"] == name))


def test_a_synced_site_moves_and_nothing_but_ids_changes(on_v1: Sandbox, speak: Switch, xrefs: bool) -> None:
    Member.objects.create(email=ADA, is_sustainer=True, first_name="Ada")
    bob = Member.objects.create(email=BOB)
    run_due()
    on_v1.act(ADA, "join", list=UNMANAGED)
    look_at(ADA)
    run_due()
    before = rows(without=("remote_id",))
    assert matches(NUMBER, [*ids(Contact), *ids(ContactList)])
    speak("v3")
    on_v1.forget()
    plan = move()
    assert on_v1.writes() == []
    assert plan.count(Found.BY_ID if xrefs else Found.BY_ADDRESS) == 2
    assert rows(without=("remote_id",)) == before, "wishes, opt-outs, base and journal stay as they were"
    assert matches(UUID, [*ids(Contact), *ids(ContactList)])
    look_at_all()
    on_v1.forget()
    assert [result.error for result in run_due()] == [None, None]
    assert on_v1.writes() == [], "nothing differs, so nothing is written"
    assert ListOptOut.objects.count() == 0
    bob.is_sustainer = True
    bob.save()
    run_due()
    assert on_v1.lists_of(BOB) == {LISTS["free"], LISTS["sustainers"]}
    assert on_v1.lists_of(ADA) == {LISTS["free"], LISTS["sustainers"], UNMANAGED}
    assert sorted(on_v1.contacts()) == [ADA, BOB], "nobody is there twice"


def test_an_upgrade_that_waited_arrives_over_the_new_wire(on_v1: Sandbox, speak: Switch, xrefs: bool) -> None:
    ada = Member.objects.create(email=ADA)
    run_due()
    ada.is_sustainer = True
    ada.save()
    Member.objects.create(email=BOB)
    wished = contact(ADA).desired_gen
    speak("v3")
    move()
    assert (contact(ADA).desired_gen, contact(ADA).state) == (wished, SyncState.PENDING)
    on_v1.forget()
    run_due()
    assert {one["path"].split("/")[1] for one in on_v1.writes()} == {"v3"}
    assert on_v1.lists_of(ADA) == {LISTS["free"], LISTS["sustainers"]}
    assert on_v1.lists_of(BOB) == {LISTS["free"]}
    assert sorted(on_v1.contacts()) == [ADA, BOB]


def test_who_opted_out_stays_out(on_v1: Sandbox, speak: Switch, xrefs: bool) -> None:
    member = Member.objects.create(email=DORA)
    Member.objects.create(email=LEO)
    run_due()
    on_v1.act(DORA, "unsubscribe")
    look_at(DORA)
    acts.opt_out(contact(LEO))
    run_due()
    speak("v3")
    move()
    member.is_sustainer = True
    member.save()
    look_at_all()
    on_v1.forget()
    run_due()
    assert on_v1.writes() == []
    assert {on_v1.status_of(one) for one in (DORA, LEO)} == {"Do Not Mail"}
    assert {contact(one).status for one in (DORA, LEO)} == {ContactStatus.DO_NOT_MAIL.value}


@pytest.mark.parametrize("when", ["before the move", "after the move"])
def test_who_left_a_list_over_there_stays_off(on_v1: Sandbox, speak: Switch, xrefs: bool, when: str) -> None:
    member = Member.objects.create(email=LEO, is_sustainer=True)
    run_due()
    if when == "before the move":
        on_v1.act(LEO, "leave", list=LISTS["sustainers"])
    speak("v3")
    move()
    if when == "after the move":
        on_v1.act(LEO, "leave", list=LISTS["sustainers"])
    member.wants_newsletter = True
    member.save()
    run_due()
    assert on_v1.lists_of(LEO) == {LISTS["free"], LISTS["newsletter"]}
    left = ListOptOut.objects.get()
    assert (left.list, left.source) == (row_of(LISTS["sustainers"]), OptOutSource.REMOTE.value)


def test_an_opt_out_of_one_list_goes_with_the_list(on_v1: Sandbox, speak: Switch, xrefs: bool) -> None:
    Member.objects.create(email=LEO, is_sustainer=True)
    run_due()
    acts.leave_list(LEO, "sustainers")
    run_due()
    speak("v3")
    move()
    look_at(LEO)
    on_v1.forget()
    run_due()
    assert (on_v1.writes(), on_v1.lists_of(LEO)) == ([], {LISTS["free"]})


def test_who_was_renamed_over_there_is_held_for_review_and_never_made_twice(
    on_v1: Sandbox, speak: Switch, xrefs: bool
) -> None:
    member = Member.objects.create(email=REX)
    Member.objects.create(email=ADA)  # whose number and address agree, so that numbers are believed
    run_due()
    on_v1.act(REX, "edit", to="rex.new@example.com")
    speak("v3")
    plan = move()
    by_number = {REX: Found.BY_ID, ADA: Found.BY_ID}
    by_address = {REX: Found.NOWHERE, ADA: Found.BY_ADDRESS}
    assert {one.email: one.how for one in plan.contacts} == (by_number if xrefs else by_address)
    member.is_sustainer = True
    member.save()
    on_v1.forget()
    run_due()
    held = contact(REX)
    assert (held.hold, held.error_code) == (Hold.REVIEW, "renamed")
    assert (on_v1.writes(), sorted(on_v1.contacts())) == ([], [ADA, "rex.new@example.com"])
    assert planned().is_done, "a person has to look; there is nothing left for the command"


def test_a_renamed_contact_whose_address_was_put_right_is_found_by_the_next_move(on_v1: Sandbox, speak: Switch) -> None:
    Member.objects.create(email=REX)
    run_due()
    on_v1.switch(xrefs=False)
    on_v1.act(REX, "edit", to="rex.new@example.com")
    speak("v3")
    move()
    on_v1.act("rex.new@example.com", "edit", to=REX)
    assert move().count(Found.BY_ADDRESS) == 1
    assert matches(UUID, ids(Contact))
    assert contact(REX).hold == Hold.REVIEW, "a person releases her, as ever"


def test_a_plan_writes_nothing_here_and_nothing_there(on_v1: Sandbox, speak: Switch, xrefs: bool) -> None:
    Member.objects.create(email=ADA)
    run_due()
    speak("v3")
    before = rows()
    on_v1.forget()
    plan = planned()
    assert (len(plan.contacts), len(plan.lists), plan.is_done) == (1, 4, False)
    assert rows() == before
    assert set(on_v1.methods()) == {"GET"}


@pytest.mark.parametrize("trouble", ["renamed", "deleted and made anew", "another list took the name"])
def test_a_managed_list_without_a_certain_counterpart_stops_the_whole_move(
    on_v1: Sandbox, speak: Switch, trouble: str
) -> None:
    Member.objects.create(email=ADA)
    run_due()
    with services.connect("default") as link:
        free, board = row_of(LISTS["free"]), ContactList.objects.get(name=UNMANAGED)
        if trouble == "deleted and made anew":
            link.backend.delete_list(free.remote_id)
            link.backend.create_list(free.name)
            catalogue.read_lists(link)
        else:
            link.backend.rename_list(free.remote_id, "Gratis")
        if trouble == "another list took the name":
            link.backend.rename_list(board.remote_id, free.name)
    speak("v3")
    before = rows()
    with services.connect("default") as link:
        plan = moving.plan_move(link)
        assert [one.key for one in plan.lost] == ["free"]
        with pytest.raises(MoveRefused, match=re.escape("Free members (free)")):
            moving.move(link, plan)
    assert rows() == before


def test_two_rows_of_one_name_are_told_apart_by_nobody_without_the_cross_reference(
    on_v1: Sandbox, speak: Switch
) -> None:
    on_v1.switch(xrefs=False)
    with services.connect("default") as link:
        board = ContactList.objects.get(name=UNMANAGED)
        link.backend.delete_list(board.remote_id)
        link.backend.create_list(UNMANAGED)
        catalogue.read_lists(link)
    speak("v3")
    assert {one.row.name: one.to is None for one in planned().lists if one.row.name == UNMANAGED} == {UNMANAGED: True}
    move()
    assert sorted(len(one or "") for one in ids(ContactList)) == [1, 1, 36, 36, 36], "the two stay as they were"


def lists_read_too_early() -> dict[str, ContactList]:
    """Read the lists over the new wire before the move: each then has a second row, without a key."""
    with services.connect("default") as link:
        catalogue.read_lists(link)
    return {one.name: one for one in ContactList.objects.filter(key=None, remote_id__regex="-")}


def test_second_rows_of_lists_become_one_with_the_first_and_nothing_known_is_lost(
    on_v1: Sandbox, speak: Switch, xrefs: bool
) -> None:
    for email in (ADA, BOB, LEO):
        Member.objects.create(email=email, is_sustainer=True)
    run_due()
    acts.leave_list(LEO, "sustainers")
    run_due()
    speak("v3")
    double = lists_read_too_early()
    first, second = row_of(LISTS["free"]), double[LISTS["free"]]
    RemoteMembership.objects.filter(contact=contact(ADA), list=first).update(list=second)
    RemoteMembership.objects.create(contact=contact(BOB), list=second)
    sustainers = double[LISTS["sustainers"]]
    left = ListOptOut.objects.get()
    later = left.at + timedelta(days=1)
    ListOptOut.objects.create(contact=contact(LEO), list=sustainers, at=later, source=left.source)
    ListOptOut.objects.create(contact=contact(BOB), list=sustainers, at=left.at, source=left.source)
    move()
    assert ContactList.objects.count() == 4
    assert {one.key for one in ContactList.objects.filter(missing_since=None)} == {*LISTS, None}
    free = row_of(LISTS["free"])
    assert set(free.remote_memberships.values_list("contact__email", flat=True)) == {ADA, BOB, LEO}
    out = dict(row_of(LISTS["sustainers"]).opt_outs.values_list("contact__email", "at"))
    assert out == {LEO: later, BOB: left.at}


def test_a_list_that_was_bound_again_by_hand_keeps_its_new_row_and_what_the_old_one_knew(
    on_v1: Sandbox, speak: Switch, xrefs: bool
) -> None:
    Member.objects.create(email=LEO, is_sustainer=True)
    run_due()
    acts.leave_list(LEO, "free")
    run_due()
    speak("v3")
    double = lists_read_too_early()
    for key, name in LISTS.items():
        catalogue.bind_list(double[name].account, key, double[name].remote_id)
    move()
    assert {one.key: one.name for one in ContactList.objects.exclude(key=None)} == LISTS
    assert ListOptOut.objects.get().list == row_of(LISTS["free"])
    on_v1.forget()
    run_due()
    assert (on_v1.writes(), on_v1.lists_of(LEO)) == ([], {LISTS["sustainers"]})


def test_a_list_that_another_key_has_already_is_not_given_to_a_second(on_v1: Sandbox, speak: Switch) -> None:
    speak("v3")
    double = lists_read_too_early()
    ContactList.objects.filter(pk=double[LISTS["free"]].pk).update(key="gratis")
    assert [one.key for one in planned().lost] == ["free"]


def test_while_a_worker_is_at_a_contact_nothing_moves(on_v1: Sandbox, speak: Switch) -> None:
    Member.objects.create(email=ADA)
    run_due()
    speak("v3")
    soon = DatabaseNow() + timedelta(seconds=60)
    Contact.objects.update(lease_until=soon, lease_token="00000000-0000-4000-8000-000000000001")
    before = rows()
    with pytest.raises(MoveRefused, match="Stop the workers"):
        move()
    assert rows() == before


@pytest.mark.parametrize("outcome", [Outcome.OPEN, Outcome.AMBIGUOUS])
def test_while_the_end_of_a_write_is_open_nothing_moves_however_old_it_is(
    on_v1: Sandbox, speak: Switch, outcome: Outcome
) -> None:
    """Its lists are told by their old ids: read under the new ones, our own removal would look like a departure."""
    Member.objects.create(email=ADA)
    run_due()
    WriteAttempt.objects.update(outcome=outcome.value, at=DatabaseNow() - timedelta(days=3))
    speak("v3")
    with pytest.raises(MoveRefused, match="The last write of 1 contacts has no known end"):
        move()
    assert matches(NUMBER, ids(Contact))
    speak("v1")
    look_at(ADA)
    run_due()
    speak("v3")
    move()
    assert matches(UUID, ids(Contact))


def test_a_second_move_has_nothing_to_do_and_asks_nothing(on_v1: Sandbox, speak: Switch, xrefs: bool) -> None:
    Member.objects.create(email=ADA)
    run_due()
    speak("v3")
    move()
    on_v1.forget()
    before = rows()
    assert (move().is_done, on_v1.requests(), rows()) == (True, [], before)


def test_an_id_that_another_row_has_already_is_not_given_twice(on_v1: Sandbox, speak: Switch) -> None:
    Member.objects.create(email=ADA)
    run_due()
    uuid = on_v1.contacts()[ADA]["uuid"]
    account = contact(ADA).account
    Contact.objects.create(account=account, email=BOB, remote_id=uuid)
    speak("v3")
    move()
    assert contact(BOB).remote_id == uuid
    look_at(ADA)
    on_v1.forget()
    run_due()
    assert (contact(ADA).remote_id, contact(BOB).remote_id, on_v1.writes()) == (uuid, None, [])


def test_numbers_of_another_api_name_nobody(on_v1: Sandbox, speak: Switch) -> None:
    for email in (ADA, BOB, REX):
        Member.objects.create(email=email)
    run_due()
    on_v1.act(REX, "edit", to="rex.new@example.com")
    on_v1.switch(xref_numbers="v2")
    speak("v3")
    assert {one.email: one.how for one in move().contacts} == {
        ADA: Found.BY_ADDRESS,
        BOB: Found.BY_ADDRESS,
        REX: Found.NOWHERE,
    }
    there = on_v1.contacts()
    assert {one: contact(one).remote_id for one in (ADA, BOB)} == {one: there[one]["uuid"] for one in (ADA, BOB)}


def test_numbers_that_nothing_bears_out_are_not_believed(on_v1: Sandbox, speak: Switch) -> None:
    Member.objects.create(email=REX)
    run_due()
    on_v1.act(REX, "edit", to="rex.new@example.com")
    speak("v3")
    assert move().count(Found.NOWHERE) == 1
    assert contact(REX).hold == Hold.REVIEW


def test_1200_contacts_move_in_three_cross_references_and_few_queries(on_v1: Sandbox, speak: Switch) -> None:
    emails = [f"m{number}@example.com" for number in range(1200)]
    on_v1.control("reset", {"lists": [*LISTS.values(), UNMANAGED], "contacts": [{"email": one} for one in emails]})
    known = on_v1.contacts()
    account = row_of(LISTS["free"]).account
    Contact.objects.bulk_create(Contact(account=account, email=one, remote_id=str(known[one]["id"])) for one in emails)
    speak("v3")
    on_v1.forget()
    with CaptureQueriesContext(connection) as queries:
        assert move().count(Found.BY_ID) == 1200
    asked = [one["path"].partition("?")[0] for one in on_v1.requests()]
    assert asked == [
        "/v3/contact_lists",
        "/v3/contact_lists/list_id_xrefs",
        *["/v3/contacts/contact_id_xrefs"] * 3,
        *["/v3/contacts"] * 3,
    ]
    assert len(queries) < 100
    assert {one.email: one.remote_id for one in Contact.objects.all()} == {one: known[one]["uuid"] for one in emails}


def test_1200_contacts_are_found_by_address_in_three_pages(on_v1: Sandbox, speak: Switch) -> None:
    emails = [f"m{number}@example.com" for number in range(1200)]
    on_v1.control("reset", {"lists": [*LISTS.values(), UNMANAGED], "contacts": [{"email": one} for one in emails]})
    account = row_of(LISTS["free"]).account
    Contact.objects.bulk_create(
        Contact(account=account, email=one, remote_id=str(7000 + number)) for number, one in enumerate(emails)
    )
    on_v1.switch(xrefs=False)
    speak("v3")
    on_v1.forget()
    assert move().count(Found.BY_ADDRESS) == 1200
    assert sum(one["path"].startswith("/v3/contacts?") for one in on_v1.requests()) == 3
    assert matches(UUID, ids(Contact))


def test_the_journal_keeps_its_ids_and_staff_pages_show_it(on_v1: Sandbox, speak: Switch, admin_client: Client) -> None:
    Member.objects.create(email=ADA)
    run_due()
    free = row_of(LISTS["free"]).remote_id
    speak("v3")
    move()
    assert WriteAttempt.objects.get().lists_after == [free], "it tells what was sent"
    pages = [
        reverse("admin:django_ctct_contact_change", args=[contact(ADA).pk]),
        reverse("admin:django_ctct_writeattempt_changelist"),
        reverse("admin:django_ctct_contactlist_changelist"),
    ]
    for page in pages:
        assert admin_client.get(page).status_code == 200


def test_a_plan_that_is_old_by_the_time_changes_nobody_who_was_found_meanwhile(on_v1: Sandbox, speak: Switch) -> None:
    Member.objects.create(email=ADA)
    run_due()
    speak("v3")
    with services.connect("default") as link:
        plan = moving.plan_move(link)
        Contact.objects.update(remote_id="00000000-0000-4000-8000-000000000009")
        moving.move(link, plan)
    assert contact(ADA).remote_id == "00000000-0000-4000-8000-000000000009"


def test_who_alone_is_left_and_found_nowhere_is_still_to_be_held(on_v1: Sandbox, speak: Switch) -> None:
    speak("v3")
    move()
    speak("v1")
    Contact.objects.create(
        account=row_of(LISTS["free"]).account, email=REX, remote_id="7", desired_gen=1, applied_gen=1
    )
    on_v1.switch(xrefs=False)
    speak("v3")
    assert not planned().is_done
    move()
    assert (contact(REX).hold, contact(REX).remote_id, planned().is_done) == (Hold.REVIEW, "7", True)


def test_before_the_move_nobody_is_looked_at_over_the_new_wire(on_v1: Sandbox, speak: Switch) -> None:
    """Under the old ids of the lists, all their members would seem to have left them."""
    member = Member.objects.create(email=ADA)
    run_due()
    speak("v3")
    member.is_sustainer = True
    member.save()
    on_v1.forget()
    outcome = drain.drain("default")
    assert (outcome.done, outcome.failed, on_v1.requests()) == (0, 0, [])
    assert outcome.paused == "its lists have ids of another API: run ctct_move"
    assert (ListOptOut.objects.count(), contact(ADA).attempts) == (0, 0)
    move()
    run_due()
    assert on_v1.lists_of(ADA) == {LISTS["free"], LISTS["sustainers"]}


def test_a_worker_that_still_speaks_the_old_wire_takes_nobody_for_gone(on_v1: Sandbox, speak: Switch) -> None:
    Member.objects.create(email=ADA)
    run_due()
    speak("v3")
    move()
    speak("v1")
    look_at(ADA)
    with services.connect("default") as link:
        result = services.reconcile(link, contact(ADA).pk)
    assert str(result.error) == "The account's lists have ids of another API: run ctct_move."
    assert ListOptOut.objects.count() == 0


def test_who_was_held_as_renamed_is_not_made_a_second_time_when_staff_let_her_go(on_v1: Sandbox, speak: Switch) -> None:
    Member.objects.create(email=REX)
    run_due()
    on_v1.switch(xrefs=False)
    on_v1.act(REX, "edit", to="rex.new@example.com")
    speak("v3")
    move()
    acts.sync_now([contact(REX)])
    run_due()
    assert (contact(REX).hold, sorted(on_v1.contacts())) == (Hold.REVIEW, ["rex.new@example.com"])


def test_staff_are_told_that_an_account_waits_for_its_move(on_v1: Sandbox, speak: Callable[[str], None]) -> None:
    account = Account.objects.for_alias("default")
    assert trouble(account) is None
    speak("v3")
    told = trouble(account)
    assert told is not None
    assert "ctct_move" in told.advice
    assert any("ctct_move" in one for one in examine("default").problems())
