"""``ctct_move``: an owner changes the wire, sees the plan, and carries it out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from django_ctct import services
from django_ctct.models import Contact, ContactList, DatabaseNow
from tests.account import LISTS, Sandbox, contact, run_due
from tests.commands.run import CANARY, run
from tests.settings import WIRES
from tests.site.models import Member

pytestmark = pytest.mark.sandbox

SEARCHED = "1 found by the cross-reference, 0 by their address, 0 not found."


@pytest.fixture
def speak(box: Sandbox, settings: Any) -> Callable[[str], None]:
    """Change the account's wire, as a site owner does in the settings."""

    def change(wire: str) -> None:
        account = {**settings.CTCT["ACCOUNTS"]["default"], **WIRES[wire]}
        settings.CTCT = box.point({**settings.CTCT, "ACCOUNTS": {"default": account}})

    return change


@pytest.fixture
def moving(box: Sandbox, speak: Callable[[str], None], transactional_db: None) -> Sandbox:
    """A site with one synced member on v1, whose settings say v3 now."""
    speak("v1")
    box.bind()
    Member.objects.create(email=CANARY)
    run_due()
    speak("v3")
    box.forget()
    return box


def ids() -> list[str | None]:
    return [
        *Contact.objects.values_list("remote_id", flat=True),
        *ContactList.objects.values_list("remote_id", flat=True),
    ]


def test_the_plan_is_shown_and_nothing_is_changed_without_yes(moving: Sandbox) -> None:
    before = ids()
    ran = run("ctct_move")
    assert ran.code == 0
    head, *lists = ran.out.splitlines()[:5]
    assert head.split("  ")[0] == "KEY"
    there = {one["name"]: one["uuid"] for one in moving.control("state", method="GET")["lists"]}
    for key, name in LISTS.items():
        (line,) = [one for one in lists if one.startswith(f"{key} ")]
        assert name in line
        assert line.endswith(there[name])
    assert SEARCHED in ran.out
    assert ran.out.endswith("Nothing was changed. Carry it out: manage.py ctct_move --account default --yes\n")
    assert CANARY not in ran.out
    assert (ids(), moving.writes()) == (before, [])


def test_with_yes_the_plan_is_shown_and_carried_out_and_then_nothing_is_left(moving: Sandbox) -> None:
    ran = run("ctct_move", "--yes")
    assert ran.code == 0
    assert SEARCHED in ran.out
    assert ran.out.endswith("Moved.\n")
    assert {len(one or "") for one in ids()} == {36}
    assert moving.writes() == []
    for again in (run("ctct_move"), run("ctct_move", "--yes")):
        assert (again.out, again.code) == ("Nothing is left to move.\n", 0)


def test_who_is_not_found_is_counted_and_not_named(moving: Sandbox) -> None:
    moving.switch(xrefs=False)
    moving.act(CANARY, "edit", to="other@example.com")
    ran = run("ctct_move", "--yes")
    assert ran.code == 0
    assert "0 found by the cross-reference, 0 by their address, 1 not found." in ran.out
    assert "1 may have another address there by now: held for review" in ran.out
    assert "example.com" not in ran.out
    assert contact(CANARY).error_code == "renamed"
    assert run("ctct_move").out.endswith("Nothing is left to move.\n")


@pytest.mark.parametrize("arguments", [[], ["--yes"]])
def test_a_managed_list_without_counterpart_is_named_and_nothing_is_changed(
    moving: Sandbox, speak: Callable[[str], None], arguments: list[str]
) -> None:
    speak("v1")
    with services.connect("default") as link:
        link.backend.rename_list(ContactList.objects.get(key="free").remote_id, "Gratis")
    speak("v3")
    before = ids()
    ran = run("ctct_move", *arguments)
    assert ran.code == 1
    assert "Free members (free) has no certain counterpart" in ran.out
    assert ran.out.endswith("Nothing was changed.\n")
    assert ids() == before


def test_while_writes_are_under_way_it_says_what_to_do(moving: Sandbox) -> None:
    until = DatabaseNow() + timedelta(seconds=60)
    Contact.objects.update(lease_token="00000000-0000-4000-8000-000000000001", lease_until=until)
    before = ids()
    ran = run("ctct_move", "--yes")
    assert (ran.code, ran.error) == (1, "Writes are under way. Stop the workers, and try again in 2 minutes.")
    assert ids() == before


def test_an_account_that_is_not_there_is_named(moving: Sandbox) -> None:
    ran = run("ctct_move", "--account", "nonsense")
    assert ran.code == 1
    assert "nonsense" in ran.error
    assert moving.requests() == []
