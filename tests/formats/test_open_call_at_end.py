"""An answer that ends behind an open call, without a finish reason: arguments that are not closed are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.openai_chat.payloads import FINISH, call, chunk, item_of, read, text
from tests.formats.told import DONE
from tests.recovery.attempts import in_each_world, play
from tests.support.streams import json_values
from tests.support.wire import sse
from tokenstream import Retry, Stream
from tokenstream.errors import StreamTruncated


def begun(arguments: str, **options: Any) -> dict[str, Any]:
    return call(arguments, name="list", index=0, id="c", **options)


def sent(*payloads: dict[str, Any] | bytes) -> list[bytes]:
    """Return SSE events."""
    return [sse(each.decode() if isinstance(each, bytes) else each) for each in payloads]


CUT: list[dict[str, Any] | bytes] = [begun('{"path": "/srv'), b"[DONE]"]
WHOLE: list[dict[str, Any] | bytes] = [begun('{"path": "/srv"}'), FINISH, b"[DONE]"]


@in_each_world
@pytest.mark.parametrize("mode", ["restart", "continue"])
def test_another_attempt_is_made(world: str, mode: Any) -> None:
    """The error may be retried, and each tool is handed out once."""
    played = play(
        world, [sent(*CUT), sent(*WHOLE)], Retry(mode=mode, wait=0), lambda stream: stream.tool_calls
    )

    assert [{"path": "/srv"}] == [made.arguments for made in played.given]
    assert (True, None, ["start", "restart"]) == (
        played.message.complete,
        played.error,
        [report.mode for report in played.reports],
    )
    assert [0, 1] == sorted(set(played.closed))


@in_each_world
@pytest.mark.parametrize("bodies", [[[text("Hi")], [b"[DONE]"]], [CUT]], ids=["text", "call"])
def test_a_break_after_the_sentinel_is_retried(world: str, bodies: list[list[Any]]) -> None:
    """The sentinel alone is no end: only a clean end of the connection confirms it."""
    first: list[Any] = [chunk for body in bodies for chunk in sent(*body)]
    broken = [*first, ConnectionResetError("reset")]
    played = play(world, [broken, sent(*WHOLE)], Retry(mode="restart", wait=0))

    assert (True, None, 2) == (played.message.complete, played.error, len(played.reports))
    assert "" == played.message.text


@in_each_world
def test_an_answer_without_a_finish_reason_is_judged_at_its_end(world: str) -> None:
    """One that says nothing is asked for again, also behind a sentinel that came alone."""
    empty = sent(chunk({"role": "assistant"}), b"[DONE]")
    played = play(world, [empty, sent(*WHOLE)], Retry(mode="restart", wait=0, on="empty"))

    assert (True, 2) == (played.message.complete, len(played.reports))
    assert ["list"] == [made.name for made in played.message.tool_calls]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_every_way_to_cut_the_bytes_gives_the_same_error(size: int) -> None:
    """The error comes at the end of the input, with all that arrived."""
    body = b"".join(sent(text("I look."), begun('{"path": "/srv'), b"[DONE]"))
    stream = Stream([body[at : at + size] for at in range(0, len(body), size)])

    with pytest.raises(StreamTruncated, match="1 tool call") as caught:
        stream.final()
    assert "I look." == caught.value.partial.text
    assert stream.closed


def test_with_a_finish_reason_the_answer_is_complete() -> None:
    """The server says that the answer ends here, and the call is incomplete."""
    got = read(begun('{"path": "/srv'), FINISH, DONE)

    assert ("complete", [], None) == (got.message.ending, got.called, got.error)
    assert not got.message.tool_calls[0].complete


@pytest.mark.parametrize("arguments", ["cat /srv", "{'path': '/srv'", "{path", '{"a": 1}}', "", "7"])
def test_arguments_that_are_no_json_prove_nothing(arguments: str) -> None:
    """A model writes such arguments to their end."""
    got = read(begun(arguments), DONE)

    assert ("complete", None) == (got.message.ending, got.error)


def test_free_text_of_a_custom_tool_proves_nothing() -> None:
    got = read(begun('{"path": "/srv', body="custom", type="custom"), DONE)

    assert ("complete", [("list", '{"path": "/srv')]) == (got.message.ending, got.called)


def test_one_cut_call_among_whole_ones_is_enough() -> None:
    """Calls that ended before are handed out, as in any answer that breaks off."""
    items = [item_of('{"a": 1}', name="one", index=0, id="a"), item_of('{"a":', name="two", index=1, id="b")]
    got = read(chunk({"tool_calls": items}), DONE)

    assert ("truncated", [("one", '{"a": 1}')]) == (got.message.ending, got.called)


@given(json_values, st.data())
def test_each_proper_beginning_of_an_object_is_cut(value: Any, data: st.DataObject) -> None:
    whole = json.dumps({"value": value})
    length = data.draw(st.integers(1, len(whole) - 1))

    cut = read(text("I look."), begun(whole[:length]), DONE)
    (call,) = cut.message.tool_calls

    assert (True, "I look.", []) == (cut.truncated, cut.message.text, cut.called)
    assert (whole[:length], False) == (call.arguments_text, call.complete)
    assert not read(begun(whole), DONE).truncated
