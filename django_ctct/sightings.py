"""One page of a feed, taken into the tables: by sets, so that a page costs the same few queries whoever is on it.

A feed tells *that* something is new. About a contact that the site may write to it only says "look again": the
reading, the departures and the journal are the worker's, under its lease (``services``). An opt-out alone is
written down at once, because the worker may be long in coming, and does not come to who is held. Two kinds are taken
as told, because no write of ours can be under way for them: strangers, and members whom nobody has looked at yet
(the first pull of an account that has contacts already). Nothing here makes a request. It may import models,
outbox, addresses, ledger, planning, vault and types only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery

from . import addresses, outbox, vault
from .ledger import QUARANTINE
from .models import (
    Consent,
    Contact,
    ContactList,
    DatabaseNow,
    ListOptOut,
    Membership,
    RemoteMembership,
    Suppression,
    WriteAttempt,
    moment_of,
)
from .types import ConsentKind, ContactStatus, OptOutSource, Outcome, Priority, RemoteRemoval, Sighting

__all__ = ["Taken", "end_walk", "take_in"]

#: How far two clocks are apart after one was set by the other: v3 counts in whole seconds, and an answer travels.
BLUR = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a page came to: how many contacts it told of, how many are to be read again, how many are new strangers.

    ``rows`` counts the members of a list too, whom the feed of contacts told of already. ``opted_out`` are the ids of
    members of the site's whose opt-out nobody had seen yet.
    """

    rows: int = 0
    seen: int = 0
    again: int = 0
    new: int = 0
    opted_out: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """A contact's row as far as a feed can contradict it. ``lists`` are the ids that it was last known to be on."""

    pk: int
    email: str
    remote_id: str | None
    status: str
    desired_gen: int
    opted_out_at: datetime | None
    opted_out_source: str
    opted_out_seen_at: datetime | None
    seen_at: datetime | None
    adoptable: bool
    written_at: datetime | None
    moment: datetime
    lists: set[str] = field(default_factory=set)

    @property
    def is_ours(self) -> bool:
        return self.desired_gen > 0

    def is_edited(self, one: Sighting, answered: datetime | None) -> bool:
        """Say whether she was changed after our last reading, and not by our last write.

        ``answered`` is when she was told of by the server's own clock, which ``moment`` is set by.
        """
        if one.updated_at is None:
            return False
        at = one.updated_at + (self.moment - answered) if answered else one.updated_at
        was_read = self.seen_at is not None and at < self.seen_at - BLUR
        was_written = self.written_at is not None and at <= self.written_at + BLUR
        return not was_read and not was_written


_OPTED_OUT = ("opted_out_at", "opted_out_source", "opted_out_seen_at")
_COLUMNS = ("pk", "email", "remote_id", "status", "desired_gen", *_OPTED_OUT, "seen_at")
_ANNOTATED = ("adoptable", "written_at", "moment")


def take_in(
    account_id: int, sightings: Iterable[Sighting], *, walk: int = 0, answered: datetime | None = None
) -> Taken:
    """Take in one page. ``walk`` is the number of the full pull it belongs to, 0 for an incremental one.

    ``answered`` is when the page was given by the server's own clock, None where it does not say.
    """
    page = _Page(account_id, {(one.email, one.on_list): one for one in sightings}.values(), walk, answered)
    with transaction.atomic():
        page.sort()
        page.write()
    seen = sum(not one.on_list for one in page.told)
    return Taken(len(page.told), seen, len(page.again), len(page.new), tuple(page.opted_out))


