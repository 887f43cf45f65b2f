"""``ctct_status``: how the accounts are doing, for people and for monitors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from ... import conf
from ...models import AuthState, Hold, SyncState
from ..account_command import AccountCommand, in_local_time
from ..health import Health, examine

_CONSENT = {state.value: str(state.label) for state in AuthState}


class Command(AccountCommand):
    help = "Show how the accounts are doing. Calls nobody. Exit code 1: something needs a person."
    all_accounts = True

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="one JSON document, for monitors")

    def carry_out(self, options: dict[str, Any]) -> int:
        aliases = [options["account"]] if options["account"] else list(conf.read().accounts)
        found = [examine(alias) for alias in aliases]
        unhealthy = any(True for one in found for _ in one.problems())
        if options["json"]:
            self.stdout.write(json.dumps(_document(found, not unhealthy), cls=DjangoJSONEncoder, indent=2))
        else:
            for one in found:
                for line in _lines(one):
                    self.say(line)
        return int(unhealthy)


def _document(found: list[Health], healthy: bool) -> dict[str, Any]:
    told = [{**asdict(one), "problems": list(one.problems()), "notes": list(one.notes())} for one in found]
    return {"healthy": healthy, "accounts": told}


def _lines(one: Health) -> Iterator[str]:
    yield f"Account {one.account}"
    yield f"  contacts      {_counts(one.contacts, SyncState)}"
    if any(one.held.values()):
        yield f"  held          {_counts({key: n for key, n in one.held.items() if n}, Hold)}"
    if one.oldest_pending_seconds is not None:
        yield f"  waits longest {one.oldest_pending_seconds} seconds"
    yield f"  calls today   {one.calls_today} of {one.calls_per_day}"
    yield f"  last answer   {in_local_time(one.last_answer_at)}"
    yield f"  news read     {in_local_time(one.news_read_at)}{' (behind: adds wait)' if one.behind else ''}"
    yield f"  all contacts  {_walk(one)}"
    yield f"  plan          {_approval(one)}"
    if one.consent != "fixed":
        yield f"  connection    {_CONSENT[one.consent]}, last renewed {in_local_time(one.renewed_at)}"
    if one.paused_until:
        yield f"  paused until  {in_local_time(one.paused_until)}: {one.pause_reason}"
    for note in one.notes():
        yield f"  note          {note}"
    for problem in one.problems():
        yield f"  PROBLEM       {problem}"


def _walk(one: Health) -> str:
    last = f"last read {in_local_time(one.walk_ended_at)}" if one.walk_ended_at else "never read to the end"
    return f"{last}, being read since {in_local_time(one.walk_begun_at)}" if one.walk_begun_at else last


def _approval(one: Health) -> str:
    if one.approved_at is None:
        return "not approved yet"
    return f"approved {in_local_time(one.approved_at)}" + (f" by {one.approved_by}" if one.approved_by else "")


def _counts(counted: Any, names: Any) -> str:
    return ", ".join(f"{number} {str(names(value).label).lower()}" for value, number in counted.items())
