"""The requirements S0a … S3c, each from a member's change in Django to the sandbox over HTTP.

The exact requests of the same rows stand in ``tests/backends``.
"""

from __future__ import annotations

import re

import pytest

from django_ctct import acts, catalogue, services
from django_ctct.models import ContactList, SyncState, WriteAttempt
from django_ctct.types import ContactStatus
from tests.account import UNMANAGED, Sandbox, by_wire, contact, make_due, run_due
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

ADA = "ada@example.com"


def test_s0a_taking_a_contact_off_her_last_list_leaves_her_removed_and_not_opted_out(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    acts.leave_list(ADA, "free")
    run_due()
    assert connected.lists_of(ADA) == set()
    assert connected.status_of(ADA) == "Removed"
    assert contact(ADA).status == ContactStatus.REMOVED
    assert [one["method"] for one in connected.writes()] == ["POST", "PUT"]


def test_s0b_the_put_with_no_lists_names_the_customer_as_its_source(connected: Sandbox) -> None:
    connected.switch(empty_lists_need_optin=True, legacy_remove_by_contact=False)
    Member.objects.create(email=ADA)
    run_due()
    acts.leave_list(ADA, "free")
    run_due()
    put = connected.writes()[-1]
    assert (put["method"], put["status"]) == ("PUT", by_wire(204, 200))
    assert by_wire("<OptInSource>ACTION_BY_CUSTOMER</OptInSource>", '"update_source":"Account"') in put["body"]


def test_s0c_an_unsubscribe_button_on_the_site_is_one_call(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    acts.leave_list(" Ada@Example.com ", "newsletter")
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}
    member.visits += 1
    member.save()
    acts.sync_now([contact(ADA)])
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}, "the site's rule must not bring her back"
    assert contact(ADA).state == SyncState.REFUSED


def test_s0d_a_removed_contact_who_returns_is_put_and_never_posted(connected: Sandbox) -> None:
    connected.add(ADA)
    Member.objects.create(email=ADA)
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}
    assert [one["method"] for one in connected.writes()] == ["PUT"]


def test_s1a_lists_that_the_site_does_not_manage_keep_her(connected: Sandbox) -> None:
    connected.add(ADA, "Free members", UNMANAGED)
    Member.objects.create(email=ADA, is_free=False, is_sustainer=True)
    run_due()
    assert connected.lists_of(ADA) == {"Sustainers", UNMANAGED}


def test_s1b_a_value_that_is_too_long_is_cut_and_not_written_twice(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA, employer="The very long name of a company " * 5)
    run_due()
    stored = connected.contacts()[ADA]["fields"]["CompanyName"]
    assert stored == "The very long name of a company The very long name"
    assert len(stored) == 50
    connected.forget()
    member.visits += 1
    member.save()
    acts.sync_now([contact(ADA)])
    run_due()
    assert connected.methods() == ["GET"], "the cut value is what is there: no rejected or repeated write"


def test_s1c_only_her_own_act_is_sent_as_her_own_act(connected: Sandbox) -> None:
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    connected.act(ADA, "unsubscribe")
    acts.sync_now([contact(ADA)])
    run_due()
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page")
    run_due()
    own_act = by_wire("ACTION_BY_CONTACT", '"update_source":"Contact"')
    sources = [own_act in one["body"] for one in connected.writes()]
    assert sources == [False, True]
    assert connected.lists_of(ADA) == {"Newsletter"}, "the list she named and no other"
    assert WriteAttempt.objects.get(source="contact").consent is not None


def test_s2a_a_new_contact_is_posted_with_her_names(connected: Sandbox) -> None:
    Member.objects.create(email=ADA, first_name="Ada", last_name="Lovelace")
    run_due()
    found = connected.contacts()[ADA]
    assert found["lists"] == ["Free members"]
    assert (found["fields"]["FirstName"], found["fields"]["LastName"]) == ("Ada", "Lovelace")


