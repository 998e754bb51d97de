"""The view `live`: the answer so far, ready to be shown, at a steady rate, in every loop."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
import trio
from pydantic import BaseModel

from tests.stream.bodies import call, chunk
from tests.support import wire
from tests.support.playing import silent_after
from tokenstream import Deadlines, Stream, StreamError
from tokenstream.errors import MisuseError, OutputInvalid

_END = (chunk({}, "stop"), wire.DONE)


class _Crepes(BaseModel):
    name: str
    serves: int


def _say(text: str) -> bytes:
    return chunk({"content": text})


def _read(*steps: bytes | float, type: Any = None, **options: Any) -> tuple[list[Any], StreamError | None]:  # noqa: A002
    """Return the items and the error of a `for` loop; those of the others must be the same."""

    def read() -> tuple[list[Any], StreamError | None]:
        playback, items = silent_after(*steps), list[Any]()
        try:
            with playback.stream(format="openai-chat", **options) as stream:
                items.extend((round(playback.clock(), 3), item) for item in stream.live(type))
        except StreamError as error:
            return items, error
        return items, None

    async def read_asynchronously() -> tuple[list[Any], StreamError | None]:
        playback, items = silent_after(*steps), list[Any]()
        try:
            async with playback.astream(format="openai-chat", **options) as stream:
                async for item in stream.live(type):
                    items.append((round(playback.clock(), 3), item))
        except StreamError as error:
            return items, error
        return items, None

    items, error = read()
    for run in (anyio.run, trio.run):
        others, other = run(read_asynchronously)
        assert [(at, item.message.text, item.message.ending) for at, item in others] == [
            (at, item.message.text, item.message.ending) for at, item in items
        ]
        assert str(other) == str(error)
    return [item for _, item in items], error


def test_an_open_fence_is_closed_for_show() -> None:
    items, _ = _read(_say("```py\nx = 1"), 0.2, _say("\n```\n"), *_END)

    assert items[0].message.text == "```py\nx = 1\n```"
    assert (items[-1].message.text, items[-1].message.ending) == ("```py\nx = 1\n```\n", "complete")


def test_a_call_shows_its_name_and_its_arguments_so_far() -> None:
    items, _ = _read(
        chunk(call(0, "c", "look", '{"city": "Os')), 0.2, chunk(call(0, None, None, 'lo"}')), *_END
    )
    calls = [item.message.parts[0] for item in items]

    assert [("look", None), ("look", {"city": "Os"})] == [(c.name, c.partial_arguments) for c in calls[:2]]
    assert {"city": "Oslo"} == calls[-1].arguments


def test_a_type_has_drafts_and_its_error_at_the_end() -> None:
    steps = [_say('{"name": "Crep'), 0.2, _say('es", "serves": 4}'), *_END]
    items, _ = _read(*steps, type=_Crepes)

    assert {"name": "Crep"} == items[0].draft.to_python()
    assert _Crepes(name="Crepes", serves=4) == items[-1].draft.final()
    with Stream(['{"name": 1', "}"], format="pieces") as stream, pytest.raises(OutputInvalid):
        assert [item.message.ending for item in stream.live(_Crepes)][-1] == "complete"


def test_a_silence_is_told_once_a_second_and_deadlines_pass_in_it() -> None:
    items, _ = _read(_say("Hi"), 3.5, _say(" there"), *_END)
    silent, error = _read(_say("Hi"), deadlines=Deadlines(idle_bytes=4))

    assert [0, 1, 2, 3, 0] == [round(item.silence, 3) for item in items[:5]]
    assert [0, 1, 2, 3] == [round(item.silence, 3) for item in silent[:4]]
    assert error is not None
    assert ("Hi", "truncated") == (silent[-1].message.text, silent[-1].message.ending)
    assert "Deadlines.idle_bytes" in str(error)


def test_many_events_are_ten_items_a_second() -> None:
    items, _ = _read(*[step for _ in range(100) for step in (_say("word "), 0.01)], *_END)

    assert "word " * 100 == items[-1].message.text
    assert len(items) <= 13


def test_a_wrong_rate_is_reported_where_it_is_given() -> None:
    with Stream(["Hi"], format="pieces") as stream, pytest.raises(MisuseError, match="hz="):
        stream.live(hz=0)
