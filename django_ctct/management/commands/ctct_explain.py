"""``ctct_explain``: all that is known about one address, and in one sentence why it is, or is not, on its lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Q

from ... import vault
from ...exceptions import CtctError
from ...models import Account, Consent, Contact, ListOptOut, OptOut, Suppression
from ...services import connect, preview
from ...types import ConsentKind, normalise_address
from ...verdict.difference import Difference, ListRow, left_words
from ...verdict.journal import writes
from ...verdict.standing import verdict
from ...verdict.words import reason
from ..account_command import AccountCommand, in_local_time
from ..health import examine
from ..plan_words import list_names, listed, told
from ..rules import MemberRules, members_of

#: How many of the latest writes are shown.
WRITES = 5


class Command(AccountCommand):
    help = (
        "Say why one address is, or is not, on its lists: the rules, the wish, what Constant Contact has, opt-outs, "
        "consents, tries. Prints the address. Exit code 1: the address is not known, or it could not be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument("--live", action="store_true", help="also ask Constant Contact how it is now")

    def carry_out(self, options: dict[str, Any]) -> int:
        email, account = normalise_address(options["email"]), Account.objects.for_alias(options["account"])
        contacts = Contact.objects.with_state().select_related("account").prefetch_related("memberships")
        # An address that she is giving up is still hers.
        contact = contacts.filter(account=account, email=email).first() or contacts.renamed_from(account.pk, email)
        members = members_of(account.alias, contact.email if contact else email, contact)
        if contact is None:
            self._unknown(account, email, members)
            return 1
        if contact.email != email:
            self.say(f"{email} is being changed: Constant Contact still knows her by it.")
        self._explain(contact, members)
        return self._ask(contact) if options["live"] else 0

    def _unknown(self, account: Account, email: str, members: list[MemberRules]) -> None:
        self.say(f"This address is no contact of the account {account.alias}.")
        if members:
            self.say("A member has it, but her wishes are not written down yet: run ctct_mirror.")
            self._section("Who wants what", _members(members))
        self._section("Opt-outs and consents", _her_word(account, None, email))

    def _explain(self, contact: Contact, members: list[MemberRules]) -> None:
        difference = Difference.of(contact)
        found = verdict(difference)
        self.say(f"{contact.email} in the account {contact.account.alias}: {found.label}")
        self.say(f"  {found.text}")
        if found.advice:
            self.say(f"  What to do: {found.advice}")
        self._section("Who wants what", _members(members) or ["no member of the site has this address"])
        self._section("Lists", _lists(difference.rows))
        self._section("Constant Contact, as last told", _observation(contact, difference))
        self._section("Opt-outs and consents", _her_word(contact.account, contact, contact.email))
        self._section("Latest writes", _writes(contact))
        self._section("Queue", _queue(contact))
        health = examine(contact.account.alias)
        self._section("Account", [*health.problems(), *health.notes()])

    def _ask(self, contact: Contact) -> int:
        """Read the contact over there, and say what would be done."""
        names = list_names(contact.account)
        try:
            with connect(contact.account.alias) as link:
                seen = preview(link, contact.pk)
        except CtctError as error:
            self._section("Constant Contact, now", [f"could not be asked: {error}"])
            return 1
        there = "not there" if seen.existing is None else f"{seen.existing.status.label}, on "
        there += listed(seen.existing.lists, names) if seen.existing is not None else ""
        self._section("Constant Contact, now", [there, f"what would be done: {told(seen.plan, names)}"])
        return 0

    def _section(self, title: str, lines: Iterable[str]) -> None:
        shown = list(lines)
        if shown:
            self.say()
            self.say(title)
        for line in shown:
            self.say(f"  {line}")


def _members(members: list[MemberRules]) -> list[str]:
    return [line for one in members for line in _member(one)]


def _member(one: MemberRules) -> Iterator[str]:
    yield one.member_key
    rows = [(rule.result, rule.key, f"by {rule.rule}") for rule in one.rules]
    yield from (f"  {line}" for line in _table(rows))
    if one.wanted and set(one.wanted) != {rule.key for rule in one.rules if rule.result == "yes"}:
        yield f"  the adapter itself decides: {', '.join(one.wanted)}"
    yield f"  written down: {', '.join(one.kept) or 'no list'}"
    if one.note:
        yield f"  {one.note}"
    elif set(one.wanted) != set(one.kept):
        yield "  The rules say otherwise by now: ctct_mirror writes it down."


def _lists(rows: Sequence[ListRow]) -> Iterator[str]:
    head = ("LIST", "KEY", "WANTED", "THERE", "WHAT WILL HAPPEN")
    told = [(row.name, row.key or "-", _wanted(row), _there(row), row.fate or "-") for row in rows]
    yield from _table([head, *told]) if told else ()


def _wanted(row: ListRow) -> str:
    return ("yes" if row.wanted else "no") if row.managed else "not managed"


def _there(row: ListRow) -> str:
    if not row.present:
        return "no"
    since = f"since {in_local_time(row.since)}" if row.since else ""
    return ", ".join(part for part in ("yes", since, row.how) if part)


def _observation(contact: Contact, difference: Difference) -> Iterator[str]:
    yield f"status: {contact.get_status_display() or 'not seen there'}"
    yield f"last read: {in_local_time(contact.seen_at)}, last in sync: {in_local_time(contact.synced_at)}"
    yield f"wish: number {contact.desired_gen}, confirmed: {contact.applied_gen}"
    yield from (row.drift for row in difference.rows if row.drift)


def _her_word(account: Account, contact: Contact | None, email: str) -> Iterator[str]:
    names = vault.address_hashes(email)
    if contact is not None and contact.opted_out_at is not None:
        who = contact.get_opted_out_source_display() or "unknown"
        yield f"opted out of everything: {in_local_time(contact.opted_out_at)}, by: {who}"
        if contact.heard_of_opt_out_at is not None:
            heard = in_local_time(contact.heard_of_opt_out_at)
            yield f"  known here since {heard}: what she asked for before lifts nothing"
    for said in contact.opt_outs.order_by("-at") if contact is not None else ():
        yield _said(said)
    for gone in Suppression.objects.filter(account=account, address_hash__in=names):
        yield f"must not return: all about this address was erased, {in_local_time(gone.at)} ({gone.source})"
    for left in ListOptOut.objects.filter(contact=contact).select_related("list") if contact else ():
        yield f"{left.list}: {left_words(left)}{_review(left)}"
    hers = Q(address_hash__in=names) | (Q(contact=contact) if contact is not None else Q())
    for one in Consent.objects.filter(hers, account=account).order_by("-at", "-pk"):
        yield _consent(one)


def _said(one: OptOut) -> str:
    who = f", recorded by {one.actor}" if one.actor else ""
    why = f": {one.reason}" if one.reason else ""
    return f"asked to be opted out: {in_local_time(one.at)} ({one.get_source_display()}){who}{why}"


def _review(left: ListOptOut) -> str:
    if left.reviewed_at is None:
        return "" if left.source != "remote" else "; nobody has looked at it yet"
    why = f": {left.put_back_why}" if left.put_back_why else ": respected"
    return f"; looked at by {left.reviewed_by or 'staff'}, {in_local_time(left.reviewed_at)}{why}"


def _consent(one: Consent) -> str:
    proved = one.kind == ConsentKind.CONTACT_ACTION.value
    kind = "her own act" if proved else "asked for, not proved to be hers: undoes nothing"
    return f"{one.key}: consent, {in_local_time(one.at)}, {one.method} ({kind})"


def _writes(contact: Contact) -> Iterator[str]:
    for one in writes(contact, WRITES):
        trouble = f" ({one.error})" if one.error else ""
        yield f"{in_local_time(one.at)}  {one.verb}: {one.changes}; {one.whose}; {one.outcome}{trouble}"


def _queue(contact: Contact) -> Iterator[str]:
    if contact.hold:
        yield f"held: {reason(contact)}"
    if contact.due_at is not None:
        yield f"next try: {in_local_time(contact.due_at)}"
    if contact.attempts:
        yield f"tries in vain: {contact.attempts}"
    if contact.error_text:
        yield f"last error: {in_local_time(contact.error_at)}, {contact.error_text}"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
