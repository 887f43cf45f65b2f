"""A server that misbehaves as told, byte by byte, on 127.0.0.1."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Play = Callable[[socket.socket, threading.Event], None]


class Scripted:
    """Knows where the server listens and what requests it got."""

    def __init__(self, listener: socket.socket, scheme: str) -> None:
        self.url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.connections = 0


@contextmanager
def scripted(play: Play, *, at_once: bool = False, tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """Serve every request with ``play(connection, over)``, or every connection before it has asked anything.

    With ``tls`` it speaks https.
    """
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        server = Scripted(listener, "https" if tls else "http")
        threads: list[threading.Thread] = []

        def serve(accepted: socket.socket) -> None:
            accepted.settimeout(5)
            with accepted, contextlib.suppress(OSError), _secured(accepted, tls) as connection:
                if at_once:
                    play(connection, over)
                while request := _request(connection):
                    server.requests.append(request)
                    play(connection, over)

        def accept() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    server.connections += 1
                    threads.append(threading.Thread(target=serve, args=(connection,)))
                    threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield server
        finally:
            over.set()
            for thread in (acceptor, *threads):
                thread.join()


def _secured(accepted: socket.socket, tls: ssl.SSLContext | None) -> socket.socket:
    return tls.wrap_socket(accepted, server_side=True) if tls else accepted


def _request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return b""
        received += piece
    return received


def answer(*headers: str, body: bytes = b"", status: str = "200 OK") -> Play:
    """Answer at once and hang up."""
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""]).encode()

    def play(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head + body)
        connection.shutdown(socket.SHUT_RDWR)

    return play


def drip(head: bytes, endless: bytes, seconds: float = 0.05) -> Play:
    """Send ``head`` at once and then ``endless`` for ever, a piece at a time."""

    def play(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.is_set():
            connection.sendall(endless)
            time.sleep(seconds)

    return play


def reset(connection: socket.socket, over: threading.Event) -> None:
    """Hang up with a reset."""
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()


def silence(connection: socket.socket, over: threading.Event) -> None:
    """Say nothing until the test is over."""
    over.wait(10)
