"""``ctct_lists``: show the lists at Constant Contact, make one, and say which is which for the site."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ... import adapters, catalogue
from ...conf import nearest
from ...models import Account, ContactList
from ...services import connect
from ..account_command import AccountCommand, in_local_time
from ..health import unbound_keys


class Command(AccountCommand):
    help = "Show the lists and bind keys to them. Exit code 1: a key that is used has no list, or its list is gone."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("--offline", action="store_true", help="show what was read last; call nobody")
        add("--create", action="append", default=[], metavar="NAME[=KEY]", help="make a list; may be repeated")
        add("--bind", action="append", default=[], metavar="KEY=ID_OR_NAME", help="bind a key; may be repeated")
        add("--unbind", action="append", default=[], metavar="KEY", help="take a key off its list; may be repeated")

    def carry_out(self, options: dict[str, Any]) -> int:
        alias = options["account"]
        creations = [_creation(text) for text in options["create"]]
        bindings = [_binding(text) for text in options["bind"]]
        if options["offline"] and creations:
            raise CommandError("A list can only be made at Constant Contact: leave out --offline.")
        if not options["offline"]:
            self._read(alias)
        account = Account.objects.for_alias(alias)
        for key in options["unbind"]:
            self._unbind(account, key)
        self._create(account, creations)
        for key, wanted in bindings:
            self._bind(account, key, _find(account, wanted))
        return self._show(account)

    def _read(self, alias: str) -> None:
        with connect(alias) as link:
            catalogue.read_lists(link)

    def _create(self, account: Account, creations: Iterable[tuple[str, str]]) -> None:
        for name, key in creations:
            with connect(account.alias) as link:
                row = catalogue.create_list(link, name)
            self.say(f"Made the list {row.remote_id}, {row}.")
            if key:
                self._bind(account, key, row)

    def _bind(self, account: Account, key: str, row: ContactList) -> None:
        if row.key and row.key != key:
            raise CommandError(f"{row} is bound to {row.key!r} already. Say --unbind {row.key} first.")
        if row.missing_since:
            raise CommandError(f"{row} is not at Constant Contact any more. Bind another list.")
        before = ContactList.objects.filter(account=account, key=key).exclude(pk=row.pk).first()
        catalogue.bind_list(account, key, row.remote_id)
        self.say(f"{key} is now {row}.")
        if before is not None:
            self.say(f"{before} is not managed any more: whoever is on it stays on it.")
        self._warn_of_a_key_that_nobody_uses(account, key)

    def _warn_of_a_key_that_nobody_uses(self, account: Account, key: str) -> None:
        known = {one for adapter in adapters.for_account(account.alias) for one in adapter.lists}
        if known and key not in known:
            self.say(f"No adapter maps the key {key!r}.{nearest(key, known)}")

    def _unbind(self, account: Account, key: str) -> None:
        bound = ContactList.objects.filter(account=account, key__isnull=False)
        row = bound.filter(key=key).first()
        if row is None:
            known = [one.key or "" for one in bound]
            raise CommandError(f"No list is bound to {key!r}.{nearest(key, known) if known else ''}")
        catalogue.unbind_list(row)
        self.say(f"{row} is not managed any more: whoever is on it stays on it.")

    def _show(self, account: Account) -> int:
        rows = list(ContactList.objects.filter(account=account))
        self.say_table(("ID", "MEMBERS", "KEY", "NAME"), [_columns(row) for row in rows])
        unbound = sorted(unbound_keys(account))
        for key in unbound:
            self.say(f"No list is bound to {key!r}. Bind it: manage.py ctct_lists --bind {key}=ID_OR_NAME")
        return int(bool(unbound) or any(row.key and row.missing_since for row in rows))


def _columns(row: ContactList) -> tuple[str, str, str, str]:
    gone = f" (missing since {in_local_time(row.missing_since)})" if row.missing_since else ""
    members = "?" if row.members is None else str(row.members)
    return row.remote_id, members, row.key or "-", f"{row.name}{gone}"


def _creation(text: str) -> tuple[str, str]:
    name, _, key = text.rpartition("=") if "=" in text else (text, "", "")
    if not name.strip():
        raise CommandError(f"--create {text!r} has no name. Write it as NAME or NAME=KEY.")
    return name.strip(), _checked_key(key.strip()) if "=" in text else ""


def _binding(text: str) -> tuple[str, str]:
    key, _, wanted = text.partition("=")
    if not wanted.strip():
        raise CommandError(f"--bind {text!r} names no list. Write it as KEY=ID_OR_NAME.")
    return _checked_key(key.strip()), wanted.strip()


def _checked_key(key: str) -> str:
    longest = ContactList._meta.get_field("key").max_length or 0
    if not 0 < len(key) <= longest or key != "".join(key.split()):
        raise CommandError(f"{key!r} cannot be a key: a key has 1 to {longest} characters and no blanks.")
    return key


def _find(account: Account, wanted: str) -> ContactList:
    """Return the one list of that id or name. Raise ``CommandError`` naming the candidates."""
    rows = list(ContactList.objects.filter(account=account))
    found = [row for row in rows if row.remote_id == wanted or row.name.casefold() == wanted.casefold()]
    if len(found) == 1:
        return found[0]
    candidates = ", ".join(f"{row.remote_id} ({row.name})" for row in found or rows) or "none were read yet"
    trouble = "is ambiguous; say the id" if found else "is no list of this account"
    raise CommandError(f"{wanted!r} {trouble}. Candidates: {candidates}.")
