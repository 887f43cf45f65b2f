"""``ctct_lists``: a site owner sees the account's lists and says which is which."""

from __future__ import annotations

from typing import Any

import pytest

from django_ctct.models import Contact, ContactList, Hold
from tests.account import LISTS, UNMANAGED, Sandbox, by_wire, contact, run_due, with_wrong_secret
from tests.commands.run import CANARY, hints, run
from tests.site.models import Member

pytestmark = pytest.mark.sandbox


@pytest.fixture
def unbound(box: Sandbox, settings: Any, transactional_db: None) -> Sandbox:
    """The test site, at a sandbox whose lists nobody has read yet."""
    settings.CTCT = box.point(settings.CTCT)
    return box


def _bind_all() -> list[str]:
    return [f"--bind={key}={name}" for key, name in LISTS.items()]


def _keys() -> dict[str, str | None]:
    return {row.name: row.key for row in ContactList.objects.all()}


def test_it_reads_the_lists_and_shows_id_members_key_and_name(connected: Sandbox) -> None:
    connected.add(CANARY, "Free members")
    ran = run("ctct_lists")
    assert ran.code == 0
    assert ran.out.splitlines()[0].split() == ["ID", "MEMBERS", "KEY", "NAME"]
    free = next(line for line in ran.out.splitlines() if "Free members" in line)
    assert free.split() == [connected.list_id("Free members"), "1", "free", "Free", "members"]
    assert CANARY not in ran.out


def test_a_list_without_a_key_shows_a_dash(connected: Sandbox) -> None:
    board = next(line for line in run("ctct_lists").out.splitlines() if UNMANAGED in line)
    assert board.split()[2] == "-"


def test_keys_that_an_adapter_uses_and_no_list_has_are_named_and_make_exit_code_1(unbound: Sandbox) -> None:
    ran = run("ctct_lists")
    assert ran.code == 1
    assert "manage.py ctct_lists --bind sustainers=ID_OR_NAME" in ran.out


def test_a_key_that_only_a_membership_uses_is_named_too(connected: Sandbox) -> None:
    Member.objects.create(email=CANARY)
    contact(CANARY).memberships.create(key="patrons", member_key="site.member:1")
    ran = run("ctct_lists", "--offline")
    assert (ran.code, "'patrons'" in ran.out) == (1, True)


def test_keys_are_bound_by_name_whatever_its_case(unbound: Sandbox) -> None:
    ran = run("ctct_lists", *_bind_all()[1:], "--bind=free=free MEMBERS")
    assert (ran.code, ran.error) == (0, "")
    assert _keys() == {name: key for key, name in LISTS.items()} | {UNMANAGED: None}


def test_a_key_is_bound_by_id(unbound: Sandbox) -> None:
    run("ctct_lists", f"--bind=free={unbound.list_id('Free members')}")
    assert _keys()["Free members"] == "free"


def test_an_unknown_list_is_an_error_that_names_the_candidates(unbound: Sandbox) -> None:
    ran = run("ctct_lists", "--bind=free=Fre members")
    assert ran.code == 1
    assert "'Fre members' is no list of this account." in ran.error
    assert "(Sustainers)" in ran.error


def test_a_name_that_is_another_lists_id_is_ambiguous_and_nothing_is_bound(unbound: Sandbox) -> None:
    unbound.control("act", {"do": "create_list", "list": unbound.list_id("Sustainers")})
    ran = run("ctct_lists", f"--bind=free={unbound.list_id('Sustainers')}")
    assert "is ambiguous" in ran.error
    assert set(_keys().values()) == {None}


def test_a_bound_list_is_not_given_another_key_by_mistake(connected: Sandbox) -> None:
    ran = run("ctct_lists", "--bind=patrons=Sustainers")
    assert "Say --unbind sustainers first." in ran.error
    assert _keys()["Sustainers"] == "sustainers"


def test_moving_a_key_says_what_becomes_of_the_list_that_had_it(connected: Sandbox) -> None:
    ran = run("ctct_lists", f"--bind=free={UNMANAGED}")
    assert "Free members is not managed any more: whoever is on it stays on it." in ran.out
    assert (_keys()[UNMANAGED], _keys()["Free members"]) == ("free", None)


def test_a_key_that_no_adapter_maps_is_pointed_out(connected: Sandbox) -> None:
    ran = run("ctct_lists", f"--bind=sustainer={UNMANAGED}")
    assert "No adapter maps the key 'sustainer'. Did you mean 'sustainers'?" in ran.out


