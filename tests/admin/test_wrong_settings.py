"""While ``settings.CTCT`` is missing or misspelt, every page says so in one sentence, and shows what is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.signals import setting_changed
from django.test import Client
from django.utils.html import strip_tags

from django_ctct.models import Account, Contact, ContactList, ListOptOut

from . import builders
from .pages import snapshot, url

pytestmark = pytest.mark.django_db

CONFIRMED = {"alias": "default", "confirm": "1", "sure": "on"}
SENTENCES = {
    "missing": "The settings of this site are wrong: settings.CTCT is missing. It needs at least",
    "misspelt": "The settings of this site are wrong: CTCT has an unknown key &#x27;ACOUNTS&#x27;. "
    "Did you mean &#x27;ACCOUNTS&#x27;?",
}


def go_wrong(settings: Any, how: str) -> None:
    if how == "missing":
        del settings.CTCT
        setting_changed.send(None, setting="CTCT", value=None, enter=True)  # pytest-django says nothing of it
    else:
        settings.CTCT = {"ACOUNTS": settings.CTCT["ACCOUNTS"]}


@pytest.fixture(params=SENTENCES)
def wrong(request: pytest.FixtureRequest, settings: Any, db: None) -> str:
    """Make people in every state and an account that was connected, and spoil the settings. Return what is wrong."""
    builders.waits_for_staff()
    Account.objects.update(environment="a:b:c", tokens="sealed", connected_at=builders.ago(90))
    go_wrong(settings, request.param)
    return SENTENCES[request.param]


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def words(answer: Any) -> str:
    """Return what a page says, without its tags."""
    return strip_tags(answer.content.decode().split("<main")[1])


def told(answer: Any) -> list[str]:
    return [str(one) for one in answer.context["messages"]]


def leo() -> Contact:
    return Contact.objects.get(email="leo@example.com")


def board() -> ContactList:
    return ContactList.objects.get(name="Board")


PAGES: dict[str, Callable[[], str]] = {
    "contacts": lambda: url("contact_changelist"),
    "lists": lambda: url("contactlist_changelist"),
    "list": lambda: url("contactlist_change", board().pk),
    "bind": lambda: url("contactlist_bind", board().pk),
    "accounts": lambda: url("account_changelist"),
    "account": lambda: url("account_change", builders.account().pk),
    "plan": lambda: url("account_plan", builders.account().pk),
    "writes": lambda: url("writeattempt_changelist"),
    "write": lambda: url("writeattempt_change", leo().account.contacts.get(email__startswith="ada").writes.first().pk),
}


# Looking


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_once_what_is_wrong_and_who_can_help(chief: Client, wrong: str, name: str) -> None:
    html = text(chief.get(PAGES[name]()))
    assert html.count(wrong) == 1
    assert "Ask whoever runs the site to put that right." in html


def test_the_page_of_everybody_says_it_and_changes_nothing(chief: Client, wrong: str) -> None:
    before = snapshot()
    for contact in Contact.objects.all():
        assert text(chief.get(url("contact_change", contact.pk))).count(wrong) == 1
    assert snapshot() == before


@pytest.mark.parametrize("model", ["contact", "contactlist", "account", "writeattempt"])
def test_the_admins_own_history_is_there(chief: Client, wrong: str, model: str) -> None:
    rows = {"contact": leo(), "contactlist": board(), "account": builders.account()}
    row = rows.get(model) or Contact.objects.get(email__startswith="ada").writes.earliest("at")
    assert chief.get(url(f"{model}_history", row.pk)).status_code == 200


@pytest.mark.parametrize("query", [{"state": "failed"}, {"review": "open"}, {"why": "left_list"}, {"q": "leo"}])
def test_the_filters_of_the_contacts_work(chief: Client, wrong: str, query: dict[str, str]) -> None:
    assert wrong in text(chief.get(url("contact_changelist"), query))


def test_who_has_no_account_yet_is_told_as_well(chief: Client, settings: Any) -> None:
    go_wrong(settings, "missing")
    for name in ["contact_changelist", "contactlist_changelist", "account_changelist", "writeattempt_changelist"]:
        assert text(chief.get(url(name))).count(SENTENCES["missing"]) == 1


def test_the_page_of_a_contact_shows_what_is_known(chief: Client, wrong: str) -> None:
    html = text(chief.get(url("contact_change", Contact.objects.get(email__startswith="ada").pk)))
    assert "In sync" in html
    assert "What will happen cannot be told while the settings are wrong." in html
    for known in ["Sustainers", "Board", "Analytical Engines", "+ Sustainers; + Newsletter; − Free members"]:
        assert known in html


def test_no_list_of_a_contact_promises_anything(chief: Client, wrong: str) -> None:
    for contact in Contact.objects.all():
        answer = chief.get(url("contact_change", contact.pk))
        assert {row.fate for row in answer.context["rows"]} <= {"not known now"}
        assert answer.context["drift"] == []


def test_the_page_of_a_contact_shows_consents_and_departures(chief: Client, wrong: str) -> None:
    html = text(chief.get(url("contact_change", Contact.objects.get(email="left@example.com").pk)))
    assert "Send me news of our work" in html
    assert "She left <em>Newsletter</em>" in html


def test_no_plan_is_made_up(chief: Client, wrong: str) -> None:
    html = text(chief.get(url("account_plan", builders.account().pk)))
    assert "The plan cannot be worked out while the settings are wrong." in html
    assert "Person by person" not in html
    assert "Approve: from now on" not in html


@pytest.mark.parametrize("kind", builders.STANDSTILLS)
def test_no_pause_is_said_to_end_by_itself(chief: Client, wrong: str, kind: str) -> None:
    builders.standstill(kind)
    for address in [PAGES["account"](), PAGES["contacts"](), url("contact_change", leo().pk)]:
        html = text(chief.get(address))
        assert "goes on by itself" not in html
        assert "then check the connection" not in html


@pytest.mark.parametrize("name", ["account_changelist", "account_change"])
def test_an_account_is_not_said_to_be_gone_from_settings_that_nobody_can_read(
    chief: Client, wrong: str, name: str
) -> None:
    html = text(chief.get(url(name, *([builders.account().pk] if name == "account_change" else []))))
    assert "Settings wrong" in html
    assert "What is shown here is what was last known." in html
    assert "not in the settings" not in html


def test_the_account_page_offers_nothing_that_takes_the_settings(chief: Client, wrong: str) -> None:
    html = text(chief.get(url("account_change", builders.account().pk)))
    for button in ["Check the connection", "Connect again", "Disconnect…", "This is the live site now…"]:
        assert f"{button}</button>" not in html


# Acts on contacts: what needs no settings is recorded all the same


@pytest.mark.parametrize("name", ["sync", "remove", "lift", "opt_out"])
def test_what_staff_ask_for_is_recorded(chief: Client, wrong: str, name: str) -> None:
    contact = Contact.objects.get(email="tess@example.com")
    answer = chief.post(url(f"contact_{name}"), {"contacts": contact.pk, **CONFIRMED}, follow=True)
    assert wrong in text(answer)
    contact.refresh_from_db()
    assert contact.due_at is not None
    assert LogEntry.objects.get().object_id == str(contact.pk)


@pytest.mark.parametrize("name", ["remove", "opt_out"])
def test_a_page_that_asks_first_says_it_too(chief: Client, wrong: str, name: str) -> None:
    before = snapshot()
    html = text(chief.post(url(f"contact_{name}"), {"contacts": leo().pk}))
    assert html.count(wrong) == 1
    assert "No, take me back" in html
    assert snapshot() == before


def test_showing_a_plan_says_it_for_each_contact(chief: Client, wrong: str) -> None:
    answer = chief.post(url("contact_plan"), {"contacts": leo().pk})
    assert wrong in text(answer)
    assert 'class="ctct-problem"' in text(answer)


@pytest.mark.parametrize("action", ["sync", "plan", "respect", "remove", "lift", "opt_out"])
def test_the_actions_of_the_list_work(chief: Client, wrong: str, action: str) -> None:
    data = {"action": f"{action}_selected", "_selected_action": [leo().pk], "index": 0}
    assert wrong in text(chief.post(url("contact_changelist"), data, follow=True))


def test_a_departure_can_be_decided_about(chief: Client, wrong: str) -> None:
    left = ListOptOut.objects.get(contact=leo())
    meant = {"left": left.pk, "at": left.at.isoformat()}
    assert wrong in text(chief.post(url("contact_respect"), meant, follow=True))
    assert wrong in text(chief.post(url("contact_put_back"), meant))
    data = {**meant, "confirm": "1", "why": "A mistake over there."}
    assert wrong in text(chief.post(url("contact_put_back"), data, follow=True))
    left.refresh_from_db()
    assert left.put_back_why == "A mistake over there."


# Acts on lists and accounts


def test_lists_can_be_bound_unbound_and_given_policies(chief: Client, wrong: str) -> None:
    one = board()
    assert wrong in text(chief.post(url("contactlist_bind", one.pk), {"key": "donors"}, follow=True))
    policies = {"on_remote_removal": "restore", "on_remote_addition": "keep"}
    assert wrong in text(chief.post(url("contactlist_change", one.pk), policies, follow=True))
    one.refresh_from_db()
    assert (one.key, one.on_remote_removal) == ("donors", "restore")
    assert wrong in text(chief.post(url("contactlist_unbind", one.pk), follow=True))


@pytest.mark.parametrize("name", ["check", "connect", "disconnect", "adopt", "approve"])
@pytest.mark.parametrize("data", [{"alias": "default"}, CONFIRMED], ids=["asked", "confirmed"])
def test_what_takes_the_settings_is_refused_in_a_sentence(
    chief: Client, wrong: str, name: str, data: dict[str, str]
) -> None:
    before = snapshot()
    answer = chief.post(url(f"account_{name}"), data, follow=True)
    reason = wrong.partition(": ")[2].replace("&#x27;", "'")
    assert len(told(answer)) == 1
    assert reason in told(answer)[0]
    assert wrong in text(answer)
    assert snapshot() == before


def test_reading_the_lists_is_refused_in_a_sentence(chief: Client, wrong: str) -> None:
    answer = chief.post(url("contactlist_read"), {"alias": "default"}, follow=True)
    assert wrong.partition(": ")[2].replace("&#x27;", "'") in told(answer)[0]


def test_who_comes_back_from_constant_contact_is_told_as_well(chief: Client, wrong: str) -> None:
    session = chief.session
    user = session["_auth_user_id"]
    session["django_ctct_connect"] = {
        "state": "s", "verifier": "v", "alias": "default", "redirect_uri": "r", "user": user, "at": time.time()
    }  # fmt: skip
    session.save()
    answer = chief.get(url("account_callback"), {"state": "s", "code": "c"})
    assert answer.status_code == 400
    assert wrong.partition(": ")[2] in " ".join(answer.content.decode().split())


# What the sentences look like


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("missing", "settings.CTCT is missing. It needs at least {'ACCOUNTS': {'default': {…}}}."),
        ("misspelt", "CTCT has an unknown key 'ACOUNTS'. Did you mean 'ACCOUNTS'?"),
    ],
    ids=SENTENCES,
)
@pytest.mark.parametrize(
    ("act", "frame"),
    [
        ("account_check", "default: %s"),
        ("contactlist_read", "default: %s"),
        ("account_connect", "%s"),
        ("account_disconnect", "Nothing was done. The settings of this site are wrong: %s"),
    ],
    ids=["check", "read", "connect", "disconnect"],
)
def test_a_message_keeps_the_spelling_and_the_last_mark_of_what_is_wrong(
    chief: Client, settings: Any, how: str, sentence: str, act: str, frame: str
) -> None:
    builders.account()
    go_wrong(settings, how)
    answer = chief.post(url(act), {"alias": "default"}, follow=True)
    assert told(answer) == [frame % sentence]


@pytest.mark.parametrize("how", SENTENCES)
def test_no_page_capitalises_a_setting_or_ends_a_sentence_twice(chief: Client, settings: Any, how: str) -> None:
    contact = builders.scene()["in sync"]
    go_wrong(settings, how)
    plan = chief.post(url("contact_plan"), {"contacts": contact.pk})
    for answer in [plan, *(chief.get(page()) for page in PAGES.values())]:
        for wrong in ["Settings.CTCT", "?.", "..", ".?"]:
            assert wrong not in words(answer)


@pytest.mark.parametrize("name", PAGES)
def test_with_right_settings_no_page_speaks_of_wrong_ones(chief: Client, name: str) -> None:
    builders.waits_for_staff()
    assert "are wrong" not in text(chief.get(PAGES[name]()))
