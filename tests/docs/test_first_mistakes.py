"""What a newcomer writes first, and the message that says what to write."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.errors import PydanticUserError

import tokenstream
from tests.stream.bodies import ANSWER
from tests.support.tables import in_one_test
from tokenstream import (
    AsyncSession,
    AsyncStream,
    Decoder,
    Message,
    MessageStart,
    Retry,
    Route,
    Session,
    StatusError,
    Stream,
    TextDelta,
    Tools,
    Usage,
    aconnect,
    aresilient,
    connect,
    relay,
    resilient,
    response_format,
    tap,
    testing,
)
from tokenstream._basics.elsewhere import find_requirement, needing
from tokenstream.departures import Departures
from tokenstream.errors import MisuseError, OutputIncomplete, StreamTruncated
from tokenstream.message import ServerToolResult
from tokenstream.stages import Budget
from tokenstream.steps import Peer
from tokenstream.terminal import MarkdownPrinter
from tokenstream.turns import ToolResults


class Item(BaseModel):
    name: str
    qty: int = 0

    def double(self) -> int:
        return 2 * self.qty


class Order(BaseModel):
    dish: str
    items: list[Item] = []


DRAFT = '{"dish": "soup", "items": [{"name": "a", "qty": 2}, {"name": "b"'


_URL = "http://localhost:9/v1"


def _last_draft() -> Any:
    drafts: list[Any] = []
    with pytest.raises(OutputIncomplete):
        for draft in Stream(testing.script().text(DRAFT).finish().chunks("openai-chat")).partials(Order):
            drafts.append(draft)
    return drafts[-1]


# -- loops --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        lambda stream: stream,
        lambda stream: stream.text,
        lambda stream: stream.text.words(),
        lambda stream: stream.tool_calls,
        lambda stream: stream.partials(Order),
    ],
)
def test_for_over_what_is_asynchronous_names_async_for(part: Any) -> None:
    """The class is still no iterable for who asks before."""
    looped = part(aconnect(_URL))
    with pytest.raises(MisuseError, match="read it in `async for`"):
        list(looped)

    assert not hasattr(looped, "__iter__")


@pytest.mark.parametrize("part", [lambda stream: stream, lambda stream: stream.text])
def test_async_for_over_what_is_synchronous_names_the_class(part: Any) -> None:
    """Python's own error: by an `__aiter__`, frameworks would take the object for an asynchronous one."""
    looped = part(connect(_URL))

    async def read() -> None:
        async for _ in looped:
            pass

    with pytest.raises(TypeError, match=r"'async for' requires .* got (Stream|TextView)"):
        anyio.run(read)
    assert not hasattr(looped, "__aiter__")


def test_await_of_a_stream_says_async_with() -> None:
    """The client of OpenAI is awaited; ours sends nothing before the first read."""

    async def read() -> Any:
        wrong: Any = aconnect(_URL)
        return await wrong

    with pytest.raises(MisuseError, match="`async with … as stream`"):
        anyio.run(read)
    # What asks whether a sync stream can be awaited would await it.
    assert not inspect.isawaitable(connect(_URL))


# -- options --------------------------------------------------------------------------


# What no type allows.
_Retry: Any = Retry
_Peer: Any = Peer
_Stream: Any = Stream
_AsyncStream: Any = AsyncStream
_connect: Any = connect
_aconnect: Any = aconnect
_TAKEN: dict[Any, str] = {
    Stream: "source format limits deadlines started_at reorder tags tools job",
    AsyncStream: "source format limits deadlines started_at reorder tags tools job",
    Decoder: "format content_type limits tags tools",
    tap: "source format limits started_at tools tags",
    connect: "url method client format retry limits deadlines tags job request",
    aconnect: "url method client format retry limits deadlines tags job request",
    resilient: "open retry format limits deadlines tags job",
    aresilient: "open retry format limits deadlines tags job",
    Session: "open model tools format settings retry fallback limits deadlines tags",
    AsyncSession: "open model tools format settings retry fallback limits deadlines tags",
}
"""The options of each function that reads answers; the two colours take the same."""


