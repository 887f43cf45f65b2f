"""Unsubscribing is one press, works for everybody, and looking alone changes nothing."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from django_ctct import acts, vault
from django_ctct.links import Purpose, SignedLink, seal, unsubscribe_url
from django_ctct.models import Contact, ContactList, ListOptOut, Suppression
from django_ctct.types import OptOutSource
from tests.account import Sandbox, contact, make_due, run_due
from tests.admin.pages import snapshot
from tests.site.models import Member

from .scene import ADA, Browser, account, all_of, builders, letters, now, old_link, paths_in

pytestmark = pytest.mark.django_db(transaction=True)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def ada() -> Contact:
    builders.lists()
    return builders.contact(ADA, ["free", "newsletter"], ["free", "newsletter"])


def left() -> list[str | None]:
    return [one.list.key for one in ListOptOut.objects.select_related("list").order_by("list__key")]


# Looking


@pytest.mark.parametrize("method", ["get", "head", "options", "put"])
@pytest.mark.parametrize("key", ["newsletter", ""])
def test_opening_a_link_changes_nothing(method: str, key: str) -> None:
    ada()
    before = snapshot()
    assert getattr(Browser(), method)(unsubscribe_url(ADA, key)).status_code == 200
    assert snapshot() == before


def test_opening_a_link_of_somebody_unknown_makes_no_row() -> None:
    builders.lists()
    Browser().page(unsubscribe_url("nobody@example.com"))
    assert Contact.objects.count() == 0


def test_the_page_says_what_the_button_does_and_does_not_spell_out_the_address() -> None:
    ada()
    page = Browser().page(unsubscribe_url(ADA, "newsletter"))
    assert "Unsubscribe from Newsletter?" in page
    assert "a***@example.com" in page
    assert ADA not in page
    assert "Unsubscribe from everything?" in Browser().page(unsubscribe_url(ADA))


def test_a_lists_name_is_text_and_never_markup() -> None:
    builders.lists(newsletter=builders.SCRIPT)
    builders.contact(ADA, ["newsletter"], ["newsletter"])
    page = Browser().page(unsubscribe_url(ADA, "newsletter"))
    assert "<script" not in page
    assert "&lt;script&gt;document" in page
    assert "&amp;lt;" not in page


# Pressing


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_one_click_works_without_a_cookie_and_answers_200_without_a_detour(kind: str) -> None:
    ada()
    body: Any = "List-Unsubscribe=One-Click" if "urlencoded" in kind else ONE_CLICK
    more = {"content_type": kind} if "urlencoded" in kind else {}
    answer = Browser().post(unsubscribe_url(ADA, "newsletter"), body, **more)
    assert (answer.status_code, answer.cookies.output()) == (200, "")
    assert left() == ["newsletter"]


def test_the_button_does_the_same_and_the_page_says_so() -> None:
    who = ada()
    answer = Browser().post(unsubscribe_url(ADA, "newsletter"))
    assert answer.status_code == 200
    assert "You are unsubscribed" in answer.content.decode()
    assert left() == ["newsletter"]
    who.refresh_from_db()
    assert who.opted_out_at is None


def test_a_link_for_everything_opts_out() -> None:
    who = ada()
    Browser().post(unsubscribe_url(ADA), ONE_CLICK)
    who.refresh_from_db()
    assert who.opt_out_wanted
    assert who.opted_out_source == OptOutSource.SITE
    assert left() == []


@pytest.mark.parametrize("key", ["newsletter", ""])
def test_somebody_whom_the_site_does_not_know_is_unsubscribed_as_well(key: str) -> None:
    builders.lists()
    assert Browser().post(unsubscribe_url("new@example.com", key), ONE_CLICK).status_code == 200
    who = Contact.objects.get(email="new@example.com")
    assert left() == (["newsletter"] if key else [])
    assert who.opt_out_wanted is not bool(key)


def test_an_erased_person_gets_no_new_row() -> None:
    builders.lists()
    Suppression.objects.create(account=account(), address_hash=vault.address_hash(ADA), at=now(), source="site")
    for key in ("", "newsletter"):
        assert Browser().post(unsubscribe_url(ADA, key), ONE_CLICK).status_code == 200
    assert Contact.objects.count() == 0


@pytest.mark.parametrize("key", ["newsletter", ""])
def test_pressing_again_and_again_is_pressing_once(key: str) -> None:
    who = ada()
    url = unsubscribe_url(ADA, key)
    Browser().post(url, ONE_CLICK)
    before = snapshot()
    for _ in range(3):
        assert Browser().post(url, ONE_CLICK).status_code == 200
    assert snapshot() == before
    who.refresh_from_db()
    assert who.desired_gen == 2


@pytest.mark.parametrize("key", ["newsletter", ""])
def test_the_link_in_a_letter_to_her_former_address_stops_the_letters_that_still_go_there(key: str) -> None:
    who = ada()
    Contact.objects.filter(pk=who.pk).update(email="ada.new@example.com", known_as=ADA)
    who.former_addresses.create(email=ADA, at=now())
    Browser().post(unsubscribe_url(ADA, key), ONE_CLICK)
    who.refresh_from_db()
    assert (left() == ["newsletter"], who.opt_out_wanted) == (bool(key), not key)
    before = snapshot()
    Browser().post(unsubscribe_url(ADA, key), ONE_CLICK)
    assert snapshot() == before


@pytest.mark.parametrize("key", ["newsletter", ""])
def test_after_she_came_back_the_same_link_takes_her_off_again(key: str) -> None:
    who = ada()
    url = unsubscribe_url(ADA, key)
    Browser().post(url)
    acts.resubscribe(who, ["newsletter"], method="test")
    before = now()
    Browser().post(url)
    who.refresh_from_db()
    at = who.opted_out_at if key == "" else ListOptOut.objects.get(list__key=key).at
    assert at is not None
    assert at >= before


def test_what_staff_or_constant_contact_took_away_becomes_her_own_word() -> None:
    who = ada()
    one = ContactList.objects.get(key="newsletter")
    for source in ("owner", "remote"):
        ListOptOut.objects.all().delete()
        builders.left(who, one, source=source)
        Browser().post(unsubscribe_url(ADA, "newsletter"))
        assert ListOptOut.objects.get().source == OptOutSource.SITE


def test_a_letter_of_a_list_that_is_gone_stops_everything_and_says_so_before() -> None:
    who = ada()
    url = unsubscribe_url(ADA, "newsletter")
    ContactList.objects.filter(key="newsletter").update(key=None)
    assert "Unsubscribe from everything?" in Browser().page(url)
    Browser().post(url, ONE_CLICK)
    who.refresh_from_db()
    assert who.opt_out_wanted


def test_a_link_from_years_ago_still_works() -> None:
    ada()
    Browser().post(old_link(Purpose.UNSUBSCRIBE, timedelta(days=2000), key="newsletter"), ONE_CLICK)
    assert left() == ["newsletter"]


def test_a_one_list_link_cannot_be_made_to_stop_everything() -> None:
    who = ada()
    Browser().post(unsubscribe_url(ADA, "newsletter"), {"everything": "1", "key": "", "on": "free"})
    who.refresh_from_db()
    assert who.opted_out_at is None
    assert left() == ["newsletter"]


def test_from_the_last_page_the_owner_can_have_a_link_mailed_to_herself() -> None:
    ada()
    url = unsubscribe_url(ADA, "newsletter")
    Browser().post(url)
    before = snapshot()
    answer = Browser().post(url, {"fresh": "1", "address": "thief@example.com"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ctct/link/sent/")
    assert [one.to for one in letters()] == [[ADA]]
    assert "Your email preferences" in Browser().page(paths_in(letters()[0])[0])
    assert snapshot() == before


# Nobody can tell


def everybody() -> list[str]:
    """Return an address for each way in which one can be known, and one that is not. Their hints are the same."""
    ada()
    out = builders.contact("another@example.com", ["newsletter"], status="do_not_mail", opted_out_at=builders.ago(5))
    Contact.objects.filter(pk=out.pk).update(opted_out_source="remote")
    builders.contact("astranger@example.com", [], ["newsletter"], claimed=False, desired_gen=0, applied_gen=0)
    left_it = builders.contact("aleaver@example.com", ["free", "newsletter"], ["free"])
    builders.left(left_it, ContactList.objects.get(key="newsletter"), source="site")
    erased = vault.address_hash("anerased@example.com")
    Suppression.objects.create(account=account(), address_hash=erased, at=now(), source="site")
    known = [ADA, out.email, "astranger@example.com", left_it.email]
    return [*known, "anerased@example.com", "anunknown@example.com"]


@pytest.mark.parametrize("key", ["newsletter", ""])
@pytest.mark.parametrize("method", ["get", "head", "post", "fresh"])
def test_the_answers_for_all_addresses_do_not_differ_in_one_byte(method: str, key: str) -> None:
    people = everybody()
    seen = []
    for address in people:
        visitor, url = Browser(), unsubscribe_url(address, key)
        body = {"fresh": "1"} if method == "fresh" else ONE_CLICK
        answer = getattr(visitor, method)(url) if method in ("get", "head") else visitor.post(url, body)
        seen.append(all_of(answer))
    assert seen[1:] == seen[:-1]
    letters()


@pytest.mark.parametrize("key", ["newsletter", ""])
def test_the_page_makes_the_same_statements_for_all_and_asks_for_no_contact(
    key: str, django_assert_num_queries: Any
) -> None:
    for address in everybody():
        url = unsubscribe_url(address, key)
        with django_assert_num_queries(1 if key else 0) as seen:
            Browser().page(url)
        assert "django_ctct_contact" not in str(seen.captured_queries).replace("django_ctct_contactlist", "")


@pytest.mark.parametrize("key", ["newsletter", ""])
def test_a_second_press_makes_the_same_statements_for_whoever_has_a_row(
    key: str, django_assert_max_num_queries: Any
) -> None:
    """The first one writes what there is to write. It tells its owner alone anything: nobody else can make a link."""
    counts = []
    for address in everybody():
        url = unsubscribe_url(address, key)
        Browser().post(url, ONE_CLICK)
        with django_assert_max_num_queries(12) as seen:
            Browser().post(url, ONE_CLICK)
        counts.append(len(seen.captured_queries))
    erased = counts.pop(4)
    assert len(set(counts)) == 1
    assert abs(erased - counts[0]) <= 2


# Bad links


def bad_links() -> dict[str, str]:
    good = unsubscribe_url(ADA, "newsletter")
    return {
        "cut": good[:-20] + "/",
        "forged": good[:60] + "AAAA" + good[64:],
        "of another page": old_link(Purpose.PREFERENCES, timedelta(0)).replace("preferences", "unsubscribe"),
        "of another account": f"/ctct/unsubscribe/{seal(SignedLink(Purpose.UNSUBSCRIBE, 'x', ADA, now(), now()))}/",
        "with a dot behind it": good[:-1] + ".x/",
    }


@pytest.mark.parametrize("how", ["cut", "forged", "of another page", "of another account"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_bad_link_changes_nothing_and_leads_to_a_page_that_helps(how: str, method: str) -> None:
    ada()
    before = snapshot()
    answer = getattr(Browser(), method)(bad_links()[how])
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ctct/link/expired/")
    page = Browser().get("/ctct/link/expired/")
    assert page.status_code == 410
    assert "This link does not work any more" in page.content.decode()
    assert snapshot() == before


def test_no_link_is_ever_logged(caplog: Any) -> None:
    ada()
    caplog.set_level(logging.DEBUG)
    tries = [*bad_links().values(), unsubscribe_url(ADA), unsubscribe_url(ADA, "newsletter")]
    tries += [old_link(Purpose.PREFERENCES, timedelta(days=age)) for age in (0, 31)]
    for url in tries:
        for method in ("get", "post", "put", "delete", "patch", "options"):
            getattr(Browser(), method)(url, follow=True)
    token_parts = [url.split("/")[3][:40] for url in tries]
    assert not [line for line in caplog.messages if any(part in line for part in token_parts)]
    assert ADA not in caplog.text


# What every page has


def pages() -> list[str]:
    tokens = [unsubscribe_url(ADA), unsubscribe_url(ADA, "newsletter"), old_link(Purpose.PREFERENCES, timedelta(0))]
    return [*tokens, "/ctct/link/", "/ctct/link/sent/", "/ctct/link/expired/", bad_links()["cut"]]


@pytest.mark.parametrize("method", ["get", "post"])
def test_no_page_is_kept_indexed_framed_or_named_to_others_and_none_sets_a_cookie(method: str) -> None:
    ada()
    for url in pages():
        answer = getattr(Browser(), method)(url)
        assert "no-store" in answer.headers["Cache-Control"], url
        assert answer.headers["Referrer-Policy"] == "no-referrer", url
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow", url
        assert answer.headers["X-Frame-Options"] == "DENY", url
        assert answer.cookies.output() == "", url


def test_each_page_names_its_language(settings: Any) -> None:
    ada()
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    for url in pages()[:5]:
        assert '<html lang="en" dir="ltr">' in Browser().get(url).content.decode(), url
        assert '<html lang="ar" dir="rtl">' in Browser(accept_language="ar").get(url).content.decode(), url


# All the way


@pytest.mark.sandbox
def test_one_click_takes_her_off_one_list_at_constant_contact_and_no_rule_brings_her_back(connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    Browser().post(unsubscribe_url(ADA, "newsletter"), ONE_CLICK)
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}
    member.first_name = "Ada"
    member.save()
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}


@pytest.mark.sandbox
def test_one_click_for_everything_is_do_not_mail_at_constant_contact(connected: Sandbox) -> None:
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    Browser().post(unsubscribe_url(ADA), ONE_CLICK)
    run_due()
    assert connected.status_of(ADA) == "Do Not Mail"
    assert contact(ADA).opted_out_source == OptOutSource.SITE
    connected.forget()
    Browser().post(unsubscribe_url(ADA), ONE_CLICK)
    run_due()
    assert connected.requests() == []


@pytest.mark.sandbox
def test_a_stranger_on_a_managed_list_can_leave_it_too(connected: Sandbox) -> None:
    connected.add("walkin@example.com", "Newsletter", "Board")
    Browser().post(unsubscribe_url("walkin@example.com", "newsletter"), ONE_CLICK)
    run_due()
    assert connected.lists_of("walkin@example.com") == {"Board"}


@pytest.mark.sandbox
@pytest.mark.parametrize("key", ["newsletter", ""])
def test_a_letter_to_an_address_that_she_gave_up_stops_the_letters_to_the_new_one(key: str, connected: Sandbox) -> None:
    member = Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    member.email = "ada.new@example.com"
    member.save()
    run_due()
    assert connected.lists_of("ada.new@example.com") == {"Free members", "Newsletter"}
    assert not contact(member.email).former_addresses.exists()
    Browser().post(unsubscribe_url(ADA, key), ONE_CLICK)
    before = snapshot()
    Browser().post(unsubscribe_url(ADA, key), ONE_CLICK)
    assert snapshot() == before
    run_due()
    there = connected.contacts()["ada.new@example.com"]
    assert (there["status"] == "Do Not Mail") is not bool(key)
    assert "Newsletter" not in there["lists"] or not key
    assert not Contact.objects.filter(email=ADA).exists()


@pytest.mark.sandbox
def test_after_a_change_that_made_two_contacts_the_old_letter_stops_both(connected: Sandbox) -> None:
    connected.add("ada.new@example.com", "Board")
    member = Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    member.email = "ada.new@example.com"
    member.save()
    run_due()
    make_due()
    run_due()
    assert connected.lists_of("ada.new@example.com") == {"Board", "Free members", "Newsletter"}
    Browser().post(unsubscribe_url(ADA, "newsletter"), ONE_CLICK)
    run_due()
    assert connected.lists_of("ada.new@example.com") == {"Board", "Free members"}


@pytest.mark.parametrize("days", [59, 61])
@pytest.mark.parametrize("taken", [False, True])
def test_an_address_that_she_gave_up_is_hers_for_sixty_days_or_until_another_has_it(days: int, taken: bool) -> None:
    who = ada()
    who.past_addresses.create(email="old@example.com", at=now() - timedelta(days=days))
    if taken:
        builders.contact("old@example.com", ["newsletter"], ["newsletter"])
    assert Browser().post(unsubscribe_url("old@example.com", "newsletter"), ONE_CLICK).status_code == 200
    assert ListOptOut.objects.filter(contact=who).exists() is (days == 59 and not taken)
    assert ListOptOut.objects.count() == 1
