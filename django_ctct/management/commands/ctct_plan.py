"""``ctct_plan``: say what would be done for each person, and do nothing. With ``--approve``, let it be done.

It reads from Constant Contact, so it counts as calls; ``--known`` goes by what was last told instead, and calls
nobody. It prints addresses.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ... import acts, outbox
from ...exceptions import ListNotBound, MalformedResponse, RemoteConflict, RequestRejected
from ...models import Account, Contact
from ...planning import Create, OptOut, Plan, Update
from ...services import Link, Preview, connect, preview
from ...types import normalise_address
from ...verdict.outlook import Foreseen, Group, Outlook, look_out
from ..account_command import AccountCommand, in_local_time
from ..plan_words import list_names, listed, told

#: A plan costs one or two calls a person, of 10,000 a day.
LIMIT = 100
#: What concerns one contact only. Other errors concern the account, and end the command.
_HER_OWN_TROUBLE = (ListNotBound, MalformedResponse, RemoteConflict, RequestRejected)
_TITLES = {
    Group.JOINS: "join",
    Group.MOVES: "change lists",
    Group.LEAVES: "leave",
    Group.RENAMED: "get their new address there",
    Group.OPT_OUT: "are opted out for good",
    Group.REFUSED: "stay off, because they have opted out or left",
    Group.WAITS: "wait until something is put right",
    Group.NOTHING: "stay as they are",
}


class Command(AccountCommand):
    help = (
        "Show what would be done for each contact that is due, and write nothing. Prints addresses. "
        "Exit code 1: for someone it could not be said; with --exit-code also 2: something would change."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("emails", nargs="*", metavar="EMAIL", help="these contacts, due or not")
        add("--all", action="store_true", help="every contact of a member, due or not")
        add("--known", action="store_true", help="everybody, by what was last told: asks Constant Contact nothing")
        add("--limit", type=int, default=LIMIT, metavar="N", help=f"name at most N contacts (default: {LIMIT})")
        add("--exit-code", action="store_true", help="exit with 2 when something would change")
        add("--approve", action="store_true", help="show what is known, ask, and let changes be sent from now on")
        add("--yes", action="store_true", help="do not ask, with --approve: for scripts")
        add("--by", metavar="NAME", help="who approves (default: the user of this terminal)")

    def carry_out(self, options: dict[str, Any]) -> int:
        _refuse_nonsense(options)
        account = Account.objects.for_alias(options["account"])
        if options["approve"] and account.approved_at is not None:
            who = f" by {account.approved_by}" if account.approved_by else ""
            self.say(f"It was approved already{who}, {in_local_time(account.approved_at)}: changes are sent.")
            return 0
        if options["known"] or options["approve"]:
            return self._known(account, options)
        return self._asked(account, options)

    # Going by what was last told

    def _known(self, account: Account, options: dict[str, Any]) -> int:
        found = self._look_out(account, options["limit"])
        names, shown = list_names(account), list(islice(_named_people(found), options["limit"]))
        for one in shown:
            self._show(one, names)
        self._sum_up_known(account, found, len(shown))
        if options["approve"]:
            return self._approve(account, found.changes, options)
        self._say_what_next(account)
        return 2 if options["exit_code"] and found.changes else 0

    def _look_out(self, account: Account, limit: int) -> Outlook:
        with self.progress("contacts", Contact.objects.filter(account=account, desired_gen__gt=0).count()) as advance:
            return look_out(account, keep=limit, watch=advance)

    def _show(self, one: Foreseen, names: Any) -> None:
        there = "not at Constant Contact" if one.present is None else f"{listed(one.present, names)} [{one.status}]"
        self.say(one.email)
        self.say(f"  wanted   {listed(one.wanted, names)}")
        self.say(f"  present  {there}, as last told")
        self.say(f"  waits    {one.why}" if one.why else f"  plan     {told(one.plan, names)}")

    def _sum_up_known(self, account: Account, found: Outlook, shown: int) -> None:
        names = list_names(account)
        counted = [(names.get(one, one), count) for one, count in found.lists.items()]
        head = ("LIST", "JOIN", "LEAVE", "STAY ON", "STAY OFF")
        rows = [(name, *map(str, (n.joins, n.leaves, n.stays, n.stays_off))) for name, n in sorted(counted)]
        self.say_table(head, rows)
        for group, title in _TITLES.items():
            if number := found.groups[group]:
                self.say(f"{number} {title}")
        self.say(f"{found.looked_at} looked at, {found.changes} would change. Nothing was written.")
        concerned = found.looked_at - found.groups[Group.NOTHING]
        if concerned > shown:
            self.say(f"{concerned - shown} more were not named. Say --limit {concerned} to see them all.")
        if account.walk_ended_at is None:
            self.say("Not all contacts at Constant Contact were read yet, so this is a guess: run ctct_pull first.")

    # Asking Constant Contact about each

    def _asked(self, account: Account, options: dict[str, Any]) -> int:
        with connect(options["account"]) as link:
            found = self._chosen(link, options)
            plans = [self._look(link, one) for one in found[: options["limit"]]]
        self._sum_up(plans, len(found) - len(plans))
        self._say_what_next(account)
        if None in plans:
            return 1
        return 2 if options["exit_code"] and any(_changes(one) for one in plans if one) else 0

    def _chosen(self, link: Link, options: dict[str, Any]) -> list[int]:
        contacts = Contact.objects.filter(account=link.account)
        if options["emails"]:
            return [_named(contacts, email) for email in options["emails"]]
        if options["all"]:
            return list(contacts.filter(desired_gen__gt=0).order_by("email").values_list("pk", flat=True))
        if link.account.approved_at is None:  # what was tried and had to wait is not due just now
            waiting = contacts.filter(due_at__isnull=False, hold="").order_by("priority", "due_at")
            return list(waiting.values_list("pk", flat=True))
        return outbox.due(link.account.pk, limit=contacts.count())

    def _look(self, link: Link, contact_id: int) -> Plan | None:
        """Print one contact's plan and return it; None where there can be none, with the reason printed."""
        try:
            seen = preview(link, contact_id)
        except _HER_OWN_TROUBLE as error:
            self.say(Contact.objects.get(pk=contact_id).email)
            self.say(f"  waits    {error}")
            return None
        names = list_names(link.account)
        self.say(seen.contact.email)
        self.say(f"  wanted   {listed(seen.local.desired.lists, names)}")
        self.say(f"  present  {_present(seen, names)}")
        self.say(f"  plan     {told(seen.plan, names)}")
        return seen.plan

    def _sum_up(self, plans: list[Plan | None], left_out: int) -> None:
        changing = sum(1 for one in plans if one is not None and _changes(one))
        self.say(f"{len(plans)} looked at, {changing} would change. Nothing was written.")
        if left_out > 0:
            self.say(f"{left_out} more were left out. Say --limit {len(plans) + left_out} to see them all.")

    # Approval

    def _approve(self, account: Account, changes: int, options: dict[str, Any]) -> int:
        if not options["yes"] and not self._is_sure(changes):
            self.say("Not approved: nothing is sent.")
            return 1
        waiting = acts.approve(account, by=options["by"] or _user())
        self.say(f"Approved: from now on changes are sent. {waiting} contacts were waiting.")
        self.say("Keep a worker running, or run ctct_drain now and then; ctct_status says how it goes.")
        return 0

    def _is_sure(self, changes: int) -> bool:
        self.say(f"From now on these changes, and all that follow, are sent to Constant Contact: {changes} now.")
        try:
            answer = input(f"To approve, type yes or the number of changes ({changes}): ")
        except EOFError:
            raise CommandError("There is nobody to ask here. Say --yes when you have read the plan.") from None
        return answer.strip().lower() in ("yes", str(changes))

    def _say_what_next(self, account: Account) -> None:
        if account.approved_at is None:
            option = "" if account.alias == "default" else f" --account {account.alias}"
            self.say(
                "Nothing is sent to Constant Contact yet but opt-outs: somebody has to read this first. When it is "
                f"what you want, approve it: ctct_plan --approve{option}, or in the admin on the account's page."
            )


def _refuse_nonsense(options: dict[str, Any]) -> None:
    if options["emails"] and options["all"]:
        raise CommandError("Name addresses or say --all, not both.")
    if options["emails"] and (options["known"] or options["approve"]):
        raise CommandError("--known and --approve are about everybody: leave the addresses out.")
    if (options["yes"] or options["by"]) and not options["approve"]:
        raise CommandError("--yes and --by belong to --approve.")


def _named_people(found: Outlook) -> Iterator[Foreseen]:
    for group in _TITLES:
        yield from found.people.get(group, [])


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "somebody at a terminal"


def _named(contacts: Any, email: str) -> int:
    row = contacts.filter(email=normalise_address(email)).first()
    if row is None:
        raise CommandError(f"{email} is no contact of this account. Is she a member, and did ctct_mirror run?")
    return int(row.pk)


def _present(seen: Preview, names: Any) -> str:
    if seen.existing is None:
        return "not at Constant Contact"
    return f"{listed(seen.existing.lists, names)} [{seen.existing.status.label}]"


def _changes(plan: Plan) -> bool:
    return isinstance(plan, (Create, Update, OptOut))