class _Page:
    """The rows of one page, sorted by what has to be done about them."""

    def __init__(
        self, account_id: int, told: Collection[Sighting], walk: int, answered: datetime | None = None
    ) -> None:
        self.account_id, self.told, self.walk, self.answered = account_id, told, walk, answered
        self.known = _known(account_id, told)
        self.by_id = {one.remote_id: one for one in self.known.values() if one.remote_id}
        self.new: list[Sighting] = []
        self.again: set[int] = set()
        self.urgent: set[int] = set()
        self.out: dict[int, Sighting] = {}
        self.taken: list[tuple[_Known, Sighting]] = []
        self.moved: dict[int, str] = {}
        self.opted_out: list[int] = []

    def sort(self) -> None:
        unknown: list[Sighting] = []
        for one in self.told:
            row = self.known.get(one.email)
            if self._is_renamed(one):
                if row and row.is_ours:
                    self._look_again(row, one)
            elif row is None:
                unknown.append(one)
            elif self._is_taken_as_told(row, one):
                self.taken.append((row, one))
            elif row.is_ours and self._is_news(row, one):
                self._look_again(row, one)
        self.new = list(self._not_suppressed(unknown))

    def _is_renamed(self, one: Sighting) -> bool:
        """Notice an address that was changed over there: its id is another row's. One of ours keeps it for staff."""
        holder = self.by_id.get(one.remote_id)
        if holder is None or holder.email == one.email:
            return False
        if holder.is_ours:
            self._look_again(holder, one)
        else:
            self.moved[holder.pk] = one.email
        return holder.is_ours

    def _look_again(self, row: _Known, one: Sighting) -> None:
        self.again.add(row.pk)
        opts_out = one.status is ContactStatus.DO_NOT_MAIL and row.status != one.status
        if opts_out:
            self.out[row.pk] = one
        if opts_out or (one.lists is not None and row.lists - one.lists):
            self.urgent.add(row.pk)

    def _is_taken_as_told(self, row: _Known, one: Sighting) -> bool:
        if one.status is None and not one.on_list:
            return False
        if not row.is_ours:
            return True
        # Who is off a list by now may have left it: only a reading can say so.
        return row.adoptable and (one.lists is None or row.lists <= one.lists)

    def _is_news(self, row: _Known, one: Sighting) -> bool:
        if one.on_list:
            return one.on_list not in row.lists
        if (one.remote_id, one.status) != (row.remote_id, row.status) or row.is_edited(one, self.answered):
            return True
        return not self.walk if one.lists is None else one.lists != row.lists

    def _not_suppressed(self, unknown: list[Sighting]) -> Iterator[Sighting]:
        """Pass over whom the site was asked to forget: an address that was erased is not written down again."""
        if not unknown:
            return
        names = {name: one.email for one in unknown for name in vault.address_hashes(one.email)}
        found = Suppression.objects.filter(account_id=self.account_id, address_hash__in=names)
        forgotten = {names[name] for name in found.values_list("address_hash", flat=True)}
        yield from (one for one in unknown if one.email not in forgotten)

    def write(self) -> None:
        self._free_ids()
        self._create()
        self._follow_ids()
        self._take()
        self._record_opt_outs()
        self._remember()
        if self.urgent:
            outbox.look_again(self.urgent, Priority.REMOVAL)
        if rest := self.again - self.urgent:
            outbox.look_again(rest)

    def _free_ids(self) -> None:
        """Take ids from strangers who have another address now; ids are unique, so this comes first."""
        if self.moved:
            RemoteMembership.objects.filter(contact_id__in=self.moved).delete()
            Contact.objects.filter(pk__in=self.moved).update(remote_id=None, status="")

    def _follow_ids(self) -> None:
        """Let opt-outs follow their contact to the row of the address that she has now. They are few."""
        if not self.moved:
            return
        left = ListOptOut.objects.filter(contact_id__in=self.moved).values_list("contact_id", flat=True)
        gone = Contact.objects.filter(pk__in=self.moved, opted_out_at__isnull=False).values_list("pk", flat=True)
        for pk in sorted({*left, *gone}):
            row = self.known.get(self.moved[pk])
            if row is not None:
                addresses.copy_opt_outs(pk, row.pk)
                self.urgent |= {row.pk} & self.again

    def _create(self) -> None:
        """Write strangers down. Another process may have made a row meanwhile: that one is read, not replaced."""
        if not self.new:
            return
        first = {one.email: one for one in reversed(self.new)}
        Contact.objects.bulk_create((self._stranger(one) for one in first.values()), ignore_conflicts=True)
        made = _known(self.account_id, self.new)
        self.known |= made
        self.taken += [(made[one.email], one) for one in self.new if one.email in made and not made[one.email].is_ours]

    def _stranger(self, one: Sighting) -> Contact:
        made = _observed(None, one)
        made.account_id, made.email, made.walk = self.account_id, one.email, self.walk
        return made

    def _take(self) -> None:
        """Take over what was told of strangers, and of members whom nobody has looked at yet."""
        changed = [(row, one) for row, one in self.taken if not one.on_list and _differs(row, one)]
        if changed:
            Contact.objects.bulk_update([_observed(row, one) for row, one in changed], _OBSERVED)
            self.opted_out += [row.pk for row, one in changed if row.is_ours and _opts_out(row, one)]
        added = [(row, name) for row, one in self.taken for name in _lists_told(one) - row.lists]
        gone = [(row.pk, name) for row, one in self.taken if one.lists is not None for name in row.lists - one.lists]
        if added:
            self._add(added)
        if gone:
            _remove(self.account_id, gone)

    def _record_opt_outs(self) -> None:
        """Write opt-outs of members down, before anybody has read them. What the site itself has asked for stands.

        The rows are locked and judged as they are now: who is known to have opted out by then is not told of again.
        """
        if not self.out:
            return
        rows = Contact.objects.select_for_update().filter(pk__in=self.out, opt_out_wanted=False).order_by("pk")
        rows = rows.exclude(status=ContactStatus.DO_NOT_MAIL.value).with_moment()
        changed = [row for row in rows.annotate(acted=_may_be_back()) if _opt_out_told(row, self.out[row.pk])]
        Contact.objects.bulk_update(changed, ["status", *_OPTED_OUT])
        self.opted_out += [row.pk for row in changed]

    def _add(self, added: list[tuple[_Known, str]]) -> None:
        rows = _list_rows(self.account_id, {name for _, name in added})
        wished = _wished({row.pk for row, _ in added if row.is_ours})
        RemoteMembership.objects.bulk_create(
            (
                RemoteMembership(contact_id=row.pk, list_id=rows[name], foreign=(row.pk, name) not in wished)
                for row, name in added
            ),
            ignore_conflicts=True,
        )

    def _remember(self) -> None:
        """Write down who was met on this walk: whom it does not meet, Constant Contact does not have any more."""
        if not self.walk:
            return
        met = {self.known[one.email].pk for one in self.told if one.email in self.known}
        Contact.objects.filter(pk__in=met).exclude(walk=self.walk).update(walk=self.walk)
        for name in {one.on_list for one in self.told if one.on_list}:
            there = RemoteMembership.objects.filter(contact_id__in=met, list__remote_id=name)
            there.filter(list__account_id=self.account_id).update(walk=self.walk)


