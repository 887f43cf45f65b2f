"""The signals that a site may listen to. Sender is ``django_ctct.models.Contact``, or ``Account`` where it says so.

Every one is sent after the fact is committed, with ``contact`` (the row), by ``send_robust``: a receiver that
fails is logged and changes nothing. This module may import nothing of the package.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = [
    "contact_failed",
    "contact_opted_out",
    "contact_refused",
    "contact_synced",
    "reconnect_needed",
    "work_due",
]

#: For the package itself: a committed change is waiting for a worker. Gives ``alias``; ``receivers`` kick.
work_due = Signal()

#: Constant Contact has confirmed the present wish. Also gives ``plan``.
contact_synced = Signal()
#: The wish was understood and not carried out, because the person opted out or left a list. Also gives ``plan``.
contact_refused = Signal()
#: A try failed. Also gives ``error`` (a ``CtctError``).
contact_failed = Signal()
#: An opt-out became known: made here, or seen at Constant Contact. Also gives ``source`` (an ``OptOutSource``).
contact_opted_out = Signal()
#: The consent has ended and a person must connect the account again. Sender is ``Account``; gives ``account``.
reconnect_needed = Signal()
