"""``manage.py demo``: the project's main job, played on this machine with real processes and real HTTP.

Over v3, where the story begins with Connect; or with ``--api v1`` over the API whose credentials are in the settings.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from example_project.demo.ground import Ground, GroundTaken, begin_anew
from example_project.demo.performance import Performance, Wishes
from example_project.demo.terminal import Screen


class Command(BaseCommand):
    help = "Tell the story of a small site and its Constant Contact account, then serve both until Ctrl-C."
    requires_system_checks = ()  # made when the database is there

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--api",
            choices=settings.DEMO_APIS,
            default=settings.DEMO_API,
            help="of Constant Contact (default: v3, or CTCT_DEMO_API)",
        )
        add("--once", action="store_true", help="tell the story, check every step, and end with 0 or 1")
        add("--directory", help="where everything is kept (default: .demo; with --once a temporary one)")
        add("--keep", action="store_true", help="with --once: use .demo and keep it")
        add("--fresh", action="store_true", help="empty the database of CTCT_DEMO_DATABASE first")
        add("--site-port", type=int, default=0, help="port of the site (default: a free one)")
        add("--sandbox-port", type=int, default=0, help="port of the sandbox (default: a free one)")
        add("--patience", type=float, default=20.0, help="longest wait for a step in seconds (default: 20)")
        add("--switch", action="append", default=[], metavar="NAME=VALUE", help="move a switch of the sandbox")

    def handle(self, *args: Any, **options: Any) -> None:
        ground = Ground.laid()
        if ground is None:
            self._begin_anew(options)
        wishes = Wishes(options["once"], options["fresh"], options["patience"], tuple(options["switch"]))
        _listen_for_the_end()
        try:
            status = Performance(ground, wishes, Screen(sys.stdout)).play()
        except KeyboardInterrupt:
            self.stdout.write("\nStopped; nothing is left running.")
            status = 130 if options["once"] else 0
        finally:
            ground.clear()
        sys.exit(status)

    def _begin_anew(self, options: dict[str, Any]) -> None:
        if "demo" not in sys.argv:
            raise CommandError("The demo begins this program anew: run it as “manage.py demo”.")
        passing = options["once"] and not options["keep"]
        try:
            begin_anew(
                api=options["api"],
                directory=options["directory"],
                default=None if passing else settings.BASE_DIR / ".demo",
                site_port=options["site_port"],
                sandbox_port=options["sandbox_port"],
            )
        except GroundTaken as taken:
            raise CommandError(str(taken)) from None


def _listen_for_the_end() -> None:
    """End in order on every signal that asks for it. A script's background job is born deaf to SIGINT."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means what it says
        signal.signal(signal.SIGHUP, _interrupt)


def _interrupt(*_: object) -> None:
    """End as by Ctrl-C: every process is stopped on the way out."""
    raise KeyboardInterrupt
