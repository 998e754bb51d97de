"""Objects that are not bytes: what payload each of them is."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from tests._sources.kept import payloads_of
from tests.stream.bodies import ANSWER, AsyncSource, Source
from tests.support.wire import sse
from tokenstream import AsyncStream, Stream, merge
from tokenstream.errors import MisuseError, StreamTruncated
from tokenstream.events import TextDelta

pytestmark = pytest.mark.anyio

PAYLOADS: list[dict[str, Any]] = [json.loads(event[6:]) for event in ANSWER[:-1]]


class Chunk(BaseModel):
    """An SDK's object: it keeps what it does not know, and says what was sent."""

    model_config = ConfigDict(extra="allow")

    id: str = ""
    service_tier: str | None = None
    from_: str | None = Field(default=None, alias="from")


class Made:
    """An object that can only be made a dict of."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self._payload = payload

    def to_dict(self) -> dict[str, Any]:
        return self._payload


@dataclass
class Plain:
    """A dataclass with the keys of the wire."""

    id: str
    object: str
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, Any] | None = field(default=None)


FORMS: dict[str, Any] = {
    "dicts": dict,
    "mappings": MappingProxyType,
    "dicts of a kind of their own": OrderedDict,
    "models": Chunk.model_validate,
    "objects with to_dict": Made,
    "dataclasses": lambda payload: Plain(**payload),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_payloads_in_any_form_give_what_their_bytes_give(form: Any) -> None:
    """The format is found out from the first of them; the message is the same."""
    expected = Stream(ANSWER).final()
    stream = Stream(Source(form(payload) for payload in PAYLOADS))
    asynchronous = AsyncStream(AsyncSource(form(payload) for payload in PAYLOADS))

    assert expected == stream.final()
    assert expected == await asynchronous.final()
    assert "openai-chat" == stream.format


def test_only_what_was_sent_is_in_the_payload() -> None:
    """A field that an SDK fills in, or calls otherwise, is not of the wire."""
    chunk = Chunk.model_validate({"id": "c1", "from": "here", "more": [1]})

    assert [{"id": "c1", "from": "here", "more": [1]}] == payloads_of(chunk)


class Helper(BaseModel):
    """An event of an SDK's helper."""

    model_config = ConfigDict(extra="allow")

    type: str


Helper.__module__ = "anthropic.lib.streaming"


class Somebodys(BaseModel):
    """An object of nobody that we know, in the same words."""

    type: str
    text: str
    parsed: str


def test_the_same_words_of_anybody_else_are_what_came() -> None:
    """Only the helpers of two SDKs add to it."""
    payload = {"type": "text", "text": "a", "parsed": "b"}

    assert [payload] == payloads_of(Somebodys(**payload))


@pytest.mark.parametrize(
    "added", ["content.delta", "tool_calls.function.arguments.done", "text", "input_json"]
)
def test_what_a_helper_adds_is_left_out(added: str) -> None:
    """Events that say again what another one said are no payloads."""
    assert [] == payloads_of(Helper.model_validate({"type": added, "text": "a", "snapshot": "a"}))


def test_the_chunk_in_a_helpers_event_is_the_payload() -> None:
    """The helper of openai gives each chunk beside the answer so far."""
    event = Helper(type="chunk")
    object.__setattr__(event, "chunk", Chunk(id="c1"))

    assert [{"id": "c1"}] == payloads_of(event)


def test_the_fields_that_a_helper_adds_are_left_out() -> None:
    """The end of a block is what the wire says it is, without the whole block."""
    stop = Helper.model_validate({"type": "content_block_stop", "index": 1, "content_block": {"text": "…"}})
    over = Helper.model_validate({"type": "message_stop", "message": {"content": []}})

    assert [{"type": "content_block_stop", "index": 1}, {"type": "message_stop"}] == payloads_of(stop, over)


def test_a_message_of_a_graph_says_where_runs_are_followed() -> None:
    """LangGraph gives each with what is known of it, as a pair."""
    pairs: list[Any] = [("message", {"langgraph_node": "agent"})]
    with pytest.raises(MisuseError, match=r"tuple is not a piece of a body.*run\.follow\(events\)"):
        Stream(pairs).final()


@pytest.mark.parametrize(
    "item", [object(), 7, TextDelta("a"), Chunk, [b"data: a"], None], ids=lambda item: type(item).__name__
)
async def test_an_item_that_is_no_payload_is_misuse_that_names_it(item: Any) -> None:
    """An event of our own is none either: a stream is no source of another one."""
    named = type(item).__qualname__
    source = Source([sse("a"), item])
    with pytest.raises(MisuseError, match=f"{named} is not a piece of a body"):
        Stream(source, format="text").final()
    with pytest.raises(MisuseError, match=f"{named} is not a piece of a body"):
        await AsyncStream(AsyncSource([sse("a"), item]), format="text").final()

    assert 1 == source.closed


