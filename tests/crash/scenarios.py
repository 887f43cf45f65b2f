"""What is under way when a process dies: a scene, a wish of the site, and what must be true in the end."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django_ctct import acts
from django_ctct.models import Contact, SyncState
from tests.account import UNMANAGED, Sandbox, by_wire, run_due
from tests.site.models import Member

from .points import WRITE_POINTS, Point

CUSTOMER = by_wire("ACTION_BY_CUSTOMER", '_source":"Account"')
CONTACT = by_wire("ACTION_BY_CONTACT", '_source":"Contact"')
NOTHING_UNREACHED: frozenset[Point] = frozenset()

#: How ``CTCT_TEST_SWITCHES`` sets the sandbox's doubts, and the verbs by which the last list is left then.
SWITCHES: dict[str, Any] = json.loads(os.environ.get("CTCT_TEST_SWITCHES", "{}"))
LEAVING = frozenset({"PUT", "POST"} if SWITCHES.get("empty_lists_put_v3") == "400" else {"PUT"})


@dataclass(frozen=True)
class Scenario:
    """One story. ``arrange`` sets the scene, ``wish`` is the site's change, ``meanwhile`` comes after the death.

    ``may_name`` are the lists that a write may name, ``keeps`` those that every PUT must name. ``unreached`` are
    the points that the first drain does not pass, ``left`` the lists that she left herself.
    """

    name: str
    arrange: Callable[[Sandbox, str], None]
    wish: Callable[[str], None]
    lists: frozenset[str]
    status: str
    may_name: frozenset[str]
    state: str = SyncState.IN_SYNC.value
    keeps: frozenset[str] = frozenset({UNMANAGED})
    verbs: frozenset[str] = frozenset({"PUT"})
    source: str = CUSTOMER
    most_writes: int = 1
    left: frozenset[str] = frozenset()
    unreached: frozenset[Point] = NOTHING_UNREACHED
    meanwhile: Callable[[str], None] | None = None

    def forbidden(self, box: Sandbox, writes: list[dict[str, Any]]) -> list[str]:
        """Return a sentence for each write that nobody may make."""
        names = {box.list_id(name): name for name in (*self.may_name, *self.keeps)}
        return [fault for one in writes for fault in self._faults(one, names)]

    def _faults(self, write: dict[str, Any], names: dict[str, str]) -> list[str]:
        method, body = write["method"], write["body"]
        named = {names.get(one, f"list {one}") for one in lists_in(body)}
        faults = [] if method in self.verbs else [f"a {method}"]
        faults += [f"a {method} that names {one}" for one in sorted(named - self.may_name - self.keeps)]
        if method == "PUT":
            faults += [f"a PUT without {one}" for one in sorted(self.keeps - named)]
        return faults + [f"a {method} by {one}" for one in {CUSTOMER, CONTACT} - {self.source} if one in body]


def lists_in(body: str) -> list[str]:
    """Return the ids of the lists that a write names, on either wire."""
    if by_wire(v1=True, v3=False):
        return re.findall(r"/lists/(\d+)", body)
    found: list[str] = json.loads(body).get("list_memberships", [])
    return found


def contact_of(address: str) -> Contact:
    return Contact.objects.with_state().get(email=address)


def _change(address: str, **values: object) -> None:
    member = Member.objects.get(email=address)
    for name, value in values.items():
        setattr(member, name, value)
    member.save()


def _known(box: Sandbox, address: str, **member: object) -> None:
    """A member in sync, who is also on a list of the owner's own."""
    box.add(address, UNMANAGED)
    Member.objects.create(email=address, **member)
    run_due()


# The scenes


def _nobody(box: Sandbox, address: str) -> None:
    """Nobody knows her yet."""


def _free(box: Sandbox, address: str) -> None:
    _known(box, address)


def _free_only(box: Sandbox, address: str) -> None:
    Member.objects.create(email=address)
    run_due()


def _left_the_letter(box: Sandbox, address: str) -> None:
    _known(box, address, wants_newsletter=True)
    box.act(address, "leave", list="Newsletter")


