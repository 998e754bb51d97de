"""Recordings out of files of other kinds: bare bodies, and cassettes of VCR."""

from __future__ import annotations

import base64
import gzip
import json
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.support.packages import needed
from tokenstream import testing
from tokenstream.errors import MisuseError
from tokenstream.testing import Arrival, Recording, RecordingInvalid, load_cassette

yaml: Any = needed("yaml")

ANSWER = (
    testing.script().text("Hello, ").text("café 🌊.").usage(input_tokens=1, output_tokens=2).finish("stop")
)
CHAT = ANSWER.recording("openai-chat")
OLLAMA = ANSWER.recording("ollama")
BEDROCK = ANSWER.recording("bedrock-converse")


def put(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


# -- bare bodies -----------------------------------------------------------


@pytest.mark.parametrize(
    "name, body, content_type",
    [
        ("a.sse", CHAT.body, "text/event-stream; charset=utf-8"),
        ("a.SSE", CHAT.body, "text/event-stream; charset=utf-8"),
        ("a.txt", CHAT.body, "text/event-stream; charset=utf-8"),
        ("a.txt", b"plain words", "text/plain; charset=utf-8"),
        ("a.txt", b"<html>502</html>", "text/html; charset=utf-8"),
        ("a.raw", b"\x07\x02", "application/octet-stream"),
        ("a.ndjson", OLLAMA.body, "application/x-ndjson"),
        ("a.jsonl", OLLAMA.body, "application/x-ndjson"),
        ("a.txt", OLLAMA.body, "application/x-ndjson"),
        ("a.json", b'[{"a": 1}]', "application/json"),
        ("a.txt", b'{"a": 1}', "application/json"),
        ("a.json", b'{"interactions": 3}', "application/json"),
        ("a.json", b'["interactions"]', "application/json"),
        ("a.eventstream", BEDROCK.body, "application/vnd.amazon.eventstream"),
        ("a.bin", BEDROCK.body, "application/vnd.amazon.eventstream"),
    ],
)
def test_a_bare_body_is_one_chunk_of_the_type_that_its_name_or_content_says(
    tmp_path: Path, name: str, body: bytes, content_type: str
) -> None:
    """A bare body has no head and no times: it gets a server's usual head, and arrives at once."""
    expected = Recording((Arrival(0.0, body),), name="a", headers={"content-type": content_type})

    assert expected == Recording.load(put(tmp_path, name, body))


@pytest.mark.parametrize("recording", [CHAT, OLLAMA, BEDROCK], ids=["sse", "ndjson", "eventstream"])
def test_a_bare_body_replays_as_the_answer_that_it_is(tmp_path: Path, recording: Recording) -> None:
    path = put(tmp_path, "answer.bin", recording.body)

    message = Recording.load(str(path)).stream().final()

    assert ("Hello, café 🌊.", "stop") == (message.text, message.finish_reason)


def test_an_empty_body_is_no_chunk(tmp_path: Path) -> None:
    """A server that sends nothing sends no chunk."""
    assert () == Recording.load(put(tmp_path, "a.sse", b"")).arrivals


def test_a_recording_is_known_by_its_first_line(tmp_path: Path) -> None:
    CHAT.save(tmp_path / "a.rec")
    named_otherwise = put(tmp_path, "a.saved", (tmp_path / "a.rec").read_bytes())

    assert CHAT.arrivals == Recording.load(named_otherwise).arrivals
    with pytest.raises(RecordingInvalid, match=r"b\.rec, line 1: "):
        Recording.load(put(tmp_path, "b.rec", CHAT.body))


def test_a_file_whose_name_says_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        RecordingInvalid, match=r"\.rec, a bare body in \.sse, .* a cassette of VCR in \.yaml"
    ):
        Recording.load(put(tmp_path, "a.html", "<html>"))


def test_a_file_that_is_not_there_is_no_damage(tmp_path: Path) -> None:
    """The error is Python's own, with the path."""
    with pytest.raises(FileNotFoundError, match=r"none\.rec"):
        Recording.load(tmp_path / "none.rec")


# -- cassettes -------------------------------------------------------------

STREAMED = {"Content-Type": ["text/event-stream"], "Set-Cookie": ["session=1"], "X-Request-Id": ["r1"]}


def interaction(
    body: Any, headers: dict[str, Any] | None = None, status: Any = None, uri: str = "/v1/chat"
) -> dict[str, Any]:
    return {
        "request": {
            "body": "{}",
            "headers": {"Authorization": ["secret"]},
            "method": "POST",
            "uri": f"https://me:word@api.example.com{uri}?key=secret",
        },
        "response": {
            "body": body,
            "headers": STREAMED if headers is None else headers,
            "status": {"code": 200, "message": "OK"} if status is None else status,
        },
    }


