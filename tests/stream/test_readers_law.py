"""The law of readers: whoever reads an answer, in whatever turns, is given what one whole read gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.wire import claude_close, claude_delta, claude_end, claude_open, claude_start
from tokenstream import Retry, Stream, resilient, testing
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import MisuseError, StreamError

_RECIPE = '{"title": "Pan cakes", "steps": ["mix", "bake", "eat"]}'


def _json(size: int) -> list[bytes]:
    pieces = [_RECIPE[at : at + size] for at in range(0, len(_RECIPE), size)]
    return testing.script().text(*pieces).finish("stop").chunks("anthropic")


_TALK = (
    testing.script()
    .reasoning("Hm. ", "Rain?")
    .text("Let me ", "look.")
    .tool_call("look", {"at": "sky"}, id="call_1")
    .reasoning("Clouds.")
    .text("It ", "rains.")
    .tool_call("look", {"at": "sea"}, id="call_2")
    .finish("tool_calls")
)
_IN_TURNS = [
    claude_start(),
    claude_open(0, type="text", text=""),
    claude_delta(0, "text_delta", text="One "),
    claude_open(1, type="thinking", thinking="", signature=""),
    claude_delta(1, "thinking_delta", thinking="Hm. "),
    claude_open(2, type="text", text=""),
    claude_delta(2, "text_delta", text="uno "),
    claude_delta(0, "text_delta", text="two "),
    claude_delta(1, "thinking_delta", thinking="Well."),
    claude_delta(0, "text_delta", text="three"),
    claude_delta(2, "text_delta", text="due"),
    claude_close(0),
    claude_close(1),
    claude_close(2),
    claude_end(),
]
"""Blocks that are written by turns, which no script does."""
_ANSWERS: dict[str, list[bytes]] = {
    "talk": _TALK.chunks("anthropic"),
    "JSON": _json(5),
    "blocks in turns": _IN_TURNS,
}
_OTHERS: dict[str, list[bytes]] = {
    name: [chunk.replace(old, new) for chunk in _ANSWERS[name]]
    for name, old, new in (
        ("talk", b"rains", b"pours"),
        ("JSON", b"bake", b"wait"),
        ("blocks in turns", b"three", b"tree."),
    )
}
"""Answers that begin the same, and come to say something else."""


def _joined(pieces: Sequence[str]) -> str:
    return "".join(pieces)


def _told(deltas: Sequence[Any]) -> list[tuple[type, int, str]]:
    """Return deltas with neighbours of one part joined, in their order."""
    runs = groupby(deltas, key=lambda delta: (type(delta), delta.part))
    return [(kind, part, "".join([delta.text for delta in run])) for (kind, part), run in runs]


def _called(calls: Sequence[Any]) -> list[tuple[str, str]]:
    return [(call.name, call.arguments_text) for call in calls]


def _drafted(drafts: Sequence[Any]) -> list[tuple[int, str, str]]:
    return [(each.index, each.name, each.call.arguments_text) for each in drafts if each.call is not None]


def _last(drafts: Sequence[Any]) -> Any:
    return drafts[-1].value if drafts else None


def _built(events: Sequence[Any]) -> Any:
    accumulator = Accumulator()
    for event in events:
        accumulator.feed(event)
    return accumulator.message.parts


_READERS: dict[str, tuple[Callable[[Any], Any], Callable[[Sequence[Any]], Any]]] = {
    "text": (lambda stream: stream.text, _joined),
    "reasoning": (lambda stream: stream.reasoning, _joined),
    "deltas": (lambda stream: stream.deltas, _told),
    "tool calls": (lambda stream: stream.tool_calls, _called),
    "complete calls": (lambda stream: stream.tool_calls.when_complete(), _called),
    "validated calls": (lambda stream: stream.validated_calls(look=dict[str, str]), _called),
    "drafts of calls": (lambda stream: stream.tool_partials(look=dict[str, str]), _drafted),
    "events": (iter, _built),
}
_OF_JSON: dict[str, tuple[Callable[[Any], Any], Callable[[Sequence[Any]], Any]]] = {
    "text": (lambda stream: stream.text, _joined),
    "deltas": (lambda stream: stream.deltas, _told),
    "items": (lambda stream: stream.items(str, at="steps"), list),
    "a field": (lambda stream: stream.field("title"), _joined),
    "drafts": (lambda stream: stream.partials(dict[str, Any]), _last),
    "events": (iter, _built),
}


def _readers_of(name: str) -> dict[str, tuple[Callable[[Any], Any], Callable[[Sequence[Any]], Any]]]:
    return _OF_JSON if name == "JSON" else _READERS


class _Reader:
    def __init__(self, name: str, answer: str, stream: Any) -> None:
        self._begin, self._normal = _readers_of(answer)[name]
        self._stream = stream
        self._items: Any = None
        self.given: list[Any] = []
        self.error: StreamError | None = None

    def read(self) -> bool:
        """Read one item; return False at the end, and at an error."""
        try:
            if self._items is None:
                self._items = self._begin(self._stream)
            item = next(self._items, None)
        except MisuseError as error:
            # The one loop over the events of a stream that is not shared, begun behind their end.
            if error.kind != "consumed":
                raise
            return False
        except StreamError as error:
            self.error = error
            return False
        if item is not None:
            self.given.append(item)
        return item is not None

    @property
    def normal(self) -> Any:
        return self._normal(self.given)


@cache
def _whole(name: str, *, is_other: bool = False) -> dict[str, Any]:
    """Return what each reader is given who reads an answer alone, from the start."""
    chunks, found = (_OTHERS if is_other else _ANSWERS)[name], {}
    for reader_name in _readers_of(name):
        reader = _Reader(reader_name, name, Stream(chunks, format="anthropic"))
        while reader.read():
            pass
        found[reader_name] = reader.normal
    return found


def _play(data: st.DataObject, name: str, stream: Any) -> dict[str, list[_Reader]]:
    """Read in turns that are drawn, with readers that begin early, late or once more; then on to the end.

    Each reader has the stream itself, or a reader of its own where the stream is shared.
    """
    hub = stream.broadcast() if data.draw(st.booleans(), label="shared") else None
    names = sorted(_readers_of(name))
    readers: dict[str, list[_Reader]] = {each: [] for each in names}

    def begin(each: str) -> None:
        readers[each].append(_Reader(each, name, stream if hub is None else hub.reader()))

    turns = data.draw(st.lists(st.tuples(st.sampled_from(names), st.booleans()), max_size=60), label="turns")
    for each, is_new in turns:
        if is_new or not readers[each]:
            begin(each)
        readers[each][-1].read()
    for each in data.draw(st.permutations(names), label="at the end"):
        begin(each)
        for reader in readers[each]:
            while reader.read():
                pass
    if hub is None:
        # Its loops over events share them.
        del readers["events"]
    return readers


def _again(first: list[bytes], second: list[bytes]) -> Any:
    """Return a stream whose first answer breaks off, and that begins anew."""
    bodies = iter([first, second])
    return resilient(lambda: next(bodies), Retry(again=True, wait=0), format="anthropic")


def _check_whole(readers: dict[str, list[_Reader]], whole: dict[str, Any]) -> None:
    for name, found in readers.items():
        for reader in found:
            assert (name, reader.error, reader.normal) == (name, None, whole[name])


@pytest.mark.parametrize("name", _ANSWERS)
@given(data=st.data())
def test_every_reader_is_given_what_a_whole_read_gives(name: str, data: st.DataObject) -> None:
    with Stream(_ANSWERS[name], format="anthropic") as stream:
        readers = _play(data, name, stream)

    _check_whole(readers, _whole(name))


@pytest.mark.parametrize("name", _ANSWERS)
@given(data=st.data())
def test_an_answer_that_comes_again_is_given_once_to_every_reader(name: str, data: st.DataObject) -> None:
    answer = _ANSWERS[name]
    cut = data.draw(st.integers(0, len(answer) - 1), label="cut")
    with _again(answer[:cut], answer) as stream:
        readers = _play(data, name, stream)

    _check_whole(readers, _whole(name))


@given(data=st.data())
def test_text_that_comes_again_in_other_pieces_is_given_once(data: st.DataObject) -> None:
    """A second answer may be cut elsewhere, and bring in one piece what came in many."""
    answer = _ANSWERS["JSON"]
    cut = data.draw(st.integers(0, len(answer) - 1), label="cut")
    size = data.draw(st.sampled_from([1, 3, 7, len(_RECIPE)]), label="size")
    with _again(answer[:cut], _json(size)) as stream:
        readers = _play(data, "JSON", stream)

    _check_whole(readers, _whole("JSON"))


@pytest.mark.parametrize("name", _ANSWERS)
@given(data=st.data())
def test_no_reader_is_given_a_mixture_of_two_answers(name: str, data: st.DataObject) -> None:
    first, second = _ANSWERS[name], _OTHERS[name]
    cut = data.draw(st.integers(0, len(first) - 1), label="cut")
    with _again(first[:cut], second) as stream:
        readers = _play(data, name, stream)

    wholes = _whole(name), _whole(name, is_other=True)
    for reader_name, found in readers.items():
        if reader_name in ("events", "drafts"):
            # Both begin anew: `Restarted` says so, and a draft replaces the one before.
            continue
        for reader in found:
            assert any(_begins(whole[reader_name], reader.normal) for whole in wholes)
            # A first answer that lacked nothing but its last chunk stands.
            assert reader.error is not None or reader.normal in [whole[reader_name] for whole in wholes]


def _begins(whole: Any, part: Any) -> bool:
    """Return True if a whole begins with a part; the last delta of a part may be cut anywhere."""
    if not part or isinstance(whole, str) or not isinstance(part[-1], tuple) or len(part[-1]) < len("abc"):
        return bool(whole[: len(part)] == part)
    *before, (kind, index, text) = part
    behind = whole[len(before) :][:1]
    return whole[: len(before)] == before and [(kind, index, each[2][: len(text)]) for each in behind] == [
        (kind, index, text)
    ]
