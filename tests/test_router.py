"""`Router`: the table of handlers, and what each event makes of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from tokenstream import Stream, Tools
from tokenstream.errors import MisuseError, OutputIncomplete, OutputInvalid, StreamTruncated
from tokenstream.events import (
    Event,
    Finish,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    UsageUpdate,
)
from tokenstream.message import Message, TextPart, ToolCall
from tokenstream.router import Router, ToolFailed, ToolResults
from tokenstream.stages import ValidatedCalls
from tokenstream.stages._cursor import NULL
from tokenstream.stages._handlers import HandlerRun


class _Cursor:
    """A view that gives what is scripted: a list for what was missed, for each event, and for the end."""

    def __init__(self, missed: list[Any], live: list[list[Any]], end: list[Any]) -> None:
        self._now = list(missed)
        self._live = iter(live)
        self._end = list(end)

    def ready(self) -> Any:
        item = self._now.pop(0) if self._now else None
        if isinstance(item, Exception):
            raise item
        return item

    def after(self, event: Event) -> Any:
        self._now += next(self._live, [])
        return self.ready()

    def end(self) -> Any:
        self._now, self._end = self._now + self._end, []
        return self.ready()


class _Lasting(_Cursor):
    """One whose last item, an error, comes again and again."""

    def end(self) -> Any:
        item = self._end[0] if len(self._end) == 1 else self._end.pop(0)
        if isinstance(item, Exception):
            raise item
        return item


class _Choice:
    """Views of a scripted answer; the calls are checked by the stage that checks all calls."""

    def __init__(self, *cursors: _Cursor, calls: tuple[ToolCall, ...] = ()) -> None:
        self._cursors = iter(cursors)
        self._calls = calls
        self.asked: list[tuple[Any, ...]] = []

    def field(self, at: Any, **options: Any) -> _Cursor:
        self.asked.append(("field", at, options))
        return next(self._cursors)

    def items(self, item: Any, at: Any, **options: Any) -> _Cursor:
        self.asked.append(("items", item, at, options))
        return next(self._cursors)

    def validated_calls(self, *tools: Any, lenient: Any) -> _Cursor:
        checks = ValidatedCalls(*tools, lenient=lenient)
        return _Cursor([], [checks.feed(call) for call in self._calls], [])


def _run(router: Router, *cursors: _Cursor, calls: tuple[ToolCall, ...] = ()) -> HandlerRun:
    return _begin(router, _Choice(*cursors, calls=calls))


def _begin(router: Router, choice: _Choice) -> HandlerRun:
    return router._begin(choice)  # noqa: SLF001 - as a stream does it


def _done(run: HandlerRun, *events: Event) -> list[Any]:
    """Return what the handlers return, event by event."""
    return [[work.do() for work in run.feed(event)] for event in events]


def _call(id: str, name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(id=id, name=name, arguments_text=arguments, complete=True)


def _ended(calls: tuple[ToolCall, ...]) -> list[Event]:
    return [ToolCallDone(call) for call in calls]


def _text(text: str, ending: Any = "complete", *calls: ToolCall) -> Message:
    return Message(parts=(TextPart(text=text), *calls), ending=ending)


class City(BaseModel):
    """Arguments of a tool."""

    city: str


def _takes_none() -> None:
    raise NotImplementedError


def _takes_three(a: object, b: object, c: object) -> None:
    raise NotImplementedError


def _numbered(number: int, event: object) -> tuple[int, object]:
    return number, event


def _kind(event: object) -> type:
    return type(event)


# -- events ------------------------------------------------------------------


def test_handlers_of_one_event_are_called_in_the_order_in_which_they_were_registered() -> None:
    """Whatever other classes each of them was registered for."""
    router = Router()
    router.on(TextDelta)(lambda event: ("first", event.text))
    router.on(ReasoningDelta, TextDelta)(lambda event: ("second", event.text))
    router.on(TextDelta)(lambda event: ("third", event.text))

    assert [
        [("first", "a"), ("second", "a"), ("third", "a")],
        [("second", "b")],
    ] == _done(_run(router), TextDelta("a"), ReasoningDelta("b"))


def test_a_decorated_function_stays_what_it_is() -> None:
    """So one may stand under several decorators, and be called by itself."""
    router: Any = Router()

    assert router.on(TextDelta)(_kind) is router.on(Finish)(_kind) is _kind
    assert [[TextDelta], [Finish]] == _done(_run(router), TextDelta("a"), Finish("stop"))
    assert repr(router) == "<Router with 2 handlers>"


def test_events_of_other_choices_and_those_without_a_handler_set_nothing_going() -> None:
    """A router reads the first choice."""
    router = Router()
    router.on(TextDelta)(lambda event: event.text)

    assert [[], [], ["a"]] == _done(
        _run(router), TextDelta("b", choice=1), ToolCallDelta("c", "{"), TextDelta("a")
    )


@given(
    registered=st.lists(st.lists(st.sampled_from((TextDelta, ReasoningDelta)), min_size=1, unique=True)),
    events=st.lists(st.sampled_from((TextDelta("t"), ReasoningDelta("r"), ToolCallDelta("c", "f")))),
)
def test_each_handler_gets_the_events_of_its_classes_and_no_others(
    registered: list[list[Any]], events: list[Any]
) -> None:
    """As a loop that asks each handler in turn would do."""
    router: Any = Router()
    for number, classes in enumerate(registered):
        router.on(*classes)(functools.partial(_numbered, number))

    assert [
        [(number, event) for number, classes in enumerate(registered) if type(event) in classes]
        for event in events
    ] == _done(_run(router), *events)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ((), "takes at least one class of events"),
        ((str,), "takes classes of events, not <class 'str'>; they are CitationAdded, Finish"),
        ((Event,), "takes classes of events, not "),
        ((_takes_none,), "takes classes of events, not "),
    ],
)
def test_what_is_no_class_of_events_is_refused(classes: tuple[Any, ...], words: str) -> None:
    """Also the decorator without its parentheses."""
    with pytest.raises(MisuseError, match=rf"router.on.* {words}"):
        Router().on(*classes)


def test_every_class_of_events_can_be_handled() -> None:
    """All members of the union, which may grow."""
    router: Any = Router()
    router.on(*get_args(Event))(_kind)

    assert [[TextDelta], [Finish]] == _done(_run(router), TextDelta("a"), Finish("stop"))


@pytest.mark.parametrize("handler", [None, "show", _takes_none, _takes_three])
def test_what_cannot_take_one_argument_is_no_handler(handler: Any) -> None:
    """It is refused where it is registered, not when the first event comes."""
    with pytest.raises(MisuseError, match="TextDelta"):
        Router().on(TextDelta)(handler)


def test_a_function_that_does_not_tell_its_arguments_is_taken_at_its_word() -> None:
    """As some that are written in C."""
    router = Router()
    router.on(TextDelta)(type)

    assert [[TextDelta]] == _done(_run(router), TextDelta("a"))


@pytest.mark.parametrize("concurrency", [0, -1, None, 1.5, "8"])
def test_at_least_one_tool_may_run_at_once(concurrency: Any) -> None:
    """Nothing else is a number of tools."""
    with pytest.raises(MisuseError, match="concurrency="):
        Router(concurrency=concurrency)
    assert (8, 1) == (Router().concurrency, Router(concurrency=1).concurrency)


# -- fields and items ----------------------------------------------------------


def test_fields_and_items_ask_the_stream_for_its_own_views() -> None:
    """With the same options, so that they mean the same."""
    router = Router()
    router.field("summary", tool="report", fail_fast=True, lenient=True, document="first")(str)
    router.item(int, "steps", fail_fast=True)(int)
    choice = _Choice(_Cursor([], [], []), _Cursor([], [], []))
    _begin(router, choice)

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
    """As in a loop over the view; an item may be null."""
    router = Router()
    router.item(int, "steps")(lambda item: item)
    run = _run(router, _Cursor([1, NULL], [[2, 3], []], [4]))

    assert [1, None] == [work.do() for work in run.begin()]
    assert [[2, 3], []] == _done(run, TextDelta("a"), TextDelta("b"))
    assert [4] == [work.do() for work in run.end(_text("ab"))]


def test_a_field_of_a_tool_is_read_as_its_arguments_are_written() -> None:
    """With each piece of them, and not with the text."""
    router = Router()
    router.field("summary", tool="report")(str)
    run = _run(router, _Cursor([], [["a"], ["b"]], []))

    assert [[], ["a"], ["b"]] == _done(
        run, TextDelta("no"), ToolCallDelta("c1", '{"summary": "a'), ToolCallDelta("c1", "b")
    )


def test_an_invalid_item_does_not_keep_the_others_from_their_handler() -> None:
    """The first one is raised when the answer has ended."""
    wrong, another = OutputInvalid("one", text=""), OutputInvalid("two", text="")
    router = Router()
    router.field("summary", tool="other")(str)
    router.item(int, "steps")(lambda item: item)
    run = _run(router, _Cursor([], [], []), _Cursor([], [[1, wrong, 2], [another, 3]], []))

    assert [[1, 2], [3]] == _done(run, TextDelta("a"), TextDelta("b"))
    assert [] == run.end(_text("ab"))
    with pytest.raises(OutputInvalid) as caught:
        run.finish(_text("ab"))
    assert caught.value is wrong


_CUT = OutputIncomplete("cut", text="")
_WEATHER = _call("c1", "weather")


@pytest.mark.parametrize(
    ("message", "raised"),
    [
        (_text("{"), True),
        (_text(" "), False),
        (_text("{", "stopped"), False),
        (_text("Let me see", "complete", _WEATHER), False),
    ],
)
def test_an_answer_that_is_no_json_is_an_error_only_where_it_was_to_be_json(
    message: Message, raised: bool
) -> None:
    """Not where there is no text, where it is talk beside tool calls, where the caller stopped the stream."""
    router = Router()
    router.field("summary")(str)
    run = _run(router, _Lasting([], [], ["last", _CUT]))
    work = run.end(message)

    assert (["last"] if message.text.strip() else []) == [each.do() for each in work]
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
    run = _run(router, _Lasting([wrong], [], [_CUT]))
    run.begin()
    run.end(_text("[", "stopped"))

    with pytest.raises(OutputInvalid) as caught:
        run.finish(_text("[", "stopped"))
    assert caught.value is wrong


@pytest.mark.parametrize(("name", "raised"), [("report", True), ("other", False)])
def test_arguments_of_a_tool_that_was_not_called_are_not_missing(name: str, raised: bool) -> None:
    """The model decides which tool it calls."""
    router = Router()
    router.field("summary", tool="report")(str)
    run = _run(router, _Lasting([], [], [_CUT]))
    message = _text("", "complete", _call("c1", name))
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


# -- tools ---------------------------------------------------------------------


def test_a_tool_gets_its_checked_arguments_and_the_call_if_it_has_room() -> None:
    """By position; a parameter with a default is not filled."""
    router = Router()

    @router.tool("weather", City)
    def weather(asked: City, *, unit: str = "°C") -> str:
        return f"{asked.city} {unit}"

    @router.tool("book", City)
    def book(asked: City, call: ToolCall[City]) -> str:
        return f"{asked.city} {call.id}"

    @router.tool("sum", TypeAdapter(list[int]))
    def add(numbers: list[int]) -> int:
        return sum(numbers)

    calls = (
        _call("c1", "weather", '{"city": "Oslo"}'),
        _call("c2", "book", '{"city": "Rome"}'),
        _call("c3", "sum", "[1, 2]"),
    )

    assert [["Oslo °C"], ["Rome c2"], [3]] == _done(_run(router, calls=calls), *_ended(calls))
    assert (weather(City(city="Bern")), add([1])) == ("Bern °C", 1)


def test_a_function_without_a_type_is_its_own_schema() -> None:
    """Its name is the tool's, or the one that is given."""
    router = Router()

    @router.tool
    def weather(city: str, days: int = 1) -> str:
        return f"{city} {days}"

    @router.tool("book_table")
    def book(people: int) -> int:
        return people

    calls = (_call("c1", "weather", '{"city": "Oslo"}'), _call("c2", "book_table", '{"people": 2}'))

    assert [["Oslo 1"], [2]] == _done(_run(router, calls=calls), *_ended(calls))
    assert weather("Rome", days=2) == "Rome 2"


