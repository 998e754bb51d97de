"""Sessions of OpenAI's Live API, and realtime translations."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.formats.openai_realtime.payloads import event
from tests.formats.told import Told, adds_up, reads_alike_at_a_glance, tell
from tests.recovery.odd_frames import with_odd_frames
from tests.support.effort import trials
from tests.support.formats import OpenAILive
from tests.support.packages import needed
from tests.support.recordings import events_of, frames_of, ours
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import ProtocolError, ProviderError
from tokenstream.stages import Reorder

RECORDED = {each.name: each.body for each in ours() if each.format == "openai-live"}


def said(text: str) -> dict[str, Any]:
    return event("session.output_transcript.delta", delta=text, start_ms=0, end_ms=9)


def nested(kind: str, delegation: str = "d", **fields: Any) -> dict[str, Any]:
    return event("response.event", delegation_id=delegation, event={"type": kind, **fields})


def worked(text: str, delegation: str = "d") -> dict[str, Any]:
    return nested("response.output_text.delta", delegation, delta=text)


def closed(reason: str | None = "close_requested", **fields: Any) -> dict[str, Any]:
    return event("session.closed", reason=reason, **fields)


STARTED = event("session.started", session={"id": "live_1", "model": "gpt-live-1"})


def read(*frames: Any) -> Told:
    return tell(OpenAILive(), *frames)


_FEW = 20


@pytest.mark.parametrize("name", RECORDED)
@in_one_test(
    "seed",
    range(_FEW + trials(200, one_in=5)),
    by=lambda seed: "some" if seed < _FEW else "many",
    slow={"many"},
)
def test_what_is_unknown_changes_nothing(name: str, seed: int) -> None:
    frames = [frame + b"\n\n" for frame in RECORDED[name].split(b"\n\n") if frame]
    odd = with_odd_frames(frames, "openai-live", random.Random(seed))
    told = []
    for chunks in (frames, odd):
        with Stream(chunks, format="openai-live") as stream:
            for _ in stream:
                pass
            parts = [part.model_dump(exclude={"provider_data"}) for part in stream.message.parts]
            told.append((parts, stream.message.ending, stream.message.finish_reason, stream.message.results))

    assert told[0] == told[1]


def test_the_audio_is_a_part_beside_the_text() -> None:
    """A session states its format; in a translation, each piece does."""
    of_session = Stream([RECORDED["openai-live/delegation"]]).final()
    of_translation = Stream([RECORDED["openai-live/translation"]]).final()

    for message in (of_session, of_translation):
        [audio] = [part for part in message.parts if part.kind == "media"]
        assert ("audio/pcm", 24_000) == (audio.mime_type, (audio.provider_data or {})["format"]["rate"])
        assert bytes(range(len(audio.data))) == audio.data


def test_delegated_work_is_a_result_and_not_in_the_text() -> None:
    ended = nested("response.completed", response={"status": "completed"})
    work = [worked("12"), worked(":00"), ended, worked("Bye"), ended]
    told = read(STARTED, said("Hm. "), *work, said("Noon."), closed())

    assert "Hm. Noon." == told.message.text
    results = [part for part in told.parts if part.kind == "server_tool_result"]
    assert [("d", "responses", "12:00", None), ("d", "responses", "Bye", None)] == [
        (part.id, part.name, part.content, part.error) for part in results
    ]
    assert (set(), None) == (told.rules, told.error)


@in_one_test(
    "end, error",
    [
        (nested("response.failed", response={"error": {"code": "server_error", "message": "no"}}), "no"),
        (nested("response.incomplete", response={"error": None}), "incomplete"),
        (said("Never mind."), "the session was closed before the response ended"),
    ],
)
def test_delegated_work_that_was_not_completed_has_an_error(end: dict[str, Any], error: str) -> None:
    """The session itself goes on."""
    told = read(STARTED, worked("12"), end, closed())

    [result] = [part for part in told.parts if part.kind == "server_tool_result"]
    assert ("12", error) == (result.content, result.error)
    assert told.error is None


def test_other_events_of_delegated_work_are_carried() -> None:
    search = nested("response.output_item.done", item={"type": "web_search_call", "id": "ws_1"})
    told = read(STARTED, nested("response.created", response={"id": "r"}), search, closed())

    assert ["session.started", "response.event", "response.event"] == told.unknown
    assert [] == told.calls


def item(kind: str, id: str = "fc_1", delegation: str = "d", **fields: Any) -> dict[str, Any]:
    call = {"type": "function_call", "id": id, "call_id": f"call_{id}", "name": "get_time", **fields}
    return nested(f"response.output_item.{kind}", delegation, item=call)


def argued(fragment: str, id: str = "fc_1", delegation: str = "d") -> dict[str, Any]:
    return nested("response.function_call_arguments.delta", delegation, item_id=id, delta=fragment)


ENDED = nested("response.completed", response={"status": "completed", "output": []})
DONE = item("done", arguments='{"city": "Oslo"}', status="completed")


@in_one_test(
    "frames",
    [
        [item("added", arguments=""), argued('{"city": '), argued('"Oslo"}'), DONE],
        [item("added", arguments=""), argued('{"city": '), DONE],
        [item("added", arguments=""), DONE],
        [DONE],
    ],
)
def test_the_calls_of_delegated_work_are_handed_out(frames: list[dict[str, Any]]) -> None:
    told = read(STARTED, said("Hm. "), *frames, ENDED, said("Noon."), closed())

    [call] = told.message.tool_calls
    assert ("call_fc_1", "get_time", {"city": "Oslo"}, True) == (
        call.id,
        call.name,
        call.arguments,
        call.complete,
    )
    assert ["call_fc_1"] == [each.id for each in told.calls]
    assert ("Hm. Noon.", "stop", set(), None) == (told.message.text, told.reason, told.rules, told.error)


@in_one_test(
    ("pieces", "end", "city"),
    [
        # The second piece repeats all so far, as the end shows.
        (['{"city": ', '{"city": "Oslo"}'], '{"city": "Oslo"}', "Oslo"),
        # Half a surrogate pair, of which the other half is lost.
        (['{"city": "\ud83d'], '{"city": "\U0001f600"}', "\U0001f600"),
        # The same value with white space behind it.
        (['{"city": ', '"Oslo"}'], '{"city": "Oslo"}\n', "Oslo"),
    ],
)
def test_the_end_of_an_item_tells_what_its_pieces_are(pieces: list[str], end: str, city: str) -> None:
    ended = item("done", arguments=end, status="completed")
    told = read(STARTED, item("added", arguments=""), *map(argued, pieces), ended, ENDED, closed())

    [call] = told.message.tool_calls
    assert ({"city": city}, True, None) == (call.arguments, call.complete, told.error)
    assert json.loads(call.arguments_text) == {"city": city}


def test_items_without_ids_are_told_apart_by_their_calls() -> None:
    """Two calls of one response, the second of which is whole first."""
    starts = [item("added", id="", call_id=call_id, arguments="") for call_id in ("call_1", "call_2")]
    ends = [
        item("done", id="", call_id="call_2", arguments='{"city": "Rome"}'),
        item("done", id="", call_id="call_1", arguments='{"city": "Oslo"}'),
    ]
    told = read(STARTED, *starts, *ends, ENDED, closed())

    assert [("call_1", {"city": "Oslo"}), ("call_2", {"city": "Rome"})] == [
        (each.id, each.arguments) for each in told.message.tool_calls
    ]
    assert (set(), None) == (told.rules, told.error)


def test_custom_tools_are_called_with_free_text() -> None:
    start = item("added", type="custom_tool_call", input="")
    delta = nested("response.custom_tool_call_input.delta", item_id="fc_1", delta="Os")
    end = item("done", type="custom_tool_call", input="Oslo", status="completed")
    more = nested("response.custom_tool_call_input.delta", item_id="fc_1", delta="lo")
    told = read(STARTED, start, delta, more, end, ENDED, closed())

    assert [("custom", "Oslo")] == [(each.type, each.arguments_text) for each in told.calls]
    assert (set(), None) == (told.rules, told.error)


@in_one_test(
    "frames",
    [
        [item("added", arguments=""), argued('{"city": "Oslo"}'), ENDED],
        [item("added", arguments=""), argued('{"city": "Oslo"}')],
        [item("done", arguments='{"city": "Os', status="incomplete"), ENDED],
    ],
)
def test_a_call_that_was_cut_is_never_handed_out(frames: list[dict[str, Any]]) -> None:
    """Only the end of its item says that it is whole."""
    told = read(STARTED, *frames, closed())

    assert ([], [False]) == (told.calls, [each.complete for each in told.message.tool_calls])


def test_calls_of_several_delegations_are_kept_apart() -> None:
    both = [item("added", id, id, arguments="") for id in "ab"]
    pieces = [argued(piece, id, id) for piece in ('{"n"', ": 1}") for id in "ab"]
    ends = [item("done", id, id, arguments='{"n": 1}', status="completed") for id in "ab"]
    told = read(STARTED, *both, *pieces, *ends, closed())

    assert [("call_a", {"n": 1}), ("call_b", {"n": 1})] == [(each.id, each.arguments) for each in told.calls]


@in_one_test(
    "word, reason",
    [
        ("close_requested", "stop"),
        ("remote_hangup", "stop"),
        ("expired", "length"),
        ("content", "content_filter"),
        ("full_moon", "unknown"),
        (None, "stop"),
    ],
)
def test_a_session_is_closed_for_a_reason(word: str | None, reason: str) -> None:
    """The end of a translation has no such word."""
    told = read(STARTED, said("Hi"), closed(word))

    assert (reason, word) == (told.reason, told.raw_reason)
    assert told.error is None


def test_a_lost_connection_is_an_error() -> None:
    """The server says that it was lost, so the answer is not complete; asking again may help."""
    told = read(STARTED, said("Hi"), closed("connection_lost"))

    assert ("network", True) == (told.failure.kind, told.failure.retryable)
    assert ("error", "connection_lost", "Hi") == (told.reason, told.failure.code, told.message.text)


def test_the_usage_is_in_seconds() -> None:
    """Each report is of the whole session, so the last one counts."""
    message = Stream([RECORDED["openai-live/delegation"]]).final()

    assert {"seconds": 2} == message.usage.provider_data
    assert {"usage_ratio": 0.01} == (message.provider_data or {})["context_window"]


@in_one_test("name", RECORDED)
def test_a_session_is_truncated_wherever_it_breaks_off(name: str) -> None:
    """Only the event that closes the session says that all has arrived."""
    frames = frames_of(RECORDED[name])
    for length in range(1, len(frames)):
        told = read(*frames[:length])
        adds_up(told)
        assert told.truncated


def test_an_error_event_does_not_end_the_session() -> None:
    """If the session breaks off, that error says why."""
    trouble = event("error", error={"type": "invalid_request_error", "code": "x", "message": "m"})
    went_on, cut = read(STARTED, trouble, said("Hi"), closed()), read(STARTED, trouble)

    assert (None, "Hi") == (went_on.error, went_on.message.text)
    assert isinstance(cut.error, ProviderError)


AUDIO = event("session.output_audio.delta", delta="AAAA")


@in_one_test("piece", [said("Ho"), worked("12"), AUDIO])
def test_an_error_is_no_reason_for_a_later_end(piece: dict[str, Any]) -> None:
    """The session has gone on, so it was cut for another reason."""
    trouble = event("error", error={"type": "invalid_request_error", "code": "x", "message": "m"})
    frames = [STARTED, *(said(f"{n} ") for n in range(40)), trouble, piece, piece]

    assert read(*frames).truncated
    assert not read(*frames, trouble).truncated
    reads_alike_at_a_glance(OpenAILive, frames)


def test_an_event_that_comes_again_is_dropped_by_a_reorder() -> None:
    """The ids of events are no numbers, so their order stays."""
    events = [{**each, "event_id": f"e{at}"} for at, each in enumerate([STARTED, said("ha"), closed()])]
    stream = Stream([*events[:2], events[1], *events[2:]], reorder=Reorder("event_id"))

    assert ("ha", ["frame_repeated"]) == (stream.final().text, [*stream.departures.details])


def test_deltas_that_are_no_text_or_audio_are_carried() -> None:
    no_audio = event("session.output_audio.delta", delta="?")
    told = read(STARTED, event("session.output_transcript.delta"), no_audio)

    assert (["delta_misfits"], 3) == ([*told.rules], len(told.unknown))


def test_a_session_that_is_joined_late_is_read() -> None:
    told = read(said("Hi"), closed())

    assert ("Hi", {"start_missing"}) == (told.message.text, told.rules)


@in_one_test("payload", [STARTED, said("Hi"), event("session.created", session={"type": "translation"})])
def test_a_session_is_none_of_realtime(payload: dict[str, Any]) -> None:
    """The error names the format that reads it."""
    stream = Stream([payload, said("Hi")], format="openai-realtime")
    with pytest.raises(ProtocolError, match=r"looks? like openai-live"):
        stream.final()


def test_the_objects_of_the_sdk_are_read_like_their_payloads() -> None:
    """All kinds of events that the recording has are among the SDK's types."""
    live: Any = needed("openai.types.live")
    adapter: Any = needed("pydantic").TypeAdapter(live.ServerEvent)
    stream = Stream([adapter.validate_python(each) for each in events_of("openai-live/delegation")])

    assert Stream([RECORDED["openai-live/delegation"]]).final().parts == stream.final().parts


def test_a_call_that_is_sent_again_after_the_end_is_only_counted() -> None:
    """Other arguments show that it is another call, and nothing of it is open there."""
    events = events_of("openai-live/call")
    call = [each for each in events if "fc_1" in str(each)]
    stream = Stream([call[-1], events[-1], call[0], call[2]], format="openai-live")

    assert 1 == len(stream.final().tool_calls)
    assert {"start_missing": 1, "end_repeated": 1, "data_after_end": 1} == stream.departures.details
