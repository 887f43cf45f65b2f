"""Connect in the admin: consent once in the browser, and every abuse of the way back refused."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.test import Client
from django.urls import resolve

from django_ctct import environment, tokens
from django_ctct.models import Account, AuthState, DatabaseNow
from tests.admin import builders
from tests.admin.pages import snapshot, url

from . import site
from .server import TokenServer
from .site import account, held

pytestmark = pytest.mark.django_db

CONNECT, CALLBACK = "account_connect", "account_callback"
MAY = ("view_account", "connect_account")


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def staff(*permissions: str, name: str = "sam", csrf: bool = False) -> Client:
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(builders.staff(*permissions, name=name))
    return client


@pytest.fixture
def sam(db: None) -> Client:
    return staff(*MAY)


def begin(client: Client) -> str:
    """Press the button; return the address at Constant Contact."""
    answer = client.post(url(CONNECT), {"alias": "default"})
    assert answer.status_code == 302
    return str(answer.headers["Location"])


def consented(server: TokenServer, goal: str) -> str:
    """Consent there; return the address with which the browser comes back."""
    return server.consent(dict(parse_qsl(urlsplit(goal).query)))


def text(answer: Any) -> str:
    return " ".join(unescape(answer.content.decode()).split())


def told(answer: Any) -> list[str]:
    return [str(one) for one in answer.context["messages"]]


def refused(answer: Any, status: int = 400) -> None:
    """Make sure that a callback was refused on a plain page that repeats nothing of it."""
    assert answer.status_code == status
    assert "Location" not in answer.headers
    assert "The connection is as it was before." in text(answer)
    assert "canary" not in text(answer)
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]


# The whole way


def test_staff_connect_with_one_consent_and_the_site_stays_connected(consenting: TokenServer, sam: Client) -> None:
    goal = begin(sam)
    answer = sam.get(consented(consenting, goal), follow=True)
    assert told(answer) == ["The account default is connected to Constant Contact."]
    assert answer.redirect_chain == [(url("account_change", account().pk), 302)]
    row = account()
    assert (row.auth_state, row.connected_by) == (AuthState.CONNECTED, "sam")
    assert row.connected_at is not None
    assert row.environment == environment.mark()
    assert consenting.refresh == {held().refresh}
    assert "(sam)" in text(answer)
    assert "Constant Contact has given its permission less than a minute ago." in text(answer)
    assert LogEntry.objects.get().get_change_message() == "Connected to Constant Contact."


def test_the_browser_leaves_with_pkce_a_state_and_the_callbacks_own_address(
    consenting: TokenServer, sam: Client
) -> None:
    goal = begin(sam)
    query = {name: values[0] for name, values in parse_qs(urlsplit(goal).query).items()}
    assert goal.startswith(f"{consenting.url}/authorize?")
    assert query["redirect_uri"] == f"http://testserver{url(CALLBACK)}"
    assert (query["code_challenge_method"], len(query["code_challenge"])) == ("S256", 43)
    assert len(query["state"]) >= 43
    assert len({parse_qs(urlsplit(begin(sam)).query)["state"][0] for _ in range(5)}) == 5


def test_a_redirect_address_of_the_settings_is_used(consenting: TokenServer, sam: Client, settings: Any) -> None:
    settings.CTCT = site.settings_for(settings.CTCT, consenting, redirect_uri="https://site.example/cb")
    assert parse_qs(urlsplit(begin(sam)).query)["redirect_uri"] == ["https://site.example/cb"]


def test_a_consent_ends_what_was_paused_for_want_of_it(consenting: TokenServer, sam: Client) -> None:
    site.connect(consenting)
    Account.objects.update(
        auth_state=AuthState.RECONNECT,
        auth_failed_at=DatabaseNow(),
        paused_until=DatabaseNow() + timedelta(minutes=15),
        pause_reason="not connected",
    )
    sam.get(consented(consenting, begin(sam)))
    row = account()
    assert (row.auth_state, row.auth_failed_at, row.paused_until) == (AuthState.CONNECTED, None, None)


def test_a_consent_that_does_not_last_is_said(consenting: TokenServer, sam: Client) -> None:
    consenting.refresh_tokens = False
    answer = sam.get(consented(consenting, begin(sam)), follow=True)
    assert "offline_access" in told(answer)[1]


# Abuse


def test_a_callback_without_a_state_is_refused(consenting: TokenServer, sam: Client) -> None:
    begin(sam)
    refused(sam.get(url(CALLBACK), {"code": "canary"}), 403)
    assert consenting.asked == []


@pytest.mark.parametrize("state", ["canary", "", "é"])
def test_a_callback_with_a_wrong_state_is_refused(consenting: TokenServer, sam: Client, state: str) -> None:
    begin(sam)
    refused(sam.get(url(CALLBACK), {"code": "canary", "state": state}), 403)
    assert consenting.asked == []
    assert not Account.objects.exclude(tokens="").exists()


def test_a_callback_that_nobody_began_is_refused(consenting: TokenServer, sam: Client) -> None:
    refused(sam.get(url(CALLBACK), {"code": "canary", "state": "canary"}))


def test_a_state_is_good_once_even_when_its_first_use_failed(consenting: TokenServer, sam: Client) -> None:
    back = consented(consenting, begin(sam))
    refused(sam.get(back.replace("state=", "state=x")), 403)
    refused(sam.get(back))
    assert consenting.asked == []


def test_a_replayed_callback_is_refused_and_changes_nothing(consenting: TokenServer, sam: Client) -> None:
    back = consented(consenting, begin(sam))
    assert sam.get(back).status_code == 302
    before = snapshot()
    refused(sam.get(back))
    assert snapshot() == before
    assert len(consenting.asked) == 1


def test_the_state_of_another_session_is_refused(consenting: TokenServer, sam: Client) -> None:
    """Somebody lets a member of staff open the end of his own consent: his account would be the site's."""
    mallory = staff(*MAY, name="mallory")
    foreign = consented(consenting, begin(mallory))
    refused(sam.get(foreign))
    begin(sam)
    refused(sam.get(foreign), 403)
    assert consenting.asked == []


