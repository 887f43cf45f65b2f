"""``ctct_move``: after the account's BACKEND was changed, give lists and contacts their ids on the new API."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from ... import moving
from ...moving import Found, ListMove, Move
from ...services import connect
from ..account_command import AccountCommand


class Command(AccountCommand):
    help = (
        "Move an account to another API (v1 to v3). Shows the plan; with --yes carries it out. No wish changes, and "
        "nothing is written to Constant Contact. Stop the workers before you change the BACKEND, and start them "
        "after the move. Exit code 1: a managed list has no counterpart, or writes are under way."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--yes", action="store_true", help="carry the plan out")

    def carry_out(self, options: dict[str, Any]) -> int:
        with connect(options["account"]) as link:
            planned = moving.plan_move(link)
            self._show(planned)
            if planned.lost:
                self.say("Nothing was changed.")
            elif planned.is_done:
                self.say("Nothing is left to move.")
            elif options["yes"]:
                moving.move(link, planned)
                self.say("Moved.")
            else:
                self.say(f"Nothing was changed. Carry it out: manage.py ctct_move --account {options['account']} --yes")
        return int(bool(planned.lost))

    def _show(self, planned: Move) -> None:
        if planned.lists:
            self.say_table(("KEY", "NAME", "ID NOW", "ID ON THE NEW API"), [_columns(one) for one in planned.lists])
        if planned.contacts:
            by_id, by_address, nowhere = (planned.count(how) for how in Found)
            self.say(f"{len(planned.contacts)} contacts have an id of another API:")
            self.say(f"{by_id} found by the cross-reference, {by_address} by their address, {nowhere} not found.")
        if nowhere := planned.count(Found.NOWHERE):
            self.say(f"{nowhere} may have another address there by now: held for review, so that none is there twice.")
        for row in planned.lost:
            self.say(f"{row} ({row.key}) has no certain counterpart: see that one list there has that name, and no")
            self.say("other key of yours has it.")


def _columns(one: ListMove) -> tuple[str, str, str, str]:
    to = one.to.remote_id if one.to else "none for certain"
    return one.row.key or "-", one.row.name, one.row.remote_id, to
