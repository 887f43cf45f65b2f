"""A fresh link comes by mail to whom the site knows, and nobody can tell from the answer who that is."""

from __future__ import annotations

import bisect
import logging
import statistics
import time
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends import locmem
from django.urls.base import get_script_prefix, set_script_prefix

from django_ctct import links, vault
from django_ctct.links import Purpose
from django_ctct.models import Contact, Suppression
from django_ctct.views import letters as room
from django_ctct.views.letters import Ask, PostRoom, post_room
from tests.admin.pages import snapshot

from .scene import ADA, Browser, all_of, builders, letters, now, paths_in

pytestmark = pytest.mark.django_db(transaction=True)
FORM, SENT = "/ctct/link/", "/ctct/link/sent/"
UNKNOWN = "nobody@example.com"


class DeadServer(locmem.EmailBackend):
    """A mail server that refuses, and repeats the address while it does."""

    def send_messages(self, messages: Any) -> int:
        raise OSError(f"no such mailbox: {messages[0].to}")


class SlowServer(locmem.EmailBackend):
    def send_messages(self, messages: Any) -> int:
        time.sleep(0.3)
        return super().send_messages(messages)


@pytest.fixture(autouse=True)
def ada() -> Contact:
    builders.lists()
    return builders.contact(ADA, ["free"], ["free"])


def ask(address: str, **extra: Any) -> Any:
    return Browser().post(FORM, {"address": address}, **extra)


def test_the_letter_brings_a_link_that_works_and_is_as_young_as_the_asking() -> None:
    before = now()
    ask(" Ada@Example.COM ")
    (letter,) = letters()
    assert letter.to == [ADA]
    assert letter.extra_headers["Auto-Submitted"] == "auto-generated"
    assert "30 days" in letter.body
    (path,) = paths_in(letter)
    assert "Your email preferences" in Browser().page(path)
    assert links.read(path.split("/")[3], Purpose.PREFERENCES).issued >= before


def test_no_letter_goes_to_anybody_else() -> None:
    ask(UNKNOWN)
    assert letters() == []
    assert Contact.objects.count() == 1


@pytest.mark.parametrize("method", ["get", "head"])
def test_opening_the_form_sends_nothing(method: str) -> None:
    assert getattr(Browser(), method)(FORM, {"address": ADA}).status_code == 200
    assert letters() == []


def test_asking_changes_nothing_in_the_tables() -> None:
    before = snapshot()
    ask(ADA)
    letters()
    assert snapshot() == before


@pytest.mark.parametrize(
    "address", ["", "nobody", "a@b", f"x\r\nBcc: {ADA}", f"{ADA},{UNKNOWN}", "a" * 300 + "@example.com"]
)
def test_what_is_no_address_is_said_to_be_none(address: str) -> None:
    answer = ask(address)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert 'aria-invalid="true"' in page
    assert 'role="alert"' in page
    assert letters() == []


