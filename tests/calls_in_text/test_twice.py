"""A server that streams a call as text, and sends the call of its API as well, has made one call."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.chunkings import bytewise, several
from tests.support.reading import aread, read
from tests.support.wire import DONE, chat, chat_call, claude, claude_delta, claude_open, claude_start
from tokenstream import (
    AsyncStream,
    Decoder,
    Limits,
    Router,
    Stream,
    StreamTruncated,
    Tags,
    Tools,
    relay,
    testing,
)
from tokenstream.call_store import MemoryCallStore
from tokenstream.errors import LimitExceeded
from tokenstream.events import ToolCallDelta, ToolCallDone, ToolCallStart
from tokenstream.turns import ToolResults


class Sent(NamedTuple):
    is_text: bool
    name: str
    amount: int


def markup(name: str, amount: int, *, end: str = "</tool_call>") -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {{"amount": {amount}}}}}\n{end}'


def body_of_chat(sent: list[Sent], finish: str | None = "tool_calls", size: int = 5) -> list[bytes]:
    """Return an answer with the calls in this order; those of the API have the ids `api_0`, `api_1`, ...."""
    body, number = [chat({"role": "assistant"})], 0
    for call in sent:
        if call.is_text:
            text = f"So: {markup(call.name, call.amount)}"
            body += [chat({"content": text[at : at + size]}) for at in range(0, len(text), size)]
            continue
        # Spelled in another way than in the text.
        arguments = f'{{"amount":{call.amount}}}'
        body.append(chat(chat_call(number, arguments[:4], id=f"api_{number}", name=call.name)))
        body.append(chat(chat_call(number, arguments[4:])))
        number += 1
    return body if finish is None else [*body, chat({}, finish), DONE]


def body_of_claude(sent: list[Sent], size: int = 5) -> list[bytes]:
    body, number = [claude_start()], 0
    for index, call in enumerate(sent):
        if call.is_text:
            text = f"So: {markup(call.name, call.amount)}"
            body.append(claude_open(index, type="text", text=""))
            body += [
                claude_delta(index, "text_delta", text=text[at : at + size])
                for at in range(0, len(text), size)
            ]
        else:
            body.append(claude_open(index, type="tool_use", id=f"api_{number}", name=call.name, input={}))
            body.append(claude_delta(index, "input_json_delta", partial_json=f'{{"amount": {call.amount}}}'))
            number += 1
        body.append(claude("content_block_stop", index=index))
    end = {"stop_reason": "tool_use", "stop_sequence": None}
    return [*body, claude("message_delta", delta=end, usage={"output_tokens": 9}), claude("message_stop")]


class Bank:
    """Counts what its tools are asked for."""

    def __init__(self) -> None:
        self.ran: Counter[tuple[str, int]] = Counter()
        self.tools = Tools(self.pay, self.look)

    def pay(self, amount: int) -> str:
        """Pay."""
        self.ran["pay", amount] += 1
        return f"paid {amount}"

    def look(self, amount: int) -> str:
        """Look."""
        self.ran["look", amount] += 1
        return f"saw {amount}"


def expected_of(sent: list[Sent]) -> tuple[Counter[tuple[str, int]], int]:
    """Return how often each call is one, and how many calls came twice."""
    texts = Counter((call.name, call.amount) for call in sent if call.is_text)
    own = Counter((call.name, call.amount) for call in sent if not call.is_text)
    return texts | own, (texts & own).total()


CALLS = st.lists(
    st.builds(Sent, st.booleans(), st.sampled_from(["pay", "look"]), st.integers(1, 2)), max_size=7
)
TEXT, API = Sent(True, "pay", 5), Sent(False, "pay", 5)
ORDERS = {"text first": [TEXT, API], "API first": [API, TEXT]}
BODIES: dict[str, Callable[..., list[bytes]]] = {"openai-chat": body_of_chat, "anthropic": body_of_claude}


@pytest.mark.parametrize("format", BODIES)
@given(sent=CALLS, size=st.integers(1, 60))
def test_of_equal_calls_on_both_sides_the_larger_number_runs(
    format: Any, sent: list[Sent], size: int
) -> None:
    bank = Bank()
    with Stream(
        BODIES[format](sent, size=size), format=format, tags=Tags(calls=True), tools=bank.tools
    ) as stream:
        results = stream.run(Router(bank.tools))
    message = stream.message
    ran, twice = expected_of(sent)
    ids = [call.id for call in message.tool_calls]

    assert ran == bank.ran
    assert ran == Counter((call.name, call.arguments["amount"]) for call in message.tool_calls)
    assert len(ids) == len({*ids})
    assert {f"api_{number}" for number in range(sum(not call.is_text for call in sent))} <= {*ids}
    assert ids == [*results]
    assert twice == (stream.departures.details["call_twice"] if twice else 0)
    assert (twice > 0) == ("call_twice" in stream.departures.details)
    assert "So: " * sum(call.is_text for call in sent) == message.text


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("format", BODIES)
def test_every_chunking_gives_the_same_in_both_colours(format: str, order: str) -> None:
    sent = b"".join(BODIES[format]([Sent(True, "pay", 6), *ORDERS[order], Sent(False, "pay", 7)]))
    options: dict[str, Any] = {"tags": Tags(calls=True), "format": format}
    expected = read([sent], **options)

    assert [6, 5, 7] == [call.arguments["amount"] for call in expected.message.tool_calls]
    for chunks in (bytewise(sent), *several(sent, "twice").values()):
        for reading in (read(chunks, **options), anyio.run(partial(aread, chunks, **options))):
            assert expected.message == reading.message
            assert expected.departures == reading.departures
            assert [call.id for call in expected.calls()] == [call.id for call in reading.calls()]


@pytest.mark.parametrize("order", ORDERS)
def test_a_loop_over_events_sees_the_call_once(order: str) -> None:
    stream = Stream(body_of_chat(ORDERS[order]), tags=Tags(calls=True))
    events = list(stream)
    (done,) = [event for event in events if isinstance(event, ToolCallDone)]
    last_start = [event for event in events if isinstance(event, ToolCallStart)][-1]
    (call,) = stream.message.tool_calls
    results = ToolResults(stream.message, {done.call.id: "paid"}, errors=[done.call.id])

    assert ("api_0", "api_0") == (call.id, last_start.id)
    assert done.part == last_start.part
    assert {"api_0": "paid"} == dict(results)
    assert {"api_0"} == results.errors
    assert done.call.key == call.key
    assert (call.id,) == tuple(stream.checkpoint().tool_calls_delivered)
    # The API knows of the call, so its result is no text.
    assert ["api_0"] == [turn["tool_call_id"] for turn in results.to_openai_chat()]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_store_and_later_views_have_the_call_once(order: str, is_async: bool) -> None:
    bank, body = Bank(), body_of_chat(ORDERS[order])
    store = MemoryCallStore()

    async def amain() -> list[Any]:
        async with AsyncStream(body, tags=Tags(calls=True), tools=bank.tools) as stream:
            ran = [await call.run() async for call in stream.validated_calls(bank.tools, once=store)]
            return [*ran, [call.id async for call in stream.tool_calls]]

    def main() -> list[Any]:
        with Stream(body, tags=Tags(calls=True), tools=bank.tools) as stream:
            ran = [call.run() for call in stream.validated_calls(bank.tools, once=store)]
            drafts = [each.call.id for each in stream.tool_partials(bank.tools) if each.call is not None]
            assert ["api_0"] == drafts
            return [*ran, [call.id for call in stream.tool_calls]]

    assert ["paid 5", ["api_0"]] == (anyio.run(amain) if is_async else main())
    assert Counter({("pay", 5): 1}) == bank.ran


@pytest.mark.parametrize("is_own_first", [False, True])
def test_a_call_of_another_name_is_not_held_back(is_own_first: bool) -> None:
    look = Sent(not is_own_first, "look", 5)
    decoder = Decoder(tags=Tags(calls=True))
    counts = [
        sum(isinstance(event, ToolCallDelta) for event in decoder.feed(chunk))
        for chunk in body_of_chat([TEXT if look.is_text is False else API, look], None, 3)
    ]

    assert sum(count > 0 for count in counts) >= 4


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("amount", [5, 6])
@pytest.mark.parametrize("finish", ["length", None])
def test_nothing_is_lost_of_an_answer_that_is_cut_off(order: str, amount: int, finish: str | None) -> None:
    sent = [Sent(call.is_text, "pay", 5 if call.is_text else amount) for call in ORDERS[order]]
    stream = Stream(body_of_chat(sent, finish), tags=Tags(calls=True))
    handed_out: list[int] = []
    with suppress(StreamTruncated):
        for event in stream:
            if isinstance(event, ToolCallDone):
                handed_out.append(event.call.arguments["amount"])

    assert {5, amount} == {call.arguments["amount"] for call in stream.message.tool_calls}
    assert [5] == handed_out


@pytest.mark.parametrize("finish", ["tool_calls", "length"])
@pytest.mark.parametrize("amount", [5, 6])
def test_the_call_of_the_api_shows_that_one_without_its_end_is_whole(amount: int, finish: str) -> None:
    text = markup("pay", 5, end="")
    body = [
        claude_start(),
        claude_open(0, type="text", text=text),
        claude("content_block_stop", index=0),
        claude_open(1, type="tool_use", id="api_0", name="pay", input={"amount": amount}),
        claude("content_block_stop", index=1),
    ]
    end = {"stop_reason": {"tool_calls": "tool_use", "length": "max_tokens"}[finish], "stop_sequence": None}
    body += [claude("message_delta", delta=end, usage={"output_tokens": 9}), claude("message_stop")]
    stream = Stream(body, format="anthropic", tags=Tags(calls=True))
    message = stream.final()
    whole = [(call.id, call.arguments["amount"]) for call in message.tool_calls if call.complete]

    if amount == 5:
        assert [("api_0", 5)] == whole
        assert 1 == len(message.tool_calls)
    else:
        assert [("call_0", 5)] * (finish == "tool_calls") + [("api_0", 6)] == whole
        assert 2 == len(message.tool_calls)


def test_arguments_are_compared_as_json() -> None:
    texts = ['{"a": 1, "b": [true]}', '{"a": 1, "b": [1]}']
    text = "".join(f'<tool_call>{{"name": "f", "arguments": {each}}}</tool_call>' for each in texts)
    call = chat_call(0, '{"b":[true],"a":1}', id="api_0", name="f")
    message = Stream(
        [chat({"content": text}), chat(call), chat({}, "tool_calls"), DONE], tags=Tags(calls=True)
    ).final()

    assert [("api_0", json.loads(texts[0])), ("call_1", json.loads(texts[1]))] == [
        (each.id, each.arguments) for each in message.tool_calls
    ]


def test_what_is_held_back_is_bounded() -> None:
    body = [chat({"content": markup("pay", 5)}), chat(chat_call(0, '{"amount": ', id="a", name="pay"))]
    body += [chat(chat_call(0, "1" * 100))] * 20
    stream = Stream(body, tags=Tags(calls=True), limits=Limits(text=1_000))

    with pytest.raises(LimitExceeded):
        list(stream)


def test_each_choice_and_each_answer_has_calls_of_its_own() -> None:
    own = chat_call(0, '{"amount": 5}', id="api_0", name="pay")
    body = [chat({"content": markup("pay", 5)}), chat(own, index=1)]
    body += [chat({}, "stop"), chat({}, "tool_calls", index=1), DONE]
    stream = Stream(body, tags=Tags(calls=True))
    stream.final()

    assert ["call_0", "api_0"] == [call.id for each in stream.messages for call in each.tool_calls]
    assert "call_twice" not in stream.departures.details


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("protocol", ["tokenstream", "openai-chat", "anthropic", "ui-message", "ag-ui"])
def test_a_client_of_a_relay_gets_the_call_once(protocol: Any, order: str) -> None:
    """Under the id under which it was handed out, which the application's results may go by."""
    with Stream(body_of_chat(ORDERS[order]), tags=Tags(calls=True)) as stream:
        sent = b"".join(relay.encode(stream, protocol))
    message = Stream([sent], format=protocol).final()
    (call,) = message.tool_calls

    assert call.complete
    assert ("pay", {"amount": 5}) == (call.name, call.arguments)
    assert "paid" == ToolResults(stream.message, {call.id: "paid"})["api_0"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("format", testing.script().text("a").tool_call("pay", {"amount": 5}).formats)
def test_the_call_is_one_in_every_format(format: Any, order: str) -> None:
    for amount in (5, 6):
        script = testing.script()
        for call in ORDERS[order]:
            if call.is_text:
                script = script.text(*markup("pay", 5).split(" "), "\n")
            else:
                script = script.tool_call("pay", {"amount": amount}, id="api_0")
        chunks = script.finish("tool_calls").chunks(format)
        expected = [call.id for call in Stream(chunks, format=format).final().tool_calls]
        bank = Bank()
        with Stream(chunks, format=format, tags=Tags(calls=True), tools=bank.tools) as stream:
            results = stream.run(Router(bank.tools))

        assert Counter({("pay", 5): 1, ("pay", amount): 1}) == bank.ran
        assert ("call_twice" in stream.departures.details) == (amount == 5)
        # A server without ids has none to keep.
        assert {"api_0"} & {*expected} <= {*results}
        assert [call.id for call in stream.message.tool_calls] == [*results]
