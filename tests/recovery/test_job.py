"""An answer that belongs to a job, over processes that are killed."""

from __future__ import annotations

import logging
import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.recovery.attempts import in_each_world
from tests.stream.bodies import later
from tests.support.either import Each, client_in, inside, run_in, stream_in
from tests.support.responses import streamed
from tokenstream import Checkpoint, Job, MisuseError, Retry, Stream, StreamError, connect, relay, testing
from tokenstream.call_store import MemoryCallStore
from tokenstream.events import ToolCallDone
from tokenstream.testing import Recording, Request

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
TEXT = "The tide takes the sand away by night, and brings it back in the morning, grain by grain."
_PIECES = [TEXT[at : at + 11] for at in range(0, len(TEXT), 11)]
_PATHS = {
    "openai-chat": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
    "openai-responses": "/v1/responses",
}
SSE, _JSON = {"content-type": "text/event-stream"}, {"content-type": "application/json"}
_OLD = b'{"error":{"message":"This response can no longer be streamed","type":"invalid_request_error"}}'


class Told(NamedTuple):
    """What the last process has got: the text, the ending or the error, its requests, and its calls."""

    text: str
    end: str
    methods: list[str]
    ran: list[int]


class Provider:
    """Writes one answer, in the background if the format can, and another that goes on with what it is sent.

    Args:
        faults: What happens to the requests after the first: "cut", "old" or a status.
    """

    def __init__(self, format: Any, *faults: Any, call: bool = False) -> None:
        self.format, self.call = format, call
        self.methods, self.faults = list[str](), [None, *faults]
        self.keys = list[tuple[str, bytes]]()
        """The `Idempotency-Key` of each request, and its body."""
        self.whole = self._say(_PIECES)

    def _say(self, pieces: list[str]) -> list[bytes]:
        said = testing.script().text(*pieces)
        said = said.tool_call("pay", {"usd": 100}).finish() if self.call else said.finish()
        chunks = said.chunks(self.format)
        return [each.replace(b'"background":false', b'"background":true') for each in chunks]

    def answer(self, request: Request) -> Recording:
        self.methods.append(request.method)
        self.keys.append((request.headers.get("idempotency-key", ""), request.body))
        fault = self.faults.pop(0) if self.faults else None
        if fault == "old" or isinstance(fault, int):
            return Recording.of([_OLD], status=400 if fault == "old" else fault, headers=_JSON)
        at = re.search(r"starting_after=(\d+)", request.path)
        if request.method == "GET" and at is None:
            whole = self.whole[-1].split(b'"response":', 1)[1].rsplit(b"}", 1)[0]
            return Recording.of([whole], headers=_JSON)
        events = self.whole if at is None else self.whole[int(at[1]) + 1 :]
        if at is None and (known := re.search(r'"(The tide[^"]*)"', str(request.json).replace("'", '"'))):
            events = self._say([known[1][-40:], TEXT[len(known[1]) :]])
        return Recording.of(events[:3] if fault == "cut" else events, headers=SSE)

    @property
    def body(self) -> dict[str, Any]:
        turns = [{"role": "user", "content": "And the sand?"}]
        if self.format == "gemini":
            return {"contents": [{"role": "user", "parts": [{"text": "And the sand?"}]}]}
        if self.format == "openai-responses":
            return {"model": "m", "input": turns, "stream": True, "background": True, "store": True}
        return {"model": "m", "messages": turns, "max_tokens": 900, "stream": True}


def die_after(stream: Any, file: Path, count: int) -> bool:
    """Read in a process that is killed after so many events that it keeps; False if it ends before."""
    child = os.fork()
    if child == 0:
        try:
            with stream:
                for number, _ in enumerate(stream, 1):
                    file.write_text(stream.checkpoint().model_dump_json(), encoding="utf-8")
                    if number == count:
                        os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def over_deaths(provider: Provider, deaths: Sequence[int], file: Path, **options: Any) -> Told | None:
    """Read an answer in processes that die after so many events; None if one of them does not."""
    ran = list[int]()

    def pay(usd: int) -> str:
        ran.append(usd)
        return "paid"

    file.unlink(missing_ok=True)
    with testing.serve(provider.answer) as server:

        def ask() -> Stream:
            kept = Checkpoint.model_validate_json(file.read_bytes()) if file.exists() else None
            job, retry = Job("the tide", checkpoint=kept), Retry(wait=0, **options)
            url, keyed = server.url + _PATHS[provider.format], {"Idempotency-Key": "k"}
            return connect(url, json=provider.body, headers=keyed, job=job, retry=retry)

        for death in deaths:
            if not die_after(ask(), file, death):
                return None
        before = len(provider.methods)
        try:
            with ask() as stream:
                calls = list(stream.validated_calls(pay, once=MemoryCallStore())) if provider.call else []
                for call in calls:
                    call.run()
                message = stream.final()
        except StreamError as error:
            return Told(error.partial.text, type(error).__name__, provider.methods[before:], ran)
    return Told(message.text, message.ending, provider.methods[before:], ran)


