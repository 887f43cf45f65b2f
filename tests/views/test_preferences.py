"""The preference page: what she sees is what will be, what she changes counts, and an old link brings nothing back."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from django_ctct import acts, links, pull, services
from django_ctct.links import LIFETIME, Purpose, preferences_url
from django_ctct.models import Consent, Contact, ContactList, ListOptOut, Membership, RemoteMembership
from django_ctct.types import ConsentKind, ContactStatus, OptOutSource
from tests.account import Sandbox, contact, run_due
from tests.admin.pages import snapshot
from tests.site.models import Member

from .scene import ADA, Browser, builders, letters, now, old_link, paths_in

pytestmark = pytest.mark.django_db(transaction=True)


def ada(wants: list[str] | None = None, on: list[str] | None = None, **values: Any) -> Contact:
    builders.lists()
    wants = ["free", "newsletter"] if wants is None else wants
    return builders.contact(ADA, wants, wants if on is None else on, **values)


def boxes(page: str) -> dict[str, bool]:
    """Return the boxes of a page by the text of their labels, and whether they are ticked."""
    found = re.findall(
        r'<input type="checkbox" id="(\S+)" name="on" value="\S+"( checked)?>\s*<label for="\1">(.*?)<', page
    )
    return {unescape(label): bool(ticked) for _id, ticked, label in found}


def look(url: str) -> dict[str, bool]:
    return boxes(Browser().page(url))


def save(url: str, was: list[str], on: list[str]) -> str:
    """Press *Save* on a page that showed ``was`` ticked, with ``on`` ticked now. Return the page after it."""
    return Browser().page(goal(url, {"was": was, "on": on}))


def goal(url: str, body: dict[str, Any]) -> str:
    """Send a form of the page, and return where the answer leads."""
    answer = Browser().post(url, body)
    assert answer.status_code == 303
    return answer.headers["Location"]


def left() -> set[str | None]:
    return {one.list.key for one in ListOptOut.objects.select_related("list")}


# What she sees


def test_she_sees_the_lists_she_is_on_by_their_names_and_no_others() -> None:
    ada(on=["free", "newsletter", "board"])
    assert look(preferences_url(ADA)) == {"Free members": True, "Newsletter": True}


def test_looking_changes_nothing() -> None:
    ada()
    url = preferences_url(ADA)
    before = snapshot()
    for method in ("get", "head", "options", "put"):
        assert getattr(Browser(), method)(url).status_code == 200
    assert snapshot() == before


def test_a_list_that_she_will_be_put_on_counts_as_one_she_is_on() -> None:
    ada(on=["free"])
    assert look(preferences_url(ADA)) == {"Free members": True, "Newsletter": True}


def test_a_list_that_she_is_still_on_without_the_sites_wish_can_be_left() -> None:
    ada(["free"], ["free", "newsletter"])
    assert look(preferences_url(ADA)) == {"Free members": True, "Newsletter": True}


def test_a_list_that_she_left_stands_there_without_its_tick() -> None:
    who = ada()
    acts.leave_list(ADA, "newsletter")
    assert look(preferences_url(ADA)) == {"Free members": True, "Newsletter": False}
    assert RemoteMembership.objects.filter(contact=who, list__key="newsletter").exists(), "nobody has told them yet"


def test_a_list_that_the_site_does_not_wish_for_her_is_not_offered() -> None:
    ada(["free"], ["free"])
    acts.leave_list(ADA, "sustainers")
    assert look(preferences_url(ADA)) == {"Free members": True}


def test_one_who_came_back_at_constant_contact_is_on_what_she_came_back_to() -> None:
    ada(opted_out_at=builders.ago(500), opted_out_source="remote", on=["newsletter"])
    assert look(preferences_url(ADA)) == {"Free members": False, "Newsletter": True}


@pytest.mark.parametrize("on", [[], ["newsletter"]])
def test_one_on_do_not_mail_gets_nothing_and_is_told_so(on: list[str]) -> None:
    """Whatever lists were last seen: the feed of opt-outs tells of none."""
    ada(on=on, status="do_not_mail", opted_out_at=builders.ago(500), opted_out_source="remote")
    page = Browser().page(preferences_url(ADA))
    assert "You have unsubscribed from everything." in page
    assert boxes(page) == {"Free members": False, "Newsletter": False}
    assert 'name="everything"' not in page


def test_a_stranger_sees_the_managed_lists_she_is_on() -> None:
    ada([], ["newsletter", "board"], claimed=False, desired_gen=0, applied_gen=0)
    assert look(preferences_url(ADA)) == {"Newsletter": True}


def test_somebody_unknown_sees_that_she_is_on_nothing_and_makes_no_row() -> None:
    builders.lists()
    page = Browser().page(preferences_url("nobody@example.com"))
    assert "You are on none of our mailing lists." in page
    assert boxes(page) == {}
    assert Contact.objects.count() == 0


def test_the_address_is_not_spelt_out() -> None:
    ada()
    page = Browser().page(preferences_url(ADA))
    assert "a***@example.com" in page
    assert ADA not in page


def test_a_lists_name_is_text_and_never_markup() -> None:
    builders.lists(newsletter=builders.SCRIPT)
    builders.contact(ADA, ["newsletter"], ["newsletter"])
    page = Browser().page(preferences_url(ADA))
    assert "<script" not in page
    assert boxes(page) == {builders.SCRIPT: True}


# What she changes


def test_a_tick_taken_away_is_leaving_that_list_and_no_other() -> None:
    ada()
    page = save(preferences_url(ADA), ["free", "newsletter"], ["free"])
    assert left() == {"newsletter"}
    assert ListOptOut.objects.get().source == OptOutSource.SITE
    assert "Saved." in page
    assert not Consent.objects.exists(), "a box that she left ticked is no new consent"


def test_saving_without_a_change_changes_nothing() -> None:
    ada()
    acts.leave_list(ADA, "newsletter")
    url = preferences_url(ADA)
    before = snapshot()
    save(url, ["free"], ["free"])
    assert snapshot() == before


def test_a_new_tick_is_her_consent_at_the_time_of_the_press_with_the_text_she_saw() -> None:
    ada()
    acts.leave_list(ADA, "newsletter")
    before, url = now(), preferences_url(ADA)
    page = save(url, ["free"], ["free", "newsletter"])
    assert boxes(page) == {"Free members": True, "Newsletter": True}
    given = Consent.objects.get()
    assert (given.key, given.kind, given.method) == ("newsletter", ConsentKind.CONTACT_ACTION, "preference page")
    assert given.wording == "Yes, please send me: Newsletter"
    assert given.wording.partition(":")[0] in page
    assert given.language == "en-us"
    assert before <= given.at <= now()
    assert url.split("/")[3] not in given.evidence


def test_the_consent_keeps_the_text_and_the_language_in_which_she_saw_it(settings: Any, tmp_path: Any) -> None:
    folder = tmp_path / "django_ctct"
    folder.mkdir()
    (folder / "consent_wording.txt").write_text("Ja, bitte schickt mir:")
    (folder / "list_label.txt").write_text(
        "{% if list.key == 'newsletter' %}Rund & brief{% else %}{{ list }}{% endif %}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    ada()
    acts.leave_list(ADA, "newsletter")
    german, url = Browser(accept_language="de"), preferences_url(ADA)
    page = german.page(url)
    assert "Ja, bitte schickt mir:" in page
    assert boxes(page) == {"Free members": True, "Rund & brief": False}
    german.post(url, {"was": ["free"], "on": ["free", "newsletter"]})
    assert (Consent.objects.get().wording, Consent.objects.get().language) == (
        "Ja, bitte schickt mir: Rund & brief",
        "de",
    )


def test_a_press_cannot_join_what_the_page_does_not_offer() -> None:
    ada(["free"], ["free"])
    board = ContactList.objects.get(name="Board")
    save(preferences_url(ADA), ["free"], ["free", "sustainers", "board", str(board.pk), "nonsense", ""])
    assert not Consent.objects.exists()
    assert not Membership.objects.filter(key="sustainers").exists()


def test_what_changed_behind_the_page_is_nobodys_wish() -> None:
    """She saved what she saw. That she had left at Constant Contact became known only after it was shown."""
    who = ada()
    url = preferences_url(ADA)
    shown = look(url)
    assert shown["Newsletter"]
    builders.left(who, ContactList.objects.get(key="newsletter"), minutes=60)
    RemoteMembership.objects.filter(contact=who, list__key="newsletter").delete()
    save(url, ["free", "newsletter"], ["free", "newsletter"])
    assert not Consent.objects.exists()
    Membership.objects.create(contact=who, key="sustainers", member_key="x")
    save(url, ["free", "newsletter"], ["free", "newsletter"])
    assert left() == {"newsletter"}, "a list that came up since was not on the page, so it was not unticked"


def test_everything_is_one_button() -> None:
    who = ada()
    answer = Browser().post(preferences_url(ADA), {"everything": "1"})
    assert answer.status_code == 303
    who.refresh_from_db()
    assert who.opt_out_wanted
    assert who.opted_out_source == OptOutSource.SITE
    page = Browser().page(answer.headers["Location"])
    assert "You have unsubscribed from everything." in page


def test_somebody_unknown_can_say_that_she_wants_nothing() -> None:
    builders.lists()
    Browser().post(preferences_url("new@example.com"), {"everything": "1"})
    assert Contact.objects.get().opt_out_wanted


def test_coming_back_after_everything_covers_what_she_ticked_and_nothing_else() -> None:
    who = ada()
    acts.opt_out(who)
    page = save(preferences_url(ADA), [], ["newsletter"])
    assert [one.key for one in Consent.objects.all()] == ["newsletter"]
    assert boxes(page) == {"Free members": False, "Newsletter": True}
    who.refresh_from_db()
    assert not who.opt_out_wanted


# Thinking better of it


def test_what_she_has_just_left_she_can_take_back_on_the_same_page() -> None:
    ada()
    after = goal(preferences_url(ADA), {"was": ["free", "newsletter"], "on": ["free"]})
    assert look(after) == {"Free members": True, "Newsletter": False}
    after = goal(after.partition("?")[0], {"was": ["free"], "on": ["free", "newsletter"]})
    assert look(after) == {"Free members": True, "Newsletter": True}
    after = goal(after.partition("?")[0], {"everything": "1"})
    assert look(after) == {"Free members": False, "Newsletter": False}
    assert look(goal(after.partition("?")[0], {"on": ["free"]})) == {"Free members": True, "Newsletter": False}


def test_what_was_stopped_elsewhere_meanwhile_stays_stopped_whatever_she_saves() -> None:
    """Somebody saves again and again by a link that was passed on; the owner's later word stands."""
    who = ada()
    path = goal(preferences_url(ADA), {"was": ["free", "newsletter"], "on": ["free", "newsletter"]}).partition("?")[0]
    acts.opt_out(who)
    for _ in range(3):
        path = goal(path, {"on": ["free", "newsletter"]}).partition("?")[0]
        assert look(path) == {}
    assert not Consent.objects.exists()


