"""Who acts in a run: members, staff and people at Constant Contact, at random.

Each act is done by the package's own doors or at the account itself, and told to the ``world``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from django_ctct import acts
from django_ctct.models import Account, Contact
from tests.site.models import Member

from .mix import HERE, THERE, Mix
from .scheduler import Scheduler
from .world import KEYS, NAMES, PEOPLE, UNMANAGED, World, addresses

__all__ = ["People"]

#: How many acts of a run answer to an event, and within how many seconds they come.
MOST_REACTIONS = 15
SOON_AFTER = (0.5, 2.0, 60.0)


class People:
    """Everybody who can do something. ``kick`` sends the hint at a change that was committed."""

    def __init__(self, scheduler: Scheduler, world: World, mix: Mix, kick: Callable[[], None]) -> None:
        self.random, self.scheduler, self.world, self.mix, self._kick = scheduler.random, scheduler, world, mix, kick
        self._reactions = MOST_REACTIONS
        here = (self.save, self._delete, self._move, self._leave_here, self._opt_out, self._resubscribe)
        self._here = dict(zip(HERE, here, strict=True))

    def something(self) -> None:
        """Let one thing happen, on the site or over there."""
        self._act(self.random.choice((HERE, HERE, THERE)))

    def _act(self, names: Sequence[str]) -> None:
        if self.scheduler.calm:
            return
        self.world.check_truth()
        email, name = self._somebody(), self._one_of(names)
        if name in self._here:
            self._here[name](email)
        else:
            self._there(email, name)

    def react(self) -> None:
        """Act soon after something has happened: just then it matters most."""
        if self._reactions and not self.scheduler.calm and self.random.random() < self.mix.reacts:
            self._reactions -= 1
            side = self.random.choice((HERE, THERE, THERE))
            self.scheduler.after(self.random.random() * self.random.choice(SOON_AFTER), lambda: self._act(side))

    def _one_of(self, names: Sequence[str]) -> str:
        return self.random.choices(names, [self.mix.acts.get(one, 0) for one in names])[0]

    def _somebody(self) -> str:
        return self._address(self.random.choice(self.mix.people))

    def _address(self, name: str) -> str:
        """Return the address that a person has now: her members', or the one that is known over there."""
        hers = Member.objects.filter(email__in=PEOPLE[name]).order_by("-pk").values_list("email", flat=True).first()
        return hers or next((one for one in PEOPLE[name] if self.world.account.find(one)), name)

    def _address_there(self, email: str) -> str:
        """Return the address that she is known by over there, the present one first."""
        known = (one for one in (email, *addresses(email)) if self.world.account.find(one))
        return next(known, email)

    def _move(self, email: str) -> None:
        """Let a member have another address of hers."""
        new = next(one for one in addresses(email) if one != email)
        member = Member.objects.filter(email=email).order_by("pk").first()
        if member is not None:
            self.world.moves(email, new)
            member.email = new
            member.save()
            self._kick()

    def save(self, email: str) -> None:
        """Save a member; half of the time she changes her mind again soon, while a worker may be at it."""
        member = Member.objects.filter(email=email).order_by("pk").first() or Member(email=email)
        if member.pk is None:
            self.world.begins(email)
        member.is_free = self.random.random() < 0.5
        member.is_sustainer = not member.is_free and self.random.random() < 0.8
        member.wants_newsletter = self.random.random() < 0.5
        member.save()
        self.scheduler.log(f"save {email} {member.is_free} {member.is_sustainer} {member.wants_newsletter}")
        self._kick()
        if self.random.random() < 0.5:
            self.scheduler.after(self.random.random() * 1.5, lambda: self.save(self._address(NAMES[email])))

    def _delete(self, email: str) -> None:
        for member in Member.objects.filter(email=email):
            member.delete()
            self.scheduler.log(f"delete {email}")
        self._kick()

    def _leave_here(self, email: str) -> None:
        key = self.random.choice(KEYS)
        acts.leave_list(email, key)
        self.world.left_here[NAMES[email], self.world.ids[key]] = self.scheduler.now()
        self.scheduler.log(f"leave {email} {key}")
        self._kick()

    def _opt_out(self, email: str) -> None:
        row = Contact.objects.filter(email=email).first()
        if row is not None:
            acts.opt_out(row)
            self.world.opts_out_here(email)
            self.scheduler.log(f"opt out {email}")
            self._kick()

    def _resubscribe(self, email: str) -> None:
        row = Contact.objects.filter(email=email).first()
        if row is None:
            return
        keys = self.random.choice(([self.random.choice(KEYS)], list(KEYS)))
        self.scheduler.seconds += 0.01
        acts.resubscribe(row, keys, method="simulated")
        at: datetime = self.scheduler.now()
        for key in keys:
            self.world.consents[NAMES[email], self.world.ids[key]] = at
        self.scheduler.seconds += 0.01
        self.scheduler.log(f"resubscribe {email} {keys}")
        self._kick()

    # Staff

    def read_plan(self) -> None:
        """Approve the plan once there is one to read, and look again later: a backup may take that back."""
        self.scheduler.after(30 + self.random.random() * 120, self.read_plan)
        self.approve()

    def approve(self) -> None:
        account = Account.objects.get()
        if account.approved_at is None and account.pulled_to is not None:
            self.world.approve()
            acts.approve(account, by="staff")
            self._kick()

    # Over there

    def somebody_acts_there(self) -> None:
        self._there(self._somebody(), self.random.choice(THERE))

    def somebody_leaves_unseen(self) -> None:
        """Let somebody leave a list shortly before the end, so that only a full pull's end finds it."""
        on = [
            (email, key)
            for email in map(self._address, self.mix.people)
            for key in KEYS
            if self.world.is_on(email, key)
        ]
        if on:
            self.world.leaves_unseen(*self.random.choice(on))

    def _there(self, email: str, act: str) -> None:
        world, email = self.world, self._address_there(email)
        on = [key for key in KEYS if world.is_on(email, key)] if act in ("leave", "remove") else []
        name = self.random.choice(on or KEYS)
        if act == "unsubscribe" and world.is_out(email) and "resubscribe" in self.mix.acts:
            self._resubscribe(email)  # who is out can only come back
        elif act == "unsubscribe":
            world.unsubscribe(email)
        elif act == "leave":
            world.leave(email, name)
        elif act == "join":
            world.join(email, name)
        elif act == "unmanaged":
            world.owner_sets(email, self.random.choice(UNMANAGED), self.random.random() < 0.6)
        else:
            world.owner_sets(email, name, act == "add")
