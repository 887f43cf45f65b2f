"""What staff may do with contacts: each act with its own permission, by POST with a CSRF token, and asked twice
where it cannot be taken back easily."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.signals import before_task_publish
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import resolve

from django_ctct.admin.contact_acts import MOST_CONTACTS
from django_ctct.admin.plans import MOST_PLANS
from django_ctct.models import Account, Contact, ListOptOut

from . import builders
from .pages import snapshot, url

pytestmark = pytest.mark.django_db

ACTS = {
    "sync": "sync_contact",
    "plan": "sync_contact",
    "remove": "remove_contact",
    "lift": "remove_contact",
    "opt_out": "opt_out_contact",
}
ACTIONS = {
    "sync_selected": "sync_contact",
    "plan_selected": "sync_contact",
    "remove_selected": "remove_contact",
    "lift_selected": "remove_contact",
    "opt_out_selected": "opt_out_contact",
}
BUTTONS = {
    "Sync now": "sync_contact",
    "Show plan": "sync_contact",
    "Remove from all managed lists…": "remove_contact",
    "Let the rules count again": "remove_contact",
    "Opt out…": "opt_out_contact",
}
CONFIRMED = {"confirm": "1", "sure": "on"}


@pytest.fixture
def kicked(settings: Any) -> Iterator[list[str]]:
    """Collect the hints to workers as Celery publishes them; what a hint leads to is another test's matter."""
    settings.CTCT = {**settings.CTCT, "KICK": "inline"}
    seen: list[str] = []

    def note(body: Any, **_: Any) -> None:
        args, _kwargs, _embedded = body
        seen.extend(args)

    before_task_publish.connect(note, sender="django_ctct.drain", weak=False, dispatch_uid="test")
    yield seen
    before_task_publish.disconnect(sender="django_ctct.drain", dispatch_uid="test")


def act(client: Client, name: str, *contacts: Contact, **data: str) -> Any:
    ids = ",".join(str(one.pk) for one in contacts)
    return client.post(url(f"contact_{name}"), {"contacts": ids, **data}, follow=True)


def told(answer: Any) -> list[str]:
    return [str(one) for one in answer.context["messages"]]


# Permissions


@pytest.mark.parametrize("name", ACTS)
def test_an_act_is_refused_to_those_who_have_all_other_permissions(client_of: Callable[..., Client], name: str) -> None:
    contact = builders.scene()["taken off"]
    others = {"view_contact", "change_contact", "delete_contact", *ACTS.values()} - {ACTS[name]}
    client, before = client_of(*others), snapshot()
    assert act(client, name, contact, **CONFIRMED).status_code == 403
    assert snapshot() == before


@pytest.mark.parametrize("name", ACTS)
def test_an_act_is_refused_to_those_who_may_not_see_the_contact(client_of: Callable[..., Client], name: str) -> None:
    contact = builders.scene()["taken off"]
    client, before = client_of(ACTS[name]), snapshot()
    assert act(client, name, contact, **CONFIRMED).status_code == 403
    assert snapshot() == before


@pytest.mark.parametrize("name", ACTS)
def test_an_act_is_open_to_those_with_its_permission(client_of: Callable[..., Client], name: str) -> None:
    contact = builders.scene()["taken off"]
    assert act(client_of("view_contact", ACTS[name]), name, contact, **CONFIRMED).status_code == 200


@pytest.mark.parametrize("name", ACTS)
def test_an_act_is_closed_to_visitors(name: str) -> None:
    contact = builders.scene()["taken off"]
    before = snapshot()
    answer = Client().post(url(f"contact_{name}"), {"contacts": str(contact.pk), **CONFIRMED})
    assert answer.status_code == 302
    assert "/login/" in answer["Location"]
    assert snapshot() == before


@pytest.mark.parametrize("permission", [None, *sorted(set(ACTS.values()))])
def test_the_list_offers_the_actions_that_one_may_use(client_of: Callable[..., Client], permission: str | None) -> None:
    builders.scene()
    client = client_of("view_contact", *([permission] if permission else []))
    html = client.get(url("contact_changelist")).content.decode()
    for action, needed in ACTIONS.items():
        assert (f'value="{action}"' in html) == (needed == permission)
    assert "delete_selected" not in html


