"""The guard against copies: a database restored somewhere else must not speak for the live site.

Each account carries the mark of the place where it was connected: ``CTCT["ENVIRONMENT"]`` and what tells its
database from others. Where the mark does not fit, nothing is read, written or renewed until a person says that
this is the live site now. The name of the web server is no part of it: containers change theirs every day.
It may import models, conf and exceptions only.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.db import ProgrammingError, connections, router, transaction

from . import conf
from .exceptions import CopyDetected
from .models import Account

__all__ = ["adopt", "check", "is_copy", "mark"]

_server_ids: dict[tuple[str, ...], str] = {}


def check(account: Account) -> None:
    """Let an account of this place pass, and mark one that has no mark. Raise ``CopyDetected`` for any other."""
    if not account.environment:
        Account.objects.filter(pk=account.pk, environment="").update(environment=mark())
        account.refresh_from_db(fields=["environment"])
    if is_copy(account):
        raise CopyDetected(account.alias)


def is_copy(account: Account) -> bool:
    """Say whether an account was connected in another place than this."""
    return bool(account.environment) and not _same(account.environment, mark())


def adopt(account: Account) -> None:
    """Make this place the account's own. Only a person may ask for it."""
    Account.objects.filter(pk=account.pk).update(environment=mark())
    account.refresh_from_db(fields=["environment"])


def mark() -> str:
    """Return the mark of this place: digests of the environment's name, the database's address and its server.

    Where the site names its environment, the name stands in for the database's host and port: two ways to one
    database, one of them through a pooler, are one place then.
    """
    connection = connections[router.db_for_write(Account)]
    told = {name: str(connection.settings_dict.get(name) or "") for name in ("NAME", "HOST", "PORT")}
    if connection.vendor == "sqlite" and ":memory:" not in told["NAME"] and "mode=memory" not in told["NAME"]:
        told["NAME"] = str(Path(told["NAME"]).resolve())
    name = conf.read().environment
    address = (told["NAME"],) if name else (told["NAME"], told["HOST"], told["PORT"])
    server = _server_id(connection, (connection.vendor, *told.values()))
    return ":".join((_digest(name), _digest(connection.vendor, *address), _digest(server)))


def _same(one: str, other: str) -> bool:
    """Compare two marks. A server that only one of them could read does not tell them apart."""
    *first, server = one.split(":")
    *second, other_server = other.split(":")
    return first == second and (server == other_server or not server or not other_server)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16] if any(parts) else ""


def _server_id(connection: Any, key: tuple[str, ...]) -> str:
    """Return PostgreSQL's own number, which another server does not have even under the same address."""
    if connection.vendor != "postgresql":
        return ""
    if key not in _server_ids:
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute("SELECT system_identifier FROM pg_control_system()")
                _server_ids[key] = str(cursor.fetchone()[0])
        except ProgrammingError:  # not allowed to this user
            _server_ids[key] = ""
    return _server_ids[key]
