"""Whoever binds the lists by hand after a change of wire must not lose what is known of those who left them."""

from __future__ import annotations

from typing import Any

import pytest

from django_ctct import acts, catalogue, drain, services
from django_ctct.models import Contact, DatabaseNow
from tests.account import LISTS, Sandbox, run_due
from tests.settings import WIRES
from tests.site.models import Member

pytestmark = pytest.mark.sandbox
LEO = "leo@example.com"


def speak(box: Sandbox, settings: Any, wire: str) -> None:
    account = {**settings.CTCT["ACCOUNTS"]["default"], **WIRES[wire]}
    settings.CTCT = box.point({**settings.CTCT, "ACCOUNTS": {"default": account}})


@pytest.mark.parametrize("how", ["here", "there"])
def test_lists_bound_by_hand_wait_for_the_move_all_the_same(
    box: Sandbox, settings: Any, transactional_db: None, how: str
) -> None:
    speak(box, settings, "v1")
    box.bind()
    Member.objects.create(email=LEO, is_free=True, is_sustainer=True)
    run_due()
    if how == "here":
        acts.leave_list(LEO, "free")
        run_due()
    else:
        box.act(LEO, "leave", list=LISTS["free"])
    speak(box, settings, "v3")
    with services.connect("default") as link:
        for row in catalogue.read_lists(link):
            for key, name in LISTS.items():
                if row.name == name:
                    catalogue.bind_list(link.account, key, row.remote_id)
    box.forget()
    Contact.objects.update(due_at=DatabaseNow())
    run_due()
    assert (box.writes(), box.lists_of(LEO)) == ([], {LISTS["sustainers"]})
    assert "ctct_move" in drain.drain("default").paused
