"""Letters with a fresh link to the preference page. Nobody learns from them, or from waiting, who is known.

The request does the same for every address: it counts, makes the links, hands them over and answers. It does not
even look whether there is such a contact. That, and the mailing, is done by one daemon thread of the process. A
Celery task would have to carry the address, and a thread for each letter could be used to start thousands. A
letter that is lost, because the process ended or too many were waiting, is asked for again.

The addresses of letters and links come from the request's host, as Django's password reset does: ALLOWED_HOSTS
keeps it true.
"""

from __future__ import annotations

import atexit
import ipaddress
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.core.cache import cache
from django.core.mail import EmailMessage
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from .. import conf, vault
from ..links import LIFETIME, SignedLink, preferences_url
from ..models import Contact
from ..types import normalise_address
from .discreet import see_other

__all__ = ["PostRoom", "post_room", "send_to_anybody", "send_to_owner"]

logger = logging.getLogger(__name__)

#: How many letters one address gets within ``PERIOD`` (seconds), and how many may be asked for from one IP address.
PER_ADDRESS = 3
PER_ASKER = 30
PERIOD = 3600
#: More letters than this do not wait to be sent.
MOST_WAITING = 100
#: How long the end of the process may wait for letters (seconds).
FAREWELL = 1.5


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody asks for a link to an address. ``links`` maps each account to the link it would be."""

    address: str = field(repr=False)
    links: Mapping[str, str] = field(repr=False)
    language: str | None


def send_to_anybody(request: HttpRequest, address: str) -> HttpResponse:
    """Answer one who typed an address."""
    return _send(request, normalise_address(address), list(conf.read().accounts))


def send_to_owner(request: HttpRequest, link: SignedLink) -> HttpResponse:
    """Answer one who has a link already: the fresh one goes to the address that it is about, and nowhere else."""
    return _send(request, link.address, [link.account])


def _send(request: HttpRequest, address: str, accounts: list[str]) -> HttpResponse:
    root = f"{request.scheme}://{request.get_host()}"
    if _may_ask(request, address):
        links = {alias: preferences_url(address, account=alias, root=root) for alias in accounts}
        post_room.post(Ask(address, links, translation.get_language()))
    return see_other(reverse("django_ctct:link_sent"))


# Limits. They are silent, so that they tell nothing either.


def _may_ask(request: HttpRequest, address: str) -> bool:
    """Count, and say whether it is still few. Both are counted always."""
    asker = request.META.get("REMOTE_ADDR", "")
    few = [_count(address, PER_ADDRESS)]
    if _is_somebody(asker):
        few.append(_count(asker, PER_ASKER))
    return all(few)


def _is_somebody(asker: str) -> bool:
    """Say whether an IP address is one asker's own. A proxy's, behind which all of them are, would stop everybody."""
    try:
        return ipaddress.ip_address(asker).is_global
    except ValueError:
        return False


def _count(what: str, most: int) -> bool:
    name = f"django_ctct:link:{vault.address_hash(what)}"
    cache.add(name, 0, PERIOD)
    try:
        return bool(cache.incr(name) <= most)
    except ValueError:  # it ended between the two, or this cache keeps nothing
        return True


# The letter


def _write(ask: Ask) -> None:
    """Send the letter if the address is known. It is written either way: that costs the same then."""
    rows = Contact.objects.filter(account__alias__in=ask.links, email=ask.address).select_related("account")
    known = [row.account.alias for row in rows if row.email == ask.address]
    letter = _letter(ask, known or list(ask.links))
    if known:
        letter.send()


def _letter(ask: Ask, accounts: list[str]) -> EmailMessage:
    told = {"links": [ask.links[alias] for alias in accounts], "days": LIFETIME.days}
    with translation.override(ask.language):
        subject = " ".join(render_to_string("django_ctct/link_subject.txt", told).split())
        body = render_to_string("django_ctct/link_letter.txt", told)
    return EmailMessage(subject, body, to=[ask.address], headers={"Auto-Submitted": "auto-generated"})


class PostRoom:
    """Do what is asked for one after the other, in a thread of its own that the first request starts."""

    def __init__(self, write: Callable[[Ask], None]) -> None:
        self._write = write
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.wait, FAREWELL)

    def _reset(self) -> None:
        self._news = threading.Condition()
        self._waiting: deque[Ask] = deque()
        self._busy = False
        self._thread: threading.Thread | None = None

    def post(self, ask: Ask) -> None:
        """Take an ask. Returns at once and raises nothing."""
        with self._news:
            if len(self._waiting) >= MOST_WAITING:
                logger.warning("too many letters with links are waiting; one was dropped")
                return
            self._waiting.append(ask)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="ctct-letters", daemon=True)
                self._thread.start()
            self._news.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing waits any more, at most ``seconds``. Say whether that is so."""
        with self._news:
            return self._news.wait_for(lambda: not self._waiting and not self._busy, seconds)

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting)
                ask, self._busy = self._waiting.popleft(), True
            self._do(ask)
            with self._news:
                self._busy = False
                self._news.notify_all()

    def _do(self, ask: Ask) -> None:
        try:
            self._write(ask)
        except Exception as error:  # noqa: BLE001 - whatever a mail server says; its text may hold the address
            logger.error("a letter with a link could not be sent (%s)", type(error).__name__)
        finally:
            connections.close_all()  # this thread's own


post_room = PostRoom(_write)
