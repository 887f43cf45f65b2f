"""A canary for the whole suite: nothing personal or secret in any log record or task message of the package.

All people of the tests live at example.com and have few names, and all secrets of the tests have a known shape, so
that one look at each record and each message finds a leak wherever it arises (DESIGN §3, 8; R18).
"""

from __future__ import annotations

import logging
import re
from typing import Any

#: The tests' people. Short and common words (King, Lea, Ray) are left out: they would be heard in other texts.
NAMES = (
    *("Ada", "Augusta", "Bob", "Dora", "Faye", "Grace", "Kim", "Nell", "Noor", "Tess", "Zoë"),
    *("Byron", "Hopper", "Lee-Meier", "Lovelace", "Newman", "Ortiz", "Weiß", "Wolfeschlegelsteinhausenbergerdorff"),
)
#: What the tests' servers give, and what the tests' settings hold.
SECRETS = (
    r"sandbox-(?:key|password|token|secret)",
    r"secret-(?:key|token)",
    r"canary-(?:access|refresh|client-secret|device|code|state|description)",
)
#: What the vault has sealed (Fernet) is nobody's to log either: whoever has the key reads it.
SEALED = r"\bgAAAA[\w-]{10,}"
#: Whatever looks like chance: the sandbox's tokens, states, verifiers, signed links. Ids are shorter, or lower-case.
CHANCE = r"(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{40,}"
#: Addresses in any case, also as a part of a URL.
ADDRESSES = r"(?i:(?:@|%40)example\.com)"

LEAK = re.compile("|".join([ADDRESSES, SEALED, CHANCE, *SECRETS, rf"\b(?:{'|'.join(NAMES)})\b"]))


class Canary(logging.Handler):
    """Keep what nobody may log or send. Texts are kept without the message itself, which would be a leak again."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        told = logging.Formatter().format(record)  # with the traceback, as a log file has it
        if LEAK.search(told):
            self.leaks.append(f"a log record of {record.name} at {record.filename}:{record.lineno}")

    def see_message(self, sender: Any = None, body: Any = None, **_: Any) -> None:
        """Look at a task message that is about to be published."""
        if LEAK.search(repr(body)):
            self.leaks.append(f"a message for {sender}")

    def take(self) -> list[str]:
        """Return what was found since the last time."""
        found, self.leaks = self.leaks, []
        return found
