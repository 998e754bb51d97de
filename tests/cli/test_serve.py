"""`serve`: a folder of recordings, to which any client can be pointed."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from tests.cli.commands import RECORDINGS, posix, serving
from tests.support.aws_eventstream import event
from tests.support.packages import needed
from tests.support.timing import PATIENCE
from tokenstream import StatusError, Stream, StreamInterrupted, connect, testing
from tokenstream.cli import _serve as serve
from tokenstream.cli import main
from tokenstream.cli._serve import Folder
from tokenstream.testing import Recording
from tokenstream.testing._serve.server import ReplayServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHAT = (RECORDINGS / "openai-chat.sse").read_bytes()
_ANTHROPIC = (RECORDINGS / "anthropic.sse").read_bytes()
_LINES = b'{"message":{"content":"Hel"}}\n{"message":{"content":"lo"},"done":true}\n'
_SSE = "text/event-stream; charset=utf-8"
_FILES = {
    "chat.sse": _CHAT,
    "claude/answer.sse": _ANTHROPIC,
    "lines.ndjson": _LINES,
    "array.json": b'[{"a": 1}]',
    "sniffed.txt": b"data: Hello\r\n\r\ndata: you\n\n",
    "words.txt": b"only words",
    "page.raw": b"<html></html>",
    "lines.bin": _LINES,
    "aws.bin": event("messageStart", {}),
    "aws.eventstream": event("messageStart", {}),
    "bytes.bin": bytes(range(256)),
    "both.sse": b"data: sse\n\n",
    "both.json": b"{}",
    "both/v1.sse": b"data: below\n\n",
    "odd name é.sse": b"data: odd\n\n",
    ".hidden.sse": b"data: secret\n\n",
    "chat.expected.json": b'{"ending": "complete"}',
    ".git/config.txt": b"secret",
    "notes.md": b"secret",
    "v1/chat/completions.sse": b"data: mirrored\n\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    (root.parent / f"{root.name}-outside.sse").write_bytes(b"data: secret\n\n")
    for name, content in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with serving(str(folder)) as (process, address, _):
        # What it says of each request must be read, or it would wait for room.
        reader = threading.Thread(target=process.stdout.read)
        reader.start()
        yield address
        process.terminate()
        reader.join()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "name", "content_type"),
    [
        ("/chat", "chat.sse", _SSE),
        ("/chat.sse", "chat.sse", _SSE),
        ("/chat/", "chat.sse", _SSE),
        ("/chat/v1/chat/completions", "chat.sse", _SSE),
        ("/chat/v1/chat/completions?stream=1", "chat.sse", _SSE),
        ("/chat.sse/openai/deployments/x", "chat.sse", _SSE),
        ("/claude/answer", "claude/answer.sse", _SSE),
        ("/claude/answer/v1/messages", "claude/answer.sse", _SSE),
        ("/v1/chat/completions", "v1/chat/completions.sse", _SSE),
        ("/lines", "lines.ndjson", "application/x-ndjson"),
        ("/lines.bin", "lines.bin", "application/x-ndjson"),
        ("/aws", "aws.eventstream", "application/vnd.amazon.eventstream"),
        ("/aws.bin", "aws.bin", "application/vnd.amazon.eventstream"),
        ("/array", "array.json", "application/json"),
        ("/sniffed", "sniffed.txt", _SSE),
        ("/words", "words.txt", "text/plain; charset=utf-8"),
        ("/page", "page.raw", "text/html; charset=utf-8"),
        ("/bytes", "bytes.bin", "application/octet-stream"),
        ("/both", "both.sse", _SSE),
        ("/both.json", "both.json", "application/json"),
        ("/both/v1", "both/v1.sse", _SSE),
        ("/both/v2", "both.sse", _SSE),
        ("/odd%20name%20%C3%A9", "odd name é.sse", _SSE),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_first_part_of_a_path_that_names_a_recording_counts(
    method: str, path: str, name: str, content_type: str, url: str, client: httpx.Client
) -> None:
    response = client.request(method, url + path)

    assert (200, _FILES[name], content_type) == (
        response.status_code,
        response.content,
        response.headers["content-type"],
    )


@pytest.mark.parametrize(
    "path",
    [
        "/nothere",
        "/claude",
        "/claude/nothere",
        "/.hidden",
        "/.hidden.sse",
        "/.git/config",
        "/notes",
        "/notes.md",
        "/./chat2",
        "/%00",
        "/{outside}",
        "/../{outside}",
        "/../{outside}.sse",
        "/%2e%2e/{outside}.sse",
        "/%2e%2e%2f{outside}.sse",
        "/..%5c{outside}.sse",
        "/claude/../../{outside}.sse",
        "//{outside}.sse",
        "{root}/chat.sse",
        "/{root}/chat.sse",
        "file://{root}/chat.sse",
    ],
)
def test_nothing_else_is_reached(path: str, url: str, folder: Path) -> None:
    host, port = url.removeprefix("http://").split(":")
    target = path.format(outside=f"{folder.name}-outside", root=quote(str(folder)))
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(f"GET {target} HTTP/1.0\r\n\r\n".encode())
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")

    assert b"404" == head.split()[1]
    assert "no recording is at " in json.loads(body)["error"]["message"]


@posix
def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    """A link to a file of the folder is served; one out of it, to a folder, or in a circle is not there."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.sse").write_bytes(b"data: a\n\n")
    (tmp_path / "secret.sse").write_bytes(b"data: secret\n\n")
    (root / "inside.sse").symlink_to(root / "a.sse")
    (root / "outside.sse").symlink_to(tmp_path / "secret.sse")
    (root / "up").symlink_to(tmp_path)
    (root / "circle").symlink_to(root)
    (root / "dangling.sse").symlink_to(root / "nothere")
    os.mkfifo(root / "pipe.sse")
    folder = Folder(root)

    assert ["/a", "/inside"] == [recording.path for recording in folder.recordings()]
    assert folder.find("/inside") is not None
    for path in ("/outside", "/up/secret", "/circle/a", "/dangling", "/pipe"):
        assert folder.find(path) is None


