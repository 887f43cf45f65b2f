"""``ctct_verify``: before a campaign: does the list hold exactly whom the site wants on it?"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from ...services import connect
from ...verify import Count, Difference, Kind, Reason, bound_list, compare
from ..account_command import AccountCommand
from ..health import examine

#: Differences that are named without --all.
SHOWN = 50

_SIGNS = {Kind.MISSING: "missing", Kind.EXTRA: "extra"}
_REASONS = {
    Reason.WAITS: "the change is under way",
    Reason.FAILED: "it could not be done",
    Reason.GONE: "she was on it when last read, so she left it or was taken off there since",
    Reason.CHANGED: "it was changed while the list was read: run this again",
    Reason.UNKNOWN: "she was not on it when last read either, though in sync: run ctct_pull, then this again",
    Reason.UNWANTED: "no rule wants her there",
    Reason.ADDED: "no rule wants her there: somebody added her at Constant Contact",
    Reason.RULED_OUT: "she has left it or opted out, and is still on it",
}


class Command(AccountCommand):
    help = (
        "Walk one list at Constant Contact and say who is on it and should not be, or the other way round. Writes "
        "nothing. Prints addresses. Exit code 0: the list is exactly right, 1: it is not."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("key", metavar="KEY", help="the site's name for the list")
        parser.add_argument("--all", action="store_true", help=f"name all differences, not only the first {SHOWN}")

    def carry_out(self, options: dict[str, Any]) -> int:
        alias, count = options["account"], Count()
        with connect(alias) as link, self.progress("members read") as advance:
            one = bound_list(link.account, options["key"])
            self.say(f"{one} ({one.key}):")
            for shown, difference in enumerate(compare(link, one, count, watch=advance)):
                self._tell(difference, shown, None if options["all"] else SHOWN)
        self._sum_up(count)
        if not count.is_exact:
            self._say_why(alias)
        return int(not count.is_exact)

    def _tell(self, difference: Difference, shown: int, most: int | None) -> None:
        if most is not None and shown >= most:
            if shown == most:
                self.say("  … and more: say --all to see them all.")
            return
        state = f" ({difference.state})" if difference.state else ""
        self.say(f"  {_SIGNS[difference.kind]:<8} {difference.email}: {_REASONS[difference.reason]}{state}")

    def _sum_up(self, count: Count) -> None:
        self.say(f"{count.on_list} on the list, {count.wanted} wanted there, {count.right} of them right.")
        for number, what in (
            (count.withheld, "wanted and rightly not there: they have left it or opted out."),
            (count.kept, "added at Constant Contact and kept, as the list's policy says."),
            (count.strangers, "subscribers of the list's own: no members of the site, never touched."),
        ):
            if number:
                self.say(f"{number} {what}")
        differences = f"{count.missing} missing, {count.extra} too many."
        self.say("Exactly as the site wants it." if count.is_exact else differences)

    def _say_why(self, alias: str) -> None:
        """Name what concerns all of them."""
        health = examine(alias)
        for line in [*health.problems(), *health.notes()]:
            self.say(line)
