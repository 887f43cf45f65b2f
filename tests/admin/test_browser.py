"""The pages in a real browser: every state renders, keys suffice, nothing overflows, the console stays silent.

Set ``CTCT_TEST_SHOTS`` to a folder to keep a picture of each page.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_ctct.models import Contact, ContactList

from . import builders
from .pages import url

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser tests")
CHROMIUM = os.environ.get("CTCT_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: no browser tests"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # Playwright runs an event loop in this thread, and Django would take each query for one made from it.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Tab:
    """One window on the live site, logged in, that remembers what its console said."""

    def __init__(self, browser: Any, root: str, width: int, scheme: str = "light") -> None:
        self.root, self.name = root, f"{width}-{scheme}"
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self._note(f"{said.type}: {said.text} {said.location}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, line: str) -> None:
        if "favicon" not in line:
            self.complaints.append(line)

    def log_in(self) -> None:
        self.go("/admin/login/")
        self.page.fill("#id_username", "chief")
        self.page.fill("#id_password", "pass")
        self.page.press("#id_password", "Enter")
        self.page.wait_for_selector("#user-tools")

    def go(self, path: str) -> None:
        answer = self.page.goto(self.root + path)
        assert answer.status == 200, path

    def overflow(self) -> int:
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))

    def shoot(self, name: str) -> None:
        if folder := os.environ.get("CTCT_TEST_SHOTS"):
            self.page.screenshot(path=str(Path(folder) / f"{self.name}-{name}.png"), full_page=True)

    def press(self, label: str) -> None:
        """Reach a control with the Tab key alone and press Enter on it."""
        self.reach(label)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def reach(self, label: str) -> None:
        for _ in range(120):
            self.page.keyboard.press("Tab")
            if str(self.page.evaluate("document.activeElement.textContent")).strip() == label:
                return
        raise AssertionError(f"{label!r} cannot be reached with the Tab key")


@pytest.fixture
def tabs(browser: Any, live_server: Any) -> Iterator[Any]:
    """Make tabs, and see at the end that no console complained."""
    builders.chief()
    opened: list[Tab] = []

    def open_tab(width: int = 1400, scheme: str = "light") -> Tab:
        opened.append(Tab(browser, live_server.url, width, scheme))
        opened[-1].log_in()
        return opened[-1]

    yield open_tab
    for tab in opened:
        tab.context.close()
    assert [line for tab in opened for line in tab.complaints] == []


def addresses(people: dict[str, Contact]) -> dict[str, str]:
    lists = {one.key or "board": one for one in ContactList.objects.all()}
    states = {f"contact-{state}": url("contact_change", one.pk) for state, one in people.items()}
    return {
        "contacts": url("contact_changelist"),
        **states,
        "lists": url("contactlist_changelist"),
        "list": url("contactlist_change", lists["free"].pk),
        "bind": url("contactlist_bind", lists["board"].pk),
        "accounts": url("account_changelist"),
        "account": url("account_change", builders.account().pk),
        "account-plan": url("account_plan", builders.account().pk),
        "writes": url("writeattempt_changelist"),
        "write": url("writeattempt_change", people["in sync"].writes.latest("at").pk),
    }


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "light"), (1400, "dark"), (400, "dark")])
def test_every_page_in_every_state_fits_its_window(tabs: Any, width: int, scheme: str) -> None:
    people = builders.scene()
    tab = tabs(width, scheme)
    for name, address in addresses(people).items():
        tab.go(address)
        tab.shoot(name.replace(" ", "_"))
        assert tab.overflow() <= 0, name
        assert tab.page.title() != "gone"


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "light"), (1400, "dark"), (400, "dark")])
def test_what_waits_for_staff_fits_its_window(tabs: Any, width: int, scheme: str) -> None:
    people = builders.waits_for_staff()
    tab = tabs(width, scheme)
    account = builders.account()
    for name, address in {
        "waits-accounts": url("account_changelist"),
        "waits-account": url("account_change", account.pk),
        "waits-plan": url("account_plan", account.pk),
        "waits-contacts": url("contact_changelist") + "?review=open",
        **{f"waits-{state}": url("contact_change", one.pk) for state, one in people.items()},
    }.items():
        tab.go(address)
        tab.shoot(name.replace(" ", "_"))
        assert tab.overflow() <= 0, name
    for button, name in (("Approve: from now on changes are sent…", "approve"), ("Put back…", "put-back")):
        tab.go(url("account_plan", account.pk) if name == "approve" else url("contact_change", people["left"].pk))
        tab.press(button)
        tab.shoot(f"waits-ask-{name}")
        assert tab.overflow() <= 0, name


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "light"), (1400, "dark"), (400, "dark")])
def test_an_account_at_a_standstill_fits_its_window(tabs: Any, settings: Any, width: int, scheme: str) -> None:
    people = builders.scene()
    tab = tabs(width, scheme)
    pages = {
        "accounts": url("account_changelist"),
        "account": url("account_change", builders.account().pk),
        "contacts": url("contact_changelist"),
        "contact": url("contact_change", people["pending"].pk),
        "plan": url("account_plan", builders.account().pk),
    }
    for kind in [*builders.STANDSTILLS, "wrong settings"]:
        if kind == "wrong settings":
            settings.CTCT = {"ACOUNTS": settings.CTCT["ACCOUNTS"]}
        else:
            builders.standstill(kind)
        for name, address in pages.items():
            tab.go(address)
            tab.shoot(f"{kind}-{name}".replace(" ", "_"))
            assert tab.overflow() <= 0, (kind, name)


def test_approving_needs_no_mouse(tabs: Any) -> None:
    builders.waits_for_staff()
    tab = tabs()
    tab.go(url("contact_changelist"))
    tab.press("Read the plan")
    tab.press("Approve: from now on changes are sent…")
    tab.page.focus("#id_sure")
    tab.page.keyboard.press("Space")
    tab.press("Approve: from now on changes are sent")
    assert "Approved: changes are sent from now on." in tab.page.inner_text(".messagelist")
    assert builders.account().approved_by == "chief"


def test_putting_back_needs_a_reason_and_no_mouse(tabs: Any) -> None:
    contact = builders.waits_for_staff()["left"]
    tab = tabs()
    tab.go(url("contact_change", contact.pk))
    tab.press("Put back…")
    tab.reach("Put her back")
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "id_why"
    tab.page.keyboard.type("A colleague cleaned the wrong list.")
    tab.press("Put her back")
    assert "A colleague cleaned the wrong list." in tab.page.inner_text("#content")
    assert contact.list_opt_outs.get().put_back_why == "A colleague cleaned the wrong list."


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(tabs: Any, scheme: str) -> None:
    """WCAG AA asks for a contrast of 4.5 for small text."""
    people = builders.waits_for_staff()
    tab = tabs(1400, scheme)
    pages = [url("contact_changelist"), url("account_plan", builders.account().pk)]
    for address in [*pages, *(url("contact_change", one.pk) for one in people.values())]:
        tab.go(address)
        for ratio, words in tab.page.evaluate(_CONTRASTS):
            assert ratio >= 4.5, (words, ratio)


def test_opting_out_needs_no_mouse(tabs: Any) -> None:
    contact = builders.scene()["in sync"]
    tab = tabs()
    tab.go(url("contact_change", contact.pk))
    tab.press("Opt out…")
    assert "This is for good." in tab.page.inner_text("#content")
    tab.shoot("opt-out")
    tab.page.focus("#id_sure")
    tab.page.keyboard.press("Space")
    tab.press("Opt out for good")
    assert "1 contact is opted out, for good." in tab.page.inner_text(".messagelist")
    contact.refresh_from_db()
    assert contact.opt_out_wanted


def test_forgetting_the_tick_opts_nobody_out(tabs: Any) -> None:
    contact = builders.scene()["in sync"]
    tab = tabs()
    tab.go(url("contact_change", contact.pk))
    tab.press("Opt out…")
    tab.reach("Opt out for good")
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "id_sure"
    contact.refresh_from_db()
    assert not contact.opt_out_wanted


def test_removing_and_letting_the_rules_count_again_need_no_mouse(tabs: Any) -> None:
    contact = builders.scene()["in sync"]
    tab = tabs()
    tab.go(url("contact_change", contact.pk))
    tab.press("Remove from all managed lists…")
    tab.shoot("remove")
    tab.page.focus("#id_sure")
    tab.page.keyboard.press("Space")
    tab.press("Remove from all managed lists")
    assert contact.list_opt_outs.count() == 4
    tab.press("Let the rules count again")
    assert contact.list_opt_outs.count() == 0


def test_showing_a_plan_and_syncing_need_no_mouse(tabs: Any) -> None:
    contact = builders.scene()["rejected"]
    tab = tabs()
    tab.go(url("contact_change", contact.pk))
    tab.press("Show plan")
    assert "Nothing was written." in tab.page.inner_text("#content")
    tab.shoot("plan")
    tab.press("Back")
    tab.press("Sync now")
    assert "1 contact is due now." in tab.page.inner_text(".messagelist")


def test_binding_a_list_needs_no_mouse(tabs: Any) -> None:
    builders.scene()
    board = ContactList.objects.get(name="Board")
    tab = tabs()
    tab.go(url("contactlist_change", board.pk))
    tab.press("Bind to a key…")
    tab.page.focus("input[value=donors]")
    tab.page.keyboard.press("Space")
    tab.press("Bind")
    board.refresh_from_db()
    assert board.key == "donors"


def test_an_action_of_the_list_leads_to_its_confirmation(tabs: Any) -> None:
    builders.scene()
    tab = tabs()
    tab.go(url("contact_changelist"))
    tab.page.check("tr:nth-child(2) .action-select")
    tab.page.check("tr:nth-child(3) .action-select")
    tab.page.select_option("select[name=action]", "opt_out_selected")
    tab.page.click("button[name=index]")
    assert "2 contacts will be opted out" in tab.page.inner_text("#content")


_CONTRASTS = """() => {
  const channel = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4); };
  const parse = text => (text.match(/[0-9.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const ground = one => {
    for (; one; one = one.parentElement) {
      const c = parse(getComputedStyle(one).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const words = '.ctct-badge, .ctct-chip, .ctct-why, .ctct-fate, .ctct-sentence, .ctct-advice, .ctct-note, .ctct-none,'
    + ' .ctct-key, .ctct-problem, .ctct-banner p, .ctct-acts .button, .ctct-facts dt, .ctct-facts dd,'
    + ' .ctct-drift li, .ctct-meaning, .ctct-people a, .ctct-differs td, .ctct-heading';
  return [...document.querySelectorAll(words)].map(one => {
    const [a, b] = [light(parse(getComputedStyle(one).color)), light(ground(one))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.textContent.trim().slice(0, 40)];
  });
}"""
