"""What a job keeps of an answer: when it is over for the next process, and what a save may hold up."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.project import ROOT
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
)
from tokenstream import testing as scripts
from tokenstream.events import Finish
from tokenstream.stream import _job
from tokenstream.testing import Recording, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tokenstream.recovery import Attempt

TEXT = "The tide takes the sand away by night."
WHOLE = scripts.script().text(*[TEXT[at : at + 9] for at in range(0, len(TEXT), 9)]).finish()
CHAT = WHOLE.chunks("openai-chat")
_SENT = {"content-type": "text/event-stream"}


def stored(kept: Checkpoint) -> Checkpoint:
    return Checkpoint.model_validate_json(kept.model_dump_json())


def goes_on(attempt: Attempt) -> list[bytes]:
    """Answer with what is missing, after the last words of what there is."""
    known = attempt.message.text
    return scripts.script().text(known[-20:], TEXT[len(known) :]).finish().chunks("openai-chat")


def resume(kept: Checkpoint, ask: Callable[[Attempt], Any]) -> Stream:
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
    chunks = WHOLE.chunks(format)
    with Stream(chunks, format=format) as stream:
        kept = next(stream.checkpoint() for event in stream if isinstance(event, Finish))
    with resume(kept, lambda _: pytest.fail("asked")) as rest:
        told = rest.final()

    assert (TEXT, "complete") == (told.text, told.ending)
    assert "reported" != told.usage.basis or stream.message.usage == told.usage


def test_alternatives_that_have_not_begun_are_missing() -> None:
    def choice(index: int, delta: Any, reason: str | None = None) -> bytes:
        of = {"index": index, "delta": delta, "finish_reason": reason}
        return b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [of]}).encode() + b"\n\n"

    one = [choice(0, {"content": "One."}), choice(0, {}, "stop")]
    two = [choice(1, {"content": "Two."}), choice(1, {}, "stop"), b"data: [DONE]\n\n"]
    body = {"model": "m", "n": 2, "messages": [{"role": "user", "content": "Twice."}]}
    with scripts.serve(lambda _: Recording.of([*one, *two], headers=_SENT)) as server:
        url = f"{server.url}/v1/chat/completions"
        with connect(url, json=body) as stream:
            kept = next(stream.checkpoint() for event in stream if isinstance(event, Finish))
        with connect(url, json=body, retry=Retry(again=True), job=Job("j", checkpoint=kept)) as rest:
            rest.final()

            assert ["One.", "Two."] == [each.text for each in rest.messages]


@pytest.mark.parametrize("by", ["stop", "guard", "close"])
def test_what_was_stopped_stays_so_and_what_was_closed_goes_on(by: str) -> None:
    """Leaving the block may be an exception, or the end of the process: nobody has decided anything."""

    def read(stream: Stream) -> Stream:
        if by == "guard":
            stream.guard(
                lambda message: "enough" if "sand" in message.text else None, first_tokens=1, every=1
            )
        with stream:
            for _ in stream.text:
                if by != "guard" and "sand" in stream.message.text:
                    if by == "stop":
                        stream.stop("enough")
                    break
        return stream

    kept = list[Checkpoint]()
    first = read(resilient(lambda _: CHAT, Retry(wait=0), job=Job("j", keep=kept.append)))
    if by == "close":
        assert TEXT == resume(kept[-1], goes_on).final().text
        return
    with read(resume(kept[-1], lambda _: pytest.fail("asked"))) as again:
        assert (first.message.text, "stopped") == (again.message.text, again.message.ending)


@pytest.mark.parametrize("fails", [True, False])
def test_an_answer_that_was_refused_is_asked_for_again(fails: bool) -> None:
    kept = list[Checkpoint]()
    refusing = Retry(wait=0, attempts=2, accept=lambda _: False)
    with pytest.raises(errors.AnswerRejected) as caught:
        resilient(lambda _: CHAT, refusing, job=Job("j", keep=kept.append)).final()
    with resume(kept[-1] if fails else caught.value.checkpoint, lambda _: CHAT) as stream:
        assert TEXT == stream.final().text
    assert ["start"] == [each.mode for each in stream.attempts]


@pytest.mark.parametrize("status", [503, 401])
def test_a_process_whose_requests_all_fail_leaves_the_answer_as_it_was(status: int) -> None:
    def answer(request: Request) -> Recording:
        known = str(request.json["messages"][1:]).partition("The tide")[2]
        if faults:
            return Recording.of([b"{}"], status=faults[0], headers={"content-type": "application/json"})
        length = len("The tide") + len(known.partition("'")[0])
        rest = scripts.script().text(TEXT[:length][-20:], TEXT[length:]).finish()
        return Recording.of(rest.chunks("openai-chat") if known else CHAT[:5], headers=_SENT)

    faults, kept = list[int](), list[Checkpoint]()
    body = {"model": "m", "max_tokens": 90, "messages": [{"role": "user", "content": "The sand?"}]}
    with scripts.serve(answer) as server:

        def ask(attempts: int = 3) -> Stream:
            job = Job("j", keep=kept.append, checkpoint=stored(kept[-1]) if kept else None)
            url = f"{server.url}/v1/chat/completions"
            return connect(url, json=body, job=job, retry=Retry(wait=0, attempts=attempts))

        with pytest.raises(errors.StreamTruncated):
            ask(attempts=1).final()
        faults.append(status)
        with pytest.raises(errors.StatusError):
            ask().final()
        faults.clear()

        assert TEXT == ask().final().text


# -- words ------------------------------------------------------------------------------


def test_what_cannot_be_kept_is_refused_with_what_can(tmp_path: Path) -> None:
    keep: Any = 5
    with pytest.raises(errors.MisuseError, match="keep= takes a file or a function, not 5"):
        Job("j", keep=keep)
    with pytest.raises(errors.MisuseError, match="takes a file or a function, not the directory"):
        Stream(CHAT, job=Job("j", keep=tmp_path))
    (tmp_path / "a.json").write_text("[]", encoding="utf-8")
    with pytest.raises(errors.MisuseError, match=r"has no checkpoint.*: name another file, or delete it"):
        Stream(CHAT, job=Job("j", keep=tmp_path / "a.json"))
    old: Any = {"answer_id": "j"}
    functions: list[Any] = [resilient, aresilient, Stream, AsyncStream, connect, aconnect]
    for function in functions:
        with pytest.raises(errors.MisuseError, match="job="):
            function("http://localhost:9", **old)


def test_the_attempt_of_an_earlier_process_has_no_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tokenstream")
    with pytest.raises(errors.StreamTruncated) as caught:
        Stream(CHAT[:5]).final()
    resume(caught.value.checkpoint, goes_on).final()

    assert "process that read this answer has ended" in caplog.messages[0]
    assert "attempt 0" not in caplog.text


# -- a save that is slow, fails or is interrupted -------------------------------------


async def body_of(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


CALLS = scripts.script().text("Paying.").tool_call("pay", {"usd": 1}).finish().chunks("openai-chat")


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

    async def take(stream: AsyncStream) -> bool:
        try:
            if anyio_backend_name == "trio":
                with anyio.move_on_after(0.01):
                    events.append(await anext(stream))
            else:
                async with asyncio.timeout(0.01):
                    events.append(await anext(stream))
        except TimeoutError:
            return True
        except StopAsyncIteration:
            return False
        return True

    stream = AsyncStream(body_of(CALLS), job=Job("j", keep=keep))
    with anyio.fail_after(3):
        if within:
            async with stream:
                while await take(stream):
                    pass
        else:
            while await take(stream):
                pass
            await stream.aclose()

    whole = [*Stream(CALLS)]
    assert [type(each) for each in whole] == [type(each) for each in events]
    assert [3, 3] == saves


@pytest.mark.parametrize("of_signal", [True, False])
def test_an_interrupted_save_loses_no_event(of_signal: bool) -> None:
    """Also the time limit of a worker, whose handler raises an exception wherever the program is."""

    class TimeIsUp(Exception): ...

    def limit(*_: object) -> None:
        raise TimeIsUp

    def keep(_: Checkpoint) -> None:
        if interrupts:
            interrupts.pop()
            if not of_signal:
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)

    interrupts, events = [1], list[Any]()
    before = signal.signal(signal.SIGINT, limit)
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

    def hangs() -> bool:
        saves.append(1)
        return len(saves) > at_end

    def block(_: Checkpoint) -> None:
        if hangs():
            released.wait(10)

    async def wait(_: Checkpoint) -> None:
        if hangs():
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
