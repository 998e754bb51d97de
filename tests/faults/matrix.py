"""Rows of the fault matrix: what goes wrong, how it is made to happen, and what the user is owed then."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from tests.faults.driver import TEXT, Outcome, read
from tests.support.loopback import Handler, Loopback, Script
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError, StreamError, StreamInterrupted, StreamTruncated
from tokenstream.message import Message

World: TypeAlias = Literal["sync", "asyncio", "trio"]
WORLDS: tuple[World, ...] = get_args(World)
_LONGEST = 40
"""Longer texts than that are cut on the page."""


@dataclass(frozen=True)
class Result:
    """What a user has in hand after a fault, in words that are the same at each run."""

    error: str = ""
    """The class of what was raised; "" for nothing."""
    retryable: bool | None = None
    """None where the error is none of a stream's."""
    ending: str = "complete"
    kept: str = TEXT
    """The text and the tool calls of the message."""
    closed: bool | None = True
    """Whether the source was closed by then; None where there was none to close."""
    told: tuple[str, ...] = ()
    """What else the user is told, and what else was seen to be so."""


Run: TypeAlias = Callable[[World], Result]


@dataclass(frozen=True)
class Row:
    """One fault; a letter after its number tells variations of it apart."""

    id: str
    fault: str
    run: Run
    """Makes it happen in one world, and measures."""
    owed: Result
    without: Mapping[World, str] = field(default_factory=dict[World, str])
    """Worlds in which it cannot be measured, and why."""
    differs: Mapping[World, Result] = field(default_factory=dict[World, Result])
    """What is owed where it cannot be as it is elsewhere; `notes` says why."""
    notes: Mapping[World, str] = field(default_factory=dict[World, str])
    """What is to be said of a world beside the table."""

    def owed_in(self, world: World) -> Result:
        return self.differs.get(world, self.owed)

    @property
    def worlds(self) -> list[World]:
        return [world for world in WORLDS if world not in self.without]


# -- what is owed --------------------------------------------------------------------


def whole(*told: str, kept: str = TEXT) -> Result:
    """Return what a fault comes to that does no harm."""
    return Result(kept=kept, told=told)


def failed(
    error: type[Exception],
    *told: str,
    retryable: bool,
    ending: str = "truncated",
    kept: str = TEXT,
    closed: bool | None = True,
) -> Result:
    return Result(error.__name__, retryable, ending, kept, closed, told)


def interrupted(*told: str, kept: str = TEXT) -> Result:
    return failed(StreamInterrupted, *told, retryable=True, kept=kept)


def truncated(*told: str, kept: str = TEXT) -> Result:
    return failed(StreamTruncated, *told, retryable=True, kept=kept)


# -- what is measured ----------------------------------------------------------------


def saw(what: str, so: object) -> str:
    """Return what was looked for, with a mark where it was not so: then it is not what is owed."""
    return what if so else f"NOT SO: {what}"


def kept_of(message: Message) -> str:
    calls = [
        f"{call.name}({call.arguments_text}){'' if call.complete else ' incomplete'}"
        for call in message.tool_calls
    ]
    return ", ".join([piece for piece in (_short(message.text), *calls) if piece])


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}… ({len(text):,} characters)"


def _details(error: StreamError | None) -> list[str]:
    """Return what an error of this class says beyond what all errors say."""
    if error is None:
        return []
    names = ("stage", "limit", "status", "retry_after", "event", "offset")
    values = {name: getattr(error, name, None) for name in names}
    told = [f"`.{name}` is `{value}`" for name, value in values.items() if value is not None]
    if values["status"] is not None or hasattr(error, "code"):
        told.append(f"`.kind` is `{error.kind}`")
    return [*told, "`.tail` has the start of the last event"] if error.tail else told


def result_of(outcome: Outcome, *seen: str, closed: bool | None = None) -> Result:
    """Put what was read into a row's words."""
    error = outcome.error
    names = ", ".join([f"`{name}`" for name in outcome.departures.details])
    counted = [f"counted as {names}"] if names else []
    return Result(
        type(error).__name__ if error else "",
        error.retryable if error else None,
        outcome.message.ending,
        kept_of(outcome.message),
        closed,
        (*_details(error), *counted, *seen),
    )


def state_of(
    stream: Stream | AsyncStream, server: Loopback | None, *seen: str, error: BaseException | None = None
) -> Result:
    """Put into a row's words how a stream stands."""
    closed = stream.closed and (server is None or server.connection().closed_within(PATIENCE))
    name = type(error).__name__ if error else ""
    return Result(
        "the cancellation" if name in ("CancelledError", "Cancelled") else name,
        error.retryable if isinstance(error, StreamError) else None,
        stream.message.ending,
        kept_of(stream.message),
        closed,
        (*([f"`.kind` is `{error.kind}`"] if isinstance(error, MisuseError) and error.kind else []), *seen),
    )


def dropped(message: Message, server: Loopback, warned: Sequence[warnings.WarningMessage]) -> Result:
    """Put into a row's words what came of a stream that was dropped, and collected."""
    told = any(each.category is ResourceWarning and "never closed" in str(each.message) for each in warned)
    closed = server.connection().closed_within(PATIENCE)
    return Result("", None, "", kept_of(message), closed, (saw("you get a `ResourceWarning`", told),))


def measured(
    world: World,
    server: Loopback | str,
    also: Callable[[Outcome], Iterable[str]] = lambda _: (),
    **options: Any,
) -> Result:
    """Read an answer, and put what came of it into a row's words."""
    outcome = read(world, server, **options)
    closed = None if isinstance(server, str) else outcome.left
    return result_of(outcome, *also(outcome), closed=closed)


def answered(*scripts: Script | Handler, tls: bool = False, alpn: Any = ("http/1.1",), **options: Any) -> Run:
    """Return what asks a server that plays these scripts."""

    def run(world: World) -> Result:
        with Loopback(*scripts, tls=tls, alpn=alpn) as server:
            return measured(world, server, **options)

    return run


def answered_in_steps(script: Callable[[threading.Event], Script | Handler], last: str, **server: Any) -> Run:
    """Return what asks a server that waits at a gate until a piece of text has been read."""

    def run(world: World) -> Result:
        gate, options = threading.Event(), dict(server)
        kinds = {name: options.pop(name) for name in ("tls", "alpn") if name in options}
        with Loopback(script(gate), **kinds) as loopback:
            return measured(
                world, loopback, on_text=lambda text: gate.set() if text == last else None, **options
            )

    return run


def every(*runs: Run) -> Run:
    """Return what runs several cases of a row, which must all come to the same."""

    def run(world: World) -> Result:
        results = [each(world) for each in runs]
        for result in results[1:]:
            if result != results[0]:
                return replace(results[0], told=(f"NOT SO: its cases end alike ({results[0]} / {result})",))
        return results[0]

    return run
