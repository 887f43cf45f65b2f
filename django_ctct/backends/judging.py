"""What both wires make of a document that cannot be read: garbled is for another try, wrong is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..exceptions import MalformedResponse, RemoteUnavailable
from .atom_document import Breach, Unreadable
from .http import Answer

__all__ = ["judged"]


@contextmanager
def judged(answer: Answer) -> Iterator[None]:
    """Turn what reading a document finds into errors about the answer that it came in."""
    try:
        yield
    except Unreadable as fault:
        raise answer.error(RemoteUnavailable, fault.reason, code=fault.code) from None
    except Breach as breach:
        raise answer.error(MalformedResponse, breach.reason, code=breach.code) from None
