"""Recordings of sessions over a WebSocket: what is written, and how it is played."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.testing.sessions.support import LIVE, PATHS, REALTIME, Client, open_client, opened
from tokenstream import Stream, testing
from tokenstream.errors import StreamInterrupted
from tokenstream.testing import Recording, RecordingInvalid, faults

if TYPE_CHECKING:
    from pathlib import Path


TURNS = [testing.script().text(text).finish() for text in ("One", "Two", "Three")]
FORMATS = pytest.mark.parametrize("format", list(PATHS))


def ask(client: Client, format: str) -> None:
    if format == "gemini-live":
        client.send(clientContent={"turnComplete": True})
    else:
        client.send("response.create")


def talk(server: testing.Server, format: str, path: Path | None = None) -> list[str]:
    """Hold a session of three turns, which is recorded if there is a path; return what the server says."""
    texts: list[str] = []
    with open_client(server, PATHS[format]) as client:
        stream = Stream(client.socket)
        with stream if path is None else testing.record(stream, path):
            if format == "gemini-live":
                client.send(setup={})
            ask(client, format)
            for response in stream.responses:
                texts.append(response.final().text)
                if len(texts) == len(TURNS):
                    break
                ask(client, format)
    return texts


@FORMATS
def test_a_recorded_session_is_played_turn_by_turn(format: str, tmp_path: Path) -> None:
    with testing.serve(TURNS, sessions=True) as server:
        first = talk(server, format, tmp_path / "session.rec")
    with testing.serve(Recording.load(tmp_path / "session.rec"), sessions=True) as server:
        again = talk(server, format)

    assert first == again == ["One", "Two", "Three"]


def record_closed(reason: str, path: Path, **options: Any) -> Recording:
    closed = TURNS[0].recording("openai-realtime").with_fault(faults.close(code=1012, reason=reason))
    with opened(REALTIME, closed) as client:
        client.send("response.create")
        with pytest.raises(StreamInterrupted, match="1012"):
            testing.record(Stream(client.socket), path, **options).final()
    return Recording.load(path)


def test_the_closing_frame_is_recorded(tmp_path: Path) -> None:
    recording = record_closed("Restart", tmp_path / "closed.rec")

    assert (recording.breaks, recording.close_frame) == ("close", (1012, "Restart"))
    with opened(REALTIME, recording) as client:
        client.send("response.create")
        with pytest.raises(StreamInterrupted, match="1012: Restart"):
            Stream(client.socket).final()


def test_a_secret_in_the_reason_is_not_recorded(tmp_path: Path) -> None:
    """The recording is refused, unless the secret is replaced."""
    reason = f"API key sk-{'a1B2' * 10} is not valid"
    closed = Recording.of([b"{}"], messages=True, breaks="close", close_frame=(1012, reason))
    with pytest.raises(RecordingInvalid, match="closing frame"):
        closed.save(tmp_path / "secret.rec")
    replaced = record_closed(reason, tmp_path / "replaced.rec", replace={r"sk-\w+": "KEY"})

    assert replaced.close_frame == (1012, "API key KEY is not valid")


def test_what_follows_the_last_turn_is_not_an_answer() -> None:
    """Messages about the session are not the next turn."""
    turn = TURNS[0].recording("openai-realtime")
    limits = b'{"type": "rate_limits.updated", "event_id": "event_99", "rate_limits": []}'
    recorded = Recording.of([*turn.chunks(), limits], messages=True, format="openai-realtime")
    with opened(REALTIME, [recorded, TURNS[1]]) as client:
        texts: list[str] = []
        for _ in range(2):
            client.send("response.create")
            texts.append(client.until("response.done")[-1]["response"]["output"][0]["content"][0]["text"])

    assert texts == ["One", "Two"]


@pytest.mark.parametrize("message", [b"[1, 2]", b"no JSON", b"\xff\x00"])
def test_messages_of_any_kind_are_played(message: bytes) -> None:
    start, *rest = TURNS[0].recording("gemini-live").chunks()
    recorded = Recording.of([start, message, *rest], messages=True, format="gemini-live")
    with opened(LIVE, recorded) as client:
        client.send(setup={})
        client.recv()
        ask(client, "gemini-live")
        received = client.socket.recv(timeout=5, decode=False)

    assert received == message
