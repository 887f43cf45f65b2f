"""What only v3 does: a contact who cannot be found yet, one who is deleted and wants no mail, fields by id."""

from __future__ import annotations

import time

import pytest

from django_ctct import acts, tokens
from django_ctct.backends.oauth2 import Grant
from django_ctct.models import Account, Contact, DatabaseNow
from tests.account import LISTS, Sandbox, by_wire, contact, make_due, run_due
from tests.site.models import Member

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(by_wire(True, False), reason="v1 has neither: CTCT_TEST_API=v3 runs these"),
]

ADA = "ada@example.com"
FREE, NEWSLETTER = LISTS["free"], LISTS["newsletter"]


def test_who_is_there_and_cannot_be_found_yet_is_read_by_the_id_that_the_refusal_names(connected: Sandbox) -> None:
    connected.switch(creation_visibility_lag=3600)
    connected.add(ADA, NEWSLETTER)
    Member.objects.create(email=ADA)
    run_due()
    assert connected.methods() == ["GET", "POST"], "she is not found, and exists"
    assert contact(ADA).remote_id is not None
    make_due()
    run_due()
    assert connected.methods()[2:] == ["GET", "PUT"]
    assert connected.lists_of(ADA) == {FREE}


def test_a_deleted_contact_who_cannot_be_unsubscribed_is_tried_again(connected: Sandbox) -> None:
    Member.objects.create(email=ADA)
    run_due()
    connected.act(ADA, "delete")
    connected.switch(deleted_unsubscribe="400")
    acts.opt_out(contact(ADA))
    for _ in range(3):
        make_due()
        run_due()
    row = contact(ADA)
    assert (row.hold, row.error_code, row.opt_out_wanted) == ("", "deleted", True)
    assert row.due_at is not None
    connected.act(ADA, "add", list=FREE)
    Contact.objects.update(due_at=DatabaseNow())
    run_due()
    assert connected.status_of(ADA) == "Do Not Mail"


def _tiered(box: Sandbox, **memory: object) -> Member:
    """A member in sync without a tier, in an account that has a field for it; ``memory`` is what was learned so far."""
    box.add("bob@example.com", custom_field_1="iron")
    member = Member.objects.create(email=ADA)
    run_due()
    if memory:
        Account.objects.update(wire_memory=memory)
    box.forget()
    return member


def _give(member: Member, tier: str) -> None:
    member.tier = tier
    member.save()
    run_due()


def _asked(box: Sandbox) -> list[str]:
    return [f"{one['method']} {one['path'].partition('?')[0].split('/')[2]}" for one in box.requests()]


def _tier(box: Sandbox) -> object:
    return box.contacts()[ADA]["fields"].get("CustomField1")


CHANGE = ["GET contacts", "PUT contacts"]
CHANGE_AND_ASK = ["GET contacts", "GET contact_custom_fields", "PUT contacts"]


def test_what_a_custom_field_is_called_is_asked_for_once_and_kept(connected: Sandbox) -> None:
    member = _tiered(connected)
    _give(member, "gold")
    assert _asked(connected) == CHANGE_AND_ASK
    connected.forget()
    _give(member, "silver")
    assert (_asked(connected), _tier(connected)) == (CHANGE, "silver")


def _field(name: str, age: float = 0, kind: str = "string") -> dict[str, object]:
    """What was learned ``age`` seconds ago: one field, by an id that no account has."""
    row = {"custom_field_id": "ffffffff-0000-4000-8000-000000000009", "name": name, "type": kind}
    return {"read": time.time() - age, "fields": [row]}


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(_field("custom_field_1", age=24 * 3600 + 60), id="old"),
        pytest.param(_field("custom_field_1", age=-3600), id="of tomorrow"),
        pytest.param(_field("custom_field_2"), id="without that field"),
        pytest.param(_field("custom_field_1", kind="single_select"), id="of a field of choices"),
        pytest.param({"read": "x", "fields": 1}, id="without sense"),
        pytest.param({"read": time.time(), "fields": [{"name": 1}]}, id="of another shape"),
        pytest.param([], id="no memory"),
    ],
)
def test_a_memory_that_does_not_serve_is_made_anew(connected: Sandbox, kept: object) -> None:
    member = _tiered(connected, custom_fields=kept)
    _give(member, "gold")
    assert (_asked(connected), _tier(connected)) == (CHANGE_AND_ASK, "gold")


def test_a_field_that_was_made_anew_under_its_name_is_found_by_the_refusal(connected: Sandbox) -> None:
    member = _tiered(connected, custom_fields=_field("custom_field_1"))
    _give(member, "gold")
    assert _asked(connected) == ["GET contacts", "PUT contacts", "GET contact_custom_fields", "PUT contacts"]
    assert _tier(connected) == "gold"
    connected.forget()
    _tiered_newcomer(connected, custom_fields=_field("custom_field_1"))
    assert _asked(connected) == [
        "GET contacts",
        "POST contacts",
        "GET contact_custom_fields",
        "POST contacts",
    ]
    assert connected.contacts()["new@example.com"]["fields"]["CustomField1"] == "gold"


def _tiered_newcomer(box: Sandbox, **memory: object) -> None:
    Account.objects.update(wire_memory=memory)
    Member.objects.create(email="new@example.com", tier="gold")
    run_due()


def test_a_refusal_that_the_fields_do_not_explain_stays_one(connected: Sandbox) -> None:
    member = _tiered(connected)
    _give(member, "gold")
    connected.fault("PUT *", "status", status=400, times=9)
    connected.forget()
    _give(member, "silver")
    assert _asked(connected) == ["GET contacts", "PUT contacts", "GET contact_custom_fields", "PUT contacts"]
    assert contact(ADA).error_code == "http_400"


def test_an_account_that_is_connected_anew_is_asked_anew(connected: Sandbox) -> None:
    _give(_tiered(connected), "gold")
    account = Account.objects.get()
    assert account.wire_memory
    tokens.keep(account, Grant("access-of-another", "refresh-of-another", 3600), by="somebody")
    account.refresh_from_db()
    assert account.wire_memory == {}
