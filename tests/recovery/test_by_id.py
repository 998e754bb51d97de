"""A message belongs to an answer by its id, and never by its order: in replays, sessions and rounds."""

from __future__ import annotations

import json
import random
import re
from typing import Any, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recovery.attempts import in_each_world, play
from tests.recovery.continuing import text_in
from tests.recovery.test_resume import answer
from tests.session.servers import PATHS, Line, Payload, Server, serving
from tests.session.talks import COLOURS, Talk, talking
from tests.support.effort import in_steps
from tests.support.either import client_in, connect_in, read_all
from tests.support.interactions import payloads_of, whole_of
from tests.support.responses import Body
from tests.support.wire import DONE, chat_call, chat_payload, sse
from tokenstream import Message, Retry, Router, testing
from tokenstream.errors import PositionLost, StreamError
from tokenstream.events import Resumed, ToolCallDone

RESUME = Retry(wait=0)
RESTART = Retry(attempts=3, wait=0, again=True)
SAID = ["The ferry ", "leaves ", "at noon. "]
SCRIPT = (
    testing.script()
    .text("".join(SAID))
    .tool_call("book", {"seat": "window"})
    .tool_call("tell", {"who": "Ines"})
    .finish("tool_calls")
)


def _give_ids(ids: list[str]) -> list[bytes]:
    """Return the answer as chat, whose events have their ids in SSE alone."""
    first = chat_call(0, "", id="c1", name="book")
    payloads = [
        *(chat_payload({"content": piece}) for piece in SAID),
        chat_payload(first),
        chat_payload(chat_call(0, '{"seat": "window"}')),
        chat_payload(chat_call(1, '{"who": "Ines"}', id="c2", name="tell")),
        chat_payload({}, "tool_calls"),
    ]
    sent = [b"data: " + json.dumps(payload).encode() + b"\n\n" for payload in payloads]
    return [b"id: " + id.encode() + b"\n" + event for id, event in zip(ids, [*sent, DONE], strict=True)]


STREAMS = {
    "openai-responses": answer("openai-responses", SCRIPT),
    "gemini-interactions": answer("gemini-interactions", SCRIPT),
    "chat by number": _give_ids([str(number) for number in range(8)]),
    "chat by words": _give_ids(["oak", "ash", "elm", "fir", "bay", "box", "yew", "may"]),
}
NUMBERED = ["openai-responses", "chat by number"]
"""The streams with numbers in order, in which a missing event is seen."""


def _read(
    world: str, bodies: list[list[bytes]], retry: Retry = RESUME, **options: Any
) -> tuple[str, list[tuple[str, dict[str, Any]]], Any]:
    """Return the text and the calls that a loop was given, and the error."""
    played = play(world, bodies, retry, **options)
    return *_told_in(played.given), played.error


def _told_in(events: list[Any]) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """Return the text and the calls that some events have."""
    calls = [event.call for event in events if isinstance(event, ToolCallDone)]
    return text_in(events), [(call.name, dict(call.arguments)) for call in calls]


WHOLE = ("".join(SAID), [("book", {"seat": "window"}), ("tell", {"who": "Ines"})])


def _as_reads(events: list[bytes], size: int) -> list[bytes]:
    return [b"".join(events[start : start + size]) for start in range(0, len(events), size)]


