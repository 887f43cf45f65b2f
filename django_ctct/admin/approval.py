"""The plan of a whole account, to be read before anything is sent, and its approval.

It is worked out from what was last told (``verdict.outlook``): looking at it calls nobody and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import acts
from ..models import Account
from ..verdict.outlook import Foreseen, Group, Outlook, look_out
from .base import CtctAdmin, log
from .news import stale_news
from .trouble import wrong_settings

__all__ = ["NAMED", "GroupShown", "approve", "plan_context"]

#: Of each group so many people are named.
NAMED = 50

#: How each group looks, and what it is called: tone, sign, title, and what it means.
_GROUPS = {
    Group.JOINS: ("wait", "+", gettext_lazy("Join"), gettext_lazy("They are put on lists.")),
    Group.MOVES: (
        "wait",
        "⇄",
        gettext_lazy("Change lists"),
        gettext_lazy("They are put on some lists and taken off others."),
    ),
    Group.LEAVES: (
        "wait",
        "−",
        gettext_lazy("Leave"),
        gettext_lazy("They are on a managed list that no rule wants them on, and are taken off."),
    ),
    Group.RENAMED: (
        "wait",
        "@",
        gettext_lazy("New address"),
        gettext_lazy("They have another address by now. Their lists stay as they are."),
    ),
    Group.OPT_OUT: (
        "stop",
        "⊘",
        gettext_lazy("Opt out"),
        gettext_lazy("Their own opt-outs are under way; these do not wait for an approval."),
    ),
    Group.REFUSED: (
        "stop",
        "⊘",
        gettext_lazy("Stay off"),
        gettext_lazy("The site's rules want them on a list, but they have opted out or left it. Nothing is sent."),
    ),
    Group.WAITS: (
        "bad",
        "!",
        gettext_lazy("Cannot be sent"),
        gettext_lazy("Something has to be put right first: their own pages say what."),
    ),
    Group.NOTHING: (
        "good",
        "✓",
        gettext_lazy("Stay as they are"),
        gettext_lazy("They are on the right lists already, or belong on none."),
    ),
}


@dataclass(frozen=True, slots=True)
class PersonShown:
    """One person of the plan, with lists by their names."""

    pk: int
    email: str
    adds: tuple[str, ...]
    removes: tuple[str, ...]
    withheld: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class GroupShown:
    """One group of the plan. ``more`` is how many are not named."""

    tone: str
    sign: str
    title: str
    meaning: str
    count: int
    people: tuple[PersonShown, ...]
    more: int


@dataclass(frozen=True, slots=True)
class ListShown:
    """One list of the plan, with how many join it, leave it, stay on it, and stay off on purpose."""

    name: str
    key: str
    joins: int
    leaves: int
    stays: int
    stays_off: int


def plan_context(account: Account, *, named: int = NAMED) -> dict[str, Any]:
    """Return the plan as the page shows it.

    While the settings are wrong there is none: who was erased is known by a hash, and its keys are in the settings.
    """
    if wrong_settings():
        return {"account": account}
    found = look_out(account, keep=named)
    rows = {one.remote_id: one for one in account.lists.all()}
    names = {remote_id: str(one) for remote_id, one in rows.items()}
    lists = [
        ListShown(str(rows[one]), rows[one].key or "", n.joins, n.leaves, n.stays, n.stays_off)
        for one, n in found.lists.items()
        if one in rows
    ]
    return {
        "account": account,
        "looked_at": found.looked_at,
        "changes": found.changes,
        "lists": sorted(lists, key=lambda one: one.name.lower()),
        "groups": [_group(found, group, names) for group in _GROUPS if found.groups[group]],
        "named": bool(named),
        "never_read": account.walk_ended_at is None and account.pulled_at is None,
        "stale": stale_news(account),
        "partly_read": account.walk_ended_at is None,
    }


def _group(found: Outlook, group: Group, names: dict[str, str]) -> GroupShown:
    tone, sign, title, meaning = _GROUPS[group]
    people = sorted(found.people.get(group, []), key=lambda one: one.email)
    shown = tuple(_person(one, names) for one in people)
    count = found.groups[group]
    return GroupShown(tone, sign, str(title), str(meaning), count, shown, count - len(shown))


def _person(one: Foreseen, names: dict[str, str]) -> PersonShown:
    def named(lists: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(names.get(each, each) for each in lists))

    return PersonShown(
        one.contact_id, one.email, named(one.adds), named(one.removes), named(one.plan.withheld), one.why
    )


def approve(page: CtctAdmin[Any], request: HttpRequest, account: Account) -> None:
    """Let changes be sent from now on."""
    with transaction.atomic():
        waiting = acts.approve(account, by=request.user.get_username())
        log(request, [account], _("Approved the plan: changes are sent from now on."))
    text = ngettext(
        "Approved: changes are sent from now on. %(n)s contact was waiting.",
        "Approved: changes are sent from now on. %(n)s contacts were waiting.",
        waiting,
    )
    page.message_user(request, text % {"n": waiting}, messages.SUCCESS)
