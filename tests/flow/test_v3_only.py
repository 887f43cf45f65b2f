"""What only v3 does: a contact who is there and cannot be found yet, and one who is deleted and wants no mail."""

from __future__ import annotations

import pytest

from django_ctct import acts
from django_ctct.models import Contact, DatabaseNow
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
