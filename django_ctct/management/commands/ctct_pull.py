"""``ctct_pull``: ask Constant Contact what happened there, or read all of it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from ...models import Account
from ...pull import Pulled, Turn, begin_walk, catch_up, is_walking, pull, restored
from ...services import Link, connect
from ..account_command import AccountCommand, as_sentence, in_local_time


class Command(AccountCommand):
    help = (
        "Read what changed at Constant Contact since the last pull; the first one reads every contact. Nothing is "
        "written there. Exit code 1: it could not be read, or another pull is at it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--full", action="store_true", help="read every contact; goes on where a pull was stopped")
        parser.add_argument(
            "--restored",
            action="store_true",
            help="say that a backup of this database was put back: nobody is added before what happened since is read, "
            "and every contact is read anew",
        )
        parser.add_argument("--seconds", type=float, metavar="N", help="stop after N seconds at the latest")

    def carry_out(self, options: dict[str, Any]) -> int:
        seconds = options["seconds"] if options["seconds"] is not None else float("inf")
        self._told = Pulled(Turn.NOTHING)
        with connect(options["account"]) as link, self.progress("contacts") as self._advance:
            if options["restored"]:
                restored(link.account)
            if options["full"]:
                begin_walk(link.account)
                pulled = pull(link, seconds=seconds, watch=self._watch)
            else:
                pulled = catch_up(link, seconds=seconds, watch=self._watch)
            return self._report(link, pulled)

    def _watch(self, pulled: Pulled) -> None:
        for _ in range(pulled.rows - self._told.rows):
            self._advance()
        self._told = pulled

    def _report(self, link: Link, pulled: Pulled) -> int:
        account = Account.objects.get(pk=link.account.pk)
        if pulled.error is not None:
            self.say(f"Stopped: {as_sentence(pulled.error)} What was read before is kept; run it again.")
            return 1
        if pulled.turn is Turn.NOTHING:
            self.say("Nothing was read: another pull is at it, or the account is paused. See ctct_status.")
            return 1
        self.say(f"{pulled.seen} contacts read, {pulled.new} of them new here, {pulled.again} to be looked at again.")
        if is_walking(account):
            self.say(f"{account.walk_seen} read so far; run it again to go on.")
        elif account.approved_at is None:
            self.say("Nothing is sent yet. Read the plan (ctct_plan --known), then approve it (ctct_plan --approve).")
        else:
            self.say(f"All that happened until {in_local_time(account.pulled_at)} is known here.")
        return 0
