"""The pages of the example site, in its own settings. ``test_site.py`` runs this file in a process of its own."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from io import StringIO

import pytest
from django.test import Client

from django_ctct import catalogue, tokens
from django_ctct.backends.oauth2 import Grant
from django_ctct.models import Account, Consent, Contact, ContactList, ListOptOut, Membership, RemoteMembership
from django_ctct.types import ContactStatus
from example_project.access_log import WithoutQueries
from example_project.demo.browser import Browser
from example_project.demo.connecting import expect_sealed
from example_project.demo.json_reader import JsonReader
from example_project.demo.stage import Stage, StepFailed
from example_project.demo.terminal import Screen
from example_project.members.ctct import Members
from example_project.members.models import Member, Tier
from example_project.members.standing import standing

pytestmark = pytest.mark.django_db

LIST_IDS = {"free": "1", "sustainers": "2", "newsletter": "3"}


@pytest.fixture
def ada() -> Member:
    return Member.objects.create(email="ada@example.com", first_name="Ada", last_name="Winter", employer="Library")


@pytest.fixture
def _bound() -> None:
    account = Account.objects.for_alias("default")
    for key, remote_id in LIST_IDS.items():
        catalogue.bind_list(account, key, remote_id)


def wishes(email: str) -> set[str]:
    return set(Membership.objects.filter(contact__email=email).values_list("key", flat=True))


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_home_page_lists_the_members_and_says_that_all_is_made_up(client, ada):
    text = page(client, "/")
    assert ada.get_absolute_url() in text
    assert "Pending" in text
    assert "made up" in text


def test_the_home_page_of_an_empty_site_invites_the_first_member(client):
    assert "Be the first" in page(client, "/")


def test_joining_makes_a_free_member_and_a_wish(client):
    given = {"first_name": "Tom", "last_name": "Okafor", "email": "Tom@Example.com", "employer": "Bakery"}
    answer = client.post("/join/", given)
    tom = Member.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, tom.get_absolute_url())
    assert (tom.email, tom.tier) == ("tom@example.com", Tier.FREE)
    assert wishes("tom@example.com") == {"free"}
    assert Contact.objects.get().profile["company_name"] == "Bakery"


def test_an_address_joins_once(client, ada):
    answer = client.post("/join/", {"first_name": "A", "last_name": "W", "email": "ADA@example.com"})
    assert answer.status_code == 422
    assert "is a member already" in answer.content.decode()


def test_upgrading_exchanges_the_wish(client, ada):
    client.post(f"/members/{ada.pk}/upgrade/")
    assert wishes(ada.email) == {"sustainers"}
    client.post(f"/members/{ada.pk}/downgrade/")
    assert wishes(ada.email) == {"free"}


def test_the_newsletter_goes_on_and_off(client, ada):
    client.post(f"/members/{ada.pk}/newsletter/", {"wanted": "yes"})
    assert wishes(ada.email) == {"free", "newsletter"}
    client.post(f"/members/{ada.pk}/newsletter/", {"wanted": "no"})
    assert wishes(ada.email) == {"free"}


@pytest.mark.usefixtures("_bound")
def test_unsubscribing_is_remembered_and_may_be_taken_back(client, ada):
    client.post(f"/members/{ada.pk}/leave/free/")
    assert ListOptOut.objects.get().list.key == "free"
    assert "Write to me again" in page(client, ada.get_absolute_url())
    client.post(f"/members/{ada.pk}/return/free/")
    assert Consent.objects.get().wording == "Yes, please write to me again: Free members."
    text = page(client, ada.get_absolute_url())
    assert "Write to me again" not in text
    assert "Unsubscribe" in text


@pytest.mark.usefixtures("_bound")
def test_a_contact_on_do_not_mail_is_told_that_only_her_own_word_counts(client, ada):
    Contact.objects.update(status=ContactStatus.DO_NOT_MAIL.value)
    assert "only the member’s own word does" in page(client, ada.get_absolute_url())


@pytest.mark.usefixtures("_bound")
def test_a_list_that_is_not_managed_is_shown_and_has_no_button(client, ada):
    account, contact = Account.objects.get(), Contact.objects.get()
    board = ContactList.objects.create(account=account, remote_id="9", name="Board")
    RemoteMembership.objects.create(contact=contact, list=board)
    (line,) = [one for one in standing(ada).lines if one.name == "Board"]
    assert (line.there, line.wished, line.may_leave, line.may_return) == (True, False, False, False)
    assert "not managed" in page(client, ada.get_absolute_url())


def test_without_bound_lists_a_button_explains_itself(client, ada):
    answer = client.post(f"/members/{ada.pk}/leave/free/", follow=True)
    assert "not bound yet" in answer.content.decode()
    assert not ListOptOut.objects.exists()


@pytest.mark.parametrize("act", ["upgrade/", "downgrade/", "newsletter/", "leave/free/", "return/free/"])
def test_every_button_is_a_post_with_a_token(ada, act):
    path = f"/members/{ada.pk}/{act}"
    assert Client().get(path).status_code == 405
    assert Client(enforce_csrf_checks=True).post(path).status_code == 403
    assert Client().post("/members/999999/" + act).status_code == 404


@pytest.mark.usefixtures("_bound")
def test_pages_hold_no_inline_script_or_style_and_load_nothing_from_elsewhere(client, ada):
    for path in ("/", "/join/", ada.get_absolute_url()):
        text = page(client, path)
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", text)
        assert not re.search(r"""<(?:img|script|link)[^>]*(?:src|href)=["'](?:https?:)?//""", text)
        assert text.count("<h1") == 1
        assert '<html lang="en">' in text


