"""The preference page: what she gets, what she may leave, and how she comes back.

The link to it was mailed to her address, so a tick that she sets is her own act under an address that is proved to
be hers. The time of it is that of the press, and the text that she saw is kept with it. Only boxes that she
changed count: what changed behind the page, between looking and pressing, is nobody's wish.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from .. import acts
from ..links import EVERYTHING, LIFETIME, Purpose, SignedLink, read, renewed_path
from ..models import Contact
from . import letters
from .discreet import discreet, see_other
from .leaving import leave
from .standing import Choice, Standing, lock, stand

__all__ = ["preferences"]

#: As consents name this page.
METHOD = "preference page"


@discreet
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """Show the lists, and on POST save the boxes, stop everything, or mail a fresh link to the owner."""
    link = read(token, Purpose.PREFERENCES)
    if request.method != "POST":
        told = {"hint": link.hint, "standing": stand(link), "days": LIFETIME.days}
        said = {name: name in request.GET for name in ("saved", "again")}
        return render(request, "django_ctct/preferences.html", told | said)
    if "fresh" in request.POST:
        return letters.send_to_owner(request, link)
    with transaction.atomic():
        lock(link)
        standing = stand(link)
        ticked, shown = (frozenset(request.POST.getlist(name)) for name in ("on", "was"))
        if "everything" in request.POST:
            changed = leave(link, EVERYTHING)
        elif ticked - shown and request.POST.get("heard", standing.heard_to) != standing.heard_to:
            return see_other(f"{request.path}?again")
        else:
            changed = _save(link, standing, token, ticked, shown)
        # She may think better of what she has just stopped; who comes with an older link may not.
        path = renewed_path(link) if changed and standing.is_current else request.path
    return see_other(f"{path}?saved")


def _save(link: SignedLink, standing: Standing, token: str, ticked: frozenset[str], shown: frozenset[str]) -> bool:
    """Take the boxes as she left them; ``shown`` are those that were ticked when she got the page.

    Return whether anything changed.
    """
    left = [leave(link, one.key) for one in standing.choices if one.is_on and one.key in shown - ticked]
    joined = [one for one in standing.choices if one.may_join and one.key in ticked - shown]
    if joined and standing.contact is not None:
        _join(standing.contact, joined, _evidence(link, token))
    return any(left) or bool(joined)


def _join(contact: Contact, joined: Sequence[Choice], evidence: str) -> None:
    keys = [one.key for one in joined]
    acts.resubscribe(contact, keys, method=METHOD, wording=_wording(joined), evidence=evidence)


def _wording(joined: Sequence[Choice]) -> str:
    """Return what she agreed to, as the page says it."""
    question = str.strip(render_to_string("django_ctct/consent_wording.txt"))
    return f"{question} {'; '.join(one.label for one in joined)}"


def _evidence(link: SignedLink, token: str) -> str:
    """Name the link without giving it away: it would open the page to whoever reads the record."""
    digest = sha256(token.encode()).hexdigest()[:16]
    return f"pressed on the page of a link mailed to this address; link {digest}, made {link.issued.isoformat()}"