@pytest.mark.slow
@pytest.mark.parametrize("stream", [*STREAMS])
@pytest.mark.parametrize("per_read", [1, 99])
@pytest.mark.parametrize("is_named", [True, False])
def test_a_replay_is_checked_however_the_answer_was_read(stream: str, per_read: int, is_named: bool) -> None:
    events = STREAMS[stream]
    format = "openai-chat" if stream.startswith("chat") else stream
    options: dict[str, Any] = {"format": format} if is_named else {}
    for cut in range(1, len(events) - 1):
        for start in sorted({0, cut // 2, cut - 1, cut}):
            world = {1: "asyncio", 2: "trio"}.get((cut + start) % 9, "sync")
            bodies = [_as_reads(events[:cut], per_read), events[start:]]
            text, calls, error = _read(world, bodies, **options)

            assert (*WHOLE, None) == (text, calls, error), (cut, start)


@pytest.mark.slow
@pytest.mark.parametrize("stream", NUMBERED)
@given(data=st.data())
def test_a_replay_never_splices(stream: str, data: st.DataObject) -> None:
    """Overlaps inside it are dropped; a missing event is an error, and what was shown is a beginning."""
    events = STREAMS[stream]
    # Of a single number, nobody knows if the next one follows it without a gap.
    cut = data.draw(st.integers(2, len(events) - 2))
    seam = data.draw(st.integers(cut, len(events) - 1))
    onward = data.draw(st.integers(0, len(events) - 1))
    replay = [*events[cut:seam], *events[onward:]]
    bodies = [_as_reads(events[:cut], data.draw(st.sampled_from([1, 3, 99]))), replay]
    text, calls, error = _read("sync", bodies, Retry(wait=0, attempts=2))

    if onward <= seam:
        assert (*WHOLE, None) == (text, calls, error)
    else:
        assert isinstance(error, PositionLost)
        assert WHOLE[0].startswith(text)
        assert WHOLE[1][: len(calls)] == calls


@in_each_world
@pytest.mark.parametrize("ids", ["1234", "pqrs"])
@pytest.mark.parametrize("start", [0, 1])
def test_events_that_reveal_no_format_are_resumed_too(world: str, ids: str, start: int) -> None:
    """The connection that goes on with them finds the format, and knows what it repeats."""
    said = [chat_payload({"content": "Fog "}), chat_payload({"content": "lifts."}), chat_payload({}, "stop")]
    events = [
        f"id: {id}\ndata: {json.dumps(payload)}\n\n".encode()
        for id, payload in zip(ids, [{}, *said], strict=True)
    ]
    bodies: list[list[Any]] = [[events[0], ConnectionError("reset")], [*events[start:], DONE]]
    played = play(world, bodies, RESUME)

    assert ("Fog lifts.", "complete", None) == (played.message.text, played.message.ending, played.error)
    assert [None, ids[0]] == [asked.last_event_id for asked in played.asked]


@pytest.mark.parametrize("start", [0, 1, 2])
def test_large_events_without_a_format_wait_for_it(start: int) -> None:
    events = STREAMS["gemini-interactions"]
    unknown = [sse({"padding": "x" * 500_000})] * 3

    text, calls, error = _read("sync", [[b"".join([*unknown, *events[:6]])], events[3 + start :]])

    assert (*WHOLE, None) == (text, calls, error)


# -- sessions ------------------------------------------------------------------

_ID = re.compile(r'"((?:resp|msg|item|fc|call|event)_\d+)"')


def _said(api: str, number: int) -> str:
    return f"Answer {number} of {api}, which is told in some pieces."


def _messages(api: str, number: int, script: Any = None) -> list[Payload]:
    """Return the messages of an answer, whose ids no other answer has."""
    script = testing.script().text(_said(api, number)).finish() if script is None else script
    found: list[Payload] = []
    for chunk in script.chunks(api):
        text = _ID.sub(rf'"\1_of_{number}"', chunk.decode().rpartition("data: ")[2])
        payload = json.loads(text)
        if payload.get("type") != "session.created" and "setupComplete" not in payload:
            found.append(payload)
    return found


BEGINNINGS = ("response.created", "response.output_item.added")


class LateServer(Server):
    """A server whose answers are mixed with messages of answers that have ended.

    Args:
        api: The format, which `PATHS` has.
        seed: Decides which messages come late, and where.
    """

    def __init__(self, api: str, seed: int) -> None:
        super().__init__()
        self.api, self.path = api, PATHS[api]
        self.ignores_cancel = True
        self.asked = 0
        self._random = random.Random(seed)
        self._over: list[Payload] = []

    def begin(self, line: Line) -> None:
        # Nothing comes late over another connection.
        self._over.clear()
        if self.api == "openai-realtime":
            self.send(line, {"type": "session.created", "session": {"type": "realtime"}})

    def take(self, line: Line, payload: Payload) -> None:
        kind = self.kind_of(payload)
        if kind == "setup":
            self.send(line, {"setupComplete": {}})
        if kind not in ("response.create", "clientContent"):
            return
        self.asked += 1
        messages = _messages(self.api, self.asked)
        for message in self._with_late(messages):
            self.send(line, message)
        self._over += self._make_late(messages)

    def _make_late(self, messages: list[Payload]) -> list[Payload]:
        """Return what may come again of an answer, or of a request to stop it that has crossed its end."""
        ended = messages[-1]
        if self.api == "gemini-live":
            return []
        kind = "response.cancelled" if self.api == "openai-responses" else "response.done"
        response = {**ended["response"], "status": "cancelled", "output": []}
        failed = {"type": "error", "response_id": response["id"], "error": {"message": "too late"}}
        # What begins a response or an item begins one, also if a server gives the same ids to each answer.
        again = [each for each in messages if each["type"] not in BEGINNINGS]
        return [*again, {"type": kind, "response": response}] + [failed] * (self.api == "openai-responses")

    def _with_late(self, messages: list[Payload]) -> list[Payload]:
        mixed = list(messages)
        for _ in range(min(4, len(self._over))):
            mixed.insert(self._random.randrange(len(mixed) + 1), self._random.choice(self._over))
        return mixed


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("api", [*PATHS])
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))])
def test_a_late_message_never_reaches_the_next_answer(colour: str, api: str, seed: int) -> None:
    server, choose = LateServer(api, seed), random.Random(seed)
    with serving(server) as url, talking(colour, url, model="m") as talk:
        for number in range(1, 15):
            stop_after = choose.choice([None, None, 1, 2])
            answered = talk.ask(f"Question {number}", stop_after=stop_after)

            said = _said(api, number)
            assert answered.error is None
            assert answered.text == said if stop_after is None else said.startswith(answered.text)
        assert server.asked == 14
        # An error of Responses that may be late is followed by another connection.
        assert api == "openai-responses" or talk.session.rotations == 0


