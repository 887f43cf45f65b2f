"""The guard against copies: a database restored elsewhere reads, writes and renews nothing until a person says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connection

from django_ctct import catalogue, checks, drain, environment, services, tasks
from django_ctct.exceptions import CopyDetected
from django_ctct.models import Account, Contact, DatabaseNow
from tests.account import LISTS, Sandbox
from tests.commands.run import run
from tests.site.models import Member

from . import site
from .server import TokenServer
from .site import account, expire

pytestmark = pytest.mark.django_db
ADA = "ada@example.com"


@pytest.fixture
def named(settings: Any) -> Any:
    """Name the place where the site runs."""

    def name(place: str) -> None:
        settings.CTCT = {**settings.CTCT, "ENVIRONMENT": place}

    return name


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the database stand at another address, as its settings say it."""

    def move(**parts: str) -> None:
        for part, value in parts.items():
            monkeypatch.setitem(connection.settings_dict, part, value)

    return move


def copied() -> bool:
    return environment.is_copy(account())


# What tells a copy


def test_an_account_without_a_mark_is_marked_when_it_is_first_used() -> None:
    assert account().environment == ""
    with services.connect("default"):
        pass
    assert account().environment == environment.mark()


def test_a_consent_marks_the_place(joined: TokenServer, named: Any) -> None:
    Account.objects.update(environment="")
    site.connect(joined)
    assert account().environment == environment.mark()
    assert len(account().environment) <= 64


def test_another_name_of_the_environment_is_another_place(joined: TokenServer, named: Any) -> None:
    named("production")
    site.connect(joined)
    assert not copied()
    named("staging")
    assert copied()
    named("")
    assert copied()


@pytest.mark.parametrize("part", [{"NAME": "restored"}, {"HOST": "db.staging"}, {"PORT": "5433"}])
def test_another_address_of_the_database_is_another_place(
    joined: TokenServer, moved: Any, part: dict[str, str]
) -> None:
    moved(**part)
    assert copied()


def test_two_ways_to_one_database_are_one_place_where_the_environment_is_named(
    joined: TokenServer, named: Any, moved: Any
) -> None:
    """A web process through a pooler, and a worker without."""
    named("production")
    site.connect(joined)
    moved(HOST="pooler", PORT="6432")
    assert not copied()
    moved(NAME="restored")
    assert copied()


def test_the_name_of_the_web_server_is_no_part_of_it(joined: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTNAME", "another-container")
    assert not copied()


def test_on_postgresql_another_server_under_the_same_address_is_another_place(joined: TokenServer) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL tells its servers apart")
    *place, server = environment.mark().split(":")
    assert server
    Account.objects.update(environment=":".join([*place, "0" * 16]))
    assert copied()


def test_a_user_who_may_not_read_the_servers_number_is_not_taken_for_a_copy(joined: TokenServer) -> None:
    *place, _server = environment.mark().split(":")
    Account.objects.update(environment=":".join([*place, ""]))
    assert not copied()


def test_a_mark_shows_nothing_of_what_it_was_made_of(named: Any) -> None:
    named("production")
    assert "production" not in environment.mark()
    assert str(connection.settings_dict["NAME"]) not in environment.mark()


# What a copy does


def test_a_copy_renews_no_token(joined: TokenServer, named: Any) -> None:
    named("staging")
    expire()
    Account.objects.update(refreshed_at=DatabaseNow() - timedelta(days=100))
    before = (account().tokens, account().token_version)
    with pytest.raises(CopyDetected, match="ctct_connect --adopt"), services.connect("default"):
        raise AssertionError("a copy got through")
    tasks.sweep()
    tasks.drain("default")
    assert joined.asked == joined.calls == []
    assert (account().tokens, account().token_version) == before


@pytest.mark.sandbox
@pytest.mark.django_db(transaction=True)
def test_a_copy_reads_and_writes_nothing_and_its_contacts_stay_due(connected: Sandbox, named: Any) -> None:
    """A site with fixed credentials, which need no renewal, is kept back as well."""
    Member.objects.create(email=ADA)
    named("staging")
    outcome = drain.drain("default")
    assert (outcome.done, outcome.failed, outcome.paused) == (0, 0, "this database looks like a copy of the live one")
    row = Contact.objects.get()
    assert (row.attempts, row.hold, row.lease_token) == (0, "", None)
    assert row.due_at is not None
    ran = [run("ctct_drain"), run("ctct_lists"), run("ctct_lists", "--create=New")]
    assert {one.code for one in ran} == {1}
    assert connected.requests() == []
    environment.adopt(account())
    assert drain.drain("default").done == 1
    assert connected.methods() == ["GET", "POST"]


def test_a_copy_is_told_by_status_and_by_the_checks(joined: TokenServer, named: Any) -> None:
    with services.connect("default") as link:
        for key, name in LISTS.items():
            catalogue.create_list(link, name, key=key)
    ran = run("ctct_status")
    assert (ran.code, "PROBLEM" in ran.out) == (0, False)
    named("staging")
    ran = run("ctct_status")
    assert ran.code == 1
    assert "PROBLEM       This database looks like a copy of the live one: nothing is sent." in ran.out
    assert "not connected" not in ran.out
    found = [one for one in run_checks(databases=["default"]) if one.id == "django_ctct.W021"]
    assert "looks like a copy" in found[0].msg


def test_adopting_in_a_terminal_makes_the_place_its_own(joined: TokenServer, named: Any) -> None:
    named("production")
    assert copied()
    ran = run("ctct_connect", "--adopt")
    assert (ran.code, ran.out) == (0, "This is the live site for default from now on.\n")
    assert not copied()


def test_a_copy_that_is_disconnected_can_be_connected_to_an_account_of_its_own(joined: TokenServer, named: Any) -> None:
    named("staging")
    run("ctct_connect", "--disconnect")
    assert not copied()
    assert account().tokens == ""
    assert joined.asked == []


def test_a_deployment_without_a_name_is_warned(named: Any) -> None:
    assert [one.id for one in checks.check_environment()] == ["django_ctct.W020"]
    named("production")
    assert checks.check_environment() == []


def test_tokens_that_cannot_be_read_are_told_by_the_checks(joined: TokenServer, settings: Any) -> None:
    settings.SECRET_KEY = "another"
    found = [one for one in run_checks(databases=["default"]) if one.id == "django_ctct.W022"]
    assert "cannot be read" in found[0].msg


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("n:a:s", "n:a:s", True),
        ("n:a:s", "n:a:t", False),
        ("n:a:s", "n:a:", True),
        ("n:a:", "n:a:s", True),
        ("n:a:s", "n:b:s", False),
        ("n:a:s", ":a:s", False),
        ("elsewhere:x:", "n:a:s", False),
    ],
)
def test_marks_are_compared_part_by_part(one: str, other: str, same: bool) -> None:
    assert environment._same(one, other) is same
