"""The token store: renewed in time, by one at a time, stored before use, given up only for good reason."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise
from typing import Any
from uuid import uuid4

import django
import pytest
import time_machine
from django.core import mail, serializers
from django.core.management import call_command
from django.db import InterfaceError, OperationalError, connection, transaction

from django_ctct import catalogue, drain, services, tokens, vault
from django_ctct.backends.http import TOTAL_SECONDS
from django_ctct.exceptions import AuthenticationFailed, ConfigurationError, RateLimited, RemoteUnavailable
from django_ctct.models import Account, AuthState, Contact, DatabaseNow
from django_ctct.signals import reconnect_needed
from tests.account import LISTS
from tests.site.models import Member

from . import site
from .server import TokenServer
from .site import account, expire, held, store

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
#: Django 6 takes plain addresses here, and warns of pairs; 5.2 takes pairs only.
ADMIN: Any = "chief@example.com" if django.VERSION >= (6, 0) else ("Chief", "chief@example.com")


@pytest.fixture(autouse=True)
def admins(settings: Any) -> None:
    settings.ADMINS = [ADMIN]
    if django.VERSION >= (6, 1):  # warns where it finds the older setting alone
        settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}


# In time


def test_a_good_token_is_used_without_a_call(joined: TokenServer) -> None:
    assert store().current() == held().access
    assert joined.asked == []


@pytest.mark.parametrize(
    ("left", "calls"), [(timedelta(hours=3), 0), (timedelta(hours=2), 1), (MINUTE, 1), (-MINUTE, 1), (-300 * MINUTE, 1)]
)
def test_a_token_is_renewed_in_the_last_tenth_of_its_life(joined: TokenServer, left: timedelta, calls: int) -> None:
    expire(left)
    before = held().access
    assert (store().current() != before) == bool(calls)
    assert len(joined.asked) == calls


@pytest.mark.parametrize("seconds", [60, 300, 600])
def test_a_token_of_a_short_life_is_not_renewed_for_every_call(joined: TokenServer, seconds: int) -> None:
    joined.expires_in = seconds
    expire()
    one = store()
    for _ in range(5):
        one.current()
        site.rest_is_over()  # so that nothing but the token's own life keeps it from being renewed
    assert len(joined.asked) == 1


def test_what_is_handed_out_is_what_is_stored(joined: TokenServer) -> None:
    expire()
    assert store().current() == held().access
    assert joined.refresh == {held().refresh}


def test_a_long_lived_refresh_token_is_kept(joined: TokenServer) -> None:
    joined.rotating = False
    before = held().refresh
    for _ in range(3):
        expire()
        store().current()
    assert held().refresh == before
    assert joined.grants() == 3


def test_where_a_renewal_gives_no_refresh_token_the_old_one_stays(joined: TokenServer) -> None:
    before = held().refresh
    joined.scripted.append((200, {}, b'{"access_token": "new", "expires_in": 3600}'))
    expire()
    assert store().current() == "new"
    assert held().refresh == before


@pytest.mark.parametrize("hours", [-30, -5, 5, 30])
def test_a_worker_whose_clock_is_wrong_by_hours_renews_no_sooner_and_no_later(joined: TokenServer, hours: int) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
        one = store()
        one.current()
        assert joined.asked == []
        expire()
        one.current()
        one.current()
    assert len(joined.asked) == 1


def test_a_lease_from_before_the_databases_clock_was_set_back_keeps_nobody(joined: TokenServer) -> None:
    expire()
    Account.objects.update(token_lease=uuid4(), token_lease_until=DatabaseNow() + timedelta(hours=5))
    store(patience=0.5).current()
    assert joined.grants() == 1


# Refused by the server although the clock says it is good


def test_a_refused_token_is_renewed_once_and_the_new_one_given(joined: TokenServer) -> None:
    refused = held().access
    one = store()
    new = one.instead_of(refused)
    assert new != refused
    assert one.instead_of(refused) == new
    assert len(joined.asked) == 1


def test_a_drain_goes_on_with_a_new_token_after_a_401(joined: TokenServer) -> None:
    joined.access.clear()
    with services.connect("default") as link:
        list(link.backend.lists())
    assert joined.calls[-1] == held().access
    assert len(joined.asked) == 1


# One at a time


@pytest.mark.django_db(transaction=True)
def test_threads_that_meet_an_expired_token_make_one_call(consenting: TokenServer) -> None:
    site.connect(consenting)
    consenting.delay = 0.2
    expire()

    def work(_: int) -> str:
        try:
            return store().current()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        got = set(pool.map(work, range(4)))
    assert got == {held().access}
    assert len(consenting.asked) == 1


def test_while_another_worker_renews_a_token_that_is_still_good_is_used(joined: TokenServer) -> None:
    expire(2 * MINUTE)
    Account.objects.update(token_lease=uuid4(), token_lease_until=DatabaseNow() + timedelta(seconds=40))
    started = time.monotonic()
    assert store().current() == held().access
    assert time.monotonic() - started < 0.5
    assert joined.asked == []


def test_a_wait_for_another_worker_is_bounded_and_costs_the_contact_no_try(joined: TokenServer) -> None:
    expire()
    Account.objects.update(token_lease=uuid4(), token_lease_until=DatabaseNow() + timedelta(seconds=40))
    started = time.monotonic()
    with pytest.raises(RateLimited) as caught:
        store(patience=0.5).current()
    assert 0.4 < time.monotonic() - started < 2
    assert caught.value.code == "busy"
    assert 30 < caught.value.retry_after <= 40


def test_a_lease_that_has_ended_is_taken_over(joined: TokenServer) -> None:
    expire()
    Account.objects.update(token_lease=uuid4(), token_lease_until=DatabaseNow() - timedelta(seconds=1))
    store().current()
    assert joined.grants() == 1


def test_the_token_endpoint_is_called_once_a_second_at_most(joined: TokenServer) -> None:
    joined.limit = True
    one = store()
    for _ in range(3):
        one.instead_of(held().access)
    times = [asked.at for asked in joined.asked]
    assert {asked.status for asked in joined.asked} == {200}
    assert min(later - sooner for sooner, later in pairwise(times)) >= 1.0


# Stored before it is used


def test_what_a_worker_that_slept_through_its_lease_brings_is_still_stored(joined: TokenServer) -> None:
    """It holds the one refresh token that is good: the other's renewal with the old one was refused."""
    expire()
    slow, quick = store(), store()
    seen = slow._look()
    lease = slow._claim(seen)
    assert lease is not None
    Account.objects.update(token_lease_until=DatabaseNow() - timedelta(seconds=1))
    grant = slow._client.refresh(held().refresh)
    with pytest.raises(AuthenticationFailed):
        quick.current()
    assert account().auth_state == AuthState.RECONNECT
    assert slow._stored(seen, grant) == grant.access
    assert account().auth_state == AuthState.CONNECTED
    assert joined.refresh == {held().refresh}


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_busy_when_a_token_must_be_stored_is_asked_again(consenting: TokenServer) -> None:
    site.connect(consenting)
    expire()
    failures = [OperationalError("database is locked")] * 2

    def trouble(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and "refreshed_at" in sql and failures:
            raise failures.pop()
        return execute(sql, *rest)

    with connection.execute_wrapper(trouble):
        store().current()
    assert failures == []
    assert consenting.refresh == {held().refresh}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
def test_an_outage_of_the_database_between_renewal_and_storing_loses_no_grant(
    consenting: TokenServer, kind: type[Exception]
) -> None:
    """Longer than a few quick tries last; meanwhile nobody sends the token that is dead already."""
    site.connect(consenting)
    expire()
    back_at = time.monotonic() + 4

    def outage(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and "refreshed_at" in sql and time.monotonic() < back_at:
            raise kind("gone")
        return execute(sql, *rest)

    with connection.execute_wrapper(outage):
        store().current()
    assert len(consenting.asked) == 1
    assert consenting.refresh == {held().refresh}
    assert account().auth_state == AuthState.CONNECTED


def test_insisting_ends(consenting: TokenServer) -> None:
    tries: list[float] = []

    def never() -> int:
        tries.append(time.monotonic())
        raise OperationalError("gone")

    started = time.monotonic()
    with pytest.raises(OperationalError):
        tokens._insist(never, seconds=1.0)
    assert time.monotonic() - started < 2
    assert len(tries) == 3


def test_a_lease_lasts_for_the_renewal_and_all_the_insisting() -> None:
    """Else another worker sends the dead token, hears ``invalid_grant``, and calls for a person without need."""
    assert tokens.LEASE.total_seconds() >= TOTAL_SECONDS + tokens.INSIST + tokens.LAST_REST


@pytest.mark.django_db(transaction=True)
def test_within_a_transaction_nothing_is_renewed(consenting: TokenServer) -> None:
    """A rollback would lose a refresh token that exists nowhere else."""
    site.connect(consenting)
    expire()
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        store().current()
    assert consenting.asked == []


def test_a_disconnect_while_a_renewal_is_under_way_stays_one(joined: TokenServer) -> None:
    expire()
    one = store()
    seen = one._look()
    grant = one._client.refresh(held().refresh)
    tokens.forget(account())
    with pytest.raises(AuthenticationFailed):
        one._stored(seen, grant)
    assert (account().tokens, account().auth_state) == ("", AuthState.NEVER)


def test_a_person_who_connects_while_a_renewal_is_under_way_is_not_overruled(joined: TokenServer) -> None:
    expire()
    one = store()
    seen = one._look()
    grant = one._client.refresh(held().refresh)
    site.connect(joined)
    now = held()
    assert one._stored(seen, grant) == now.access
    assert held() == now


# Given up


def test_invalid_grant_calls_for_a_person_once(joined: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Account] = []
    note = lambda account, **_: told.append(account)  # noqa: E731
    reconnect_needed.connect(note)
    joined.refresh.clear()
    expire()
    for _ in range(3):
        with pytest.raises(AuthenticationFailed, match="connected to Constant Contact again"):
            store().current()
    reconnect_needed.disconnect(note)
    assert account().auth_state == AuthState.RECONNECT
    assert len(joined.asked) == 1
    assert [one.alias for one in told] == ["default"]
    assert [one.subject for one in mail.outbox] == ["[Django] Constant Contact: connect “default” again"]
    assert "ctct_connect --account default" in mail.outbox[0].body
    assert "canary" not in str(mail.outbox[0].message()) + caplog.text


def test_invalid_grant_counts_for_nothing_when_another_has_stored_a_newer_token(joined: TokenServer) -> None:
    """A worker read the old token, and sends it when it has been renewed already."""
    expire()
    late = store()
    seen = late._look()
    new = store().current()
    lease = uuid4()
    Account.objects.update(token_lease=lease, token_lease_until=DatabaseNow() + MINUTE)
    assert late._renew(seen, lease, "") == new
    assert account().auth_state == AuthState.CONNECTED
    assert account().token_lease is None
    assert mail.outbox == []


def test_what_is_still_good_is_used_to_its_end_after_the_consent_has_ended(joined: TokenServer) -> None:
    joined.refresh.clear()
    expire(2 * MINUTE)
    one = store()
    assert one.current() == one.current() == held().access
    assert len(joined.asked) == 1
    assert account().auth_state == AuthState.RECONNECT
    with pytest.raises(AuthenticationFailed):
        one.instead_of(held().access)


def test_a_mail_that_cannot_be_sent_stops_nothing(joined: TokenServer, settings: Any) -> None:
    settings.ADMINS = "not a list"
    joined.refresh.clear()
    expire()
    with pytest.raises(AuthenticationFailed):
        store().current()
    assert account().auth_state == AuthState.RECONNECT


@pytest.mark.parametrize("status", [400, 404, 500, 502, 503])
def test_an_answer_that_is_not_invalid_grant_ends_no_grant(joined: TokenServer, status: int) -> None:
    expire()
    joined.scripted.append((status, {}, b"<html>Bad Gateway</html>"))
    with pytest.raises(RemoteUnavailable):
        store().current()
    assert account().auth_state == AuthState.CONNECTED
    site.rest_is_over()
    assert store().current() == held().access


@pytest.mark.parametrize("code", ["access_denied", "expired_token", "invalid_scope", "unauthorized_client"])
def test_a_refusal_that_is_not_invalid_grant_ends_no_grant(joined: TokenServer, code: str) -> None:
    """A policy over there that is put right again, for example."""
    expire()
    joined.scripted.append((400, {}, f'{{"error": "{code}"}}'.encode()))
    with pytest.raises(AuthenticationFailed):
        store().current()
    assert account().auth_state == AuthState.CONNECTED
    assert mail.outbox == []


def test_a_wrong_secret_ends_no_grant(joined: TokenServer, settings: Any) -> None:
    expire()
    good = settings.CTCT
    settings.CTCT = site.settings_for(good, joined, client_secret="wrong")
    with pytest.raises(AuthenticationFailed):
        store().current()
    settings.CTCT = good
    site.rest_is_over()
    assert store().current() == held().access


def test_after_a_failure_the_endpoint_rests_and_a_good_token_is_used_meanwhile(joined: TokenServer) -> None:
    expire(2 * MINUTE)
    joined.scripted += [(503, {}, b"")] * 2
    one = store()
    assert {one.current() for _ in range(5)} == {held().access}
    assert len(joined.asked) == 1
    rest = Account.objects.filter(token_lease_until__gt=DatabaseNow() + timedelta(seconds=10), token_lease=None)
    assert rest.exists()


def test_a_429_is_waited_out(joined: TokenServer) -> None:
    expire()
    joined.scripted.append((429, {"Retry-After": "1"}, b"{}"))
    with pytest.raises(RateLimited):
        store().current()
    started = time.monotonic()
    assert store().current() == held().access
    assert time.monotonic() - started > 0.5


def test_a_retry_after_of_a_day_does_not_stop_the_site_for_a_day(joined: TokenServer) -> None:
    expire()
    joined.scripted.append((429, {"Retry-After": "86400"}, b"{}"))
    with pytest.raises(RateLimited):
        store().current()
    assert not Account.objects.filter(token_lease_until__gt=DatabaseNow() + 11 * MINUTE).exists()


@pytest.mark.parametrize("rotating", [True, False])
def test_an_answer_that_got_lost_is_asked_for_again_and_invalid_grant_is_the_truth_then(
    joined: TokenServer, rotating: bool
) -> None:
    joined.rotating, joined.lose_answers = rotating, 1
    expire()
    with pytest.raises(RemoteUnavailable):
        store().current()
    site.rest_is_over()
    if rotating:
        with pytest.raises(AuthenticationFailed):
            store().current()
    else:
        assert store().current() == held().access
    assert (account().auth_state == AuthState.RECONNECT) == rotating


def test_without_a_refresh_token_the_end_of_the_access_token_calls_for_a_person(consenting: TokenServer) -> None:
    consenting.refresh_tokens = False
    site.connect(consenting)
    expire(MINUTE)
    assert store().current() == held().access
    expire()
    for _ in range(2):
        with pytest.raises(AuthenticationFailed):
            store().current()
    assert consenting.asked == []
    assert len(mail.outbox) == 1


# What follows for the contacts


def work(*addresses: str) -> None:
    for one in addresses:
        Member.objects.create(email=one, is_free=True)


@pytest.fixture
def bound(joined: TokenServer) -> TokenServer:
    """The account with its lists bound, so that contacts can be brought over."""
    with services.connect("default") as link:
        for key, name in LISTS.items():
            catalogue.create_list(link, name, key=key)
    joined.calls.clear()
    return joined


def test_while_a_person_is_needed_the_contacts_wait_and_go_on_after_the_connect(bound: TokenServer) -> None:
    work("ada@example.com")
    bound.refresh.clear()
    expire()
    outcome = drain.drain("default")
    assert (outcome.done, outcome.failed, outcome.paused) == (0, 1, "not connected")
    row = Contact.objects.get()
    assert (row.hold, row.attempts) == ("", 0)
    site.connect(bound)
    assert account().paused_until is None
    Contact.objects.update(due_at=DatabaseNow())
    assert drain.drain("default").done == 1


def test_an_account_that_nobody_has_connected_yet_makes_nothing_fail(consenting: TokenServer) -> None:
    with services.connect("default") as link, pytest.raises(AuthenticationFailed) as caught:
        list(link.backend.lists())
    assert caught.value.code == "not_connected"
    assert consenting.asked == []


# Idle


def test_a_token_idle_for_30_days_is_renewed_by_the_sweep(joined: TokenServer) -> None:
    Account.objects.update(refreshed_at=DatabaseNow() - timedelta(days=29))
    drain.drain("default")
    assert joined.asked == []
    Account.objects.update(refreshed_at=DatabaseNow() - timedelta(days=31))
    drain.drain("default")
    drain.drain("default")
    assert joined.grants() == 1


def test_a_renewal_of_an_idle_token_that_fails_stops_no_drain(joined: TokenServer) -> None:
    joined.scripted.append((503, {}, b""))
    Account.objects.update(refreshed_at=DatabaseNow() - timedelta(days=31))
    assert drain.drain("default").paused == ""
    assert account().auth_state == AuthState.CONNECTED


# At rest


def test_neither_the_row_nor_a_dump_holds_a_token_that_can_be_read(joined: TokenServer) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM django_ctct_account")
        raw = str(cursor.fetchall())
    assert "canary" not in raw
    out = StringIO()
    call_command("dumpdata", "django_ctct", stdout=out)
    sealed = account().tokens
    for dump in [out.getvalue(), serializers.serialize("xml", Account.objects.all())]:
        assert sealed not in dump
        assert "canary" not in dump
        assert "auth_state" not in dump
        assert account().environment in dump


def test_nothing_secret_is_in_a_repr_or_a_log(joined: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    expire()
    one = store()
    one.current()
    told = [repr(one), repr(one._look()), repr(held()), repr(account()), str(account()), caplog.text]
    assert "canary" not in " ".join(told)
    assert account().tokens not in " ".join(told)


def test_a_wrong_key_is_a_loud_error_and_costs_no_contact_a_try(bound: TokenServer, settings: Any) -> None:
    work("ada@example.com")
    settings.SECRET_KEY = "another"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        drain.drain("default")
    assert Contact.objects.get().attempts == 0
    assert tokens.unreadable(account())


def test_a_renewal_seals_with_the_newest_key(joined: TokenServer, settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", ["only for tests"]
    expire()
    store().current()
    assert vault.is_newest(account().tokens)