def test_a_call_that_cannot_be_run_is_answered_with_what_is_wrong() -> None:
    """So that the model can correct itself; no handler sees it."""
    router = Router()
    router.tool("weather", City)(lambda asked: asked)
    calls = (_call("c1", "weather", "{}"), _call("c2", "whether"), _call("c3", "weather", '{"city": "Oslo"}'))
    run = _run(router, calls=calls)
    message = _text("", "complete", *calls)
    for event in _ended(calls):
        for work in run.feed(event):
            run.keep(work, work.do())
    results = run.finish(message)

    assert frozenset({"c1", "c2"}) == results.errors
    assert "city: is missing" in results["c1"]
    assert "The tools are: weather" in results["c2"]
    assert City(city="Oslo") == results["c3"]


def test_a_call_whose_arguments_are_read_is_answered_by_nobody() -> None:
    """It is how some providers give structured output, and no tool."""
    router = Router()
    router.tool("weather", City)(lambda asked: asked)
    router.field("summary", tool="report")(str)
    calls = (_call("c1", "report"), _call("c2", "weather", '{"city": "Oslo"}'))
    run = _run(router, _Cursor([], [], []), calls=calls)

    assert [[], [City(city="Oslo")]] == _done(run, *_ended(calls))
    assert {} == dict(run.finish(_text("", "complete", *calls)))


