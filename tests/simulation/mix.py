"""What one run is made of: which acts, which weather, how many people, how close together. A seed draws it.

Where everything may happen in every run, three things that matter together seldom meet. So each run leaves much
out, and what is left comes the more often (swarm testing); and some runs are about one thing only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from .network import READS, WRITES
from .scheduler import Rates
from .truth import PEOPLE

__all__ = ["HERE", "THERE", "Mix"]

#: What is done on the site, and at Constant Contact.
HERE = ("save", "delete", "move", "leave_here", "opt_out", "resubscribe")
THERE = ("unsubscribe", "leave", "join", "add", "remove", "unmanaged")
#: How many of each a run keeps, besides that members are saved.
KEPT_HERE = (0, 1, 2, 5)
KEPT_THERE = (1, 1, 2, 3, 6)
#: What she does herself over there matters most: where a run keeps one act only, it is mostly one of these.
HERS = ("unsubscribe", "leave")
#: After these nothing happens to her any more, unless she may come back.
ENDS = {"opt_out", "unsubscribe", "leave_here", "leave", "remove"}
#: How much rougher than usual each kind of weather is.
ROUGHER = (0.0, 1.0, 1.0, 2.0)
#: Every eighth run is about one of these: she comes and goes, leaves a list, has other addresses. Writes come late.
THEMES = (
    {"save": 1, "resubscribe": 3, "opt_out": 3, "unsubscribe": 1},
    {"save": 2, "leave_here": 1, "resubscribe": 1, "leave": 2},
    {"save": 2, "move": 2, "opt_out": 1, "resubscribe": 1, "leave": 1},
)
#: Within how many seconds the acts of a burst come.
CLOSE = (2.0, 20.0, 200.0)


@dataclass(frozen=True)
class Mix:
    """The make of one run.

    ``moments`` are when somebody acts, and ``reacts`` is how likely somebody acts upon an event. ``settled``: the
    site has come to its account before, its first pull is read and the plan approved.
    """

    people: tuple[str, ...]
    acts: dict[str, int]
    rates: Rates
    rough: float
    moments: tuple[float, ...]
    reacts: float
    workers: int
    known: float
    members: float
    settled: bool
    read_plan: float
    sweep_every: float
    pull_every: float
    backup: bool

    @classmethod
    def drawn(cls, seed: int, random: Random, rates: Rates) -> Mix:
        mix = cls._drawn(random, rates)
        turn, rest = divmod(seed, 8)
        return mix._about(THEMES[turn % len(THEMES)], rates) if rest == 5 else mix

    def _about(self, acts: dict[str, int], rates: Rates) -> Mix:
        late = replace(self.rates, fault=rates.fault * 2, feed_fault=0.0, lost_hint=0.0, fates=("reset_after", "late"))
        return replace(self, acts=acts, rates=late, people=self.people[:1], settled=True, reacts=1.0, sweep_every=5.0)

    @classmethod
    def _drawn(cls, random: Random, rates: Rates) -> Mix:
        rough = random.choice((200.0, 400.0, 600.0))
        return cls(
            people=tuple(sorted(PEOPLE)[: random.choice((1, 1, 2))]),
            acts=_acts(random),
            rates=_weather(random, rates),
            rough=rough,
            moments=_moments(random, rough),
            reacts=random.choice((0.0, 0.5, 1.0)),
            workers=random.randint(2, 3),
            known=random.choice((0.0, 0.0, 0.4, 0.8)),
            members=random.choice((0.5, 1.0)),
            settled=random.random() < 0.8,
            read_plan=random.choice((30.0, rough)),
            sweep_every=random.choice((5.0, 60.0)),
            pull_every=random.choice((60.0, 300.0)),
            backup=random.random() < 0.25,
        )


def _acts(random: Random) -> dict[str, int]:
    """Return what is done in a run, and how often one is done for each time that another one of its side is."""
    kept = random.sample(HERE[1:], random.choice(KEPT_HERE))
    kept += random.sample((*THERE, *HERS, *HERS), random.choice(KEPT_THERE))
    acts = {"save": random.choice((1, 4)), **{name: random.choice((1, 1, 3)) for name in kept}}
    if ENDS & acts.keys() and random.random() < 0.7:
        acts.setdefault("resubscribe", 2)
    return acts


def _weather(random: Random, rates: Rates) -> Rates:
    return Rates(
        crash=rates.crash * random.choice(ROUGHER),
        pause=rates.pause * random.choice(ROUGHER),
        fault=rates.fault * random.choice((0.0, 1.0, 2.0, 2.5)),
        feed_fault=rates.feed_fault * random.choice((0.0, 0.0, 1.0)),
        lost_hint=rates.lost_hint * random.choice(ROUGHER),
        fates=tuple(random.sample(sorted({*READS, *WRITES}), random.choice((1, 2, 4, 8)))),
    )


def _moments(random: Random, rough: float) -> tuple[float, ...]:
    """Return when somebody acts: in a few bursts, or at any time."""
    count = random.randint(8, 24)
    if random.random() < 0.4:
        return tuple(random.random() * rough for _ in range(count))
    close = random.choice(CLOSE)
    begins = [random.random() * max(rough - close, 0) for _ in range(random.randint(1, 4))]
    return tuple(min(random.choice(begins) + random.random() * close, rough) for _ in range(count))