def end_walk(account_id: int, walk: int, begun_at: datetime, *, by_list: bool) -> int:
    """Look at whom a full pull did not meet. Return how many are to be read again.

    ``by_list``: members of lists were told of one by one (v1), and who was not among them is off that list. A member
    of the site's is read again whenever she was read last: a walk takes long, and she may have left since. A stranger
    who was told of since it began is left as told: the feed may have passed her place before.
    """
    with transaction.atomic():
        unmet = Contact.objects.filter(account_id=account_id, walk__lt=walk, remote_id__isnull=False)
        gone = set(unmet.filter(desired_gen__gt=0).values_list("pk", flat=True))
        strangers = list(unmet.filter(_untold(begun_at), desired_gen=0).values_list("pk", flat=True))
        RemoteMembership.objects.filter(contact_id__in=strangers).delete()
        Contact.objects.filter(pk__in=strangers).update(remote_id=None, status="")
        if by_list:
            gone |= _end_lists(account_id, walk, begun_at)
        return outbox.look_again(gone, Priority.REMOVAL)


def _end_lists(account_id: int, walk: int, begun_at: datetime) -> set[int]:
    off = RemoteMembership.objects.filter(contact__account_id=account_id, walk__lt=walk, list__key__isnull=False)
    off = off.filter(list__missing_since=None)
    strangers = off.filter(_untold(begun_at, "contact__"), contact__desired_gen=0)
    pairs = strangers.values_list("contact_id", "list__remote_id")
    _remove(account_id, pairs)
    return set(off.filter(contact__desired_gen__gt=0).values_list("contact_id", flat=True))