def cassette(folder: Path, *interactions: dict[str, Any], name: str = "tape.yaml") -> Path:
    document = {"interactions": list(interactions), "version": 1}
    return put(folder, name, json.dumps(document) if name.endswith(".json") else yaml.safe_dump(document))


PLAYED = Recording(
    (Arrival(0.0, CHAT.body),),
    name="tape",
    headers={"content-type": "text/event-stream", "x-request-id": "r1"},
    request="POST https://api.example.com/v1/chat",
)


@pytest.mark.parametrize(
    "body",
    [
        {"string": CHAT.body.decode()},
        {"string": CHAT.body},
        {"base64_string": base64.b64encode(CHAT.body).decode()},
        CHAT.body.decode(),
    ],
    ids=["text", "binary", "base64", "bare"],
)
def test_a_cassette_is_the_answer_that_it_holds(tmp_path: Path, body: Any) -> None:
    assert PLAYED == Recording.load(cassette(tmp_path, interaction(body)))


@pytest.mark.parametrize("name", ["tape.yml", "tape.json"])
def test_a_cassette_may_be_of_either_serializer(tmp_path: Path, name: str) -> None:
    """JSON is the other one that VCR has."""
    path = cassette(tmp_path, interaction({"string": CHAT.body.decode()}), name=name)

    assert PLAYED == Recording.load(path)


@pytest.mark.parametrize(
    "response",
    [
        {"content": CHAT.body.decode(), "headers": {"content-type": "text/event-stream"}, "status_code": 200},
        {"body": {"string": CHAT.body}, "headers": {"content-type": "text/event-stream"}, "status": 200},
    ],
)
def test_the_cassettes_of_older_versions_are_read(tmp_path: Path, response: dict[str, Any]) -> None:
    """Older versions wrote httpx's answers differently, and headers that are not lists."""
    path = cassette(tmp_path, {"response": response})

    assert PLAYED.replaced(headers={"content-type": "text/event-stream"}, request="") == Recording.load(path)


@pytest.mark.parametrize(
    "coding, body",
    [("gzip", gzip.compress(CHAT.body)), ("deflate", zlib.compress(CHAT.body)), ("gzip", CHAT.body)],
    ids=["gzip", "deflate", "undone before"],
)
def test_a_compressed_body_is_decompressed(tmp_path: Path, coding: str, body: bytes) -> None:
    headers = {**STREAMED, "Content-Encoding": [coding], "Content-Length": [str(len(body))]}

    assert PLAYED == Recording.load(cassette(tmp_path, interaction({"string": body}, headers)))


def test_of_several_answers_the_streamed_one_is_meant(tmp_path: Path) -> None:
    """A cassette also holds the calls around it."""
    path = cassette(
        tmp_path,
        interaction({"string": '{"id": "file-1"}'}, {"Content-Type": ["application/json"]}),
        interaction({"string": CHAT.body.decode()}),
        interaction({"string": ""}, {}, {"code": 204}),
    )

    assert PLAYED == Recording.load(path)
    assert ["tape-1", "tape-2", "tape-3"] == [recording.name for recording in load_cassette(path)]
    assert [200, 200, 204] == [recording.status for recording in load_cassette(path)]
    assert [1, 1, 0] == [len(recording.arrivals) for recording in load_cassette(path)]


def test_several_streamed_answers_are_listed(tmp_path: Path) -> None:
    streamed = interaction({"string": CHAT.body.decode()})
    path = cassette(tmp_path, streamed, interaction({"string": "{}"}, {}, uri="/v1/files"), streamed)

    with pytest.raises(
        RecordingInvalid, match=r"3 answers, of which 2 were streamed.*load_cassette"
    ) as raised:
        Recording.load(path)

    assert [
        f"  [0] POST https://api.example.com/v1/chat: 200, text/event-stream, {len(CHAT.body):,} bytes",
        "  [1] POST https://api.example.com/v1/files: 200, no content type, 2 bytes",
        f"  [2] POST https://api.example.com/v1/chat: 200, text/event-stream, {len(CHAT.body):,} bytes",
    ] == str(raised.value).split("\n")[1:]


def test_an_empty_cassette_has_no_answer(tmp_path: Path) -> None:
    assert [] == load_cassette(cassette(tmp_path))
    with pytest.raises(RecordingInvalid, match="0 answers"):
        Recording.load(cassette(tmp_path))


