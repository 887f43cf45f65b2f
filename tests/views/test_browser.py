"""The members' pages in a real browser: every page fits, keys suffice, no script is needed, words can be read.

Set ``CTCT_TEST_SHOTS`` to a folder to keep a picture of each page.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from django_ctct import acts
from django_ctct.links import LIFETIME, Purpose, preferences_url, unsubscribe_url
from django_ctct.models import Consent, Contact, ContactList, ListOptOut

from .scene import ADA, builders, letters, old_link, paths_in

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser tests")

from tests.admin import test_browser as pages  # noqa: E402 - it asks for playwright as well

pytestmark = pages.pytestmark
browser = pages.browser
WINDOWS = [(width, scheme) for width in (1400, 400, 320) for scheme in ("light", "dark")]
CONTROLS = "main :is(a[href], button, input:not([type=hidden]))"
LONG = "The long letter of the friends of the harbour, its ships and its Donaudampfschifffahrtsgesellschaftskapitäne"


@pytest.fixture
def tabs(browser: Any, live_server: Any) -> Iterator[Any]:
    """Make tabs without JavaScript and without a login, and see at the end that no console complained."""
    opened: list[pages.Tab] = []

    def open_tab(width: int = 1400, scheme: str = "light") -> pages.Tab:
        opened.append(Plain(browser, live_server.url, width, scheme))
        return opened[-1]

    yield open_tab
    for tab in opened:
        tab.context.close()
    assert [line for tab in opened for line in tab.complaints] == []


class Plain(pages.Tab):
    """A tab of a visitor: the pages themselves bring no script, and none may be needed."""

    def __init__(self, browser: Any, root: str, width: int, scheme: str) -> None:
        super().__init__(browser, root, width, scheme)
        self.page.on("request", self._note_strangers)

    def _note_strangers(self, asked: Any) -> None:
        if not asked.url.startswith(self.root) or asked.resource_type == "script":
            self.complaints.append(f"asked for {asked.resource_type} {asked.url}")

    def _note(self, line: str) -> None:
        if "410 (Gone)" not in line and "422 (Unprocessable" not in line:  # the browser notes every error
            super()._note(line)

    def words(self) -> str:
        return str(self.page.inner_text("main"))


def ada(**names: str) -> Contact:
    builders.lists(**names)
    return builders.contact(ADA, ["free", "sustainers", "newsletter"], ["free", "sustainers", "newsletter"])


def scene() -> dict[str, str]:
    """Make people in every state; return the paths of their pages by a name for each."""
    ada(free=LONG)
    letter = ContactList.objects.get(key="newsletter")
    grace = builders.contact("grace@example.com", ["free", "newsletter"], ["free"])
    out = builders.contact(
        "hedy@example.com", ["free", "newsletter"], opted_out_at=builders.ago(9), status="do_not_mail"
    )
    stale, gone = preferences_url(grace.email), preferences_url(out.email)
    builders.left(grace, letter, source="site", minutes=-1)
    Contact.objects.filter(pk=out.pk).update(opted_out_at=builders.ago(-1))
    fresh = builders.contact(
        "ida@example.com", ["free", "newsletter"], opted_out_at=builders.ago(9), status="do_not_mail"
    )
    early = builders.contact(
        "jo@example.com", ["free", "newsletter"], opted_out_at=builders.ago(9), status="do_not_mail"
    )
    acts.resubscribe(early, ["newsletter"], method="preference page")
    Contact.objects.filter(pk=early.pk).update(opted_out_seen_at=builders.ago(-1), opted_out_source="remote")
    return {
        "unsubscribe": unsubscribe_url(ADA, "newsletter"),
        "unsubscribe-long": unsubscribe_url("x" * 60 + "@" + "long-domain." * 8 + "example.com", "free"),
        "unsubscribe-everything": unsubscribe_url(ADA),
        "preferences": preferences_url(ADA),
        "preferences-saved": preferences_url(ADA) + "?saved",
        "preferences-stale": stale,
        "preferences-out": preferences_url(fresh.email),
        "preferences-out-stale": gone,
        "preferences-asked-too-early": preferences_url(early.email),
        "preferences-unknown": preferences_url("nobody@example.com"),
        "link": "/ctct/link/",
        "link-sent": "/ctct/link/sent/",
        "link-expired": "/ctct/link/expired/",
        "link-bad": "/ctct/preferences/nonsense/",
    }


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_every_page_in_every_state_fits_its_window_and_can_be_read(tabs: Any, width: int, scheme: str) -> None:
    tab = tabs(width, scheme)
    for name, path in scene().items():
        answer = tab.page.goto(tab.root + path)
        assert answer.status == (410 if name in ("link-expired", "link-bad") else 200), name
        judge(tab, name)
    tab.page.goto(tab.root + unsubscribe_url(ADA, "newsletter"))
    tab.press("Unsubscribe")
    judge(tab, "unsubscribed")
    tab.page.goto(tab.root + unsubscribe_url(ADA))
    tab.press("Unsubscribe")
    judge(tab, "unsubscribed-everything")
    tab.page.goto(tab.root + "/ctct/link/")
    tab.page.fill("#id_address", "nobody")
    tab.page.eval_on_selector("form", "form => { form.noValidate = true; form.submit(); }")
    tab.page.wait_for_selector(".ctct-error")
    judge(tab, "link-error")


def judge(tab: Any, name: str) -> None:
    """See that a page fits, that its words stand out, and that it has what a screen reader goes by."""
    tab.shoot(name)
    assert tab.overflow() <= 0, name
    for ratio, words in tab.page.evaluate(_CONTRASTS):
        assert ratio >= 4.5, (name, words, ratio)
    assert tab.page.evaluate("document.documentElement.lang") == "en-us"
    assert tab.page.locator("main h1").count() == 1, name
    assert tab.page.title(), name
    for box in tab.page.query_selector_all("input:not([type=hidden])"):
        assert box.evaluate("one => one.labels.length") == 1, name
    for button in tab.page.query_selector_all("button"):
        size = button.bounding_box()
        assert size["height"] >= 44, name  # a thumb's breadth
        assert size["width"] >= 100, name


@pytest.mark.parametrize("width", [1400, 320])
def test_unsubscribing_needs_one_key_and_no_mouse(tabs: Any, width: int) -> None:
    ada()
    tab = tabs(width)
    tab.go(unsubscribe_url(ADA, "newsletter"))
    assert not ListOptOut.objects.exists()
    tab.page.keyboard.press("Tab")
    with tab.page.expect_navigation():
        tab.page.keyboard.press("Enter")
    assert "You are unsubscribed" in tab.words()
    assert [one.list.key for one in ListOptOut.objects.select_related("list")] == ["newsletter"]


@pytest.mark.parametrize("width", [1400, 320])
def test_leaving_and_coming_back_need_no_mouse(tabs: Any, width: int) -> None:
    ada()
    acts.leave_list(ADA, "newsletter")
    tab = tabs(width)
    tab.go(preferences_url(ADA))
    for label in ("Free members", "Newsletter"):
        tick(tab, label)
    tab.press("Save")
    assert "Saved." in tab.words()
    tab.shoot("preferences-changed")
    boxes = {one.evaluate("one => one.labels[0].textContent"): one.is_checked() for one in checkboxes(tab)}
    assert boxes == {"Free members": False, "Newsletter": True, "Sustainers": True}
    assert [one.key for one in Consent.objects.all()] == ["newsletter"]


def test_stopping_everything_and_thinking_better_of_it_need_no_mouse(tabs: Any) -> None:
    who = ada()
    tab = tabs(400)
    tab.go(preferences_url(ADA))
    tab.press("Unsubscribe from everything")
    assert "You have unsubscribed from everything." in tab.words()
    who.refresh_from_db()
    assert who.opt_out_wanted
    tick(tab, "Newsletter")
    tab.press("Save")
    who.refresh_from_db()
    assert not who.opt_out_wanted
    assert [one.key for one in Consent.objects.all()] == ["newsletter"]


def test_a_fresh_link_needs_no_mouse_from_the_old_letter_to_the_new_page(tabs: Any) -> None:
    ada()
    tab = tabs(320)
    tab.page.goto(tab.root + old_link(Purpose.PREFERENCES, LIFETIME + timedelta(days=1)))
    assert "This link does not work any more" in tab.words()
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.type(ADA)
    with tab.page.expect_navigation():
        tab.page.keyboard.press("Enter")
    assert "Look into your mailbox" in tab.words()
    (letter,) = letters()
    link = next(line for line in str(letter.body).splitlines() if line.startswith("http"))
    assert link.startswith(tab.root)
    assert paths_in(letter) == []  # of another host
    tab.page.goto(link)
    assert "Your email preferences" in tab.words()


def test_unsubscribing_from_everything_and_asking_for_the_way_back_need_no_mouse(tabs: Any) -> None:
    who = ada()
    tab = tabs(400)
    tab.go(unsubscribe_url(ADA))
    press(tab, "Unsubscribe")
    assert "You are unsubscribed" in tab.words()
    who.refresh_from_db()
    assert who.opt_out_wanted
    press(tab, "Mail me a link")
    assert "Look into your mailbox" in tab.words()
    assert [one.to for one in letters()] == [[ADA]]
    press(tab, "Try another address")
    assert "A link to your email preferences" in tab.words()


def test_a_new_link_for_a_stale_page_needs_no_mouse(tabs: Any) -> None:
    ada()
    stale = preferences_url(ADA)
    acts.leave_list(ADA, "newsletter")
    tab = tabs(320)
    tab.go(stale)
    assert "You left these after the link to this page was made" in tab.words()
    press(tab, "Mail me a new link")
    assert "Look into your mailbox" in tab.words()
    assert len(letters()) == 1


def test_what_is_wrong_with_an_address_is_said_and_mended_without_a_mouse(tabs: Any) -> None:
    ada()
    tab = tabs(400)
    tab.go("/ctct/link/")
    reach(tab, "#id_address")
    tab.page.keyboard.type("ada@example")  # a browser takes it for an address
    press(tab, "Mail me a link")
    error = tab.page.locator(".ctct-error")
    field = tab.page.locator("#id_address")
    assert error.inner_text().strip()
    assert field.get_attribute("aria-invalid") == "true"
    assert field.get_attribute("aria-describedby") == error.get_attribute("id")
    reach(tab, "#id_address")
    tab.shoot("link-error-focused")
    tab.page.keyboard.press("End")
    tab.page.keyboard.type(".com")
    with tab.page.expect_navigation():
        tab.page.keyboard.press("Enter")
    assert "Look into your mailbox" in tab.words()
    assert len(letters()) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_whatever_the_tab_key_reaches_is_seen_to_be_reached(tabs: Any, scheme: str) -> None:
    """And it reaches all that can be pressed, on every page."""
    tab = tabs(400, scheme)
    for name, path in scene().items():
        tab.page.goto(tab.root + path)
        controls = tab.page.locator(CONTROLS).count()
        reached = set()
        for _ in range(controls + 2):
            tab.page.keyboard.press("Tab")
            place = tab.page.evaluate(
                "all => [...document.querySelectorAll(all)].indexOf(document.activeElement)", CONTROLS
            )
            if place >= 0:
                assert is_seen(tab), name
                tab.shoot(f"focus-{name}-{place}")
                reached.add(place)
        assert len(reached) == controls, name


def press(tab: Any, label: str) -> None:
    """Reach a control with the Tab key alone, see that it shows it, and press Enter on it."""
    tab.reach(label)
    assert is_seen(tab), label
    with tab.page.expect_navigation():
        tab.page.keyboard.press("Enter")


def reach(tab: Any, selector: str) -> None:
    for _ in range(30):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("selector => document.activeElement.matches(selector)", selector):
            assert is_seen(tab), selector
            return
    raise AssertionError(f"{selector!r} cannot be reached with the Tab key")


def is_seen(tab: Any) -> bool:
    """Say whether what has the focus looks otherwise than without it: by an outline or a shadow around it."""
    return bool(tab.page.evaluate(_FOCUS))


def test_the_link_is_named_to_no_other_site(tabs: Any) -> None:
    ada()
    tab = tabs()
    tab.go(preferences_url(ADA))
    seen: list[str | None] = []
    tab.page.on("request", lambda asked: seen.append(asked.headers.get("referer")))
    tab.press("Save")
    tab.page.reload()
    assert seen
    assert not any(seen)


def checkboxes(tab: Any) -> Any:
    return tab.page.query_selector_all("input[type=checkbox]")


def tick(tab: Any, label: str) -> None:
    """Reach a box with the Tab key alone and press the space bar."""
    for _ in range(30):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("document.activeElement.labels?.[0]?.textContent") == label:
            tab.page.keyboard.press("Space")
            return
    raise AssertionError(f"the box {label!r} cannot be reached with the Tab key")


_CONTRASTS = pages._CONTRASTS.replace(
    pages._CONTRASTS[pages._CONTRASTS.index("const words = ") : pages._CONTRASTS.index("return [...document")],
    "const words = 'h1, h2, p, li, label, legend, button, a, .ctct-error';\n  ",
)

_FOCUS = """() => {
  const one = document.activeElement;
  const look = () => {
    const style = getComputedStyle(one);
    const width = style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth);
    return [width >= 2 ? `${width} ${style.outlineColor}` : '', style.boxShadow].join('|');
  };
  const focused = look();
  one.blur();
  const plain = look();
  one.focus({focusVisible: true});
  return focused !== plain;
}"""
