"""``ctct_plan``: say what would be done for each person, and do nothing.

It reads from Constant Contact, so it counts as calls, and it is the one command that prints addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ... import outbox
from ...exceptions import ListNotBound, MalformedResponse, RemoteConflict, RequestRejected
from ...models import Contact, ContactList
from ...planning import Create, Nothing, OptOut, Plan, Reason, Refuse, Update
from ...services import Link, Preview, connect, preview
from ...types import normalise_address
from ..account_command import AccountCommand

#: A plan costs one or two calls a person, of 10,000 a day.
LIMIT = 100
#: What concerns one contact only. Other errors concern the account, and end the command.
_HER_OWN_TROUBLE = (ListNotBound, MalformedResponse, RemoteConflict, RequestRejected)


class Command(AccountCommand):
    help = (
        "Show what would be done for each due contact, and write nothing. Prints addresses. "
        "Exit code 1: for someone it could not be said; with --exit-code also 2: something would change."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("emails", nargs="*", metavar="EMAIL", help="these contacts, due or not")
        add("--all", action="store_true", help="every contact of a member, due or not")
        add("--limit", type=int, default=LIMIT, metavar="N", help=f"at most N contacts (default: {LIMIT})")
        add("--exit-code", action="store_true", help="exit with 2 when something would change")

    def carry_out(self, options: dict[str, Any]) -> int:
        if options["emails"] and options["all"]:
            raise CommandError("Name addresses or say --all, not both.")
        with connect(options["account"]) as link:
            found = self._chosen(link, options)
            plans = [self._look(link, one) for one in found[: options["limit"]]]
        self._sum_up(plans, len(found) - len(plans))
        if None in plans:
            return 1
        return 2 if options["exit_code"] and any(_changes(one) for one in plans if one) else 0

    def _chosen(self, link: Link, options: dict[str, Any]) -> list[int]:
        contacts = Contact.objects.filter(account=link.account)
        if options["emails"]:
            return [_named(contacts, email) for email in options["emails"]]
        if options["all"]:
            return list(contacts.filter(desired_gen__gt=0).order_by("email").values_list("pk", flat=True))
        return outbox.due(link.account.pk, limit=contacts.count())

    def _look(self, link: Link, contact_id: int) -> Plan | None:
        """Print one contact's plan and return it; None where there can be none, with the reason printed."""
        try:
            seen = preview(link, contact_id)
        except _HER_OWN_TROUBLE as error:
            self.say(Contact.objects.get(pk=contact_id).email)
            self.say(f"  waits    {error}")
            return None
        names = _names(link)
        self.say(seen.contact.email)
        self.say(f"  wanted   {_listed(seen.local.desired.lists, names)}")
        self.say(f"  present  {_present(seen, names)}")
        self.say(f"  plan     {_told(seen.plan, names)}")
        return seen.plan

    def _sum_up(self, plans: list[Plan | None], left_out: int) -> None:
        changing = sum(1 for one in plans if one is not None and _changes(one))
        self.say(f"{len(plans)} looked at, {changing} would change. Nothing was written.")
        if left_out > 0:
            self.say(f"{left_out} more were left out. Say --limit {len(plans) + left_out} to see them all.")


def _named(contacts: Any, email: str) -> int:
    row = contacts.filter(email=normalise_address(email)).first()
    if row is None:
        raise CommandError(f"{email} is no contact of this account. Is she a member, and did ctct_mirror run?")
    return int(row.pk)


def _names(link: Link) -> Mapping[str, str]:
    """Return what to call each list: by its key, or by its name where the site does not manage it."""
    lists = ContactList.objects.filter(account=link.account)
    return {one.remote_id: one.key or f"{one} (not managed)" for one in lists}


def _listed(lists: Iterable[str], names: Mapping[str, str]) -> str:
    return ", ".join(sorted(names.get(one, f"list {one} (not managed)") for one in lists)) or "no list"


def _present(seen: Preview, names: Mapping[str, str]) -> str:
    if seen.existing is None:
        return "not at Constant Contact"
    return f"{_listed(seen.existing.lists, names)} [{seen.existing.status.label}]"


def _changes(plan: Plan) -> bool:
    return isinstance(plan, (Create, Update, OptOut))


def _told(plan: Plan, names: Mapping[str, str]) -> str:
    """Say a plan in words. Fields are named, their values are not shown."""
    match plan:
        case Create():
            told = f"create on {_listed(plan.lists, names)}"
        case Update():
            told = ", ".join(_steps(plan, names))
        case OptOut():
            told = "opt out for good"
        case Refuse():
            told = "refuse: has opted out" if plan.reason is Reason.OPTED_OUT else "refuse: has left the list"
        case Nothing():
            told = "nothing"
    return f"{told}; stays off {_listed(plan.withheld, names)}" if plan.withheld else told


def _steps(plan: Update, names: Mapping[str, str]) -> Iterable[str]:
    if plan.removes:
        yield f"take off {_listed(plan.removes, names)}"
    if plan.adds:
        yield f"put on {_listed(plan.adds, names)}"
    if plan.fields:
        yield f"set {', '.join(sorted(plan.fields))}"
    if not plan.lists:
        yield "status becomes Removed"
