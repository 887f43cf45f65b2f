"""``ctct_mirror``: find the wishes that changed without a signal, and mark them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ... import adapters
from ...adapters import MemberAdapter
from ...mirror import Mirrored, mirror_all
from ..account_command import AccountCommand


@dataclass(slots=True)
class _Count:
    members: int = 0
    changed: int = 0
    trouble: list[str] = field(default_factory=list)

    def add(self, outcome: Mirrored) -> None:
        self.members += 1
        self.changed += bool(outcome)
        if outcome.address_too_long:
            self.trouble.append(f"{outcome.member_key}: the address is too long to be kept; nothing is wished for her")
        if outcome.error:
            self.trouble.append(
                f"{outcome.member_key}: the adapter's rules raised {outcome.error}; the old wish stands"
            )


class Command(AccountCommand):
    help = "Compare every member with the tables and mark what changed. Calls nobody; a worker or ctct_drain goes on."
    all_accounts = True

    def carry_out(self, options: dict[str, Any]) -> int:
        chosen = list(adapters.for_account(options["account"]))
        if not chosen:
            self.say("No adapter in CTCT['ADAPTERS'] serves this account: no member is synced.")
        trouble = [line for adapter in chosen for line in self._mirror(adapter)]
        for line in trouble:
            self.say(line)
        return 1 if trouble else 0

    def _mirror(self, adapter: MemberAdapter) -> list[str]:
        """Mirror the members of one adapter; return a line for each who could not be mirrored."""
        label, count = adapter.model._meta.label, _Count()
        with self.progress(f"{label} mirrored", adapter.members().count()) as advance:
            for outcome in mirror_all(adapter):
                count.add(outcome)
                advance()
        self.say(f"{label} in {adapter.account}: {count.members} members, {count.changed} changed.")
        return count.trouble
