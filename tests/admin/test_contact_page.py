"""The page of one contact: the verdict, the difference list by list, the history, and that it is only looked at."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import F
from django.test import Client

from django_ctct.models import Account, Contact, RemoteMembership

from . import builders
from .pages import snapshot, url

pytestmark = pytest.mark.django_db


def page(client: Client, contact: Contact) -> str:
    answer = client.get(url("contact_change", contact.pk))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("in sync", "She is wanted on Newsletter and Sustainers and is on them: confirmed by Constant Contact"),
        ("on no list", "The site wants her on no list, and she is on none of its lists"),
        ("kept", "she is on Newsletter by someone&#x27;s act at Constant Contact"),
        ("pending", "is not yet at Constant Contact. It is its turn now"),
        ("retry", "The last try failed: The server cannot answer now. Next try:"),
        ("under way", "is being sent at this moment"),
        ("verify", "one answer was unclear, so her lists are read once more"),
        ("opting out", "Nothing is added for her meanwhile"),
        ("unbound", "Stuck: The list “donors” is not bound"),
        ("wrong address", "Correct the address on the member&#x27;s own page"),
        ("rejected", "Stuck: The server refused the request"),
        ("failing", "6 tries have failed. The last one: No answer within 20 seconds"),
        ("renamed", "Compare her with Constant Contact"),
        ("opted out", "Refused: she opted out at Constant Contact"),
        ("opted out", "Only she herself can come back"),
        ("opted out, not wanted", "She has opted out"),
        ("left a list", "The site wants her on Newsletter, but: she left it at Constant Contact"),
        ("taken off", "staff took her off"),
        ("list gone", "The site wants her on Summer events, and that list is gone at Constant Contact."),
        ("stranger", "nothing is ever written to it"),
        ("script", "She is wanted on Free members and is on it"),
        ("long", "She is wanted on Free members, Newsletter and Sustainers"),
    ],
)
def test_the_page_says_how_it_stands_in_one_sentence(chief: Client, state: str, words: str) -> None:
    assert words in page(chief, builders.scene()[state])


def test_no_sentence_ends_in_two_points(chief: Client) -> None:
    for contact in builders.scene().values():
        assert ".. " not in page(chief, contact)
        assert "..<" not in page(chief, contact)


def test_a_key_that_lost_its_list_is_not_called_in_sync_in_the_sentence(chief: Client) -> None:
    contact = builders.scene()["in sync"]
    contact.account.lists.filter(key="sustainers").update(key=None)
    html = page(chief, contact)
    assert "by now she is wanted on sustainers and not known to be there" in html
    assert "bind the right list to this key" in html


def test_a_pause_of_the_account_is_the_reason_to_wait(chief: Client) -> None:
    contact = builders.scene()["pending"]
    Account.objects.update(paused_until=builders.ago(-10), pause_reason="too many calls")
    assert "All calls are paused until" in page(chief, contact)


def rows(client: Client, contact: Contact) -> dict[str, str]:
    return {one.name: one.fate for one in client.get(url("contact_change", contact.pk)).context["rows"]}


@pytest.mark.parametrize(
    ("state", "fates"),
    [
        ("in sync", {"Newsletter": "stays", "Sustainers": "stays", "Board": "not managed: never touched"}),
        (
            "pending",
            {"Sustainers": "will be added", "Free members": "will be taken off", "Board": "not managed: never touched"},
        ),
        ("unbound", {"donors": "waits until a list is bound to this key", "Free members": "stays"}),
        (
            "rejected",
            {
                "Sustainers": "would be added, but the contact is held",
                "Free members": "would be taken off, but the contact is held",
            },
        ),
        ("kept", {"Newsletter": "will be taken off"}),
        ("list gone", {"Free members": "stays", "Summer events": "waits until its key is bound to another list"}),
        ("opted out", {"Newsletter": "stays off: opted out"}),
        ("opting out", {"Free members": "ends with the opt-out"}),
        ("stranger", {"Newsletter": "not the site's: never touched"}),
    ],
)
def test_each_list_says_what_will_happen(chief: Client, state: str, fates: dict[str, str]) -> None:
    assert rows(chief, builders.scene()[state]) == fates


def test_a_list_with_the_policy_to_keep_says_so(chief: Client) -> None:
    contact = builders.scene()["kept"]
    one = RemoteMembership.objects.get(contact=contact).list
    one.on_remote_addition = "keep"
    one.save()
    assert rows(chief, contact) == {"Newsletter": "kept: added at Constant Contact"}


def test_who_left_a_list_is_named(chief: Client) -> None:
    people = builders.scene()
    assert "she left it at Constant Contact" in rows(chief, people["left a list"])["Newsletter"]
    assert "staff took her off" in rows(chief, people["taken off"])["Free members"]
    assert "known here since" not in rows(chief, people["left a list"])["Newsletter"]
    people["left a list"].list_opt_outs.update(seen_at=F("at") + timedelta(hours=1))
    assert "(known here since" in rows(chief, people["left a list"])["Newsletter"]


def test_a_field_that_cannot_be_sent_as_it_is_says_so(chief: Client) -> None:
    assert "Constant Contact takes 50: it is sent cut." in page(chief, builders.scene()["in sync"])


def test_the_history_names_lists_and_not_ids(chief: Client) -> None:
    html = page(chief, builders.scene()["in sync"])
    assert "+ Sustainers; + Newsletter; − Free members" in html
    assert "Created" in html
    assert "the site&#x27;s rule" in html


def test_consents_and_opt_outs_are_shown(chief: Client) -> None:
    assert "“Send me news”" in page(chief, builders.scene()["opted out"])


def test_the_acts_of_staff_are_shown_with_their_names(chief: Client) -> None:
    contact = builders.scene()["in sync"]
    sam = builders.staff()
    LogEntry.objects.log_actions(sam.pk, [contact], CHANGE, "Asked to sync now.")
    assert "sam: Asked to sync now." in page(chief, contact)


def test_the_error_as_it_was_recorded_is_at_hand(chief: Client) -> None:
    assert "GET /contacts/{id} answered 503" in page(chief, builders.scene()["retry"])


def test_remote_and_site_text_is_escaped(chief: Client) -> None:
    contact = builders.scene()["script"]
    builders.lists(free=builders.SCRIPT)
    Contact.objects.filter(pk=contact.pk).update(hold="rejected", due_at=None, error_text=builders.SCRIPT)
    builders.write(contact, [], [1], fields=[builders.SCRIPT])
    contact.memberships.create(key=builders.SCRIPT[:60], member_key=builders.SCRIPT)
    html = page(chief, contact)
    assert "<script>document" not in html
    assert html.count("&lt;script&gt;document") >= 5


def test_a_member_without_a_page_is_named_without_a_link(chief: Client) -> None:
    contact = builders.scene()["in sync"]
    assert "Member " in page(chief, contact)
    assert "/admin/site/member/" not in page(chief, contact)


@pytest.mark.usefixtures("member_pages")
def test_a_member_with_a_page_is_linked_for_those_who_may_see_it(chief: Client, client_of) -> None:  # type: ignore[no-untyped-def]
    contact = builders.scene()["in sync"]
    assert "/admin/site/member/" in page(chief, contact)
    assert "/admin/site/member/" not in page(client_of("view_contact"), contact)
    assert "/admin/site/member/" in page(client_of("view_contact", "view_member"), contact)


def test_a_member_key_of_the_sites_own_making_does_no_harm(chief: Client) -> None:
    contact = builders.scene()["in sync"]
    for strange in ["", ":", "no.such:1", "a.b.c:1", "only-a-word", "auth.user:" + "x/" * 50]:
        contact.memberships.create(key="free", member_key=strange)
    assert "only-a-word" in page(chief, contact)


def test_an_account_that_left_the_settings_is_no_error(chief: Client) -> None:
    contact = builders.scene()["in sync"]
    Account.objects.update(alias="bygone")
    assert "In sync" in page(chief, contact)


def test_looking_changes_nothing(chief: Client) -> None:
    people = builders.scene()
    before = snapshot()
    for contact in people.values():
        page(chief, contact)
    chief.get(url("contact_changelist"))
    assert snapshot() == before


@pytest.mark.parametrize("name", ["contact_changelist", "contactlist_changelist", "account_changelist"])
def test_pages_need_the_permission_to_view(client_of, name: str) -> None:  # type: ignore[no-untyped-def]
    assert client_of().get(url(name)).status_code == 403


def test_a_contact_cannot_be_added_changed_or_deleted_by_hand(chief: Client) -> None:
    contact = builders.scene()["in sync"]
    before = snapshot()
    assert chief.get(url("contact_add")).status_code == 403
    assert chief.post(url("contact_add"), {"email": "x@example.com"}).status_code == 403
    assert chief.post(url("contact_change", contact.pk), {"email": "x@example.com"}).status_code == 403
    assert chief.post(url("contact_delete", contact.pk), {"post": "yes"}).status_code == 403
    assert chief.get(url("contact_delete", contact.pk)).status_code == 403
    chief.post(url("contact_changelist"), {"action": "delete_selected", "_selected_action": contact.pk, "index": 0})
    assert snapshot() == before


@pytest.mark.parametrize("wrong", ["0", "x", "9" * 30, "1%27"])
def test_a_contact_that_is_not_there_is_a_404(chief: Client, wrong: str) -> None:
    assert chief.get(f"{url('contact_changelist')}{wrong}/change/").status_code == 404
