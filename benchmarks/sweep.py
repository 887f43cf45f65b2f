"""What the sweep asks of a large table: ``python -m benchmarks.sweep [contacts]``.

A million contacts, all in sync but a thousand that are due, spread over the table. Each round asks for the next
batch as a drain does; then one claim is timed. ``CTCT_TEST_DATABASE`` picks the database. Goal R19: at most 5 ms
at the 99th percentile, and a partial index of at most 1 MB.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from .site import site

DUE = 1000
ROUNDS = 500


def fill(contacts: int) -> int:
    """Make the contacts; return the account's id."""
    from django.utils import timezone

    from django_ctct.models import Account, Contact

    account = Account.objects.for_alias("default")
    now, every = timezone.now(), contacts // DUE

    def row(number: int) -> Contact:
        contact = Contact(account=account, email=f"p{number}@example.com", claimed=True, desired_gen=1, applied_gen=1)
        if number % every == 0:
            contact.desired_gen, contact.due_at, contact.priority = 2, now, number % 3
        return contact

    for first in range(0, contacts, 5000):
        Contact.objects.bulk_create([row(number) for number in range(first, min(first + 5000, contacts))])
    return account.pk


def index_size() -> str:
    """Return the size of the index of due contacts, where the database tells it."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return "not told"
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("SELECT pg_relation_size('ctct_contact_due')")
        return f"{cursor.fetchone()[0] / 2**20:.2f} MiB"


def timed(act: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    answer = act()
    return (time.perf_counter() - started) * 1000, answer


def main() -> None:
    contacts = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with site():
        from django.db import connection

        from django_ctct import outbox

        account_id = fill(contacts)
        size = index_size()
        asked, claimed = [], []
        for _ in range(ROUNDS):
            took, found = timed(lambda: outbox.due(account_id, limit=100))
            asked.append(took)
            took, claim = timed(lambda first=found[0]: outbox.claim(first))
            claimed.append(took)
            assert claim is not None
        sys.stdout.write(
            f"{contacts:,} contacts, {DUE:,} due, {connection.vendor}; index {size}; in ms:  median  99 %\n"
        )
        for name, times in (("the next 100 due", asked), ("one claim", claimed)):
            high = statistics.quantiles(times, n=100)[98]
            sys.stdout.write(f"  {name:18} {statistics.median(times):8.2f} {high:8.2f}\n")


if __name__ == "__main__":
    main()
