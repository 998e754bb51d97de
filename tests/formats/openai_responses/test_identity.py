"""Items that are told apart by an id, an index, or their type and order."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_responses.payloads import Payload, created, ended
from tests.support.chunkings import several
from tests.support.wire import sse
from tokenstream import Stream
from tokenstream.errors import ProtocolError
from tokenstream.events import ToolCallDone

Calls = list[tuple[str, str]]


def _event(kind: str, **fields: Any) -> Payload:
    return {"type": f"response.{kind}", **fields}


def _added(**item: Any) -> Payload:
    return _event("output_item.added", item=item)


def _done(**item: Any) -> Payload:
    return _event("output_item.done", item=item)


def _text(text: str) -> Payload:
    return {"type": "output_text", "text": text}


def _wire(*payloads: Payload, output: list[Payload] | None = None) -> bytes:
    return b"".join(sse(each) for each in [created(), *payloads, ended(output=output or [])])


def _read(body: list[bytes]) -> tuple[str, str, Calls, str]:
    stream = Stream(body)
    calls = [
        (event.call.name, event.call.arguments_text) for event in stream if isinstance(event, ToolCallDone)
    ]
    return stream.message.reasoning, stream.message.text, calls, stream.message.ending


def _like_llama(*calls: tuple[str, str]) -> list[Payload]:
    """Return an answer as llama.cpp sends it (2026-10): no index, no id in a call, all ends together."""
    begun = [
        _added(id="rs_9", type="reasoning"),
        _event("reasoning_text.delta", item_id="rs_9", delta="Well."),
    ]
    begun += [_added(id="msg_9", type="message"), _event("output_text.delta", item_id="msg_9", delta="Wait.")]
    over = [_done(id="rs_9", type="reasoning", content=[{"type": "reasoning_text", "text": "Well."}])]
    over.append(_event("output_text.done", item_id="msg_9", text="Wait."))
    over.append(_done(id="msg_9", type="message", content=[_text("Wait.")]))
    for number, (name, arguments) in enumerate(calls):
        item = {"type": "function_call", "call_id": f"fc_{number}", "name": name}
        begun.append(_added(**item, arguments=""))
        begun += [
            _event("function_call_arguments.delta", item_id=f"fc_{number}", delta=piece)
            for piece in (arguments[:5], arguments[5:])
        ]
        over.append(_done(**item, arguments=arguments))
    return begun + over


@pytest.mark.parametrize(
    "calls", [[("dig", '{"depth":2}')], [("dig", '{"depth":2}'), ("fill", '{"with":"sand"}'), ("dig", "{}")]]
)
def test_items_without_an_index_keep_their_own_content(calls: Calls) -> None:
    """Items of llama.cpp have no index."""
    payloads = _like_llama(*calls)
    output = [payload["item"] for payload in payloads if payload["type"].endswith("item.done")]
    for body in several(_wire(*payloads, output=output), calls).values():
        assert ("Well.", "Wait.", calls, "complete") == _read(body)


def test_nothing_is_guessed_where_ids_tell_items_apart() -> None:
    (stream := Stream([_wire(*_like_llama(("dig", '{"depth":2}')))])).final()
    assert "place_guessed" not in stream.departures


def test_the_type_of_the_item_decides_what_its_text_is() -> None:
    """LocalAI (2026-08) sends reasoning as `output_text`, and its end under the index of the message."""
    payloads = [
        {**_added(id="r", type="reasoning"), "output_index": 0},
        _event("content_part.added", item_id="r", output_index=0, content_index=0, part=_text("")),
        _event("output_text.delta", item_id="r", output_index=0, content_index=0, delta="Let me see."),
        {**_added(id="m", type="message", content=[]), "output_index": 1},
        _event("output_text.delta", item_id="m", output_index=1, content_index=0, delta="Seven."),
        _event("output_text.done", item_id="r", output_index=1, content_index=0, text="Let me see."),
        _event("content_part.done", item_id="r", output_index=1, content_index=0, part=_text("Let me see.")),
        {**_done(id="r", type="reasoning", content=[_text("Let me see.")]), "output_index": 1},
        {**_done(id="m", type="message", content=[_text("Seven.")]), "output_index": 1},
    ]
    for body in several(_wire(*payloads), 86).values():
        assert ("Let me see.", "Seven.", [], "complete") == _read(body)


@pytest.mark.parametrize("index", [{}, {"output_index": 0}])
def test_texts_of_two_ids_are_two_messages(index: Payload) -> None:
    payloads = [
        _event(f"output_text.{word}", item_id=item, content_index=0, **index, **{field: text})
        for item, text in (("one", "Dig. "), ("two", "Fill."))
        for word, field in (("delta", "delta"), ("done", "text"))
    ]
    assert ("", "Dig. Fill.", [], "complete") == _read([_wire(*payloads)])


def test_an_id_that_several_items_share_does_not_win_over_their_index() -> None:
    payloads = []
    for index, text in enumerate(("Dig. ", "Fill.")):
        payloads += [
            {**_added(id="same", type="message", content=[]), "output_index": index},
            _event("output_text.delta", item_id="same", output_index=index, content_index=0, delta=text[:2]),
        ]
    for index, text in enumerate(("Dig. ", "Fill.")):
        payloads += [
            _event("output_text.delta", item_id="same", output_index=index, content_index=0, delta=text[2:]),
            {**_done(id="same", type="message", content=[_text(text)]), "output_index": index},
        ]
    stream = Stream([_wire(*payloads)])
    assert ["Dig. ", "Fill."] == [part.text for part in stream.final().parts if part.kind == "text"]


def test_an_end_of_another_call_hands_out_that_call_as_well() -> None:
    """The open call of the same type has another id: it is not the one that ends."""
    item = {"type": "function_call", "name": "dig"}
    payloads = [
        _added(**item, call_id="a", arguments=""),
        _event("function_call_arguments.delta", delta='{"depth":1}'),
        _done(**item, call_id="b", arguments='{"depth":2}'),
        _done(**item, call_id="a", arguments='{"depth":1}'),
    ]
    calls = [("dig", '{"depth":2}'), ("dig", '{"depth":1}')]
    assert ("", "", calls, "complete") == _read([_wire(*payloads)])


def test_an_end_that_contradicts_a_call_that_was_handed_out_is_an_error() -> None:
    item = {"type": "function_call", "name": "dig", "call_id": "a"}
    payloads = [_done(**item, arguments='{"depth":1}'), _done(**item, arguments='{"depth":2}')]
    stream, calls = Stream([_wire(*payloads)]), []
    with pytest.raises(ProtocolError, match="was handed out"):
        calls += [event.call.arguments_text for event in stream if isinstance(event, ToolCallDone)]
    assert "failed" == stream.message.ending


@pytest.mark.parametrize("order", [1, -1])
def test_the_whole_text_tells_messages_apart_that_have_neither_id_nor_index(order: int) -> None:
    texts = ["Dig", "Dig deep", "Fill"]
    begun = []
    for text in texts:
        begun += [_added(type="message", content=[]), _event("output_text.delta", delta=text)]
    over = []
    for text in texts[::order]:
        over += [_event("output_text.done", text=text), _done(type="message", content=[_text(text)])]
    stream = Stream(
        [_wire(*begun, *over, output=[_done(type="message", content=[_text(t)])["item"] for t in texts])]
    )
    assert texts == [part.text for part in stream.final().parts if part.kind == "text"]


def test_summaries_without_an_index_follow_each_other() -> None:
    payloads = [_added(id="rs", type="reasoning", summary=[])]
    for text in ("First.", "Then."):
        payloads += [
            _event("reasoning_summary_part.added", item_id="rs", part={"type": "summary_text", "text": ""}),
            _event("reasoning_summary_text.delta", item_id="rs", delta=text),
            _event("reasoning_summary_text.done", item_id="rs", text=text),
        ]
    whole = [{"type": "summary_text", "text": text} for text in ("First.", "Then.")]
    payloads.append(_done(id="rs", type="reasoning", summary=whole))
    stream = Stream([_wire(*payloads)])
    assert ["First.", "Then."] == [part.text for part in stream.final().parts if part.kind == "reasoning"]
