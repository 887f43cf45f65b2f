"""The first step on v3: a person connects the account in the site's admin, and what is left of that in the database."""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.apps import apps
from django.contrib.sessions.models import Session

from django_ctct import vault
from django_ctct.models import Account, AuthState

from .browser import Browser, Lost
from .stage import Stage, StepFailed

__all__ = ["connect", "expect_sealed"]


def connect(stage: Stage) -> str:
    """Sign in, press Connect, consent at Constant Contact, come back; then read with what was given."""
    stage.tell(
        "Constant Contact lets a site in when a person consents, once. The head of the office does: a browser signs "
        "in to the site's admin, presses Connect, is sent to Constant Contact, allows it there, and is sent back."
    )
    browser = Browser()
    try:
        _walk(browser, stage)
    except Lost as lost:
        raise StepFailed("a way through the pages", str(lost)) from None
    finally:
        stage.screen.quote("\n".join(str(one) for one in browser.visits))
    account = _expect_connected(stage, browser)
    expect_sealed(stage, account, browser)
    stage.tell(
        "Over this connection the site reads the account's lists and binds three of them to its rules. Its members "
        "join, and the worker starts."
    )
    stage.settle()
    return f"the account is connected, by {account.connected_by}; its tokens are nowhere to be read"


def _walk(browser: Browser, stage: Stage) -> None:
    browser.open(f"{stage.site_url}/admin/django_ctct/account/")
    browser.press("Log in", username="admin", password=stage.password)
    browser.press("Connect to Constant Contact")
    browser.press("Allow")


def _expect_connected(stage: Stage, browser: Browser) -> Account:
    """Check what the page at the way's end says, and the row behind it."""
    shown = "is connected to Constant Contact" in browser.text
    stage.expect(shown, "a page that says so", f"{browser.visits[-1]}")
    account = Account.objects.get(alias="default")
    stage.expect(account.auth_state == AuthState.CONNECTED, "a connected account", account.auth_state)
    return account


def expect_sealed(stage: Stage, account: Account, browser: Browser) -> None:
    """Look for the tokens in every table, in the logs and on the page. Only the site's key finds them."""
    found = json.loads(vault.unseal(account.tokens))
    secrets = [found["access"], found["refresh"]]
    stage.expect(all(secrets), "an access token and one to renew it", "less")
    places = {"the database": _everything_stored(), "a log": stage.logged(), "the page": browser.text}
    for place, text in places.items():
        stage.expect(not any(one in text for one in secrets), f"no token in {place}", "one")
    stage.screen.note(f"the row holds {len(account.tokens)} characters of ciphertext; no table, log or page a token")


def _everything_stored() -> str:
    return "\n".join(_rows())


def _rows() -> Iterator[str]:
    for model in apps.get_models():
        for row in model._default_manager.values_list():
            yield " ".join(map(str, row))
    for session in Session.objects.all():  # encoded, which hides nothing
        yield str(session.get_decoded())
