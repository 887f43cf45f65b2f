"""Where a member stands: what the site wishes, what Constant Contact has, and whether the two agree.

It reads the package's tables as any site may. It calls nobody: the page never waits for the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django_ctct.models import (
    Consent,
    Contact,
    ContactList,
    ListOptOut,
    Membership,
    RemoteMembership,
    SyncState,
    WriteAttempt,
)
from django_ctct.types import ContactStatus, Outcome, Verb

from .models import Member

LIST_NAMES = {"free": "Free members", "sustainers": "Sustainers", "newsletter": "Newsletter"}
_SENTENCES = {
    SyncState.IN_SYNC: "Constant Contact has confirmed what this site wishes.",
    SyncState.PENDING: "A change is on its way. It arrives by itself.",
    SyncState.FAILED: "The last tries did not succeed. The office can see why in the admin.",
    SyncState.REFUSED: "A rule of this site asks for a list that this member has left. The member’s own word counts.",
    SyncState.FOREIGN: "This address is known at Constant Contact, but not by this site.",
}
_VERBS = {Verb.CREATE: "Created", Verb.UPDATE: "Updated", Verb.OPT_OUT: "Opted out"}
_OUTCOMES = {
    Outcome.OK: "confirmed",
    Outcome.OPEN: "under way",
    Outcome.NOT_SENT: "not sent",
    Outcome.REFUSED: "refused",
    Outcome.AMBIGUOUS: "unclear, to be verified",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One list: does the site wish her on it, is she on it, has she left it?"""

    name: str
    key: str
    wished: bool
    there: bool
    left: bool

    @property
    def managed(self) -> bool:
        return bool(self.key)

    @property
    def may_leave(self) -> bool:
        return self.managed and self.wished and not self.left

    @property
    def may_return(self) -> bool:
        return self.managed and self.wished and self.left


@dataclass(frozen=True, slots=True)
class Write:
    """One line of the history."""

    at: object
    what: str
    outcome: str
    on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """All that the member's page shows of the package's tables."""

    contact: Contact | None = None
    state: str = SyncState.PENDING
    lines: tuple[Line, ...] = ()
    writes: tuple[Write, ...] = field(default=(), repr=False)

    @property
    def label(self) -> str:
        return str(SyncState(self.state).label)

    @property
    def sentence(self) -> str:
        return _SENTENCES[SyncState(self.state)]

    @property
    def status(self) -> str:
        found = self.contact.status if self.contact else ""
        return ContactStatus(found).label if found else "Not there yet"

    @property
    def opted_out(self) -> bool:
        return self.contact is not None and self.contact.status == ContactStatus.DO_NOT_MAIL


def states(members: Iterable[Member]) -> dict[str, SyncState]:
    """Return the sync state of each member that the package knows, by address."""
    addresses = [one.email.lower() for one in members]
    found = Contact.objects.with_state().filter(account__alias="default", email__in=addresses)
    return {one.email: SyncState(one.state) for one in found}


def standing(member: Member) -> Standing:
    """Read where one member stands."""
    contacts = Contact.objects.with_state().select_related("account")
    contact = contacts.filter(account__alias="default", email=member.email.lower()).first()
    if contact is None:
        return Standing()
    names = dict(ContactList.objects.filter(account=contact.account).values_list("remote_id", "name"))
    return Standing(contact, contact.state, tuple(_lines(contact)), tuple(_writes(contact, names)))


def _lines(contact: Contact) -> Iterable[Line]:
    """Yield the managed lists, then the others that she is on."""
    wished = set(Membership.objects.filter(contact=contact).values_list("key", flat=True))
    there = set(RemoteMembership.objects.filter(contact=contact).values_list("list_id", flat=True))
    for one in sorted(ContactList.objects.filter(account=contact.account), key=_order):
        if one.key or one.pk in there:
            yield Line(str(one), one.key or "", one.key in wished, one.pk in there, _has_left(contact, one))


def _has_left(contact: Contact, one: ContactList) -> bool:
    """Say whether she opted out of this list, or of all, and has not asked to come back since."""
    at = list(ListOptOut.objects.filter(contact=contact, list=one).values_list("at", flat=True))
    at += [contact.opted_out_at] if contact.opted_out_at else []
    return bool(at) and not Consent.objects.filter(contact=contact, key=one.key or "", at__gt=max(at)).exists()


def _order(one: ContactList) -> tuple[int, str]:
    places = list(LIST_NAMES)
    return (places.index(one.key) if one.key in places else len(places), one.name)


def _writes(contact: Contact, names: dict[str, str]) -> Iterable[Write]:
    for one in WriteAttempt.objects.filter(contact=contact).order_by("-at")[:5]:
        on = tuple(sorted(names.get(each, each) for each in one.lists_after))
        yield Write(one.at, _VERBS[Verb(one.verb)], _OUTCOMES[Outcome(one.outcome)], on)
