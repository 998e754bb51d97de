"""Tool calls whose arguments are almost JSON: which are handed out, when, and which never are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.stream.recipes import COLOURS, chat_call, ended, read
from tests.support import recordings, wire
from tests.support.chunkings import chunked
from tests.support.tables import in_one_test
from tokenstream import Router, Stream, ToolCall, Tools, errors
from tokenstream.errors import InvalidJSON, MisuseError, OutputIncomplete, OutputInvalid, StreamTruncated
from tokenstream.events import ToolCallDelta
from tokenstream.stages import ValidatedCalls

RAW = '{"path": "C:\\dir", "text": "one\ntwo\t\\d+",}'
"""What fine-grained tool streaming sends: raw line breaks, stray backslashes, a comma too many."""
MEANT = {"path": "C:\\dir", "text": "one\ntwo\t\\d+"}
OPEN = '{"path": "/srv", "text": "one'
"""It could be closed, and nothing in it tells whether it was cut."""


class Write(BaseModel):
    path: str
    text: str = ""


def write(path: str, text: str = "") -> str:
    return f"{path}: {text}"


def seen(body: list[bytes], lenient: Any = True) -> list[tuple[str, bool, list[str]]]:
    """Return the calls of a body, and of each whether it can be run and what was repaired."""
    return [
        (call.id, call.error is None, [repair.name for repair in call.repairs])
        for call in Stream(body).validated_calls(write, lenient=lenient)
    ]


def claude(text: str, reason: str = "tool_use", *, close: bool = True, more: bool = False) -> list[bytes]:
    """Return an answer of anthropic that calls `write`, as fine-grained tool streaming sends it."""
    behind = [wire.claude_open(1, type="text", text=""), wire.claude_delta(1, "text_delta", text="Done.")]
    return [
        wire.claude_start(),
        wire.claude_open(0, type="tool_use", id="call_0", name="write", input={}),
        *(
            wire.claude_delta(0, "input_json_delta", partial_json=text[at : at + 5])
            for at in range(0, len(text), 5)
        ),
        *([wire.claude_close(0)] if close else []),
        *([*behind, wire.claude_close(1)] if more else []),
        wire.claude_end(reason),
    ]


@pytest.mark.parametrize("lenient", [True, "closed"])
@pytest.mark.parametrize("colour", COLOURS)
def test_almost_json_is_repaired_and_handed_out(colour: str, lenient: Any) -> None:
    body = claude(RAW)
    found = read(colour, body, lambda stream: stream.validated_calls(write, lenient=lenient))
    (call,) = found.items

    assert (MEANT, True, RAW) == (call.arguments, call.complete, call.arguments_text)
    assert {"raw_control", "bad_escape", "trailing_comma"} == {repair.name for repair in call.repairs}
    assert "one\ntwo" in call.run()
    assert found.error is None
    strict = Stream(body)
    assert [False] == [each.error is None for each in strict.validated_calls(write)]
    assert [(RAW, False, ())] == [
        (each.arguments_text, each.complete, each.repairs) for each in strict.message.tool_calls
    ]


def test_a_repaired_call_comes_with_its_end() -> None:
    """Nothing behind it is waited for, and it counts as delivered where the answer fails later."""
    stream = Stream(claude(RAW)[:-1])
    view = stream.validated_calls(write, lenient=True)

    assert MEANT == next(view).arguments
    assert stream.message.finish_reason is None
    with pytest.raises(StreamTruncated) as caught:
        next(view)
    assert ("call_0",) == caught.value.tool_calls_delivered


@in_one_test(
    "body, handed_out",
    [
        (claude(OPEN), True),
        (claude(OPEN, "end_turn"), True),
        (claude(OPEN, "max_tokens", more=True), True),
        (claude(OPEN, "max_tokens"), False),
        (claude(OPEN, "refusal"), False),
        (claude(OPEN, "stop_sequence"), False),
        (claude(OPEN, close=False, reason="max_tokens"), False),
        (claude(RAW, close=False, reason="max_tokens"), False),
        (claude(OPEN)[:-1], False),
        ([*chat_call(0, OPEN, name="write"), *ended("stop")], False),
        ([*chat_call(0, OPEN, name="write"), wire.DONE], False),
        ([*chat_call(0, OPEN, name="write"), *ended("length")], False),
        ([*chat_call(0, RAW, name="write"), *ended("length")], False),
        ([*chat_call(0, RAW, name="write"), *ended("content_filter")], False),
        ([*chat_call(0, OPEN, name="write")], False),
    ],
)
def test_an_end_is_supplied_only_where_the_model_itself_ended_the_call(
    body: list[bytes], handed_out: bool
) -> None:
    """Something follows it, or the finish reason says so; "closed" never supplies one."""
    lenient: Any
    for lenient, expected in ((True, handed_out), ("closed", False)):
        given: list[Any] = []
        try:
            given.extend(iter(Stream(body).validated_calls(write, lenient=lenient)))
        except StreamTruncated:
            assert not handed_out or lenient == "closed"

        assert expected == any(call.error is None for call in given)
        if expected:
            assert ({"path": "/srv", "text": "one"}, "missing_end") == (
                given[0].arguments,
                given[0].repairs[-1].name,
            )


@pytest.mark.parametrize(
    "body", [claude(OPEN, "max_tokens"), [*chat_call(0, OPEN, name="write"), *ended("length")]]
)
def test_a_cut_call_has_no_typed_value_either(body: list[bytes]) -> None:
    with pytest.raises(OutputIncomplete):
        Stream(body).result(Write, tool="write", lenient=True)
    view: Any
    for view in (
        Stream(body).partials(Write, tool="write", lenient=True),
        Stream(body).tool_partials(write, lenient=True),
    ):
        drafts: list[Any] = []
        with pytest.raises(OutputIncomplete) as caught:
            drafts.extend(iter(view))
        assert not any(draft.complete for draft in drafts)
        assert caught.value.best is not None
    assert Write(path="/srv", text="one") == Stream(claude(OPEN)).result(Write, tool="write", lenient=True)


def test_drafts_tell_what_was_repaired_so_far() -> None:
    drafts = list(Stream(claude(RAW)).tool_partials(write, lenient=True))
    counts = [len(drafted.repairs) for drafted in drafts]

    assert counts == sorted(counts)
    assert (0, MEANT, MEANT) == (counts[0], drafts[-1].final(), drafts[-1].draft.final())
    assert drafts[-1].call is not None
    assert drafts[-1].repairs == drafts[-1].call.repairs
    assert [True] == [drafted.complete for drafted in drafts if drafted.call is not None]


@pytest.mark.slow
@given(data=st.data())
def test_the_chunks_do_not_matter_nor_when_the_view_begins(data: st.DataObject) -> None:
    finish = data.draw(st.sampled_from(["tool_calls", "length"]))
    # A last call that is open would be a cut.
    kinds = [RAW, '{"path": "/a"}', "{'path': 1/2}", "", *[OPEN] * (finish == "length")]
    texts = data.draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4))
    calls = [chat_call(at, text, name="write") for at, text in enumerate(texts)]
    order = data.draw(st.permutations([at for at, call in enumerate(calls) for _ in call]))
    waiting = [iter(call) for call in calls]
    body = b"".join([next(waiting[at]) for at in order] + ended(finish))
    _, chunks = data.draw(chunked(st.just(body)))
    late = Stream([body])
    late.final()
    found = seen(chunks)

    assert found == seen([body])
    assert found == [
        (call.id, call.error is None, [repair.name for repair in call.repairs])
        for call in late.validated_calls(write, lenient=True)
    ]
    if finish == "tool_calls":
        assert len(texts) == len(found)


def test_a_view_of_items_tells_what_was_repaired_so_far() -> None:
    body = [*chat_call(0, "[{path: '1'}]"), *chat_call(1, "[{'path': '2',}]"), *ended()]
    view = Stream(body).items(Write, tool="recipe", lenient=True)
    first = next(view), [repair.name for repair in view.repairs]

    assert (Write(path="1"), ["unquoted_key", "single_quotes"]) == first
    assert [Write(path="2")] == list(view)
    assert [*first[1], "single_quotes", "single_quotes", "trailing_comma"] == [
        each.name for each in view.repairs
    ]
    view.close()
    with Stream([*chat_call(0, "[]"), *ended()]) as stream:
        assert () == view.repairs == stream.items(Write, tool="recipe").repairs


def test_a_view_of_a_field_tells_what_was_repaired_so_far() -> None:
    stream = Stream(["{path: '1 2", "',}"], format="pieces")
    view, words = stream.field("path", lenient=True), stream.field("path", lenient=True).words()
    found = ["unquoted_key", "single_quotes", "trailing_comma"]

    assert ("1 2", found[:2]) == (next(view), [each.name for each in view.repairs])
    assert ["1", " 2"] == list(words)
    assert ([], found) == (list(view), [each.name for each in view.repairs])
    assert words.repairs == view.repairs
    view.close()
    assert () == view.repairs == stream.text.repairs == stream.text.words().repairs


def test_views_made_of_others_tell_what_was_repaired() -> None:
    stream = Stream(["{path: '# 1", "',}"], format="pieces")
    drafts = stream.partials(dict, lenient=True)
    views: list[Any] = [stream.field("path", lenient=True).markdown_blocks()]
    views += [drafts, drafts.throttle(1_000), drafts.patches()]

    for view in views:
        assert list(view)
        assert [each.name for each in view.repairs] == ["unquoted_key", "single_quotes", "trailing_comma"]


def test_what_has_two_readings_stays_an_error() -> None:
    (call,) = Stream(claude("{'path': 1/2}")).validated_calls(write, lenient=True)

    assert isinstance(call.error, InvalidJSON)
    assert call.error_for_model.startswith("The arguments of write are no valid JSON")
    assert (False, ()) == (call.complete, call.repairs)


def test_repaired_arguments_are_checked_as_any_others_are() -> None:
    (call,) = Stream(claude("{path: 7}")).validated_calls(write=Write, lenient=True)

    assert type(call.error) is OutputInvalid
    assert [("path",)] == [error["loc"] for error in call.error.errors]
    assert ["unquoted_key"] == [repair.name for repair in call.repairs]


@pytest.mark.parametrize("lenient", [True, "closed"])
def test_a_router_repairs_for_the_tools_that_ask_for_it(lenient: Any) -> None:
    ran: list[str] = []
    router = Router()

    @router.tool(lenient=lenient)
    def write(path: str, text: str = "") -> str:
        ran.append(path)
        return path + text

    @router.tool("strict", Write)
    def strict(arguments: Write) -> str:
        ran.append(arguments.path)
        return arguments.path

    body = [
        *chat_call(0, RAW, name="write"),
        *chat_call(1, OPEN, name="write"),
        *chat_call(2, RAW, name="strict"),
        *ended(),
    ]
    results = Stream(body).run(router)

    assert ["C:\\dir"] + (["/srv"] if lenient is True else []) == ran
    assert ({"call_2"} if lenient is True else {"call_1", "call_2"}) == results.errors
    assert "call_0" in str(results.to_openai_chat()) or "C:" in str(results.to_openai_chat())


def test_a_router_reads_the_tools_that_it_begins_with_as_it_is_told() -> None:
    results = Stream(claude(RAW)).run(Router(Tools(write), lenient=True))

    assert {"call_0": "C:\\dir: one\ntwo\t\\d+"} == dict(results)
    assert {"call_0"} == Stream(claude(RAW)).run(Router(Tools(write))).errors


def test_the_stage_supplies_no_end() -> None:
    """A stage cannot know whether a call that it is fed was cut."""
    tools = ValidatedCalls(write, lenient=True)
    (repaired,) = tools.feed(ToolCall(name="write", arguments_text=RAW))
    (refused,) = tools.feed(ToolCall(name="write", arguments_text=OPEN))

    assert (MEANT, True) == (repaired.arguments, repaired.complete)
    assert isinstance(refused.error, InvalidJSON)
    assert [] == tools.feed(ToolCall(name="write", arguments_text='{"path": "/srv"}'))


def test_what_lenient_may_be_is_checked_where_it_is_given() -> None:
    wrong: Any = write
    with Stream([], format="text") as stream:
        for give in (stream.validated_calls, stream.tool_partials):
            with pytest.raises(MisuseError, match="lenient="):
                give(lenient=wrong)
    with pytest.raises(MisuseError, match="lenient="):
        Router().tool("write", lenient=wrong)


def test_arguments_can_be_looked_at_leniently_while_they_are_written() -> None:
    stream = Stream(claude(RAW))
    deltas = [event for event in stream if isinstance(event, ToolCallDelta)]

    assert (MEANT, MEANT) == (deltas[0].lenient_arguments, deltas[-1].lenient_arguments)
    assert {"path": "C:"} == {name: value[:2] for name, value in deltas[-1].partial_arguments.items()}
    grown: list[Any] = []
    for event in Stream(claude(RAW)):
        if isinstance(event, ToolCallDelta):
            grown.append(dict(event.lenient_arguments or {}))
    assert grown[-1] == MEANT
    assert len(grown) > 5


@pytest.mark.slow
def test_arguments_that_are_json_are_read_alike_in_recordings() -> None:
    count = 0
    for recorded in [*recordings.ours(), *recordings.shared("anthropic", "openai-chat", "bedrock-converse")]:
        if recorded.format == "custom":
            continue
        stream = Stream([recorded.body], format=recorded.format)
        try:
            stream.final()
        except errors.StreamError:
            continue
        tools: dict[str, Any] = dict.fromkeys({call.name for call in stream.message.tool_calls} - {""}, dict)
        if not tools:
            continue
        strict, lenient = (
            [(call.id, call.complete, call.error is None, call.repairs) for call in view]
            for view in (stream.validated_calls(**tools), stream.validated_calls(lenient=True, **tools))
        )
        assert strict == lenient
        count += len(strict)
    assert count
