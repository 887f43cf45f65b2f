"""The database's clock as an expression. All times that decide something come from it, never from a worker."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models.functions import Now

__all__ = ["DatabaseNow", "moment_of"]


class DatabaseNow(Now):
    """The present moment in UTC, whatever the session's time zone is."""

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # CURRENT_TIMESTAMP is in the session's zone, and Django sets none on MySQL and MariaDB.
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **context)


def moment_of(row: models.Model) -> datetime:
    """Return the database's time at which a row was read; its queryset must have annotated ``moment``."""
    moment: datetime = vars(row)["moment"]
    return moment
