"""The demo's broker of files: what another process finds is there whole, or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Each binds the queue as a worker does at its start, and sends some messages.
SEND = """
import sys
from kombu import Connection
from example_project.broker import SCHEME
folder = sys.argv[1]
places = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder + "/control"}
with Connection(f"{SCHEME}://", transport_options=places) as line, line.SimpleQueue("hints") as queue:
    for number in range(200):
        queue.put({"number": number})
"""
SENDERS = 3


def test_no_file_is_ever_seen_half_written(tmp_path: Path) -> None:
    """Look at the folder all the time while others bind and send: kombu's own files are empty for a moment."""
    command = [sys.executable, "-c", SEND, str(tmp_path)]
    senders = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(SENDERS)]
    looks = 0
    while any(one.poll() is None for one in senders):
        for file in [*tmp_path.glob("*.msg"), *tmp_path.glob("control/*.exchange")]:
            json.loads(file.read_text(encoding="utf-8"))
            looks += 1
    for one in senders:
        assert one.communicate()[1] == b""
    assert len(list(tmp_path.glob("*.msg"))) == SENDERS * 200
    assert looks > 200