@pytest.mark.parametrize("permission", [None, *sorted(set(ACTS.values()))])
def test_the_page_offers_the_buttons_that_one_may_press(
    client_of: Callable[..., Client], permission: str | None
) -> None:
    contact = builders.scene()["taken off"]
    client = client_of("view_contact", *([permission] if permission else []))
    html = client.get(url("contact_change", contact.pk)).content.decode()
    for label, needed in BUTTONS.items():
        assert (f">{label}</button>" in html) == (needed == permission)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_of_the_list_is_refused_without_its_permission(client_of: Callable[..., Client], action: str) -> None:
    contact = builders.scene()["taken off"]
    others = {"view_contact", *ACTS.values()} - {ACTIONS[action]}
    client, before = client_of(*others), snapshot()
    client.post(url("contact_changelist"), {"action": action, "_selected_action": contact.pk, "index": 0, **CONFIRMED})
    assert snapshot() == before


# POST and CSRF


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_only_post_acts(chief: Client, name: str, method: str) -> None:
    contact = builders.scene()["taken off"]
    before = snapshot()
    answer = getattr(chief, method)(f"{url(f'contact_{name}')}?contacts={contact.pk}&confirm=1&sure=on")
    assert answer.status_code == 405
    assert snapshot() == before


@pytest.mark.parametrize("name", ACTS)
def test_an_act_without_a_csrf_token_is_refused(client_of: Callable[..., Client], name: str) -> None:
    contact = builders.scene()["taken off"]
    client, before = client_of("view_contact", ACTS[name], csrf=True), snapshot()
    assert act(client, name, contact, **CONFIRMED).status_code == 403
    assert snapshot() == before


def test_the_forms_of_the_page_carry_the_token(client_of: Callable[..., Client]) -> None:
    contact = builders.scene()["taken off"]
    client = client_of("view_contact", "sync_contact", csrf=True)
    client.get(url("contact_change", contact.pk))
    token = client.cookies["csrftoken"].value
    assert act(client, "sync", contact, csrfmiddlewaretoken=token).status_code == 200
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("name", [*(f"contact_{name}" for name in ACTS), "contact_changelist", "account_check"])
def test_what_may_call_constant_contact_runs_outside_of_any_transaction(name: str) -> None:
    assert "default" in resolve(url(name)).func._non_atomic_requests  # type: ignore[attr-defined]


# Sync now


@pytest.mark.django_db(transaction=True)
def test_sync_now_makes_held_contacts_due_and_wakes_a_worker(chief: Client, kicked: list[str]) -> None:
    people = builders.scene()
    answer = act(chief, "sync", people["unbound"], people["rejected"], people["stranger"])
    assert told(answer) == [
        "2 contacts are due now.",
        "1 without a member of the site: never written, so there is nothing to sync.",
    ]
    assert not Contact.objects.filter(pk__in=[people["unbound"].pk, people["rejected"].pk]).exclude(hold="").exists()
    assert kicked == ["default"]
    assert LogEntry.objects.count() == 2


def test_sync_now_from_the_page_leads_back_to_the_page(chief: Client) -> None:
    contact = builders.scene()["unbound"]
    answer = act(chief, "sync", contact, from_page="1")
    assert answer.redirect_chain == [(url("contact_change", contact.pk), 302)]


def test_the_log_names_who_did_what_and_repeats_no_address(client_of: Callable[..., Client]) -> None:
    contact = builders.scene()["unbound"]
    act(client_of("view_contact", "sync_contact"), "sync", contact)
    entry = LogEntry.objects.get()
    assert entry.user.username.startswith("sam")
    assert entry.object_id == str(contact.pk)
    assert entry.object_repr == f"Contact {contact.pk}", "it outlives an erasure"
    assert "@" not in entry.change_message


@pytest.mark.parametrize("name", ["sync", "remove", "lift", "opt_out"])
def test_no_act_leaves_an_address_in_the_log(chief: Client, name: str) -> None:
    people = builders.scene()
    act(chief, name, people["taken off"], people["unbound"], **CONFIRMED)
    for left in ListOptOut.objects.filter(source="remote"):
        chief.post(url("contact_respect"), {"left": left.pk, "at": left.at.isoformat()})
    entries = LogEntry.objects.values_list("object_repr", "change_message")
    assert len(entries) >= 2
    assert not [words for entry in entries for words in entry if "@" in words]


