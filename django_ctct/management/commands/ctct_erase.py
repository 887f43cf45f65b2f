"""``ctct_erase``: opt one address out at Constant Contact, then forget it here. Prints no address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from ... import privacy
from ...privacy import Erasure
from ...services import connect
from ...types import normalise_address
from ..account_command import AccountCommand

KEPT_THERE = (
    "Constant Contact keeps its own record of her, as Do Not Mail, with her details: no API of theirs erases a "
    "contact, so ask their support where that has to go as well."
)


class Command(AccountCommand):
    help = (
        "Opt an address out at Constant Contact and forget it here, but for a keyed hash that keeps it from being "
        "added again. Asks first. Exit code 1: nothing was erased yet; run it again."
    )
    #: How the command asks a person.
    ask: ClassVar[Callable[[str], str]] = staticmethod(input)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def carry_out(self, options: dict[str, Any]) -> int:
        if not options["yes"] and not self._is_sure(options["email"]):
            raise CommandError("Nothing was done: the address was not typed again.")
        with connect(options["account"]) as link:
            try:
                outcome = privacy.erase(link, options["email"])
            except ValueError as wrong:
                raise CommandError(str(wrong)) from None
        self._tell(outcome)
        return 0 if outcome.is_done else 1

    def _is_sure(self, email: str) -> bool:
        self.say("She will be opted out of everything, for good, and what is held about her here will be deleted.")
        try:
            typed = type(self).ask("Type the address again to go on: ")
        except EOFError:  # nobody is there to answer
            return False
        return normalise_address(typed) == normalise_address(email)

    def _tell(self, outcome: Erasure) -> None:
        if not outcome.is_done:
            self.say(f"Nothing was erased yet. {outcome.waits_for}")
            self.say("Her opt-out is recorded: nothing is added for her, and it is sent as soon as it can be.")
            self.say("Run the same command again in a few minutes.")
            return
        self.say("Opted out: Constant Contact sends her nothing from this account.")
        self.say(f"Erased: {outcome.rows} rows. Kept without her address: {outcome.consents} consents, and a keyed")
        self.say("hash of it, so that she is not added again unless she asks for it herself.")
        if outcome.addresses > 1:
            self.say(f"Her address was being changed: all {outcome.addresses} that she had are gone.")
        if outcome.member:
            self.say("A member of this site still has the address: it will be written down again, on no list, until")
            self.say("she is erased there too.")
        self.say(KEPT_THERE)
