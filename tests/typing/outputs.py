"""What users' editors infer of structured output; checked by mypy and pyright, never run."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict, assert_type

from pydantic import BaseModel, TypeAdapter

from tokenstream import AsyncStream, Partial, Stream
from tokenstream.errors import InvalidJSON, OutputIncomplete, OutputInvalid
from tokenstream.message import Message
from tokenstream.partial_json import MISSING, Show
from tokenstream.partial_json import Partial as PartialOfParser
from tokenstream.partial_json._missing import MissingValue
from tokenstream.stream import AsyncPartialsView, PartialsView, View


class Step(BaseModel):
    text: str


class Recipe(BaseModel):
    title: str
    steps: list[Step]


class Note(TypedDict):
    text: str


class Menu(BaseModel):
    """A model with every kind of field."""

    day: dt.date
    first: Recipe
    dessert: Recipe | None = None
    note: str | None = None
    prices: dict[str, int]
    notes: list[Note]


class Shown(BaseModel):
    """A model that says when its fields show."""

    title: Annotated[str, Show("values")]
    best: Annotated[Recipe, Show("values")] | None = None


@dataclass
class Room:
    """A dataclass that holds itself."""

    seats: int
    rooms: list[Room]


either: TypeAdapter[Recipe | Step] = TypeAdapter(Recipe | Step)


def drafts(stream: Stream) -> None:
    for draft in stream.partials(Recipe):
        assert_type(draft, Partial[Recipe])
        assert_type(draft.title, Any)
        assert_type(draft.steps[0].text, Any)
        assert_type(draft.get("steps", 0, "text"), Any)
        assert_type(draft.get("steps")[0].get("text"), Any)
        assert_type(draft.is_complete("steps", 0), bool)
        assert_type(draft.complete, bool)
        assert_type(draft.final(), Recipe)
        for name in draft:
            assert_type(name, str)
        assert_type(len(draft), int)
    for draft in stream.choice(1).partials(
        Recipe, tool="recipe", fail_fast=True, lenient=True, defaults=True, show="words", document="matching"
    ):
        assert_type(draft, Partial[Recipe])
        assert_type(draft.to_json(by_alias=True), str)
        assert_type(draft.to_python(), Any)
    assert_type(stream.partials(Recipe), PartialsView[Recipe])
    assert_type(stream.partials(Recipe).throttle(20, timer=True), PartialsView[Recipe])
    for draft in stream.partials(Recipe).throttle(20):
        assert_type(draft, Partial[Recipe])
    assert_type(stream.partials(Recipe).throttle(20).patches(append=True), View[list[dict[str, Any]]])
    for steps in stream.partials(list[Step]):
        assert_type(steps, Partial[list[Step]])
        assert_type(steps.final(), list[Step])
        for step in steps:
            assert_type(step, Any)
        assert_type(steps[0], Any)
        assert_type(steps[1:], Any)
    for one in stream.partials(either):
        assert_type(one.final(), Recipe | Step)
    assert_type(next(stream.partials(Note)).final(), Note)
    assert_type(next(stream.partials(Recipe)), PartialOfParser[Recipe])


def paths(stream: Stream) -> None:
    """What a path that is a function of the type leads to."""
    for menu in stream.partials(Menu):
        assert_type(menu.get(lambda r: r.first.steps[0].text), str | None)
        assert_type(menu.get(lambda r: r.first.title, default="…"), str)
        assert_type(menu.get(lambda r: r.first.title, default=MISSING), str | Literal[MissingValue.MISSING])
        assert_type(menu.get(lambda r: r.day), dt.date | None)
        assert_type(menu.get(lambda r: r.prices["tea"]), int | None)
        assert_type(menu.get(lambda r: r.notes[-1]["text"]), str | None)
        assert_type(menu.get(lambda r: r.note), str | None)
        assert_type(menu.get(lambda r: r.dessert.title if r.dessert else None), str | None)
        assert_type(menu.get(lambda r: r.first.steps), list[Step] | None)
        # An element has the attributes of its type, growing or not; by names, nothing is known of it.
        assert_type([step.text for step in menu.get(lambda r: r.first.steps) or ()], list[str])
        assert_type(menu.get("first", "steps", 0, "text"), Any)
        assert_type(menu.first.steps[0].text, Any)
        (menu.get(lambda r: r.first.steps) or [])[0].get("text")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        assert_type(menu.get(lambda r: r), Menu | None)
        assert_type(menu.is_complete(lambda r: r.first.steps[0].text), bool)
        menu.get(lambda r: r.first.titel)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownLambdaType]
        menu.get(lambda r: r.dessert.title)  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
        menu.is_complete(lambda r: r.frist)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownLambdaType]
    for shown in stream.partials(Shown):
        assert_type(shown.get(lambda r: r.title), str | None)
    stream.partials(Shown, show="letters")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for steps in stream.partials(list[Step]):
        assert_type(steps.get(lambda r: r[0].text), str | None)
    for note in stream.partials(Note):
        assert_type(note.get(lambda r: r["text"]), str | None)
        note.get(lambda r: r["txet"])  # type: ignore[typeddict-item]  # pyright: ignore[reportGeneralTypeIssues]
    for room in stream.partials(Room):
        assert_type(room.get(lambda r: r.rooms[0].seats), int | None)


def elements(stream: Stream) -> None:
    for step in stream.items(Step, at="steps"):
        assert_type(step, Step)
    for step in stream.choice(1).items(Step, ("steps",), tool="recipe", fail_fast=True, lenient=True):
        assert_type(step, Step)
    assert_type(next(stream.items(either)), Recipe | Step)
    for piece in stream.field("title"):
        assert_type(piece, str)
    for piece in stream.choice(1).field(("steps", 0, "text"), tool="recipe", fail_fast=True, lenient=True):
        assert_type(piece, str)


def results(stream: Stream) -> None:
    assert_type(stream.result(Recipe), Recipe)
    assert_type(stream.result(list[Step]), list[Step])
    assert_type(stream.result(Note), Note)
    assert_type(stream.result(TypeAdapter(Recipe | Step)), Recipe | Step)
    assert_type(stream.result(either), Recipe | Step)
    assert_type(stream.choice(1).result(Recipe, tool="recipe", lenient=True), Recipe)


async def asynchronous(stream: AsyncStream) -> None:
    async for draft in stream.partials(Recipe):
        assert_type(draft, Partial[Recipe])
        assert_type(draft.final(), Recipe)
    assert_type(stream.partials(Recipe).throttle(20), AsyncPartialsView[Recipe])
    async for patch in stream.partials(Recipe).throttle(20).patches(by_alias=True):
        assert_type(patch, list[dict[str, Any]])
    async for step in stream.items(Step, at="steps"):
        assert_type(step, Step)
    async for piece in stream.field("title"):
        assert_type(piece, str)
    assert_type(await anext(stream.choice(1).partials(either)), Partial[Recipe | Step])
    assert_type(await stream.result(Recipe), Recipe)
    assert_type(await stream.result(list[Step]), list[Step])
    assert_type(await stream.result(either), Recipe | Step)
    assert_type(await stream.choice(1).result(Recipe), Recipe)


def failures(stream: Stream) -> None:
    try:
        stream.result(Recipe)
    except InvalidJSON as error:
        assert_type(error.offset, int)
    except (OutputInvalid, OutputIncomplete) as error:
        assert_type(error.partial, Message)
        assert_type(error.best, Partial[Any] | None)
        assert_type(error.text, str)
        assert_type(error.offset, int | None)
