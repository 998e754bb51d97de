"""An answer that is cut at any place, and gone on with in another stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

import pytest

from tests.support import registry
from tests.support.effort import in_steps
from tests.support.resuming import (
    INTERACTION,
    RESPONSE,
    SCRIPTED,
    Answer,
    Came,
    is_numbered,
    position_in,
    read,
    recorded,
    rest_of,
    standing,
    stored,
)
from tests.support.sampling import sampled
from tokenstream import AsyncStream, Checkpoint, Job, Limits, Retry, Stream, errors, resilient, testing
from tokenstream.events import Resumed, ToolCallDone
from tokenstream.formats._reader import prepare_to_continue
from tokenstream.framing import SSEParser
from tokenstream.recovery import Attempt

_OURS = [answer for answer in recorded() if "/" in answer.name and len(answer.chunks) < 60][:4]
_ANSWERS = [*SCRIPTED, *_OURS, *sampled([each for each in recorded() if each not in _OURS], one_in=60)]


def _id(answer: Answer) -> str:
    return answer.name


def _rest(
    answer: Answer, checkpoint: Checkpoint, chunks: list[bytes], *, limits: Limits | None = None
) -> Came:
    assert answer.format == checkpoint.format
    return read(Stream(chunks, job=Job("job", checkpoint=stored(checkpoint)), limits=limits))


@pytest.mark.slow
@pytest.mark.parametrize("answer", _ANSWERS, ids=_id)
def test_another_stream_gives_what_was_still_to_come(answer: Answer) -> None:
    whole = read(Stream(answer.chunks, format=answer.format))
    numbered = is_numbered(answer)
    for count, checkpoint in islice(standing(answer), 0, None, in_steps(47)):
        if checkpoint.position is None or not numbered:
            continue
        later = rest_of(answer, checkpoint.position, answer.chunks)
        for chunks in (later, answer.chunks):
            came = _rest(answer, checkpoint, chunks)

            assert whole._replace(events=whole.events[count:]) == came


@pytest.mark.not_quick
@pytest.mark.slow_rows("everything", "steps")
@pytest.mark.parametrize("answer", [*SCRIPTED, *_OURS], ids=_id)
def test_the_checkpoint_of_an_error_is_before_what_the_error_closed(answer: Answer) -> None:
    """Whatever the end closes in the message, another stream goes on with it: nothing is lost or twice."""
    whole = read(Stream(answer.chunks, format=answer.format))
    for place in range(1, len(answer.chunks)):
        came = read(cut := Stream(answer.chunks[:place], format=answer.format))
        checkpoint = cut.checkpoint()
        if came.error is not errors.StreamTruncated or checkpoint.position is None:
            continue
        rest = _rest(answer, checkpoint, answer.chunks)

        assert whole._replace(events=rest.events) == rest
        assert whole.events[-len(rest.events) :] == rest.events
        assert whole.events[: -len(rest.events)] == came.events[: len(whole.events) - len(rest.events)]


@pytest.mark.parametrize("answer", SCRIPTED, ids=_id)
def test_a_frame_that_is_whole_but_for_its_end_counts(answer: Answer) -> None:
    place = len(answer.chunks) // 2
    stream = Stream([*answer.chunks[: place - 1], answer.chunks[place - 1].rstrip()], format=answer.format)
    came = read(stream)
    rest = _rest(answer, stream.checkpoint(), answer.chunks)

    assert errors.StreamTruncated is came.error
    assert position_in(answer, answer.chunks[place - 1]) == stream.checkpoint().position
    assert read(Stream(answer.chunks, format=answer.format)).message == rest.message


def test_an_event_that_a_checkpoint_keeps_knows_its_step() -> None:
    """The end of a part with a tool's result gives two events, of the same step of a run."""
    place = '"id": "s", "name": "search"'
    frames = [
        f'data: {{"type": "part_start", "content": {{"kind": "server_tool_result", {place}}}, "step": "1"}}',
        'data: {"type": "part_done", "step": "1"}',
    ]
    with Stream([f"{frame}\n\n".encode() for frame in frames], format="tokenstream") as stream:
        before = [*islice(stream, 2)]
        checkpoint = stored(stream.checkpoint())
    rest = read(Stream([], job=Job("job", checkpoint=checkpoint))).events

    assert ["1"] * 3 == [event.step for event in (*before, *rest)]


