"""Real Redis servers on loopback, from Debian's package, each with a folder for its files."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.proxies import program
from tests.support.timing import PATIENCE


class RedisServer(AbstractContextManager["RedisServer"]):
    """A server on a socket in a folder, which can be killed and started again."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.path = str(folder / "redis.sock")
        """The address of its socket."""
        self._folder = folder
        self._options = {"save": "", "appendonly": "no", **options}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        given = {"port": "0", "unixsocket": self.path, "dir": str(self._folder), **self._options}
        told = [word for name, value in given.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [program("redis-server", "redis-server"), *told],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        from redis import Redis
        from redis.exceptions import ConnectionError as NotThere

        until = time.monotonic() + PATIENCE
        with Redis(unix_socket_path=self.path) as client:
            while True:
                try:
                    client.ping()
                except NotThere:
                    assert time.monotonic() < until, "redis-server does not start"
                    time.sleep(0.02)
                else:
                    return

    def pause(self, seconds: float) -> None:
        """Stop it for some seconds, in which it answers nobody."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it as a crash does: unsaved data are lost."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Start one for all tests of a module that imports this name."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run tests under asyncio alone, which is all that redis-py runs under."""
    return request.param