def _untold(since: datetime, path: str = "") -> Q:
    return Q(**{f"{path}seen_at": None}) | Q(**{f"{path}seen_at__lt": since})


def _known(account_id: int, told: Iterable[Sighting]) -> dict[str, _Known]:
    """Read the rows of those who are told of, by address; by id only whose row is not the address's."""
    known = {one.email: one for one in _rows(account_id, email__in={one.email for one in told})}
    held = {one.remote_id for one in known.values()}
    if elsewhere := {one.remote_id for one in told} - held:
        known |= {one.email: one for one in _rows(account_id, remote_id__in=elsewhere)}
    by_pk = {one.pk: one for one in known.values()}
    names = dict(ContactList.objects.filter(account_id=account_id).values_list("pk", "remote_id"))
    memberships = RemoteMembership.objects.filter(contact_id__in=by_pk)
    for contact_id, list_id in memberships.values_list("contact_id", "list_id"):
        by_pk[contact_id].lists.add(names[list_id])
    return known


def _rows(account_id: int, **which: object) -> list[_Known]:
    written = WriteAttempt.objects.filter(contact=OuterRef("pk"))
    rows = Contact.objects.filter(account_id=account_id, **which)
    rows = rows.annotate(adoptable=Q(synced_at=None, lease_token=None) & ~Exists(written), moment=DatabaseNow())
    confirmed = written.filter(outcome=Outcome.OK.value).order_by("-ended_at").values("ended_at")[:1]
    rows = rows.annotate(written_at=Subquery(confirmed))
    return [_Known(*values) for values in rows.values_list(*_COLUMNS, *_ANNOTATED)]


def _lists_told(one: Sighting) -> frozenset[str]:
    return frozenset({one.on_list}) if one.on_list else one.lists or frozenset()


def _differs(row: _Known, one: Sighting) -> bool:
    return (one.remote_id, one.status) != (row.remote_id, row.status) or _opts_out(row, one)


def _opts_out(row: _Known | None, one: Sighting) -> bool:
    """Say whether an opt-out is told of that is later than the one we know. One without a time is, once."""
    if one.status is not ContactStatus.DO_NOT_MAIL:
        return False
    known, told = row.opted_out_at if row else None, one.opted_out_at
    return known is None or (told is not None and told > known)


def _may_be_back() -> Q:
    """Return the condition under which an opt-out that is told of without its time may be an old one.

    She has asked to be back since she was read, or has been put back a short while ago: only a reading says more.
    """
    hers = Consent.objects.filter(contact=OuterRef("pk"), kind=ConsentKind.CONTACT_ACTION.value)
    hers = hers.filter(Q(at__gte=OuterRef("seen_at")) | Q(contact__seen_at=None))
    back = WriteAttempt.objects.filter(contact=OuterRef("pk"), consent__isnull=False, at__gt=DatabaseNow() - QUARANTINE)
    return Q(Exists(hers)) | Q(Exists(back))


