"""`doctor` against servers that stream, and against all that does not."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import chat, posix, started
from tests.support.loopback import FIN, Loopback, head, refusing_url, sized, until_close
from tests.support.replies import refusal, reply, serve_in_time
from tests.support.wire import DONE, sse
from tokenstream.cli import main
from tokenstream.testing import Recording, Request, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.commands import Told

_KEY = "sk-proj-0123456789abcdefghij"
_PACED = [(0.02, chat({"content": "word "})) for _ in range(12)]
_LAST = chat(finish_reason="stop") + DONE
_WHOLE_JSON = json.dumps(
    {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    }
).encode()


_AT_ONCE = reply([(0.6, b"".join(data for _, data in _PACED) * 4), (0.0, _LAST)])
_PACED_REPLY = reply([*_PACED, (0.0, _LAST)])


_asked: set[str] = set()


def _answer(request: Request) -> Recording:
    key = request.headers.get("Authorization", "")
    odd = [(0.02, sse({"odd": number})) for number in range(20)]
    replies = {
        "/text": _PACED_REPLY,
        "/at-once": _AT_ONCE,
        "/at-once-the-first-time": _PACED_REPLY if request.route in _asked else _AT_ONCE,
        "/cut": reply(_PACED, cut="close"),
        "/stall": reply(_PACED, cut="stall"),
        "/odd": reply(odd),
        "/plain": reply([(0.02, b"word ")] * 12, content_type="text/plain; charset=utf-8"),
        "/plain-at-once": reply([(0.0, b"word " * 12)], content_type="text/plain"),
        "/json": reply([(0.0, _WHOLE_JSON)], content_type="application/json"),
        "/other-json": reply([(0.0, b'{"ok": true}')], content_type="application/json"),
        "/page": reply([(0.0, b"<html><title>Sign in</title></html>")], content_type="text/html"),
        "/empty": reply([]),
        "/moved": reply([], status=307, headers={"location": "/text?key=hidden"}),
        "/busy": refusal(429, "slow down"),
        "/key": refusal(401, f"the key in {key} is wrong"),
        "/broken-off": refusal(401, f"the key in {key[:20]}… is wrong"),
        "/escapes": refusal(500, "red \x1b[31m"),
    }
    _asked.add(request.route)
    return replies.get(request.route, refusal(404, "nothing is here"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve_in_time(_answer) as running:
        yield running


def _first(told: Any) -> tuple[str, str]:
    """Return the name of the first finding, and what it says."""
    return told["findings"][0]["name"], told["findings"][0]["what"]


@pytest.mark.slow
def test_a_path_that_streams_is_status_0(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["doctor", "--once", f"{server.url}/text"])
    lines = capsys.readouterr().out.splitlines()

    assert (0, f"{server.url}/text: streams") == (status, lines[0])
    assert "asked       with Accept-Encoding: identity" in lines
    assert "   seconds    bytes  events" in lines
    assert "hop         the response names no known one" in lines


@pytest.mark.slow
def test_the_same_is_asked_with_and_without_compression(server: Server, doctor: Told) -> None:
    """First as this library asks, then as a browser does."""
    before = len(server.exchanges)
    status, told = doctor(f"{server.url}/text", "-d", '{"stream": true}')
    asked = [exchange.request for exchange in server.exchanges[before:]]

    assert (0, "streams", 2) == (status, told["verdict"], len(told["answers"]))
    assert [("POST", b'{"stream": true}')] * 2 == [(request.method, request.body) for request in asked]
    assert "identity" == asked[0].headers["Accept-Encoding"]
    assert asked[1].headers["Accept-Encoding"].startswith("gzip, deflate")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [("--once",), ("-H", "Accept-Encoding: gzip")], ids=["once", "a coding of one's own"]
)
def test_one_request_is_enough_where_that_is_asked_for(
    arguments: tuple[str, ...], server: Server, doctor: Told
) -> None:
    """Each answer of a provider costs money."""
    before = len(server.exchanges)
    _, told = doctor(f"{server.url}/text", *arguments)

    assert (1, 1) == (len(told["answers"]), len(server.exchanges) - before)


@pytest.mark.slow
def test_an_answer_that_comes_at_once_is_asked_for_twice(server: Server, doctor: Told) -> None:
    before = len(server.exchanges)
    status, told = doctor(f"{server.url}/at-once")
    asked = [exchange.request.headers["Accept-Encoding"] for exchange in server.exchanges[before:]]

    assert ["identity", "identity"] == asked
    assert told["reason"].endswith("; so they did when asked again")
    assert (1, "does not stream", 1) == (status, told["verdict"], len(told["answers"]))
    assert ("held_back", "whole") == (_first(told)[0], told["answers"][0]["pace"])


@pytest.mark.slow
def test_plain_text_that_comes_piece_by_piece_streams(server: Server, doctor: Told) -> None:
    status, told = doctor("--once", f"{server.url}/plain")

    assert (0, "streams", "unknown_format") == (status, told["verdict"], _first(told)[0])
    assert "--format text" in told["findings"][0]["do"][0]


@pytest.mark.slow_rows("the connection broke after")
@pytest.mark.parametrize(
    ("route", "name", "says"),
    [
        ("/cut", "cut", "the connection broke after"),
        ("/json", "not_streamed", "one JSON document"),
        ("/other-json", "no_stream", ""),
        ("/plain-at-once", "no_stream", "neither an event stream nor JSON"),
        ("/page", "no_stream", "Sign in"),
        ("/empty", "empty", "the body is empty"),
        ("/moved", "no_stream", "redirects to"),
        ("/busy", "refused", "slow down"),
        ("/nowhere", "refused", "nothing is here"),
    ],
)
def test_what_does_not_stream_is_reported_as_what_it_is(
    route: str, name: str, says: str, server: Server, doctor: Told
) -> None:
    status, told = doctor(server.url + route)
    found, what = _first(told)

    assert (1, "does not stream", 1, name) == (status, told["verdict"], len(told["answers"]), found)
    assert says in what
    assert "hidden" not in what
    assert told["findings"][0]["do"]


@pytest.mark.slow
def test_silence_is_waited_for_no_longer_than_one_says(server: Server, doctor: Told) -> None:
    """The evidence shows the bytes that had arrived."""
    status, told = doctor(f"{server.url}/stall", "--timeout", "3")

    assert (1, "stalled") == (status, _first(told)[0])
    assert 12 == sum(events for _, _, events in told["answers"][0]["arrivals"])


@pytest.mark.slow
def test_a_silence_that_was_not_waited_out_is_no_broken_connection(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """The timeline says who ended it."""
    main(["doctor", f"{server.url}/stall", "--timeout", "3"])
    shown = capsys.readouterr().out

    assert "given up" in shown
    assert "the connection broke" not in shown


def test_no_server_is_reported_as_such(doctor: Told) -> None:
    status, told = doctor(refusing_url())

    assert (1, "no_answer", None) == (status, _first(told)[0], told["answers"][0]["status"])


def test_a_server_that_speaks_no_tls_is_reported_as_such(server: Server, doctor: Told) -> None:
    status, told = doctor(server.url.replace("http", "https") + "/text")

    assert (1, "no_answer") == (status, _first(told)[0])
    assert "TLS" in _first(told)[1]


@pytest.mark.parametrize(
    ("script", "tls", "says"), [(until_close(_LAST), True, "certificate"), ([FIN], False, "")]
)
def test_a_server_that_gives_no_answer_is_reported(script: Any, tls: bool, says: str, doctor: Told) -> None:
    """SSL_CERT_FILE names who is trusted besides; a connection that closes before the head is no answer."""
    with Loopback(script, tls=tls) as server:
        status, told = doctor(server.url)

    assert (1, "no_answer") == (status, _first(told)[0])
    assert says in _first(told)[1]


@pytest.mark.slow
def test_http_1_0_is_noted(doctor: Told) -> None:
    start = head(headers=[("Connection", "close")]).replace(b"HTTP/1.1", b"HTTP/1.0")
    script = [start, *(step for pause, data in _PACED for step in (data, pause)), _LAST]
    with Loopback(script) as server:
        status, told = doctor("--once", server.url)

    assert (0, "HTTP/1.0", "http_1_0") == (status, told["answers"][0]["http_version"], _first(told)[0])


def test_a_proxy_that_the_environment_names_is_reported(
    monkeypatch: pytest.MonkeyPatch, doctor: Told
) -> None:
    with Loopback(until_close(b"".join(data for _, data in _PACED))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        _, told = doctor("--once", "http://example.test/text")
        (asked,) = proxy.requests

    assert "http://example.test/text" == asked.path
    assert "your own proxy" in [hop["name"] for hop in told["hops"]]


def test_a_length_that_is_known_before_is_noted(doctor: Told) -> None:
    with Loopback(sized(b"".join(data for _, data in _PACED) + _LAST)) as server:
        status, told = doctor("--once", server.url)

    assert (1, "cannot be told", "content_length") == (status, told["verdict"], _first(told)[0])


# -- secrets -------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [("--header-env", "Authorization=SOME_KEY"), ("-H", f"Authorization: Bearer {_KEY}")],
    ids=["environment", "literal"],
)
@pytest.mark.parametrize("form", [("--json",), ()], ids=["json", "lines"])
def test_a_key_is_sent_and_never_shown(
    arguments: tuple[str, ...],
    form: tuple[str, ...],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SOME_KEY", _KEY)
    status = main(["doctor", f"{server.url}/key?key=unshown", *form, *arguments])
    shown = capsys.readouterr()

    assert (1, "") == (status, shown.err)
    assert f"Bearer {_KEY}" == server.exchanges[-1].request.headers["Authorization"]
    assert _KEY not in shown.out
    assert "unshown" not in shown.out
    assert "the key in Bearer *** is wrong" in shown.out


@pytest.mark.parametrize("value", ["true", "false", "verdict", "1234"])
def test_hiding_a_value_leaves_the_json_whole(
    value: str, server: Server, monkeypatch: pytest.MonkeyPatch, doctor: Told
) -> None:
    """A header of the environment may say what stands in any JSON."""
    monkeypatch.setenv("SOME_FLAG", value)
    _, told = doctor(f"{server.url}/page", "--header-env", "X-Flag=SOME_FLAG")

    assert ("does not stream", True) == (told["verdict"], told["findings"][0]["grave"])


def test_the_beginning_of_a_key_is_not_shown_either(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Servers shorten what they quote."""
    monkeypatch.setenv("SOME_KEY", _KEY)
    main(["doctor", f"{server.url}/broken-off", "--header-env", "Authorization=SOME_KEY"])
    shown = capsys.readouterr().out

    assert "the key in Bearer ***… is wrong" in shown
    assert _KEY[:8] not in shown


