"""The tables. No I/O beyond the database, no policy, no network; may import types only."""

from .account import Account, ContactList, Quota
from .clock import DatabaseNow, moment_of
from .contact import Contact, Hold, ListOptOut, Membership, Refusal, RemoteMembership, SyncState
from .journal import ABSENT, Consent, WriteAttempt

__all__ = [
    "ABSENT",
    "Account",
    "Consent",
    "Contact",
    "ContactList",
    "DatabaseNow",
    "Hold",
    "ListOptOut",
    "Membership",
    "Quota",
    "Refusal",
    "RemoteMembership",
    "SyncState",
    "WriteAttempt",
    "moment_of",
]
