"""What a script says is what a reader of its bytes comes to, in every format."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.stream import bodies
from tests.support.effort import examples, trials
from tests.support.encoders import create, load
from tests.support.scripts import counted, scripts, told
from tests.support.sent import decoded
from tests.support.tables import in_one_test
from tests.support.wire import DONE
from tokenstream import Decoder, Stream, testing
from tokenstream.events import PartDone, ToolCallDone
from tokenstream.message import ToolCall
from tokenstream.testing import Seed, all_formats


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("format", all_formats)
@given(st.data())
@examples(trials(300, one_in=30), suppress_health_check=[HealthCheck.too_slow])
def test_a_script_read_again_is_the_same_message(format: Any, data: st.DataObject) -> None:
    """Text, reasoning, refusal, tool calls, finish reason, usage and ending are those of the script.

    In a thorough run, of 300 scripts in each format.
    """
    script = data.draw(scripts(format))
    decoder = decoded(script.chunks(format), format)
    decoder.check()
    assert told(script.message, format) == told(decoder.message, format)
    expected = counted(script.message.usage)
    assert expected == {name: counted(decoder.message.usage).get(name) for name in expected}
    # An answer with nothing in it is remarked on, whoever sends it.
    remarks: set[str] = set() if script.message.parts else {"answer_empty"}
    if script.message.finish_reason == "tool_calls" and not script.message.tool_calls:
        remarks |= {"call_missing", "answer_empty"}
    assert decoder.departures.details.keys() <= remarks, "a script follows the provider's documents"


@in_one_test("format", all_formats)
def test_the_bytes_of_a_script_need_no_name(format: str) -> None:
    decoder = decoded(testing.script().text("Hello, ", "world").finish("stop").chunks(format), None)
    assert (format, "Hello, world") == (decoder.format, decoder.message.text)


@pytest.mark.few_rows(3)
@in_one_test("format", all_formats)
@pytest.mark.parametrize("chunking", ["bytes", "whole", "events", 7, Seed(1)])
def test_a_script_is_the_same_message_in_all_chunks(format: str, chunking: testing.Seed | int) -> None:
    script = testing.script().text("Hello, wörld 🌊").finish("stop")
    message = script.stream(format, chunking=chunking).final()
    assert told(script.message, format) == told(message, format)


@in_one_test("format", all_formats)
def test_a_script_without_an_end_is_cut(format: str) -> None:
    """What has not finished ends nowhere: nothing is invented."""
    whole = testing.script().text("Hello").finish("stop").chunks(format)
    cut = testing.script().text("Hello").chunks(format)
    assert cut == whole[: len(cut)]
    assert len(cut) < len(whole)


@in_one_test("format", [format for format in all_formats if "tool_call" in load(format).expresses])
def test_a_call_that_was_cut_is_never_handed_out(format: Any) -> None:
    """Half of a call's arguments is kept in the message, incomplete, or not shown at all."""
    decoder = decoded(testing.script().tool_call("rm", '{"path": "/tm').chunks(format), format)
    assert all(not call.complete for call in decoder.message.tool_calls)
    assert "complete" != decoder.message.ending


@in_one_test("format", [format for format in all_formats if "tool_call" in load(format).expresses])
def test_a_call_that_ended_on_no_json_is_not_handed_out_behind_a_relay(format: Any) -> None:
    """An event says how it ended, so an encoder ends it, and whoever reads that finds the same."""
    call = bodies.call(0, "c", "rm", '{"path": "/srv",]')
    events = list(Stream([bodies.chunk(call), bodies.chunk({}, "tool_calls"), DONE]))
    encoder, decoder = create(format, lossy=True), Decoder(format)
    relayed = [event for told in events for payload in encoder.feed(told) for event in decoder.feed(payload)]
    relayed += [event for payload in encoder.end() for event in decoder.feed(payload)]
    relayed += decoder.end()
    ended = [event.content for event in relayed if isinstance(event, PartDone)]

    assert not [event for event in relayed if isinstance(event, ToolCallDone)]
    assert not [one for one in decoder.message.tool_calls if one.complete]
    if format == "ui-message":
        # There it is the words of an error that end such a call.
        assert {"c": "the arguments are no JSON"} == dict(decoder.message.tool_results)
    else:
        assert list(decoder.message.tool_calls) == [one for one in ended if isinstance(one, ToolCall)]
