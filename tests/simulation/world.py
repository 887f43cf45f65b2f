"""The truth of one run: what the site wants, what people did, and whether the two sides agree.

The invariants are written from DESIGN §3, not from the planner: they look at what people did and when, at what
a worker had read, and at what it sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from django_ctct.models import Contact, ListOptOut, RemoteMembership, WriteAttempt
from django_ctct.sandbox import Account
from django_ctct.sandbox.values import ListDraft, Source
from django_ctct.types import ContactStatus, OptInSource, Permit, RemoteContact, Verb
from tests.site.models import Member

from .network import quietly
from .scheduler import Scheduler

__all__ = ["KEYS", "Violation", "World"]

KEYS = ("free", "sustainers", "newsletter")
UNMANAGED = ("board", "press")
IN_FLIGHT = timedelta(seconds=150)


class Violation(BaseException):
    """An invariant does not hold. Nothing in the package may catch it."""


@dataclass(frozen=True)
class Left:
    """She left one list at Constant Contact. ``knowable``: our tables could tell that she had been on it."""

    at: datetime
    knowable: bool


class SimulatedClock:
    """The account's clock, on simulated time."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def now(self) -> datetime:
        return self._scheduler.now()

    def seconds(self) -> float:
        return self._scheduler.seconds

    def rewind(self) -> None:
        return None