class SameIds(LateServer):
    """A small gateway, or a test's own server: each answer has the ids of the one before."""

    def _with_late(self, messages: list[Payload]) -> list[Payload]:
        text = json.dumps(messages)
        if self.api == "openai-responses" and self.asked % 2 == 0:
            # The items have the same ids, in a response of its own.
            text = text.replace(f"resp_1_of_{self.asked}", f"answer_{self.asked}")
        return cast("list[Payload]", json.loads(re.sub(r"_of_\d+", "", text)))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("api", [*PATHS])
def test_a_server_that_gives_each_answer_the_same_ids_is_read(colour: str, api: str) -> None:
    with serving(SameIds(api, 1)) as url, talking(colour, url, model="m") as talk:
        for number in range(1, 5):
            answered = talk.ask(f"Question {number}")

            assert (_said(api, number), None) == (answered.text, answered.error)
            assert len(answered.pieces) > 3


LATE_CALLS: list[Payload] = [
    {"toolCallCancellation": {"ids": ["a"]}},
    {"toolCall": {"functionCalls": [{"id": "a", "name": "look", "args": {}}]}},
    {"serverContent": {"turnComplete": True}},
]


@pytest.mark.parametrize("late", LATE_CALLS, ids=["cancelled", "called again", "ended"])
def test_calls_of_live_belong_to_their_turn(late: Payload) -> None:
    """What is told of a call, or of its end, after a question in place of the results is of no later turn."""

    class Calling(LateServer):
        def take(self, line: Line, payload: Payload) -> None:
            if "clientContent" in payload and not self.asked:
                self.asked += 1
                self.send(line, LATE_CALLS[1])
                return
            if "clientContent" in payload:
                self.send(line, late)
            super().take(line, payload)

    with serving(Calling("gemini-live", 0)) as url, talking("sync", url, model="m") as talk:
        called = talk.ask("Call")
        answered = talk.ask("Question 2")

        assert ["look"] == [call.name for call in called.message.tool_calls]
        assert (_said("gemini-live", 2), None) == (answered.text, answered.error)
        assert not answered.message.tool_calls
        assert not answered.message.provider_data


# -- rounds --------------------------------------------------------------------


class RoundsServer(Server):
    """A server that says something and calls a tool, and answers with its result."""

    def __init__(self, api: str) -> None:
        super().__init__()
        self.api, self.path = api, PATHS[api]
        self.asked = 0
        self._have_results: set[int] = set()

    def begin(self, line: Line) -> None:
        if self.api == "openai-realtime":
            self.send(line, {"type": "session.created", "session": {"type": "realtime"}})

    def take(self, line: Line, payload: Payload) -> None:
        if "setup" in payload:
            self.send(line, {"setupComplete": {}})
        if any(word in json.dumps(payload) for word in ("function_call_output", "functionResponse")):
            self._have_results.add(line.number)
        if payload.get("type") != "response.create" and not {"clientContent", "toolResponse"} & {*payload}:
            return
        self.asked += 1
        script = testing.script().text("A look first. ").tool_call("look", {"at": "clock"})
        if line.number in self._have_results:
            script = testing.script().text("It is half past nine, and raining.")
        for message in _messages(
            self.api, self.asked, script.usage(input_tokens=20, output_tokens=5).finish()
        ):
            self.send(line, message)
            if "toolCall" in message:
                # The turn ends only after the results.
                break


def _ask_with_tool(talk: Talk, how: str) -> tuple[str, Message, list[str], Any]:
    """Ask, and read the answer; return its text as it was given, the message, the runs and the error."""
    router, runs = Router(), []

    @router.tool
    def look(at: str) -> str:
        runs.append(at)
        return "21:30"

    if how == "text":
        answered = talk.ask("How late is it?", router=router)
        return answered.text, answered.message, runs, answered.error
    answer = talk.session.ask("How late is it?", router=router)
    error, calls = None, 0
    with answer:
        try:
            if how == "calls":
                calls = len(list(answer.tool_calls))
                assert 1 == calls
            answer.final()
        except StreamError as failure:
            error = failure
    return answer.message.text, answer.message, runs, error


