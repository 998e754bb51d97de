"""The form that is filled in over deaths of its process, with a real Redis and a scripted provider."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cookbook.held import HELD, HeldServer
from tests.cookbook.programs import environment, write_program
from tests.support.packages import needed
from tests.support.redis_servers import RedisServer
from tests.support.replies import reply
from tests.support.timing import wait_for
from tokenstream import testing
from tokenstream.call_store import RedisCallStore
from tokenstream.testing import Recording, Request

redis = needed("redis")
pytestmark = pytest.mark.slow
_MAIL = "Forty tiles to Elm Street 5, please. Ann"
_ORDERED = "40 tiles for Ann, Elm Street 5\n"
_FILLED = "Ann | Elm Street 5 | 40"
_PIECES = ['{"name": "An', 'n", "str', 'eet": "Elm Str', 'eet 5", "ti', 'les": 40}']
_EVENTS = [
    event.replace(b'"background":false', b'"background":true')
    for event in testing.script().tool_call("order", _PIECES).finish().chunks("openai-responses")
]
_LAST = len(_EVENTS) - 1


class Provider:
    """Writes one answer in the background, and holds it before the places that a test names.

    Args:
        holds: The number of the event before which each request is held; the last number holds nothing.
    """

    def __init__(self, *holds: int) -> None:
        self.asked: list[str] = []
        """Each request: its method, and the position from which it has read."""
        self._holds = iter(holds)

    def answer(self, request: Request) -> Recording:
        position = parse_qs(urlsplit(request.path).query).get("starting_after", ["-1"])[0]
        self.asked.append(f"{request.method} {position}")
        held = next(self._holds)
        events = enumerate(_EVENTS[int(position) + 1 :], int(position) + 1)
        return reply((HELD if number == held else 0.0, event) for number, event in events)


class Job:
    """Works on one mail with processes that can be killed."""

    def __init__(self, folder: Path, store: RedisServer, server: HeldServer) -> None:
        self.orders = folder / "orders.txt"
        self._folder = folder
        self._server = server
        self._variables = {
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "REDIS_URL": f"unix://{store.path}",
            "LEASE": "0.5",
        }
        self._program = write_program("form-once", folder)

    def edit(self, old: str, new: str) -> None:
        code = self._program.read_text(encoding="utf-8")
        assert 1 == code.count(old)
        self._program.write_text(code.replace(old, new), encoding="utf-8")

    @contextmanager
    def started(self) -> Generator[Any]:
        command = [sys.executable, str(self._program), "mail 7", _MAIL]
        variables = environment(**self._variables)
        with subprocess.Popen(
            command, cwd=self._folder, env=variables, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        ) as process:
            try:
                yield process
            finally:
                process.kill()
                wait_for(self._is_over)
        assert -signal.SIGKILL == process.returncode, "it has ended before it was killed"

    def _is_over(self) -> bool:
        """Let the server end an answer whose reader is gone; return True once it has."""
        self._server.go_on()
        return self._server.exchanges[-1].over.is_set()

    def die_behind(self, line: str, times: int = 1) -> list[str]:
        """Start a process, and kill it once it has printed a line so often; return what it has printed."""
        printed = list[str]()
        with self.started() as process:
            for each in process.stdout:
                printed.append(each.strip())
                if printed.count(line) == times:
                    break
        return printed

    def finish(self) -> list[str]:
        command = [sys.executable, str(self._program), "mail 7", _MAIL]
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=environment(**self._variables),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )
        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout.splitlines()


@contextmanager
def working(folder: Path, provider: Provider) -> Generator[Job]:
    with RedisServer(folder) as store, HeldServer(provider.answer) as server:
        yield Job(folder, store, server)


def test_a_form_goes_on_over_two_deaths_and_is_posted_once(tmp_path: Path) -> None:
    """Each process shows the form where it stood, and gets the rest of the one answer; so does a fourth."""
    provider = Provider(5, 6, _LAST + 1, _LAST + 1)
    with working(tmp_path, provider) as job:
        first = job.die_behind("Ann | … | …")
        second = job.die_behind("Ann | Elm Str | …")
        assert not job.orders.exists()
        third, fourth = job.finish(), job.finish()

        assert "… | … | …" == first[0]
        assert "Ann | Elm Str | …" not in first
        assert _FILLED not in second
        assert [_FILLED, "ordered 40 tiles for Ann"] == third[-2:]
        assert "ordered 40 tiles for Ann" == fourth[-1]
        assert _ORDERED == job.orders.read_text(encoding="utf-8")
        assert ["POST", "GET", "GET"] == [each.split()[0] for each in provider.asked[:3]]


def test_a_process_that_dies_between_the_last_draft_and_the_order_loses_no_order(tmp_path: Path) -> None:
    """The checkpoint has the call as handed out, and the store knows that it has not begun."""
    provider = Provider(*[_LAST + 1] * 2)
    runs = "            if drafted.call is not None:\n"
    waits = f"{runs}                __import__('time').sleep(60)\n"
    with working(tmp_path, provider) as job:
        job.edit(runs, waits)
        job.die_behind(_FILLED, times=2)
        job.edit(waits, runs)
        assert not job.orders.exists()
        assert "ordered 40 tiles for Ann" == job.finish()[-1]

        assert _ORDERED == job.orders.read_text(encoding="utf-8")


def test_an_order_that_died_within_is_not_placed_again(tmp_path: Path) -> None:
    provider = Provider(*[_LAST + 1] * 2)
    with working(tmp_path, provider) as job:
        job.edit(
            '    return f"ordered',
            "    import time\n    print('placed', flush=True)\n    time.sleep(60)\n    return f\"ordered",
        )
        job.die_behind("placed")
        *_, said = job.finish()

        assert "40" not in said.split()
        assert _ORDERED == job.orders.read_text(encoding="utf-8")
        [call] = RedisCallStore(redis.Redis(unix_socket_path=str(tmp_path / "redis.sock"))).uncertain()
        assert "order" == call.name


def test_a_process_that_dies_before_the_first_draft_asks_anew(tmp_path: Path) -> None:
    provider = Provider(0, _LAST + 1)
    with working(tmp_path, provider) as job:
        with job.started():
            wait_for(lambda: bool(provider.asked))
        job.finish()

        assert ["POST -1", "POST -1"] == provider.asked
        assert _ORDERED == job.orders.read_text(encoding="utf-8")