@in_one_test(
    ("make", "words"),
    [
        (
            lambda: _Retry(max_retries=2),
            r"^Retry\(\) has no option max_retries=: write attempts=, which counts",
        ),
        (lambda: _Retry(backoff_factor=2), r"wait= takes the seconds before the second attempt"),
        (
            lambda: _Peer(BytesIO(), BytesIO(), headers=True),
            r"^Peer\(\) has no option headers=: messages are lines",
        ),
        (lambda: _Stream(ANSWER, retry=Retry()), r"^Stream\(\) .* connect\(url, retry=…\) and resilient"),
        (
            lambda: _AsyncStream(ANSWER, retry=Retry()),
            r"^AsyncStream\(\) .* aconnect\(url, retry=…\) and ares",
        ),
        (lambda: _Stream(ANSWER, json={}), r"connect\(url, json=…\) sends the request"),
        (lambda: _connect(_URL).text.throttle(ms=50), r"^throttle\(\) has no option ms=: hz= is the number"),
        (
            lambda: _connect(_URL).partials(Order).throttle(seconds=1),
            r"throttle\(hz=20\) delivers every 50 ms",
        ),
        (lambda: _connect(_URL, proxy="x"), r"pass client=httpx\.Client\(proxy=…\)"),
        (lambda: _connect(_URL, proxies={}), r"pass client=httpx\.Client\(proxy=…\)"),
        (lambda: _aconnect(_URL, verify=False), r"pass client=httpx\.AsyncClient\(verify=…\)"),
    ],
)
def test_an_option_of_another_library_is_named_with_ours(make: Any, words: str) -> None:
    """The error is a TypeError, too, as for any other option that is not there."""
    with pytest.raises(MisuseError, match=words):
        make()


@pytest.mark.parametrize("function", _TAKEN)
def test_what_reads_answers_takes_few_options(function: Any) -> None:
    assert _TAKEN[function].split() == [*inspect.signature(function).parameters]


def test_an_option_that_nobody_has_is_refused_as_ever() -> None:
    """The signature stays as it is written."""
    wrong: Any = Stream
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        wrong(ANSWER, colour="red")

    assert "retry" not in inspect.signature(Stream).parameters
    assert ["source", "format", "limits"] == list(inspect.signature(Stream).parameters)[:3]
    assert "hz" in inspect.signature(connect(_URL).text.throttle).parameters


def test_an_async_def_is_for_aresilient() -> None:
    async def ask() -> Any:
        return ANSWER

    with pytest.raises(MisuseError, match="use aresilient or aconnect"):
        resilient(ask)
    with pytest.raises(MisuseError, match="use aresilient or aconnect"):
        connect(_URL, retry=Retry(routes=Route(open=ask)))


# -- drafts ---------------------------------------------------------------------------


def test_a_draft_says_how_it_is_written() -> None:
    """A finished model has `model_dump`."""
    draft = _last_draft()
    with pytest.raises(
        AttributeError, match=r"no 'model_dump': \.to_python\(\) writes what has arrived, \.final"
    ):
        draft.model_dump()

    assert {"dish": "soup", "items": [{"name": "a", "qty": 2}, {"name": "b"}]} == draft.to_python()


def test_a_misspelt_field_of_a_draft_lists_the_fields() -> None:
    with pytest.raises(
        AttributeError, match=r"no field 'dihs': did you mean 'dish'\? its fields are dish, items\."
    ):
        _ = _last_draft().dihs


def test_a_draft_with_many_fields_lists_a_dozen() -> None:
    names: dict[str, Any] = {f"f{number}": (int, 0) for number in range(20)}
    from pydantic import create_model

    (draft, *_) = Stream(testing.script().text('{"f0": 1}').finish().chunks("openai-chat")).partials(
        create_model("Wide", **names)
    )
    with pytest.raises(AttributeError, match="f10, f11 and 8 more"):
        _ = draft.zzz


def test_an_element_that_is_not_finished_shows_the_form_with_a_path() -> None:
    """Fields are read in one way before and after it closes; methods are there after it closes."""
    draft = _last_draft()

    assert ["a", "b"] == [element.name for element in draft.items]
    assert (2, None) == (draft.get("items", 0, "qty"), draft.get("items", 1, "qty", default=None))
    assert 4 == draft.items[0].double()
    with pytest.raises(
        AttributeError, match=r'draft\.get\("items", 0, "qty"\) reads a field of an element before'
    ):
        draft.items[1].double()


# -- requests -------------------------------------------------------------------------


def _send(**options: Any) -> None:
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    connect(_URL, client=client, **options).final()


class _Key:
    """No text."""


_CIRCLE: dict[str, Any] = {}
_CIRCLE["again"] = [_CIRCLE]