@pytest.mark.slow
@pytest.mark.parametrize("api", [*PATHS])
@pytest.mark.parametrize(
    ("colour", "how"),
    [("sync", "final"), ("sync", "calls"), ("sync", "text"), ("asyncio", "text"), ("trio", "text")],
)
def test_a_restart_begins_at_the_round(api: str, colour: str, how: str) -> None:
    server = RoundsServer(api)
    with serving(server) as url, talking(colour, url, model="m", retry=RESTART) as talk:
        said, whole, runs, error = _ask_with_tool(talk, how)
    assert ("A look first. It is half past nine, and raining.", ["clock"], None) == (said, runs, error)

    # What an answer is read by does not change what is asked again.
    for cut in range(1, server.sent, 1 if how == "final" else in_steps(3)):
        broken = RoundsServer(api)
        broken.hangups[cut] = None
        with serving(broken) as url, talking(colour, url, model="m", retry=RESTART) as talk:
            given, message, runs, error = _ask_with_tool(talk, how)

        assert (said, ["clock"], None) == (given, runs, error), cut
        assert (whole.text, "complete") == (message.text, message.ending)
        assert ["look"] == [call.name for call in message.tool_calls]


@pytest.mark.parametrize("api", ["openai-responses", "openai-realtime"])
def test_a_round_that_is_repeated_costs_nothing_again(api: str) -> None:
    """An answer whose second round breaks twice has the tokens of two rounds."""
    server = RoundsServer(api)
    server.hangups = {24: None, 28: None}
    with serving(server) as url, talking("sync", url, model="m", retry=RESTART) as talk:
        _, message, runs, error = _ask_with_tool(talk, "final")

    assert (["clock"], None, 4) == (runs, error, server.asked)
    assert message.usage is not None
    assert (40, 10) == (message.usage.input_tokens, message.usage.output_tokens)


# -- gaps ----------------------------------------------------------------------


class Interactions:
    """Google's server: it streams an interaction, and goes on with it after an event.

    Args:
        cut: The number of events before the connection breaks.
        gap: The number of events that the server leaves out where it goes on.
        size: The most bytes of a read; None for an event per read.
    """

    URL = "https://generativelanguage.googleapis.com/v1beta/interactions"
    EVENTS = STREAMS["gemini-interactions"]

    def __init__(self, cut: int, gap: int, size: int | None = None) -> None:
        self._cut, self._gap, self._size = cut, gap, size
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        after = request.url.params.get("last_event_id")
        self.asked.append(request.method if after is None else "resume")
        start = 0 if after is None else self._cut + self._gap
        events = self.EVENTS[start : self._cut if after is None else None]
        body = b"".join(events)
        size = self._size
        pieces = events if size is None else [body[at : at + size] for at in range(0, len(body), size)]
        stream = Body(pieces)
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=stream)

    def read(self, world: str) -> tuple[str, list[Any], Any, Any]:
        """Return the text and the calls that a loop was given, the error and the stream."""
        asked = {"json": {"input": "?", "stream": True}, "retry": Retry(wait=0, attempts=2)}
        given, stream, error = read_all(
            world, lambda: connect_in(world)(self.URL, client=client_in(world, self), **asked)
        )
        assert sum(isinstance(event, Resumed) for event in given) <= 1
        return *_told_in(given), error, stream


LAST = len(Interactions.EVENTS) - 1
SIZES = [None, 7, 10**6]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cut", range(1, LAST + 1))
def test_the_position_that_was_asked_for_is_trusted(cut: int, size: int | None) -> None:
    """An interaction is resumed with one request, and is whole wherever it broke off."""
    server = Interactions(cut, 0, size)
    text, calls, error, stream = server.read({1: "asyncio", 2: "trio"}.get(cut % 9, "sync"))

    assert (*WHOLE, None, "complete") == (text, calls, error, stream.message.ending)
    assert ["POST", "resume"] == server.asked


@pytest.mark.parametrize("gap", range(1, LAST - 2))
def test_what_the_last_event_repeats_is_compared(gap: int) -> None:
    server = Interactions(2, gap)
    ended = payloads_of(server.EVENTS)[-1]
    whole = {**ended, "interaction": whole_of(server.EVENTS)}
    server.EVENTS = [*server.EVENTS[:-1], sse(whole)]
    text, calls, error, stream = server.read("sync")

    assert ["POST", "resume"] == server.asked
    if error is None:
        assert (WHOLE[0].strip(), WHOLE[1], "complete") == (text.strip(), calls, stream.message.ending)
    else:
        assert not stream.message.complete
