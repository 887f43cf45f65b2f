"""Who opted somebody out, and why: kept in our own journal, where staff see it, and sent to nobody."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_ctct import acts, privacy
from django_ctct.links import preferences_url, unsubscribe_url
from django_ctct.models import Contact, OptOut
from django_ctct.types import OptOutSource
from tests.commands.run import run

from . import builders
from .pages import url

pytestmark = pytest.mark.django_db
ADA = "ada@example.com"


@pytest.fixture
def ada() -> Contact:
    builders.lists()
    return builders.contact(ADA, ["free"], ["free"])


def kept() -> list[tuple[str, str, str]]:
    return list(OptOut.objects.order_by("pk").values_list("source", "reason", "actor"))


def test_reason_and_actor_are_kept_each_time_and_cut_to_their_columns(ada: Contact) -> None:
    acts.opt_out(ada)
    acts.opt_out(ada, source=OptOutSource.OWNER, reason="r" * 300, actor="a" * 200)
    assert kept() == [("site", "", ""), ("owner", "r" * 255, "a" * 150)]


def test_each_caller_says_what_it_knows(ada: Contact, chief: Client) -> None:
    others = [builders.contact(f"{name}@example.com", ["free"], ["free"]) for name in ("bob", "eve")]
    chief.post(url("contact_opt_out"), {"contacts": ada.pk, "confirm": "1", "sure": "on"})
    Client().post(unsubscribe_url(others[0].email))
    Client().post(preferences_url(others[1].email), {"everything": "1"})
    assert kept() == [("owner", "", "chief"), ("site", "unsubscribe link", ""), ("site", "preference page", "")]


def test_staff_may_say_why_and_need_not(ada: Contact, chief: Client) -> None:
    asked = {"contacts": ada.pk}
    assert 'name="why"' in chief.post(url("contact_opt_out"), asked).content.decode()
    told = {**asked, "confirm": "1", "why": " She asked for it by phone. "}
    page = chief.post(url("contact_opt_out"), told).content.decode()
    assert "Tick the box" in page
    assert "She asked for it by phone." in page, "what was typed is not lost"
    page = chief.post(url("contact_opt_out"), {**told, "sure": "on", "why": "x" * 256}).content.decode()
    assert "at most 255 characters" in page
    assert kept() == []
    chief.post(url("contact_opt_out"), {**told, "sure": "on"})
    assert kept() == [("owner", "She asked for it by phone.", "chief")]
    assert LogEntry.objects.get().get_change_message() == "Opted out for good."
    page = " ".join(chief.get(url("contact_change", ada.pk)).content.decode().split())
    assert "Recorded by chief. “She asked for it by phone.”" in page


def test_taking_off_all_lists_asks_for_no_reason(ada: Contact, chief: Client) -> None:
    assert 'name="why"' not in chief.post(url("contact_remove"), {"contacts": ada.pk}).content.decode()


def test_staff_see_them_on_the_contacts_page_and_by_the_command(ada: Contact, chief: Client) -> None:
    assert "opted out on this site" not in chief.get(url("contact_change", ada.pk)).content.decode()
    acts.opt_out(ada, source=OptOutSource.OWNER, reason="She rang <b>", actor="sam")
    page = " ".join(chief.get(url("contact_change", ada.pk)).content.decode().split())
    assert "opted out on this site, " in page
    assert "Recorded by sam. “She rang &lt;b&gt;”" in page
    assert "recorded by sam: She rang <b>" in run("ctct_explain", ADA).out


def test_staff_see_since_when_an_opt_out_over_there_is_known_here(ada: Contact, chief: Client) -> None:
    """A consent of between the two does not count, and here they see why."""
    acts.opt_out(ada)
    assert "Known here since" not in chief.get(url("contact_change", ada.pk)).content.decode()
    assert "known here since" not in run("ctct_explain", ADA).out
    Contact.objects.update(opted_out_at=builders.ago(60), opted_out_seen_at=builders.ago(55), opted_out_source="remote")
    assert "Known here since" in chief.get(url("contact_change", ada.pk)).content.decode()
    assert "what she asked for before lifts nothing" in run("ctct_explain", ADA).out


def test_an_export_tells_of_them(ada: Contact) -> None:
    acts.opt_out(ada, reason="By letter", actor="sam")
    (told,) = privacy.export(ada.account, ADA)["opt_outs"]
    assert (told["reason"], told["actor"], told["source"]) == ("By letter", "sam", "site")
