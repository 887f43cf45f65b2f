"""``ctct_connect``, ``ctct_keys`` and what ``ctct_status`` says of a connection."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from django_ctct import vault
from django_ctct.management.commands.ctct_connect import Command
from django_ctct.models import Account, AuthState, DatabaseNow
from tests.commands.run import Ran, run

from . import site
from .server import TokenServer
from .site import account, expire, held

pytestmark = pytest.mark.django_db
BACK = "https://site.example/cb"


class Terminal(Command):
    """The command before a person who answers at once."""

    waits: list[float] = []
    sleep = staticmethod(waits.append)


@pytest.fixture
def terminal() -> Terminal:
    Terminal.waits.clear()
    return Terminal()


def pasting(consenting: TokenServer, settings: Any, answer: Callable[[str], str]) -> Ran:
    """Run ``--paste`` with a person who opens the address and pastes what ``answer`` makes of it."""
    settings.CTCT = site.settings_for(settings.CTCT, consenting, redirect_uri=BACK)
    told = StringIO()

    class Pasting(Command):
        @staticmethod
        def ask(_: str) -> str:
            goal = next(word for word in told.getvalue().split() if word.startswith("http"))
            return answer(consenting.consent(dict(parse_qsl(urlsplit(goal).query))))

    try:
        call_command(Pasting(), "--paste", stdout=told)
    except CommandError as wrong:
        return Ran(told.getvalue(), wrong.returncode, str(wrong))
    return Ran(told.getvalue(), 0)


# The device


def test_a_terminal_connects_by_a_code_that_a_person_types_elsewhere(
    consenting: TokenServer, terminal: Terminal
) -> None:
    ran = run(terminal)
    assert ran.code == 0
    assert "Open https://example.com/activate in a browser and enter the code ABCD-EFGH" in ran.out
    assert "default is connected to Constant Contact." in ran.out
    assert (account().auth_state, account().connected_by) == (AuthState.CONNECTED, "ctct_connect")
    assert consenting.refresh == {held().refresh}
    assert "canary" not in ran.out


def test_it_asks_at_the_interval_and_slows_down_when_told(consenting: TokenServer, terminal: Terminal) -> None:
    consenting.scripted += [
        (200, {}, json.dumps(_device(interval=2)).encode()),
        (400, {}, b'{"error": "authorization_pending"}'),
        (400, {}, b'{"error": "slow_down"}'),
        (503, {}, b""),
    ]
    assert run(terminal).code == 0
    assert terminal.waits == [2.0, 2.0, 7.0, 14.0]


@pytest.mark.parametrize(
    ("answer", "words"), [("expired_token", "nobody consented in time"), ("access_denied", "the consent was refused")]
)
def test_a_consent_that_is_not_given_is_exit_code_1(
    consenting: TokenServer, terminal: Terminal, answer: str, words: str
) -> None:
    consenting.scripted += [
        (200, {}, json.dumps(_device()).encode()),
        (400, {}, json.dumps({"error": answer}).encode()),
    ]
    ran = run(terminal)
    assert (ran.code, ran.error) == (1, f"Not connected: {words}.")
    assert account().tokens == ""


def test_a_code_that_nobody_types_ends(consenting: TokenServer, terminal: Terminal) -> None:
    consenting.scripted.append((200, {}, json.dumps(_device(expires_in=1)).encode()))
    consenting.consented = False
    ran = run(terminal)
    assert (ran.code, ran.error) == (1, "Not connected: nobody consented in time.")


def test_a_consent_without_a_refresh_token_is_taken_and_said(consenting: TokenServer, terminal: Terminal) -> None:
    consenting.refresh_tokens = False
    ran = run(terminal)
    assert ran.code == 0
    assert "Constant Contact gave no refresh token" in ran.out


def _device(**more: Any) -> dict[str, Any]:
    told = {"device_code": "d", "user_code": "ABCD", "verification_uri": "https://example.com/", "interval": 1}
    return {**told, "expires_in": 600, **more}


# Paste


def test_the_whole_address_can_be_pasted(consenting: TokenServer, settings: Any) -> None:
    ran = pasting(consenting, settings, lambda back: f"  {back}\n")
    assert (ran.code, ran.error) == (0, "")
    assert consenting.refresh == {held().refresh}


def test_the_code_alone_can_be_pasted(consenting: TokenServer, settings: Any) -> None:
    assert pasting(consenting, settings, lambda back: dict(parse_qsl(urlsplit(back).query))["code"]).code == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda back: back.replace("state=", "state=x"), "is not the answer to the one above"),
        (lambda back: f"{BACK}?code=1", "is not the answer to the one above"),
        (lambda back: f"{back}&state=2", "is not the answer to the one above"),
        (lambda back: "", "there is no code in this"),
        (lambda back: "made-up", "is not valid"),
    ],
)
def test_what_is_not_the_answer_connects_nothing(
    consenting: TokenServer, settings: Any, answer: Callable[[str], str], words: str
) -> None:
    ran = pasting(consenting, settings, answer)
    assert ran.code == 1
    assert words in ran.error
    assert account().tokens == ""


def test_pasting_needs_a_redirect_address_in_the_settings(consenting: TokenServer) -> None:
    ran = run("ctct_connect", "--paste")
    assert (ran.code, "redirect_uri" in ran.error) == (1, True)


# The rest of it


def test_an_account_with_fixed_credentials_has_nothing_to_connect() -> None:
    for option in ["--disconnect", "--paste"]:
        ran = run("ctct_connect", option)
        assert (ran.code, "nothing to connect" in ran.error) == (1, True)


def test_a_copy_is_not_connected(consenting: TokenServer, terminal: Terminal) -> None:
    account()
    Account.objects.update(environment="elsewhere:x:")
    ran = run(terminal)
    assert (ran.code, "looks like a copy" in ran.error) == (1, True)
    assert consenting.asked == []


def test_disconnecting_forgets_the_tokens(joined: TokenServer) -> None:
    assert run("ctct_connect", "--disconnect").code == 0
    assert (account().tokens, account().auth_state) == ("", AuthState.NEVER)


def test_a_command_that_meets_a_missing_consent_says_what_to_do(consenting: TokenServer) -> None:
    ran = run("ctct_lists")
    assert ran.code == 1
    assert "not connected to Constant Contact yet" in ran.error
    assert "ctct_connect --account default" in ran.error


# Keys


def test_a_new_key_is_printed_and_can_be_used(settings: Any) -> None:
    key = run("ctct_keys", "--new").out.strip()
    settings.CTCT = {**settings.CTCT, "SECRET_KEYS": [key]}
    assert vault.is_newest(vault.seal("x"))


def test_rotation_seals_anew_and_lets_the_old_key_go(joined: TokenServer, settings: Any) -> None:
    before, good = held(), settings.CTCT
    new = vault.new_key()
    settings.CTCT = {**good, "SECRET_KEYS": [new]}
    ran = run("ctct_keys")
    assert (ran.code, ran.out.splitlines()) == (
        0,
        ["default: sealed anew", "1 of 1 accounts are sealed with the newest key."],
    )
    settings.SECRET_KEY = "another"
    assert held() == before
    assert "already" in run("ctct_keys").out
    assert new not in ran.out
    assert "canary" not in ran.out


def test_a_rotation_with_a_wrong_key_changes_nothing_and_is_exit_code_1(joined: TokenServer, settings: Any) -> None:
    sealed = account().tokens
    settings.SECRET_KEY = "another"
    ran = run("ctct_keys", "--account", "default")
    assert ran.code == 1
    assert "cannot be read" in ran.out
    assert account().tokens == sealed


def test_a_rotation_does_not_undo_a_renewal_that_came_between(joined: TokenServer, settings: Any) -> None:
    settings.CTCT = {**settings.CTCT, "SECRET_KEYS": [vault.new_key()]}
    once = [site.store()]

    def renew(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and once:
            one = once.pop()
            expire()
            one.current()
        return execute(sql, *rest)

    with connection.execute_wrapper(renew):
        run("ctct_keys")
    assert joined.refresh == {held().refresh}


# Status


def problems() -> list[str]:
    return [line.split(maxsplit=1)[1] for line in run("ctct_status").out.splitlines() if "PROBLEM" in line]


def about_the_way(found: list[str]) -> list[str]:
    return [one for one in found if not one.startswith("No list is bound")]


def test_a_connection_that_is_well_is_healthy(joined: TokenServer) -> None:
    assert about_the_way(problems()) == []
    assert "connection    connected, last renewed 20" in run("ctct_status").out


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"tokens": "", "auth_state": "never"}, "The account is not connected to Constant Contact. Connect it"),
        ({"auth_state": "reconnect"}, "Constant Contact does not accept the consent any more. Connect it"),
        ({"tokens": "broken"}, "The stored tokens cannot be read"),
    ],
)
def test_what_needs_a_person_is_the_one_problem_of_the_way(
    joined: TokenServer, row: dict[str, str], words: str
) -> None:
    Account.objects.update(**row, auth_failed_at=DatabaseNow())
    found = about_the_way(problems())
    assert len(found) == 1
    assert found[0].startswith(words)
    document = json.loads(run("ctct_status", "--json").out)
    assert document["healthy"] is False
    assert "canary" not in str(document)


def test_a_connection_idle_for_150_days_is_a_problem(joined: TokenServer) -> None:
    Account.objects.update(refreshed_at=DatabaseNow() - timedelta(days=151, hours=1))
    assert about_the_way(problems()) == [
        "The connection was not used for 151 days; after 180 it ends. Is a worker running?"
    ]