def _opt_out_told(row: Contact, one: Sighting) -> bool:
    """Set on a member's row what was told of her opt-out. Return False where it may be one that is over.

    Who was seen without it has opted out after that, whatever the server's clock says, as in ``ledger``.
    """
    at = one.opted_out_at
    if at is None:
        at = None if row.acted else moment_of(row)  # type: ignore[attr-defined]  # an annotation
    elif row.opted_out_at is not None and at <= row.opted_out_at:
        at = None
    elif row.status and row.seen_at is not None:
        at = max(at, row.seen_at)
    if at is None:
        return False
    row.status = ContactStatus.DO_NOT_MAIL.value
    row.opted_out_at = max(at, row.opted_out_at or at)
    row.opted_out_source = OptOutSource.REMOTE.value
    row.opted_out_seen_at = DatabaseNow()  # by now: whoever was at her row has ended
    return True


_OBSERVED = ["remote_id", "status", *_OPTED_OUT, "seen_at"]


def _observed(row: _Known | None, one: Sighting) -> Contact:
    """Return the row as it was told of. A known opt-out is never lowered, and never taken back."""
    seen = Contact(
        pk=row.pk if row else None,
        remote_id=one.remote_id,
        status=one.status.value if one.status else "",
        opted_out_at=row.opted_out_at if row else None,
        opted_out_source=row.opted_out_source if row else "",
        opted_out_seen_at=row.opted_out_seen_at if row else None,
        seen_at=DatabaseNow(),
    )
    if _opts_out(row, one):
        seen.opted_out_at = one.opted_out_at or DatabaseNow()
        seen.opted_out_source = OptOutSource.REMOTE.value
        seen.opted_out_seen_at = DatabaseNow()
    return seen


def _wished(contact_ids: Collection[int]) -> set[tuple[int, str]]:
    """Return who is wished on which list: where she is already, nobody else has put her there for all we know."""
    if not contact_ids:
        return set()
    wishes = Membership.objects.filter(contact_id__in=contact_ids, contact__account__lists__key=F("key"))
    return set(wishes.values_list("contact_id", "contact__account__lists__remote_id"))


def _list_rows(account_id: int, names: Collection[str]) -> Mapping[str, int]:
    """Return the rows of lists by their remote ids; one that was never read is written down without a name."""
    rows = ContactList.objects.filter(account_id=account_id, remote_id__in=names)
    known = dict(rows.values_list("remote_id", "pk"))
    if missing := set(names) - known.keys():
        new = (ContactList(account_id=account_id, remote_id=one) for one in sorted(missing))
        ContactList.objects.bulk_create(new, ignore_conflicts=True)
        known = dict(rows.all().values_list("remote_id", "pk"))
    return known


def _remove(account_id: int, gone: Collection[tuple[int, str]]) -> None:
    """Note that strangers left lists. Of a managed one it is kept: should a member claim her, she stays off."""
    rows = _list_rows(account_id, {name for _, name in gone})
    pairs = {(contact_id, rows[name]) for contact_id, name in gone}
    there = RemoteMembership.objects.filter(contact_id__in={pk for pk, _ in pairs}, list_id__in=set(rows.values()))
    found = there.values_list("pk", "contact_id", "list_id")
    RemoteMembership.objects.filter(pk__in=[pk for pk, *pair in found if tuple(pair) in pairs]).delete()
    respected = ContactList.objects.filter(pk__in=rows.values(), key__isnull=False)
    respected = respected.filter(on_remote_removal=RemoteRemoval.RESPECT.value)
    kept = set(respected.values_list("pk", flat=True))
    left = [(contact_id, list_id) for contact_id, list_id in sorted(pairs) if list_id in kept]
    known = ListOptOut.objects.filter(contact_id__in=[one for one, _ in left]).values_list("contact_id", "list_id")
    already = set(known)
    ListOptOut.objects.bulk_create(
        (
            ListOptOut(contact_id=contact_id, list_id=list_id, at=DatabaseNow(), source=OptOutSource.REMOTE.value)  # type: ignore[misc]  # an expression
            for contact_id, list_id in left
            if (contact_id, list_id) not in already
        ),
        ignore_conflicts=True,
    )
