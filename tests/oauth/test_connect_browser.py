"""Connect in a real browser: from the button to Constant Contact and back, at both widths, without a mouse.

Set ``CTCT_TEST_SHOTS`` to a folder to keep a picture of each page.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_ctct.models import Account, AuthState, DatabaseNow
from tests.admin import builders
from tests.admin.pages import url

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser tests")

from tests.admin import test_browser as pages  # noqa: E402 - it asks for playwright as well

from . import site  # noqa: E402
from .server import TokenServer  # noqa: E402
from .site import account  # noqa: E402

pytestmark = pages.pytestmark
browser, tabs = pages.browser, pages.tabs


@pytest.mark.parametrize("width", [1400, 400])
def test_connecting_needs_one_button_and_one_consent_and_no_mouse(
    consenting: TokenServer, tabs: Any, width: int
) -> None:
    tab = tabs(width)
    tab.go(url("account_changelist"))
    tab.shoot("oauth-unseen")
    account()
    tab.go(url("account_change", account().pk))
    tab.shoot("oauth-never")
    assert tab.overflow() <= 0
    tab.press("Connect to Constant Contact")
    assert "The account default is connected to Constant Contact." in tab.page.inner_text(".messagelist")
    assert tab.page.url.endswith(url("account_change", account().pk))
    assert account().auth_state == AuthState.CONNECTED
    tab.shoot("oauth-connected")
    tab.press("Disconnect…")
    tab.shoot("oauth-disconnect")
    assert tab.overflow() <= 0
    tab.page.focus("#id_sure")
    tab.page.keyboard.press("Space")
    tab.press("Disconnect")
    assert account().tokens == ""


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "light"), (1400, "dark")])
def test_what_a_person_must_put_right_fits_the_window(
    consenting: TokenServer, tabs: Any, width: int, scheme: str
) -> None:
    builders.scene()
    site.connect(consenting)
    tab = tabs(width, scheme)
    rows: dict[str, dict[str, Any]] = {
        "reconnect": {"auth_state": "reconnect"},
        "idle": {"auth_state": "connected", "refreshed_at": DatabaseNow() - timedelta(days=160)},
        "key": {"tokens": "broken"},
        "copy": {"environment": "elsewhere:x:"},
    }
    for name, row in rows.items():
        Account.objects.update(**row)
        for page in ["account_changelist", "contact_changelist"]:
            tab.go(url(page))
            tab.shoot(f"oauth-{name}-{page}")
            assert tab.overflow() <= 0, (name, page)
        tab.go(url("account_change", account().pk))
        tab.shoot(f"oauth-{name}-account")
        assert tab.overflow() <= 0, name
    tab.press("This is the live site now…")
    tab.shoot("oauth-adopt")
    assert tab.overflow() <= 0


def test_a_refused_callback_is_a_plain_page(consenting: TokenServer, tabs: Any) -> None:
    tab = tabs(400)
    answer = tab.page.goto(tab.root + url("account_callback") + "?code=canary&state=canary")
    assert answer.status == 400
    tab.shoot("oauth-refused")
    assert tab.overflow() <= 0
    assert "canary" not in tab.page.content()
    tab.complaints.clear()  # the browser notes every 400
    tab.press("To the accounts")
