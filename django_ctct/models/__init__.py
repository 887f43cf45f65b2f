"""The tables. No I/O beyond the database, no policy, no network; may import types only."""

from .account import Account, AuthState, ContactList, Quota
from .clock import DatabaseNow, moment_of
from .contact import (
    Contact,
    FormerAddress,
    Hold,
    ListOptOut,
    Membership,
    PastAddress,
    Refusal,
    RemoteMembership,
    SyncState,
)
from .journal import ABSENT, AppendOnly, Consent, OptOut, Suppression, WriteAttempt

__all__ = [
    "ABSENT",
    "Account",
    "AppendOnly",
    "AuthState",
    "Consent",
    "Contact",
    "ContactList",
    "DatabaseNow",
    "FormerAddress",
    "Hold",
    "ListOptOut",
    "Membership",
    "OptOut",
    "PastAddress",
    "Quota",
    "Refusal",
    "RemoteMembership",
    "Suppression",
    "SyncState",
    "WriteAttempt",
    "moment_of",
]
