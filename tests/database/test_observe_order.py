"""Who opted her out is judged by the row as it was, on every database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from django_ctct import ledger, outbox, vault
from django_ctct.models import Account, Contact, DatabaseNow
from django_ctct.types import ContactStatus, RemoteContact


@pytest.mark.django_db(transaction=True)
def test_a_later_opt_out_over_there_is_told_from_an_older_one_on_the_site() -> None:
    row = Contact.objects.create(
        account=Account.objects.for_alias("default"),
        email="ada@example.com",
        claimed=True,
        desired_gen=2,
        applied_gen=1,
        due_at=DatabaseNow(),
        status="active",  # she came back since
        opted_out_at=datetime(2024, 1, 1, tzinfo=UTC),
        opted_out_source="site",
    )
    claim = outbox.claim(row.pk)
    assert claim is not None
    there = RemoteContact("1", row.email, ContactStatus.DO_NOT_MAIL, {}, opted_out_at=datetime(2025, 1, 1, tzinfo=UTC))
    ledger.absorb(claim, ledger.load(row.pk, vault.address_hashes), there)
    row.refresh_from_db()
    assert (row.opted_out_source, row.opted_out_at.year) == ("remote", 2025)
