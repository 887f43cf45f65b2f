"""What the commands share: the account option, errors in one sentence, exit codes, tables and progress.

A command prints no traceback for an error of ours and no address, but for those that are about people: ``ctct_plan``,
``ctct_explain`` and ``ctct_verify``. Exit codes: 0 all is well, 1 something needs a person or could not be done, 2 a
wrong option.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from .. import conf
from ..exceptions import (
    AmbiguousWrite,
    AuthenticationFailed,
    ConfigurationError,
    CtctError,
    QuotaExhausted,
    RateLimited,
    RemoteUnavailable,
)

__all__ = ["AccountCommand", "as_sentence", "in_local_time"]


class AccountCommand(BaseCommand):
    """A command about one account, or about all of them where ``all_accounts`` says so."""

    all_accounts: ClassVar[bool] = False
    #: How often a plain line tells of the progress (seconds).
    plain_every: ClassVar[float] = 10.0

    def add_arguments(self, parser: CommandParser) -> None:
        default = None if self.all_accounts else conf.DEFAULT_ACCOUNT
        told = "all of them" if self.all_accounts else repr(default)
        parser.add_argument(
            "--account", default=default, metavar="ALIAS", help=f"alias in CTCT['ACCOUNTS'] (default: {told})"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Carry the command out and turn what happened into an exit code."""
        try:
            self._check_account(options["account"])
            status = self.carry_out(options)
        except (ConfigurationError, CtctError) as error:
            raise CommandError(f"{as_sentence(error)} {_advice(error, options['account'])}".rstrip()) from error
        if status:
            raise SystemExit(status)

    def carry_out(self, options: dict[str, Any]) -> int:
        """Do what the command is for and return its exit code."""
        raise NotImplementedError

    def _check_account(self, alias: str | None) -> None:
        if alias is None:
            conf.read()
        else:
            conf.account(alias)

    def say(self, text: str = "") -> None:
        """Print a line, unless ``-v 0`` asks for silence."""
        if self.verbosity:
            self.stdout.write(text)

    def say_table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print rows in columns as wide as they need to be."""
        lines = [head, *rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        for line in lines:
            self.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())

    @contextmanager
    def progress(self, title: str, total: int | None = None) -> Iterator[Callable[[], None]]:
        """Yield what is to be called after each step: a bar where rich and a terminal are there, else plain lines."""
        bar = _bar() if self.verbosity and sys.stderr.isatty() else None
        if bar is None:
            yield self._plain_lines(title, total)
            return
        with bar:
            task = bar.add_task(title, total=total)
            yield lambda: bar.advance(task)

    def _plain_lines(self, title: str, total: int | None) -> Callable[[], None]:
        done, told = 0, time.monotonic()

        def advance() -> None:
            nonlocal done, told
            done += 1
            if time.monotonic() - told >= self.plain_every:
                told = time.monotonic()
                self.say(f"{title}: {done}" + (f" of {total}" if total is not None else ""))

        return advance

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.verbosity: int = options.get("verbosity", 1)
        return super().execute(*args, **options)


def in_local_time(moment: datetime | None) -> str:
    """Write a moment in the site's time zone; ``never`` where there is none."""
    return timezone.localtime(moment).isoformat(" ", "seconds") if moment else "never"


def _bar() -> Any:
    """Return rich's progress bar on stderr; None where rich is not installed."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        return None
    return Progress(console=Console(stderr=True))


def as_sentence(error: Exception) -> str:
    """Return an error's text as a sentence that others can follow."""
    text = str(error)
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _advice(error: Exception, alias: str | None) -> str:
    match error:
        case AuthenticationFailed(code="not_connected" | "reconnect"):
            return f"Connect it in the admin, or with ctct_connect --account {alias or conf.DEFAULT_ACCOUNT}."
        case AuthenticationFailed():
            return f"Check the credentials in CTCT['ACCOUNTS'][{alias or conf.DEFAULT_ACCOUNT!r}]['OPTIONS']."
        case RateLimited():
            return f"Try again in {error.retry_after:.0f} seconds."
        case QuotaExhausted():
            return f"Try again after {in_local_time(error.until)}."
        case AmbiguousWrite():
            return "It may have been done all the same: look before you repeat it."
        case RemoteUnavailable():
            return "Nothing was changed. Try again later."
    return ""
