"""The invariants of one run, and whether the two sides agree in the end.

They are written from DESIGN §3, not from the planner: they look at what people did and when (``truth``), at what
a worker had read, and at what it sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from django_ctct.models import Contact, Hold, ListOptOut, WriteAttempt
from django_ctct.permits import FRESH_BOOKS
from django_ctct.services import SEND_WITHIN
from django_ctct.types import ContactStatus, OptInSource, Permit, RemoteContact, Verb
from tests.site.models import Member

from .network import quietly
from .truth import IN_FLIGHT, KEYS, NAMES, PEOPLE, UNMANAGED, Truth, addresses
from .watch import Letter, Violation

__all__ = ["KEYS", "NAMES", "PEOPLE", "UNMANAGED", "Violation", "World", "addresses"]


@dataclass
class World(Truth):
    """One run over one wire. Lists are named by their remote ids there, people by the first of their addresses."""

    #: Writes whose sender has given them up, and that have not arrived yet.
    flying: dict[int, Callable[[], None]] = field(default_factory=dict)
    #: What was read, with the last act over there before it and the time.
    readings: dict[int, tuple[RemoteContact, int, datetime]] = field(default_factory=dict)

    # What workers do there

    def saw(self, email: str, found: RemoteContact | None) -> None:
        if email:
            self.last_read[email] = (self.scheduler.now(), found)
        if found is not None:
            self.readings[id(found)] = (found, self.watch.act, self.scheduler.now())

    def letter(self, read: RemoteContact | None, permit: Permit) -> Letter:
        """Return what a write rests on. A reading of long ago is none: then nothing may have changed since."""
        _found, act, at = self.readings.get(id(read), (None, self.watch.act, self.scheduler.now()))
        is_old = self.scheduler.now() - at > FRESH_BOOKS + timedelta(seconds=2 * SEND_WITHIN)
        with self.scheduler.unmoved():
            consent = WriteAttempt.objects.values_list("consent", flat=True).get(pk=permit.attempt)
        name = NAMES[permit.email]
        numbers = {self.ids[key]: self.numbers[key] for key in KEYS}
        given = {numbers[one]: when for (who, one), when in self.consents.items() if who == name}
        return Letter(permit, self.watch.act if is_old else act, consent, given)

    def apply(self, letter: Letter, write: Callable[[], Any]) -> Any:
        self.count("writes")
        permit = letter.permit
        answer = self.watch.sends(letter, write)
        self.scheduler.log(f"{permit.verb} {permit.email}: {sorted(permit.lists)} as {permit.source}")
        if permit.verb is Verb.OPT_OUT:
            self.opted_out[NAMES[permit.email]] = self.scheduler.now()
        self.scheduler.stir()
        return answer

    def send_late(self, letter: Letter, write: Callable[[], Any]) -> None:
        """Let a write arrive within 100 seconds, when nobody waits for it any more."""
        number = len(self.flying)
        self.flying[number] = lambda: self.land(letter, write)
        self.scheduler.stir()
        self.scheduler.after(self.scheduler.random.random() * 100, lambda: self.arrive(number))

    def arrive(self, number: int) -> None:
        arrives, self.flying[number] = self.flying[number], lambda: None
        arrives()

    def all_arrive(self) -> None:
        """Let every write arrive now that is still on its way."""
        for number in list(self.flying):
            self.arrive(number)

    def land(self, letter: Letter, write: Callable[[], Any]) -> None:
        """A write arrives that its sender has given up, or that a backup has taken out of the journal."""
        permit = letter.permit
        self.gets_no_answer(permit)
        with self.scheduler.unmoved():
            if not WriteAttempt.objects.filter(pk=permit.attempt).exists():
                self.touched[NAMES[permit.email]] = self.scheduler.now()  # nobody expects it: the pull finds it
        self.scheduler.log(f"late {permit.verb} {permit.email}: {sorted(permit.lists)}")
        self.count("late")
        if quietly(lambda: self.watch.sends(letter, write)) is None and permit.verb is Verb.OPT_OUT:
            self.opted_out[NAMES[permit.email]] = self.scheduler.now()

    def gets_no_answer(self, permit: Permit) -> None:
        self.unanswered.add(NAMES[permit.email])

    def is_late(self, permit: Permit) -> bool:
        """Say whether a write waited too long between its permit and its request."""
        with self.scheduler.unmoved():
            at = WriteAttempt.objects.values_list("at", flat=True).get(pk=permit.attempt)
        return self.scheduler.now() - at > timedelta(seconds=SEND_WITHIN)

    def check_write(self, read: RemoteContact | None, permit: Permit) -> None:
        """Check what is about to be sent against what its sender had read, between two steps of its worker."""
        with self.scheduler.unmoved():
            self._check_write(read, permit)

    def _check_write(self, read: RemoteContact | None, permit: Permit) -> None:
        if permit.verb is Verb.OPT_OUT:
            if NAMES[permit.email] not in self.site_opt_out:
                raise Violation(f"{permit.email} was opted out and nobody asked for it")
            return
        self._check_approval(permit)
        adds = permit.lists - (frozenset(read.lists) if read else frozenset())
        if adds and not self.caught_up:
            raise Violation(f"{permit.email}: an add would go out before anybody asked what happened there")
        # From the permit on nothing can stop a write any more: what came later, a later trip repairs.
        permitted = WriteAttempt.objects.values_list("at", flat=True).get(pk=permit.attempt)
        if NAMES[permit.email] in self.anew:
            return
        self._check_opt_out(read, permit, adds, permitted)
        when = self.last_read.get(read.email if read else permit.email, (self.scheduler.now(), None))[0]
        for one in adds:
            self._check_departure(permit.email, one, when, permitted)
            self._check_followed(permit.email, one)

    def _check_approval(self, permit: Permit) -> None:
        """Nothing but opt-outs is sent to an account that had people of its own, until somebody has approved."""
        if self.approved_at is None and not self.was_empty:
            raise Violation(f"{permit.email}: {permit.verb} would be sent before the plan was approved")

    def _check_opt_out(
        self, read: RemoteContact | None, permit: Permit, adds: frozenset[str], permitted: datetime
    ) -> None:
        email = permit.email
        closed = read is not None and read.status is ContactStatus.DO_NOT_MAIL
        if (closed or permit.source is OptInSource.CONTACT) and permit.lists:
            known = read.opted_out_at if read and read.opted_out_at else self.site_opt_out.get(NAMES[email])
            for one in adds:
                given = self.consents.get((NAMES[email], one))
                if given is None or (known is not None and given <= known):
                    raise Violation(f"{email}: list {one} would be added after an opt-out")
            if permit.source is not OptInSource.CONTACT:
                raise Violation(f"{email}: an opt-out would be undone in the site's name")
        wanted_out = self.site_opt_out.get(NAMES[email])
        if wanted_out and wanted_out >= permitted:
            return
        for one in adds:
            given = self.consents.get((NAMES[email], one))
            if wanted_out and (given is None or given <= wanted_out) and not self._returned_since(email, wanted_out):
                raise Violation(f"{email}: list {one} would be added after an opt-out on the site")

    def _returned_since(self, email: str, moment: datetime) -> bool:
        back = self.returned.get(NAMES[email])
        return back is not None and back > moment

    def _check_departure(self, email: str, list_id: str, read_at: datetime, permitted: datetime) -> None:
        left_here = self.left_here.get((NAMES[email], list_id), permitted)
        if left_here < permitted and not self._consented_since_leaving(email, list_id):
            raise Violation(f"{email}: list {list_id}, left on the site, would be given back")
        left = self.left.get((NAMES[email], list_id))
        if left is None or not left.knowable or left.at >= read_at or self._took_off(email, list_id, left.at):
            return
        given = self.consents.get((NAMES[email], list_id))
        if given is None or given <= left.at:
            raise Violation(f"{email}: list {list_id}, left over there, would be given back")

    def _check_followed(self, email: str, list_id: str) -> None:
        left, given = self.followed.get((email, list_id)), self.consents.get((NAMES[email], list_id))
        if left is not None and (given is None or given <= left):
            raise Violation(f"{email}: list {list_id} would be added, which she left at another address")

    def _consented_since_leaving(self, email: str, list_id: str) -> bool:
        rows = ListOptOut.objects.filter(contact__email__in=addresses(email), list__remote_id=list_id)
        row = rows.order_by("-at").first()
        given = self.consents.get((NAMES[email], list_id))
        return row is None or (given is not None and given > row.at)

    def _took_off(self, email: str, list_id: str, since: datetime) -> bool:
        """Say whether a write of our own may have taken her off at about the same time."""
        about_then = Q(at__gte=since - IN_FLIGHT) | ~Q(outcome="ok")  # an unclear one may have landed any time
        rows = WriteAttempt.objects.filter(about_then, contact__email__in=addresses(email))
        pairs = rows.values_list("lists_before", "lists_after")
        return any(list_id in before and list_id not in after for before, after in pairs)

    # The end

    def check_truth(self) -> None:
        """Check that what staff see is true: who is said to be in sync is, unless someone acted there since."""
        for row in Contact.objects.with_state():
            touched, read = self.touched.get(NAMES[row.email]), self.last_read.get(row.email)
            settled = vars(row)["state"] in ("in_sync", "refused") and row.lease_token is None
            if settled and read is not None and (touched is None or touched < read[0]):
                self._check_lists(row)

    def check_end(self) -> None:
        """Check that both sides agree, and that what staff see is true."""
        for row in Contact.objects.with_state():
            if not self._waits_for_staff(row):
                self._check_row(row)
                self._check_lists(row)

    def _waits_for_staff(self, row: Contact) -> bool:
        """Say whether a copy has taken back her change of address: who renamed her over there nobody knows then."""
        return row.hold == Hold.REVIEW and row.error_code == "renamed" and NAMES[row.email] in self.moved_unseen

    def _check_row(self, row: Contact) -> None:
        state = vars(row)["state"]
        if state not in ("in_sync", "refused", "foreign"):
            raise Violation(f"{row.email} is still {state}: {row.error_code} {row.hold} due {row.due_at}")

    def _check_lists(self, row: Contact) -> None:
        remote = self.account.find(row.email)
        on = {self.ids[name] for name, number in self.numbers.items() if remote and number in remote.memberships}
        wished = self._wished(row.email)
        self.counts["wished"] += len(wished)
        if remote is not None and remote.opt_out is not None:
            return
        if row.claimed and (surplus := (on & self.managed) - wished):
            raise Violation(f"{row.email} is still on {sorted(surplus)}")
        for one in sorted(wished - on):
            if not self._may_lack(row, one):
                raise Violation(f"{row.email} is not on {one}: the change was lost")
            self.count("suppressed")
        out = self.site_opt_out.get(NAMES[row.email])
        later = [at for (who, _), at in self.consents.items() if who == NAMES[row.email]]
        if remote is None or not out or self._returned_since(row.email, out) or max(later, default=out) > out:
            return
        if row.email == self.opted_out_as[NAMES[row.email]] or on & self.managed:
            raise Violation(f"{row.email} was opted out on the site and can still be mailed")

    def _wished(self, email: str) -> frozenset[str]:
        found = set()
        for member in Member.objects.filter(email=email):
            flags = {"free": member.is_free, "sustainers": member.is_sustainer, "newsletter": member.wants_newsletter}
            found |= {self.ids[key] for key, wanted in flags.items() if wanted}
        return frozenset(found)

    def _may_lack(self, row: Contact, list_id: str) -> bool:
        """Say whether an opt-out explains the absence: one that happened, or one that a lost answer suggests."""
        if NAMES[row.email] in self.opted_out or NAMES[row.email] in self.site_opt_out:
            return True
        recorded = ListOptOut.objects.filter(contact=row, list__remote_id=list_id).exists()
        happened = (NAMES[row.email], list_id) in self.left or (NAMES[row.email], list_id) in self.left_here
        # An unclear write and someone's act over there together cannot be told from her leaving (R5).
        unclear = WriteAttempt.objects.filter(contact=row).exclude(outcome="ok").exists()
        doubt = NAMES[row.email] in self.unanswered or (unclear and NAMES[row.email] in self.touched)
        # v3 does not say since when she is on a list: that she came back over there cannot be seen (docs/wires.md).
        unseen = (NAMES[row.email], list_id) in self.rejoined
        if recorded and not happened and (doubt or unseen):
            self.count("withheld in doubt")
        return recorded and (happened or doubt or unseen)
