"""The people of the demo: all made up, all at example.com."""

from __future__ import annotations

from dataclasses import dataclass

from example_project.members.models import Member, Tier

__all__ = [
    "ADA",
    "BOARD",
    "CAST",
    "EDDA",
    "FREE",
    "JON",
    "KEYS",
    "LISTS",
    "MAREN",
    "NEWSLETTER",
    "STRANGER",
    "SUSTAINERS",
    "TOM",
]

FREE, SUSTAINERS, NEWSLETTER, BOARD = "Free members", "Sustainers", "Newsletter", "Board (not managed)"
LISTS = (FREE, SUSTAINERS, NEWSLETTER, BOARD)
KEYS = {"free": FREE, "sustainers": SUSTAINERS, "newsletter": NEWSLETTER}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is, or will be, a member. ``held`` are the lists that already hold her at Constant Contact."""

    first_name: str
    last_name: str
    employer: str = ""
    tier: str = Tier.FREE
    wants_newsletter: bool = False
    held: tuple[str, ...] = ()

    @property
    def email(self) -> str:
        return f"{self.first_name}.{self.last_name}@example.com".lower()

    def join(self) -> Member:
        """Become a member of the site, by an ordinary save."""
        return Member.objects.create(
            email=self.email,
            first_name=self.first_name,
            last_name=self.last_name,
            employer=self.employer,
            tier=self.tier,
            wants_newsletter=self.wants_newsletter,
        )

    def member(self) -> Member:
        return Member.objects.get(email=self.email)


ADA = Person("Ada", "Winter", "Harbour Library", wants_newsletter=True)
MAREN = Person("Maren", "Holt", "Holt & Daughters", held=(FREE, BOARD))
TOM = Person("Tom", "Okafor", "Night Bakery")
EDDA = Person("Edda", "Lindqvist", "Marsh School")
JON = Person("Jon", "Amsel", tier=Tier.SUSTAINER, wants_newsletter=True)

#: On a list that the site manages, but no member of the site: never written.
STRANGER = "visitor@example.com"

CAST = (MAREN, TOM, EDDA, JON)