def test_a_press_that_changed_nothing_renews_no_link() -> None:
    ada()
    acts.leave_list(ADA, "newsletter")
    url = preferences_url(ADA)
    for body in ({"was": ["free"], "on": ["free"]}, {"was": [], "on": ["board"]}, {}):
        assert goal(url, body) == f"{url}?saved"
    after = goal(url, {"everything": "1"}).partition("?")[0]
    assert after != url
    assert goal(after, {"everything": "1"}) == f"{after}?saved"


def told_by_constant_contact(who: Contact, how: str, at: Any) -> None:
    """Write down what the next pull finds out: it happened at ``at``."""
    if how == "one list":
        RemoteMembership.objects.filter(contact=who, list__key="newsletter").delete()
        one = ContactList.objects.get(key="newsletter")
        ListOptOut.objects.create(contact=who, list=one, at=at, source="remote")
    else:
        Contact.objects.filter(pk=who.pk).update(
            status="do_not_mail", opted_out_at=at, opted_out_source="remote", opt_out_wanted=False
        )


@pytest.mark.parametrize("how", ["one list", "everything"])
@pytest.mark.parametrize(
    "press", [{"was": ["free", "newsletter"], "on": ["free", "newsletter"]}, {"was": ["free", "newsletter"], "on": []}]
)
def test_a_link_renewed_before_the_pull_does_not_undo_what_she_did_over_there(how: str, press: Any) -> None:
    """A link was passed on. The owner unsubscribes at Constant Contact, somebody presses *Save*, and then we hear."""
    who = ada(["free", "newsletter", "sustainers"])
    url = preferences_url(ADA)
    at = now()
    after = goal(url, press).partition("?")[0]
    ListOptOut.objects.filter(list__key="newsletter").delete()  # the pull's word on that list comes below
    told_by_constant_contact(who, how, at)
    before = snapshot()
    save(after, [], ["newsletter"])
    assert snapshot() == before
    assert "Newsletter" not in look(after)
    assert look(preferences_url(ADA))["Newsletter"] is False, "a link that is mailed after that may"