def test_the_index_lists_what_there_is(url: str, client: httpx.Client) -> None:
    response = client.get(url)
    listed = {entry["file"]: entry for entry in response.json()["recordings"]}
    left_out = (".md", ".expected.json")
    visible = {name for name in _FILES if not name.startswith(".") and not name.endswith(left_out)}

    assert visible == set(listed)
    for name, entry in listed.items():
        assert _FILES[name] == client.get(url + entry["path"]).content
        assert len(_FILES[name]) == entry["bytes"]
    assert ("/both", "/both.json", "/lines", "/lines.bin") == tuple(
        listed[name]["path"] for name in ("both.sse", "both.json", "lines.ndjson", "lines.bin")
    )


def test_a_browser_may_read_it(url: str, client: httpx.Client) -> None:
    """A page of any origin: the preflight allows the headers that it asks for, and answers are open."""
    asked = {
        "Origin": "https://example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type,x-stainless-os",
    }
    preflight = client.options(f"{url}/chat/v1/chat/completions", headers=asked)

    assert (204, b"") == (preflight.status_code, preflight.content)
    assert "authorization, content-type, x-stainless-os" == preflight.headers["access-control-allow-headers"]
    assert "POST" in preflight.headers["access-control-allow-methods"].split(", ")
    for response in (preflight, client.get(f"{url}/chat"), client.get(f"{url}/nothere")):
        assert "*" == response.headers["access-control-allow-origin"]


def test_a_head_has_no_body(url: str, client: httpx.Client) -> None:
    head = client.head(f"{url}/chat")

    assert (200, b"", _SSE) == (head.status_code, head.content, head.headers["content-type"])
    assert _CHAT == client.get(f"{url}/chat").content


def test_other_methods_are_refused(url: str, client: httpx.Client) -> None:
    response = client.delete(f"{url}/chat")

    assert (405, "GET, HEAD, POST, OPTIONS") == (response.status_code, response.headers["allow"])


def test_the_openai_sdk_can_be_pointed_at_it(url: str) -> None:
    openai = needed("openai")
    with (
        openai.OpenAI(api_key="made-up", base_url=f"{url}/chat/v1", max_retries=0) as sdk,
        sdk.chat.completions.create(model="m", messages=[], stream=True) as stream,
    ):
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    with Stream([_CHAT]) as expected:
        assert expected.final().text == "".join(pieces)


def test_the_anthropic_sdk_can_be_pointed_at_it(url: str) -> None:
    anthropic = needed("anthropic")
    with (
        anthropic.Anthropic(api_key="made-up", base_url=f"{url}/claude/answer", max_retries=0) as sdk,
        sdk.messages.stream(model="m", max_tokens=9, messages=[]) as stream,
    ):
        answer = stream.get_final_message()
    with Stream([_ANTHROPIC]) as expected:
        assert expected.final().tool_calls[0].arguments == answer.content[-1].input


