"""OpenAI Chat: servers that send a message in every chunk, with all text so far or with the next piece."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.openai_chat.payloads import chunk
from tests.support.tables import in_one_test
from tokenstream import Decoder, Stream
from tokenstream.errors import StreamError
from tokenstream.events import TextDelta
from tokenstream.message import Message

ANSWERS = (
    "1 0 0 0",
    "110100",
    "a \n \n b",
    "\n\n\n\nThe end.\n\n\n",
    "0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144",
    "1000000 is 10 to the 6.",
    "ha ha ha ha ha, hahaha!",
    "Hello! How can I help you today?",
    (
        "# Title\n\n- one\n- two\n\n---\n\n"
        "```python\nfor i in range(10):\n    for j in range(10):\n        print(i, j)\n```\n"
    ),
    "| a | b |\n|---|---|\n| 1 | 1 |\n| 1 | 1 |\n",
    '{"values": [1, 11, 111, 1111], "empty": [[], [], []], "text": "\\n\\n"}',
    "if x:\n    if x:\n        if x:\n            pass\n",
    "你好你好,你好!我是通义千问。",
    "👍👍👍 and 👨‍👩‍👧 too",
    "<think>\n\n</think>\n\n42",
    "   indented   by   spaces   ",
)
"""Answers as models write them, with the repetitions on which pieces can look like a text that grows."""


def _envelope(output: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"output": {**output, "finish_reason": finish or "null"}, "request_id": "r"}


def _choice(message: dict[str, Any], finish: str | None) -> dict[str, Any]:
    said = {"message": {"role": "assistant", **message}, "index": 0, "finish_reason": finish or "null"}
    return {"output": {"choices": [said]}, "request_id": "r"}


CARRIERS: dict[str, Callable[[str, str | None], dict[str, Any]]] = {
    "text": lambda text, finish: _envelope({"text": text}, finish),
    "message": lambda text, finish: _choice({"content": text}, finish),
    "multimodal": lambda text, finish: _choice({"content": [{"text": text}] if text else []}, finish),
    "chunk": lambda text, finish: chunk(None, finish, message={"role": "assistant", "content": text}),
}
"""Payloads in which servers send a message in every chunk."""


def _body(payloads: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(b"event:result\ndata:" + json.dumps(payload).encode() + b"\n\n" for payload in payloads)


def _read(payloads: Iterable[dict[str, Any]], size: int = 0) -> Stream:
    body = _body(payloads)
    stream = Stream([body[n : n + size] for n in range(0, len(body), size)] if size else [body])
    stream.final()
    return stream


def _cut(text: str, random: Random) -> list[str]:
    places = (
        sorted(random.sample(range(1, len(text)), random.randrange(1, len(text)))) if len(text) > 1 else []
    )
    return [text[start:end] for start, end in pairwise([0, *places, len(text)])]


def _is_undecided(pieces: Sequence[str]) -> bool:
    """Return whether one held text leaves open that the pieces are pieces, and not texts that grow."""
    distinct = [piece for piece, _ in groupby(pieces)][:3]
    return len(pieces) > 1 and all(later.startswith(earlier) for earlier, later in pairwise(distinct))


def _payloads(carrier: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    make = CARRIERS[carrier]
    return [make(text, "stop" if n == len(texts) - 1 else None) for n, text in enumerate(texts)]


@pytest.mark.slow
@pytest.mark.parametrize("carrier", CARRIERS)
def test_an_answer_is_read_the_same_in_pieces_and_as_a_text_that_grows(carrier: str) -> None:
    random = Random(34)
    cuts = undecided = 0
    for answer in ANSWERS:
        for _ in range(12):
            pieces = _cut(answer, random)
            grown = list(accumulate(pieces))
            size = random.choice([0, 0, 7, 64])
            assert answer == _read(_payloads(carrier, grown), size).message.text
            cuts += 1
            if _is_undecided(pieces):
                undecided += 1
            else:
                assert answer == _read(_payloads(carrier, pieces), size).message.text

    assert undecided * 40 < cuts


@given(st.lists(st.text("01 \n", min_size=1, max_size=3), min_size=1, max_size=8), st.booleans())
def test_only_what_one_held_text_cannot_decide_is_read_otherwise(pieces: list[str], ends_empty: bool) -> None:
    answer = "".join(pieces)
    grown = list(accumulate(pieces))
    read = _read(_payloads("message", grown))

    assert (answer, "complete") == (read.message.text, read.message.ending)
    if not _is_undecided(pieces):
        assert answer == _read(_payloads("message", [*pieces, *[""] * ends_empty])).message.text


@in_one_test("size", range(1, 200, 13))
@in_one_test("answer", ["1 0 0 0", "a \n \n b"])
def test_the_cuts_between_bytes_mean_nothing(answer: str, size: int) -> None:
    """A chunk of bytes may hold half a payload or several."""
    assert answer == _read(_payloads("text", [*answer]), size).message.text
    assert answer == _read(_payloads("text", list(accumulate(answer))), size).message.text


def test_the_first_text_is_given_at_once_and_only_an_ambiguous_one_waits() -> None:
    def given(*texts: str) -> list[list[str]]:
        decoder = Decoder("openai-chat")
        read = [decoder.feed(_body([CARRIERS["text"](text, None)])) for text in texts]
        return [[event.text for event in events if isinstance(event, TextDelta)] for events in read]

    assert [["1"], [], ["10x"], ["1"]] == given("1", "10", "x", "1")
    assert [["1"], [], ["0x"], ["y"]] == given("1", "10", "10x", "10xy")
    assert [["a"], ["b"], ["bc"]] == given("a", "b", "bc")


@pytest.mark.parametrize(
    ("texts", "answer"), [(["1", "10"], "10"), (["Hi", "Hi"], "Hi"), (["a", "ab", "ab"], "ab")]
)
def test_a_text_that_stays_ambiguous_is_all_the_text_so_far(texts: list[str], answer: str) -> None:
    """Whole messages are DashScope's default, and other servers send them, too; the departure is counted."""
    read = _read(_payloads("text", texts))

    assert (answer, 1) == (read.message.text, read.departures.details["text_ambiguous"])


