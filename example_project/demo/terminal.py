"""What the demo says. Colour and moving lines on a terminal only; elsewhere plain lines, so that a log can be read."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Callable
from typing import TextIO

__all__ = ["Screen"]

WIDTH = 96
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_WHEEL = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Screen:
    """Write to one stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = self._live and "NO_COLOR" not in os.environ

    def title(self, text: str) -> None:
        self._line(f"\n{self._paint(text, 'bold')}")

    def step(self, number: int, text: str) -> None:
        self._line(f"\n{self._paint(f'{number}. {text}', 'bold')}")

    def tell(self, text: str) -> None:
        """Say what happens, in whole sentences."""
        for line in textwrap.wrap(text, WIDTH - 3):
            self._line(f"   {line}")

    def quote(self, text: str) -> None:
        """Show what was read, as it is."""
        for line in text.splitlines():
            self._line(f"   {self._paint('│', 'dim')} {self._paint(line, 'cyan')}")

    def note(self, text: str) -> None:
        for line in textwrap.wrap(text, WIDTH - 3):
            self._line(f"   {self._paint(line, 'dim')}")

    def good(self, text: str, seconds: float) -> None:
        self._line(f"   {self._paint('✓', 'green')} {text} {self._paint(f'({seconds:.1f} s)', 'dim')}")

    def bad(self, text: str, seconds: float) -> None:
        self._line(f"   {self._paint('✗', 'red')} {text} {self._paint(f'({seconds:.1f} s)', 'dim')}")

    def pairs(self, rows: list[tuple[str, str]]) -> None:
        """Show names and values in two columns."""
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            self._line(f"   {name:<{width}}  {self._paint(value, 'cyan')}")

    def wait_until(self, ready: Callable[[], bool], what: str, seconds: float) -> bool:
        """Wait at most ``seconds``, and let the reader see that and for what. Say whether it came."""
        start = told = time.monotonic()
        turn = 0
        while not (came := ready()) and time.monotonic() - start < seconds:
            turn += 1
            self._show_wait(what, turn, time.monotonic() - start)
            if not self._live and time.monotonic() - told >= 5:
                told = time.monotonic()
                self.note(f"still waiting for {what} ({told - start:.0f} s of at most {seconds:.0f} s)")
            time.sleep(0.1)
        self._clear()
        return came

    def _show_wait(self, what: str, turn: int, passed: float) -> None:
        if self._live:
            sign = _WHEEL[turn % len(_WHEEL)]
            self._write(f"\r\033[K   {self._paint(sign, 'yellow')} waiting for {what} {passed:.1f} s")

    def _clear(self) -> None:
        if self._live:
            self._write("\r\033[K")

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{_CODES[colour]}m{text}\033[0m" if self._colour else text

    def _line(self, text: str) -> None:
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