def test_the_letter_is_in_the_language_of_the_page(settings: Any, tmp_path: Any) -> None:
    (tmp_path / "django_ctct").mkdir()
    (tmp_path / "django_ctct" / "link_subject.txt").write_text(
        "{% load i18n %}{% get_current_language as now %}\n{{ now }}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    Browser(accept_language="de").post(FORM, {"address": ADA})
    assert [one.subject for one in letters()] == ["de"]


def test_a_site_that_lives_under_a_path_is_linked_to_under_that_path() -> None:
    before = get_script_prefix()
    set_script_prefix("/club/")
    Browser().post(FORM, {"address": ADA})
    set_script_prefix(before)
    assert [path.split("/")[1] for path in paths_in(letters()[0])] == ["club"]


def test_a_host_that_the_site_does_not_serve_gets_no_link_into_a_letter(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    assert ask(ADA, headers={"host": "evil.example"}).status_code == 400
    assert letters() == []


# Nobody can tell


def test_the_answers_for_known_and_unknown_do_not_differ_in_one_byte() -> None:
    """Nor do those for an address that is opted out, or was erased; nor the pages that follow."""
    seen = []
    for address in addresses():
        visitor = Browser()
        answer = visitor.post(FORM, {"address": address})
        assert answer.headers["Location"] == SENT
        page = visitor.get(answer.headers["Location"])
        seen.append([all_of(answer), all_of(page)])
        letters()
    assert seen[1:] == seen[:-1]


def test_nor_do_those_for_addresses_that_were_asked_for_too_often() -> None:
    seen = {}
    for address in addresses():
        answers = [ask(address) for _ in range(room.PER_ADDRESS + 2)]
        seen[address] = [all_of(one) for one in answers]
        assert seen[address][:-1] == seen[address][1:]
    assert len({repr(one) for one in seen.values()}) == 1


def addresses() -> list[str]:
    """Return an address for each way in which one can be known, and one that is not."""
    builders.contact("out@example.com", [], [], status="do_not_mail", opted_out_at=now(), opted_out_source="site")
    erased = vault.address_hash("erased@example.com")
    Suppression.objects.create(account=builders.account(), address_hash=erased, at=now(), source="site")
    return [ADA, "out@example.com", "erased@example.com", UNKNOWN]


def test_the_request_makes_the_same_statements_for_all_and_asks_for_no_contact(
    django_assert_num_queries: Any,
) -> None:
    for address in addresses():
        with django_assert_num_queries(2) as seen:
            ask(address)
        assert "django_ctct_contact" not in str(seen.captured_queries)
        letters()


@pytest.fixture
def slow_server(settings: Any) -> None:
    path = f"{__name__}.SlowServer"
    if hasattr(settings, "MAILERS"):
        settings.MAILERS = {"default": {"BACKEND": path}}
    else:
        settings.EMAIL_BACKEND = path


def test_nobody_waits_for_the_mail_server(slow_server: None) -> None:
    ask(UNKNOWN)
    began = time.perf_counter()
    ask(ADA)
    assert time.perf_counter() - began < 0.2
    assert len(letters()) == 1


def test_waiting_tells_nobody_who_is_known() -> None:
    """By turns, on one machine, without a network between: the likeliest place to tell one from the other.

    ``chance`` is how often a random known address answers later than a random unknown one; half the time is nothing
    to go by. Chance alone brings 200 of each less than 0.03 away from it (standard deviation). And the medians lie
    closer together than either's own middle half is wide.
    """
    took: dict[str, list[float]] = {ADA: [], UNKNOWN: []}
    visitor = Browser()
    for turn in range(220):
        room.cache.clear()
        for address in (ADA, UNKNOWN) if turn % 2 else (UNKNOWN, ADA):
            began = time.perf_counter()
            visitor.post(FORM, {"address": address})
            took[address].append(time.perf_counter() - began)
            letters()
    known, unknown = (sorted(took[one][20:]) for one in (ADA, UNKNOWN))
    apart = abs(statistics.median(known) - statistics.median(unknown))
    widths = [statistics.quantiles(one, n=4)[2] - statistics.quantiles(one, n=4)[0] for one in (known, unknown)]
    chance = sum(bisect.bisect_left(unknown, one) for one in known) / len(known) / len(unknown)
    assert apart < max(*widths, 0.0005)
    assert abs(chance - 0.5) < 0.15, chance
    assert len(mail.outbox) == 220


# Not too often


def test_one_address_gets_three_letters_an_hour_and_the_answer_stays_the_same() -> None:
    answers = [ask(ADA) for _ in range(5)]
    assert len(letters()) == room.PER_ADDRESS == 3
    assert {(one.status_code, one.headers["Location"]) for one in answers} == {(303, SENT)}
    builders.contact("grace@example.com", ["free"], ["free"])
    ask("grace@example.com")
    assert len(letters()) == 4


@pytest.mark.parametrize(("asker", "most"), [("203.0.113.7", 40), ("8.8.8.8", 30), ("127.0.0.1", 40), ("", 40)])
def test_one_asker_gets_thirty_letters_an_hour_and_a_proxy_is_nobody(asker: str, most: int) -> None:
    """203.0.113.0/24 is for documentation, and no address of a visitor."""
    builders.account()
    for number in range(40):
        builders.contact(f"member{number}@example.com", [], [])
        ask(f"member{number}@example.com", REMOTE_ADDR=asker)
    assert len(letters()) == most


def test_an_owner_who_asks_from_her_page_is_counted_as_well() -> None:
    for _ in range(5):
        Browser().post(links.preferences_url(ADA), {"fresh": "1"})
    assert len(letters()) == 3


def test_a_cache_that_keeps_nothing_does_not_stop_letters(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    ask(ADA)
    assert len(letters()) == 1


def test_what_is_counted_is_kept_without_address_and_ip() -> None:
    ask(ADA, REMOTE_ADDR="8.8.8.8")
    kept = repr(room.cache._cache)
    assert "django_ctct:link" in kept
    assert ADA not in kept
    assert "8.8.8.8" not in kept


# When mailing fails


def test_a_mail_server_that_fails_is_logged_without_the_address_and_stops_nobody(settings: Any, caplog: Any) -> None:
    good = getattr(settings, "MAILERS", None)
    bad = f"{__name__}.DeadServer"
    if good is not None:
        settings.MAILERS = {"default": {"BACKEND": bad}}
    else:
        settings.EMAIL_BACKEND = bad
    answer = ask(ADA)
    assert answer.headers["Location"] == SENT
    assert letters() == []
    assert "a letter with a link could not be sent (OSError)" in caplog.text
    assert ADA not in caplog.text
    if good is not None:
        settings.MAILERS = good
    else:
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    ask(ADA)
    assert len(letters()) == 1


def test_no_more_than_a_hundred_letters_wait(caplog: Any) -> None:
    caplog.set_level(logging.WARNING)
    done: list[Ask] = []
    slow = PostRoom(lambda one: (time.sleep(0.005), done.append(one))[1])
    for _ in range(room.MOST_WAITING + 20):
        slow.post(Ask(ADA, {}, None))
    assert slow.wait(10)
    assert room.MOST_WAITING <= len(done) < room.MOST_WAITING + 20
    assert "one was dropped" in caplog.text


def test_the_room_is_its_own_after_a_fork() -> None:
    before = post_room._thread
    ask(ADA)
    letters()
    post_room._reset()
    ask(ADA)
    assert len(letters()) == 2
    assert post_room._thread is not before