def _unsubscribed(box: Sandbox, address: str) -> None:
    _known(box, address)
    box.act(address, "unsubscribe")


def _unsubscribed_reader(box: Sandbox, address: str) -> None:
    _known(box, address, wants_newsletter=True)
    box.act(address, "unsubscribe")
    acts.sync_now([contact_of(address)])
    run_due()


def _slow_road(box: Sandbox, address: str) -> None:
    _known(box, address)
    box.fault("PUT *", "late", seconds=0.4)


# The wishes


def _join(address: str) -> None:
    Member.objects.create(email=address, first_name="Ada")


def _upgrade(address: str) -> None:
    _change(address, is_free=False, is_sustainer=True)


def _downgrade(address: str) -> None:
    _change(address, is_free=True, is_sustainer=False)


def _leave_the_last_list(address: str) -> None:
    _change(address, is_free=False)


def _opt_out(address: str) -> None:
    acts.opt_out(contact_of(address))


def _resubscribe(address: str) -> None:
    acts.resubscribe(contact_of(address), ["newsletter"], method="preference page")


FREE, SUSTAINERS, LETTER = "Free members", "Sustainers", "Newsletter"

SCENARIOS = {
    one.name: one
    for one in (
        Scenario(
            "a new contact",
            _nobody,
            _join,
            lists=frozenset({FREE}),
            status="Active",
            may_name=frozenset({FREE}),
            keeps=frozenset(),
            verbs=frozenset({"POST"}),
        ),
        Scenario(
            "an upgrade",
            _free,
            _upgrade,
            lists=frozenset({SUSTAINERS, UNMANAGED}),
            status="Active",
            may_name=frozenset({SUSTAINERS}),
        ),
        Scenario(
            "the last list removed",
            _free_only,
            _leave_the_last_list,
            lists=frozenset(),
            status="Removed",
            may_name=frozenset(),
            keeps=frozenset(),
            verbs=LEAVING,
        ),
        Scenario(
            "an upgrade after she left a list there",
            _left_the_letter,
            _upgrade,
            left=frozenset({LETTER}),
            lists=frozenset({SUSTAINERS, UNMANAGED}),
            status="Active",
            may_name=frozenset({SUSTAINERS}),
            state=SyncState.REFUSED.value,
        ),
        Scenario(
            "an upgrade after she unsubscribed there",
            _unsubscribed,
            _upgrade,
            lists=frozenset(),
            status="Do Not Mail",
            may_name=frozenset(),
            verbs=frozenset(),
            state=SyncState.REFUSED.value,
            most_writes=0,
            unreached=WRITE_POINTS,
        ),
        Scenario(
            "an opt-out",
            _free,
            _opt_out,
            lists=frozenset(),
            status="Do Not Mail",
            # v3 has no verb for it: the contact goes back as it was read, with another permission (v3 §2.8).
            may_name=by_wire(frozenset(), frozenset({FREE, UNMANAGED})),
            keeps=frozenset(),
            verbs=by_wire(frozenset({"DELETE"}), frozenset({"PUT"})),
            source=by_wire(CUSTOMER, CONTACT),
            state=SyncState.REFUSED.value,
        ),
        Scenario(
            "a return by her own act",
            _unsubscribed_reader,
            _resubscribe,
            lists=frozenset({LETTER}),
            status="Active",
            may_name=frozenset({LETTER}),
            keeps=frozenset(),
            source=CONTACT,
            state=SyncState.REFUSED.value,
        ),
        Scenario(
            "a write that lands late, under a newer wish",
            _slow_road,
            _upgrade,
            lists=frozenset({FREE, UNMANAGED}),
            status="Active",
            may_name=frozenset({FREE, SUSTAINERS}),
            most_writes=2,
            unreached=frozenset({Point.ANSWERED, Point.CONFIRMING, Point.CONFIRMED}),
            meanwhile=_downgrade,
        ),
    )
}
