"""Questions that are asked while their server is being restarted: each is answered, and only once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.project import ROOT
from tests.relay.redis_served import piece
from tests.support.node import any_node
from tests.support.packages import needed
from tests.support.proxies import free_port
from tests.support.redis_servers import RedisServer
from tests.support.served import wait_until_it_answers
from tests.support.timing import PATIENCE
from tokenstream import relay

_COUNT = 30
_COMMANDS = {
    "uvicorn": ("--port", "{port}", "--log-level", "error", "--factory"),
    "hypercorn": ("--bind", "127.0.0.1:{port}", "--log-level", "error", "--graceful-timeout", "10"),
    "granian": ("--interface", "asgi", "--port", "{port}", "--no-ws", "--log-level", "error", "--factory"),
}


@contextmanager
def _serving(server: str, port: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the chat, which can be killed."""
    options = [each.replace("{port}", str(port)) for each in _COMMANDS[server]]
    application = "tests.relay.redis_served:make" + ("()" if server == "hypercorn" else "")
    command = [sys.executable, "-m", server, *options, application]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/none", process)
            yield process
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("server", _COMMANDS)
def test_questions_asked_during_a_restart_are_answered_once(server: str, tmp_path: Path) -> None:
    """The page repeats what is refused or reset, under the same key; the model is asked once for each."""
    needed(server)
    _, node = any_node()
    port = free_port()
    with RedisServer(tmp_path) as redis:
        environment = {**os.environ, "REDIS": redis.path}
        module = (relay.assets.directory / "tokenstream.js").as_uri()
        program = [node, str(Path(__file__).parent / "questions.mjs"), module]
        program += [f"http://127.0.0.1:{port}/answers/", str(_COUNT)]
        with (
            _serving(server, port, environment) as first,
            subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as page,
        ):
            assert page.stdout is not None
            assert "restart\n" == page.stdout.readline()
            first.send_signal(signal.SIGTERM)
            first.wait(PATIENCE)
            with _serving(server, port, environment):
                told = json.loads(page.communicate(timeout=PATIENCE)[0])
        with Redis(unix_socket_path=redis.path) as client:
            asked: Any = client.lrange("asked", 0, -1)

    assert [["".join(map(piece, range(20))), "complete", None]] * _COUNT == [each[:3] for each in told]
    assert [*range(_COUNT)] == sorted(map(int, asked))
    # Some met the restart.
    assert max(connections for *_, connections in told) > 1
