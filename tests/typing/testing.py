"""What editors infer of the testing kit; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import Popen
from typing import IO, Any, assert_type

import httpx
import httpx2
from openai import Stream as OpenAIStream
from openai.types.chat import ChatCompletionChunk

from tokenstream import AsyncStream, Steps, Stream, testing
from tokenstream.testing import faults


def scripts() -> None:
    """Each method gives a script, so that they chain; what it plays has its own type."""
    script = (
        testing.script(id="msg_1", model="m", rate=20)
        .reasoning("Hm.", signature="s")
        .text("Hel", "lo")
        .refusal("No.")
        .tool_call("get_weather", {"city": "Oslo"}, id="call_1")
        .tool_call("get_weather", ("{", "}"))
        .citation(url="https://example.com")
        .media(b"png", "image/png")
        .choice(0)
        .silence(2)
        .ping()
        .usage(input_tokens=1)
        .raw({"x": 1}, event="x")
        .finish("stop")
    )
    assert_type(script, testing.Script)
    assert_type(script.error("Busy", kind="rate_limited"), testing.Script)
    assert_type(script.chunks("anthropic"), list[bytes])
    assert_type(script.recording("anthropic"), testing.Recording)
    assert_type(script.stream("anthropic", pace="recorded"), Stream)
    assert_type(script.astream("anthropic"), AsyncStream)


def processes(path: Path, agent: Popen[bytes]) -> None:
    """A process is recorded as what it is, and a played one is followed like a real one."""
    recording = testing.Recording.load(path)
    assert_type(testing.record(agent, path), Popen[bytes])
    played = recording.process(fault=faults.cut(event=3) | faults.exit_code(1))
    assert_type(played.stdout, IO[bytes])
    assert_type(played.wait(), int)
    with Steps() as run:
        assert_type(list(run.follow(played.stdout, exit_code=played.wait)), list[dict[str, Any]])


def recordings(path: Path) -> None:
    recording = testing.Recording.load(path)
    assert_type(recording, testing.Recording)
    assert_type(testing.Recording.load("order.rec"), testing.Recording)
    assert_type(recording.stream(), Stream)
    assert_type(recording.stream(pace=2.0, chunking=testing.Seed(7), fault=faults.cut(at=17)), Stream)
    assert_type(recording.stream(chunking=3, fault=[faults.crlf(), faults.bom()]), Stream)
    assert_type(recording.astream(clock=testing.VirtualClock()), AsyncStream)
    assert_type(recording.chunks("bytes"), list[bytes])
    recording.save(path, overwrite=True)


def what_breaks(recording: testing.Recording) -> None:
    """Faults are values, and what is parametrized over are recordings."""
    assert_type(faults.stall(90, at=0.5) | faults.heartbeat(15), faults.Fault)
    assert_type(faults.error_event("rate_limited", event=-1), faults.Fault)
    assert_type(testing.every_cut(recording, every=7, how="reset"), Sequence[testing.Recording])
    assert_type(testing.fault_matrix(recording), Sequence[testing.Recording])
    for broken in testing.every_cut(testing.script().text("Hello")):
        assert_type(broken, testing.Recording)


def what_is_recorded(
    response: httpx.Response,
    chunks: OpenAIStream[ChatCompletionChunk],
    stream: Stream,
    asynchronous: AsyncStream,
    client: httpx2.AsyncClient,
) -> None:
    """A source comes back as what it was, also to the editor."""
    assert_type(testing.record(response, "a.rec"), httpx.Response)
    assert_type(testing.record(chunks, Path("a.rec")), OpenAIStream[ChatCompletionChunk])
    assert_type(testing.record(stream, "a.rec", overwrite=True), Stream)
    assert_type(testing.record(asynchronous, "a.rec"), AsyncStream)
    assert_type(testing.record(client, "a.rec"), httpx2.AsyncClient)


async def clients(script: testing.Script) -> None:
    """One transport is taken by every client."""
    transport = testing.transport(script, format="anthropic", fault=faults.slow(0.5))
    assert_type(transport, testing.Transport)
    with httpx.Client(transport=transport) as client, httpx2.Client(transport=transport) as other:
        assert_type(client, httpx.Client)
        assert_type(other, httpx2.Client)
    async with (
        httpx.AsyncClient(transport=transport) as waiting,
        httpx2.AsyncClient(transport=transport) as another,
    ):
        assert_type(waiting, httpx.AsyncClient)
        assert_type(another, httpx2.AsyncClient)
    assert_type(transport.requests, list[testing.Request])
    assert_type(transport.requests[0].conversation, Sequence[Any])


async def servers(script: testing.Script, recording: testing.Recording) -> None:
    """A server is entered in either way."""
    assert_type(faults.close(event=3, code=1011, reason="Restart") | faults.late(2), faults.Fault)
    assert_type(faults.half_frame(event=3) | faults.connection_limit() | faults.go_away(5), faults.Fault)
    with testing.serve([script, recording], sessions=True) as sessions:
        assert_type(sessions.exchanges[0].received_json, list[Any])
    with testing.serve([script, recording]) as server:
        assert_type(server, testing.Server)
    async with testing.serve({"/v1/messages": script}) as waiting:
        assert_type(waiting, testing.Server)
    testing.serve(lambda _: recording)


def words(stream: Stream) -> list[str]:
    return list(stream.text)


async def count(stream: AsyncStream) -> int:
    return len((await stream.final()).text)


def pieces(stream: Stream) -> Iterator[str]:
    """A handler that is a generator."""
    yield from stream.text


async def handlers(recording: testing.Recording) -> None:
    """What a handler returns is what comes back."""
    assert_type(testing.assert_stream(words, recording), list[str])
    assert_type(testing.assert_stream(count, recording), int)
    assert_type(testing.assert_stream(lambda stream: "".join(pieces(stream)), "order.rec"), str)
    assert_type(await testing.aassert_stream(count, recording), int)