def test_the_state_of_another_user_in_the_same_session_is_refused(consenting: TokenServer, sam: Client) -> None:
    back = consented(consenting, begin(sam))
    other = builders.staff(*MAY, name="other")
    session = sam.session
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(other.pk), other.get_session_auth_hash()
    session.save()
    refused(sam.get(back), 403)
    assert consenting.asked == []


@pytest.mark.parametrize("engine", ["db", "signed_cookies"])
def test_a_session_from_before_revives_no_state_that_was_used(
    consenting: TokenServer, settings: Any, engine: str
) -> None:
    """An old cookie, where the session is in it; two callbacks at once, where both have read the same row."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    client = staff(*MAY)
    back = consented(consenting, begin(client))
    cookie, session = client.cookies["sessionid"].value, dict(client.session.items())
    assert client.get(back).status_code == 302
    client.cookies["sessionid"] = cookie
    if engine == "db":
        revived = client.session
        revived.update(session)
        revived.save()
    before = snapshot()
    refused(client.get(back))
    assert len(consenting.asked) == 1
    assert snapshot() == before


def test_a_cookie_that_holds_the_session_shows_neither_state_nor_verifier(
    consenting: TokenServer, settings: Any
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    client = staff(*MAY)
    back = consented(consenting, begin(client))
    seen = str(dict(client.session.items()))
    client.get(back)
    form = consenting.asked[0].form
    assert form["code_verifier"] not in seen
    assert parse_qs(urlsplit(back).query)["state"][0] not in seen


def test_a_second_press_ends_the_consent_of_the_first(consenting: TokenServer, sam: Client) -> None:
    other = staff(*MAY, name="other")
    first, second = consented(consenting, begin(sam)), consented(consenting, begin(other))
    refused(sam.get(first))
    assert other.get(second).status_code == 302


@pytest.mark.parametrize("method", ["head", "post", "put", "options"])
def test_another_method_than_get_ends_no_consent_under_way(consenting: TokenServer, sam: Client, method: str) -> None:
    back = consented(consenting, begin(sam))
    assert getattr(sam, method)(back).status_code == 405
    assert sam.get(back).status_code == 302


def test_a_get_by_one_who_may_not_connect_ends_no_consent_under_way(consenting: TokenServer) -> None:
    user = builders.staff(*MAY, name="sam")
    client = Client()
    client.force_login(user)
    back = consented(consenting, begin(client))
    kept = list(user.user_permissions.all())
    user.user_permissions.clear()
    refused(client.get(back), 403)
    user.user_permissions.set(kept)
    assert client.get(back).status_code == 302


def test_a_consent_that_took_more_than_ten_minutes_is_refused(consenting: TokenServer, sam: Client) -> None:
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        back = consented(consenting, begin(sam))
        clock.shift(timedelta(minutes=9, seconds=50))
        later = consented(consenting, begin(sam))
        clock.shift(timedelta(minutes=10, seconds=5))
        refused(sam.get(later))
    assert back != later
    assert consenting.asked == []


def test_a_consent_within_ten_minutes_is_taken(consenting: TokenServer, sam: Client) -> None:
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        back = consented(consenting, begin(sam))
        clock.shift(timedelta(minutes=9, seconds=50))
        assert sam.get(back).status_code == 302


def test_a_code_that_was_used_elsewhere_is_refused(consenting: TokenServer, sam: Client) -> None:
    back = consented(consenting, begin(sam))
    consenting.codes.clear()
    answer = sam.get(back)
    refused(answer)
    assert "too old, or was used already" in text(answer)


@pytest.mark.parametrize(
    "query",
    [
        {"error": "access_denied", "error_description": "canary"},
        {"error": "canary"},
        {"error": "access_denied", "code": "canary"},
        {},
        {"code": ""},
        {"code": ["canary", "canary2"]},
    ],
)
def test_a_consent_that_was_not_given_connects_nothing(
    consenting: TokenServer, sam: Client, query: dict[str, Any]
) -> None:
    state = parse_qs(urlsplit(begin(sam)).query)["state"][0]
    answer = sam.get(f"{url(CALLBACK)}?{urlencode({'state': state, **query}, doseq=True)}")
    refused(answer)
    assert "Nobody agreed at Constant Contact" in text(answer)
    assert consenting.asked == []


@pytest.mark.parametrize("name", ["next", "redirect", "return_to", "url", "redirect_uri"])
def test_nothing_in_the_address_says_where_to_go(consenting: TokenServer, sam: Client, name: str) -> None:
    back = f"{consented(consenting, begin(sam))}&{name}=https://elsewhere.example/canary"
    answer = sam.get(back)
    assert answer.headers["Location"] == url("account_change", account().pk)
    answer = sam.post(f"{url(CONNECT)}?{name}=https://elsewhere.example/", {"alias": "default", name: "//elsewhere"})
    assert urlsplit(answer.headers["Location"]).netloc == urlsplit(consenting.url).netloc


def test_an_anonymous_visitor_is_refused_and_the_code_goes_to_no_login_page(
    consenting: TokenServer, sam: Client
) -> None:
    back = consented(consenting, begin(sam))
    refused(Client().get(back), 403)
    assert consenting.asked == []
    answer = Client().post(url(CONNECT), {"alias": "default"})
    assert answer.headers["Location"].startswith("/admin/login/")


def test_a_user_who_lost_the_permission_meanwhile_is_refused(consenting: TokenServer) -> None:
    user = builders.staff(*MAY, name="sam")
    client = Client()
    client.force_login(user)
    back = consented(consenting, begin(client))
    user.user_permissions.clear()
    refused(client.get(back), 403)
    assert consenting.asked == []


@pytest.mark.parametrize("name", [CONNECT, "account_disconnect", "account_adopt"])
def test_the_acts_need_their_own_permission_post_and_a_token(consenting: TokenServer, name: str) -> None:
    site.connect(consenting)
    without = staff("view_account", "check_account", "change_contactlist", name="without")
    strict, allowed = staff(*MAY, name="strict", csrf=True), staff(*MAY, name="allowed")
    before = snapshot()
    assert without.post(url(name), {"alias": "default", "confirm": "1", "sure": "on"}).status_code == 403
    assert strict.post(url(name), {"alias": "default", "confirm": "1", "sure": "on"}).status_code == 403
    assert allowed.get(url(name), {"alias": "default"}).status_code == 405
    assert snapshot() == before


def test_who_may_not_connect_sees_no_button_and_no_address(consenting: TokenServer) -> None:
    account()
    html = text(staff("view_account", name="without").get(url("account_change", account().pk)))
    assert "is not connected to Constant Contact" in html
    assert "<button" not in html.partition("ctct-verdict")[2].partition("</section>")[0]
    assert url(CALLBACK) not in html


def test_the_callback_takes_no_post(consenting: TokenServer, sam: Client) -> None:
    back = urlsplit(consented(consenting, begin(sam)))
    assert sam.post(back.path, dict(parse_qsl(back.query))).status_code == 405
    assert consenting.asked == []


@pytest.mark.parametrize("alias", ["", "nobody", builders.SCRIPT])
def test_an_account_that_does_not_exist_is_told_in_a_sentence(consenting: TokenServer, sam: Client, alias: str) -> None:
    answer = sam.post(url(CONNECT), {"alias": alias}, follow=True)
    assert "has no account" in told(answer)[0]
    assert builders.SCRIPT not in answer.content.decode()
    assert not Account.objects.filter(alias=alias).exists()


def test_an_account_with_fixed_credentials_has_nothing_to_connect(sam: Client) -> None:
    answer = sam.post(url(CONNECT), {"alias": "default"}, follow=True)
    assert "there is nothing to connect" in told(answer)[0]
    account()
    assert "Connect to Constant Contact" not in text(sam.get(url("account_change", account().pk)))


@pytest.mark.parametrize(
    ("status", "body", "shown", "words"),
    [
        (503, b"<html>canary</html>", 502, "could not be reached"),
        (200, b"", 502, "could not be reached"),
        (401, b'{"error": "invalid_client", "error_description": "canary"}', 400, "does not accept the site itself"),
        (429, b"", 502, "could not be reached"),
    ],
)
def test_a_server_in_trouble_leaves_everything_as_it_was(
    consenting: TokenServer, sam: Client, status: int, body: bytes, shown: int, words: str
) -> None:
    back = consented(consenting, begin(sam))
    consenting.scripted.append((status, {}, body))
    answer = sam.get(back)
    refused(answer, shown)
    assert words in text(answer)
    assert account().tokens == ""


# What is shown


def test_no_token_code_or_secret_is_in_a_page_or_a_log(
    consenting: TokenServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chief = Client()
    chief.force_login(builders.chief())
    goal = begin(chief)
    back = consented(consenting, goal)
    code = parse_qs(urlsplit(back).query)["code"][0]
    state = parse_qs(urlsplit(back).query)["state"][0]
    chief.get(back)
    pages = [
        chief.get(url("account_change", account().pk)),
        chief.get(url("account_changelist")),
        chief.get(back),
        chief.post(url("account_disconnect"), {"alias": "default"}),
    ]
    shown = " ".join(one.content.decode() for one in pages)
    logged = " ".join(f"{one.getMessage()} {vars(one)}" for one in caplog.records)
    assert "django.request" in {one.name for one in caplog.records}
    for secret in ["canary", account().tokens, code, state]:
        assert secret not in shown
        assert secret not in logged


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"tokens": ""}, "This site is not connected to Constant Contact."),
        ({"auth_state": "reconnect"}, "does not accept this site's connection any more"),
        ({"tokens": "broken"}, "The stored connection cannot be read"),
        ({"environment": "elsewhere:x:"}, "looks like a copy"),
    ],
)
def test_what_only_a_person_can_put_right_is_said_everywhere(
    joined: TokenServer, sam: Client, row: dict[str, str], words: str
) -> None:
    chief = Client()
    chief.force_login(builders.chief())
    Account.objects.update(**row)
    for name in ["account_changelist", "contact_changelist", "contactlist_changelist"]:
        html = text(chief.get(url(name)))
        assert words in html
        assert ("Connect to Constant Contact" in html) == ("environment" not in row)
    html = text(chief.get(url("account_change", account().pk)))
    assert html.count(words) == 1


def test_a_connection_that_was_idle_for_150_days_is_said(joined: TokenServer) -> None:
    chief = Client()
    chief.force_login(builders.chief())
    words = "The connection was not used for"
    Account.objects.update(refreshed_at=DatabaseNow() - timedelta(days=149))
    assert words not in text(chief.get(url("account_changelist")))
    Account.objects.update(refreshed_at=DatabaseNow() - timedelta(days=152))
    assert f"{words} 152 days." in text(chief.get(url("account_changelist")))


# Disconnect


def test_disconnecting_asks_first_and_forgets_the_tokens(joined: TokenServer, sam: Client) -> None:
    before = snapshot()
    assert "forgets its permission" in text(sam.post(url("account_disconnect"), {"alias": "default"}))
    assert "Tick the box" in text(sam.post(url("account_disconnect"), {"alias": "default", "confirm": "1"}))
    assert snapshot() == before
    answer = sam.post(url("account_disconnect"), {"alias": "default", "confirm": "1", "sure": "on"}, follow=True)
    assert told(answer) == ["The account default is disconnected. Changes of members wait."]
    assert (account().tokens, account().auth_state) == ("", AuthState.NEVER)
    assert "This site is not connected to Constant Contact." in text(answer)
    assert not tokens.unreadable(account())


# A copy


def test_a_copy_cannot_be_connected_before_it_is_said_to_be_the_live_site(joined: TokenServer, sam: Client) -> None:
    Account.objects.update(environment="elsewhere:x:")
    before = snapshot()
    answer = sam.post(url(CONNECT), {"alias": "default"}, follow=True)
    assert "looks like a copy" in told(answer)[0]
    assert snapshot() == before


def test_a_database_that_was_copied_during_a_consent_is_not_connected(joined: TokenServer, sam: Client) -> None:
    back = consented(joined, begin(sam))
    Account.objects.update(environment="elsewhere:x:")
    refused(sam.get(back))
    assert joined.asked == []


def test_this_is_the_live_site_now_asks_first_and_lets_the_work_go_on(joined: TokenServer, sam: Client) -> None:
    Account.objects.update(environment="elsewhere:x:")
    assert "This is the live site now…" in text(sam.get(url("account_change", account().pk)))
    before = snapshot()
    assert "Two sites must never speak" in text(sam.post(url("account_adopt"), {"alias": "default"}))
    assert "Tick the box" in text(sam.post(url("account_adopt"), {"alias": "default", "confirm": "1"}))
    assert snapshot() == before
    answer = sam.post(url("account_adopt"), {"alias": "default", "confirm": "1", "sure": "on"}, follow=True)
    assert told(answer) == ["This is the live site for default from now on."]
    assert account().environment == environment.mark()
    assert LogEntry.objects.get().get_change_message() == "Confirmed that this is the live site."


def test_disconnecting_is_no_way_around_the_guard_for_fixed_credentials(sam: Client) -> None:
    account()
    Account.objects.update(environment="elsewhere:x:")
    answer = sam.post(url("account_disconnect"), {"alias": "default", "confirm": "1", "sure": "on"})
    assert answer.status_code == 404
    assert account().environment == "elsewhere:x:"


@pytest.mark.parametrize("name", [CONNECT, CALLBACK, "account_disconnect", "account_adopt"])
def test_no_page_of_a_connection_runs_in_a_transaction_of_the_request(name: str) -> None:
    """What a consent gave must be stored whatever becomes of the request, also under ``ATOMIC_REQUESTS``."""
    view = resolve(url(name)).func
    assert "default" in view._non_atomic_requests  # type: ignore[attr-defined]
