"""A Redis Cluster of three nodes without replicas, on loopback."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Final

import redis

from dibop.local.binaries import find_redis_server, redis_argv
from tests.support.polling import wait_until
from tests.support.processes import HOST, ManagedProcess, accepts, free_port

SLOTS: Final = 16_384
_BUS: Final = 10_000
"""A node's bus listens this far above its port."""


def _free_pair() -> int:
    """A port that was free a moment ago, as was the one that the node's bus takes."""
    for _ in range(200):
        number = free_port()
        with socket.socket() as bus, contextlib.suppress(OSError):
            bus.bind((HOST, number + _BUS))
            return number
    raise AssertionError("no two free ports that are 10,000 apart")


class RedisCluster:
    """Three nodes, each with a third of the slots."""

    def __init__(self, directory: Path, size: int = 3) -> None:
        self.ports = [_free_pair() for _ in range(size)]
        self.url = f"redis://{HOST}:{self.ports[0]}"
        self._nodes = [self._node(directory / str(port), port) for port in self.ports]

    def start(self) -> RedisCluster:
        for node in self._nodes:
            node.start()
        share = -(-SLOTS // len(self.ports))
        for place, port in enumerate(self.ports):
            with self.client(port) as client:
                slots = range(place * share, min((place + 1) * share, SLOTS))
                client.execute_command("CLUSTER ADDSLOTS", *slots)
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", place + 1)
                client.execute_command("CLUSTER MEET", HOST, self.ports[0])
        wait_until(lambda: all(self._is_whole(port) for port in self.ports), what="a whole cluster")
        return self

    def client(self, port: int) -> redis.Redis:
        """A plain client of one node."""
        return redis.Redis(host=HOST, port=port)

    def node_id(self, port: int) -> str:
        with self.client(port) as client:
            identity: bytes = client.execute_command("CLUSTER MYID")
            return identity.decode()

    def stop(self) -> None:
        for node in self._nodes:
            node.kill()

    def kill(self, port: int) -> None:
        self._nodes[self.ports.index(port)].kill()

    def _is_whole(self, port: int) -> bool:
        with self.client(port) as client:
            info: dict[str, str] = client.execute_command("CLUSTER INFO")
            return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == len(self.ports)

    def _node(self, directory: Path, port: int) -> ManagedProcess:
        directory.mkdir(parents=True)
        cluster = (
            "--cluster-enabled",
            "yes",
            "--cluster-require-full-coverage",
            "no",
            "--cluster-node-timeout",
            "2000",
        )
        return ManagedProcess(
            [*redis_argv(find_redis_server(), port=port, directory=directory), *cluster],
            log=directory / "redis.log",
            ready=lambda: accepts(port) and accepts(port + _BUS),
        )
