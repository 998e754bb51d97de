"""What a job keeps of an answer: when it is over for the next process, and what a save may hold up."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.project import ROOT
from tests.recovery.test_job import TEXT, Provider
from tests.stream.bodies import later
from tests.support import wire
from tests.support.either import client_in
from tests.support.responses import streamed
from tests.support.resuming import stored
from tokenstream import (
    AsyncStream,
    Checkpoint,
    Job,
    Retry,
    Stream,
    aconnect,
    aresilient,
    connect,
    errors,
    resilient,
    testing,
)
from tokenstream.events import Finish
from tokenstream.recovery import Attempt
from tokenstream.stream import _job

CHAT = Provider("openai-chat").whole
CALLS = testing.script().text("Paying.").tool_call("pay", {"usd": 1}).finish().chunks("openai-chat")


def goes_on(attempt: Attempt) -> list[bytes]:
    """Answer with what is missing, after the last words of what there is."""
    known = attempt.message.text
    return testing.script().text(known[-20:], TEXT[len(known) :]).finish().chunks("openai-chat")


def resume(kept: Checkpoint, ask: Callable[[Attempt], Any] = goes_on) -> Stream:
    return resilient(ask, Retry(wait=0), job=Job("j", checkpoint=stored(kept)))


# -- when an answer is over ---------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "anthropic-agents/custom_tool",
        "gemini-live/interrupted",
        "langchain-protocol/agent_with_subagent",
        "langchain-protocol/runs_values",
        "openai-realtime/two_responses",
        "transcription/openai_session",
        "openai-chat/two_choices",
        "gemini/two_candidates",
        "ag-ui/tools",
        "openai-responses/web_search",
    ],
)
def test_what_goes_on_after_a_finish_is_not_over_there(name: str) -> None:
    """A step of a run, an answer of a session and a choice end, and others follow."""
    body = (ROOT / "tests" / "recordings" / f"{name}.sse").read_bytes()
    with Stream([body]) as stream:
        kept = [stream.checkpoint() for _ in stream]
    over = [each for each in kept if Job("j", checkpoint=each).is_over]
    for each in over:
        came = Stream([], job=Job("j", checkpoint=stored(each)))
        came.final()
        assert [each.parts for each in stream.messages] == [each.parts for each in came.messages]
    assert Job("j", checkpoint=stream.checkpoint()).is_over
    assert len(over) <= 3


@pytest.mark.parametrize("format", ["openai-chat", "anthropic", "gemini", "openai-responses"])
def test_one_answer_is_over_with_its_reason_and_claims_no_more_tokens_than_came(format: Any) -> None:
    """A process that dies before the end mark has the whole answer, and asks for nothing."""
    with Stream(Provider(format).whole, format=format) as stream:
        kept = next(stream.checkpoint() for event in stream if isinstance(event, Finish))
    with resume(kept, lambda _: pytest.fail("asked")) as rest:
        told = rest.final()

    assert (TEXT, "complete") == (told.text, told.ending)
    assert "reported" != told.usage.basis or stream.message.usage == told.usage


def test_alternatives_that_have_not_begun_are_missing() -> None:
    one, two = [
        [wire.chat({"content": text}, index=index), wire.chat({}, "stop", index=index)]
        for index, text in enumerate(["One.", "Two."])
    ]
    client = client_in("sync", lambda _: streamed([*one, *two, wire.DONE]))
    asked: Any = {"json": {"n": 2, "messages": [{"role": "user", "content": "Twice."}]}, "client": client}
    with connect("http://a.test/v1/chat/completions", **asked) as stream:
        kept = next(stream.checkpoint() for event in stream if isinstance(event, Finish))
    asked |= {"retry": Retry(again=True), "job": Job("j", checkpoint=kept)}
    with connect("http://a.test/v1/chat/completions", **asked) as rest:
        rest.final()

        assert ["One.", "Two."] == [each.text for each in rest.messages]


@pytest.mark.parametrize(
    ("by", "ending", "modes"),
    [
        ("stop", "stopped", []),
        ("guard", "stopped", []),
        ("close", "complete", ["continue"]),
        ("accept", "complete", ["start"]),
        ("accept, by the error", "complete", ["start"]),
    ],
)
def test_only_what_was_stopped_stays_so(by: str, ending: str, modes: list[str]) -> None:
    """Leaving the block decides nothing: it may be the end of the process. A refused answer begins again."""

    def read(stream: Stream) -> Stream:
        if by == "guard":
            stream.guard(
                lambda message: "enough" if "sand" in message.text else None, first_tokens=1, every=1
            )
        with stream:
            for _ in stream.text:
                if by in ("stop", "close") and "sand" in stream.message.text:
                    if by == "stop":
                        stream.stop("enough")
                    break
        return stream

    kept = list[Checkpoint]()
    retry = Retry(wait=0, attempts=2, accept=(lambda _: False) if "accept" in by else None)
    first = resilient(lambda _: CHAT, retry, job=Job("j", keep=kept.append))
    try:
        read(first)
    except errors.AnswerRejected as error:
        kept += [error.checkpoint] * ("error" in by)
    with resume(kept[-1]) as again:
        text = again.final().text

    assert (first.message.text if ending == "stopped" else TEXT, ending) == (text, again.message.ending)
    assert modes == [each.mode for each in again.attempts]


@pytest.mark.parametrize("status", [503, 401])
def test_a_process_whose_requests_all_fail_leaves_the_answer_as_it_was(status: int) -> None:
    kept, provider = list[Checkpoint](), Provider("openai-chat")
    with testing.serve(provider.answer) as server:

        def ask(*faults: Any) -> str:
            provider.faults = [*faults]
            job = Job("j", keep=kept.append, checkpoint=stored(kept[-1]) if kept else None)
            url, retry = f"{server.url}/v1/chat/completions", Retry(wait=0, attempts=len(faults) or None)
            return connect(url, json=provider.body, job=job, retry=retry).final().text

        with pytest.raises(errors.StreamTruncated):
            ask("cut")
        with pytest.raises(errors.StatusError):
            ask(status, status, status)

        assert TEXT == ask()


# -- words ------------------------------------------------------------------------------


def test_what_cannot_be_kept_is_refused_with_what_can(tmp_path: Path) -> None:
    async def keep(_: Checkpoint) -> None: ...

    for name, text in (("a.json", "[]"), ("b.json", "{")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    refused: list[tuple[Any, str]] = [
        (5, "keep= takes a file or a function, not 5"),
        (tmp_path, "takes a file or a function, not the directory"),
        (tmp_path / "a.json", r"has no checkpoint.*: name another file, or delete it"),
        (tmp_path / "b.json", "has no checkpoint"),
        (keep, "keep= is an async def"),
    ]
    for each, words in refused:
        with pytest.raises(errors.MisuseError, match=words):
            Stream(CHAT, job=Job("j", keep=each))
    functions: list[Any] = [resilient, aresilient, Stream, AsyncStream, connect, aconnect]
    for function in functions:
        with pytest.raises(errors.MisuseError, match="job="):
            function("http://localhost:9", answer_id="j")


def test_the_attempt_of_an_earlier_process_has_no_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tokenstream")
    with pytest.raises(errors.StreamTruncated) as caught:
        Stream(CHAT[:5]).final()
    resume(caught.value.checkpoint).final()

    assert "process that read this answer has ended" in caplog.messages[0]
    assert "attempt 0" not in caplog.text


# -- a save that is slow, fails or is interrupted -------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("within", [True, False])
async def test_a_read_that_is_shorter_than_a_save_comes_to_the_end(
    anyio_backend_name: str, within: bool
) -> None:
    """The save goes on, and so does the answer, also under a timeout of asyncio itself."""
    saves, events = [0, 0], list[Any]()

    async def keep(_: Checkpoint) -> None:
        saves[0] += 1
        await anyio.sleep(0.05)
        saves[1] += 1

    async def read_in_short_times(stream: AsyncStream) -> None:
        while True:
            with suppress(TimeoutError):
                if anyio_backend_name == "trio":
                    with anyio.move_on_after(0.01):
                        events.append(await anext(stream))
                else:
                    async with asyncio.timeout(0.01):
                        events.append(await anext(stream))

    stream = AsyncStream(later(CALLS), job=Job("j", keep=keep))
    with anyio.fail_after(3), suppress(StopAsyncIteration):
        if within:
            async with stream:
                await read_in_short_times(stream)
        await read_in_short_times(stream)
    await stream.aclose()

    assert [type(each) for each in Stream(CALLS)] == [type(each) for each in events]
    assert [3, 3] == saves


@pytest.mark.parametrize("of_signal", [True, False])
def test_an_interrupted_save_loses_no_event(of_signal: bool) -> None:
    """The time limit of a worker is one: its handler raises an exception wherever the program is."""

    class TimeIsUp(Exception): ...

    def limit(*_: object) -> None:
        raise TimeIsUp

    def keep(_: Checkpoint) -> None:
        if interrupts:
            interrupts.pop()
            if not of_signal:
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)

    interrupts, before = [1], signal.signal(signal.SIGINT, limit)
    try:
        with Stream(CALLS, job=Job("j", keep=keep)) as stream:
            with pytest.raises(TimeIsUp if of_signal else KeyboardInterrupt):
                next(stream)
            events = [*stream]
    finally:
        signal.signal(signal.SIGINT, before)

    assert [*Stream(CALLS)] == events


@pytest.mark.anyio
@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("at_end", [True, False])
async def test_a_save_that_hangs_holds_up_the_end_for_a_bounded_time(
    blocks: bool, at_end: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_job, "_MOST_SECONDS", 0.1)
    released, saves = threading.Event(), list[int]()

    def block(_: Checkpoint) -> None:
        saves.append(1)
        if len(saves) > at_end:
            released.wait(10)

    async def wait(_: Checkpoint) -> None:
        saves.append(1)
        if len(saves) > at_end:
            await anyio.sleep(10)

    async def forever() -> AsyncIterator[bytes]:
        yield CHAT[1]
        await anyio.sleep_forever()

    begun = anyio.current_time()
    with anyio.move_on_after(0.1):
        async with AsyncStream(forever(), job=Job("j", keep=block if blocks else wait)) as stream:
            async for _ in stream:
                pass
    released.set()

    assert anyio.current_time() - begun < 2
    (warning,) = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    assert "TimeoutError" in warning