@dataclass
class World:
    """One run. Lists are named by their remote ids, people by their address."""

    scheduler: Scheduler
    account: Account = field(init=False)
    ids: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    opted_out: dict[str, datetime] = field(default_factory=dict)
    site_opt_out: dict[str, datetime] = field(default_factory=dict)
    returned: dict[str, datetime] = field(default_factory=dict)
    left: dict[tuple[str, str], Left] = field(default_factory=dict)
    left_here: dict[tuple[str, str], datetime] = field(default_factory=dict)
    consents: dict[tuple[str, str], datetime] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    touched: dict[str, datetime] = field(default_factory=dict)
    last_read: dict[str, tuple[datetime, RemoteContact | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.account = Account(clock=SimulatedClock(self.scheduler))  # type: ignore[arg-type]
        for name in (*KEYS, *UNMANAGED):
            self.ids[name] = str(self.account.create_list(ListDraft(name)).id)

    @property
    def managed(self) -> frozenset[str]:
        return frozenset(self.ids[key] for key in KEYS)

    def count(self, what: str) -> None:
        self.counts[what] += 1

    # What people do at Constant Contact

    def unsubscribe(self, email: str) -> None:
        contact = self.account.find(email)
        if contact is not None:
            self.account.opt_out(contact.id, Source.CONTACT)
            self.opted_out[email] = self.scheduler.now()
            self.touched[email] = self.scheduler.now()
        self.scheduler.log(f"{email} unsubscribes")

    def leave(self, email: str, name: str) -> None:
        contact = self.account.find(email)
        number = int(self.ids[name])
        if contact is None or number not in contact.memberships:
            return
        self.account.set_lists(contact.id, frozenset(contact.memberships) - {number}, Source.CONTACT)
        self.left[email, self.ids[name]] = Left(self.scheduler.now(), self._knowable(email, self.ids[name]))
        self.touched[email] = self.scheduler.now()
        self.scheduler.log(f"{email} leaves {name}")

    def join(self, email: str, name: str) -> None:
        """She signs up over there by her own act, which also ends an opt-out."""
        contact = self.account.find(email)
        if contact is None:
            return
        lists = frozenset(contact.memberships) | {int(self.ids[name])}
        self.account.set_lists(contact.id, lists, Source.CONTACT)
        self.left.pop((email, self.ids[name]), None)
        self.returned[email] = self.scheduler.now()
        self.touched[email] = self.scheduler.now()
        self.scheduler.log(f"{email} joins {name}")

    def owner_sets(self, email: str, name: str, on: bool) -> None:
        contact = self.account.find(email)
        if contact is None or contact.opt_out is not None:
            return
        number = int(self.ids[name])
        lists = frozenset(contact.memberships) | {number} if on else frozenset(contact.memberships) - {number}
        if not lists and not contact.memberships:
            return
        if not on and self.ids[name] in self.managed and number in contact.memberships:
            # Who took her off cannot be told apart: it counts as her own act (RELIABILITY, residual risk 4).
            self.left[email, self.ids[name]] = Left(self.scheduler.now(), self._knowable(email, self.ids[name]))
        self.account.set_lists(contact.id, lists, Source.CUSTOMER)
        self.touched[email] = self.scheduler.now()
        self.scheduler.log(f"the owner {'adds' if on else 'removes'} {email} {'to' if on else 'from'} {name}")

    def _knowable(self, email: str, list_id: str) -> bool:
        if RemoteMembership.objects.filter(contact__email=email, list__remote_id=list_id).exists():
            return True
        recent = WriteAttempt.objects.filter(contact__email=email, at__gte=self.scheduler.now() - IN_FLIGHT)
        return any(list_id in after for after in recent.values_list("lists_after", flat=True))

    # What workers do there

    def saw(self, email: str, found: RemoteContact | None) -> None:
        if email:
            self.last_read[email] = (self.scheduler.now(), found)

    def apply(self, permit: Permit, write: Callable[[], Any]) -> Any:
        self.count("writes")
        answer = write()
        self.scheduler.log(f"{permit.verb} {permit.email}: {sorted(permit.lists)} as {permit.source}")
        if permit.verb is Verb.OPT_OUT:
            self.opted_out[permit.email] = self.scheduler.now()
        return answer

    def land(self, permit: Permit, write: Callable[[], Any]) -> None:
        """A write arrives that its sender has given up."""
        self.unanswered.add(permit.email)
        self.scheduler.log(f"late {permit.verb} {permit.email}: {sorted(permit.lists)}")
        self.count("late")
        if quietly(write) is None and permit.verb is Verb.OPT_OUT:
            self.opted_out[permit.email] = self.scheduler.now()

    def check_write(self, read: RemoteContact | None, permit: Permit) -> None:
        """Check what is about to be sent against what its sender had read."""
        if permit.verb is Verb.OPT_OUT:
            if permit.email not in self.site_opt_out:
                raise Violation(f"{permit.email} was opted out and nobody asked for it")
            return
        before = frozenset(read.lists) if read else frozenset()
        if before - self.managed != permit.lists - self.managed:
            raise Violation(f"{permit.email}: unmanaged lists {sorted(before - self.managed)} would change")
        adds = permit.lists - before
        # From the permit on nothing can stop a write any more: what came later, a later trip repairs.
        permitted = WriteAttempt.objects.values_list("at", flat=True).get(pk=permit.attempt)
        self._check_opt_out(read, permit, adds, permitted)
        when = self.last_read.get(permit.email, (self.scheduler.now(), None))[0]
        for one in adds:
            self._check_departure(permit.email, one, when, permitted)

    def _check_opt_out(
        self, read: RemoteContact | None, permit: Permit, adds: frozenset[str], permitted: datetime
    ) -> None:
        email = permit.email
        closed = read is not None and read.status is ContactStatus.DO_NOT_MAIL
        if (closed or permit.source is OptInSource.CONTACT) and permit.lists:
            known = read.opted_out_at if read and read.opted_out_at else self.site_opt_out.get(email)
            for one in adds:
                given = self.consents.get((email, one))
                if given is None or (known is not None and given <= known):
                    raise Violation(f"{email}: list {one} would be added after an opt-out")
            if permit.source is not OptInSource.CONTACT:
                raise Violation(f"{email}: an opt-out would be undone in the site's name")
        wanted_out = self.site_opt_out.get(email)
        if wanted_out and wanted_out >= permitted:
            return
        for one in adds:
            given = self.consents.get((email, one))
            if wanted_out and (given is None or given <= wanted_out) and not self._returned_since(email, wanted_out):
                raise Violation(f"{email}: list {one} would be added after an opt-out on the site")

    def _returned_since(self, email: str, moment: datetime) -> bool:
        back = self.returned.get(email)
        return back is not None and back > moment

    def _check_departure(self, email: str, list_id: str, read_at: datetime, permitted: datetime) -> None:
        left_here = self.left_here.get((email, list_id), permitted)
        if left_here < permitted and not self._consented_since_leaving(email, list_id):
            raise Violation(f"{email}: list {list_id}, left on the site, would be given back")
        left = self.left.get((email, list_id))
        if left is None or not left.knowable or left.at >= read_at or self._took_off(email, list_id, left.at):
            return
        given = self.consents.get((email, list_id))
        if given is None or given <= left.at:
            raise Violation(f"{email}: list {list_id}, left over there, would be given back")

    def _consented_since_leaving(self, email: str, list_id: str) -> bool:
        row = ListOptOut.objects.filter(contact__email=email, list__remote_id=list_id).first()
        given = self.consents.get((email, list_id))
        return row is None or (given is not None and given > row.at)

    def _took_off(self, email: str, list_id: str, since: datetime) -> bool:
        """Say whether a write of our own may have taken her off at about the same time."""
        about_then = Q(at__gte=since - IN_FLIGHT) | ~Q(outcome="ok")  # an unclear one may have landed any time
        rows = WriteAttempt.objects.filter(about_then, contact__email=email)
        pairs = rows.values_list("lists_before", "lists_after")
        return any(list_id in before and list_id not in after for before, after in pairs)

    # The end

    def check_truth(self) -> None:
        """Check that what staff see is true: who is said to be in sync is, unless someone acted there since."""
        for row in Contact.objects.with_state():
            touched, read = self.touched.get(row.email), self.last_read.get(row.email)
            settled = vars(row)["state"] in ("in_sync", "refused") and row.lease_token is None
            if settled and read is not None and (touched is None or touched < read[0]):
                self._check_lists(row)

    def check_end(self) -> None:
        """Check that both sides agree, and that what staff see is true."""
        for row in Contact.objects.with_state():
            self._check_row(row)
            self._check_lists(row)

    def _check_row(self, row: Contact) -> None:
        state = vars(row)["state"]
        if state not in ("in_sync", "refused", "foreign"):
            raise Violation(f"{row.email} is still {state}: {row.error_code} {row.hold} due {row.due_at}")

    def _check_lists(self, row: Contact) -> None:
        remote = self.account.find(row.email)
        on = frozenset(str(one) for one in remote.memberships) if remote else frozenset()
        wished = self._wished(row.email)
        if remote is not None and remote.opt_out is not None:
            return
        if row.claimed and (surplus := (on & self.managed) - wished):
            raise Violation(f"{row.email} is still on {sorted(surplus)}")
        for one in sorted(wished - on):
            if not self._may_lack(row, one):
                raise Violation(f"{row.email} is not on {one}: the change was lost")
            self.count("suppressed")
        out = self.site_opt_out.get(row.email)
        later = [at for (who, _), at in self.consents.items() if who == row.email]
        if out and remote is not None and not self._returned_since(row.email, out) and max(later, default=out) <= out:
            raise Violation(f"{row.email} was opted out on the site and can still be mailed")

    def _wished(self, email: str) -> frozenset[str]:
        found = set()
        for member in Member.objects.filter(email=email):
            flags = {"free": member.is_free, "sustainers": member.is_sustainer, "newsletter": member.wants_newsletter}
            found |= {self.ids[key] for key, wanted in flags.items() if wanted}
        return frozenset(found)

    def _may_lack(self, row: Contact, list_id: str) -> bool:
        """Say whether an opt-out explains the absence: one that happened, or one that a lost answer suggests."""
        if row.email in self.opted_out or row.email in self.site_opt_out:
            return True
        recorded = ListOptOut.objects.filter(contact=row, list__remote_id=list_id).exists()
        happened = (row.email, list_id) in self.left or (row.email, list_id) in self.left_here
        # An unclear write and someone's act over there together cannot be told from her leaving (R5).
        unclear = WriteAttempt.objects.filter(contact=row).exclude(outcome="ok").exists()
        doubt = row.email in self.unanswered or (unclear and row.email in self.touched)
        return recorded and (happened or doubt)
