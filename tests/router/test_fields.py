"""`Router`: handlers of fields and items."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.router.support import Choice, Cursor, begin, done, message_of, run_on, tool_call
from tokenstream import Stream
from tokenstream.errors import MisuseError, OutputIncomplete, OutputInvalid
from tokenstream.events import TextDelta, ToolCallDelta
from tokenstream.message import Message
from tokenstream.router import Router


class _Lasting(Cursor):
    """One whose last item, an error, comes again and again."""

    def end(self) -> Any:
        item = self._end[0] if len(self._end) == 1 else self._end.pop(0)
        if isinstance(item, Exception):
            raise item
        return item


def test_fields_and_items_ask_the_stream_for_its_own_views() -> None:
    """With the same options, so that they mean the same."""
    router = Router()
    router.field("summary", tool="report", fail_fast=True, lenient=True, document="first")(str)
    router.item(int, "steps", fail_fast=True)(int)
    choice = Choice(Cursor([], [], []), Cursor([], [], []))
    begin(router, choice)

    assert [
        (
            "field",
            "summary",
            {"tool": "report", "fail_fast": True, "lenient": True, "document": "first"},
        ),
        ("items", int, "steps", {"tool": None, "fail_fast": True, "lenient": False, "document": None}),
    ] == choice.asked


def test_an_item_whose_path_comes_first_is_told_the_order() -> None:
    """The order is that of `stream.items`: the type, then where it is."""
    router: Any = Router()

    with pytest.raises(MisuseError, match=r"the type first: write router\.item\(int, 'steps'\)"):
        router.item("steps", int)


def test_what_a_view_has_missed_comes_first_and_its_end_last() -> None:
    """As in a loop over the view."""
    router = Router()
    router.item(int, "steps")(lambda item: item)
    run = run_on(router, Cursor([1, 7], [[2, 3], []], [4]))

    assert [1, 7] == [work.call() for work in run.begin()]
    assert [[2, 3], []] == done(run, TextDelta("a"), TextDelta("b"))
    assert [4] == [work.call() for work in run.end(message_of("ab"))]


def test_an_item_may_be_null() -> None:
    """Before the router runs, while it does, and at the end of the text."""
    router = Router()
    seen: list[int | None] = []
    router.item(TypeAdapter(int | None), "")(seen.append)
    stream = Stream(["[1, null", ", null, 2", ", null]"], format="pieces")
    next(stream.text)
    stream.run(router)

    assert [1, None, None, 2, None] == seen


def test_a_field_of_a_tool_is_read_as_its_arguments_are_written() -> None:
    """With each piece of them, and not with the text."""
    router = Router()
    router.field("summary", tool="report")(str)
    run = run_on(router, Cursor([], [["a"], ["b"]], []))

    assert [[], ["a"], ["b"]] == done(
        run, TextDelta("no"), ToolCallDelta("c1", '{"summary": "a'), ToolCallDelta("c1", "b")
    )


def test_an_invalid_item_does_not_keep_the_others_from_their_handler() -> None:
    """The first one is raised when the answer has ended."""
    wrong, another = OutputInvalid("one", text=""), OutputInvalid("two", text="")
    router = Router()
    router.field("summary", tool="other")(str)
    router.item(int, "steps")(lambda item: item)
    run = run_on(router, Cursor([], [], []), Cursor([], [[1, wrong, 2], [another, 3]], []))

    assert [[1, 2], [3]] == done(run, TextDelta("a"), TextDelta("b"))
    assert [] == run.end(message_of("ab"))
    with pytest.raises(OutputInvalid) as caught:
        run.finish(message_of("ab"))
    assert caught.value is wrong


_CUT = OutputIncomplete("cut", text="")

_WEATHER = tool_call("c1", "weather")


@pytest.mark.parametrize(
    ("message", "raised"),
    [
        (message_of("{"), True),
        (message_of(" "), False),
        (message_of("{", "stopped"), False),
        (message_of("Let me see", "complete", _WEATHER), False),
    ],
)
def test_an_answer_that_is_no_json_is_an_error_only_where_it_was_to_be_json(
    message: Message, raised: bool
) -> None:
    """Not where there is no text, where it is talk beside tool calls, where the caller stopped the stream."""
    router = Router()
    router.field("summary")(str)
    run = run_on(router, _Lasting([], [], ["last", _CUT]))
    work = run.end(message)

    assert (["last"] if message.text.strip() else []) == [each.call() for each in work]
    if raised:
        with pytest.raises(OutputIncomplete):
            run.finish(message)
    else:
        assert {} == dict(run.finish(message))


def test_what_was_wrong_before_the_end_stays_wrong_where_the_stream_was_stopped() -> None:
    """Only what is missing may be the stop's doing."""
    wrong = OutputInvalid("one", text="")
    router = Router()
    router.item(int, "steps")(lambda item: item)
    run = run_on(router, _Lasting([wrong], [], [_CUT]))
    run.begin()
    run.end(message_of("[", "stopped"))

    with pytest.raises(OutputInvalid) as caught:
        run.finish(message_of("[", "stopped"))
    assert caught.value is wrong


@pytest.mark.parametrize(("name", "raised"), [("report", True), ("other", False)])
def test_arguments_of_a_tool_that_was_not_called_are_not_missing(name: str, raised: bool) -> None:
    """The model decides which tool it calls."""
    router = Router()
    router.field("summary", tool="report")(str)
    run = run_on(router, _Lasting([], [], [_CUT]))
    message = message_of("", "complete", tool_call("c1", name))
    run.end(message)
    if raised:
        with pytest.raises(OutputIncomplete):
            run.finish(message)
    else:
        assert {} == dict(run.finish(message))


@pytest.mark.parametrize("at", ["a..b", ("a", 1.5)])
def test_a_path_that_is_none_is_refused_where_it_is_registered(at: Any) -> None:
    """Not when the first stream is run."""
    for register in (Router().field, functools.partial(Router().item, int)):
        with pytest.raises(MisuseError):
            register(at)