def test_the_admins_first_page_names_a_contact_by_number_and_leads_to_her(chief: Client) -> None:
    contact = builders.scene()["unbound"]
    act(chief, "sync", contact)
    html = chief.get("/admin/").content.decode()
    assert f'<a href="{url("contact_change", contact.pk)}">Contact {contact.pk}</a>' in html
    assert contact.email not in html


# Remove, and its counterpart


@pytest.mark.django_db(transaction=True)
def test_remove_asks_first_and_names_every_address_and_list(chief: Client, kicked: list[str]) -> None:
    people = builders.scene()
    before = snapshot()
    answer = act(chief, "remove", people["in sync"], people["pending"])
    html = answer.content.decode()
    for words in ["ada.lovelace@example.com", "grace@example.com", "Sustainers", "It is not an opt-out"]:
        assert words in html
    assert "<li>Board</li>" not in html
    assert snapshot() == before
    assert kicked == []


@pytest.mark.django_db(transaction=True)
def test_remove_takes_off_all_managed_lists_and_does_not_opt_out(chief: Client, kicked: list[str]) -> None:
    contact = builders.scene()["in sync"]
    answer = act(chief, "remove", contact, **CONFIRMED)
    assert told(answer) == ["1 contact leaves all managed lists."]
    contact.refresh_from_db()
    assert set(contact.list_opt_outs.values_list("list__key", "source")) == {
        ("free", "owner"),
        ("sustainers", "owner"),
        ("newsletter", "owner"),
        ("events", "owner"),
    }
    assert contact.opted_out_at is None
    assert not contact.opt_out_wanted
    assert contact.desired_gen > contact.applied_gen
    assert kicked == ["default"]
    assert LogEntry.objects.get().object_id == str(contact.pk)


@pytest.mark.parametrize("name", ["remove", "opt_out"])
def test_without_the_tick_nothing_happens_and_the_page_says_so(chief: Client, name: str) -> None:
    contact = builders.scene()["in sync"]
    before = snapshot()
    answer = act(chief, name, contact, confirm="1")
    assert "Tick the box to say that you mean it." in answer.content.decode()
    assert snapshot() == before


@pytest.mark.django_db(transaction=True)
def test_the_rules_count_again_only_where_staff_took_her_off(chief: Client, kicked: list[str]) -> None:
    people = builders.scene()
    answer = act(chief, "lift", people["taken off"], people["left a list"])
    assert told(answer) == ["The rules count again for 1 contact."]
    assert list(ListOptOut.objects.values_list("contact__email", "source")) == [("leo@example.com", "remote")]
    assert LogEntry.objects.get().object_id == str(people["taken off"].pk)
    assert kicked == ["default"]


def test_the_button_to_let_the_rules_count_again_shows_only_after_staff_took_her_off(chief: Client) -> None:
    people = builders.scene()
    for name in ["in sync", "left a list", "opted out"]:
        html = chief.get(url("contact_change", people[name].pk)).content.decode()
        assert "Let the rules count again</button>" not in html


# Opt out


def test_opt_out_asks_first_and_says_that_it_is_for_good(chief: Client) -> None:
    people = builders.scene()
    before = snapshot()
    html = act(chief, "opt_out", people["in sync"], people["opted out"]).content.decode()
    assert "This is for good." in html
    assert "1 contact will be opted out" in html
    assert "Already opted out, left as they are" in html
    assert "ada.lovelace@example.com" in html
    assert "dora@example.com" in html
    assert snapshot() == before


@pytest.mark.django_db(transaction=True)
def test_opt_out_is_recorded_as_an_act_of_staff_and_sent_first(chief: Client, kicked: list[str]) -> None:
    contact = builders.scene()["in sync"]
    answer = act(chief, "opt_out", contact, **CONFIRMED)
    assert told(answer) == ["1 contact is opted out, for good."]
    contact.refresh_from_db()
    assert contact.opt_out_wanted
    assert contact.opted_out_source == "owner"
    assert contact.priority == 0
    assert kicked == ["default"]
    assert LogEntry.objects.get().get_change_message() == "Opted out for good."