def test_unbinding_leaves_the_list_alone_from_then_on(connected: Sandbox) -> None:
    ran = run("ctct_lists", "--unbind=newsletter")
    assert ran.code == 1, "the adapter still uses the key"
    assert _keys()["Newsletter"] is None
    assert connected.writes() == []


def test_unbinding_an_unknown_key_names_the_nearest_one(connected: Sandbox) -> None:
    assert "Did you mean 'newsletter'?" in run("ctct_lists", "--unbind=newsleter").error


def test_a_list_is_made_and_bound_in_one_go(connected: Sandbox) -> None:
    ran = run("ctct_lists", "--create=Patrons=patrons")
    assert (ran.code, _keys()["Patrons"]) == (0, "patrons")
    assert connected.list_id("Patrons") in ran.out


def test_a_list_is_made_without_a_key(connected: Sandbox) -> None:
    assert run("ctct_lists", "--create=Patrons").code == 0
    assert _keys()["Patrons"] is None


def test_a_name_that_is_taken_is_one_sentence(connected: Sandbox) -> None:
    ran = run("ctct_lists", "--create=Sustainers")
    assert ran.code == 1
    assert f"POST {by_wire('/lists', '/contact_lists')} answered 409" in ran.error


def test_contacts_that_waited_for_a_list_go_on_once_it_is_bound(unbound: Sandbox) -> None:
    Member.objects.create(email=CANARY)
    run_due()
    assert contact(CANARY).hold == Hold.UNBOUND
    run("ctct_lists", *_bind_all())
    run_due()
    assert unbound.lists_of(CANARY) == {"Free members"}


def test_a_worker_is_told_when_a_key_was_bound_and_not_when_lists_were_shown(connected: Sandbox, settings: Any) -> None:
    with hints() as told:
        run("ctct_lists")
        assert told == []
        run("ctct_lists", "--bind=free=Free members")
        assert set(told) == {"default"}


def test_offline_calls_nobody(connected: Sandbox) -> None:
    ran = run("ctct_lists", "--offline")
    assert (ran.code, connected.requests()) == (0, [])
    assert "Sustainers" in ran.out


def test_offline_cannot_make_a_list_and_says_so(connected: Sandbox) -> None:
    assert "leave out --offline" in run("ctct_lists", "--offline", "--create=Patrons").error


def test_a_list_that_is_gone_is_shown_as_missing_and_cannot_be_bound(connected: Sandbox) -> None:
    connected.control("act", {"do": "delete_list", "list": UNMANAGED})
    assert f"{UNMANAGED} (missing since " in run("ctct_lists").out
    assert "is not at Constant Contact any more" in run("ctct_lists", f"--bind=free={UNMANAGED}").error


def test_a_bound_list_that_is_gone_makes_exit_code_1(connected: Sandbox) -> None:
    connected.control("act", {"do": "delete_list", "list": "Sustainers"})
    assert run("ctct_lists").code == 1


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--bind=free", "Write it as KEY=ID_OR_NAME."),
        ("--bind=the free=1", "no blanks"),
        ("--bind==1", "a key has 1 to 64 characters"),
        (f"--bind={'k' * 65}=1", "a key has 1 to 64 characters"),
        ("--create= =free", "Write it as NAME or NAME=KEY."),
        ("--create=Patrons=", "cannot be a key"),
    ],
)
def test_a_malformed_option_is_explained_and_nothing_is_called(
    connected: Sandbox, argument: str, sentence: str
) -> None:
    ran = run("ctct_lists", argument)
    assert sentence in ran.error
    assert connected.requests() == []


def test_refused_credentials_are_one_sentence_that_says_where_to_look(connected: Sandbox, settings: Any) -> None:
    settings.CTCT = with_wrong_secret(settings.CTCT, "s3cret-canary")
    ran = run("ctct_lists")
    assert ran.code == 1
    assert "Check the credentials in CTCT['ACCOUNTS']['default']['OPTIONS']." in ran.error
    assert "s3cret-canary" not in ran.error + ran.out


def test_an_account_that_is_not_in_the_settings_is_named_with_those_that_are(db: None) -> None:
    ran = run("ctct_lists", "--account=acmee")
    assert ran.error == "CTCT['ACCOUNTS'] has no account 'acmee' (it has: default)."
    assert Contact.objects.count() == 0


def test_a_server_that_cannot_be_reached_is_one_sentence(settings: Any, db: None) -> None:
    ran = run("ctct_lists")  # port 9 of this machine: nobody listens
    assert ran.code == 1
    assert ran.error.endswith("connection. Nothing was changed. Try again later.")
