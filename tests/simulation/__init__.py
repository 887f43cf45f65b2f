"""A deterministic simulator over the real mirror, outbox, services and planner.

One seed decides everything: what the site's members do, what people and the owner do at Constant Contact, when
each worker runs, pauses and dies, and the fate of each call; and which of all this the run is made of (``mix``).
The clock is the database's, and is simulated too. Invariants are checked at every write, some of them at the
account itself (``watch``), and after the faults have stopped the two sides must agree.

``python -m tests.simulation --seeds 2000`` runs as many as one likes; a failing seed is printed and replays.
"""
