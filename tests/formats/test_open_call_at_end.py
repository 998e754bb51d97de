"""An answer that ends behind an open call, without a finish reason: arguments that are not closed are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_core import from_json

from tests.formats.openai_chat.payloads import FINISH, call, chunk, item_of, read, text
from tests.formats.told import DONE
from tests.partial_json.support import documents
from tests.recovery.attempts import in_each_world, play
from tests.support.streams import json_values
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Retry, Stream
from tokenstream._basics.json import says_no_arguments
from tokenstream.errors import StreamTruncated
from tokenstream.formats._kit.open import OpenCall
from tokenstream.partial_json import PartialJSONParser


def begun(arguments: str, **options: Any) -> dict[str, Any]:
    return call(arguments, name="list", index=0, id="c", **options)


def sent(*payloads: dict[str, Any] | bytes) -> list[bytes]:
    return [sse(each.decode() if isinstance(each, bytes) else each) for each in payloads]


CUT: list[dict[str, Any] | bytes] = [begun('{"path": "/srv'), b"[DONE]"]
WHOLE: list[dict[str, Any] | bytes] = [begun('{"path": "/srv"}'), FINISH, b"[DONE]"]


@in_each_world
def test_another_attempt_is_made(world: str) -> None:
    """The error may be retried, and each tool is handed out once."""
    played = play(
        world, [sent(*CUT), sent(*WHOLE)], Retry(again=True, wait=0), lambda stream: stream.tool_calls
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
    played = play(world, [broken, sent(*WHOLE)], Retry(again=True, wait=0))

    assert (True, None, 2) == (played.message.complete, played.error, len(played.reports))
    assert "" == played.message.text


@in_each_world
def test_an_answer_without_a_finish_reason_is_judged_at_its_end(world: str) -> None:
    """One that says nothing is asked for again, also behind a sentinel that came alone."""
    empty = sent(chunk({"role": "assistant"}), b"[DONE]")
    played = play(world, [empty, sent(*WHOLE)], Retry(again=True, wait=0, on="empty"))

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


@pytest.mark.parametrize("ends", [[FINISH, DONE], [FINISH]])
def test_a_finish_reason_within_the_arguments_was_made_up_at_a_cut(ends: list[Any]) -> None:
    """LiteLLM's proxy does that. Any call after it, and arguments that no more text can mend, are an end."""
    got = read(begun('{"path": "/srv'), *ends)
    followed = read(begun('{"path": "/srv'), call("{}", name="list", index=1, id="c2"), *ends)
    invalid = read(begun('{"path": "/srv"}}'), *ends)

    assert ("truncated", None, []) == (got.ending, got.reason, got.called)
    assert ["complete"] * 2 == [followed.ending, invalid.ending]


@pytest.mark.parametrize("arguments", ["cat /srv", "{'path': '/srv'", "{path", '{"a": 1}}', "", "7"])
def test_arguments_that_are_no_json_prove_nothing(arguments: str) -> None:
    """A model writes such arguments to their end."""
    got = read(begun(arguments), DONE)

    assert ("complete", None) == (got.ending, got.error)


def test_free_text_of_a_custom_tool_proves_nothing() -> None:
    got = read(begun('{"path": "/srv', body="custom", type="custom"), DONE)

    assert ("complete", [("list", '{"path": "/srv')]) == (got.ending, got.called)


def test_one_cut_call_among_whole_ones_is_enough() -> None:
    """Calls that ended before are handed out, as in any answer that breaks off."""
    items = [item_of('{"a": 1}', name="one", index=0, id="a"), item_of('{"a":', name="two", index=1, id="b")]
    got = read(chunk({"tool_calls": items}), DONE)

    assert ("truncated", [("one", '{"a": 1}')]) == (got.ending, got.called)


@given(json_values, st.data())
def test_each_proper_beginning_of_an_object_is_cut(value: Any, data: st.DataObject) -> None:
    whole = json.dumps({"value": value})
    length = data.draw(st.integers(1, len(whole) - 1))

    cut = read(text("I look."), begun(whole[:length]), DONE)
    (call,) = cut.message.tool_calls

    assert (True, "I look.", []) == (cut.truncated, cut.message.text, cut.called)
    assert (whole[:length], False) == (call.arguments_text, call.complete)
    assert not read(begun(whole), DONE).truncated


_WHOLE = '{"path": ["/srv", "caf\\u00e9\\n"], "deep": {"all": true, "no": [null, -1.5e3]}}'


def _breaks_off(text: str) -> bool:
    """Return what the strict reader finds."""
    parser = PartialJSONParser()
    parser.feed(text)
    if parser.error is not None or not text.strip():
        return False
    parser.end()
    return parser.error is not None


def _call(text: str) -> OpenCall:
    call = OpenCall(0, 0, id="c", name="list", type="function", provider_data=None)
    call.arguments.append(text)
    return call


@in_one_test("size", [size for size in range(1, len(_WHOLE)) if "\\" not in _WHOLE[size - 6 : size]])
def test_pydantic_core_says_that_a_document_is_cut_in_these_words(size: int) -> None:
    """If they change, `is_beginning` is right, but takes fifty times as long: adapt it to the new words."""
    with pytest.raises(ValueError, match=r"^EOF while parsing"):
        from_json(_WHOLE[:size], allow_inf_nan=False)


@given(documents(), st.integers(0, 40), st.sampled_from(["", "{}", '{"a": 1} ', " "]), st.data())
@example("[" * 201 + "1", 0, "", None)
@example('{"a": 1' + "0" * 4_301, 0, "", None)
@example('["\\ud83d', 0, "", None)
@example("[NaN", 0, "", None)
@example("6/", 0, "", None)
def test_c_code_and_the_strict_reader_agree(
    document: str, cut: int, before: str, data: st.DataObject | None
) -> None:
    """Whole, cut, flipped and repeated documents break off, and may go on, for both or for neither."""
    text = before + document[: len(document) - cut]
    if text and data is not None and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(text) - 1))
        text = text[:place] + data.draw(st.sampled_from(["", *'"\\,:[]{}0-.eu/\n\x00é'])) + text[place + 1 :]
    call = _call(text)

    assert _breaks_off(text) == call.breaks_off
    assert (says_no_arguments(text) or _breaks_off(text)) == call.may_go_on