@pytest.mark.not_quick
@in_one_test(
    ("options", "words"),
    [
        ({"headers": {"Authorization": None}}, r"the header 'Authorization' is None: give it a value"),
        (
            {"headers": {"X-Ok": "yes", "X-Name": "Grüße"}},
            r"the header 'X-Name' has a character that is not ASCII",
        ),
        ({"headers": [("X-Count", 3)]}, r"the header 'X-Count' is an int: give it as a str"),
        (
            {"json": {"a": [{"when": datetime(2026, 1, 1, tzinfo=UTC)}]}},
            r'json\["a"\]\[0\]\["when"\] is a datetime',
        ),
        ({"json": {"tools": [{"x"}]}}, r'json\["tools"\]\[0\] is a set, which JSON does not have$'),
        ({"json": {"t": float("nan")}}, r'json\["t"\] is nan'),
        ({"json": [Item(name="x")]}, r"json\[0\] is an Item: pass its \.model_dump\(\)"),
        ({"json": {"x": {_Key(): 1}}}, r'json\["x"\] has a key that is a _Key'),
        ({"json": {"text": "\ud83d"}}, r'json\["text"\] has half a surrogate pair'),
        ({"json": _CIRCLE}, r'json\["again"\]\[0\] contains itself'),
    ],
)
def test_what_cannot_be_sent_is_named_by_its_place(options: Any, words: str) -> None:
    with pytest.raises(MisuseError, match=rf"^the request cannot be made: {words}") as caught:
        _send(**options)

    assert "Grüße" not in str(caught.value)


@pytest.mark.slow
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    )
)
def test_nothing_is_found_wrong_with_json(payload: Any) -> None:
    """A value that occurs twice is no circle: the request is made, and its answer is empty."""
    with pytest.raises(StreamTruncated):
        _send(json=[payload, payload], headers={"X-A": "b", "X-B": b"\xff"})


def _any(value: object) -> Any:
    """Return a value as code without types has it."""
    return value


@in_one_test(
    ("wrong", "words"),
    [
        (lambda: _refused().status_code, r"status of a StatusError is `error\.status`"),
        (lambda: _refused().response, r"`error\.status`, `error\.body`"),
        (lambda: _any(TextDelta("Hi")).content, r"a TextDelta has `event\.text`"),
        (lambda: _any(MessageStart()).text, r"a TextDelta has `event\.text`"),
        (lambda: _any(connect(_URL)).text.strip(" "), r"write stream\.message\.text\.strip"),
        (lambda: _any(connect(_URL)).json(), r"`stream\.result\(type\)` reads"),
        (lambda: _any(connect(_URL)).markdown_blocks(), r"write `stream\.text\.markdown_blocks"),
        (lambda: _any(connect(_URL)).on("text", print), r"stream\.run\(router\)"),
        (lambda: {**_any(response_format(Order))}, r"write \{\*\*format\.to_openai_chat\(\)\}"),
        (lambda: _any(response_format(Order)).to_openai(), r"write \.to_openai_chat\(\) or"),
        (lambda: _any(Tools(max=Order)).to_openai(), r"write \.to_openai_chat\(\) or"),
        (lambda: _any(Message())["text"], r"write `\.name` for \['name'\]"),
        (lambda: _any(Message()).response_metadata, r"`message\.provider_data`"),
        (lambda: _any(Budget)(100), r"takes these arguments by name: tokens=, characters="),
        (lambda: _any(ToolResults)(Message(), ["7"]), r"a dict, \{call\.id: result\}"),
        (lambda: _any(MarkdownPrinter()).show("text"), r"stream\.text\.markdown_blocks\(\), not a str"),
        (lambda: _any(relay).respond(aconnect(_URL).text), r"a relay sends an AsyncStream"),
        (lambda: _any(connect(_URL)).result({"type": "object"}), r"`dict` for any JSON object"),
        (lambda: exec("from tokenstream import ToolResults"), r"from tokenstream\.turns import ToolResults"),
        (lambda: _any(connect(_URL)).text(), "'TextView' object is not callable"),
        (lambda: _any(tokenstream).Purse(2.0), r"Purse\(\) takes these arguments by name: most=, "),
        (lambda: _any(testing).script("Hello"), r'write script\(\)\.text\("Hello"\)'),
        (lambda: _any(tokenstream).merge(connect(_URL), connect(_URL)), r'write merge\(\{"a": a, "b": b\}\)'),
        (lambda: _any(tokenstream).Route(_URL, json={}, headers="Bearer x"), "headers= takes a dict"),
        (lambda: _Retry(routes=tokenstream.Routes), r"such as connect\(…\), and not Routes$"),
        (lambda: connect(_URL, json={"messages": [{}, [{}]]}), r"write messages \+= results\.turns\(\)"),
        (lambda: _any(MessageStart()).encode(), r"return relay\.respond\(aconnect\(…\)\)"),
        (lambda: _any(relay).endpoints(relay.MemoryJournal()).routes, r'write app\.mount\("/answers"'),
        (lambda: _any(Departures())["done_missing"], r"ask \.details\['done_missing'\]"),
        (lambda: _any(connect(_URL)).result(), r"^result\(\) missing 1 required"),
        (lambda: _any(AsyncStream).checkpoint(None, 1), r"^checkpoint\(\) takes"),
    ],
)
def test_a_word_of_another_library_is_reported_with_ours(wrong: Any, words: str) -> None:
    with pytest.raises((AttributeError, ImportError, KeyError, TypeError, MisuseError), match=words):
        wrong()