@pytest.mark.parametrize("breaks", [True, False])
def test_an_ambiguous_text_is_not_lost_if_the_stream_ends_early(breaks: bool) -> None:
    """The text that waits is part of what had arrived, also where the connection breaks."""

    def source() -> Iterator[bytes]:
        yield _body(_payloads("text", ["1", "10", "x"])[:2])
        if breaks:
            raise ConnectionResetError

    with pytest.raises(StreamError) as caught:
        Stream(source()).final()

    assert "10" == caught.value.partial.text


def test_a_call_without_a_name_is_not_lost_if_the_connection_breaks() -> None:
    def source() -> Iterator[bytes]:
        yield _body([chunk({"tool_calls": [{"index": 0, "id": "c1", "function": {"arguments": "{}"}}]})])
        raise ConnectionResetError

    with pytest.raises(StreamError) as caught:
        Stream(source()).final()

    assert ["opaque"] == [part.kind for part in caught.value.partial.parts]


# -- other content ---------------------------------------------------------------------------------


def _thought(reasoning: str | None, content: str, finish: str | None = None) -> dict[str, Any]:
    return _choice({"content": content, "reasoning_content": reasoning}, finish)


def test_reasoning_and_text_are_settled_together() -> None:
    """Where reasoning has shown how the server sends it, the text after it needs no proof."""
    pieces = [_thought(piece, "") for piece in ("1", "2")] + [
        _thought("", piece) for piece in ("1", "10", "100")
    ]
    grown = [_thought(text, "") for text in ("1", "12", "123")]
    grown += [_thought("123", text) for text in ("1", "10", "100")]
    read = [_read([*payloads, _thought(None, "", "stop")]) for payloads in (pieces, grown)]

    assert [("12", "110100"), ("123", "100")] == [
        (each.message.reasoning, each.message.text) for each in read
    ]
    assert ["reasoning", "text"] == [part.kind for part in read[0].message.parts]


@pytest.mark.parametrize("repeated", ["", None, "110"])
def test_reasoning_that_waits_is_settled_by_the_text_after_it(repeated: str | None) -> None:
    """A message that repeats it is whole, and one that leaves it out is a piece; the order stays."""
    payloads = [_thought("1", ""), _thought("110", ""), _thought(repeated, "x", "stop")]
    message = _read(payloads).message

    assert ("110" if repeated else "1110", "x") == (message.reasoning, message.text)
    assert ["reasoning", "text"] == [part.kind for part in message.parts]


