"""Who left a list at Constant Contact: staff see it as a card, respect it or put her back with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_ctct import acts
from django_ctct.models import Contact, ContactList, ListOptOut
from tests import account as site
from tests.account import Sandbox
from tests.site.models import Member

from . import builders
from .pages import snapshot, url

pytestmark = pytest.mark.django_db

ACTS = ["respect", "put_back"]
CHANGED = "Something has happened since this page was made, so nothing was done. Look at it again."
WHY = "Taken off by mistake; she asked for it by phone."


def leo() -> tuple[Contact, ListOptOut]:
    contact = builders.scene()["left a list"]
    return contact, contact.list_opt_outs.get()


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def page(client: Client, contact: Contact) -> str:
    return text(client.get(url("contact_change", contact.pk)))


def act(client: Client, name: str, left: ListOptOut, **data: str) -> Any:
    """Press a button of a page that showed ``left``, as it was read."""
    return client.post(url(f"contact_{name}"), {"left": left.pk, "at": left.at.isoformat(), **data}, follow=True)


def told(answer: Any) -> list[str]:
    return [str(one) for one in answer.context["messages"]]


# Who may


@pytest.mark.parametrize("name", ACTS)
def test_it_takes_its_own_permission(client_of: Callable[..., Client], name: str) -> None:
    contact, left = leo()
    client = client_of("view_contact", "change_contact", "sync_contact", "remove_contact", "opt_out_contact")
    before = snapshot()
    assert act(client, name, left, confirm="1", why=WHY).status_code == 403
    assert snapshot() == before
    assert "Respect</button>" not in page(client, contact)
    assert "She left <em>Newsletter</em>" in page(client, contact)


@pytest.mark.parametrize("name", ACTS)
def test_who_may_not_see_contacts_may_not_decide(client_of: Callable[..., Client], name: str) -> None:
    _contact, left = leo()
    client, before = client_of("review_contact"), snapshot()
    assert act(client, name, left, confirm="1", why=WHY).status_code == 403
    assert snapshot() == before


@pytest.mark.parametrize("name", ACTS)
def test_it_takes_a_post_and_a_csrf_token(client_of: Callable[..., Client], name: str) -> None:
    _contact, left = leo()
    strict, allowed = (
        client_of("view_contact", "review_contact", csrf=True),
        client_of("view_contact", "review_contact"),
    )
    before = snapshot()
    assert act(strict, name, left, confirm="1", why=WHY).status_code == 403
    assert allowed.get(url(f"contact_{name}"), {"left": left.pk, "confirm": "1", "why": WHY}).status_code == 405
    assert snapshot() == before


# The cards


def test_a_card_says_that_the_two_look_alike_and_offers_both_acts(client_of: Callable[..., Client]) -> None:
    contact, _left = leo()
    html = page(client_of("view_contact", "review_contact"), contact)
    assert "She left <em>Newsletter</em> at Constant Contact on " in html
    assert "(or staff there took her off: the two look alike)." in html
    assert "Respect</button>" in html
    assert "Put back…</button>" in html


def test_what_she_or_staff_did_on_this_site_is_no_card(chief: Client) -> None:
    people = builders.scene()
    builders.left(people["in sync"], ContactList.objects.get(key="newsletter"), "site")
    for name in ["taken off", "in sync"]:
        assert "the two look alike" not in page(chief, people[name])


def test_names_of_lists_and_reasons_are_escaped(chief: Client) -> None:
    contact, left = leo()
    builders.lists(newsletter=builders.SCRIPT)
    act(chief, "put_back", left, confirm="1", why=builders.SCRIPT)
    html = page(chief, contact)
    assert "<script>document" not in html
    assert html.count("&lt;script&gt;document") >= 2


# Respect


def test_respecting_is_recorded_with_name_and_time_and_leaves_her_off(chief: Client) -> None:
    contact, left = leo()
    answer = act(chief, "respect", left)
    assert told(answer) == ["Respected: she stays off “Newsletter”."]
    left.refresh_from_db()
    assert (left.reviewed_by, left.put_back_why) == ("chief", "")
    assert left.reviewed_at is not None
    contact.refresh_from_db()
    assert contact.desired_gen == contact.applied_gen
    assert "Decided by chief" in text(answer)
    assert "Respect</button>" not in text(answer)
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.get_change_message()) == (
        str(contact.pk),
        "Respected that she left “Newsletter”.",
    )


def test_a_decision_is_not_taken_over_by_the_next_one_to_press_respect(chief: Client) -> None:
    contact, left = leo()
    ListOptOut.objects.filter(pk=left.pk).update(reviewed_at=builders.ago(5), reviewed_by="sam")
    before = snapshot()
    assert told(act(chief, "respect", left)) == ["Somebody has decided about it already: see below."]
    assert snapshot() == before
    assert "Decided by sam" in page(chief, contact)


def test_many_can_be_respected_from_the_list(client_of: Callable[..., Client]) -> None:
    people = builders.scene()
    other = builders.contact("lea@example.com", ["free", "newsletter"], ["free"], refusal="left_list")
    builders.left(other, ContactList.objects.get(key="newsletter"))
    chosen = [people["left a list"].pk, other.pk, people["taken off"].pk]
    data = {"action": "respect_selected", "_selected_action": chosen, "index": 0}
    client_of("view_contact", "sync_contact").post(url("contact_changelist"), data)
    assert not ListOptOut.objects.filter(reviewed_at__isnull=False).exists()
    answer = client_of("view_contact", "review_contact").post(url("contact_changelist"), data, follow=True)
    assert told(answer) == ["2 departures are respected."]
    assert set(ListOptOut.objects.filter(reviewed_at__isnull=False).values_list("source", flat=True)) == {"remote"}
    assert LogEntry.objects.count() == 2


# Put back


def test_putting_back_asks_why_first_and_changes_nothing_yet(chief: Client) -> None:
    _contact, left = leo()
    before = snapshot()
    html = text(act(chief, "put_back", left))
    assert "Put her back only if you know that it was not her own wish" in html
    assert snapshot() == before


@pytest.mark.parametrize("why", ["", "   ", "x" * 301])
def test_without_a_reason_nobody_is_put_back(chief: Client, why: str) -> None:
    _contact, left = leo()
    before = snapshot()
    html = text(act(chief, "put_back", left, confirm="1", why=why))
    assert 'class="errorlist"' in html
    assert snapshot() == before


def test_putting_back_keeps_reason_and_name_and_makes_her_due(chief: Client) -> None:
    contact, left = leo()
    answer = act(chief, "put_back", left, confirm="1", why=f"  {WHY} ")
    assert told(answer) == ["The site's rule counts again for “Newsletter”."]
    left.refresh_from_db()
    contact.refresh_from_db()
    assert (left.put_back_why, left.reviewed_by) == (WHY, "chief")
    assert contact.desired_gen > contact.applied_gen
    html = text(answer)
    assert f"“{WHY}”" in html
    assert "Staff have put her back" in html
    assert "Put back…</button>" not in html
    entry = LogEntry.objects.get()
    assert entry.get_change_message() == "Put back on “Newsletter”: the site's rule counts again."
    assert WHY not in entry.change_message


def test_what_was_put_back_does_not_count_any_more(chief: Client) -> None:
    contact, left = leo()
    act(chief, "put_back", left, confirm="1", why=WHY)
    rows = {one.name: one.fate for one in chief.get(url("contact_change", contact.pk)).context["rows"]}
    assert rows["Newsletter"] == "will be added"
    line = text(chief.get(url("contact_changelist"), {"q": contact.email}))
    assert '<span aria-hidden="true">+</span> Newsletter' in line


def test_who_was_put_back_and_opts_out_afterwards_stays_off_for_that(chief: Client) -> None:
    contact, left = leo()
    act(chief, "put_back", left, confirm="1", why=WHY)
    out = {"opted_out_at": builders.ago(0), "opted_out_source": "remote", "status": "do_not_mail"}
    Contact.objects.filter(pk=contact.pk).update(**out)
    rows = {one.name: one.fate for one in chief.get(url("contact_change", contact.pk)).context["rows"]}
    assert rows["Newsletter"] == "stays off: opted out"


def test_a_respected_departure_can_still_be_put_back(chief: Client) -> None:
    _contact, left = leo()
    act(chief, "respect", left)
    act(chief, "put_back", left, confirm="1", why=WHY)
    left.refresh_from_db()
    assert left.put_back_why == WHY


def test_who_opted_out_of_everything_is_not_put_back(chief: Client) -> None:
    contact, left = leo()
    Contact.objects.filter(pk=contact.pk).update(opted_out_at=builders.ago(5), opted_out_source="remote")
    html = page(chief, contact)
    assert "there is nothing to decide" in html
    assert "Put back…</button>" not in html
    before = snapshot()
    answer = act(chief, "put_back", left, confirm="1", why=WHY)
    assert told(answer) == ["She has opted out of everything: only she herself can undo that."]
    assert snapshot() == before


@pytest.mark.parametrize("source", ["site", "owner"])
def test_only_what_happened_over_there_can_be_decided_about(chief: Client, source: str) -> None:
    _contact, left = leo()
    ListOptOut.objects.filter(pk=left.pk).update(source=source)
    before = snapshot()
    for name in ACTS:
        assert told(act(chief, name, left, confirm="1", why=WHY)) == [CHANGED]
    assert snapshot() == before


@pytest.mark.parametrize("wrong", ["", "x", "0", "9" * 40, "²"])
def test_nonsense_in_place_of_a_departure_is_a_404(chief: Client, wrong: str) -> None:
    leo()
    for name in ACTS:
        assert chief.post(url(f"contact_{name}"), {"left": wrong}).status_code == 404


# Something has happened meanwhile


def test_who_left_through_the_site_meanwhile_is_not_put_back_by_a_colleague(chief: Client) -> None:
    contact, left = leo()
    assert "Put her back only" in text(act(chief, "put_back", left))
    acts.leave_list(contact.email, "newsletter")
    before = snapshot()
    for name in ACTS:
        assert told(act(chief, name, left, confirm="1", why=WHY)) == [CHANGED]
    assert snapshot() == before
    rows = {one.name: one.fate for one in chief.get(url("contact_change", contact.pk)).context["rows"]}
    assert rows["Newsletter"] != "will be added"


@pytest.mark.parametrize("name", ACTS)
def test_a_page_about_one_departure_decides_nothing_about_a_later_one(chief: Client, name: str) -> None:
    """She left, the owner added her, and she left again: the row is the same one."""
    _contact, left = leo()
    ListOptOut.objects.filter(pk=left.pk).update(at=left.at + timedelta(days=1))
    before = snapshot()
    assert told(act(chief, name, left, confirm="1", why=WHY)) == [CHANGED]
    assert snapshot() == before


@pytest.mark.parametrize("wrong", ["", "x", "2026-13-01T00:00:00+00:00", "2026-01-01", "2026-01-01T00:00:00"])
def test_a_form_that_does_not_say_which_departure_it_is_about_decides_nothing(chief: Client, wrong: str) -> None:
    _contact, left = leo()
    before = snapshot()
    for name in ACTS:
        assert told(act(chief, name, left, confirm="1", why=WHY, at=wrong)) == [CHANGED]
    assert snapshot() == before


def test_the_forms_of_both_pages_say_which_departure_they_are_about(chief: Client) -> None:
    contact, left = leo()
    answers = [chief.get(url("contact_change", contact.pk)), act(chief, "put_back", left)]
    for answer, forms in zip(answers, (2, 1), strict=True):
        times = re.findall(r'name="at" value="([^"]+)"', answer.content.decode())
        assert [datetime.fromisoformat(one) for one in times] == [left.at] * forms


MEANWHILE: dict[str, Callable[[Contact], Any]] = {
    "she left on the site": lambda who: acts.leave_list(who.email, "newsletter"),
    "she left again over there": lambda who: who.list_opt_outs.update(at=builders.ago(1)),
    "she joined again over there": lambda who: who.list_opt_outs.all().delete(),
    "she opted out of everything": acts.opt_out,
    "a colleague put her back": lambda who: acts.put_back(who.list_opt_outs.get(), by="sam", why="A slip."),
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_an_act_that_something_else_was_faster_than_is_refused(what: str) -> None:
    contact, left = leo()
    assert left.contact.opted_out_at is None  # as the page had read it
    MEANWHILE[what](Contact.objects.get(pk=contact.pk))
    before = snapshot()
    with pytest.raises(acts.Outdated):
        acts.put_back(left, by="olga", why=WHY)
    if what != "she opted out of everything":
        with pytest.raises(acts.Outdated):
            acts.respect(left, by="olga")
    assert snapshot() == before


def test_of_many_that_are_respected_those_are_left_out_that_changed_meanwhile(chief: Client) -> None:
    contact, left = leo()
    acts.respect(left, by="sam")
    with pytest.raises(acts.Outdated):
        acts.respect(left, by="olga")
    data = {"action": "respect_selected", "_selected_action": [contact.pk], "index": 0}
    assert told(chief.post(url("contact_changelist"), data, follow=True)) == ["0 departures are respected."]
    left.refresh_from_db()
    assert left.reviewed_by == "sam"


# The list


def shown(client: Client, value: str) -> set[str]:
    answer = client.get(url("contact_changelist"), {"review": value})
    return {one.email for one in answer.context["cl"].result_list}


def test_the_filter_finds_who_is_to_be_reviewed_and_what_was_decided(chief: Client) -> None:
    builders.waits_for_staff()
    assert shown(chief, "open") == {"leo@example.com", "left@example.com"}
    assert shown(chief, "respected") == {"respected@example.com"}
    assert shown(chief, "put_back") == {"put-back@example.com"}
    assert shown(chief, "nonsense") == set()


@pytest.mark.parametrize("name", ["contact_changelist", "contactlist_changelist", "account_changelist"])
def test_a_banner_counts_them_and_leads_to_them(chief: Client, name: str) -> None:
    builders.waits_for_staff()
    html = text(chief.get(url(name)))
    assert "2 people left a list at Constant Contact, or were taken off there." in html
    assert f'href="{url("contact_changelist")}?review=open&amp;' in html


def test_with_the_policy_to_put_back_there_is_nothing_to_review(chief: Client) -> None:
    contact, _left = leo()
    ContactList.objects.update(on_remote_removal="restore")
    assert shown(chief, "open") == set()
    assert "The list&#x27;s policy is to put people back" in page(chief, contact).replace("'s policy", "&#x27;s policy")


@pytest.mark.parametrize("policy", ["restore", "respect"])
def test_staff_take_somebody_off_whom_the_lists_policy_would_put_back(chief: Client, policy: str) -> None:
    contact, _left = leo()
    ContactList.objects.update(on_remote_removal=policy)
    chief.post(url("contact_remove"), {"contacts": contact.pk, "confirm": "1", "sure": "on"})
    rows = {one.name: one.fate for one in chief.get(url("contact_change", contact.pk)).context["rows"]}
    assert rows["Newsletter"] not in ("will be added", "stays on")
    source = "owner" if policy == "restore" else "remote"  # her own word stays, where it counts
    assert contact.list_opt_outs.get(list__key="newsletter").source == source


@pytest.mark.sandbox
@pytest.mark.django_db(transaction=True)
def test_the_whole_way_from_a_departure_over_there_and_back(connected: Sandbox) -> None:
    client = Client()
    client.force_login(builders.chief())
    Member.objects.create(email="ada@example.com")
    site.run_due()
    connected.act("ada@example.com", "leave", list="Free members")
    contact = Contact.objects.get()
    client.post(url("contact_sync"), {"contacts": contact.pk})
    site.run_due()
    left = contact.list_opt_outs.get()
    assert "Respect</button>" in page(client, contact)
    act(client, "put_back", left, confirm="1", why=WHY)
    site.run_due()
    assert connected.lists_of("ada@example.com") == {"Free members"}
    html = page(client, contact)
    assert "In sync" in html
    assert f"“{WHY}”" in html
