"""The verbs that every wire speaks, and the names of the fields that travel on them.

A backend turns verbs into requests and answers into values. It decides nothing: no policy, no retry, no
database. The gate (and on v3 the token store) is handed in. It may import types and exceptions only.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Protocol

from ..exceptions import RequestRejected
from ..types import Collection, ContactStatus, ContactSummary, Page, Permit, RemoteContact, RemoteList, Verb

__all__ = ["BaseBackend", "FieldLimit", "Fitted", "Gate", "NoGate", "Tokens"]


class Gate(Protocol):
    """What a backend asks before each request."""

    def acquire(self) -> None:
        """Return when a request may be sent. Raise ``QuotaExhausted`` or ``RateLimited`` when it may not."""

    def begun(self) -> None:
        """Hear that a part of a write is done, so that what follows belongs to it and does not grow old."""


class Tokens(Protocol):
    """Where a wire with OAuth 2 gets its access tokens: the account's store, shared by all workers.

    Both verbs raise ``AuthenticationFailed`` when only a person can connect the account again, and a
    ``TransientError`` when a token cannot be had just now.
    """

    def current(self) -> str:
        """Return an access token that should be good for a while, renewed first when it is about to end."""

    def instead_of(self, refused: str) -> str:
        """Return another token than the one that the server has just refused with a 401."""


class NoGate:
    """A gate that is always open: for tests and for the in-memory backend."""

    def acquire(self) -> None:
        return None

    def begun(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class FieldLimit:
    """What one contact field takes. ``max_length`` is in characters.

    Text that is too long is cut, because a list change must not wait for a company's long name. A coded value
    (``pattern``) that does not fit is left out instead: half a country code is another country.
    """

    max_length: int
    pattern: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """Fields as they can be sent, and one sentence for each value that had to be changed or left out."""

    fields: Mapping[str, str]
    problems: Mapping[str, str]


# XML 1.0 cannot carry most control characters, and a line break has no place in a name.
_UNSENDABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff\ud800-\udfff]+")


class BaseBackend(ABC):
    """One wire protocol, one account.

    Every verb may raise the errors of ``exceptions.RemoteError``: ``TransientError`` and ``PermanentError``
    from any, ``AmbiguousWrite`` only from verbs that write.
    """

    #: The fields this wire can carry, by the package's name (``first_name`` … ``custom:15``).
    fields: ClassVar[Mapping[str, FieldLimit]]
    #: The longest address it takes, in characters.
    email_max_length: ClassVar[int] = 80

    #: Whether it speaks with tokens that staff's consent gives (OAuth 2). Then ``tokens`` is handed in.
    uses_tokens: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, Any], *, gate: Gate | None = None, tokens: Tokens | None = None) -> None:
        """Take ``OPTIONS`` of the account. Raise ``ConfigurationError`` where one is missing or unusable."""
        self.gate: Gate = gate or NoGate()
        self.tokens = tokens
        #: What the wire has learned of the account and may use the next time, as JSON. The account's row keeps it.
        self.memory: dict[str, Any] = {}

    # Contacts

    @abstractmethod
    def find(self, email: str) -> RemoteContact | None:
        """Look an address up, whatever its status, and read the whole contact.

        None may be a fault of the server's that looks like it (v1). A create that follows would be refused; before
        anything else follows from it, call ``assure_absent``.
        """

    def assure_absent(self, email: str) -> None:  # noqa: B027 - most wires have nothing to do
        """Make sure that the last look-up of this address told the truth when it found nobody.

        Raise ``RemoteUnavailable`` where that cannot be said, and ``RemoteConflict`` when she is there after all.
        Where no fault looks like "nobody", there is nothing to do.
        """

    @abstractmethod
    def get(self, remote_id: str) -> RemoteContact | None:
        """Read one contact; None when it is not there (any more)."""

    @abstractmethod
    def create(self, permit: Permit) -> RemoteContact:
        """Add a contact. Raise ``RemoteConflict`` when the address exists in any status, with whose it is if told."""

    @abstractmethod
    def update(self, existing: RemoteContact, permit: Permit) -> None:
        """Write ``existing`` back with the permit's lists, fields and source; all else unchanged."""

    @abstractmethod
    def opt_out(self, existing: RemoteContact, permit: Permit) -> None:
        """Put the contact on Do Not Mail, for good. Nothing but an explicit opt-out may call this.

        Raise ``RequestRejected`` (code ``deleted``) where that has to wait until the account brings her back.
        """

    @abstractmethod
    def changed_since(
        self, moment: datetime, *, status: ContactStatus | None = None, list_id: str | None = None
    ) -> Iterator[ContactSummary]:
        """Yield contacts changed at or after ``moment`` (aware), of one status or on one list."""

    @abstractmethod
    def contacts(self) -> Iterator[ContactSummary]:
        """Yield every contact of the account, whatever its status."""

    # Feeds for the pull (``pull``)

    #: Whether opt-outs have to be asked for by themselves: it is not known whether they count as changes (v3).
    asks_for_opt_outs: ClassVar[bool] = False

    #: Whether a walk tells of lists by walking their members (v1), because its contacts do not name them.
    walks_lists: ClassVar[bool] = False

    @abstractmethod
    def changes(self, since: datetime) -> Iterator[Page]:
        """Yield what changed at or after ``since`` (aware), whatever its status, page by page.

        One request for each page and nothing else: where nothing happened 1 on v3, 3 on v1 (one for each status).
        A contact may be told of more than once. The pages' cursors mean nothing here.
        """

    def opt_outs(self, since: datetime) -> Iterator[Page]:
        """Yield who opted out at or after ``since`` (aware). The default has nothing to ask: ``changes`` tells."""
        return iter(())

    @abstractmethod
    def walk(self, lists: Sequence[str], cursor: str = "") -> Iterator[Page]:
        """Yield every contact of the account, whatever its status, then on v1 the members of each of ``lists``.

        ``cursor`` is a page's, from any process: the walk goes on behind that page. Raise ``RequestRejected`` (code
        ``cursor``) where the server, or the wire, does not know it any more: then walk from the beginning. ``lists``
        may be others than before: one that is new is walked, wherever the walk is, and one that is left out is not.
        """

    # Lists

    @abstractmethod
    def lists(self) -> Iterator[RemoteList]:
        """Yield the account's own lists; never the system ones."""

    @abstractmethod
    def get_list(self, list_id: str) -> RemoteList | None:
        """Read one list; None when it is not there (any more)."""

    @abstractmethod
    def create_list(self, name: str) -> RemoteList:
        """Add a list. Raise ``RemoteConflict`` when the name is taken."""

    @abstractmethod
    def rename_list(self, list_id: str, name: str) -> None:
        """Give a list another name. Raise ``RemoteConflict`` when the name is taken."""

    @abstractmethod
    def delete_list(self, list_id: str) -> None:
        """Delete a list; its members stay contacts."""

    @abstractmethod
    def members(self, list_id: str) -> Iterator[ContactSummary]:
        """Yield the members of a list."""

    # Ids of another wire (``moving``)

    @classmethod
    def is_own_id(cls, remote_id: str) -> bool:
        """Say whether an id can be one of this wire's: a number, unless the wire has others."""
        return re.fullmatch(r"[0-9]{1,19}", remote_id) is not None

    def new_ids(self, collection: Collection, ids: Sequence[str]) -> Mapping[str, str]:
        """Return this wire's ids for those of an older one (500 at most), as far as the server knows them.

        Reads only. The default knows none: then lists go by their name and contacts by their address.
        """
        return {}

    def close(self) -> None:
        """Give back connections. The default has none."""
        return

    # Permits and fields

    @classmethod
    def sendable(cls, permit: Permit, verb: Verb) -> Permit:
        """Return the permit with its fields fitted, for each write to begin with.

        Fitting twice changes nothing, so it does no harm where the caller did it. Raise ``RequestRejected`` where
        the server could only refuse, and ``ValueError`` for a permit of another verb: that is a mistake in the code.
        """
        if permit.verb is not verb:
            raise ValueError(f"This permit is for {permit.verb}, not for {verb}.")
        if problem := cls.email_problem(permit.email):
            raise RequestRejected(problem, code="bad_address")
        if verb is Verb.CREATE and not permit.lists:
            raise RequestRejected("Nobody is created on no list.", code="no_valid_list")
        return replace(permit, fields=cls.fit(permit.fields).fields)

    @classmethod
    def fit(cls, fields: Mapping[str, str]) -> Fitted:
        """Make the site's values sendable: clean them, cut text that is too long, leave out wrong codes."""
        fitted: dict[str, str] = {}
        problems: dict[str, str] = {}
        for name, raw in fields.items():
            value, problem = cls._fit_one(name, raw)
            if value:
                fitted[name] = value
            if problem:
                problems[name] = problem
        return Fitted(fitted, problems)

    @classmethod
    def limit_of(cls, name: str) -> FieldLimit | None:
        """Return what a field takes; None for one that this wire does not have.

        A wire whose accounts have fields of their own (v3) knows more names than ``fields`` can list.
        """
        return cls.fields.get(name)

    @classmethod
    def _fit_one(cls, name: str, raw: str) -> tuple[str, str]:
        limit = cls.limit_of(name)
        if limit is None:
            return "", f"{name} is not a field that this account's API has: it is not sent."
        value = " ".join(_UNSENDABLE.sub(" ", raw).split())
        if limit.pattern is not None:
            fits = limit.pattern.fullmatch(value)
            return (
                (value, "")
                if fits
                else ("", f"{name} does not have a value that Constant Contact knows: it is not sent.")
            )
        if len(value) > limit.max_length:
            kept = value[: limit.max_length].rstrip()
            return (
                kept,
                f"{name} has {len(value)} characters; Constant Contact takes {limit.max_length}: it is sent cut.",
            )
        return value, ""

    @classmethod
    def email_problem(cls, email: str) -> str:
        """Say in one sentence why an address cannot be sent, or return an empty string."""
        if len(email) > cls.email_max_length:
            return f"The address has {len(email)} characters; Constant Contact takes {cls.email_max_length}."
        if _UNSENDABLE.search(email) or " " in email:
            return "The address holds a character that no address can have."
        if not re.fullmatch(r"[^@]+@[^@]+\.[^@.]+", email):
            return "The address is not an e-mail address."
        return ""