_EACH = [
    pytest.param([3], id="few"),
    pytest.param([1, 2, 4, 5, 6, 7, 8, 9, 10], marks=pytest.mark.slow, id="all"),
]
_CASES = [
    *[(format, ()) for format in ("openai-chat", "anthropic", "gemini")],
    *[("openai-responses", faults) for faults in ((), ("cut",), (503,), ("old",))],
]


@pytest.mark.parametrize("deaths", _EACH)
@pytest.mark.parametrize("dies_again", [False, True])
@pytest.mark.parametrize("call", [False, True])
@pytest.mark.parametrize(("format", "faults"), _CASES)
def test_another_process_has_the_answer_continued(
    format: str, faults: tuple[Any, ...], call: bool, deaths: list[int], dies_again: bool, tmp_path: Path
) -> None:
    """What a provider replays is only fetched; else, a short text or a call is asked for again."""
    replays = format == "openai-responses"
    for death in deaths:
        places = [death, 1 if replays else 2][: 1 + dies_again]
        provider = Provider(format, *faults, call=call)
        told = over_deaths(provider, places, tmp_path / "kept", **({} if replays else {"again": True}))
        if told is None:
            assert not replays
            continue
        assert Told(TEXT, "complete", [], [100] * call) == told._replace(methods=[])
        assert {"GET"} >= {*told.methods} if replays else told.methods in ([], ["POST"])


def test_each_process_has_a_key_of_its_own_unless_it_asks_for_the_same(tmp_path: Path) -> None:
    """A server that knows a key would give the answer of the process before."""
    for deaths in ([5], [5, 2], [5, 1, 4]):
        provider = Provider("openai-chat")
        assert over_deaths(provider, deaths, tmp_path / "kept") is not None
        asked = {*provider.keys}
        assert len({key for key, _ in asked}) == len({body for _, body in asked}) == len(asked) > 1


def test_a_finished_answer_asks_nothing(tmp_path: Path) -> None:
    """A file keeps it, for as many processes as there are; those before have left an answer that is begun."""
    provider, file = Provider("openai-chat"), tmp_path / "kept.json"
    with testing.serve(provider.answer) as server:
        for _ in range(3):
            job = Job("the tide", keep=file)
            with connect(server.url + _PATHS["openai-chat"], json=provider.body, job=job) as stream:
                assert [TEXT] == ["".join(stream.text)]
                assert "complete" == stream.message.ending
    assert ["POST"] == provider.methods
    assert [file] == [*tmp_path.iterdir()]
    with pytest.raises(MisuseError, match="belongs to the job 'the tide', and not to 'the ebb'"):
        connect("http://localhost:9/", json={}, job=Job("the ebb", keep=file))


@in_each_world
@pytest.mark.parametrize("fails", [False, True])
def test_a_function_keeps_what_is_there_before_a_call(
    fails: bool, world: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer that cannot be kept goes on, and one warning tells why."""
    kept = list[Checkpoint]()

    def keep(checkpoint: Checkpoint) -> None:
        kept.append(checkpoint)
        if fails:
            raise OSError(28, "No space left on device")

    async def keep_later(checkpoint: Checkpoint) -> None:
        keep(checkpoint)

    async def read() -> None:
        script = testing.script().text("Paying.").tool_call("pay", {"usd": 1}).finish()
        kinds: list[Any] = [keep] if world == "sync" else [keep, keep_later]
        for function in kinds:
            kept.clear()
            source = script.chunks("anthropic") if world == "sync" else later(script.chunks("anthropic"))
            async with inside(stream_in(world)(source, job=Job("j", keep=function))) as stream:
                async for event in Each(stream):
                    if isinstance(event, ToolCallDone):
                        assert [event.call] == [*kept[-1].message.tool_calls]
            assert [0, 1, 1] == [len(each.message.tool_calls) for each in kept]
            assert "complete" == kept[-1].message.ending

    run_in(world, read)
    warnings = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warnings) == fails * (1 if world == "sync" else 2)
    assert all("No space left on device" in each for each in warnings)


def test_no_two_jobs_have_one_key() -> None:
    """The number of a later request of one job is not the end of another job's id."""
    keys, script = list[str](), testing.script().text("The tide")
    said = b"".join([*relay.encode(script.stream("anthropic"), "tokenstream")][:-1])

    def answer(request: Any) -> Any:
        keys.append(request.headers["idempotency-key"])
        return streamed([said])

    options: Any = {"client": client_in("sync", answer), "format": "tokenstream"}
    for job in ("task-1", "task-1-2", "task-1+2", "task%2D1"):
        with suppress(StreamError):
            connect("http://here", json={}, job=job, retry=Retry(wait=0, again=True), **options).final()

    assert 12 == len(set(keys))
