"""The pages of lists and accounts: binding, policies, the connection; and that nothing secret is ever shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_ctct import quota
from django_ctct.conf import account as settings_of
from django_ctct.models import Account, Contact, ContactList, Quota
from tests.account import Sandbox

from . import builders
from .pages import snapshot, url

pytestmark = pytest.mark.django_db

CANARY = "canary-4711"


def told(answer: Any) -> list[str]:
    return [str(one) for one in answer.context["messages"]]


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


# Lists


def test_lists_say_whether_they_are_managed(chief: Client) -> None:
    builders.lists()
    ContactList.objects.filter(key="free").update(missing_since=builders.ago(60))
    html = text(chief.get(url("contactlist_changelist")))
    assert "Not managed" in html
    assert "never touched" in html
    assert "missing at Constant Contact since" in html
    assert "has been missing at Constant Contact since" in html


@pytest.mark.parametrize(
    ("value", "names"),
    [("yes", {"Free members", "Sustainers", "Newsletter"}), ("no", {"Board"}), ("missing", {"Sustainers"})],
)
def test_lists_can_be_filtered_by_being_managed(chief: Client, value: str, names: set[str]) -> None:
    builders.lists()
    ContactList.objects.filter(key="sustainers").update(missing_since=builders.ago(60))
    found = chief.get(url("contactlist_changelist"), {"managed": value}).context["cl"].result_list
    assert {one.name for one in found} == names


@pytest.mark.parametrize("name", ["contact_changelist", "contactlist_changelist", "account_changelist"])
def test_unbound_keys_are_shown_on_top(chief: Client, name: str) -> None:
    builders.scene()
    assert "No list is bound to the key “donors”" in text(chief.get(url(name)))


def test_without_unbound_keys_there_is_no_warning(chief: Client) -> None:
    builders.lists()
    assert "ctct-banner" not in text(chief.get(url("contactlist_changelist")))


def test_binding_asks_which_key_and_flags_those_that_members_wait_for(chief: Client) -> None:
    builders.scene()
    board = ContactList.objects.get(name="Board")
    before = snapshot()
    html = text(chief.get(url("contactlist_bind", board.pk)))
    assert "donors (no list yet, and members wait for it)" in html
    assert "free (now bound to “Free members”: it would move here)" in html
    assert snapshot() == before


def test_binding_makes_a_list_managed_and_lets_those_who_waited_go_on(chief: Client) -> None:
    contact = builders.scene()["unbound"]
    board = ContactList.objects.get(name="Board")
    answer = chief.post(url("contactlist_bind", board.pk), {"key": "donors"}, follow=True)
    assert told(answer) == ["“Board” is bound to the key “donors”. Members who waited for it go on."]
    board.refresh_from_db()
    contact.refresh_from_db()
    assert board.key == "donors"
    assert contact.hold == ""
    assert contact.due_at is not None
    assert LogEntry.objects.get().get_change_message() == "Bound to the key donors."


def test_keys_of_the_adapters_can_be_bound_before_any_member_waits(chief: Client) -> None:
    row = ContactList.objects.create(account=builders.account(), remote_id=builders.remote_id(5), name="New")
    html = text(chief.get(url("contactlist_bind", row.pk)))
    for key in ["free", "sustainers", "newsletter"]:
        assert f"{key} (no list yet)" in html


def test_a_key_that_nobody_knows_cannot_be_bound(chief: Client) -> None:
    builders.lists()
    board = ContactList.objects.get(name="Board")
    before = snapshot()
    assert chief.post(url("contactlist_bind", board.pk), {"key": "made-up"}).status_code == 200
    assert snapshot() == before


def test_wrong_adapters_do_not_keep_staff_from_binding(chief: Client, settings: Any) -> None:
    builders.scene()
    settings.CTCT = {**settings.CTCT, "ADAPTERS": ["no.such.Adapter"]}
    board = ContactList.objects.get(name="Board")
    assert "donors" in text(chief.get(url("contactlist_bind", board.pk)))


def test_a_key_can_be_taken_off(chief: Client) -> None:
    row = builders.lists()["free"]
    chief.post(url("contactlist_unbind", row.pk))
    row.refresh_from_db()
    assert row.key is None
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("name", ["contactlist_bind", "contactlist_unbind"])
def test_binding_needs_its_own_permission(client_of: Callable[..., Client], name: str) -> None:
    board = builders.lists()["board"]
    client = client_of("view_contactlist", "change_contactlist", "check_account")
    before = snapshot()
    assert client.post(url(name, board.pk), {"key": "free"}).status_code == 403
    assert client.get(url(name, board.pk)).status_code in (403, 405)
    assert "Bind to a key" not in text(client.get(url("contactlist_change", board.pk)))
    assert snapshot() == before


def test_binding_without_a_csrf_token_is_refused(client_of: Callable[..., Client]) -> None:
    board = builders.lists()["board"]
    client = client_of("view_contactlist", "bind_contactlist", csrf=True)
    before = snapshot()
    for name in ["contactlist_bind", "contactlist_unbind"]:
        assert client.post(url(name, board.pk), {"key": "free"}).status_code == 403
    assert snapshot() == before


def test_policies_can_be_changed_and_nothing_else(client_of: Callable[..., Client]) -> None:
    row = builders.lists()["free"]
    client = client_of("view_contactlist", "change_contactlist")
    wanted = {"on_remote_removal": "restore", "on_remote_addition": "keep", "name": "x", "key": "x", "remote_id": "x"}
    assert client.post(url("contactlist_change", row.pk), wanted).status_code == 302
    row.refresh_from_db()
    assert (row.on_remote_removal, row.on_remote_addition) == ("restore", "keep")
    assert (row.name, row.key, row.remote_id) == ("Free members", "free", builders.remote_id(1))


def test_policies_cannot_be_changed_without_permission(client_of: Callable[..., Client]) -> None:
    row = builders.lists()["free"]
    before = snapshot()
    wanted = {"on_remote_removal": "restore", "on_remote_addition": "keep"}
    assert client_of("view_contactlist").post(url("contactlist_change", row.pk), wanted).status_code == 403
    assert snapshot() == before


def test_lists_and_accounts_and_writes_cannot_be_added_or_deleted(chief: Client) -> None:
    contact = builders.scene()["in sync"]
    one, write = builders.lists()["free"], contact.writes.first()
    rows = {"contactlist": one, "account": builders.account(), "writeattempt": write}
    before = snapshot()
    for name, row in rows.items():
        assert chief.post(url(f"{name}_add"), {"alias": "x"}).status_code == 403
        assert chief.post(url(f"{name}_delete", row.pk), {"post": "yes"}).status_code == 403
    for name in ["account", "writeattempt"]:
        assert chief.post(url(f"{name}_change", rows[name].pk), {"alias": "x", "verb": "x"}).status_code == 403
    assert snapshot() == before


def test_names_of_lists_are_escaped(chief: Client) -> None:
    rows = builders.lists(free=builders.SCRIPT)
    rows["free"].refresh_from_db()
    for address in [
        url("contactlist_changelist"),
        url("contactlist_change", rows["free"].pk),
        url("contactlist_bind", rows["free"].pk),
        url("contactlist_bind", rows["board"].pk),
    ]:
        html = chief.get(address).content.decode()
        assert builders.SCRIPT not in html
        assert "&lt;script&gt;" in html
    answer = chief.post(url("contactlist_bind", rows["free"].pk), {"key": "newsletter"}, follow=True)
    assert builders.SCRIPT not in answer.content.decode()


# Accounts


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"reached_at": 5}, "Constant Contact last answered 5"),
        ({}, "Nobody has called Constant Contact yet."),
        ({"auth_failed_at": 5}, "Constant Contact has refused the credentials since"),
        ({"paused_until": -5, "pause_reason": "too many calls"}, "Nothing is sent until"),
        ({"paused_until": 5, "reached_at": 5}, "Connected"),
        ({"alias": "bygone"}, "This account is not in the settings (any more)."),
    ],
)
def test_the_state_of_the_connection_is_said_in_words(chief: Client, row: dict[str, Any], words: str) -> None:
    """A number is that many minutes ago."""
    one = builders.account()
    Account.objects.update(**{name: builders.ago(it) if isinstance(it, int) else it for name, it in row.items()})
    assert words in text(chief.get(url("account_change", one.pk)))
    assert words in text(chief.get(url("account_changelist")))


@pytest.mark.parametrize(
    ("kind", "sentence", "advice"),
    [
        ("refused", "Constant Contact has refused the credentials since", "then check the connection."),
        ("paused", "Nothing is sent until", "It then goes on by itself; nothing is lost."),
        ("used up", "the day&#x27;s calls are used up.", "It then goes on by itself; nothing is lost."),
    ],
)
def test_a_standstill_is_said_once_with_what_to_do(chief: Client, kind: str, sentence: str, advice: str) -> None:
    contact = builders.scene()["pending"]
    builders.standstill(kind)
    for address in [url("account_change", builders.account().pk), url("contact_changelist")]:
        html = text(chief.get(address))
        assert (html.count(sentence), html.count(advice)) == (1, 1)
    html = text(chief.get(url("contact_change", contact.pk)))
    assert sentence in html
    assert "m.. " not in html


def test_the_account_page_counts_contacts_by_state_and_links_to_them(chief: Client) -> None:
    builders.scene()
    counts = chief.get(url("account_change", builders.account().pk)).context["counts"]
    assert {one.label: one.count for one in counts} == {
        "In sync": 7,
        "Pending": 6,
        "Failed": 5,
        "Refused": 4,
        "Not the site's": 1,
    }
    for one in counts:
        assert len(chief.get(one.url).context["cl"].result_list) == one.count


def test_the_account_page_says_how_many_calls_were_used_and_how_long_the_oldest_waits(chief: Client) -> None:
    builders.scene()
    now = builders.ago(0)
    Quota.objects.create(key_hash=quota.key_hash(settings_of()), day=now.date(), used=1234)
    html = text(chief.get(url("account_change", builders.account().pk)))
    assert "1234 of 10000" in html
    assert "2 days" in html.replace("\xa0", " ")


def test_the_calls_of_another_day_do_not_count(chief: Client) -> None:
    one = builders.account()
    Quota.objects.create(key_hash=quota.key_hash(settings_of()), day=builders.ago(3000).date(), used=1234)
    assert "0 of 10000" in text(chief.get(url("account_change", one.pk)))


def test_an_account_that_was_never_used_can_be_checked(chief: Client) -> None:
    html = text(chief.get(url("account_changelist")))
    assert "The account <strong>default</strong> of the settings has not been used yet." in html
    assert not Account.objects.exists()


@pytest.mark.parametrize("name", ["account_check", "contactlist_read"])
def test_checking_needs_its_own_permission_post_and_a_token(client_of: Callable[..., Client], name: str) -> None:
    builders.account()
    views = ["view_account", "view_contactlist"]
    without = client_of(*views, "bind_contactlist", "change_contactlist", "sync_contact")
    strict = client_of(*views, "check_account", csrf=True)
    allowed = client_of(*views, "check_account")
    before = snapshot()
    assert without.post(url(name), {"alias": "default"}).status_code == 403
    assert strict.post(url(name), {"alias": "default"}).status_code == 403
    assert allowed.get(url(name), {"alias": "default"}).status_code == 405
    assert snapshot() == before


@pytest.mark.parametrize("alias", ["", "nobody", builders.SCRIPT])
def test_an_unknown_account_is_told_in_a_sentence(chief: Client, alias: str) -> None:
    answer = chief.post(url("account_check"), {"alias": alias}, follow=True)
    assert "has no account" in told(answer)[0]
    assert builders.SCRIPT not in answer.content.decode()
    assert not Account.objects.exists()


def test_a_connection_that_fails_is_told_in_a_sentence(chief: Client) -> None:
    answer = chief.post(url("contactlist_read"), {"alias": "default"}, follow=True)
    assert told(answer) == ["default: The server did not take the connection."]


@pytest.mark.sandbox
@pytest.mark.django_db(transaction=True)
def test_checking_reads_the_lists(connected: Sandbox, chief: Client) -> None:
    ContactList.objects.all().delete()
    answer = chief.post(url("account_check"), {"alias": "default"}, follow=True)
    assert told(answer) == ["default: Constant Contact answers. 4 lists were read."]
    assert ContactList.objects.count() == 4
    assert connected.writes() == []
    assert LogEntry.objects.count() == 1


@pytest.mark.sandbox
@pytest.mark.django_db(transaction=True)
def test_refused_credentials_are_told_and_stay_on_the_page(connected: Sandbox, chief: Client) -> None:
    connected.fault("GET *", "status", status=401)
    answer = chief.post(url("account_check"), {"alias": "default"}, follow=True)
    assert len(told(answer)) == 1
    assert "Constant Contact has refused the credentials since" in text(answer)


def test_the_pages_make_no_calls_when_looked_at(chief: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens at the address of the settings; what is more, nobody may try."""
    import socket

    people = builders.scene()

    def refuse(*_: object) -> None:
        raise AssertionError("a page called the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for address in addresses(people["in sync"]):
        assert chief.get(address).status_code == 200


def addresses(contact: Contact) -> list[str]:
    board = ContactList.objects.get(name="Board")
    return [
        url("contact_changelist"),
        url("contact_change", contact.pk),
        url("contact_history", contact.pk),
        url("contactlist_changelist"),
        url("contactlist_change", board.pk),
        url("contactlist_bind", board.pk),
        url("account_changelist"),
        url("account_change", builders.account().pk),
        url("writeattempt_changelist"),
        url("writeattempt_change", contact.writes.earliest("at").pk),
    ]


def test_no_page_shows_a_credential(chief: Client, settings: Any) -> None:
    entry = settings.CTCT["ACCOUNTS"]["default"]
    secret = {name: f"{CANARY}-{name}" for name in ("username", "api_key", "password")}
    options = {**entry["OPTIONS"], **secret}
    settings.CTCT = {**settings.CTCT, "ACCOUNTS": {"default": {**entry, "OPTIONS": options}}}
    people = builders.scene()
    answers = [chief.get(address) for address in addresses(people["in sync"])]
    answers.append(chief.post(url("account_check"), {"alias": "default"}, follow=True))
    answers.append(chief.post(url("contact_plan"), {"contacts": people["in sync"].pk}))
    for answer in answers:
        assert answer.status_code == 200
        assert CANARY not in answer.content.decode()


# Writes


def test_the_journal_shows_names_of_lists_and_finds_by_address(chief: Client) -> None:
    builders.scene()
    query = {"q": "ada.", "outcome": "ok", "verb": "update"}
    html = text(chief.get(url("writeattempt_changelist"), query))
    assert "+ Sustainers; + Newsletter; − Free members" in html
    assert "dora@example.com" not in html


def test_the_journal_costs_the_same_for_many_writes(chief: Client, django_assert_max_num_queries: Any) -> None:
    people = builders.scene()
    for contact in people.values():
        builders.write(contact, [1], [2])
    with django_assert_max_num_queries(15):
        chief.get(url("writeattempt_changelist"))


def write_page(client: Client, contact: Contact, **values: Any) -> str:
    one = builders.write(contact, [1, 99], [2, 99], **values)
    return text(client.get(url("writeattempt_change", one.pk)))


def test_the_page_of_a_write_says_in_words_what_was_asked_and_on_whose_word(chief: Client) -> None:
    contact = builders.scene()["in sync"]
    html = write_page(chief, contact)
    for words in [
        "ada.lovelace@example.com</a>",
        "Changed: + Sustainers; − Free members",
        "On whose word: the site&#x27;s rule.",
        "<dd>Active</dd>",
        "<dd>Board and Free members</dd>",
        "<dd>Board and Sustainers</dd>",
        "done</span>",
    ]:
        assert words in html
    assert "update of contact" not in html


def test_the_page_of_a_write_tells_of_a_consent_and_of_an_error(chief: Client) -> None:
    contact = builders.scene()["opted out"]
    consent = contact.consents.get()
    html = write_page(
        chief,
        contact,
        verb="create",
        observed_status="absent",
        consent=consent,
        consent_at=consent.at,
        observed_opted_out_at=builders.ago(95_000),
        outcome="refused",
        error_code="http_400",
        ended_at=builders.ago(29),
    )
    for words in ["On whose word: her own act: web form.", "Her consent of", "not there", "http 400", "Opted out"]:
        assert words in html


@pytest.mark.parametrize("wrong", ["0", "x", "9" * 30])
def test_a_write_that_is_not_there_is_a_404(chief: Client, wrong: str) -> None:
    assert chief.get(f"{url('writeattempt_changelist')}{wrong}/change/").status_code == 404


def test_the_page_of_a_write_needs_the_permission_to_view(client_of: Callable[..., Client]) -> None:
    one = builders.scene()["in sync"].writes.earliest("at")
    assert client_of("view_contact").get(url("writeattempt_change", one.pk)).status_code == 403
    assert client_of("view_writeattempt").get(url("writeattempt_change", one.pk)).status_code == 200