def test_a_persons_own_opt_out_does_not_become_one_of_staff(chief: Client) -> None:
    contact = builders.scene()["opted out"]
    before = snapshot()
    html = act(chief, "opt_out", contact, **CONFIRMED).content.decode()
    assert "All of these have opted out already." in html
    assert snapshot() == before


def test_the_page_offers_no_opt_out_to_those_who_have(chief: Client) -> None:
    people = builders.scene()
    for name in ["opted out", "opting out"]:
        assert "Opt out…" not in chief.get(url("contact_change", people[name].pk)).content.decode()


# From the list


def choose(client: Client, action: str, *contacts: Contact, query: str = "", **data: object) -> Any:
    ids = [one.pk for one in contacts]
    data = {"action": action, "_selected_action": ids, "index": 0, **data}
    return client.post(url("contact_changelist") + query, data, follow=True)


def test_an_action_of_the_list_leads_to_the_same_confirmation(chief: Client) -> None:
    people = builders.scene()
    before = snapshot()
    html = choose(chief, "opt_out_selected", people["in sync"], people["retry"]).content.decode()
    assert "2 contacts will be opted out" in html
    assert snapshot() == before


def test_after_an_action_the_filters_of_the_list_still_hold(chief: Client) -> None:
    people = builders.scene()
    page = choose(chief, "remove_selected", people["unbound"], query="?state=failed")
    assert 'name="query" value="state=failed"' in page.content.decode()
    answer = act(chief, "remove", people["unbound"], query="state=failed", **CONFIRMED)
    assert answer.redirect_chain == [(url("contact_changelist") + "?state=failed", 302)]


def test_no_address_of_another_site_can_be_smuggled_into_the_way_back(chief: Client) -> None:
    contact = builders.scene()["unbound"]
    answer = act(chief, "sync", contact, query="//evil.example.com/")
    assert answer.redirect_chain[0][0].startswith("/admin/django_ctct/contact/?")


def crowd(size: int) -> None:
    account = builders.account()
    numbered = (f"{n}@example.com" for n in range(size))
    Contact.objects.bulk_create(Contact(account=account, email=one, desired_gen=1, applied_gen=1) for one in numbered)


@pytest.mark.parametrize("action", ACTIONS)
def test_more_than_a_thousand_contacts_are_refused(chief: Client, action: str) -> None:
    crowd(MOST_CONTACTS + 1)
    one = Contact.objects.earliest("pk")
    before = snapshot()
    answer = choose(chief, action, one, select_across="1")
    assert told(answer) == ["More than 1,000 contacts are selected. Nothing was done: narrow the selection first."]
    assert snapshot() == before


@pytest.mark.parametrize("name", ["sync", "remove", "opt_out"])
def test_exactly_a_thousand_contacts_go_through_confirmation_and_act(chief: Client, name: str) -> None:
    crowd(MOST_CONTACTS)
    contacts = Contact.objects.all()
    assert choose(chief, f"{name}_selected", contacts[0], select_across="1").status_code == 200
    assert act(chief, name, *contacts, **CONFIRMED).status_code == 200
    assert LogEntry.objects.count() >= MOST_CONTACTS


@pytest.mark.parametrize("ids", ["", "x", "0", "1;2", "9" * 40, "-1", "1,,2", "²"])
def test_nonsense_in_place_of_contacts_does_nothing(chief: Client, ids: str) -> None:
    before = snapshot()
    answer = chief.post(url("contact_sync"), {"contacts": ids, **CONFIRMED}, follow=True)
    assert told(answer) == ["None of these contacts is there any more."]
    assert snapshot() == before


def test_plans_are_shown_for_a_few_contacts_at_a_time(chief: Client) -> None:
    account = builders.account()
    contacts = [Contact.objects.create(account=account, email=f"{n}@example.com") for n in range(MOST_PLANS + 1)]
    assert f"select {MOST_PLANS} at most" in told(act(chief, "plan", *contacts))[0]


def test_an_account_that_left_the_settings_is_told_in_a_sentence(chief: Client) -> None:
    contact = builders.scene()["in sync"]
    Account.objects.update(alias="bygone")
    assert "has no account" in act(chief, "plan", contact).content.decode()
