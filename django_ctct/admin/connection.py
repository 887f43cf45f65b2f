"""*Check the connection*: read the account's lists, and say in words how it went. Called for a POST only."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import catalogue, conf, services
from ..exceptions import AuthenticationFailed, ConfigurationError, CtctError
from ..models import Account, DatabaseNow
from ..verdict.words import error_sentence
from .base import CtctAdmin, log

__all__ = ["check", "known_aliases"]


def known_aliases() -> list[str]:
    """Return the accounts of the settings; none when the settings cannot be read."""
    try:
        return sorted(conf.read().accounts)
    except ConfigurationError:
        return []


def check(page: CtctAdmin[Any], request: HttpRequest, alias: str) -> bool:
    """Read the lists of an account and tell the user what came of it. Raises nothing of ours."""
    try:
        with services.connect(alias) as link:
            count = len(catalogue.read_lists(link))
            account = link.account
    except (ConfigurationError, CtctError) as error:
        if isinstance(error, AuthenticationFailed) and error.status is not None:
            Account.objects.filter(alias=alias).update(auth_failed_at=DatabaseNow())
        page.message_user(request, _("%(alias)s: %(error)s") % _told(alias, error), messages.ERROR)
        return False
    with transaction.atomic():
        log(request, [account], _("Checked the connection and read the lists."))
    text = ngettext(
        "%(alias)s: Constant Contact answers. %(n)s list was read.",
        "%(alias)s: Constant Contact answers. %(n)s lists were read.",
        count,
    )
    page.message_user(request, text % {"alias": alias, "n": count}, messages.SUCCESS)
    return True


def _told(alias: str, error: CtctError | ConfigurationError) -> dict[str, str]:
    return {"alias": alias or "?", "error": error_sentence(error)}
