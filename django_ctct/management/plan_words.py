"""How the commands say a plan: lists by their keys, or by their names where the site does not manage them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..models import Account, ContactList
from ..planning import Create, Nothing, OptOut, Plan, Reason, Refuse, Update

__all__ = ["list_names", "listed", "told"]


def list_names(account: Account) -> Mapping[str, str]:
    """Return what to call each list, by its remote id."""
    lists = ContactList.objects.filter(account=account)
    return {one.remote_id: one.key or f"{one} (not managed)" for one in lists}


def listed(lists: Iterable[str], names: Mapping[str, str]) -> str:
    """Name lists in one line."""
    return ", ".join(sorted(names.get(one, f"list {one} (not managed)") for one in lists)) or "no list"


def told(plan: Plan, names: Mapping[str, str]) -> str:
    """Say a plan in words. Fields are named, their values are not shown."""
    match plan:
        case Create():
            text = f"create on {listed(plan.lists, names)}"
        case Update():
            text = ", ".join(_steps(plan, names))
        case OptOut():
            text = "opt out for good"
        case Refuse():
            text = "refuse: has opted out" if plan.reason is Reason.OPTED_OUT else "refuse: has left the list"
        case Nothing():
            text = "nothing"
    return f"{text}; stays off {listed(plan.withheld, names)}" if plan.withheld else text


def _steps(plan: Update, names: Mapping[str, str]) -> Iterable[str]:
    if plan.removes:
        yield f"take off {listed(plan.removes, names)}"
    if plan.adds:
        yield f"put on {listed(plan.adds, names)}"
    if plan.address:
        yield "change the address"
    if plan.fields:
        yield f"set {', '.join(sorted(plan.fields))}"
    if not plan.lists:
        yield "status becomes Removed"
