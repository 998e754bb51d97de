"""A server that was asked to go on with an answer, and sends something else: it is never joined to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recovery.attempts import Played, in_each_world, play
from tests.recovery.test_resume import answer
from tests.support import wire
from tests.support.effort import in_steps
from tokenstream import Retry, testing
from tokenstream.errors import PositionLost

RESUME = Retry(wait=0)
WORDS = ["", "Once ", "upon ", "a ", "time ", "there ", "was ", "a ", "king."]


def sse(id: object, payload: dict[str, Any]) -> bytes:
    sent_id = "" if id is None else f"id: {id}\n"
    return f"{sent_id}data: {json.dumps(payload)}\n\n".encode()


def chat(words: list[str], *, name: str = "c1", ids: str = "number") -> list[bytes]:
    """Return an answer of a server that gives each event an id: a number, or a text without an order."""
    payloads: list[dict[str, Any]] = [
        {"id": name, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": word}}]}
        for word in words
    ]
    payloads.append({"id": name, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    made = [str(number) if ids == "number" else f"e{number * 7919 % 101}" for number in range(len(payloads))]
    return [*map(sse, made, payloads), wire.DONE]


def text(played: Played) -> str:
    return played.message.text


@in_each_world
@pytest.mark.parametrize("ids", ["number", "text"])
@pytest.mark.parametrize("name", ["c1", "c2"])
def test_another_answer_under_the_same_positions_is_not_joined(world: str, ids: str, name: str) -> None:
    """The server numbers its events but keeps nothing: it answers anew, from the start."""
    whole, other = chat(WORDS, ids=ids), chat(["", "Once ", "in ", "Rome."], name=name, ids=ids)
    for cut in range(4, len(whole) - 2):
        played = play(world, [whole[:cut], other], Retry(wait=0, attempts=2), format="openai-chat")

        assert isinstance(played.error, PositionLost)
        assert "".join(WORDS[:cut]) == text(played)


@in_each_world
def test_the_rest_of_another_answer_is_not_joined(world: str) -> None:
    whole, other = chat(WORDS), chat(WORDS, name="c2")
    played = play(world, [whole[:4], other[4:]], RESUME, format="openai-chat")

    assert isinstance(played.error, PositionLost)
    assert "another answer" in str(played.error)
    assert "".join(WORDS[:4]) == text(played)


@in_each_world
def test_ids_that_change_with_every_chunk_are_no_identity(world: str) -> None:
    """Some servers give each chunk an id of its own."""
    whole = [chunk.replace(b'"c1"', b'"c%d"' % place) for place, chunk in enumerate(chat(WORDS))]
    played = play(world, [whole[:4], whole[4:]], RESUME, format="openai-chat")

    assert ("".join(WORDS), None) == (text(played), played.error)


@pytest.mark.slow
@in_each_world
def test_an_event_that_was_read_without_its_blank_line_is_a_part_of_the_replay(world: str) -> None:
    whole = answer("openai-responses")
    plain = play(world, [whole], RESUME, format="openai-responses")
    for cut in range(3, len(whole) - 2, in_steps(5)):
        broken = [*whole[: cut - 1], whole[cut - 1].rstrip()]
        for start in (0, cut - 1, cut):
            played = play(world, [broken, whole[start:]], RESUME, format="openai-responses")

            assert (plain.message, None) == (played.message, played.error)


@in_each_world
def test_right_numbers_with_the_items_of_another_answer_are_not_joined(world: str) -> None:
    """The item's id is another one at the same place of the output."""
    script = testing.script().text("Once upon a time there was a king.").finish("stop")
    whole = answer("openai-responses", script)
    other = [chunk.replace(b'"item_id":"', b'"item_id":"x') for chunk in whole]
    cut = next(place for place, chunk in enumerate(whole) if b"output_text.delta" in chunk) + 2
    played = play(world, [whole[:cut], other[cut:]], RESUME, format="openai-responses")

    assert isinstance(played.error, PositionLost)
    assert whole[cut - 1] != other[cut - 1]


@pytest.mark.slow
@in_each_world
def test_heartbeats_take_numbers_and_are_not_repeated(world: str) -> None:
    """OpenAI numbers its heartbeats as well; a replay may have them, or leave out their numbers."""
    plain = answer("openai-responses")
    ping = {"type": "keepalive"}
    payloads = [json.loads(chunk.partition(b"data: ")[2]) for chunk in plain if b'"type"' in chunk]
    payloads = [inner for payload in payloads for inner in (payload, ping)]
    whole = [sse(None, {**payload, "sequence_number": at}) for at, payload in enumerate(payloads)]
    quiet = [chunk for chunk in whole if b"keepalive" not in chunk]
    expected = play(world, [quiet], RESUME, format="openai-responses")
    for cut in range(4, len(whole) - 3, in_steps(5)):
        for resumed in (whole, whole[cut - 1 :], [*whole[:cut:2], *whole[cut:]]):
            if resumed[0] in quiet:
                played = play(world, [whole[:cut], resumed], RESUME, format="openai-responses")

                assert (expected.message, None) == (played.message, played.error)