@pytest.mark.parametrize(
    "name, text, line, words",
    [
        ("a.yaml", "interactions:\n- request: {\n  b: ]\n", 3, "cannot be read as YAML"),
        ("a.yaml", "interactions:\n- !!python/object:os.system {}\n", 2, "cannot be read as YAML"),
        ("a.yaml", "when: 2024-13-45\n", None, "cannot be read as YAML"),
        ("a.yaml", "- 1\n", None, "no list of `interactions`"),
        ("a.yaml", "interactions: 3\n", None, "no list of `interactions`"),
        ("a.yaml", "interactions:\n- 3\n", None, "interaction 1 has no response"),
        ("a.yaml", "interactions:\n- response: 3\n", None, "interaction 1 has no response"),
        ("a.yaml", "interactions:\n- response: {body: a}\n", None, "interaction 1 has no status"),
        ("a.yaml", "interactions:\n- response: {body: 3, status: 200}\n", None, "neither text nor bytes"),
        (
            "a.yaml",
            "interactions:\n- response: {body: {base64_string: x}, status: 200}\n",
            None,
            "1 is not base64",
        ),
        (
            "a.yaml",
            "interactions: [{response: {status: 200, headers: {content-encoding: xz}, body: !!binary H4sI}}]",
            None,
            "interaction 1 cannot be read: .*unknown",
        ),
        ("a.yaml", b"interactions:\n- a: \xe9\n", 2, "cannot be read as YAML"),
        ("a.yaml", "a: 1\nb: \x00\n", 2, "cannot be read as YAML"),
        ("a.yaml", "a: *nowhere\n", 1, "undefined alias"),
        (
            "a.yaml",
            "interactions:\n  " + "[" * 100_000,
            2,
            "more than 100 values are nested|maximum nesting depth",
        ),
        ("a.yaml", "interactions:\n" + "- " * 200, 2, "more than 100 values are nested in one another"),
        ("a.yaml", "a: 1\ninteractions: &a\n- *a\n", 3, "aliases expand to far more"),
        ("a.json", '{\n"interactions": [\n', 3, "not JSON"),
        ("a.json", '{"interactions": ' + "9" * 5_000 + "}", None, "cannot be read as JSON"),
        ("a.json", '"interactions"' + "[" * 200_000, None, "not JSON|cannot be read as JSON"),
        ("a.json", b'{"interactions": "\xff"}', None, "cannot be read as JSON"),
    ],
)
def test_a_damaged_cassette_says_what_is_wrong(
    tmp_path: Path, name: str, text: str | bytes, line: int | None, words: str
) -> None:
    path = put(tmp_path, name, text)
    with pytest.raises(RecordingInvalid, match=words) as raised:
        Recording.load(path)

    assert line == raised.value.line or line is None
    assert path == raised.value.path


BOMB = "a0: &a0 {k: [x, x, x, x]}\n" + "".join(
    f"a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(10))}}}\n" for n in range(1, 30)
)
RESPONSE = "interactions:\n- response: {status: 200, headers: {x: *a29}, body: {string: a}}\n"


@pytest.mark.parametrize(
    "text",
    [
        BOMB + RESPONSE,
        BOMB + RESPONSE.replace("*a29", "[*a29]"),
        BOMB + "interactions:\n- request: {uri: *a29, method: *a29}\n  response: {status: 200, body: a}\n",
        BOMB.replace("k0: ", "<<: ") + "interactions:\n- response: *a29\n",
    ],
)
def test_a_few_aliases_do_not_become_everything(tmp_path: Path, text: str) -> None:
    """Each stands for ten of the one before, thirty times."""
    with pytest.raises(
        RecordingInvalid, match="its aliases expand to far more than the file holds"
    ) as raised:
        Recording.load(put(tmp_path, "a.yaml", text))

    assert raised.value.line is not None


def test_the_aliases_that_tools_write_are_read(tmp_path: Path) -> None:
    """PyYAML writes one for a list or mapping that stands in two places."""
    shared = {"content-type": ["text/event-stream"]}
    tape = [interaction({"string": CHAT.body.decode()}, headers=shared) for _ in range(2)]
    path = cassette(tmp_path, *tape)

    assert "*id001" in path.read_text()
    assert [CHAT.body] * 2 == [answer.body for answer in load_cassette(path)]


def test_all_answers_of_what_is_no_cassette_are_none(tmp_path: Path) -> None:
    """A JSON body is not a cassette, and asking it for answers raises an error that says so."""
    with pytest.raises(RecordingInvalid, match="not a cassette"):
        load_cassette(put(tmp_path, "a.json", b'{"a": 1}'))


def test_without_pyyaml_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is asked for only where a cassette is read."""
    path = cassette(tmp_path, interaction({"string": "a"}))
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(MisuseError, match=r'pip install "PyYAML>=\d'):
        Recording.load(path)