def test_once_constant_contact_says_do_not_mail_a_newer_link_is_needed() -> None:
    """Whose press it was first cannot be told any more: the owner may have unsubscribed over there as well."""
    who = ada()
    after = goal(preferences_url(ADA), {"everything": "1"}).partition("?")[0]
    assert look(after)["Newsletter"] is False
    Contact.objects.filter(pk=who.pk).update(status="do_not_mail", opt_out_wanted=False)
    assert look(after) == {}
    assert look(preferences_url(ADA))["Newsletter"] is False


def test_saving_does_not_lengthen_the_life_of_a_link() -> None:
    ada()
    old = old_link(Purpose.PREFERENCES, timedelta(days=20))
    path = goal(old, {"was": ["free", "newsletter"], "on": ["free"]})
    before, after = (links.read(one.split("/")[3], Purpose.PREFERENCES) for one in (old, path))
    assert after.born == before.born
    assert after.issued - before.issued > timedelta(days=19)


# Old links


def test_a_link_that_is_too_old_leads_to_a_page_that_offers_a_new_one() -> None:
    ada()
    before = snapshot()
    url = old_link(Purpose.PREFERENCES, LIFETIME + timedelta(minutes=1))
    for answer in (Browser().get(url), Browser().post(url, {"everything": "1"})):
        assert (answer.status_code, answer.headers["Location"]) == (303, "/ctct/link/expired/")
    assert snapshot() == before


