"""An index with a condition where the database has such, and a plain one where it has not."""

from __future__ import annotations

from typing import Any

from django.db import models

__all__ = ["PartialIndex"]


class PartialIndex(models.Index):
    """Index only the rows that match ``where``; all rows on MySQL and MariaDB.

    Django's own ``condition`` creates nothing at all there, and the queue's queries would read the whole table.
    """

    def __init__(self, *expressions: Any, where: models.Q, **options: Any) -> None:
        self.where = where
        super().__init__(*expressions, **options)

    def create_sql(self, model: Any, schema_editor: Any, using: str = "", **options: Any) -> Any:
        partial = schema_editor.connection.features.supports_partial_indexes
        plain = models.Index(fields=self.fields, name=self.name, condition=self.where if partial else None)
        return plain.create_sql(model, schema_editor, using, **options)

    def deconstruct(self) -> Any:
        path, arguments, options = super().deconstruct()
        return path, arguments, {**options, "where": self.where}
