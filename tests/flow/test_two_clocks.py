"""The site's clock and the server's differ. Who opted out after her return stays out all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from django_ctct import acts
from django_ctct.types import RemoteContact
from tests.account import Sandbox, contact, run_due
from tests.flow.eventful import Events
from tests.site.models import Member

pytestmark = pytest.mark.sandbox
ADA = "ada@example.com"


def an_hour_behind(found: RemoteContact | None) -> RemoteContact | None:
    assert found is not None
    assert found.opted_out_at is not None
    return replace(found, opted_out_at=found.opted_out_at - timedelta(hours=1))


def test_an_opt_out_after_her_return_counts_although_the_servers_clock_is_behind(
    connected: Sandbox, meanwhile: Events
) -> None:
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    connected.act(ADA, "unsubscribe")
    acts.sync_now([contact(ADA)])
    run_due()
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page")
    run_due()
    assert connected.lists_of(ADA) == {"Newsletter"}
    meanwhile.told = an_hour_behind
    connected.act(ADA, "unsubscribe")
    for _ in range(2):
        acts.sync_now([contact(ADA)])
        run_due()
        assert connected.status_of(ADA) == "Do Not Mail"
