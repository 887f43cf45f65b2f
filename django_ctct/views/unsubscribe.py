"""Unsubscribe with one press. GET changes nothing, because mail scanners open every link; POST does it at once.

A POST comes from the button, or from a mail server with ``List-Unsubscribe=One-Click`` (RFC 8058), and both mean the
same. The answer is a page with status 200, never a redirect.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ..links import EVERYTHING, Purpose, SignedLink, read
from . import letters
from .discreet import discreet
from .leaving import leave, list_of
from .standing import label

__all__ = ["unsubscribe"]


@discreet
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask, and on POST do it. From the page after it a link to the preference page can be had by mail."""
    link = read(token, Purpose.UNSUBSCRIBE)
    if request.method != "POST":
        return _page(request, "unsubscribe", link)
    if "fresh" in request.POST:
        return letters.send_to_owner(request, link)
    one = list_of(link)
    leave(link, EVERYTHING if one is None or one.key is None else one.key)
    return _page(request, "unsubscribed", link)


def _page(request: HttpRequest, name: str, link: SignedLink) -> HttpResponse:
    one = list_of(link)
    told = {"hint": link.hint, "label": label(one) if one else ""}
    return render(request, f"django_ctct/{name}.html", told)
