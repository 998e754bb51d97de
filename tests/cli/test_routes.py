"""`routes` against servers of several APIs, and against all that would not serve."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import CHAT, CUT
from tests.project import ROOT
from tests.support.loopback import refusing_url
from tests.support.replies import at_once, refusal, reply, serve_in_time
from tokenstream import testing
from tokenstream.cli import main
from tokenstream.cli._routes.candidates import KeyMissing, find_headers
from tokenstream.testing import Recording, Request, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY = "sk-proj-0123456789abcdefghij"
_SCRIPT = testing.script().text("Hello").finish()
_PATHS = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "openai-completions": "/v1/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/g:streamGenerateContent",
    "ollama": "/api/chat",
    "bedrock-converse": "/model/b/converse-stream",
    "cohere": "/v2/chat",
    "tgi": "/generate_stream",
}
_WHOLE_JSON = json.dumps(
    {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    }
).encode()
_CHAT = _PATHS["openai-chat"]


def _answer(request: Request) -> Recording:
    for format, path in _PATHS.items():
        if request.route == path:
            return at_once(_SCRIPT.chunks(format))
    empty = testing.script().finish().chunks("openai-chat")
    replies = {
        "/cut": reply([(0.0, CUT)], cut="close"),
        "/cut-at-once": reply([], cut="close"),
        "/stall": reply([], cut="stall"),
        "/empty": at_once(empty),
        "/json": at_once([_WHOLE_JSON], content_type="application/json"),
        "/page": at_once([b"<html><title>Sign in</title></html>"], content_type="text/html"),
        "/busy": refusal(429, "slow down"),
        "/key": refusal(401, f"the key {_KEY} is wrong"),
        "/escapes": refusal(500, "red \x1b[31m"),
    }
    return replies.get(request.route.removesuffix(_CHAT), refusal(404, "nothing is here"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve_in_time(_answer) as running:
        yield running


def _ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[Any]]:
    status = main(["routes", "--json", *arguments])
    told = json.loads(capsys.readouterr().out)

    assert told["serving"] == sum(route["serves"] for route in told["routes"])
    return status, told["routes"]


@pytest.mark.parametrize("format", _PATHS)
def test_each_api_is_asked_in_its_own_words(
    format: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """The path tells which it is; the question is small."""
    before = len(server.exchanges)
    status, (route,) = _ask(capsys, "--model", "m", server.url + _PATHS[format])
    (asked,) = [exchange.request for exchange in server.exchanges[before:]]
    payload = json.loads(asked.body)

    assert (0, True, format, 200) == (status, route["serves"], route["format"], route["status"])
    assert 0 < route["first_content"] < 5
    assert "Answer with one word" in asked.body.decode()
    in_url = format in {"gemini", "bedrock-converse", "tgi"}
    assert (None, None) if in_url else ("m", True) == (payload.get("model"), payload.get("stream"))


@pytest.mark.slow_rows("/stall")
@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/busy", "rate_limited", 429),
        ("/key", "authentication", 401),
        ("/nothing", "invalid_request", 404),
        ("/escapes", "server", 500),
        ("/cut-at-once", "network", 200),
        ("/stall", "network", 200),
        ("/empty", "empty", 200),
        ("/page", "unknown", 200),
    ],
)
def test_what_would_not_serve_is_told_with_its_reason(
    path: str, kind: str, status: int, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """And with advice; the exit status is 1 if there is no other route."""
    code, (route,) = _ask(capsys, "--timeout", "1", f"m={server.url}{path}{_CHAT}")

    assert (1, False, kind, status) == (code, route["serves"], route["kind"], route["status"])
    assert route["what"]
    assert route["do"]
    assert route["first_content"] is None


def test_a_server_that_is_not_there_has_no_status(capsys: pytest.CaptureFixture[str]) -> None:
    """The format is that of its path."""
    status, (route,) = _ask(capsys, f"m={refusing_url()}{_PATHS['anthropic']}")

    assert (1, "network", None, "anthropic") == (status, route["kind"], route["status"], route["format"])


@pytest.mark.parametrize("path", ["/cut", "/json"])
def test_a_route_serves_once_it_has_brought_content(
    path: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes after that is the doctor's matter; that nobody has streamed it is a note."""
    status, (route,) = _ask(capsys, f"m={server.url}{path}{_CHAT}")

    assert (0, True, None) == (status, route["serves"], route["kind"])
    assert (path == "/json") == (route["what"] is not None)


