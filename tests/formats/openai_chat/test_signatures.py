"""OpenAI Chat: signatures of reasoning, which the next request must have in the same place."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest

from tests.support.wire import DONE, chat
from tokenstream import Message, Stream
from tokenstream.message import OpaquePart

Delta = dict[str, Any]
Block = tuple[str, str]
_LETTERS = "abcdefghijklmnopqrstuvwxyz "


def _message(*deltas: Delta, chunking: random.Random | None = None) -> Message:
    """Return the message of an answer with these deltas, in chunks of any size."""
    body = b"".join([*map(chat, deltas), chat({}, "stop"), DONE])
    if chunking is None:
        return Stream([body]).final()
    cuts = sorted({0, len(body), *(chunking.randrange(len(body)) for _ in range(20))})
    return Stream([body[start:end] for start, end in pairwise(cuts)]).final()


def _blocks_of(turn: dict[str, Any]) -> list[Block]:
    """Return the texts and signatures of the blocks in the next request."""
    pieces = turn.get("thinking_blocks") or turn.get("reasoning_details") or []
    return [(piece.get("thinking", piece.get("text")), piece["signature"]) for piece in pieces]


def _write(blocks: list[Block], way: random.Random) -> list[Delta]:
    """Return deltas for blocks, in one of the many ways in which servers send them."""
    is_thinking, has_index = way.random() < 0.5, way.random() < 0.3
    plain = way.choice([None, "reasoning", "reasoning_content"])
    repeats_signature, repeats_text = way.random() < 0.3, way.random() < 0.3
    deltas: list[Delta] = []
    for number, (text, signature) in enumerate(blocks):
        index = {"index": number} if has_index else {}

        def item(words: str, signed: str = "", index: Delta = index) -> Delta:
            if is_thinking:
                return {
                    "thinking_blocks": [{"type": "thinking", "thinking": words, "signature": signed, **index}]
                }
            sent = {"signature": signed} if signed else {}
            return {"reasoning_details": [{"type": "reasoning.text", "text": words, **sent, **index}]}

        length = way.randint(1, len(text))
        pieces = [text[start : start + length] for start in range(0, len(text), length)]
        for piece in pieces:
            signed = signature if repeats_signature else ""
            deltas.append({**({} if plain is None else {plain: piece}), **item(piece, signed)})
        deltas.append(item(text if repeats_text else "", signature))
    return deltas


@pytest.mark.parametrize("seed", range(60))
def test_each_signature_has_its_own_block(seed: int) -> None:
    """Law: with or without an index, in pieces or whole, alone or beside a text, each text is told once."""
    way = random.Random(seed)
    blocks = [
        (f"{number}: " + "".join(way.choices(_LETTERS, k=way.randint(3, 30))) + ".", f"sig{number}")
        for number in range(way.randint(1, 4))
    ]
    message = _message(*_write(blocks, way), {"content": "Hi"}, chunking=way)

    assert "".join(text for text, _ in blocks) == message.reasoning
    assert blocks == _blocks_of(message.to_openai_chat())
    assert blocks == [(part.text, part.signature) for part in message.parts if part.kind == "reasoning"]


@pytest.mark.parametrize(
    "deltas",
    [
        [{"reasoning": "Hm, yes."}, {"content": "Hi"}, "whole"],
        [{"reasoning": "Hm, "}, {"reasoning": "yes."}, "whole", {"content": "Hi"}],
        ["whole", {"reasoning": "Hm, yes."}, {"content": "Hi"}],
        ["whole", "whole", {"content": "Hi"}],
        ["whole", "text", "signature", {"content": "Hi"}],
    ],
)
def test_a_detail_goes_back_as_it_came(deltas: list[Any]) -> None:
    detail = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    names = {
        "whole": [{**detail, "text": "Hm, yes.", "signature": "proof"}],
        "text": [{**detail, "text": "Hm, yes."}],
        "signature": [{**detail, "text": "", "signature": "proof"}],
    }
    sent = [delta if isinstance(delta, dict) else {"reasoning_details": names[delta]} for delta in deltas]
    turn = (message := _message(*sent)).to_openai_chat()

    assert ("Hm, yes.", "Hi") == (message.reasoning, message.text)
    assert [{**detail, "text": "Hm, yes.", "signature": "proof"}] == turn["reasoning_details"]


def test_details_may_go_on_alone() -> None:
    """What the text has not told is new, also a block that only the details have."""
    block = {"type": "thinking", "thinking": "Then I know.", "signature": "two"}
    message = _message(
        {"reasoning_content": "Hm.", "thinking_blocks": [{"type": "thinking", "thinking": "Hm."}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": " Aha."}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "one"}]},
        {"thinking_blocks": [block]},
    )

    assert [("Hm. Aha.", "one"), ("Then I know.", "two")] == _blocks_of(message.to_openai_chat())


def test_a_list_of_blocks_beside_their_joined_text_keeps_the_blocks() -> None:
    blocks = [{"type": "thinking", "thinking": text, "signature": text.upper()} for text in ("hm", "aha")]
    message = _message({"reasoning_content": "hmaha", "thinking_blocks": blocks})

    assert ("hmaha", blocks) == (message.reasoning, message.to_openai_chat()["thinking_blocks"])


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("text", ["First.\n\nSecond.", "First. Second.", "A summary."])
def test_signed_blocks_keep_what_was_signed_beside_another_text(field: str, text: str) -> None:
    """The text is joined in another way, or is a summary: it is carried, and each signature fits its text."""
    blocks = [("First.", "S1"), ("Second.", "S2")]
    items = [{"type": "thinking", "thinking": words, "signature": signed} for words, signed in blocks]
    message = _message({field: text, "thinking_blocks": items})

    assert ("First.Second.", blocks) == (message.reasoning, _blocks_of(message.to_openai_chat()))
    assert text == message.provider_data["reasoning_content"]


def _detail(text: str, signature: str = "", **fields: Any) -> Delta:
    return {"reasoning_details": [{"type": "reasoning.text", "text": text, "signature": signature, **fields}]}


@pytest.mark.parametrize("index", [{}, {"index": 0}])
@pytest.mark.parametrize(
    ("deltas", "whole"),
    [
        ([_detail("I go "), {"reasoning": "there."}], "I go there."),
        ([{"reasoning": "I "}, _detail("go "), {"reasoning": "there."}], "go there."),
        ([{"reasoning": "In short.", **_detail("I go there.")}], "In short."),
    ],
)
def test_a_signature_of_another_text_is_not_sent_back(deltas: list[Delta], whole: str, index: Delta) -> None:
    """Where text and details alternate, an API would refuse it; if it comes with the whole text, it fits."""
    for delta in deltas:
        for item in delta.get("reasoning_details", ()):
            item.update(index)
    stream = Stream(
        [*map(chat, [*deltas, _detail("", "proof", **index), {"content": "Hi"}]), chat({}, "stop"), DONE]
    )
    signed = _message(*deltas, _detail(whole, "proof", **index), {"content": "Hi"})

    assert "proof" not in json.dumps(stream.final().to_openai_chat())
    assert {"delta_misfits": 1} == {
        name: count for name, count in stream.departures.details.items() if name == "delta_misfits"
    }
    assert (whole, "proof") == _blocks_of(signed.to_openai_chat())[-1]


def test_a_signature_after_a_repeated_text_goes_back_with_the_text() -> None:
    """The detail has repeated the text without its signature, which follows alone."""
    message = _message({"reasoning": "Hm."}, _detail("Hm."), _detail("", "proof"), {"content": "Hi"})

    assert ("Hm.", [("Hm.", "proof")]) == (message.reasoning, _blocks_of(message.to_openai_chat()))


@pytest.mark.parametrize("kind", ["thinking", "reasoning"])
def test_a_list_of_content_has_a_block_for_each_signature(kind: str) -> None:
    """A text with the same signature goes on; a whole text that is signed later is told once."""

    def item(text: str, signature: str = "") -> Delta:
        return {"content": [{"type": kind, "thinking": text, "signature": signature}]}

    message = _message(item("a", "one"), item("b", "one"), item("c"), item("d"), item("cd", "two"), item("e"))

    assert [("ab", "one"), ("cd", "two"), ("e", None)] == [
        (part.text, part.signature) for part in message.parts if part.kind == "reasoning"
    ]


CALL = {
    "tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
}


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([{"reasoning_text": "Hm"}, {"reasoning_opaque": "proof", **CALL}], {"reasoning_opaque": "proof"}),
        (
            [{"reasoning_content": "Hm"}, {"reasoning_signature": "proof"}, CALL],
            {"reasoning_signature": "proof"},
        ),
        ([{"reasoning": "Hm"}, {"encrypted_content": "proof"}, CALL], {"encrypted_content": "proof"}),
        ([{"content": "Hi", "thought_signature": "proof"}], {"thought_signature": "proof"}),
        (
            [{"reasoning_items": [{"type": "reasoning", "encrypted_content": "proof"}]}, {"content": "Hi"}],
            {"reasoning_items": [{"type": "reasoning", "encrypted_content": "proof"}]},
        ),
        (
            [
                {
                    "content": [
                        {
                            "type": "reasoning",
                            "summary": [{"type": "summary_text", "text": "Hm", "signature": "proof"}],
                        }
                    ]
                },
                {"content": [{"type": "text", "text": "Hi"}]},
            ],
            {
                "content": [
                    {
                        "type": "reasoning",
                        "summary": [{"type": "summary_text", "text": "Hm", "signature": "proof"}],
                    },
                    {"type": "text", "text": "Hi"},
                ]
            },
        ),
    ],
)
def test_a_signature_beside_the_text_goes_back_where_it_came_from(
    deltas: list[Delta], expected: dict[str, Any]
) -> None:
    """Without a signature, the next request is rejected, or the model forgets its reasoning."""
    message = _message(*deltas)
    turn = message.to_openai_chat()

    assert expected == {name: turn.get(name) for name in expected}
    assert "proof" not in json.dumps(message.to_openai_chat(drop="reasoning")) or "content" in expected
    assert message == Message.model_validate_json(message.model_dump_json())


@pytest.mark.parametrize("again", ["one", "all", "signature"])
def test_a_signed_block_that_is_sent_again_later_is_reported_once(again: str) -> None:
    blocks = [("one", "S1"), ("second", "S2"), ("third", "S3")]

    def item(text: str, signature: str) -> Delta:
        return {"type": "thinking", "thinking": text, "signature": signature}

    sent: list[Delta] = [{"thinking_blocks": [item(*block)]} for block in blocks]
    repeated = {
        "one": [item("one", "S1")],
        "all": [item(*block) for block in blocks],
        "signature": [item("", "S2")],
    }
    message = _message(*sent, {"thinking_blocks": repeated[again]}, {"thinking_blocks": [item("new", "S1")]})

    assert "onesecondthirdnew" == message.reasoning
    assert [*blocks, ("new", "S1")] == _blocks_of(message.to_openai_chat())


@pytest.mark.parametrize(
    ("delta", "data"),
    [
        (
            {"content": [{"type": "text", "text": "Hi", "thoughtSignature": "proof"}]},
            {"type": "text", "thoughtSignature": "proof"},
        ),
        (
            {"thinking": {"content": "Hm", "signature": "proof"}, "content": "Hi"},
            {"type": "thinking", "signature": "proof"},
        ),
    ],
    ids=["of a text", "in an object of reasoning"],
)
def test_a_signature_in_another_place_is_an_opaque_part(delta: Delta, data: dict[str, Any]) -> None:
    message = _message(delta)

    assert "Hi" == message.text
    assert [data] == [part.data for part in message.parts if isinstance(part, OpaquePart)]


def _block(index: int, content: str | None = None, **fields: str) -> Delta:
    """Return a delta of Portkey, with a piece of one of Anthropic's blocks."""
    beside = {} if content is None else {"content": content}
    return {**beside, "content_blocks": [{"index": index, "delta": fields}]}


