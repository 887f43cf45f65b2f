"""Template tags for the site's own letters and pages: links to unsubscribe and to the preference page.

With the request in the context the URLs are absolute; in a letter, where there is none, say ``root``. For a member
without a usable address they are empty. They make links and nothing else.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context

from .. import adapters, conf, links
from ..adapters import MemberAdapter

register = template.Library()


@register.simple_tag(takes_context=True)
def ctct_preferences_url(context: Context, whose: Any, account: str = "", root: str = "") -> str:
    """Return the way to the preference page of a member or an address."""
    address, alias = _owner(whose, account)
    try:
        return links.preferences_url(address, account=alias, root=root or _root(context))
    except ValueError:
        return ""


@register.simple_tag(takes_context=True)
def ctct_unsubscribe_url(
    context: Context, whose: Any, key: str = links.EVERYTHING, account: str = "", root: str = ""
) -> str:
    """Return the way for a member or an address to leave one list, or without a key everything."""
    address, alias = _owner(whose, account)
    try:
        return links.unsubscribe_url(address, key, account=alias, root=root or _root(context))
    except ValueError:
        return ""


def _owner(whose: Any, account: str) -> tuple[str, str]:
    """Return the address that is meant, and the alias of the account."""
    if isinstance(whose, str) or whose is None:
        return whose or "", account or conf.DEFAULT_ACCOUNT
    adapter = _adapter(whose, account)
    return adapter.desired(whose).email, adapter.account


def _adapter(member: Any, account: str) -> MemberAdapter:
    for one in adapters.for_account(account or None):
        if isinstance(member, one.model):
            return one
    raise template.TemplateSyntaxError(
        f"No adapter of CTCT['ADAPTERS'] serves {type(member).__name__}: give the tag an address, or a member."
    )


def _root(context: Context) -> str:
    request = context.get("request")
    return f"{request.scheme}://{request.get_host()}" if request is not None else ""
