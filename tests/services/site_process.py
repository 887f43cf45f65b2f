"""A site's web process for tests: ``python -m tests.services.site_process``.

For each line on its standard input, an address and a list with a tab between them, it serves one request and
answers with the status and the seconds it took. The kick's thread and its breaker live and die with it.
"""

from __future__ import annotations

import sys
import time


def main() -> None:
    import django

    from tests import celery_app  # noqa: F401 - as a project's __init__ does

    django.setup()
    from django.test import Client

    client = Client()
    for line in sys.stdin:
        email, name = line.rstrip("\n").split("\t")
        started = time.perf_counter()
        answer = client.post("/join/", {"email": email, "list": name})
        sys.stdout.write(f"{answer.status_code} {time.perf_counter() - started:.6f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
