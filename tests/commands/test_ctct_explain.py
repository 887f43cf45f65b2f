"""``ctct_explain``: why one person is, or is not, on her lists."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_ctct import acts, vault
from django_ctct.models import Account, Consent, Contact, DatabaseNow, ListOptOut, Membership, Suppression
from django_ctct.types import ConsentKind
from tests.account import UNMANAGED, Sandbox, by_wire, contact, make_due, run_due, with_wrong_secret
from tests.commands.run import Ran, run
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

ADA = "ada@example.com"


def explain(*more: str) -> Ran:
    return run("ctct_explain", " Ada@Example.com ", *more)


def test_someone_in_sync_is_said_to_be_and_each_rule_is_named(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    ran = explain()
    lines = ran.out.splitlines()
    assert lines[0] == f"{ADA} in the account default: In sync"
    assert "She is wanted on Free members and Newsletter and is on them" in lines[1]
    assert f"  site.member:{member.pk}" in lines
    assert "    yes  free        by Member.is_free" in lines
    assert "    no   sustainers  by Member.is_sustainer" in lines
    assert "    yes  newsletter  by Member.reads_the_letter" in lines
    assert "    written down: free, newsletter" in lines
    assert ran.code == 0


def test_a_change_under_way_says_what_will_happen_on_each_list(connected: Sandbox) -> None:
    connected.add(ADA, "Free members", UNMANAGED)
    member = Member.objects.create(email=ADA)
    run_due()
    member.is_free, member.is_sustainer = False, True
    member.save()
    out = explain().out
    assert "Pending" in out.splitlines()[0]
    assert "Free members  free        no           yes" in out
    assert "will be taken off" in out
    assert "Sustainers    sustainers  yes          no" in out
    assert "not managed: never touched" in out
    assert "The site wants her on Sustainers, and she is not on it." in out
    assert "next try: " in out


def test_by_the_address_that_is_being_given_up_she_is_found_too(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA)
    run_due()
    member.email = "ada.new@example.com"
    member.save()
    ran = explain()
    assert ran.code == 0
    assert ran.out.splitlines()[:2] == [
        f"{ADA} is being changed: Constant Contact still knows her by it.",
        "ada.new@example.com in the account default: Pending",
    ]
    assert f"  site.member:{member.pk}" in ran.out.splitlines()
    assert ran.out.partition("\n")[2] == run("ctct_explain", member.email).out
    run_due()
    assert explain().code == 1


def test_it_calls_nobody_unless_it_is_asked_to(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    connected.forget()
    explain()
    assert connected.requests() == []
    explain("--live")
    assert connected.methods() == ["GET"]


def test_live_shows_what_is_there_now_and_what_would_be_done(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    connected.act(ADA, "leave", list="Free members")
    ran = explain("--live")
    assert "Constant Contact, now" in ran.out
    assert "Removed, on no list" in ran.out
    assert "what would be done: refuse: has left the list; stays off free" in ran.out
    assert ran.code == 0


def test_when_the_server_is_down_all_else_is_told_and_the_exit_code_is_1(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    connected.fault("GET *", "status", status=503, times=20)
    ran = explain("--live")
    assert "In sync" in ran.out
    assert "could not be asked: " in ran.out
    assert ran.code == 1


def test_refused_credentials_and_a_copy_are_told_with_the_account(connected: Sandbox, settings: Any) -> None:
    good = settings.CTCT
    settings.CTCT = with_wrong_secret(good, "wrong")
    Member.objects.create(email=ADA)
    run_due()
    assert "Constant Contact refuses the credentials." in explain().out
    settings.CTCT = {**good, "ENVIRONMENT": "staging"}
    assert "looks like a copy" in explain().out


def test_an_account_that_is_not_approved_or_behind_is_told(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    Account.objects.update(approved_at=None, pulled_at=DatabaseNow() - timedelta(minutes=45))
    out = explain().out
    assert "Nothing is sent before somebody has read the plan" in out
    assert "Nothing is sent yet but opt-outs" in out
    assert "is older than 30 minutes: nobody is added until it is read" in out


def test_who_left_a_list_is_told_with_the_staffs_decision(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    connected.act(ADA, "leave", list="Free members")
    acts.sync_now([contact(ADA)])
    run_due()
    assert "Free members: she left it at Constant Contact, or was taken off there" in explain().out
    assert "nobody has looked at it yet" in explain().out
    acts.put_back(ListOptOut.objects.get(), by="sam", why="a slip of the hand over there")
    out = explain().out
    assert "put back since: it does not count any more; looked at by sam" in out
    assert "a slip of the hand over there" in out


def test_opt_outs_consents_and_an_erased_address_are_told(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    row = contact(ADA)
    acts.resubscribe(row, ["free"], method="web form", kind=ConsentKind.REQUEST)
    acts.opt_out(row)
    Suppression.objects.create(
        account=row.account, address_hash=vault.address_hash(ADA), at=DatabaseNow(), source="site"
    )
    out = explain().out
    assert "opted out of everything: " in out
    assert "by: the person, on this site" in out
    assert "free: consent, " in out
    assert "web form (asked for, not proved to be hers: undoes nothing)" in out
    assert "must not return: all about this address was erased" in out


def test_the_latest_writes_are_told_and_no_more_than_five(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA)
    for turn in range(7):
        member.is_sustainer = not turn % 2
        member.save()
        run_due()
    written = explain().out.partition("Latest writes")[2].partition("\n\n")[0].strip().splitlines()
    assert len(written) == 5
    assert "+ Sustainers; the site's rule; done" in written[0]


def test_a_held_contact_is_told_with_the_error_and_the_advice(connected: Sandbox) -> None:
    Member.objects.create(email="ada@nowhere")
    run_due()
    out = run("ctct_explain", "ada@nowhere").out
    assert "held: The address is not an e-mail address" in out
    assert "What to do: Correct the address on the member's own page" in out


def test_an_unknown_address_says_so_and_gives_exit_code_1(connected: Sandbox) -> None:
    ran = run("ctct_explain", "nobody@example.com")
    assert ran.out == "This address is no contact of the account default.\n"
    assert ran.code == 1


def test_an_unknown_address_of_a_member_says_that_the_mirror_has_to_run(connected: Sandbox) -> None:
    Member.objects.bulk_create([Member(email="Ada@Example.com")])
    ran = explain()
    assert "A member has it, but her wishes are not written down yet: run ctct_mirror." in ran.out
    assert "yes  free        by Member.is_free" in ran.out
    assert ran.code == 1


def test_an_erased_address_is_known_by_nothing_but_that(connected: Sandbox) -> None:
    account = Account.objects.get()
    Suppression.objects.create(account=account, address_hash=vault.address_hash(ADA), at=DatabaseNow(), source="site")
    Consent.objects.create(
        account=account, address_hash=vault.address_hash(ADA), key="free", at=DatabaseNow(), method="paper"
    )
    ran = explain()
    assert "must not return" in ran.out
    assert "free: consent, " in ran.out
    assert ran.code == 1


def test_a_wish_that_changed_without_a_signal_is_noticed(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    Member.objects.update(is_sustainer=True)
    assert "The rules say otherwise by now: ctct_mirror writes it down." in explain().out


def test_a_member_who_moved_to_another_address_or_is_gone_is_told(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA)
    Member.objects.update(email="new@example.com")
    assert "She has another address by now: ctct_mirror takes this one back." in explain().out
    Member.objects.filter(pk=member.pk)._raw_delete("default")
    assert "No such member is there any more" in explain().out


def test_a_rule_that_explodes_is_named_by_the_kind_of_its_error_only(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    Member.objects.update(first_name="explode")
    out = explain().out
    assert "raises ZeroDivisionError  newsletter  by Member.reads_the_letter" in out
    assert "the text of an error" not in out


def test_a_member_key_of_the_adapters_own_making_does_no_harm(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    for strange in ["site.member:" + "9" * 30, "site.member:x", "club:7", ":"]:
        Membership.objects.create(contact=contact(ADA), key="free", member_key=strange)
    ran = explain()
    assert "  club:7" in ran.out
    assert ran.code == 0


def test_a_stranger_is_said_to_be_one(connected: Sandbox) -> None:
    Contact.objects.create(account=Account.objects.get(), email=ADA)
    out = explain().out
    assert "Not the site's" in out
    assert "no member of the site has this address" in out


def test_it_writes_nothing_neither_here_nor_there(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    make_due()
    before = list(Contact.objects.values()), list(ListOptOut.objects.values())
    connected.forget()
    explain("--live")
    assert (list(Contact.objects.values()), list(ListOptOut.objects.values())) == before
    assert connected.writes() == []


def test_an_id_of_constant_contact_costs_one_request_and_an_address_as_many_as_the_wire_needs(
    connected: Sandbox,
) -> None:
    Member.objects.create(email=ADA)
    connected.add(ADA, "Free members")
    connected.forget()
    explain("--live")
    assert len(connected.requests()) == by_wire(2, 1)