def test_s2b_a_put_sends_back_what_the_site_does_not_own(connected: Sandbox) -> None:
    connected.switch(put_omitted="clear")
    connected.add(ADA, "Free members", note="Met at the fair", city="Salem", company_name="Old Ltd", custom_field_3="x")
    Member.objects.create(email=ADA, is_free=False, is_sustainer=True, employer="New Ltd")
    run_due()
    fields = connected.contacts()[ADA]["fields"]
    assert (fields["Note"], fields["City"], fields["CustomField3"]) == ("Met at the fair", "Salem", "x")
    assert fields["CompanyName"] == "New Ltd"


def test_s2b_a_field_that_loses_its_value_here_keeps_what_constant_contact_has(connected: Sandbox) -> None:
    connected.switch(put_omitted="clear")
    connected.add(ADA, company_name="Old Ltd", custom_field_1="iron")  # v3: an account has the fields that it made
    member = Member.objects.create(email=ADA, employer="New Ltd", tier="gold")
    run_due()
    connected.forget()
    member.employer = member.tier = ""
    member.save()
    run_due()
    assert connected.writes() == [], "that the site has no value says nothing about hers"
    member.is_free, member.is_sustainer = False, True
    member.save()
    run_due()
    fields = connected.contacts()[ADA]["fields"]
    assert (fields["CompanyName"], fields["CustomField1"]) == ("New Ltd", "gold")
    assert connected.lists_of(ADA) == {"Sustainers"}


@pytest.mark.parametrize("miss", ["empty", "error"])
def test_s2c_an_address_is_found_whatever_its_case_and_signs(connected: Sandbox, miss: str) -> None:
    connected.switch(email_miss=miss)
    connected.add("ada+news@example.com", UNMANAGED)
    Member.objects.create(email="Ada+News@Example.COM")
    Member.objects.create(email="new@example.com")
    run_due()
    assert connected.lists_of("ada+news@example.com") == {"Free members", UNMANAGED}
    assert connected.lists_of("new@example.com") == {"Free members"}


@pytest.mark.parametrize("scheme", ["http", "https", "none"])
def test_s2d_the_contacts_address_on_the_wire_comes_from_the_answer(connected: Sandbox, scheme: str) -> None:
    connected.switch(location_scheme=scheme)
    member = Member.objects.create(email=ADA)
    run_due()
    member.is_free, member.is_sustainer = False, True
    member.save()
    connected.forget()
    run_due()
    remote_id = connected.contacts()[ADA]["id"]
    uuid = connected.contacts()[ADA]["uuid"]
    wanted = by_wire(f"/ws/customers/acme/contacts/{remote_id}", f"/v3/contacts/{uuid}")
    assert {one["path"].partition("?")[0] for one in connected.requests()} == {wanted}


def test_s2e_all_four_statuses_are_understood(connected: Sandbox) -> None:
    connected.reset(
        {"email": "active@example.com", "lists": [UNMANAGED]},
        {"email": "unconfirmed@example.com", "lists": [UNMANAGED], "status": "Unconfirmed"},
        {"email": "removed@example.com", "lists": []},
        {"email": "gone@example.com", "lists": [], "status": "Do Not Mail"},
    )
    names = ("active", "unconfirmed", "removed", "gone")
    for name in names:
        Member.objects.create(email=f"{name}@example.com", is_free=False)
    run_due()
    seen = [contact(f"{name}@example.com").status for name in names]
    assert seen == ["active", "unconfirmed", "removed", "do_not_mail"]
    assert connected.writes() == []


def test_s2e_a_custom_field_that_the_site_maps_arrives_and_changes(connected: Sandbox) -> None:
    connected.add("bob@example.com", UNMANAGED, custom_field_1="iron", custom_field_2="theirs")
    bob = Member.objects.create(email="bob@example.com", tier="silver")
    Member.objects.create(email=ADA, tier="gold & <more> 😀")
    run_due()
    fields = {email: one["fields"] for email, one in connected.contacts().items()}
    assert fields[ADA]["CustomField1"] == "gold & <more> 😀"
    assert (fields[bob.email]["CustomField1"], fields[bob.email]["CustomField2"]) == ("silver", "theirs")
    bob.tier = "gold"
    bob.save()
    connected.forget()
    run_due()
    assert [one["method"] for one in connected.writes()] == ["PUT"]
    fields = connected.contacts()[bob.email]["fields"]
    assert (fields["CustomField1"], fields["CustomField2"]) == ("gold", "theirs")
    acts.sync_now([contact(bob.email)])
    connected.forget()
    run_due()
    assert connected.writes() == [], "what is there already is not written again"