@pytest.mark.parametrize("everything", [True, False])
def test_a_link_older_than_the_last_opt_out_brings_nothing_back(everything: bool) -> None:
    who = ada()
    url = preferences_url(ADA)
    if everything:
        acts.opt_out(who)
    else:
        acts.leave_list(ADA, "newsletter")
    before = snapshot()
    page = save(url, ["free"], ["free", "newsletter"])
    assert snapshot() == before
    assert "Newsletter" not in boxes(page)
    assert "<li>Newsletter</li>" in page
    assert "only a newer link can bring them back" in page


def test_a_press_that_is_sent_again_does_not_undo_a_later_opt_out() -> None:
    who = ada()
    acts.leave_list(ADA, "newsletter")
    url, body = preferences_url(ADA), {"was": ["free"], "on": ["free", "newsletter"]}
    Browser().post(url, body)
    acts.opt_out(who)
    before = snapshot()
    Browser().post(url, body)
    assert snapshot() == before
    assert Consent.objects.count() == 1


def test_an_old_link_can_still_stop_letters() -> None:
    who = ada()
    url = preferences_url(ADA)
    acts.leave_list(ADA, "newsletter")
    save(url, ["free"], [])
    assert left() == {"free", "newsletter"}
    Browser().post(url, {"everything": "1"})
    who.refresh_from_db()
    assert who.opt_out_wanted


def test_the_newer_link_is_mailed_to_the_owner_and_brings_her_back() -> None:
    ada()
    url = preferences_url(ADA)
    Browser().post(url, {"was": ["free", "newsletter"], "on": ["free"]})
    answer = Browser().post(url, {"fresh": "1", "address": "thief@example.com"})
    assert answer.headers["Location"] == "/ctct/link/sent/"
    (letter,) = letters()
    assert letter.to == [ADA]
    (fresh,) = paths_in(letter)
    assert look(fresh) == {"Free members": True, "Newsletter": False}
    save(fresh, ["free"], ["free", "newsletter"])
    assert look(fresh) == {"Free members": True, "Newsletter": True}


def test_a_link_to_her_former_address_shows_and_changes_nothing_of_hers() -> None:
    who = ada()
    url = preferences_url(ADA)
    Contact.objects.filter(pk=who.pk).update(email="ada.new@example.com")
    who.former_addresses.create(email=ADA, at=now())
    assert look(url) == {}
    Browser().post(url, {"was": ["free", "newsletter"], "on": ["sustainers"]})
    assert left() == set()
    assert not Consent.objects.exists()


def test_a_link_for_one_address_shows_and_changes_nothing_of_another() -> None:
    ada()
    url = preferences_url("old-address@example.com")
    assert look(url) == {}
    Browser().post(url, {"was": ["free", "newsletter"], "on": []})
    assert left() == set()


# All the way