def test_what_a_terminal_would_obey_is_shown_as_an_escape(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["doctor", f"{server.url}/escapes"])

    assert "\x1b" not in capsys.readouterr().out


def test_a_header_without_a_colon_is_not_repeated(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The key may stand in it."""
    with pytest.raises(SystemExit):
        main(["doctor", f"{server.url}/text", "-H", f"Authorization Bearer {_KEY}"])

    assert _KEY not in capsys.readouterr().err


def test_a_header_of_the_environment_goes_out_as_it_is(
    server: Server, monkeypatch: pytest.MonkeyPatch, doctor: Told
) -> None:
    """Bearer is put before nothing but a key in Authorization."""
    monkeypatch.setenv("SOME_KEY", "Basic abcdefgh")
    doctor(f"{server.url}/page", "--header-env", "authorization=SOME_KEY")
    doctor(f"{server.url}/page", "--header-env", "x-api-key=SOME_KEY")
    first, second = (exchange.request.headers for exchange in server.exchanges[-2:])

    assert ("Basic abcdefgh", "Basic abcdefgh") == (first["Authorization"], second["X-Api-Key"])


@pytest.mark.parametrize("given", [f"x-api-key={_KEY}", _KEY, f"x-api-key: {_KEY}"])
def test_a_key_in_place_of_its_variable_is_misuse_that_does_not_show_it(
    given: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key is easily mixed up with its variable, and a terminal is logged."""
    before = len(server.exchanges)
    try:
        status = main(["doctor", f"{server.url}/text", "--header-env", given])
    except SystemExit as left:
        status = int(str(left.code))
    shown = capsys.readouterr()

    assert (2, before) == (status, len(server.exchanges))
    assert _KEY not in shown.out + shown.err


@pytest.mark.parametrize("url", ["", "file.sse", f"ftp://{_KEY}", "https://"])
def test_what_is_no_address_is_misuse(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["doctor", url])
    assert _KEY not in capsys.readouterr().err


@pytest.mark.slow
def test_an_address_is_shown_without_what_may_be_secret(server: Server, doctor: Told) -> None:
    place = server.url.replace("//", "//me:password@")
    _, told = doctor("--once", f"{place}/text?key={_KEY}")

    assert f"{server.url}/text" == told["url"]


def test_a_format_that_is_none_is_misuse_before_anything_is_sent(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer would cost money."""
    before = len(server.exchanges)

    assert 2 == main(["doctor", f"{server.url}/text", "--format", "nonsense"])
    assert "there is no format 'nonsense'" in capsys.readouterr().err
    assert before == len(server.exchanges)


def test_certificates_that_cannot_be_read_are_reported(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "none.pem"
    file.write_text("no certificate", encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    assert 1 == main(["doctor", f"{server.url}/text"])
    assert (
        "the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read" in capsys.readouterr().err
    )


# -- live ----------------------------------------------------------------------


@pytest.mark.slow
@posix
def test_ctrl_c_ends_the_watch_and_judges_what_had_come() -> None:
    enough = reply([*_PACED, *_PACED], cut="stall")
    with serve_in_time(enough) as server, started("doctor", server.url) as process:
        while not server.exchanges or server.exchanges[0].sent < len(enough.body):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        shown, complaint = process.communicate(timeout=200)

    assert (0, b"") == (process.returncode, complaint)
    assert b": streams\n" in shown
    assert b"  stopped\n" in shown
    assert 1 == len(server.exchanges)