@pytest.mark.slow
@pytest.mark.anyio
async def test_an_asynchronous_stream_goes_on_just_so() -> None:
    async def body() -> AsyncIterator[bytes]:
        for chunk in INTERACTION.chunks:
            yield chunk

    for _, checkpoint in [*standing(INTERACTION)][1::5]:
        came = _rest(INTERACTION, checkpoint, INTERACTION.chunks)
        stream = AsyncStream(body(), job=Job("job", checkpoint=checkpoint))

        assert (came.events, came.message) == ([event async for event in stream], stream.message)


def test_an_answer_that_was_asked_for_again_has_no_more_tokens_than_were_counted() -> None:
    """An attempt that broke off uncounted makes the sum a lower bound, also for whoever reads on from it."""
    said = testing.script().text("Once ", "upon a time.").usage(output_tokens=5).finish()
    chunks = [
        each.replace(b'"background":false', b'"background":true') for each in said.chunks(RESPONSE.format)
    ]
    left = iter([said.chunks(RESPONSE.format)[:5], chunks[:6]])
    again = Retry(again=True, wait=0, attempts=2)
    with pytest.raises(errors.StreamTruncated) as caught:
        resilient(lambda _: next(left), again, format=RESPONSE.format).final()
    whole = Stream(chunks[6:], job=Job("job", checkpoint=stored(caught.value.checkpoint))).final()

    assert (5, "partial") == (whole.usage.output_tokens, whole.usage.basis)


def test_views_give_what_there_is_first_and_no_call_twice() -> None:
    answer = (
        testing.script().text("Let me ", "see.").tool_call("now", {}).tool_call("now", {"zone": 1}).finish()
    )
    chunks = answer.chunks("openai-responses")
    handed_out, checkpoint = [], Checkpoint()
    with Stream(chunks) as stream:
        for event in stream:
            if isinstance(event, ToolCallDone):
                handed_out.append(event.call)
                checkpoint = stored(stream.checkpoint())
                break
    with Stream(chunks, job=Job("job", checkpoint=checkpoint)) as rest:
        assert ["Let me see."] == list(rest.text)
        handed_out.extend(rest.tool_calls)

        assert [("now", {}), ("now", {"zone": 1})] == [(call.name, call.arguments) for call in handed_out]
        assert [call.id for call in handed_out] == [*rest.checkpoint().tool_calls_delivered]
        assert Stream(chunks).final() == rest.message


def test_bounds_count_what_had_come() -> None:
    answer = testing.script().text("Hello", " you").finish()
    chunks = answer.chunks("openai-responses")
    cut = Stream(chunks[:5])
    with pytest.raises(errors.StreamTruncated):
        cut.final()
    assert cut.message.text == "Hello"
    with pytest.raises(errors.LimitExceeded):
        Stream(chunks, job=Job("job", checkpoint=cut.checkpoint()), limits=Limits(text=6)).final()


def test_a_checkpoint_is_small() -> None:
    """Beside the message, whatever its length, it takes less than 2 KB for a plain answer."""
    pieces = ["Hello, you. "] * 1000
    stream = Stream(testing.script().text(*pieces).finish().chunks("openai-responses")[:-5])
    with pytest.raises(errors.StreamTruncated):
        stream.final()
    checkpoint = stream.checkpoint()
    beside = checkpoint.model_copy(update={"messages": ()}).model_dump_json()

    assert len(checkpoint.message.text) > 10_000
    assert len(beside) < 2_000
    assert "Hello" not in beside


# -- what a server does -----------------------------------------------------------


def _cut(answer: Answer, place: int) -> Checkpoint:
    stream = Stream(answer.chunks[:place], format=answer.format)
    with pytest.raises(errors.StreamTruncated) as caught:
        stream.final()
    return caught.value.checkpoint


def test_a_gap_is_reported_and_nothing_is_read_after_it() -> None:
    """Numbers follow one another, so what was left out cannot hide."""
    came = Stream(RESPONSE.chunks[10:], job=Job("job", checkpoint=_cut(RESPONSE, 9)))
    with pytest.raises(errors.ProtocolError, match="goes on at event 10, but event 9 is the next one"):
        came.final()
    assert _cut(RESPONSE, 9).message.text == came.message.text


@pytest.mark.parametrize("place", [3, 9])
def test_what_overlaps_is_read_once(place: int) -> None:
    """A server may begin a little before the position."""
    rest = _rest(RESPONSE, _cut(RESPONSE, 9), RESPONSE.chunks[place:])

    assert read(Stream(RESPONSE.chunks, format="openai-responses")).message == rest.message