def test_s2f_no_source_but_the_two_constants_ever_leaves(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA)
    run_due()
    member.is_free = False
    member.save()
    run_due()
    for one in connected.writes():
        assert re.search(by_wire("<OptInSource>ACTION_BY_CUSTOMER</OptInSource>", '_source": ?"Account"'), one["body"])
        assert not re.search('ACTION_BY_CONTACT|_source": ?"Contact"', one["body"])
        assert one["status"] in (200, 201, 204)


def test_s3a_an_upgrade_takes_the_address_off_the_free_list_by_itself(connected: Sandbox) -> None:
    connected.add("other@example.com", "Free members")
    member = Member.objects.create(email=ADA)
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}
    member.is_free, member.is_sustainer = False, True
    member.save()
    run_due()
    assert connected.lists_of(ADA) == {"Sustainers"}
    assert connected.lists_of("other@example.com") == {"Free members"}, "a stranger on a managed list is not touched"
    assert contact(ADA).state == SyncState.IN_SYNC


def test_s3b_method_1_removes_and_she_may_be_added_back(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    acts.leave_all_lists(contact(ADA))
    run_due()
    assert connected.status_of(ADA) == "Removed"
    assert acts.lift_removal(contact(ADA)) == 3
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}
    assert connected.status_of(ADA) == "Active"


def test_s3c_method_2_opts_out_and_only_her_own_act_undoes_it(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA)
    run_due()
    acts.opt_out(contact(ADA))
    run_due()
    assert connected.status_of(ADA) == "Do Not Mail"
    sent = connected.writes()[-1]
    assert sent["method"] == by_wire("DELETE", "PUT")
    assert by_wire("", '"update_source":"Contact"') in sent["body"], "v3: her own, so the account may not undo it"
    connected.forget()
    member.is_free, member.is_sustainer = False, True
    member.save()
    acts.sync_now([contact(ADA)])
    run_due()
    assert connected.writes() == []
    assert contact(ADA).state == SyncState.REFUSED
    acts.resubscribe(contact(ADA), ["sustainers"], method="letter with a link")
    run_due()
    assert connected.lists_of(ADA) == {"Sustainers"}
    assert connected.status_of(ADA) == "Active"


def test_s3c_an_unsubscribe_at_constant_contact_is_never_undone_by_a_rule(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA)
    run_due()
    connected.act(ADA, "unsubscribe")
    connected.forget()
    member.is_free, member.is_sustainer = False, True
    member.save()
    run_due()
    make_due()
    run_due()
    assert connected.writes() == []
    assert connected.status_of(ADA) == "Do Not Mail"
    assert contact(ADA).opted_out_source == "remote"


def test_a_list_that_she_left_at_constant_contact_is_not_given_back(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    connected.act(ADA, "leave", list="Newsletter")
    member.first_name = "Ada"
    member.save()
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}
    assert contact(ADA).refusal == "left_list"


def test_a_list_with_the_restoring_policy_is_given_back(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    ContactList.objects.filter(key="newsletter").update(on_remote_removal="restore")
    connected.act(ADA, "leave", list="Newsletter")
    member.first_name = "Ada"
    member.save()
    run_due()
    assert connected.lists_of(ADA) == {"Free members", "Newsletter"}


def test_the_lists_of_the_account_can_be_made_and_found_again(connected: Sandbox) -> None:
    with services.connect("default") as link:
        row = catalogue.create_list(link, "Volunteers", key="volunteers")
        names = {one.name for one in catalogue.read_lists(link)}
    assert row.key == "volunteers"
    assert {"Volunteers", UNMANAGED} <= names
