"""An answer that a server replays from a position: OpenAI's Responses and Gemini's Interactions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.recovery.attempts import in_each_world, play
from tests.support.either import connect_in, read_whole
from tests.support.loopback import FIN, LAST_CHUNK, Loopback, Script, chunked_head, http_chunk, sized
from tests.support.sampling import sampled
from tokenstream import Retry, connect, resilient, testing
from tokenstream.errors import PositionLost, ProviderError, StreamTruncated
from tokenstream.events import MessageStart, Restarted, Resumed

RESUME = Retry(wait=0)
SCRIPT = (
    testing.script()
    .text("Let me look. ")
    .tool_call("get_weather", {"city": "Oslo"})
    .text("Done.")
    .usage(input_tokens=3, output_tokens=9)
    .finish("tool_calls")
)
FORMATS = ["openai-responses", "gemini-interactions"]


def payload_of(chunk: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(chunk.partition(b"data: ")[2])
    return found


def answer(format: str, script: Any = SCRIPT, *, background: bool = True) -> list[bytes]:
    chunks = [chunk for chunk in script.chunks(format) if b"[DONE]" not in chunk]
    if format == "openai-responses":
        told = b'"background":true' if background else b'"background":false'
        return [chunk.replace(b'"background":false', told) for chunk in chunks]
    numbered = []
    for number, chunk in enumerate(chunks):
        payload = payload_of(chunk) | {"event_id": f"evt_{number}"}
        numbered.append(chunk.partition(b"data: ")[0] + b"data: " + json.dumps(payload).encode() + b"\n\n")
    return numbered


def events_of(given: list[Any]) -> list[Any]:
    return [event for event in given if not isinstance(event, Resumed)]


@pytest.mark.slow
@in_each_world
@pytest.mark.parametrize("format", sampled(FORMATS, one_in=3))
@pytest.mark.parametrize("replay", ["from the position", "from the start", "with an overlap"])
def test_the_events_are_those_of_an_answer_that_never_broke(world: str, format: str, replay: str) -> None:
    whole = answer(format)
    plain = play(world, [whole], RESUME, format=format)
    for cut in range(2, len(whole) - 1):
        start = {"from the position": cut, "from the start": 0, "with an overlap": max(0, cut - 2)}[replay]
        if format == "gemini-interactions" and replay == "with an overlap":
            start = cut - 1
        played = play(world, [whole[:cut], whole[start:]], RESUME, format=format)

        assert events_of(played.given) == plain.given
        assert (played.message, played.error) == (plain.message, None)
        told = [event.dropped for event in played.given if isinstance(event, Resumed)]
        assert told in ([cut - start], [])
        assert told or not played.asked[1].message.text


@in_each_world
@pytest.mark.parametrize("format", FORMATS)
def test_open_is_told_the_position(world: str, format: str) -> None:
    """A number, or the id of an event, and the id of the answer."""
    whole = answer(format)
    played = play(world, [whole[:6], whole[6:]], RESUME, format=format)
    second = played.asked[1]
    expected = (5, None) if format == "openai-responses" else (None, "evt_5")

    assert (second.mode, second.sequence, second.last_event_id) == ("resume", *expected)
    assert second.message.id == played.message.id
    assert isinstance(second.error, StreamTruncated)


@in_each_world
@pytest.mark.parametrize("format", FORMATS)
def test_another_answer_is_refused(world: str, format: str) -> None:
    whole = answer(format)
    name = payload_of(whole[0])
    id = (name.get("response") or name.get("interaction") or {})["id"]
    other = [chunk.replace(id.encode(), b"another_one") for chunk in whole]
    played = play(world, [whole[:8], other], RESUME, format=format)

    assert isinstance(played.error, PositionLost)
    assert played.error.partial.text == "Let me look. "
    assert not any(isinstance(event, Restarted | MessageStart) for event in played.given[1:])


@in_each_world
def test_another_format_in_the_middle_of_an_answer_is_refused(world: str) -> None:
    whole, other = answer("openai-responses"), SCRIPT.chunks("anthropic")
    played = play(world, [whole[:8], other], RESUME, format="openai-responses")

    assert played.error is not None
    assert played.error.partial.text == "Let me look. "
    assert not played.message.complete


@in_each_world
def test_what_the_provider_itself_has_ended_is_not_resumed(world: str) -> None:
    """`response.failed` is the end of the answer."""
    failed = testing.script().text("Hello").error("server").chunks("openai-responses")
    played = play(world, [failed, failed], RESUME, format="openai-responses")

    assert isinstance(played.error, ProviderError)
    assert len(played.asked) == 1


@in_each_world
@pytest.mark.parametrize("view", ["events", "text"])
def test_a_restart_that_breaks_off_before_its_content_is_resumed_as_a_restart(world: str, view: str) -> None:
    """The reasoning of the answer that was given up does not stay in front of that of the new answer."""
    thought = testing.script().reasoning("Hm.")
    failed = answer("openai-responses", thought.error("server"), background=True)
    whole = answer("openai-responses", thought.text("Yes.").finish(), background=True)
    whole = [chunk.replace(b'"resp_1"', b'"resp_2"') for chunk in whole]
    read = iter if view == "events" else (lambda stream: stream.text)
    played = play(world, [failed, whole[:2], whole[2:]], Retry(wait=0), read)

    assert [report.mode for report in played.reports] == ["start", "restart", "resume"]
    assert (played.message.id, played.message.reasoning, played.message.text) == ("resp_2", "Hm.", "Yes.")
    told = [type(event) for event in played.given]
    assert (told.count(Restarted), told.count(Resumed)) == ((1, 0) if view == "events" else (0, 0))


def test_what_cannot_be_asked_is_raised_where_the_answer_breaks() -> None:
    """`auto` asks such an `open` from zero alone."""
    whole = answer("openai-responses")
    with resilient(lambda: whole[:8], Retry(wait=0)) as stream, pytest.raises(StreamTruncated):
        list(stream)


def halves(whole: list[bytes], rest: Script | None = None) -> list[Script]:
    """Return what a server sends that breaks off after eight events, and goes on with the rest."""
    sent = [chunked_head(), *map(http_chunk, whole[8:]), LAST_CHUNK]
    return [[chunked_head(), *map(http_chunk, whole[:8]), FIN], sent if rest is None else rest]


REQUESTS = {
    "openai-responses": "/v1/responses/{id}?stream=true&starting_after=7",
    "gemini-interactions": "/v1/responses/{id}?stream=true&last_event_id=evt_7",
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_connect_asks_for_the_rest_itself(format: str, colour: str) -> None:
    with Loopback(*halves(answer(format))) as server:
        url = server.url + "/v1/responses"
        asked: dict[str, Any] = {"json": {"stream": True}, "headers": {"x-key": "k"}}
        connects = connect_in(colour)
        message = read_whole(colour, lambda: connects(url, retry=Retry(wait=0), **asked)).message
    first, second = server.requests

    assert message.text == "Let me look. Done."
    assert (first.method, second.method) == ("POST", "GET")
    assert second.path == REQUESTS[format].format(id=message.id)
    assert (second.headers["x-key"], second.body) == ("k", b"")


def test_a_position_that_is_too_old_is_an_error_of_its_own() -> None:
    """OpenAI answers so five minutes after the response was created."""
    words = b'{"error": {"message": "This response can no longer be streamed because it is too old"}}'
    too_old = sized(words, status=400, content_type="application/json")
    with (
        Loopback(*halves(answer("openai-responses"), too_old)) as server,
        connect(server.url, json={}, retry=Retry(wait=0)) as stream,
        pytest.raises(PositionLost, match="no longer be streamed") as caught,
    ):
        list(stream.text)

    assert caught.value.partial.text == "Let me look. "
    assert caught.value.checkpoint.position == 7


@pytest.mark.parametrize(("background", "mode"), [(True, "resume"), (False, None)])
def test_by_itself_only_an_answer_that_outlives_its_connection_is_resumed(
    background: bool, mode: str | None
) -> None:
    """OpenAI cancels a response in the foreground with its connection."""
    whole = answer("openai-responses", background=background)
    played = play("sync", [whole[:8], whole[8:]], Retry(wait=0), format="openai-responses")

    assert [report.mode for report in played.reports] == ["start", *([mode] if mode else [])]
    assert (played.error is None) is background


@pytest.mark.parametrize(
    ("url", "params", "expected"),
    [
        ("/v1/responses?api-version=1", None, "api-version=1&"),
        ("/v1/responses/?api-version=1", {"key": "k"}, "key=k&"),
        ("/v1/responses", "a=1&a=2", "a=1&a=2&"),
        ("/v1/responses", [("a", "1"), ("stream", "true")], "a=1&"),
    ],
)
def test_the_rest_is_asked_for_with_the_parameters_of_the_answer(
    url: str, params: Any, expected: str
) -> None:
    options = {} if params is None else {"params": params}
    with (
        Loopback(*halves(answer("openai-responses"))) as server,
        connect(server.url + url, retry=Retry(wait=0), json={}, **options) as stream,
    ):
        message = stream.final()

    assert server.requests[1].path == f"/v1/responses/{message.id}?{expected}stream=true&starting_after=7"
