"""What all pages for members have in common: the headers that keep a link from going further, and no CSRF token.

A CSRF token guards what a browser does with a visitor's cookies behind her back. These pages look at no cookie: who
has the link may press the button, and who has it not cannot, from whatever site. A token would only break the
one-click unsubscribe, which comes from a mail server (RFC 8058), and every browser that takes no cookies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from ..links import BadLink

__all__ = ["discreet", "see_other"]

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]

_HEADERS = {
    "Referrer-Policy": "no-referrer",  # the address of the page is the link itself
    "X-Robots-Tag": "noindex, nofollow",
    "X-Frame-Options": "DENY",  # also where the site has no middleware for it
}


def discreet(view: View[P]) -> View[P]:
    """Let a page be kept nowhere, named to nobody and framed by none. A bad link leads to a page that says so.

    That page has an address of its own: Django logs the path of every answer that is an error, and paths hold links.
    For the same reason no method is refused: all but POST only look.
    """

    @csrf_exempt
    @never_cache
    @sensitive_post_parameters()
    @sensitive_variables()
    @wraps(view)
    def page(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            answer = view(request, *args, **kwargs)
        except BadLink:
            answer = see_other(reverse("django_ctct:link_expired"))
        for name, value in _HEADERS.items():
            answer.headers[name] = value
        return answer

    return cast("View[P]", page)


def see_other(path: str) -> HttpResponse:
    """Send the browser to another page, which it is to GET."""
    answer = HttpResponseRedirect(path)
    answer.status_code = 303
    return answer
