"""*Show plan* over real HTTP: what it says, and that nothing is written, neither there nor here."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from django_ctct.models import Contact
from tests import account as site
from tests.account import Sandbox
from tests.site.models import Member

from . import builders
from .pages import snapshot, url

pytestmark = [pytest.mark.sandbox, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def chief(connected: Sandbox) -> Client:
    client = Client()
    client.force_login(builders.chief())
    return client


def member(email: str, **values: Any) -> Contact:
    Member.objects.create(email=email, **values)
    return Contact.objects.get(email=email)


def plan(client: Client, *contacts: Contact) -> str:
    answer = client.post(url("contact_plan"), {"contacts": ",".join(str(one.pk) for one in contacts)})
    assert answer.status_code == 200
    html = " ".join(answer.content.decode().split())
    assert "Nothing was written." in html
    return html


def but_quota(rows: dict[str, Any]) -> dict[str, Any]:
    """Leave the counter of calls out: asking is counted."""
    return {name: values for name, values in rows.items() if name != "Quota"}


def test_a_new_contact_would_be_added(connected: Sandbox, chief: Client) -> None:
    contact = member("ada@example.com", first_name="Ada")
    html = plan(chief, contact)
    assert "She would be added as a new contact." in html
    assert '<span aria-hidden="true">+</span> Free members' in html
    assert "<ins>Ada</ins>" in html
    assert connected.contacts() == {}


def test_a_change_names_lists_and_fields_before_and_after(connected: Sandbox, chief: Client) -> None:
    connected.add("ada@example.com", "Free members", "Board", first_name="Augusta")
    contact = member("ada@example.com", first_name="Ada", is_free=False, is_sustainer=True)
    html = plan(chief, contact)
    assert "She would be changed." in html
    assert '<span aria-hidden="true">+</span> Sustainers' in html
    assert "<del>Augusta</del> → <ins>Ada</ins>" in html
    assert "Board, Free members" in html


def test_showing_a_plan_writes_neither_there_nor_here(connected: Sandbox, chief: Client) -> None:
    connected.add("ada@example.com", "Free members")
    contact = member("ada@example.com", is_sustainer=True)
    connected.forget()
    before, there = but_quota(snapshot()), connected.contacts()
    plan(chief, contact)
    assert connected.writes() == []
    assert connected.contacts() == there
    assert but_quota(snapshot()) == before


def test_who_opted_out_would_not_be_written(connected: Sandbox, chief: Client) -> None:
    connected.add("dora@example.com", "Free members")
    connected.act("dora@example.com", "unsubscribe")
    html = plan(chief, member("dora@example.com"))
    assert "she has opted out, so she is not put on Free members" in html
    assert "Do Not Mail" in html


def test_in_sync_means_nothing_to_write(connected: Sandbox, chief: Client) -> None:
    contact = member("ada@example.com")
    site.run_due()
    assert "all is as it should be" in plan(chief, contact)


def test_a_stranger_is_never_written(connected: Sandbox, chief: Client) -> None:
    connected.add("stranger@example.com", "Free members")
    contact = Contact.objects.create(account=builders.account(), email="stranger@example.com")
    assert "no member of the site has this address" in plan(chief, contact)


def test_an_opt_out_under_way_would_be_for_good(connected: Sandbox, chief: Client) -> None:
    connected.add("ada@example.com", "Free members")
    contact = member("ada@example.com")
    Contact.objects.filter(pk=contact.pk).update(opt_out_wanted=True)
    assert "put on Do Not Mail, for good" in plan(chief, contact)


@pytest.mark.parametrize(("kind", "status"), [("status", 503), ("status", 401), ("garbage", 0), ("reset", 0)])
def test_an_error_is_a_sentence_and_never_a_500(connected: Sandbox, chief: Client, kind: str, status: int) -> None:
    contact = member("ada@example.com")
    connected.fault("GET *", kind, times=9, **({"status": status} if status else {}))
    html = plan(chief, contact)
    assert 'class="ctct-problem"' in html
    assert "/contacts" not in html.split('class="ctct-problem"')[1].split("</p>")[0]


def test_after_an_error_that_all_would_meet_nobody_else_is_asked(connected: Sandbox, chief: Client) -> None:
    contacts = [member(f"{name}@example.com") for name in ("ada", "bea", "cleo")]
    connected.fault("GET *", "status", times=99, status=401)
    connected.forget()
    html = plan(chief, *contacts)
    assert html.count("Not asked, because of the error before.") == 2
    assert len(connected.requests()) == 1


def test_an_unbound_key_is_told_before_anybody_is_asked(connected: Sandbox, chief: Client) -> None:
    contact = member("ada@example.com")
    contact.account.lists.update(key=None)
    connected.forget()
    assert "No list at Constant Contact is bound to: free" in plan(chief, contact)
    assert connected.requests() == []


def test_remote_text_in_a_plan_is_escaped(connected: Sandbox, chief: Client) -> None:
    connected.add("ada@example.com", "Free members", first_name="<b>Augusta</b>")
    html = plan(chief, member("ada@example.com", first_name="<i>Ada</i>"))
    assert "&lt;b&gt;Augusta" in html
    assert "<b>Augusta" not in html
    assert "<i>Ada" not in html


def test_the_whole_way_from_a_button_to_constant_contact(connected: Sandbox, chief: Client) -> None:
    connected.add("ada@example.com", "Board")
    contact = member("ada@example.com")
    site.run_due()
    assert connected.lists_of("ada@example.com") == {"Board", "Free members"}
    chief.post(url("contact_remove"), {"contacts": contact.pk, "confirm": "1", "sure": "on"})
    site.run_due()
    assert connected.lists_of("ada@example.com") == {"Board"}
    chief.post(url("contact_lift"), {"contacts": contact.pk})
    site.run_due()
    assert connected.lists_of("ada@example.com") == {"Board", "Free members"}
    chief.post(url("contact_opt_out"), {"contacts": contact.pk, "confirm": "1", "sure": "on"})
    site.run_due()
    assert connected.status_of("ada@example.com") == "Do Not Mail"


def test_on_a_copy_of_the_database_the_plan_says_so(connected: Sandbox, chief: Client, settings: Any) -> None:
    contact = member("ada@example.com")
    settings.CTCT = {**settings.CTCT, "ENVIRONMENT": "staging"}
    assert "looks like a copy" in plan(chief, contact)
    assert connected.requests() == []
