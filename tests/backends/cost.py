"""What an act costs, in seconds and in bytes."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

MIB = 1024 * 1024


def cost_of(act: Callable[[], object]) -> tuple[float, int]:
    """Return how long an act takes, and the most bytes that it holds at a time.

    It is done once for each, because to watch the memory takes time. The highest memory of the whole process would
    tell nothing: it cannot rise again for what is smaller than something before.
    """
    began = time.monotonic()
    act()
    took = time.monotonic() - began
    tracemalloc.start()
    try:
        act()
        return took, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
