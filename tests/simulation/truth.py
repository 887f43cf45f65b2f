"""What happened in one run, whoever knows of it: what people did at Constant Contact and on the site, and when.

It is the measure of the invariants in ``world``, so it is written from what people did and never from what the
package makes of it. Where nobody could know something afterwards, it says so here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django_ctct.models import Account as Row
from django_ctct.models import Consent, Contact, ListOptOut, RemoteMembership, WriteAttempt
from django_ctct.sandbox import Account
from django_ctct.sandbox.values import Draft, ListDraft, Source
from django_ctct.types import RemoteContact

from .scheduler import Scheduler
from .watch import Watch
from .wires import list_id

__all__ = ["IN_FLIGHT", "KEYS", "NAMES", "PEOPLE", "UNMANAGED", "Truth", "addresses"]

KEYS = ("free", "sustainers", "newsletter")
UNMANAGED = ("board", "press")
#: Each person, by the address that she is called by here, and the addresses that she has at one time or another.
PEOPLE = {
    "ada@example.com": ("ada@example.com", "ada@work.example.com"),
    "bob@example.com": ("bob@example.com", "bob@work.example.com"),
}
NAMES = {address: name for name, addresses in PEOPLE.items() for address in addresses}
IN_FLIGHT = timedelta(seconds=150)


def addresses(email: str) -> tuple[str, ...]:
    """Return all addresses of the person who has this one."""
    return PEOPLE[NAMES[email]]


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
class Truth:
    """One run over one wire. Lists are named by their remote ids there, people by the first of their addresses."""

    scheduler: Scheduler
    wire: str = "memory"
    account: Account = field(init=False)
    watch: Watch = field(init=False)
    ids: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    opted_out: dict[str, datetime] = field(default_factory=dict)
    site_opt_out: dict[str, datetime] = field(default_factory=dict)
    #: At which of her addresses she opted out on the site: at another one, not being on any of our lists is enough.
    opted_out_as: dict[str, str] = field(default_factory=dict)
    returned: dict[str, datetime] = field(default_factory=dict)
    left: dict[tuple[str, str], Left] = field(default_factory=dict)
    left_here: dict[tuple[str, str], datetime] = field(default_factory=dict)
    consents: dict[tuple[str, str], datetime] = field(default_factory=dict)
    rejoined: set[tuple[str, str]] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    touched: dict[str, datetime] = field(default_factory=dict)
    last_read: dict[str, tuple[datetime, RemoteContact | None]] = field(default_factory=dict)
    #: What she opted out of at an address that she had before, by the new address and the list.
    followed: dict[tuple[str, str], datetime] = field(default_factory=dict)
    moved: dict[str, datetime] = field(default_factory=dict)
    #: Who was deleted after a move and came as a new member: nobody can know that she is the same person.
    anew: set[str] = field(default_factory=set)
    #: Who has an address over there that the site's copy knows nothing of.
    moved_unseen: set[str] = field(default_factory=set)
    #: When a person approved the plan; an account in which nobody was needs no approval.
    approved_at: datetime | None = None
    was_empty: bool = True
    #: The news of before this moment has to be asked for once before anybody is added.
    news_since: datetime | None = None
    caught_up: bool = False
    _walk_begun: datetime | None = None

    def __post_init__(self) -> None:
        self.account = Account(clock=SimulatedClock(self.scheduler))  # type: ignore[arg-type]
        for name in (*KEYS, *UNMANAGED):
            made = self.account.create_list(ListDraft(name))
            self.ids[name], self.numbers[name] = list_id(self.wire, made), made.id
        self.watch = Watch(self.account)
        self.watch.unmanaged = frozenset(self.numbers[name] for name in UNMANAGED)
        self.scheduler.look = self.watch.look

    @property
    def managed(self) -> frozenset[str]:
        return frozenset(self.ids[key] for key in KEYS)

    def count(self, what: str) -> None:
        self.counts[what] += 1

    # What is known of what happened there

    def existing(self, email: str, lists: frozenset[int]) -> None:
        """Let somebody be there before the site comes to this account."""
        self.account.create(Draft(email, {}, lists, Source.CUSTOMER))
        self.watch.note()
        self.was_empty = False

    def approve(self) -> None:
        self.approved_at = self.scheduler.now()
        self.scheduler.log("the plan is approved")

    def hears(self, since: datetime | None = None) -> Callable[[], None]:
        """Return what to call when a feed that is asked for now has told all that it has to tell."""
        asked = since or self.scheduler.now()

        def heard() -> None:
            self.caught_up |= self.news_since is None or asked >= self.news_since

        return heard

    def walks(self, *, anew: bool) -> Callable[[], None]:
        """Return the same for a walk: one that goes on tells of what was before it was begun."""
        if anew:
            self._walk_begun = self.scheduler.now()
        return self.hears(self._walk_begun) if self._walk_begun else lambda: None

    def opts_out_here(self, email: str) -> None:
        self.site_opt_out[NAMES[email]] = self.scheduler.now()
        self.opted_out_as[NAMES[email]] = email

    def is_on(self, email: str, name: str) -> bool:
        contact = self.account.find(email)
        return contact is not None and self.numbers[name] in contact.memberships

    def is_out(self, email: str) -> bool:
        contact = self.account.find(email)
        return contact is not None and contact.opt_out is not None

    def moves(self, old: str, new: str) -> None:
        """She has another address. What she opted out of by then, and the site knows of, counts there too.

        What nobody here knew by then is asked for at the old address, but not for ever: that it follows cannot be
        demanded. Nor can it where she came back since.
        """
        name = NAMES[old]
        row = Contact.objects.filter(email=old).first()
        if row is None:
            return
        if row.opted_out_at is not None and not (name in self.returned and self.returned[name] > row.opted_out_at):
            self.followed |= {(new, one): row.opted_out_at for one in self.managed}
        for one in ListOptOut.objects.filter(contact=row, put_back_why="").select_related("list"):
            self.followed[new, one.list.remote_id] = one.at
        self.moved[name] = self.scheduler.now()
        self.touched[name] = self.scheduler.now()
        self.scheduler.log(f"{old} has the address {new} now")

    def begins(self, email: str) -> None:
        if NAMES[email] in self.moved:
            self.anew.add(NAMES[email])

    # What people do at Constant Contact

    def unsubscribe(self, email: str) -> None:
        contact = self.account.find(email)
        if contact is not None:
            self.account.opt_out(contact.id, Source.CONTACT)
            self.watch.note()
            self.opted_out[NAMES[email]] = self.scheduler.now()
            self.touched[NAMES[email]] = self.scheduler.now()
        self.scheduler.log(f"{email} unsubscribes")

    def leave(self, email: str, name: str) -> None:
        contact = self.account.find(email)
        number = self.numbers[name]
        if contact is None or number not in contact.memberships:
            return
        self.account.set_lists(contact.id, frozenset(contact.memberships) - {number}, Source.CONTACT)
        self.watch.note()
        self.left[NAMES[email], self.ids[name]] = Left(self.scheduler.now(), self._knowable(email, self.ids[name]))
        self.touched[NAMES[email]] = self.scheduler.now()
        self.scheduler.log(f"{email} leaves {name}")

    def join(self, email: str, name: str) -> None:
        """She signs up over there by her own act, which also ends an opt-out."""
        contact = self.account.find(email)
        if contact is None:
            return
        lists = frozenset(contact.memberships) | {self.numbers[name]}
        self.account.set_lists(contact.id, lists, Source.CONTACT)
        self.watch.note()
        if self.left.pop((NAMES[email], self.ids[name]), None) is not None and self.wire == "v3":
            self.rejoined.add((NAMES[email], self.ids[name]))
        for key in [key for key in self.followed if NAMES[key[0]] == NAMES[email]]:
            self.followed.pop(key)
        self.returned[NAMES[email]] = self.scheduler.now()
        self.touched[NAMES[email]] = self.scheduler.now()
        self.scheduler.log(f"{email} joins {name}")

    def owner_sets(self, email: str, name: str, on: bool) -> None:
        contact = self.account.find(email)
        if contact is None or contact.opt_out is not None:
            return
        number = self.numbers[name]
        lists = frozenset(contact.memberships) | {number} if on else frozenset(contact.memberships) - {number}
        if not lists and not contact.memberships:
            return
        if not on and self.ids[name] in self.managed and number in contact.memberships:
            # Who took her off cannot be told apart: it counts as her own act (RELIABILITY, residual risk 4).
            self.left[NAMES[email], self.ids[name]] = Left(self.scheduler.now(), self._knowable(email, self.ids[name]))
        self.account.set_lists(contact.id, lists, Source.CUSTOMER)
        self.watch.note()
        self.touched[NAMES[email]] = self.scheduler.now()
        self.scheduler.log(f"the owner {'adds' if on else 'removes'} {email} {'to' if on else 'from'} {name}")

    def leaves_unseen(self, email: str, name: str) -> None:
        """She leaves a list, and no feed of changes tells: the server's time of her last change stands still.

        That time is then when she left at the latest, for all that anybody can find out. While a write of ours is
        unclear nobody can tell her act from it (docs/reliability.md, what remains, 6).
        """
        contact, number = self.account.find(email), self.numbers[name]
        if contact is None or number not in contact.memberships or contact.opt_out is not None:
            return
        if (
            WriteAttempt.objects.filter(contact__email__in=addresses(email))
            .exclude(outcome__in=("ok", "verified"))
            .exists()
        ):
            return
        kept = {one: since for one, since in contact.memberships.items() if one != number}
        self.account.put(replace(contact, memberships=kept, version=contact.version + 1))
        self.watch.note()
        self.left[NAMES[email], self.ids[name]] = Left(contact.updated, self._knowable(email, self.ids[name]))
        self.touched[NAMES[email]] = self.scheduler.now()
        self.scheduler.log(f"{email} leaves {name}, and no feed tells")

    def _knowable(self, email: str, list_id: str) -> bool:
        if RemoteMembership.objects.filter(contact__email__in=addresses(email), list__remote_id=list_id).exists():
            return True
        sent = WriteAttempt.objects.exclude(outcome__in=("not_sent", "refused"))
        recent = sent.filter(contact__email__in=addresses(email), at__gte=self.scheduler.now() - IN_FLIGHT).order_by(
            "at"
        )
        may_be_on = False
        for outcome, after in recent.values_list("outcome", "lists_after"):
            # What is known to have been written later says what became of the writes before it.
            may_be_on = list_id in after or (may_be_on and outcome != "ok")
        return may_be_on

    def restored(self, taken: datetime) -> None:
        """The site's database is as it was at ``taken``. What was done on the site since, nobody can know any more.

        What reached the account is still there; what our own writes did since looks like somebody's act over there.
        So much time has passed that nobody may be added before it is asked what happened meanwhile.
        """
        self.count("restores")
        self.news_since, self.caught_up = self.scheduler.now(), False
        self._walk_begun = None
        self._forget_approval(taken)
        self._forget_acts_here(taken)
        for key, left in self.left.items():
            rows = ListOptOut.objects.filter(contact__email__in=PEOPLE[key[0]], list__remote_id=key[1], at__gte=left.at)
            self.left[key] = replace(left, knowable=left.knowable and (rows.exists() or self._knowable(*key)))
        for email in PEOPLE:
            self._forget_opt_out(email, taken)
            self.unanswered.add(NAMES[email])
            self.touched[NAMES[email]] = self.scheduler.now()
        self.last_read.clear()
        self.followed.clear()
        self.moved_unseen |= {name for name, at in self.moved.items() if at > taken}

    def _forget_approval(self, taken: datetime) -> None:
        if self.approved_at is not None and self.approved_at > taken:
            self.approved_at = None
        if not Row.objects.filter(walk_begun_at__isnull=False).exists():
            self.was_empty = not self.account.contacts()  # the copy has never looked; one that has, goes on

    def _forget_acts_here(self, taken: datetime) -> None:
        for (email, one), at in list(self.left_here.items()):
            if at > taken:
                row = ListOptOut.objects.filter(
                    contact__email__in=addresses(email), list__remote_id=one, source="site"
                ).first()
                self.left_here.pop((email, one))
                if row is not None:
                    self.left_here[email, one] = row.at
        kept = Consent.objects.order_by("at").values_list("contact__email", "key", "at")
        self.consents = {(NAMES[email], self.ids[key]): at for email, key, at in kept}

    def _forget_opt_out(self, email: str, taken: datetime) -> None:
        known = [one for one in map(self.account.find, PEOPLE[email]) if one is not None]
        there = max((one.opt_out.at for one in known if one.opt_out), default=None)
        if there is None:
            self.returned[NAMES[email]] = self.scheduler.now()
        asked = self.site_opt_out.get(NAMES[email], taken)
        if asked > taken and (there is None or there < asked):
            self.site_opt_out.pop(email, None)
        for row in Contact.objects.filter(email__in=PEOPLE[email], opt_out_wanted=True):
            # An earlier one, under way again.
            self.site_opt_out.setdefault(NAMES[row.email], row.opted_out_at or taken)
            self.opted_out_as[NAMES[row.email]] = row.email
