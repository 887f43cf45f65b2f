"""The processes that the demo starts, and their end.

Each leads a process group of its own, so that its children end with it and a Ctrl-C in the terminal reaches the
demo alone, which then stops them in order. Leaving the ``with`` block stops everything, whatever the reason.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

__all__ = ["Processes"]

#: How long a process may take to end by itself before it is killed (seconds).
GRACE = 6.0


class Processes:
    """Start processes by name, each with a log file, and stop them all."""

    def __init__(self, logs: Path, *, folder: Path) -> None:
        self._logs = logs
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a process; its output is appended to its log."""
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own commands
                list(command),
                cwd=self._folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        """Return the file that a process of this name writes to."""
        return self._logs / f"{name}.log"

    def output(self, name: str) -> str:
        path = self.log(name)
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def everything_logged(self) -> str:
        """Return all that the processes have said so far."""
        return "\n".join(self.output(path.stem) for path in sorted(self._logs.glob("*.log")))

    def tails(self, lines: int = 15) -> list[tuple[str, list[str]]]:
        """Return the last lines of every log, by name."""
        return [(path.stem, self.output(path.stem).splitlines()[-lines:]) for path in sorted(self._logs.glob("*.log"))]

    def is_alive(self, name: str) -> bool:
        return name in self._running and self._running[name].poll() is None

    def dead(self) -> list[str]:
        """Return the names of processes that ended without being asked."""
        return [name for name in self._running if not self.is_alive(name)]

    def kill(self, name: str) -> None:
        """End a process and its children the hard way, as a power cut would."""
        process = self._running.pop(name)
        _signal_group(process, signal.SIGKILL)
        process.wait(GRACE)

    def stop_all(self) -> None:
        """Ask every process to end, and end those that do not."""
        stopping, self._running = list(self._running.values()), {}
        for process in stopping:
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while any(process.poll() is None for process in stopping) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in stopping:
            # Also where the first process has ended: its children may not have.
            _signal_group(process, signal.SIGKILL)
            process.wait(GRACE)

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A second Ctrl-C out of impatience must not leave a process behind.
        before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.stop_all()
        finally:
            for each, action in before.items():
                signal.signal(each, action)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # The group is empty; some systems say so by refusing.
