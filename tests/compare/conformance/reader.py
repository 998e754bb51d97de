"""What a reader is: which packages it is made of, what it claims, and how it reads."""

from __future__ import annotations

import importlib
import itertools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from tests.compare.conformance.answers import Answer, SSEEvent
from tests.compare.conformance.json_case import REFUSED, JSONCase
from tests.compare.conformance.packages import Packages, PythonPackages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from tests.compare.conformance.sse_cases import SSECase

HEADERS = {"content-type": "text/event-stream"}
"""What every body is served with."""


class Reader(Packages, Protocol):
    """A way to read streams, as its documents show it."""

    @property
    def formats(self) -> frozenset[str]: ...

    @property
    def claims(self) -> frozenset[str]:
        """The fields of an answer that it has a place for, beyond text and calls."""
        ...

    @property
    def sse(self) -> tuple[str, ...]:
        """Which of `event`, `data` and `id` it gives of an SSE event; none where it parses no SSE."""
        ...

    def events(self, cases: Sequence[SSECase]) -> list[list[list[SSEEvent] | str]]:
        """Return, for each case and each of its chunkings, the events or the name of an error."""
        ...

    def answers(self, bodies: Sequence[tuple[str, bytes]]) -> list[Answer]:
        """Return what it makes of each body, given with its format."""
        ...

    @property
    def json(self) -> frozenset[str]:
        """The kinds of cases of JSON that it reads."""
        ...

    def json_told(self, cases: Sequence[JSONCase]) -> list[str]:
        """Return what it tells of each case, all of kinds that it reads."""
        ...


def found(module: str) -> Any:
    return importlib.import_module(module)


def in_chunks(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *cuts, len(body)]
    return [body[start:stop] for start, stop in itertools.pairwise(places)]


class Attempt:
    """A block whose exception is kept: a peer may raise anything, and which it is is a result."""

    def __init__(self) -> None:
        self.error: str | None = None
        """The name of the exception's class."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.error = type(error).__name__
        return True


def answer_by(read: Callable[[bytes, Answer], None], **empty: Any) -> Callable[[bytes], Answer]:
    """Return what gives the answer that `read` fills in, with the error that ended it."""

    def answer_of(body: bytes) -> Answer:
        answer = Answer(**empty)
        with warnings.catch_warnings(), Attempt() as attempt:
            # What a peer thinks of its own libraries is not what was asked.
            warnings.simplefilter("ignore")
            read(body, answer)
        answer.error = attempt.error
        return answer

    return answer_of


@dataclass(frozen=True)
class PythonReader(PythonPackages):
    events_of: Callable[[list[bytes]], list[SSEEvent]] | None = None
    sse: tuple[str, ...] = ()
    answer_of: Mapping[str, Callable[[bytes], Answer]] | None = None
    claims: frozenset[str] = frozenset()
    json_of: Mapping[str, Callable[[JSONCase], str]] | None = None

    @property
    def json(self) -> frozenset[str]:
        return frozenset(self.json_of or ())

    @property
    def formats(self) -> frozenset[str]:
        return frozenset(self.answer_of or ())

    def _told(self, chunks: list[bytes]) -> list[SSEEvent] | str:
        assert self.events_of is not None
        told: list[SSEEvent] = []
        with Attempt() as attempt:
            told = self.events_of(chunks)
        return told if attempt.error is None else attempt.error

    def events(self, cases: Sequence[SSECase]) -> list[list[list[SSEEvent] | str]]:
        return [[self._told(in_chunks(case.body, cuts)) for cuts in case.chunkings()] for case in cases]

    def answers(self, bodies: Sequence[tuple[str, bytes]]) -> list[Answer]:
        """Return what it makes of each body, given with its format."""
        assert self.answer_of is not None
        return [self.answer_of[format](body) for format, body in bodies]

    def _json_told(self, case: JSONCase) -> str:
        assert self.json_of is not None
        told = ""
        with Attempt():
            told = self.json_of[case.kind](case)
        # No value is told as an empty text.
        return told or REFUSED

    def json_told(self, cases: Sequence[JSONCase]) -> list[str]:
        return list(map(self._json_told, cases))
