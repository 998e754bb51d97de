"""Ways to cut the text of a document into pieces, and to feed them to a stage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from tests.support.recordings import shared

OutT = TypeVar("OutT")


class TextStage(Protocol[OutT]):
    @property
    def error(self) -> Exception | None: ...
    def feed(self, text: str, /) -> list[OutT]: ...
    def end(self) -> list[OutT]: ...


def pieces_of(text: str, size: int) -> list[str]:
    """Cut into pieces of `size` characters; 0 is whole."""
    step = size or len(text) or 1
    return [text[at : at + step] for at in range(0, len(text), step)]


def fragmentations(text: str) -> Iterator[list[str]]:
    """Cut in every way that may matter: not at all, everywhere, and at each single place."""
    yield [text]
    yield list(text)
    for place in range(1, len(text)):
        yield [text[:place], text[place:]]


def run(stage: TextStage[OutT], pieces: Iterable[str]) -> list[OutT]:
    """Feed all pieces, end the text, and return the whole output."""
    out = []
    for piece in pieces:
        out += stage.feed(piece)
    return out + stage.end()


def recorded_documents() -> list[tuple[str, str]]:
    """Return the names and texts of the recorded answers that are JSON objects or arrays."""
    found = []
    for recorded in shared():
        for choice in recorded.expected["choices"]:
            text = choice.get("text") or ""
            if is_json(text):
                found.append((recorded.name, text))
    return found


def is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False
