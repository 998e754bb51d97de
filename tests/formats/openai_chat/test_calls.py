"""OpenAI Chat: when a call is handed out, and when it is kept back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_chat.payloads import FINISH, ROLE, answer, call, chunk, item_of, read
from tests.formats.openai_chat.support import END, FIRST, calling
from tests.formats.told import DONE
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Decoder
from tokenstream.errors import LimitExceeded, StreamTruncated
from tokenstream.events import PartDone, ToolCallDelta, ToolCallDone, ToolCallStart
from tokenstream.limits import Limits
from tokenstream.message import OpaquePart


def test_a_call_is_handed_out_whole_at_the_finish() -> None:
    got = calling(
        call("", index=0, id="c1", type="function", name="get_weather"),
        call('{"ci', index=0),
        call('ty":"Oslo"}', index=0),
    )

    [start] = [event for event in got.events if isinstance(event, ToolCallStart)]
    assert ("c1", "get_weather", "function") == (start.id, start.name, start.type)
    assert ['{"ci', 'ty":"Oslo"}'] == [e.fragment for e in got.events if isinstance(e, ToolCallDelta)]
    assert [{"city": "Oslo"}] == [done.arguments for done in got.calls]
    assert ("tool_calls", set()) == (got.message.finish_reason, got.rules)


def test_a_call_is_handed_out_when_the_next_one_starts() -> None:
    got = read(ROLE, call('{"a":1}', index=0, id="c1", name="f"), call("", index=1, id="c2", name="g"))

    assert [("f", '{"a":1}')] == got.called
    assert isinstance(got.error, StreamTruncated)


def test_a_text_ends_with_the_first_fragment_of_a_call() -> None:
    decoder = Decoder("openai-chat")
    for payload in (ROLE, chunk({"content": "Let me see."})):
        decoder.feed(sse(payload))
    ended = decoder.feed(sse(call("", index=0, id="c1", name="get_weather")))
    begun = decoder.feed(sse(call('{"a":1}', index=0)))

    assert [PartDone] == [type(event) for event in ended]
    assert [ToolCallStart, ToolCallDelta] == [type(event) for event in begun]


def test_a_call_that_is_cut_is_never_handed_out() -> None:
    for cut in ("", '{"path": "/hom', '{"path": "/home"}'):
        got = read(ROLE, call(cut, index=0, id="c1", name="rm"))

        assert [] == got.calls
        assert [False] == [part.complete for part in got.message.tool_calls]


@pytest.mark.parametrize("reason", ["length", "content_filter", "error", "abort"])
def test_the_call_that_was_being_written_is_not_handed_out_when_the_answer_was_cut(reason: str) -> None:
    got = read(ROLE, call('{"a":1}', index=0, id="c1", name="rm"), chunk({}, reason), DONE)

    assert ([], {"call_open_at_end"}) == (got.calls, got.rules)
    assert '{"a":1}' == got.message.tool_calls[0].arguments_text


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_calls_in_turns_without_arguments_yet_are_not_handed_out_when_the_answer_was_cut(reason: str) -> None:
    calls = call("", index=0, id="c1", name="f"), call('{"x":', index=1, id="c2", name="g")
    cut = read(ROLE, *calls, chunk({}, reason), DONE)
    whole = calling(*calls, call("1}", index=1, id=None))

    assert [] == cut.called
    assert [("g", '{"x":1}'), ("f", "")] == whole.called


def test_a_stop_on_a_message_with_calls_means_tool_calls() -> None:
    """Some servers say "stop" for both; their word is kept."""
    got = answer(call("{}", index=0, id="c1", name="f"))

    assert ("tool_calls", "stop") == (got.message.finish_reason, got.message.raw_finish_reason)


def test_done_without_a_finish_reason_ends_the_calls() -> None:
    got = read(ROLE, call('{"a":1}', index=0, id="c1", name="f"), DONE)

    assert ([("f", '{"a":1}')], {"finish_missing"}) == (got.called, got.rules)


def test_arguments_that_are_no_json_are_kept_and_never_handed_out() -> None:
    got = calling(call('{"a":', index=0, id="c1", name="f"))

    assert ([], {"call_invalid"}) == (got.calls, got.rules)
    assert [('{"a":', False)] == [(part.arguments_text, part.complete) for part in got.message.tool_calls]


def test_null_stands_for_no_arguments() -> None:
    """VLLM and Writer send it with the name."""
    payload = chunk({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": None}}]})
    got = calling(payload, call("{}", index=0, id=None))

    assert ([("f", "{}")], {"arguments_null"}) == (got.called, got.rules)


def test_blanks_after_the_end_of_a_call_say_nothing() -> None:
    got = calling(
        call("[]", index=0, id="c1", name="f"), call("{}", index=1, id="c2", name="g"), call(" ", index=0)
    )

    assert ([("f", "[]"), ("g", "{}")], set()) == (got.called, got.rules)


def test_a_name_that_comes_after_the_finish_begins_another_call() -> None:
    """What had no name by then was given up."""
    got = read(
        ROLE,
        call("{"),
        call('{"a"', index=0, id="c0"),
        call("{}", index=1, id="c1", name="f"),
        END,
        call("{}", index=0, name="g"),
        DONE,
    )

    assert [("f", "{}"), ("g", "{}")] == got.called
    assert ["tool_call", "opaque", "opaque", "tool_call"] == got.kinds


def test_an_id_that_was_never_sent_is_made_up_once() -> None:
    """Every event of the call has it, and calls differ in it."""
    got = calling(call("{}", index=0, name="f"), call("{}", index=1, name="g"))

    ids = [event.id for event in got.events if isinstance(event, ToolCallStart)]
    assert 2 == len(set(ids))
    assert ids == [done.id for done in got.calls]


def test_a_call_that_never_gets_a_name_is_kept_but_is_no_call() -> None:
    """Nobody can run it, and nothing is lost."""
    got = calling(call('{"a"', index=0, id="c1"), call(":1}", index=0))

    assert ((), []) == (got.message.tool_calls, got.calls)
    [part] = got.message.parts
    assert isinstance(part, OpaquePart)
    assert {"id": "c1", "type": "function", "arguments": FIRST} == part.data


def test_calls_of_several_choices_are_kept_apart() -> None:
    item = item_of("", index=0, id="c1", name="f")
    got = read(
        chunk({"role": "assistant", "tool_calls": [item]}),
        chunk({"role": "assistant", "tool_calls": [item]}, choice=1),
        chunk({"tool_calls": [item_of('{"n":1}', index=0)]}, choice=1),
        chunk({"tool_calls": [item_of('{"n":0}', index=0)]}),
        chunk({}, "tool_calls", choice=1),
        END,
        DONE,
    )

    assert [(1, '{"n":1}'), (0, '{"n":0}')] == [
        (event.choice, event.call.arguments_text) for event in got.events if isinstance(event, ToolCallDone)
    ]


@in_one_test(
    "name",
    [call(None, index=0, name="f"), call(None, id="c1", name="f"), call("", index=0, id="c1", name="f")],
)
def test_a_name_after_the_finish_reason_has_the_arguments_before_it(name: Any) -> None:
    """A tool is not run without the arguments that its call has."""
    for before in (
        [call('{"n": 1}', index=0, id="c1")],
        [call('{"n":', index=0, id="c1"), call(" 1}", index=0)],
    ):
        got = read(ROLE, *before, FINISH, name, DONE)

        assert [("f", '{"n": 1}')] == got.called


def test_a_limit_that_is_met_at_the_end_of_the_input_is_reported() -> None:
    """Nothing is raised from `end`."""
    nameless = [call("{}", index=n) for n in range(3)]
    got = read(ROLE, *nameless, limits=Limits(parts=2))

    assert isinstance(got.error, StreamTruncated)
    assert isinstance(read(ROLE, FINISH, *nameless, limits=Limits(parts=2)).error, LimitExceeded)


@pytest.mark.slow
def test_a_long_call_costs_no_more_at_its_end_than_at_its_start() -> None:
    """No fragment is looked at twice, also where every fragment repeats the name."""
    pieces = ['{"text": "'] + ["x" * 8] * 20_000 + ['"}']
    got = calling(*[call(piece, index=0, name="f") for piece in pieces])

    assert [("f", "".join(pieces))] == got.called