@pytest.mark.slow
def test_what_comes_later_is_served_too(tmp_path: Path) -> None:
    """The folder is looked at for each request; an empty one is no error."""
    with serving(str(tmp_path)) as (_, address, lines):
        (tmp_path / "late.sse").write_bytes(b"data: late\n\n")

        assert " serves 0 recordings of " in lines[0]
        assert b"data: late\n\n" == httpx.get(f"{address}/late", trust_env=False).content


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "body", "pieces"),
    [
        ("a.sse", b"data: a\r\n\r\n\r\ndata: b\n\n", 2),
        ("a.sse", b"data: a\r\rdata: b", 2),
        ("a.ndjson", b'{"a": 1}\n{"b": 2}', 2),
        ("a.json", b'[{"a": 1},\n\n{}]', 3),
        ("a.json", b'{"a": [{}, {}]}', 1),
        ("a.eventstream", event("a", {}) + event("b", {}), 2),
        ("a.bin", event("a", {}) + event("b", {}), 2),
    ],
)
def test_a_rate_gives_events_one_by_one(name: str, body: bytes, pieces: int, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(body)
    answers = serve.FolderAnswers(tmp_path, rate=10.0, first=0.05)
    with ReplayServer(answers) as server, httpx.stream("GET", f"{server.url}/a", trust_env=False) as response:
        begun = time.monotonic()
        received = [(time.monotonic() - begun, piece) for piece in response.iter_raw()]

    assert body == b"".join(piece for _, piece in received)
    assert pieces == len(received)
    if pieces == 2:
        assert 0.05 < received[1][0] - received[0][0]


@pytest.mark.slow
@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: int, folder: Path) -> None:
    with serving(str(folder), "--first", "30") as (process, address, lines):
        with httpx.stream("GET", f"{address}/chat", trust_env=False) as response:
            process.send_signal(number)
            with pytest.raises(httpx.RemoteProtocolError):
                response.read()
        rest, complaint = process.stdout.read(), process.stderr.read()

        assert (0, "") == (process.wait(), complaint)
        assert rest.endswith("GET /chat: chat.sse\nstopped\n")
        assert f" serves 16 recordings of {folder}; Ctrl-C ends it\n" in lines[0]
        assert "\n  /claude/answer  claude/answer.sse\n" in rest
        with pytest.raises(httpx.ConnectError):
            httpx.get(address, trust_env=False)


@pytest.mark.slow
def test_a_long_list_is_cut_and_says_where_the_rest_is(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number:02}.sse").write_bytes(b"data: x\n\n")
    with serving(str(tmp_path)) as (process, address, _):
        shown = [process.stdout.readline() for _ in range(41)]

    assert ["  /39  39.sse\n", f"  and 10 more: {address}/ lists them all\n"] == shown[-2:]


def test_a_name_is_no_way_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows allows no such file name")
    (tmp_path / "a\x1b[31m.sse").write_bytes(b"data: x\n\n")
    with ReplayServer(serve.FolderAnswers(tmp_path)) as server:
        httpx.get(f"{server.url}/a%1b[31m", trust_env=False)
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as connection:
            connection.sendall(b"GET /\x1b\x9b HTTP/1.0\r\n\r\n")
            while connection.recv(65_536):
                pass
    shown = capsys.readouterr().out

    assert "\\u001b[31m.sse\n" in shown
    assert "GET /\\u001b\\u009b: 404\n" in shown


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--port", "0", "--host", "256.1.1.1", "{folder}"], "cannot be served at 256.1.1.1 port 0: "),
        (["--port", "{taken}", "{folder}"], "; choose another --port"),
        (["nothere"], "nothere is not a folder"),
        ([__file__], f"{__file__} is not a folder"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    arguments: list[str], complaint: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with testing.serve({}) as other:
        taken = other.url.rpartition(":")[2]
        status = main(["serve", *(given.format(folder=folder, taken=taken) for given in arguments)])
    shown = capsys.readouterr()

    assert (1, "", 1) == (status, shown.out, shown.err.count("\n"))
    assert complaint in shown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "65536"],
        ["--port", "x"],
        ["--rate", "0"],
        ["--rate", "nan"],
        ["--first", "x"],
        ["--first", "-1"],
        ["--first", "inf"],
    ],
)
def test_a_number_that_makes_no_sense_is_explained(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "somewhere", *arguments])

    assert 2 == caught.value.code
    assert repr(arguments[1]) in capsys.readouterr().err


