"""Settings and adapters that cannot be used are named at start-up, in a sentence that says what to change."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from django_ctct import adapters, checks, conf, receivers
from django_ctct.adapters import MemberAdapter
from django_ctct.exceptions import ConfigurationError
from tests.site.models import Member, Subscription

ACCOUNT = {
    "BACKEND": "django_ctct.backends.atom_v1.AtomBackend",
    "OPTIONS": {"username": "acme", "api_key": "k", "password": "p", "base_url": "http://127.0.0.1:9"},
}
GOOD: dict[str, Any] = {"ACCOUNTS": {"default": ACCOUNT}, "ADAPTERS": ["tests.site.ctct.Members"]}


class NoModel(MemberAdapter):
    lists = {"free": "is_free"}


class NoLists(MemberAdapter):
    model = Member


class WrongName(MemberAdapter):
    model = Member
    lists = {"free": "is_fre"}
    first_name = "given_name"


class WrongWatch(MemberAdapter):
    model = Member
    lists = {"free": "is_free"}
    watch = {"site.Nothing": "member", "site.Subscription": "memer"}


class WrongField(MemberAdapter):
    model = Member
    lists = {"free": "is_free"}
    fields = {"compny_name": "employer"}


class ElsewhereAccount(MemberAdapter):
    model = Member
    lists = {"free": "is_free"}
    account = "elsewhere"


class Twin(MemberAdapter):
    model = Member
    lists = {"free": "is_free"}


class ByCallable(MemberAdapter):
    model = Member
    email = lambda member: f" {member.first_name}@Example.com "  # noqa: E731
    first_name = None
    lists = {"free": lambda member: member.is_free, "letters": "reads_the_letter"}
    fields = {"last_name": "last_name", "note": "first_name"}


class Overriding(MemberAdapter):
    model = Subscription

    def desired(self, member: Any) -> Any:
        raise NotImplementedError


HERE = "tests.database.test_settings"
WRONG: list[tuple[Any, str]] = [
    (None, "settings.CTCT is missing"),
    ([], "must be a dict"),
    ({**GOOD, "ADAPTER": []}, "Did you mean 'ADAPTERS'"),
    ({**GOOD, "ACCOUNTS": {}}, "at least one account"),
    ({**GOOD, "ACCOUNTS": {"default": {**ACCOUNT, "OPTION": {}}}}, "Did you mean 'OPTIONS'"),
    ({**GOOD, "ACCOUNTS": {"default": {**ACCOUNT, "OPTIONS": 3}}}, "must be a dict, not int"),
    ({**GOOD, "ACCOUNTS": {"default": {**ACCOUNT, "BACKEND": "v1"}}}, "dotted path"),
    ({**GOOD, "ACCOUNTS": {"default": {**ACCOUNT, "BACKEND": "django_ctct.backends.nothing.X"}}}, "imported"),
    ({**GOOD, "ACCOUNTS": {"default": {**ACCOUNT, "CALLS_PER_SECOND": 0}}}, "a number above 0"),
    ({**GOOD, "ACCOUNTS": {"default": {**ACCOUNT, "CALLS_PER_DAY": True}}}, "a number above 0"),
    ({**GOOD, "ADAPTERS": "tests.site.ctct.Members"}, "a list of dotted paths"),
    ({**GOOD, "ADAPTERS": ["Members"]}, "not a dotted path"),
    ({**GOOD, "ADAPTERS": ["tests.site.ctct.Nobody"]}, "cannot be imported"),
    ({**GOOD, "ADAPTERS": ["tests.site.models.Member"]}, "not a MemberAdapter"),
    ({**GOOD, "KICK": "treads"}, "Did you mean 'thread'"),
    ({**GOOD, "QUEUE": ""}, "name of a Celery queue"),
    ({**GOOD, "ADAPTERS": [f"{HERE}.NoModel"]}, "names no model"),
    ({**GOOD, "ADAPTERS": [f"{HERE}.NoLists"]}, "maps no list"),
    ({**GOOD, "ADAPTERS": [f"{HERE}.WrongName"]}, "Did you mean 'is_free'"),
    ({**GOOD, "ADAPTERS": [f"{HERE}.WrongName"]}, "given_name"),
    ({**GOOD, "ADAPTERS": [f"{HERE}.WrongWatch"]}, "'site.Nothing', which is not installed"),
    ({**GOOD, "ADAPTERS": [f"{HERE}.WrongWatch"]}, "'memer', which site.Subscription does not have"),
    ({**GOOD, "ADAPTERS": [f"{HERE}.WrongField"]}, "Did you mean 'company_name'"),
    ({**GOOD, "ADAPTERS": [f"{HERE}.ElsewhereAccount"]}, "no account 'elsewhere'"),
    ({**GOOD, "ADAPTERS": [f"{HERE}.Twin", "tests.site.ctct.Members"]}, "Two adapters"),
]


@pytest.mark.parametrize(("ctct", "text"), WRONG, ids=[text for _, text in WRONG])
def test_wrong_settings_are_named_by_a_check(settings: Any, ctct: Any, text: str) -> None:
    settings.CTCT = ctct
    messages = [str(one.msg) for one in checks.check_settings()]
    assert any(text in message for message in messages), messages


@pytest.mark.django_db
def test_a_site_with_wrong_settings_starts_and_its_check_fails(settings: Any) -> None:
    settings.CTCT = {**GOOD, "ADAPTERS": ["tests.site.ctct.Nobody"]}
    receivers.connect()
    with pytest.raises(SystemCheckError, match="cannot be imported"):
        call_command("check")


def test_good_settings_pass(settings: Any) -> None:
    settings.CTCT = GOOD
    assert checks.check_settings() == []


def test_a_site_without_adapters_is_warned(settings: Any) -> None:
    settings.CTCT = {**GOOD, "ADAPTERS": []}
    assert [one.id for one in checks.check_settings()] == ["django_ctct.W001"]


def test_a_wrong_option_of_the_backend_is_named(settings: Any) -> None:
    options = {**ACCOUNT["OPTIONS"], "pasword": "x"}  # type: ignore[dict-item]
    settings.CTCT = {**GOOD, "ACCOUNTS": {"default": {**ACCOUNT, "OPTIONS": options}}}
    assert [one.id for one in checks.check_settings()] == ["django_ctct.E002"]


def test_a_site_with_local_times_is_told_to_use_time_zones(settings: Any) -> None:
    settings.CTCT = GOOD
    settings.USE_TZ = False
    assert [one.id for one in checks.check_settings()] == ["django_ctct.E005"]


def test_settings_do_not_show_secrets() -> None:
    one = conf.AccountSettings("default", "x.y", {"password": "hunter2"})
    assert "hunter2" not in repr(one)


def test_rules_may_be_callables_paths_and_methods(settings: Any) -> None:
    adapter = ByCallable()
    member = Member(first_name="Ada", last_name="Lovelace", wants_newsletter=True)
    desired = adapter.desired(member)
    assert desired.email == "ada@example.com"
    assert desired.lists == {"free", "letters"}
    assert desired.fields == {"last_name": "Lovelace", "note": "Ada"}


def test_an_adapter_may_decide_for_itself() -> None:
    assert Overriding.problems() == [
        "tests.database.test_settings.Overriding.email names 'email', which "
        "site.Subscription does not have. Known: active, id, member."
    ]


def test_a_related_object_that_is_missing_reads_as_none() -> None:
    assert adapters.read(Subscription(), "member.email") is None
    assert adapters.follow(Subscription(), "member") == []


@pytest.mark.django_db
def test_a_watched_object_leads_to_one_member_or_to_many() -> None:
    member = Member.objects.create()
    one = Subscription.objects.create(member=member)
    assert adapters.follow(one, "member") == [member]
    assert adapters.follow(member, "subscriptions") == [one]


def test_accounts_have_their_own_adapters(settings: Any) -> None:
    settings.CTCT = GOOD
    assert len(list(adapters.for_account("default"))) == 1
    assert list(adapters.for_account("other")) == []
    with pytest.raises(ConfigurationError, match="it has: default"):
        conf.account("other")
