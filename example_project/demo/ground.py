"""Where the demo stands: its directory, its ports, and the environment that makes the settings point there.

Settings are read once, before any command runs; so the command lays the ground and then begins anew in it. It
empties only a directory that it made itself.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ground", "GroundTaken", "begin_anew"]

_MARK = ".made-by-the-demo"
_READY = "CTCT_DEMO_READY"
#: Somebody's real credentials may be in the environment: they are not the sandbox's, so the settings' own hold.
_NOT_OURS = (
    *("CTCT_OAUTH_URL", "CTCT_CLIENT_ID", "CTCT_CLIENT_SECRET"),
    *("CTCT_USERNAME", "CTCT_API_KEY", "CTCT_PASSWORD"),
)
_FOLDERS = ("logs", "messages", "control", "passing")


class GroundTaken(Exception):
    """The directory holds something that the demo did not make."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What was laid out: the directory, and the ports of the site and of the sandbox."""

    directory: Path
    site_port: int
    sandbox_port: int
    passing: bool  # the directory is to be removed at the end

    @classmethod
    def laid(cls) -> Ground | None:
        """Return the ground that this process was started on, or None when it is still to be laid."""
        words = os.environ.get(_READY, "").split(":", 3)
        if len(words) != 4:
            return None
        passing, site_port, sandbox_port, directory = words
        return cls(Path(directory), int(site_port), int(sandbox_port), passing == "passing")

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def site_url(self) -> str:
        return f"http://127.0.0.1:{self.site_port}"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    def environment(self) -> dict[str, str]:
        """Return the environment of every process of the demo, our own next life included."""
        passing = "passing" if self.passing else "kept"
        return {
            **os.environ,
            **dict.fromkeys(_NOT_OURS, ""),
            _READY: f"{passing}:{self.site_port}:{self.sandbox_port}:{self.directory}",
            "CTCT_DEMO_DIRECTORY": str(self.directory),
            "CTCT_BASE_URL": self.sandbox_url,
            "PYTHONUNBUFFERED": "1",
            # A worker that is killed leaves temporary files: here, where they go with the rest.
            "TMPDIR": str(self.directory / "passing"),
        }

    def clear(self) -> None:
        """Remove the directory if it was made for this run only."""
        if self.passing:
            shutil.rmtree(self.directory, ignore_errors=True)


def begin_anew(*, api: str, directory: str | None, default: Path | None, site_port: int, sandbox_port: int) -> None:
    """Lay the ground and start this program again on it, in the same process. Does not return.

    Without ``directory`` and ``default`` the directory is a temporary one.
    """
    chosen = Path(directory).absolute() if directory else default
    ground = Ground(
        directory=_emptied(chosen) if chosen else Path(tempfile.mkdtemp(prefix="ctct-demo-")),
        site_port=site_port or _free_port(),
        sandbox_port=sandbox_port or _free_port(),
        passing=chosen is None,
    )
    (ground.directory / _MARK).touch()
    for folder in _FOLDERS:
        (ground.directory / folder).mkdir(exist_ok=True)
    # The demo itself hints before it goes on, so that it can throw a hint away on purpose.
    environment = ground.environment() | {"CTCT_DEMO_API": api, "CTCT_DEMO_KICK": "inline"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - ourselves


def _emptied(directory: Path) -> Path:
    if directory.exists():
        _refuse_strangers(directory)
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    return directory


def _refuse_strangers(directory: Path) -> None:
    if not directory.is_dir() or (any(directory.iterdir()) and not (directory / _MARK).exists()):
        raise GroundTaken(f"{directory} holds something that the demo did not make. Name another --directory.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
