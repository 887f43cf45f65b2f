"""``ctct_purge``: delete old writes that nothing rests on, where no beat does it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...privacy import KEEP_JOURNAL, purge


class Command(BaseCommand):
    help = "Delete writes that are older than a year and that nothing rests on. Consents and opt-outs stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=KEEP_JOURNAL.days, metavar="N", help="keep N days of writes")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] < 1:
            raise CommandError("Keep at least one day: the latest writes are what staff look at.")
        gone = purge(older_than=timedelta(days=options["days"]))
        if options["verbosity"]:
            self.stdout.write(f"{gone} old writes deleted.")