def test_a_recording_that_cannot_be_read_is_a_failure_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is told, and the server goes on."""
    path = tmp_path / "a.sse"
    path.write_bytes(b"data: x\n\n")

    def refuse(*_: Any) -> bytes:
        raise PermissionError(13, "Permission denied")

    with ReplayServer(serve.FolderAnswers(tmp_path)) as server:
        with monkeypatch.context() as patched:
            patched.setattr(type(path), "read_bytes", refuse)
            response = httpx.get(f"{server.url}/a", trust_env=False)

        assert (500, True) == (response.status_code, "Permission denied" in response.text)
        assert 200 == httpx.get(f"{server.url}/a", trust_env=False).status_code


def test_a_whole_recording_is_served_with_its_status_and_its_break(tmp_path: Path) -> None:
    """`testing.record` writes such files; the folder has them beside bodies."""
    testing.script().text("Hel", "lo").finish("stop").recording("openai-chat").save(tmp_path / "whole.rec")
    refused = Recording.of([b'{"error": {"message": "slow down"}}'], status=429)
    refused.save(tmp_path / "refused.rec")
    broken = testing.script().text("Hel", "lo").recording("openai-chat")
    replace(broken, breaks="reset").save(tmp_path / "broken.rec")
    (tmp_path / "odd.rec").write_text("not a recording", encoding="utf-8")

    with ReplayServer(serve.FolderAnswers(tmp_path)) as server:
        with connect(f"{server.url}/whole/v1/chat/completions", json={}) as stream:
            assert "Hello" == stream.final().text
        with pytest.raises(StatusError) as refusal, connect(f"{server.url}/refused", json={}) as stream:
            stream.final()
        with pytest.raises(StreamInterrupted) as cut, connect(f"{server.url}/broken.rec", json={}) as stream:
            stream.final()
        odd = httpx.get(f"{server.url}/odd", trust_env=False)
        listed = httpx.get(server.url, trust_env=False).json()["recordings"]

    assert 429 == refusal.value.status
    assert "Hello" == cut.value.partial.text
    assert 500 == odd.status_code
    assert "odd.rec" in odd.text
    # A damaged file does not keep the others from being listed.
    types = {recording["path"]: recording["content_type"] for recording in listed}
    assert {"/odd": None, "/whole": _SSE} == {path: types[path] for path in ("/odd", "/whole")}
    assert 4 == len(types)


@pytest.mark.parametrize(
    ("format", "content_type"),
    [
        ("openai-chat", "text/event-stream"),
        ("openai-chat", "text/event-stream;charset=UTF-8"),
        ("gemini", "text/event-stream"),
        ("ollama", "application/x-ndjson; charset=utf-8"),
        ("ollama", "application/jsonl"),
        ("bedrock-converse", "application/octet-stream"),
    ],
)
def test_the_rate_counts_for_a_whole_recording_of_any_content_type(
    format: str, content_type: str, tmp_path: Path
) -> None:
    """Servers write the content type of a stream in many ways."""
    answer = testing.script().text("Hel", "lo").finish("stop").recording(format)
    answer.replaced(headers={"content-type": content_type}).save(tmp_path / "answer.rec")
    frames = answer.chunks("events")

    with ReplayServer(serve.FolderAnswers(tmp_path, rate=1000)) as server:
        response = httpx.get(f"{server.url}/answer", trust_env=False)
        request = server.exchanges[0].request
    reply = serve.FolderAnswers(tmp_path, rate=1000)(request)

    assert (content_type, answer.body) == (response.headers["content-type"], response.content)
    assert frames == [data for _, data in reply.chunks]
    assert all(wait > 0 for wait, _ in reply.chunks[1:])


@pytest.mark.slow
def test_a_recording_of_a_websocket_is_refused_over_http(tmp_path: Path) -> None:
    testing.script().text("Hello").finish("stop").recording("openai-realtime").save(tmp_path / "socket.rec")

    with ReplayServer(serve.FolderAnswers(tmp_path)) as server:
        response = httpx.get(f"{server.url}/socket", trust_env=False)

    assert 501 == response.status_code
    assert "testing.serve plays it" in response.text