def test_calls_that_have_come_before_and_at_the_end_are_run_too() -> None:
    """In their order, as the view of calls gives them."""
    router = Router()
    for name in ("second", "first"):
        router.tool(name, dict[str, int])(lambda _, call: call.id)
    calls = (_call("a", "first"), _call("b", "second"), _call("c", "first"))
    checks = ValidatedCalls(first=dict[str, int], second=dict[str, int])
    one, two, three = (call for each in calls for call in checks.feed(each))
    choice: Any = SimpleNamespace(validated_calls=lambda *_, **_options: _Cursor([one, two], [], [three]))
    run = _begin(router, choice)

    assert ["a", "b"] == [work.do() for work in run.begin()]
    assert ["c"] == [work.do() for work in run.end(_text(""))]


def test_tools_come_behind_the_handlers_of_the_same_event() -> None:
    """So that a handler that raises keeps a tool from running."""
    router = Router()
    router.tool("weather", City)(lambda _: "run")
    router.tool("book", City)(lambda _: "not this")
    router.on(ToolCallDone)(lambda _: "first")
    router.on(ToolCallDone)(lambda _: "second")
    calls = (_call("c1", "weather", '{"city": "Oslo"}'),)

    assert [["first", "second", "run"]] == _done(_run(router, calls=calls), *_ended(calls))


