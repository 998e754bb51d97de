"""Readers that leave a real server, in a process of its own, and its end while answers are open."""

from __future__ import annotations

import contextlib
import importlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator

import pytest

from tests.project import ROOT
from tests.support.packages import needed
from tests.support.proxies import free_port
from tests.support.timing import PATIENCE

pytestmark = pytest.mark.slow


def opened(port: int, process: subprocess.Popen[str], path: str = "/") -> socket.socket:
    """Return a connection on which an answer has begun."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server has ended"
        with contextlib.suppress(OSError):
            reader = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\nAccept-Encoding: gzip\r\n\r\n".encode())
            come = b""
            while b"Hello" not in come:
                piece = reader.recv(1024)
                assert piece, f"the server has closed the connection after {come!r}"
                come += piece
            assert b"text/event-stream" in come
            return reader
        time.sleep(0.05)
    raise TimeoutError("the server does not answer")


def ended(process: subprocess.Popen[str], readers: list[socket.socket]) -> tuple[list[bytes], str]:
    """End a server, which waits for its readers as long as it takes; return what they got, and its output."""
    process.send_signal(signal.SIGTERM)
    last = []
    for reader in readers:
        rest = b""
        with reader:
            while piece := reader.recv(65536):
                rest += piece
        last.append(rest)
    out, _ = process.communicate(timeout=PATIENCE)
    return last, out


_ENDED = "answers that the server's shutdown has ended"
_HYPERCORN = ("hypercorn asyncio", "hypercorn uvloop", "hypercorn trio")


@pytest.mark.parametrize("server", ["uvicorn", "uvicorn in a thread", *_HYPERCORN])
def test_readers_get_a_last_event_and_the_process_ends(server: str) -> None:
    """On SIGTERM, with no timeout of the server's: uvicorn would wait for ever, hypercorn for an hour.

    A reader that goes before that ends its answer, though the upstream is silent; one that
    does not read holds nothing up. Behind middlewares; with the server's signal handlers, with
    the program's, and in a worker that no signal reaches. The upstream of each answer is closed.
    """
    port = free_port()
    with _serving(server, port) as process:
        with opened(port, process):
            pass
        assert process.stdout is not None
        assert process.stdout.readline() == "the upstream is closed\n"
        stuck = opened(port, process, "/flood")
        readers = [opened(port, process) for _ in range(3)]
        last, out = ended(process, readers)
        stuck.close()

    assert all(b"retry: 1000\n\n" in rest and rest.endswith(b"0\r\n\r\n") for rest in last), last
    assert out.count("the upstream is closed") == 3
    assert f"{_ENDED}: 4\n" in out
    assert process.returncode in {0, -signal.SIGTERM}


@contextlib.contextmanager
def _serving(server: str, port: int, limit: int | None = None) -> Generator[subprocess.Popen[str]]:
    """Run a server that waits so many seconds for its responses when it ends; by default, without end."""
    command = [sys.executable, "-m", "tests.relay.served", server, str(port)]
    command += [] if limit is None else [str(limit)]
    if server == "gunicorn":
        needed("gunicorn")
        worker = needed("uvicorn_worker").UvicornWorker
        named = f"{worker.__module__}.{worker.__name__}"
        command = [sys.executable, "-m", "gunicorn", "tests.relay.served:app", "-k", named]
        command += ["-b", f"127.0.0.1:{port}", "--graceful-timeout", str(limit), "--log-level", "error"]
        command += ["--no-control-socket"] if "control_socket_disable" in _gunicorn_settings() else []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _ended_with(readers: int, server: str, path: str, limit: int | None = None) -> tuple[list[bytes], str]:
    """End a server while it answers so many readers; return what they got then, and its output."""
    port = free_port()
    with _serving(server, port, limit) as process:
        return ended(process, [opened(port, process, path) for _ in range(readers)])


def _gunicorn_settings() -> dict[str, object]:
    settings: dict[str, object] = importlib.import_module("gunicorn.config").KNOWN_SETTINGS
    return {setting.name: setting for setting in settings}  # type: ignore[attr-defined]


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn", "hypercorn asyncio", "hypercorn trio"])
def test_running_answers_end_by_themselves_within_the_servers_limit(server: str) -> None:
    """A rolling deploy cuts none of them, and the process ends when the last one has."""
    last, out = _ended_with(5, server, "/lasting/1", 20)

    assert all(b" the end" in rest and b'"ending":"complete"' in rest for rest in last), last
    assert "" == out


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn", "hypercorn asyncio", "hypercorn trio"])
def test_answers_that_last_longer_are_ended_before_the_server_cancels_them(server: str) -> None:
    last, out = _ended_with(5, server, "/lasting/10", 3)

    assert all(b'"kind":"shutdown"' in rest and b"retry: 1000\n\n" in rest for rest in last), last
    assert [f"{_ENDED}: 5"] == out.splitlines()


@pytest.mark.parametrize("server", ["uvicorn", "uvicorn in a thread", *_HYPERCORN])
def test_what_answers_are_read_with_may_be_left_before_their_journal(server: str) -> None:
    """The lifespan ends when the answers have: readers are sent away, and the response waits for them."""
    last, out = _ended_with(1, server, "/finished")

    assert b"retry: 1000\n\n" in last[0]
    assert b'"type"' not in last[0]
    assert ['{"type":"end","ending":"complete"}'] == out.splitlines()


@pytest.mark.parametrize("server", ["uvicorn", *_HYPERCORN])
def test_answers_of_a_journal_run_on_and_are_then_interrupted(server: str) -> None:
    """Readers are sent away at once, without an end; `drain` seconds later it is written that it was cut."""
    last, out = _ended_with(3, server, "/journal")

    assert all(b"retry: 1000\n\n" in rest and b'"type"' not in rest for rest in last), last
    assert [f"{_ENDED}: 1", "the upstream is closed"] == out.splitlines()[:-1]
    assert "StreamInterrupted" in out.splitlines()[-1]
    assert "shut down" in out.splitlines()[-1]