def test_the_office_sees_the_members(admin_client, ada):
    assert ada.email in page(admin_client, "/admin/members/member/")


@pytest.fixture
def stage() -> Stage:
    """A stage on which nothing plays: enough to look for tokens."""
    return Stage(
        screen=Screen(StringIO()),
        there=JsonReader("http://127.0.0.1:9"),
        patience=0.0,
        site_url="http://127.0.0.1:9",
        password="",
        settle=lambda: None,
        logged=lambda: "",
        start_worker=lambda: None,
        kill_worker=lambda: None,
        worker_is_alive=lambda: False,
    )


@pytest.fixture
def connected() -> Account:
    account = Account.objects.for_alias("default")
    tokens.keep(account, Grant(access="made-up-access", refresh="made-up-refresh", seconds=3600), by="admin")
    account.refresh_from_db()
    return account


def test_connect_finds_sealed_tokens_in_no_table(stage, connected):
    expect_sealed(stage, connected, Browser())


def test_connect_sees_a_token_that_lies_in_a_table(stage, connected, ada):
    Member.objects.update(favourite="made-up-refresh")
    with pytest.raises(StepFailed, match="no token in the database"):
        expect_sealed(stage, connected, Browser())


def test_connect_sees_a_token_that_lies_in_a_session(stage, connected, client):
    session = client.session
    session["kept"] = "made-up-access"
    session.save()
    with pytest.raises(StepFailed, match="no token in the database"):
        expect_sealed(stage, connected, Browser())


def test_connect_sees_a_token_in_a_log(stage, connected):
    with pytest.raises(StepFailed, match="no token in a log"):
        expect_sealed(replace(stage, logged=lambda: "GET /?code=made-up-access"), connected, Browser())


def test_no_query_comes_into_the_log_of_the_web_server():
    line = logging.LogRecord(
        "django.server", logging.INFO, "", 0, '"%s" %s %s', ("GET /back/?code=x&y HTTP/1.1", "302", "0"), None
    )
    assert WithoutQueries().filter(line)
    assert line.getMessage() == '"GET /back/?… HTTP/1.1" 302 0'


def test_the_adapter_can_be_used():
    assert Members.problems() == []
