"""A worker for tests of the token store: ``python -m tests.services.token_worker``.

For each line on its standard input it asks for an access token as a wire does, and answers with the first part of
it, or with the error's code. ``current`` asks for a good one, anything else is a token that was refused.
"""

from __future__ import annotations

import hashlib
import sys


def fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def main() -> None:
    import django

    django.setup()
    from django_ctct import services
    from django_ctct.exceptions import CtctError

    print("ready", flush=True)
    for line in sys.stdin:
        try:
            with services.connect("default") as link:
                assert link.tokens is not None
                word = line.strip()
                token = link.tokens.current() if word == "current" else link.tokens.instead_of(word)
            told = fingerprint(token)
        except CtctError as error:
            told = f"error {getattr(error, 'code', type(error).__name__)}"
        print(told, flush=True)


if __name__ == "__main__":
    main()
