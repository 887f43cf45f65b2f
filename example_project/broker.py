"""The demo's broker: kombu's transport of files, with every file there at once or not at all.

kombu makes a file, then locks it, then writes it; another process may read it in between, find nothing, and its
consumer ends. It was seen on a busy machine. A name that appears only when the file is whole needs no lock.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

__all__ = ["SCHEME", "Transport"]

SCHEME = "folder"


class Channel(filesystem.Channel):
    """Writes beside the place, and then gives the file its name."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        name = f"{round(monotonic() * 1000)}_{uuid4()}.{queue}.msg"
        self._written(Path(self.data_folder_out), name, dumps(payload)).rename(Path(self.data_folder_out) / name)

    def _queue_bind(self, exchange: str, *where: Any) -> None:
        table = self.control_folder / f"{exchange}.exchange"  # kombu judges the name itself, right after
        if not table.exists():
            table.parent.mkdir(exist_ok=True)
            empty = self._written(table.parent, table.name, "[]")
            try:
                os.link(empty, table)
            except FileExistsError:  # another process was quicker
                pass
            finally:
                empty.unlink()
        super()._queue_bind(exchange, *where)

    def _written(self, folder: Path, name: str, text: str) -> Path:
        """Return a file of that content under a name that nobody looks for."""
        part = folder / f".{uuid4()}-{name}.part"
        part.write_text(text, encoding="utf-8")
        return part


class Transport(filesystem.Transport):
    """Messages as files in a folder."""

    Channel = Channel


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
