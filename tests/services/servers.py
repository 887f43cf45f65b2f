"""Brokers: those of the machine at their usual ports, and those that a test starts on a free one.

What a test kills, freezes or empties is its own. On the machine's, it uses names of its own and takes them away.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from amqp.exceptions import NotFound
from kombu import Connection

from tests.worker import wait_for

HOST = "127.0.0.1"
_RABBITMQ = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/sbin/rabbitmq-server")


def absent(what: str) -> None:
    """Skip with one line; in CI, where nothing may be absent, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def need_server(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.settimeout(2)
        if probe.connect_ex((HOST, port)) != 0:
            absent(f"{name} does not answer on {HOST}:{port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


# At their usual ports


@contextmanager
def usual_redis(prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the address and the options of the machine's Redis, under a prefix that is taken away."""
    need_server("Redis", 6379)
    try:
        yield f"redis://{HOST}:6379/15", {"global_keyprefix": prefix}
    finally:
        with redis.Redis(HOST, 6379, db=15) as client:
            for key in client.scan_iter(f"{prefix}*"):
                client.delete(key)


@contextmanager
def usual_rabbitmq(queue: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the address of the machine's RabbitMQ; a queue and its exchange are taken away."""
    need_server("RabbitMQ", 5672)
    url = f"amqp://guest:guest@{HOST}:5672//"
    try:
        yield url, {}
    finally:
        with Connection(url) as connection:
            channel = connection.default_channel
            channel.queue_delete(queue)
            channel.exchange_delete(queue)


# Of one's own


class OwnBroker(ABC):
    """A broker in a process group of its own, to be hurt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._group: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def answers(self) -> bool: ...

    @abstractmethod
    def hints(self, queue: str) -> int:
        """Return how many messages wait."""

    @abstractmethod
    def empty(self, queue: str) -> None: ...

    def environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)}

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as out:
            self._group = subprocess.Popen(
                self.command(), env=self.environment(), stdout=out, stderr=out, start_new_session=True
            )
        wait_for(self.answers, 60, f"a broker: {self.folder / 'server.log'}")

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._group is not None:
            self._group.wait(10)
            self._group = None

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, sign: signal.Signals) -> None:
        if self._group is not None:
            os.killpg(self._group.pid, sign)


class OwnRedis(OwnBroker):
    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def command(self) -> list[str]:
        where = ["--bind", HOST, "--port", str(self.port), "--dir", str(self.folder)]
        return [found("redis-server"), *where, "--save", "", "--appendonly", "no"]

    def answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def hints(self, queue: str) -> int:
        with self._client() as client:
            return int(client.llen(queue))

    def empty(self, queue: str) -> None:
        with self._client() as client:
            client.flushall()

    def _client(self) -> redis.Redis:
        return redis.Redis(HOST, self.port, socket_timeout=5)


class OwnRabbitMQ(OwnBroker):
    """A node with a name mapper (epmd) of its own, so that it meets no other node of the machine."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._between_nodes, self._mapper_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{HOST}:{self.port}//"

    def command(self) -> list[str]:
        return [next((one for one in _RABBITMQ if Path(one).exists()), "") or found("rabbitmq-server")]

    def environment(self) -> Mapping[str, str]:
        plugins = self.folder / "plugins"
        plugins.write_text("[].\n")
        return {
            **super().environment(),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": f"ctct{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._between_nodes),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
        }

    def start(self) -> None:
        if self._mapper is None:
            command = [found("epmd"), "-port", str(self._mapper_port), "-address", HOST]
            self._mapper = subprocess.Popen(command, start_new_session=True)
        super().start()

    def end(self) -> None:
        """End the name mapper, which outlives a node that is killed."""
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait(10)

    def answers(self) -> bool:
        try:
            with Connection(self.url, connect_timeout=2) as connection:
                connection.connect()
                return True
        except OSError:
            return False

    def hints(self, queue: str) -> int:
        """As above; RabbitMQ knows no queue before the first message."""
        with Connection(self.url) as connection, suppress(NotFound):
            return int(connection.default_channel.queue_declare(queue, passive=True).message_count)
        return 0

    def empty(self, queue: str) -> None:
        with Connection(self.url) as connection:
            connection.default_channel.queue_purge(queue)


def found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        absent(f"{program} is not installed")
    return str(path)


@contextmanager
def own_broker(kind: str, folder: Path) -> Iterator[OwnBroker]:
    """Start a broker, and end all of it whatever has become of it."""
    broker = OwnRedis(folder) if kind == "redis" else OwnRabbitMQ(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
        if isinstance(broker, OwnRabbitMQ):
            broker.end()
