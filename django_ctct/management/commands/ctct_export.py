"""``ctct_export``: print all that is held about one address, for the person who asks for it."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ... import privacy
from ...models import Account
from ..account_command import AccountCommand


class Command(AccountCommand):
    help = (
        "Print all that is held about an address as one JSON document. Calls nobody. Prints personal data. "
        "Exit code 1: nothing is held."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument("--indent", type=int, metavar="N", help="indent by N blanks, to be read by people")

    def carry_out(self, options: dict[str, Any]) -> int:
        document = privacy.export(Account.objects.for_alias(options["account"]), options["email"])
        if not privacy.is_held(document):
            raise CommandError("Nothing is held about this address.")
        # ASCII alone, so that it can be printed on any terminal.
        self.stdout.write(json.dumps(document, indent=options["indent"]))
        return 0
