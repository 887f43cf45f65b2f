"""``ctct_sandbox``: run a Constant Contact on this machine. All options are the sandbox's own."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from django_ctct.sandbox.__main__ import main


class Command(BaseCommand):
    help = "Run a Constant Contact on this machine, to try things out. Options: --help."
    requires_system_checks = ()  # it needs no settings of ours and no database

    def run_from_argv(self, argv: list[str]) -> None:
        """Give the sandbox all options but Django's own."""
        parser = self.create_parser(argv[0], argv[1], add_help=False, allow_abbrev=False)
        _own, rest = parser.parse_known_args(argv[2:])
        sys.exit(main(rest))

    def handle(self, *args: Any, **options: Any) -> None:
        if status := main([]):
            raise SystemExit(status)