def test_the_table_has_a_line_for_each_route(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict stands first; below the table, what to change. One that serves is enough for status 0."""
    urls = [f"one={server.url}/key{_CHAT}", f"two={server.url}{_PATHS['anthropic']}"]
    status = main(["routes", *urls])
    lines = [re.sub(r"\d\.\d{3}", "0.001", line) for line in capsys.readouterr().out.splitlines()]
    place = server.url.removeprefix("http://")

    assert 0 == status
    assert [
        "1 of 2 routes would serve",
        "",
        f"   seconds  route  {'host':<{len(place)}}  format       answered",
        f"         –  one    {place}  openai-chat  401 Unauthorized",
        f"     0.001  two    {place}  anthropic    200 OK",
        "",
    ] == lines[:6]
    assert lines[6].startswith("fault       one: authentication: the server answered with status 401")
    assert "  change    check the key and what it may do" == lines[7]


def test_a_file_may_say_more_of_a_route(
    server: Server,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its payload, its headers, its name; values of headers are never printed."""
    monkeypatch.setenv("MY_KEY", _KEY)
    own = {"model": "own", "messages": [], "stream": True}
    file = tmp_path / "routes.json"
    routes = [
        {
            "url": f"{server.url}/key{_CHAT}",
            "model": "m",
            "name": "first",
            "header_env": {"Authorization": "MY_KEY"},
        },
        {"url": f"{server.url}{_CHAT}", "json": own, "headers": {"X-Team": "red"}},
    ]
    file.write_text(json.dumps(routes))
    before = len(server.exchanges)
    status, told = _ask(capsys, f"@{file}")
    asked = [exchange.request for exchange in server.exchanges[before:]]

    assert (0, ["first", "own"]) == (status, [route["name"] for route in told])
    assert f"Bearer {_KEY}" == asked[0].headers["Authorization"]
    assert (own, "red") == (json.loads(asked[1].body), asked[1].headers["X-Team"])
    assert "***" in told[0]["what"]
    assert _KEY not in json.dumps(told)


def test_a_terminal_is_never_controlled(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a server or the command line writes is shown and escaped."""
    assert 1 == main(["routes", f"a\x1b[31m={server.url}/escapes{_CHAT}"])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["ftp://example.com"],
        ["sk-0123456789"],
        ["https://example.com/v1/chat/completions"],
        ["--model", "m", "https://example.com/unknown"],
        ["@not-there.json"],
        ["--timeout", "0", "m=https://example.com/v1/messages"],
    ],
)
def test_a_wrong_command_line_is_refused_before_any_request(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """On one line, without what may be a key."""
    try:
        status = main(["routes", *arguments])
    except SystemExit as error:
        status = int(error.code or 0)
    shown = capsys.readouterr()

    assert (status, shown.out) == (1 if arguments == ["@not-there.json"] else 2, "")
    assert "sk-0123456789" not in shown.err


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "{}",
        "[]",
        "[7]",
        '[{"url": "example.com"}]',
        '[{"url": "https://example.com/v1/messages", "payload": {}}]',
        '[{"url": "https://example.com/v1/messages", "headers": {"X": 7}}]',
        '[{"url": "https://example.com/v1/messages", "headers": []}]',
        '[{"url": "https://example.com/v1/messages", "name": 7}]',
        '[{"url": "https://example.com/v1/messages", "json": {}, "format": "no-such"}]',
        '[{"url": "https://example.com/v1/messages", "json": {}, "header_env": {"A": "NO_SUCH_VARIABLE"}}]',
    ],
)
def test_a_wrong_file_is_refused_before_any_request(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what a route is."""
    file = tmp_path / "routes.json"
    file.write_text(content)

    assert 2 == main(["routes", f"@{file}"])
    assert 1 == capsys.readouterr().err.count("\n")


def test_a_provider_without_its_key_is_not_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable that lacks it is named."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    status = main(["routes", "m=https://api.anthropic.com/v1/messages"])
    lines = capsys.readouterr().out.splitlines()

    assert (1, "0 of 1 route would serve") == (status, lines[0])
    assert lines[3].endswith("not asked")
    assert "  change    set ANTHROPIC_API_KEY" == lines[-1]


def test_keys_go_to_the_hosts_of_the_quickstarts_and_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the header, and with the version, that these programs send."""
    page = (ROOT / "docs" / "guides" / "quickstarts.md").read_text()
    programs = re.findall(r'url = "https://([^/"]+)[^"]*"\nheaders = (\{.*\})\n', page)
    for host, headers in programs:
        variable = re.findall(r"os\.environ\[['\"](\w+)['\"]\]", headers)[0]
        monkeypatch.delenv(variable, raising=False)
        with pytest.raises(KeyMissing, match=variable):
            find_headers(host.lower(), None)
        monkeypatch.setenv(variable, "k")
        sent: dict[str, str] = eval(headers, {"os": __import__("os")})

        assert sent == dict(find_headers(host.lower(), "anthropic" if "anthropic" in host else None))
    assert 8 <= len(programs)
    for other in ("evil-api.openai.com", "api.openai.com.evil.test", "localhost", None):
        assert [] == find_headers(other, None)


def test_a_recording_can_be_asked() -> None:
    """The answers of the demo are those of a provider."""
    with serve_in_time({_CHAT: at_once(CHAT)}) as server:
        assert 0 == main(["routes", f"m={server.url}{_CHAT}"])
