"""Ada, of whom everything is held that can be held."""

from __future__ import annotations

import pytest

from django_ctct import acts
from tests.account import Sandbox, contact, run_due
from tests.site.models import Member

ADA = "ada@example.com"


@pytest.fixture
def ada(connected: Sandbox) -> Sandbox:
    """A member on two lists, who left the newsletter once and came back, and who was on a list of somebody else's."""
    connected.add(ADA, "Board")
    Member.objects.create(email=ADA, first_name="Ada", last_name="Lovelace", wants_newsletter=True)
    run_due()
    acts.leave_list(ADA, "newsletter")
    run_due()
    acts.resubscribe(contact(ADA), ["newsletter"], method="preference page", wording="Yes, write to me")
    run_due()
    assert connected.lists_of(ADA) == {"Board", "Free members", "Newsletter"}
    return connected