@pytest.mark.parametrize("answer", SCRIPTED, ids=_id)
def test_another_answer_is_never_joined_to_the_first(answer: Answer) -> None:
    chunks = [chunk.replace(b'"resp_', b'"other_').replace(b'"i1"', b'"i2"') for chunk in answer.chunks]
    came = Stream(chunks, job=Job("job", checkpoint=_cut(answer, 9)))
    with pytest.raises(errors.ProtocolError, match="another answer"):
        came.final()
    assert _cut(answer, 9).message.text == came.message.text


def test_an_answer_that_never_comes_to_the_position_is_another_one() -> None:
    checkpoint = _cut(INTERACTION, 9).model_copy(update={"position": "e8"})
    others = [chunk.replace(b'"e8"', b'"e99"') for chunk in INTERACTION.chunks]
    came = Stream(others, job=Job("job", checkpoint=checkpoint))
    with pytest.raises(errors.PositionLost, match="'e99' where event 'e8' should follow"):
        came.final()
    assert checkpoint.message.text == came.message.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "recording", [RESPONSE, INTERACTION], ids=["openai-responses", "gemini-interactions"]
)
@pytest.mark.parametrize("begins", ["at the start", "a few before", "at the last", "after it"])
@pytest.mark.parametrize("then", ["once", "twice"])
def test_a_replay_is_recognized_wherever_it_begins(recording: Answer, begins: str, then: str) -> None:
    expected = Stream(recording.chunks)
    expected.final()
    chunks = recording.chunks

    end = next(place for place, chunk in enumerate(chunks) if b".completed" in chunk)
    for count in range(4, end, in_steps(7)):
        first = {"at the start": 0, "a few before": count - 3, "at the last": count - 1, "after it": count}[
            begins
        ]
        again = chunks[first : count + 1] if then == "twice" else []
        stored = Checkpoint.model_validate_json(_cut(recording, count).model_dump_json())
        found = Stream(
            [*chunks[first : count + 1], *again, *chunks[count + 1 :]], job=Job("job", checkpoint=stored)
        )
        assert expected.message.parts == found.final().parts, count


def test_an_error_of_the_server_is_raised() -> None:
    chunks = testing.script().error("The position is gone.").chunks("openai-responses")[-1:]
    with pytest.raises(errors.ProviderError, match="The position is gone"):
        Stream(chunks, job=Job("job", checkpoint=_cut(RESPONSE, 9))).final()


# -- what cannot be gone on with ---------------------------------------------------


def test_a_format_without_a_resume_says_what_to_do_instead() -> None:
    with Stream(testing.script().text("Hel", "lo").finish().chunks("openai-chat")[:2]) as stream:
        next(iter(stream))
    with pytest.raises(errors.MisuseError, match=r"openai-chat cannot be resumed: .*; connect\(url, job=…\)"):
        Stream([], job=Job("job", checkpoint=stream.checkpoint()))


_GOOD = _cut(RESPONSE, 9)
_EDITED = {"format": {**(_GOOD.state or {})["format"], "fields": []}}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"version": 1}, "has version 1, but only version 2 can be read"),
        ({"format": None}, "made before anything had arrived"),
        ({"state": None}, "no state to continue from"),
        ({"state": {}}, "no state to continue from"),
        ({"state": _EDITED}, "is not what `checkpoint\\(\\)` gave"),
        ({"format": "macaw"}, "macaw"),
        ({"format": "gemini-interactions"}, "another version of tokenstream"),
    ],
)
def test_a_checkpoint_that_cannot_be_read_says_why(told: dict[str, Any], why: str) -> None:
    with pytest.raises(errors.MisuseError, match=why):
        Stream([], job=Job("job", checkpoint=_GOOD.model_copy(update=told)))


def test_what_is_no_checkpoint_is_refused() -> None:
    """JSON is read with the class first."""
    text: Any = _GOOD.model_dump_json()
    with pytest.raises(errors.MisuseError, match=r"Checkpoint\.model_validate_json"):
        Stream([], job=Job("job", checkpoint=text))


def test_a_failed_answer_has_no_position() -> None:
    """The server's word is its last one, also in the next process."""
    stream = Stream(RESPONSE.chunks[:9] + testing.script().error("No").chunks("openai-responses")[-1:])
    with pytest.raises(errors.ProviderError) as caught:
        stream.final()
    kept = stored(caught.value.checkpoint)
    final = Retry(on=lambda error: not isinstance(error, errors.ProviderError))

    assert kept.position is None
    with pytest.raises(errors.ProviderError, match="No"):
        resilient(lambda _attempt: RESPONSE.chunks, final, job=Job("job", checkpoint=kept)).final()