@pytest.mark.sandbox
def test_leaving_and_coming_back_reach_constant_contact(connected: Sandbox) -> None:
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    save(preferences_url(ADA), ["free", "newsletter"], ["free"])
    run_due()
    assert connected.lists_of(ADA) == {"Free members"}
    save(preferences_url(ADA), ["free"], ["free", "newsletter"])
    run_due()
    assert connected.lists_of(ADA) == {"Free members", "Newsletter"}


@pytest.mark.sandbox
def test_after_do_not_mail_only_her_own_tick_brings_her_back_and_only_to_that_list(connected: Sandbox) -> None:
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    stale = preferences_url(ADA)
    Browser().post(stale, {"everything": "1"})
    run_due()
    assert connected.status_of(ADA) == "Do Not Mail"
    save(stale, [], ["newsletter"])
    run_due()
    assert connected.status_of(ADA) == "Do Not Mail"
    save(preferences_url(ADA), [], ["newsletter"])
    run_due()
    assert connected.lists_of(ADA) == {"Newsletter"}
    assert contact(ADA).status == ContactStatus.ACTIVE
    assert look(preferences_url(ADA)) == {"Free members": False, "Newsletter": True}


@pytest.mark.sandbox
def test_what_the_page_promises_is_what_constant_contact_holds_in_the_end(connected: Sandbox) -> None:
    connected.add(ADA, "Newsletter")
    Member.objects.create(email=ADA, is_sustainer=True)
    promised = look(preferences_url(ADA))
    run_due()
    assert {name for name, ticked in promised.items() if ticked} == connected.lists_of(ADA)
    assert look(preferences_url(ADA)) == promised


@pytest.fixture
def unheard(connected: Sandbox) -> Sandbox:
    """Ada left the letter here, and then unsubscribed from everything at Constant Contact; nobody has heard of it."""
    Member.objects.create(email=ADA, wants_newsletter=True)
    run_due()
    save(preferences_url(ADA), ["free", "newsletter"], ["free"])
    run_due()
    connected.act(ADA, "unsubscribe")
    connected.control("clock", {"advance": 1})  # v3 counts in whole seconds
    return connected


def by_pull() -> None:
    with services.connect("default") as link:
        pull.catch_up(link)
    run_due()


def by_reading() -> None:
    acts.sync_now([contact(ADA)])
    run_due()


@pytest.mark.sandbox
@pytest.mark.parametrize("hear", [by_pull, by_reading])
def test_a_tick_before_the_site_has_heard_of_her_opt_out_over_there_does_not_lift_it(
    unheard: Sandbox, hear: Any
) -> None:
    """Whoever pressed: the page had not shown her opt-out. Where it was she herself, it asks her once more."""
    page = save(preferences_url(ADA), ["free"], ["free", "newsletter"])
    assert boxes(page) == {"Free members": True, "Newsletter": True}
    for _ in range(2):
        hear()
        assert (unheard.status_of(ADA), unheard.lists_of(ADA)) == ("Do Not Mail", set())
    told = "You asked for these emails before we had heard that you unsubscribed"
    url = preferences_url(ADA)
    page = Browser().page(url)
    assert told in page
    assert "You have unsubscribed from everything." in page
    page = save(url, [], ["newsletter"])
    assert told not in page
    run_due()
    assert unheard.lists_of(ADA) == {"Newsletter"}
    assert told not in Browser().page(url)


def heard(page: str) -> str:
    """Return what the form tells of how far the site had heard when the page was made."""
    found = re.search(r'<input type="hidden" name="heard" value="(.*?)">', page)
    assert found is not None
    return found.group(1)


@pytest.mark.sandbox
@pytest.mark.parametrize("hear", [by_pull, by_reading])
def test_a_page_that_was_opened_before_the_site_has_heard_of_her_opt_out_brings_nobody_back(
    unheard: Sandbox, hear: Any
) -> None:
    url = preferences_url(ADA)
    opened = heard(Browser().page(url))
    hear()
    path = goal(url, {"was": ["free"], "on": ["free", "newsletter"], "heard": opened})
    page = Browser().page(path)
    assert "after this page was opened we heard that you unsubscribed" in page
    run_due()
    assert (unheard.status_of(ADA), unheard.lists_of(ADA)) == ("Do Not Mail", set())
    assert not Consent.objects.exists()
    fresh = preferences_url(ADA)
    goal(fresh, {"was": [], "on": ["newsletter"], "heard": heard(Browser().page(fresh))})
    run_due()
    assert unheard.lists_of(ADA) == {"Newsletter"}