def test_a_second_tool_of_the_same_name_is_refused() -> None:
    """A call has one result."""
    router = Router()
    router.tool("weather", City)(lambda asked: asked)

    with pytest.raises(MisuseError, match="already has a tool 'weather'"):
        router.tool("weather")(lambda city: city)


@pytest.mark.parametrize("function", [_takes_none, _takes_three])
def test_a_tool_takes_its_arguments_and_at_most_the_call(function: Any) -> None:
    """Anything else is refused where it is registered."""
    with pytest.raises(MisuseError, match=r"for tool 'weather' must take"):
        Router().tool("weather", City)(function)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (42, "must be a function, not 42"),
        (functools.partial(print), "no name of its own"),
        (lambda city: city, "no name of its own"),
    ],
)
def test_a_tool_is_a_function_and_has_a_name(function: Any, words: str) -> None:
    """Its own, or one that is given."""
    with pytest.raises(MisuseError, match=words):
        Router().tool(function)


@pytest.mark.parametrize("register", [lambda tool: tool(City), lambda tool: tool("weather")(City)])
def test_a_type_alone_is_no_tool(register: Callable[[Any], Any]) -> None:
    """It has nothing to run; the message says where it belongs."""
    with pytest.raises(MisuseError, match=r"City is a type.* @router\.tool\('\w+', City\) above"):
        register(Router().tool)


def test_a_tool_may_fail_for_the_model_to_hear() -> None:
    """What it says is the call's result, and the call one that failed."""
    router = Router()
    router.on(ToolCallDone)(_kind)
    router.tool("weather", City)(lambda asked: asked)
    calls = (_call("c1", "weather", '{"city": "Oslo"}'),)
    run = _run(router, calls=calls)
    handling, running = run.feed(ToolCallDone(calls[0]))

    assert (False, False, True) == (
        run.keep_failure(handling, ToolFailed("of no tool")),
        run.keep_failure(running, LookupError("none of the model's business")),
        run.keep_failure(running, ToolFailed("no such city")),
    )
    results = run.finish(_text("", "complete", *calls))
    assert ({"c1": "no such city"}, frozenset({"c1"})) == (dict(results), results.errors)


