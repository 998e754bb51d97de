"""`inspect` at the end of a pipe and of a connection."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import CHAT, CUT, RECORDINGS, chat, posix, run, started
from tests.support.replies import at_once, serve_in_time
from tests.support.wire import DONE
from tokenstream import Message, Stream, testing
from tokenstream.cli import main
from tokenstream.testing import Recording, Request, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.commands import Shown, Told

_LINE = re.compile(r" *\d+\.\d{3}  (\w+) .*")


@pytest.mark.slow
def test_lines_come_while_standard_input_is_still_open() -> None:
    """A piece is shown when it arrives: nothing waits for a buffer to fill, or for the end."""
    with started("inspect", "-") as process:
        shown: list[bytes] = []
        for word in ("One", "Two"):
            process.stdin.write(chat({"content": word}))
            process.stdin.flush()
            while not shown or word.encode() not in shown[-1]:
                shown.append(process.stdout.readline())
            assert process.poll() is None
            time.sleep(0.1)
        process.stdin.write(chat(finish_reason="stop") + DONE)
        process.stdin.close()
        rest = process.stdout.read()
        status = process.wait()
    first, second = (float(line.split()[0]) for line in shown if b"TextDelta" in line)

    assert 0 == status
    assert b"\n    OneTwo\n" in rest
    assert 0.05 < second - first < 3


@pytest.mark.slow
@posix
def test_ctrl_c_shows_what_had_come() -> None:
    """The reading is stopped and not the program: the message is whole as far as it came; status 4."""
    with started("inspect", "--json", "-") as process:
        process.stdin.write(CUT)
        process.stdin.flush()
        while b'"text_delta"' not in (line := process.stdout.readline()):
            assert line
        # A signal that comes just before a read begins is seen when that read ends: then it comes again.
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        last = json.loads(process.stdout.read().splitlines()[-1])
        complaint = process.stderr.read()
        status = process.wait()

    assert (4, b"") == (status, complaint)
    assert ("stopped", "Half an", None) == (
        last["ending"],
        last["message"]["parts"][0]["text"],
        last["error"],
    )


@pytest.mark.slow
@posix
def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    with started("inspect", str(RECORDINGS / "openai-chat.sse"), bufsize=0) as process:
        process.stdout.read(10)
        process.stdout.close()
        complaint = process.stderr.read()
        status = process.wait()

    assert (141, b"") == (status, complaint)


@pytest.mark.slow
@posix
def test_without_standard_input_there_is_one_line() -> None:
    done = run("inspect", "-", preexec_fn=lambda: os.close(0))

    assert (1, b"python -m tokenstream: error: there is no standard input\n") == (
        done.returncode,
        done.stderr,
    )


@pytest.fixture
def server() -> Iterator[Server]:
    def answer(request: Request) -> Recording:
        if request.route == "/refuse":
            return at_once(
                [b'{"error": {"message": "slow down"}}'],
                content_type="application/json",
                status=429,
                headers={"retry-after": "7"},
            )
        unnamed = {"request-id": "", "x-request-id": ""} if request.route == "/unnamed" else {}
        whole = at_once(CHAT, headers=unnamed)
        return (
            whole.with_fault(testing.faults.cut(at=3_000)).replaced(breaks="close")
            if request.route == "/cut"
            else whole
        )

    with serve_in_time(answer) as running:
        yield running


def test_a_url_is_asked_with_get(server: Server, inspected: Told) -> None:
    status, lines = inspected(server.url)
    with Stream([CHAT]) as stream:
        expected = stream.final()
    (exchange,) = server.exchanges

    assert (0, "GET", b"") == (status, exchange.request.method, exchange.request.body)
    assert expected == Message.model_validate_json(json.dumps(lines[-1]["message"]))
    assert {
        "status": 200,
        "content_type": "text/event-stream; charset=utf-8",
        "request_id": "req_0000000000000001",
    } == lines[-1]["response"]
    assert "request" == lines[-1]["metrics"]["started"]


@pytest.mark.parametrize(
    ("route", "response"), [("", 'status=200 request_id="req_0000000000000001"'), ("/unnamed", "status=200")]
)
def test_the_id_of_a_request_is_shown_where_there_is_one(
    route: str, response: str, server: Server, shown: Shown
) -> None:
    """An empty one would say that the server sent that."""
    status, text = shown(server.url + route)
    [line] = [line for line in text.splitlines() if line.startswith("response")]

    assert 0 == status
    assert ["response", response] == line.split(maxsplit=1)


def test_data_makes_it_a_post_of_json(server: Server, inspected: Told) -> None:
    status, _ = inspected(server.url, "-d", '{"a": 1}', "-H", "X-Key:  secret ", "--header", "x-other: a:bé")
    request = server.exchanges[0].request

    assert (0, "POST", b'{"a": 1}') == (status, request.method, request.body)
    assert ("application/json", "secret", "a:bé".encode()) == (
        request.headers["content-type"],
        request.headers["x-key"],
        request.headers["x-other"].encode("latin-1"),
    )


def test_data_may_be_a_file_and_of_another_kind(server: Server, inspected: Told, tmp_path: Path) -> None:
    """A content type of one's own says that it need not be JSON; the method can be named."""
    file = tmp_path / "data"
    file.write_bytes(b"a=b")
    given = ("-d", f"@{file}", "-H", "content-type: text/plain", "--method", "PUT")
    status, _ = inspected(server.url, *given)
    request = server.exchanges[0].request

    assert (0, "PUT", b"a=b", "text/plain") == (
        status,
        request.method,
        request.body,
        request.headers["content-type"],
    )


@pytest.mark.slow
def test_data_may_come_from_standard_input(server: Server) -> None:
    done = run("inspect", server.url, "-d", "@-", given=b'{"b": 2}')

    assert (0, b"") == (done.returncode, done.stderr)
    assert b'{"b": 2}' == server.exchanges[0].request.body


def test_a_refusal_is_shown_with_its_status(server: Server, shown: Shown) -> None:
    status, text = shown(f"{server.url}/refuse")

    assert 5 == status
    assert _LINE.match(text)
    assert "error          StatusError: " in text
    assert 'kind="rate_limited" retryable=true retry_after=7.0 status=429' in text
    assert "\nwhat to do     ask in 7 seconds: it may help\n" in text


def test_a_header_that_no_request_can_have_is_misuse(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == main(["inspect", server.url, "-H", "A: b\nc: d"])
    assert "error: the request cannot be made: " in capsys.readouterr().err
    assert [] == server.exchanges


def test_a_connection_that_breaks_is_truncated(server: Server, inspected: Told) -> None:
    status, lines = inspected(f"{server.url}/cut")

    assert (3, "truncated", "StreamInterrupted") == (status, lines[-1]["ending"], lines[-1]["error"]["class"])
    assert lines[-1]["message"]["parts"][0]["text"].startswith("httpx is a Python library")
