"""Who acts in a run: members, staff and people at Constant Contact, at random.

Each act is done by the package's own doors or at the account itself, and told to the ``world``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random

from django_ctct import acts
from django_ctct.models import Account, Contact
from tests.site.models import Member

from .scheduler import Scheduler
from .world import KEYS, NAMES, PEOPLE, UNMANAGED, World, addresses

__all__ = ["PEOPLE", "People"]


class People:
    """Everybody who can do something. ``kick`` sends the hint at a change that was committed."""

    def __init__(self, random: Random, scheduler: Scheduler, world: World, kick: Callable[[], None]) -> None:
        self.random, self.scheduler, self.world, self._kick = random, scheduler, world, kick

    def something(self) -> None:
        """Let one thing happen, on the site or over there."""
        self.world.check_truth()
        email = self._address(self.random.choice(tuple(PEOPLE)))
        act = self.random.choice(
            (*[self._save] * 8, self._delete, self._move, self._leave_here, self._opt_out, *[self.there] * 8)
        )
        act(email)
        if self.random.random() < 0.3:
            self._resubscribe(email)

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

    def _save(self, email: str) -> None:
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
            self.scheduler.after(self.random.random() * 1.5, lambda: self._save(self._address(NAMES[email])))

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
        if row is not None and self.random.random() < 0.5:
            acts.opt_out(row)
            self.world.site_opt_out[NAMES[email]] = self.scheduler.now()
            self.scheduler.log(f"opt out {email}")
            self._kick()

    def _resubscribe(self, email: str) -> None:
        row = Contact.objects.filter(email=email).first()
        if row is None:
            return
        key = self.random.choice(KEYS)
        self.scheduler.seconds += 0.01
        acts.resubscribe(row, [key], method="simulated")
        at: datetime = self.scheduler.now()
        self.world.consents[NAMES[email], self.world.ids[key]] = at
        self.scheduler.seconds += 0.01
        self.scheduler.log(f"resubscribe {email} {key}")
        self._kick()

    # Staff

    def read_plan(self) -> None:
        """Approve the plan once there is one to read, and look again later: a backup may take that back."""
        self.scheduler.after(30 + self.random.random() * 120, self.read_plan)
        account = Account.objects.get()
        if account.approved_at is None and account.pulled_to is not None:
            self.world.approve()
            acts.approve(account, by="staff")
            self._kick()

    # Over there

    def somebody_acts_there(self) -> None:
        self.there(self._address(self.random.choice(tuple(PEOPLE))))

    def somebody_leaves_unseen(self) -> None:
        """Let somebody leave a list shortly before the end, so that only a full pull's end finds it."""
        on = [(email, key) for email in map(self._address, PEOPLE) for key in KEYS if self.world.is_on(email, key)]
        if on:
            self.world.leaves_unseen(*self.random.choice(on))

    def there(self, email: str) -> None:
        world, email = self.world, self._address_there(email)
        name = self.random.choice(KEYS)
        act = self.random.choice(("unsubscribe", "leave", "leave", "leave", "join", "add", "remove", "unmanaged"))
        if act == "unsubscribe":
            world.unsubscribe(email)
        elif act == "leave":
            world.leave(email, name)
        elif act == "join":
            world.join(email, name)
        elif act == "unmanaged":
            world.owner_sets(email, self.random.choice(UNMANAGED), self.random.random() < 0.6)
        else:
            world.owner_sets(email, name, act == "add")