# -- again and again, and in one process ---------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("answer", SCRIPTED, ids=_id)
def test_an_answer_may_be_cut_after_each_of_its_events(answer: Answer) -> None:
    whole = read(Stream(answer.chunks, format=answer.format))
    first = Stream(answer.chunks, format=answer.format)
    events = [next(first)]
    checkpoint = first.checkpoint()
    first.close()
    while len(events) < len(whole.events):
        with Stream(answer.chunks, job=Job("job", checkpoint=stored(checkpoint))) as stream:
            events.append(next(stream))
            checkpoint = stream.checkpoint()
        assert len(events) == checkpoint.events_seen
    last = _rest(answer, checkpoint, answer.chunks)

    assert whole == last._replace(events=events)


@pytest.mark.slow
@pytest.mark.parametrize("answer", SCRIPTED, ids=_id)
def test_a_format_goes_on_over_another_connection(answer: Answer) -> None:
    frames = SSEParser().frames(b"".join(answer.chunks))
    for place in range(1, len(frames)):
        known, other = (registry.create(answer.format, limits=Limits()) for _ in range(2))
        for frame in frames[:place]:
            known.feed(frame)
            other.feed(frame)
        if known.error is not None:
            break
        prepare_to_continue(known)

        assert [] == [event for frame in frames[:place] for event in known.feed(frame)]
        assert [other.feed(frame) for frame in frames[place:]] == [
            known.feed(frame) for frame in frames[place:]
        ]


@pytest.mark.slow
@pytest.mark.parametrize("answer", SCRIPTED, ids=_id)
@pytest.mark.parametrize("end", [b"", b"\n\n"])
def test_an_attempt_that_failed_leaves_a_checkpoint(answer: Answer, end: bytes) -> None:
    whole = read(Stream(answer.chunks, format=answer.format))
    kept: list[Checkpoint] = []

    def note(attempt: Attempt) -> None:
        if attempt.error is not None:
            kept.append(stored(attempt.error.checkpoint))

    for place in range(3, len(answer.chunks) - 8, 4):
        cut = [*answer.chunks[:place], answer.chunks[place].rstrip() + end]
        bodies = [answer.chunks, cut]
        came = read(
            resilient(
                lambda _attempt, bodies=bodies: bodies.pop(),
                Retry(wait=0, on_retry=note),
                format=answer.format,
            )
        )

        assert whole.message == came.message
        # Where nothing had shown, the loop is told of nothing.
        told = [event.dropped for event in came.events if isinstance(event, Resumed)]
        assert told in ([place + 1], [])
        assert whole.message == _rest(answer, kept.pop(), answer.chunks).message
        assert [] == kept


@pytest.mark.parametrize("size", [1, 7, 40, 10_000])
def test_the_event_id_of_a_checkpoint_is_that_of_what_was_received(size: int) -> None:
    """However many events a chunk has: a relay that gets it as Last-Event-ID loses and repeats nothing."""
    events = [
        b'{"type":"message_start"}',
        b'{"type":"part_start","content":{"kind":"text"}}',
        *(b'{"type":"text_delta","text":"%d "}' % number for number in range(3, 9)),
        b'{"type":"part_done"}',
        b'{"type":"end","ending":"complete"}',
    ]
    frames = [b"id: %d\ndata: %s\n\n" % (number, event) for number, event in enumerate(events, start=1)]
    body = b"".join(frames)
    stream = Stream([body[at : at + size] for at in range(0, len(body), size)], format="tokenstream")
    for piece in stream.text:
        checkpoint = stored(stream.checkpoint())

        assert (checkpoint.last_event_id, checkpoint.position) == (piece.strip(), int(piece))
        rest = Stream(frames[int(checkpoint.last_event_id or 0) :], job=Job("job", checkpoint=checkpoint))
        assert rest.final().text == "3 4 5 6 7 8 "


def test_an_event_without_an_id_has_none_of_a_later_one() -> None:
    """A server with ids for some of its events replays from one that has come, or from the start."""
    body = b"data: a\n\nid: x1\ndata: b\n\ndata: c\n\nid: x2\ndata: d\n\ndata: [DONE]\n\n"
    stream = Stream([body], format="text")
    ids = [stream.checkpoint().last_event_id for _ in stream.text]

    assert ids == [None, "x1", "x1", "x2"]