def test_a_word_of_another_library_is_no_second_name() -> None:
    """Who asks whether it is there gets no for an answer; `dir` does not offer it."""
    absent: list[tuple[Any, str]] = [(_refused(), "status_code"), (TextDelta("Hi"), "content")]
    absent += [(response_format(Order), "keys"), (connect(_URL).text, "upper"), (tokenstream, "ToolResults")]

    assert [] == [name for value, name in absent if hasattr(value, name) or name in dir(value)]
    assert not hasattr(Message(), "__getitem__")
    assert "text" in dir(TextDelta("Hi"))
    assert 3 == _any(sum([Usage(input_tokens=1), Usage(input_tokens=2)])).input_tokens


def test_media_print_as_their_type_and_size() -> None:
    image = testing.script().media(b"\x89PNG" * 325_000, mime_type="image/png").finish().stream("gemini")
    printed = [repr(event) for event in image]
    png = "iVBORw0KGgo" + "A" * 1000
    part = ServerToolResult(content=[{"url": "data:image/png;base64," + png, "partial_image_b64": png}])

    assert any("<image/png, 1.3 MB>" in each for each in printed)
    assert "<image/png, 1.3 MB>" in repr(image.message)
    assert max(map(len, [*printed, repr(image.message)])) < 1000
    assert "{'url': <image/png, 774 bytes>, 'partial_image_b64': <media, 758 bytes>}" in repr(part)


@in_one_test(
    ("place", "words"),
    [
        (
            lambda turn: {"messages": [{"role": "user", "content": turn}]},
            r'in place of json\["messages"\]\[0\]$',
        ),
        (lambda turn: {"messages": turn}, r"or that of another API, such as \.to_anthropic\(\), in a list$"),
        (lambda _: {"tools": [max]}, r'pass Tools\(…\)\.to_openai_chat\(\).*, as json\["tools"\]$'),
        (lambda _: {"response_format": Order}, r"\{\*\*response_format\(Order\)\.to_openai_chat\(\)\}"),
        (lambda _: {"image": b"x"}, r"pass base64\.b64encode\(…\)\.decode\(\)"),
    ],
)
def test_what_goes_into_a_payload_is_reported_with_its_place(place: Any, words: str) -> None:
    """Whoever follows the advice sends a request that an API takes."""
    with pytest.raises(MisuseError, match=words):
        _send(json=place(Message()))


def test_an_old_package_is_reported_with_the_version_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    find_requirement.cache_clear()
    monkeypatch.setattr("importlib.metadata.version", lambda _: "3.5.3")
    with (
        pytest.raises(MisuseError, match=r'x needs redis: install it with pip install "redis>=\d'),
        needing("redis", "x"),
    ):
        pass
    find_requirement.cache_clear()


def _refused() -> Any:
    with pytest.raises(StatusError) as caught:
        connect(
            _URL, client=httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(401)))
        ).final()
    return caught.value


# -- tools, taps, recordings, types -------------------------------------------------------


def test_a_typed_dict_of_typing_names_typing_extensions() -> None:
    """Pydantic refuses it before Python 3.12, and this library's hint is not to rebuild it."""

    class Refused:
        @classmethod
        def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
            raise PydanticUserError("Please use `typing_extensions.TypedDict`", code="typed-dict-version")

    with pytest.raises(MisuseError, match="write `from typing_extensions import TypedDict`"):
        connect(_URL).result(Refused)
