"""A drain process for the matrix: ``python -m tests.crash.runner``.

It imports everything once, opens no connection, and forks a child for each line on its standard input:
``drain``, ``pull``, or ``wish``, a scenario's name and an address, with tabs between them. It answers each line with
the exit status of the child, as ``waitpid`` tells it, negative for a signal. A child is a full drain of the
package's own; it differs from ``manage.py ctct_drain`` only in that nothing is printed.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable


def act(words: list[str]) -> None:
    from django.db import transaction

    from django_ctct.drain import drain
    from django_ctct.pull import pull
    from django_ctct.services import connect

    from .points import Point, die_at
    from .scenarios import SCENARIOS

    if words[0] == "drain":
        drain("default")
        return
    if words[0] == "pull":
        with connect("default") as link:
            pull(link)
        return
    scenario, address = SCENARIOS[words[1]], words[2]
    with transaction.atomic():
        transaction.on_commit(lambda: die_at(Point.SITE_COMMITTED))
        scenario.wish(address)
        die_at(Point.SITE_BEFORE_COMMIT)


def in_a_child(work: Callable[[], None]) -> int:
    """Do something in a forked child and return how it ended."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - the parent must hear of it, whatever it is
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    import django

    django.setup()
    from django_ctct import drain  # noqa: F401
    from django_ctct.backends import atom_v1, json_v3  # noqa: F401

    from . import points, scenarios  # noqa: F401

    for line in sys.stdin:
        words = line.rstrip("\n").split("\t")
        sys.stdout.write(f"{in_a_child(lambda told=words: act(told))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