@in_each_world
@pytest.mark.parametrize("ids", [True, False])
def test_item_ids_that_change_within_an_item_prove_nothing(world: str, ids: bool) -> None:
    """Some gateways give each event another item id."""
    script = testing.script().text("Once upon a time there was a king.").finish("stop")
    whole = [
        chunk.replace(b'"item_id":"', b'"item_id":"%d' % place)
        for place, chunk in enumerate(answer("openai-responses", script))
    ]
    for cut in range(3, len(whole) - 2):
        played = play(world, [whole[:cut], whole[cut - ids :]], RESUME, format="openai-responses")

        assert ("Once upon a time there was a king.", None) == (text(played), played.error)


@pytest.mark.slow
@in_each_world
def test_padding_and_times_that_are_made_anew_are_no_difference(world: str) -> None:
    """OpenAI pads events at random."""
    whole = answer("openai-responses")

    def padded(chunks: list[bytes], padding: str) -> list[bytes]:
        return [chunk.replace(b"data: {", f'data: {{"obfuscation":"{padding}",'.encode()) for chunk in chunks]

    plain = play(world, [whole], RESUME, format="openai-responses")
    for cut in range(3, len(whole) - 2):
        played = play(
            world, [padded(whole[:cut], "abc"), padded(whole, "z")], RESUME, format="openai-responses"
        )

        assert (plain.message.text, None) == (played.message.text, played.error)
        assert plain.message.tool_calls == played.message.tool_calls


@in_each_world
def test_events_without_an_id_of_their_own_are_given_once(world: str) -> None:
    """The server repeats them behind the last one with an id; or it goes on, with the same words again."""
    payloads = [*(chat([word])[0].partition(b"data: ")[2] for word in [*WORDS, "the ", "the ", "the "])]
    whole = [
        (b"id: %d\n" % place if place % 3 == 0 else b"") + b"data: " + payload
        for place, payload in enumerate(payloads)
    ]
    end = [chunk[chunk.index(b"data:") :] for chunk in chat(WORDS)[-2:]]
    expected = "".join([*WORDS, "the ", "the ", "the "])
    for cut in range(4, len(whole)):
        start = (cut - 1) // 3 * 3 + 1
        played = play(world, [whole[:cut], [*whole[start:], *end]], RESUME, format="openai-chat")

        assert (expected, None) == (text(played), played.error)


@given(st.data())
def test_an_answer_that_breaks_again_and_again_is_exact(data: st.DataObject) -> None:
    """The server repeats as much as it likes at each connection."""
    ids = data.draw(st.sampled_from(["number", "text"]))
    words = data.draw(st.lists(st.sampled_from(["a ", "b ", "the "]), min_size=3, max_size=12))
    whole = chat(["", *words], ids=ids)
    bodies, cut = [], 0
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, cut))
        cut = data.draw(st.integers(max(cut, 2), len(whole) - 2))
        bodies.append(whole[start:cut])
    bodies.append(whole[data.draw(st.integers(0, cut)) :])
    played = play("sync", bodies, Retry(wait=0, attempts=5), format="openai-chat")

    assert ("".join(words), None) == (text(played), played.error)


def bytes_of(chunks: list[bytes], at: int) -> list[bytes]:
    return [b"".join(chunks)[:at]]


@pytest.mark.slow
@in_each_world
@pytest.mark.parametrize("ids", ["number", "text"])
@pytest.mark.parametrize("breaks", [True, False])
def test_an_event_without_its_blank_line_is_asked_for_again(world: str, ids: str, breaks: bool) -> None:
    """The server goes on behind the last id that it was sent: at any byte, the text is exact."""
    whole = chat(WORDS[:5], ids=ids)

    def rest(attempt: Any) -> list[bytes]:
        sent = next(
            place for place, chunk in enumerate(whole) if f"id: {attempt.last_event_id}\n".encode() in chunk
        )
        return whole[sent + 1 :]

    first = len(whole[0]) + len(whole[1])
    # On an event loop, which takes longer, only cuts around the ends of events.
    ends = {sum(map(len, whole[:count])) + off for count in range(3, 6) for off in (-2, -1, 0, 1)}
    anywhere = range(first, sum(map(len, whole[:-2])), in_steps(11)) if world == "sync" else []
    for at in sorted(ends.union(anywhere)):
        end: list[Any] = [ConnectionResetError()] if breaks else []
        played = play(world, [[*bytes_of(whole, at), *end], rest], RESUME, format="openai-chat")

        assert ("".join(WORDS[:5]), None) == (text(played), played.error)
        assert "blank_line_missing" not in played.message.provider_data


@in_each_world
def test_an_event_without_its_blank_line_is_given_after_the_last_attempt(world: str) -> None:
    """No attempt has brought it again, so it is taken as it is."""
    whole = chat(WORDS)
    body = [b"".join(whole[:4])[:-1]]
    gone = [ConnectionResetError(), ConnectionResetError()]
    played = play(world, [body, *gone], Retry(wait=0, attempts=2), format="openai-chat")

    assert "".join(WORDS[:4]) == text(played)
    assert played.error is not None
    assert "".join(WORDS[:4]) == played.error.partial.text


@in_each_world
def test_an_answer_whose_last_event_lacks_its_blank_line_is_whole(world: str) -> None:
    whole = chat(WORDS)[:-1]
    body = [b"".join(whole)[:-1]]
    played = play(world, [body, ConnectionResetError()], Retry(wait=0, attempts=1), format="openai-chat")

    assert ("".join(WORDS), "complete", None) == (text(played), played.message.ending, played.error)
