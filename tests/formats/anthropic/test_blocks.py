"""Anthropic: compactions, fields without a word of ours, and deltas read at a glance."""

from __future__ import annotations

import pytest

from tests.formats.anthropic.payloads import (
    STOP,
    Payload,
    answer,
    block,
    delta,
    finish,
    read,
    start,
    stop,
    tool,
)
from tests.formats.anthropic.support import HELLO
from tokenstream.events import PartStart
from tokenstream.message import OpaquePart


def test_a_compaction_takes_what_its_delta_says() -> None:
    frames = [
        start(),
        block(0, "compaction", content=None, encrypted_content=None),
        delta(0, "compaction_delta", content="Summary", encrypted_content="ZW5j"),
    ]
    data = {"type": "compaction", "content": "Summary", "encrypted_content": "ZW5j"}

    assert read(*frames).message.parts == (OpaquePart(type="compaction", data=data),)
    assert read(*frames, stop(0)).message.parts == (OpaquePart(type="compaction", data=data, complete=True),)


def test_a_compaction_in_pieces_goes_back_whole() -> None:
    pieces = [delta(0, "compaction_delta", content=text, encrypted_content=text) for text in ("Sum", "mary")]
    came = read(start(), block(0, "compaction", content=""), *pieces, stop(0))
    data = {"type": "compaction", "content": "Summary", "encrypted_content": "mary"}

    assert came.message.parts == (OpaquePart(type="compaction", data=data, complete=True),)


def test_a_compaction_delta_that_says_nothing_changes_nothing() -> None:
    came = read(start(), block(0, "compaction", content="a"), delta(0, "compaction_delta", content=None))

    assert came.message.parts == (OpaquePart(type="compaction", data={"type": "compaction", "content": "a"}),)


@pytest.mark.parametrize("ending", [[], [stop(0)], [finish()], [STOP], [tool(0)], [start()]])
def test_a_compaction_in_many_deltas_is_whole_however_it_ends(ending: list[Payload]) -> None:
    pieces = [delta(0, "compaction_delta", **{f"f{n}": n}) for n in range(5)]
    came = read(start(), block(0, "compaction", content=None), *pieces, *ending)

    [part, *_] = came.message.parts
    assert isinstance(part, OpaquePart)
    assert part.data == {"type": "compaction", "content": None, **{f"f{n}": n for n in range(5)}}


def test_a_compaction_in_many_deltas_is_not_reported_again_with_each() -> None:
    pieces = [delta(0, "compaction_delta", **{f"f{n}": n}) for n in range(2000)]
    opened = block(0, "compaction", content=None)
    came = read(start(), opened, *pieces, stop(0))
    told = [event.content for event in came.events if isinstance(event, PartStart)]

    assert [len(part.data) for part in told if isinstance(part, OpaquePart)] == [2, 3, 2002]
    assert opened == block(0, "compaction", content=None)


def test_a_fallback_changes_the_model() -> None:
    content = {"from": {"model": "claude-x"}, "to": {"model": "claude-y"}, "trigger": {"type": "refusal"}}
    came = read(*answer(block(0, "fallback", **content), stop(0), *HELLO))

    assert came.message.model == "claude-y"
    assert came.message.parts[0] == OpaquePart(
        type="fallback", data={"type": "fallback", **content}, complete=True
    )


@pytest.mark.parametrize("kind", ["container_upload", "mcp_tool_listing", "hologram"])
def test_blocks_without_a_word_of_ours_are_carried_whole(kind: str) -> None:
    """Unknown is data, and what a later version of the API adds to such a block is, too."""
    came = read(*answer(block(0, kind, file_id="file_1"), delta(0, "beam_delta", beam=1), stop(0)))

    assert came.message.parts == (
        OpaquePart(type=kind, data={"type": kind, "file_id": "file_1"}, complete=True),
    )
    assert came.message.provider_data["beam_delta"] == [delta(0, "beam_delta", beam=1)]
    assert came.departures == {}


def test_deltas_without_a_word_of_ours_are_carried() -> None:
    came = read(*answer(*HELLO[:2], delta(0, "glow", x=1), delta(0, "glow", x=2), *HELLO[2:]))

    assert came.text == "Hello"
    assert [payload["delta"]["x"] for payload in came.message.provider_data["glow"]] == [1, 2]


def test_a_delta_without_a_kind_is_carried_under_the_name_of_its_event() -> None:
    """Nothing else says what it is."""
    bare = {"type": "content_block_delta", "index": 0, "delta": {"x": 1}}
    came = read(*answer(*HELLO[:2], bare, *HELLO[2:]))

    assert came.text == "Hello"
    assert [bare] == came.message.provider_data["content_block_delta"]