def test_a_router_without_tools_answers_no_call() -> None:
    """Whoever handles the events of calls answers them."""
    router = Router()
    router.on(ToolCallDone)(lambda event: event.call.id)
    calls = (_call("c1", "weather"),)
    run = _run(router)

    assert [["c1"]] == _done(run, *_ended(calls))
    assert {} == dict(run.finish(_text("", "complete", *calls)))


# -- names, and errors -----------------------------------------------------------


class _Shows:
    def __call__(self, event: object) -> None:
        raise LookupError

    def show(self, event: object) -> None:
        raise LookupError


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (_Shows(), "_Shows"),
        (_Shows().show, "_Shows.show"),
        (functools.partial(functools.partial(_Shows.show, _Shows())), "_Shows.show"),
    ],
)
def test_an_error_tells_which_handler_raised_it(handler: Any, name: str) -> None:
    """By its name and what it was registered for."""
    router = Router()
    router.on(TextDelta, UsageUpdate)(handler)
    run = _run(router)
    [work] = run.feed(TextDelta("a"))
    error = LookupError()
    work.blame(error)

    assert [f"raised by the handler '{name}' for TextDelta or UsageUpdate"] == error.__notes__


def test_an_error_of_a_tool_tells_of_which_call() -> None:
    """Its name and the call's id."""
    router = Router()
    router.tool("weather", City)(_Shows())
    calls = (_call("c1", "weather", '{"city": "Oslo"}'),)
    [work] = _run(router, calls=calls).feed(ToolCallDone(calls[0]))
    error = LookupError()
    work.blame(error)

    assert ["raised by the handler '_Shows' for tool 'weather', call 'c1'"] == error.__notes__


def test_an_error_of_the_stream_holds_what_the_tools_gave_back() -> None:
    """No error takes back what was run."""
    router = Router()
    router.on(ToolCallDone)(_kind)
    router.tool("weather", City)(lambda asked: asked.city)
    calls = (_call("c1", "weather", '{"city": "Oslo"}'),)
    run = _run(router, calls=calls)
    for work in run.feed(ToolCallDone(calls[0])):
        run.keep(work, work.do())
    error = StreamTruncated("cut")
    run.put_results_on(error, _text("", "truncated", *calls))
    results = error.tool_results

    assert isinstance(results, ToolResults)
    assert {"c1": "Oslo"} == dict(results)


async def _later(event: object) -> None:
    raise NotImplementedError


class _Later:
    async def __call__(self, event: object) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("handler", "name"), [(_later, "_later"), (_Later(), "_Later"), (functools.partial(_later), "_later")]
)
def test_an_asynchronous_handler_is_refused_where_nothing_can_be_awaited(handler: Any, name: str) -> None:
    """By its name, and with what to do."""
    router = Router()
    router.on(TextDelta)(_kind)
    router.on(TextDelta)(handler)
    with pytest.raises(MisuseError, match=rf"'{name}' for TextDelta is asynchronous, .* AsyncStream"):
        _run(router).refuse_async()
    _run(Router()).refuse_async()


@pytest.mark.parametrize("given", [True, False])
def test_types_of_a_function_that_made_the_router_are_known_later(given: bool) -> None:
    """Their names are gone when it is run, and were there when the tool was given."""

    def make() -> Router:
        class Town(BaseModel):
            name: str

        def locate(city: Town, radius: int = 1) -> str:
            return f"{radius} around {city.name}"

        router = Router(Tools(locate)) if given else Router()
        if not given:
            router.tool(locate)
        return router

    router = make()
    function = {"name": "locate", "arguments": '{"city": {"name": "Oslo"}}'}
    call = {"index": 0, "id": "call_1", "function": function}
    chunk = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}

    assert {"call_1": "1 around Oslo"} == dict(Stream([chunk], format="openai-chat").run(router))
    assert {"city", "radius"} == router.tools.to_anthropic()[0]["input_schema"]["properties"].keys()


def test_types_that_are_not_there_yet_are_looked_for_when_the_router_is_run() -> None:
    """A decorated function may be written before them."""
    router = Router()

    @router.tool
    def locate(city: Later) -> str:
        return city.name

    class Later(BaseModel):
        name: str

    assert ["name"] == router.tools.to_anthropic()[0]["input_schema"]["required"]
