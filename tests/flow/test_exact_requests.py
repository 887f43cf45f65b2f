"""What one call of the site's own code comes to on the v1 wire: every request of it, to the letter."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from django_ctct import acts, services
from django_ctct.models import Account, Contact, ContactList, DatabaseNow, RemoteMembership
from tests.backends.builders import BASE, OPTIONS, contact, same_xml
from tests.site.models import Member

pytestmark = pytest.mark.django_db(transaction=True)

KIM = "kim@example.com"


@pytest.fixture
def kim(settings: Any) -> Contact:
    """Kim is known at Constant Contact, on the Free list (1) and the newsletter (2) as her member is here."""
    account = {"BACKEND": "django_ctct.backends.atom_v1.AtomBackend", "OPTIONS": OPTIONS, "CALLS_PER_SECOND": 1000}
    settings.CTCT = {**settings.CTCT, "ACCOUNTS": {"default": account}}
    row = Account.objects.for_alias("default")
    Account.objects.update(approved_at=DatabaseNow(), pulled_at=DatabaseNow(), pulled_to=DatabaseNow())
    lists = [ContactList.objects.create(account=row, remote_id=one, name=key, key=key) for one, key in LISTS]
    Member.objects.create(email=KIM, wants_newsletter=True)
    Contact.objects.update(remote_id="2", status="active", known_as=KIM)
    for one in lists:
        RemoteMembership.objects.create(contact=Contact.objects.get(), list=one)
    return Contact.objects.get()


LISTS = (("1", "free"), ("2", "newsletter"))


def test_s0c_leaving_a_list_on_the_site_is_one_put_without_it(kim: Contact) -> None:
    acts.leave_list(KIM, "newsletter")
    with responses.RequestsMock() as wire:
        wire.get(f"{BASE}/contacts/2", body=contact(lists=["1", "2"]))
        wire.put(f"{BASE}/contacts/2", status=204)
        with services.connect("default") as link:
            assert services.reconcile(link, kim.pk).error is None
        read, write = (call.request for call in wire.calls)
    assert (read.method, write.method) == ("GET", "PUT")
    assert write.headers["Content-Type"] == "application/atom+xml"
    source = "<OptInSource>ACTION_BY_CUSTOMER</OptInSource><ContactLists>"
    assert isinstance(write.body, bytes)
    assert same_xml(write.body.decode(), contact(lists=["1"]).replace("<ContactLists>", source))