_HIDDEN = "RU5DUllQVEVE"
_WHOLE_BLOCKS = [
    {"type": "thinking", "thinking": "no no", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": _HIDDEN},
    {"type": "text", "text": "Ja, ja"},
]
_PIECES = [
    {"role": "assistant", "content": ""},
    _block(0, thinking="", signature=""),
    *[_block(0, thinking=piece) for piece in ("no", " ", "no")],
    _block(0, signature="c2ln"),
    _block(1, data=_HIDDEN),
    _block(2, text=""),
    *[_block(2, piece, text=piece) for piece in ("Ja,", " ja")],
]


_WHOLE = {"role": "assistant", "content": "Ja, ja", "content_blocks": _WHOLE_BLOCKS}
_CHOICE = {"index": 0, "message": _WHOLE, "finish_reason": "stop"}
_BODIES = {
    "pieces": b"".join([*map(chat, _PIECES), chat({}, "stop"), DONE]),
    "one delta": chat(_WHOLE) + chat({}, "stop") + DONE,
    "a whole answer": json.dumps({"object": "chat.completion", "choices": [_CHOICE]}).encode(),
}


@pytest.mark.parametrize("body", _BODIES.values(), ids=_BODIES)
def test_anthropics_blocks_by_way_of_portkey_are_read_and_sent_back_in_order(body: bytes) -> None:
    """The text of blocks repeats that of `content`; without its signature, a block would be refused."""
    message = Stream([body]).final()

    assert ("no no", "Ja, ja") == (message.reasoning, message.text)
    assert {"role": "assistant", "content": _WHOLE_BLOCKS} == message.to_openai_chat()


def test_what_is_no_thought_in_such_blocks_is_told_and_kept() -> None:
    """A text that `content` lacks, and a citation, are in no part."""
    strays = [_block(1, text="lost"), _block(1, "Ja", citation="page 7")]
    stream = Stream([*map(chat, strays), chat({}, "stop"), DONE])
    message = stream.final()

    assert "Ja" == message.text
    assert [stray["content_blocks"][0] for stray in strays] == message.provider_data["content_blocks"]
    assert (1, "content") == (stream.departures.details["field_unread"], stream.departures["unread"].affects)


@pytest.mark.parametrize("pieces", [["ha", "ha", "!"], ["a", "b"]])
def test_a_list_of_deltas_under_an_unknown_name_is_joined_and_told_once(pieces: list[str]) -> None:
    """Equal pieces may be equal tokens, so that none is taken for a repetition."""
    deltas = [{"content": "x", "murmur": [{"index": 0, "words": piece}]} for piece in pieces]
    stream = Stream([*map(chat, deltas), chat({}, "stop"), DONE])
    message = stream.final()

    assert "x" * len(pieces) == message.text
    assert pieces == [each["words"] for each in message.provider_data["murmur"]]
    assert 1 == stream.departures.details["field_unread"]