def test_a_list_may_hold_other_items_beside_text() -> None:
    """Images of DashScope have no type either, and are told once however often they are repeated."""
    image = {"image": "https://example.org/x.png"}
    payloads = [_choice({"content": [image, {"text": text}]}, None) for text in ("a", "ab", "abc")]
    message = _read([*payloads, _choice({"content": []}, "stop")]).message

    assert "abc" == message.text
    assert ["media", "text"] == [part.kind for part in message.parts]


# -- calls -----------------------------------------------------------------------------------------


def _called(items: list[dict[str, Any]], finish: str | None = None, content: str = "") -> dict[str, Any]:
    return _choice({"content": content, "tool_calls": items}, finish)


def _item(index: int, id: str, arguments: str | None, name: str | None = None) -> dict[str, Any]:
    body = {} if name is None else {"name": name}
    if arguments is not None:
        body["arguments"] = arguments
    return {"index": index, "id": id, "type": "function", "function": body}


def _calls_of(message: Message) -> list[tuple[str, str, str]]:
    return [(call.id, call.name, call.arguments_text) for call in message.tool_calls if call.complete]


CALLS = [
    ("call_a", "weather", '{"city": "Beijing"}'),
    ("call_b", "weather", '{"city": "Beijing", "node": {"city": {"city": 1}}}'),
    ("call_c", "now", "{}"),
]


@given(st.integers(0, 10_000), st.integers(1, 3), st.sampled_from(["", "It is 10.", "1"]))
def test_calls_are_read_the_same_in_fragments_and_as_messages_that_grow(
    seed: int, count: int, text: str
) -> None:
    random = Random(seed)
    texts = _cut(text, random) if text else []
    pieces = [_choice({"content": piece}, None) for piece in texts]
    grown = [_choice({"content": so_far}, None) for so_far in accumulate(texts)]
    so_far: list[dict[str, Any]] = []
    for index, (id, name, arguments) in enumerate(CALLS[:count]):
        cut = _cut(arguments, random)
        pieces.append(_called([_item(index, id, cut[0], name)]))
        pieces += [_called([_item(index, "", piece)]) for piece in cut[1:]]
        for part in accumulate(cut):
            grown.append(_called([*so_far, _item(index, id, part, name)], content=text))
        so_far.append(_item(index, id, arguments, name))
    pieces.append(_called([_item(count - 1, "", None)], "tool_calls"))
    grown.append(_called(so_far, "tool_calls", text))
    read = [_read(payloads).message for payloads in (pieces, grown)]

    assert [CALLS[:count]] * 2 == [_calls_of(message) for message in read]
    assert text == read[1].text
    if not _is_undecided(texts):
        assert text == read[0].text
    assert "tool_calls" == read[0].finish_reason == read[1].finish_reason


def test_calls_with_one_index_are_known_by_their_ids() -> None:
    """Some gateways put the index 0 on all calls."""
    first, second = _item(0, "a", "{}", "f"), _item(0, "b", '{"x": 1}', "f")
    read = _read([_called([first]), _called([first, second]), _called([first, second], "tool_calls")])

    assert [("a", "f", "{}"), ("b", "f", '{"x": 1}')] == _calls_of(read.message)


def test_calls_without_ids_are_held_like_texts() -> None:
    """Nested arguments may begin as the call does."""
    pieces = ['{"left": ', '{"left": ', "1}}"]
    grown = ['{"left": ', '{"left": {"left": ', '{"left": {"left": 1}}']

    def read(texts: list[str]) -> list[str]:
        items = [{"index": 0, "function": {"name": "f", "arguments": texts[0]}}]
        named = {"name": "f"} if texts is grown else {}
        items += [{"index": 0, "function": {**named, "arguments": text}} for text in texts[1:]]
        payloads = [_called([item]) for item in items]
        return [
            call.arguments_text for call in _read([*payloads, _choice({}, "tool_calls")]).message.tool_calls
        ]

    assert [['{"left": {"left": 1}}']] * 2 == [read(pieces), read(grown)]
