"""A write of ours in her name must not pass for her own return to a list that she has left meanwhile."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db.models import F

from django_ctct import acts
from django_ctct.models import ListOptOut, WriteAttempt
from tests.account import Sandbox, contact, make_due, run_due
from tests.flow.eventful import Events
from tests.site.models import Member

pytestmark = pytest.mark.sandbox
ADA = "ada@example.com"


@pytest.fixture
def on_her_way_back(connected: Sandbox) -> Sandbox:
    """Ada has opted out and has asked for the newsletter again; her return is due."""
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    connected.act(ADA, "unsubscribe")
    acts.sync_now([contact(ADA)])
    run_due()
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page")
    return connected


def test_a_return_that_lands_after_she_left_the_list_again(on_her_way_back: Sandbox) -> None:
    on_her_way_back.fault("PUT */contacts/*", "late", seconds=1, times=1)
    run_due()
    acts.leave_list(ADA, "newsletter")
    time.sleep(1.5)
    make_due()
    run_due()
    assert ListOptOut.objects.filter(list__key="newsletter").exists()
    WriteAttempt.objects.update(at=F("at") - timedelta(minutes=11))  # the quarantine is over
    acts.sync_now([contact(ADA)])
    run_due()
    assert "Newsletter" not in on_her_way_back.lists_of(ADA)


def test_leaving_a_list_while_her_return_is_on_the_wire(on_her_way_back: Sandbox, meanwhile: Events) -> None:
    meanwhile.before["update"] = meanwhile.once(lambda: acts.leave_list(ADA, "newsletter"))
    run_due()
    make_due()
    run_due()
    assert "Newsletter" not in on_her_way_back.lists_of(ADA)
    assert ListOptOut.objects.filter(list__key="newsletter").exists()
