"""Drafts for an interface: the newest only, and what has changed since the loop was last given something."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.stream.bodies import chunk
from tests.support.effort import examples
from tests.support.json_patch import patched
from tests.support.wire import DONE
from tokenstream import AsyncStream, Retry, Stream, resilient, testing
from tokenstream.errors import MisuseError, OutputIncomplete, OutputInvalid, StreamTruncated

pytestmark = pytest.mark.anyio

TEXT = '{"title": "Pancakes", "steps": [{"t": "Whisk"}, {"t": "Bake"}], "n": {"a/b": [1, 2]}}'
WHOLE = json.loads(TEXT)
Form = dict[str, Any]


class Served(BaseModel):
    name: str = "…"
    steps: list[str] = []
    serves: int = 2


SHAPES: dict[str, Callable[[Any], Any]] = {
    "patches": lambda drafts: drafts.patches(),
    "append": lambda drafts: drafts.patches(append=True),
    "throttled": lambda drafts: drafts.throttle(1000).patches(append=True),
}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def _applied(patches: list[list[dict[str, Any]]]) -> Any:
    document: Any = None
    for patch in patches:
        assert patch
        document = patched(document, patch, append=True)
    return document


@every_shape
@given(cuts=st.lists(st.integers(1, len(TEXT) - 1), max_size=12))
@examples(20)
def test_patches_lead_to_the_whole(shape: Callable[[Any], Any], cuts: list[int]) -> None:
    bounds = [0, *sorted(set(cuts)), len(TEXT)]
    pieces = [TEXT[start:end] for start, end in pairwise(bounds)]

    async def read() -> Any:
        async with AsyncStream(pieces, format="pieces") as stream:
            return _applied([patch async for patch in shape(stream.partials(Form))])

    with Stream(pieces, format="pieces") as stream:
        patches = list(shape(stream.partials(Form)))

    assert patches[0][0].items() >= {"op": "replace", "path": ""}.items()
    assert _applied(patches) == anyio.run(read) == WHOLE


def test_each_consumer_has_patches_of_its_own() -> None:
    pieces = [TEXT[start : start + 7] for start in range(0, len(TEXT), 7)]
    stream = Stream(pieces, format="pieces")
    early = stream.partials(Form).patches()
    given = [next(early), next(early)]
    late = list(stream.choice(0).partials(Form).patches())

    # It begins with what there is.
    assert late[0] == [{"op": "replace", "path": "", "value": {"title": "Pan"}}]
    assert _applied(late) == _applied([*given, *early]) == WHOLE
    with Stream(pieces, format="pieces") as shared:
        hub = shared.broadcast()
        readers = [hub.reader().partials(Form) for _ in range(2)]
        views = [readers[0].patches(append=True), readers[1].throttle(1000).patches()]

        assert [_applied(list(view)) for view in views] == [WHOLE, WHOLE]


async def test_what_is_asked_of_drafts_holds_on_every_reader() -> None:
    text = '{"name": "one two", "steps": []}'
    answer = testing.script().text(text).tool_call("save", json.loads(text)).finish("tool_calls")
    chunks = [*answer.chunks("openai-chat")]
    bounds = [0, 3, 10, 14, 18, len(text)]
    second = [chunk({"content": text[start:end]}, choice=1) for start, end in pairwise(bounds)]
    last = {"name": "one two", "steps": [], "serves": 2}

    def shaped(reader: Any, **options: Any) -> list[Any]:
        asked = {"defaults": True, "show": "words", **options}
        views = [reader.partials(Served, **asked), reader.partials(Served, **asked).throttle(1000)]
        return [view.patches(append=True) for view in views]

    with Stream([*second, *chunks], format="openai-chat") as stream:
        given = [list(view) for view in shaped(stream.choice(1))]
        words = [operation for operation in given[0][-2] + given[0][-1] if operation["op"] == "append"]
        given += [list(view) for view in (*shaped(stream), *shaped(stream, tool="save"))]
    async with AsyncStream([*second, *chunks], format="openai-chat") as other:
        for reader in (other.broadcast().reader(), other.choice(1)):
            given += [[patch async for patch in view] for view in shaped(reader)]

    assert [_applied(patches) for patches in given] == [last] * len(given)
    assert words[-1] == {"op": "append", "path": "/name", "value": " two"}


@pytest.mark.parametrize("paced", [False, True])
def test_an_answer_that_begins_again_replaces_the_root(paced: bool) -> None:
    bodies = iter(
        [
            [chunk({"content": '{"a": "one", '}), chunk({"content": '"b": "tw'})],
            [chunk({"content": '{"c": "th'}), chunk({"content": 'ree"}'}, "stop"), DONE],
        ]
    )
    retry = Retry(attempts=2, again=True, wait=0)
    with resilient(lambda _: next(bodies), retry, format="openai-chat") as stream:
        drafts = stream.partials(Form)
        patches = list((drafts.throttle(0.5) if paced else drafts).patches(append=True))

    roots = [patch[0]["value"] for patch in patches if patch[0]["path"] == ""]
    assert roots == ([{"a": "one"}, {"c": "three"}] if paced else [{"a": "one"}, {"c": "th"}])
    assert _applied(patches) == {"c": "three"}


@every_shape
def test_patches_come_before_the_error(shape: Callable[[Any], Any]) -> None:
    with Stream(['{"a": "x', "yz"], format="pieces") as stream:
        seen: list[Any] = []
        with pytest.raises(OutputIncomplete):
            seen.extend(shape(stream.partials(Form)))
        assert _applied(seen) == {"a": "xyz"}
    cut = Stream([chunk({"content": '{"a": "x'}), chunk({"content": "yz"})], format="openai-chat")
    seen = []
    with pytest.raises(StreamTruncated):
        seen.extend(shape(cut.partials(Form)))

    assert _applied(seen) == {"a": "xyz"}
    with Stream(['{"a": "x', '", "b": 1}'], format="pieces") as stream, pytest.raises(OutputInvalid):
        list(shape(stream.partials(dict[str, str], fail_fast=True)))


# -- time ----------------------------------------------------------------------


def test_drafts_are_given_less_often() -> None:
    with Stream([TEXT[:12], *TEXT[12:]], format="pieces") as stream:
        first, last = stream.partials(Form).throttle(0.5)

    assert (first.to_python(), first.complete) == ({"title": "P"}, False)
    assert last.final() == WHOLE


def test_a_draft_that_shows_nothing_is_given_too() -> None:
    with Stream(["[", "[]", "]"], format="pieces") as stream:
        drafts = list(stream.partials(list[list[int]]).throttle(0.5))

    assert [draft.to_python() for draft in drafts] == [[], [[]]]


@pytest.mark.slow
def test_a_loop_that_is_busy_is_given_the_newest_draft() -> None:
    came: list[str] = []

    def source() -> Iterator[str]:
        for piece in ('{"a": "', *"123456789", '"}'):
            came.append(piece)
            yield piece

    with Stream(source(), format="pieces") as stream:
        patches = []
        for patch in stream.partials(Form).throttle(200).patches(append=True):
            patches.append(patch)
            time.sleep(0.02)

    assert _applied(patches) == {"a": "123456789"}
    assert len(patches) < len(came)


def test_what_makes_no_sense_is_refused_where_it_is_asked_for() -> None:
    with Stream([], format="pieces") as stream:
        drafts = stream.partials(Form)
        with pytest.raises(MisuseError, match="keep one of them"):
            drafts.throttle(5).throttle(5)
        with pytest.raises(MisuseError, match="hz="):
            drafts.throttle(0)
        drafts.close()
        with pytest.raises(MisuseError, match="closed"):
            drafts.patches()
