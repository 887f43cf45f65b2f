"""The whole of it over the real v3 wire and the sandbox's own OAuth server: connect, sync, renew, be cut off."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from django.test import Client

from django_ctct import catalogue, services
from django_ctct.models import Account, AuthState
from tests.account import LISTS, Sandbox, make_due, run_due
from tests.admin import builders
from tests.admin.pages import url
from tests.commands.run import run
from tests.site.models import Member

from .site import account, held, rest_is_over

pytestmark = [pytest.mark.sandbox, pytest.mark.django_db(transaction=True)]
ADA = "ada@example.com"


@pytest.fixture
def v3(box: Sandbox, settings: Any) -> Sandbox:
    """The test site, set up for the sandbox's v3 and not connected yet."""
    box.switch(auto_consent=True, rate_limit=False)
    oauth = f"{box.url}/oauth2/default/v1"
    options = {
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
        "base_url": box.url,
        "authorize_url": f"{oauth}/authorize",
        "token_url": f"{oauth}/token",
        "device_url": f"{oauth}/device/authorize",
    }
    entry = {"BACKEND": "django_ctct.backends.json_v3.JSONBackend", "OPTIONS": options, "CALLS_PER_SECOND": 1000}
    settings.CTCT = {**settings.CTCT, "ACCOUNTS": {"default": entry}}
    return box


def connect_in_the_browser() -> None:
    """Press Connect, consent, and come back. The sandbox sends browsers to this machine's own addresses only."""
    client = Client(headers={"host": "localhost"})
    client.force_login(builders.staff("view_account", "connect_account", name=f"sam{Account.objects.count()}"))
    goal = client.post(url("account_connect"), {"alias": "default"}).headers["Location"]
    back = requests.get(goal, allow_redirects=False, timeout=10).headers["Location"]
    assert client.get(back).status_code == 302


def bind() -> None:
    with services.connect("default") as link:
        rows = {row.name: row for row in catalogue.read_lists(link)}
        for key, name in LISTS.items():
            catalogue.bind_list(link.account, key, rows[name].remote_id)


def test_a_site_connects_syncs_renews_and_asks_for_a_person_when_it_is_cut_off(v3: Sandbox) -> None:
    connect_in_the_browser()
    bind()
    member = Member.objects.create(email=ADA, is_free=True)
    assert [one.error for one in run_due()] == [None]
    assert v3.lists_of(ADA) == {"Free members"}

    before = held()
    rest_is_over()
    v3.control("oauth", {"expire": True})
    member.is_free, member.is_sustainer = False, True
    member.save()
    assert [one.error for one in run_due()] == [None]
    assert v3.lists_of(ADA) == {"Sustainers"}
    assert (held().access != before.access, held().refresh != before.refresh) == (True, True)

    rest_is_over()
    v3.control("oauth", {"revoke": True})
    member.is_free = True
    member.save()
    run_due()
    assert account().auth_state == AuthState.RECONNECT
    assert "Constant Contact does not accept the consent any more." in run("ctct_status").out

    connect_in_the_browser()
    make_due()
    assert [one.error for one in run_due()] == [None]
    assert v3.lists_of(ADA) == {"Free members", "Sustainers"}


def test_a_terminal_connects_to_the_sandbox_by_its_device_flow(v3: Sandbox) -> None:
    from .test_commands import Terminal

    ran = run(Terminal())
    assert (ran.code, account().auth_state) == (0, AuthState.CONNECTED)
    with services.connect("default") as link:
        assert {one.name for one in link.backend.lists()} >= set(LISTS.values())