@dataclass
class Both(dict[str, Any]):
    """A dataclass that is a dict too; as a dict, what is within it has its fields only."""

    id: str
    inner: Any = None

    def __post_init__(self) -> None:
        self.update({"id": self.id, "inner": {"id": "…"} if isinstance(self.inner, Both) else self.inner})


def test_what_an_object_has_no_field_for_is_in_its_payload() -> None:
    inner = Both("b", 7)
    inner.__dict__["more"] = [Both("c"), 1]

    payload = {"id": "a", "inner": {"id": "b", "inner": 7, "more": [{"id": "c"}, 1]}}

    assert [payload] == payloads_of(Both("a", inner))


class Wrapper:
    """A stream that knows whether a finish reason was received."""

    def __init__(self, *items: Any, received: str | None = None, other: str | None = None) -> None:
        self._items = iter(items)
        self.received_finish_reason = received
        self.intermittent_finish_reason = other

    def __iter__(self) -> Wrapper:
        return self

    def __next__(self) -> Any:
        return next(self._items)


STOP: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}, None]}


def test_a_finish_reason_that_was_not_received_is_left_out() -> None:
    """A wrapper made it up, so that its stream looks finished."""
    with pytest.raises(StreamTruncated) as caught:
        Stream(Wrapper(Chunk.model_validate(STOP))).final()

    assert "Hi" == caught.value.partial.text


@pytest.mark.parametrize("known", [{"received": "stop"}, {"other": "stop"}])
def test_a_finish_reason_that_was_received_counts(known: Any) -> None:
    assert "stop" == Stream(Wrapper(Chunk.model_validate(STOP), **known)).final().finish_reason


class Routed(Wrapper):
    """A stream of litellm's router, which passes on the items of another one, or of a fallback."""

    __module__ = "litellm.router"

    def __init__(self, model_response: Any, fallback: Any = None) -> None:
        super().__init__()
        self.completion_stream = self._pass_on(model_response, fallback)

    def _pass_on(self, model_response: Any, fallback: Any) -> Iterator[Any]:
        fallback_response = fallback
        yield from model_response if fallback_response is None else fallback_response

    def __next__(self) -> Any:
        return next(self.completion_stream)


def test_a_router_passes_on_what_its_stream_has_received() -> None:
    whole, cut = (Wrapper(Chunk.model_validate(STOP), received=reason) for reason in ("stop", None))

    assert "stop" == Stream(Routed(whole)).final().finish_reason
    with pytest.raises(StreamTruncated):
        Stream(Routed(cut)).final()


def test_a_router_passes_on_what_its_fallback_has_received() -> None:
    whole = Wrapper(Chunk.model_validate(STOP), received="stop")

    assert "stop" == Stream(Routed(Wrapper(), Routed(whole))).final().finish_reason


def test_a_router_whose_stream_is_not_found_is_believed() -> None:
    """A whole answer must not become an error when litellm names its variables anew."""
    routed = Routed(Wrapper())
    routed.completion_stream = iter([Chunk.model_validate(STOP)])

    assert "stop" == Stream(routed).final().finish_reason


@pytest.mark.parametrize("item", [{"choices": 7}, {"x": 1}])
def test_other_items_of_such_a_stream_are_as_they_are(item: Any) -> None:
    """Without choices, no finish reason was made up."""
    assert [item] == payloads_of(source=Wrapper(item))


def test_bytes_in_any_form_are_a_body() -> None:
    """bytes, bytearray and memoryview, mixed as they come."""
    body = b"".join(ANSWER)
    pieces: list[Any] = [body[:100], bytearray(body[100:300]), memoryview(body)[300:]]

    assert Stream(ANSWER).final() == Stream(Source(pieces)).final()


def _in_one_buffer(chunks: list[bytes]) -> Iterator[memoryview]:
    """Yield chunks as a loop around `recv_into` does: each is a view of the buffer that held the last one."""
    buffer = bytearray(max(map(len, chunks)))
    for chunk in chunks:
        buffer[: len(chunk)] = chunk
        yield memoryview(buffer)[: len(chunk)]


async def test_a_source_may_fill_its_buffer_again_before_the_loop_has_read_it() -> None:
    """The reader of an `AsyncStream`, and the thread of a merge, are ahead of the loop."""

    async def received() -> AsyncIterator[memoryview]:
        for view in _in_one_buffer(ANSWER):
            yield view

    async with AsyncStream(received()) as stream:
        message = await stream.final()
    views: Any = _in_one_buffer(ANSWER)
    with Stream(views) as merged, merge({"": merged}) as events:
        list(events)

    assert message == merged.message == Stream(ANSWER).final()
