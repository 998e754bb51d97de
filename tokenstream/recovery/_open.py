"""How an attempt opens its source: by a function of the caller's, or by a request of our own."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.sources import Deferred, async_source, sync_source
from tokenstream.sources._failures import opening_failed
from tokenstream.sources._kinds import do_nothing
from tokenstream.stream._continuation import Prefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._joint import Prefill
    from tokenstream.formats.base import Format
    from tokenstream.message import Message
    from tokenstream.recovery._retry import Fallback, Opens
    from tokenstream.sources import AsyncSource, SyncSource
    from tokenstream.stream._attempts import Attempt

__all__ = ["AsyncOpener", "Opener", "SyncOpener", "openers_of", "told_prefix"]

_WHERE = "the server"
_AT_HAND = frozenset({bytes, str, list, tuple, dict})
"""What may be read any number of times."""


class Opener(ABC):
    """Opens the source of an attempt.

    Args:
        opens: The caller's function; it is told of the attempt where it takes an argument.
        format: The format of what it opens; None to find it out.
    """

    replays = False
    """Whether the request is a GET, so that any server of events with ids may replay."""
    prefills: Prefill | None = None
    """Whether the caller says that the server takes the beginning of an answer as a prefix."""
    builds = False
    """Whether the library makes the request, and so knows that it asks for what it is to ask for."""
    enters = True
    """Whether what is opened may be a context manager, which is entered."""
    prepare: Callable[[], object] = staticmethod(do_nothing)
    """Loads what opening needs, before the clock starts."""
    asked: tuple[str, object] | None = None
    """The address and the JSON of the request, where it is one of our own."""

    def __init__(self, opens: Opens, format: str | Format | None) -> None:
        self._opens: Callable[..., Any] = opens
        self.format = format
        self.resumes = takes_attempt(opens)
        """Whether it can be told a position."""
        self._refused = False
        """The server has refused a prefix."""
        self._last: object = self

    def why_not(self, message: Message, limit_left: int | None) -> str | None:
        """Return why no request can be made that goes on with an answer; None where one can.

        Args:
            message: The answer so far.
            limit_left: Tokens that are left of the output limit; None where that is not known.
        """
        return None if self.resumes else "open takes no attempt, and so is not told of the answer so far"

    def prefix(self, message: Message) -> Prefix | None:
        """Return how the beginning of an answer goes as a prefix; None where a user's turn is to ask.

        Args:
            message: The answer so far.
        """
        return None if self._refused or not self.prefills else told_prefix(self.prefills)

    def refuse_prefix(self, *, known: bool) -> None:
        """Send no prefix any more: the server has refused one.

        Args:
            known: It said so in words that mean it for good.
        """
        self._refused = True

    def limit(self, message: Message) -> int | None:
        """Return the output limit of the first request, in tokens; None where it is not known."""
        return None

    @abstractmethod
    def deferred(self, attempt: Attempt, *, begins: bool = False) -> Deferred:
        """Return the source of an attempt, which is opened by the first read.

        Args:
            attempt: What is to be asked for.
            begins: Whether the answer's clock starts with it.
        """

    def _give(self, attempt: Attempt) -> Any:  # noqa: ANN401 - any source
        """Call the caller's function.

        Raises:
            MisuseError: It gave what it had given before, which is read by now.
        """
        given: Any = self._opens(attempt) if self.resumes else self._opens()
        if given is self._last and type(given) not in _AT_HAND:
            raise MisuseError(
                f"open returned the same {type(given).__name__} as for the attempt before, "
                "which has been read: it is to open a new one each time"
            )
        self._last = given
        return given


class SyncOpener(Opener):
    """Opens a source for a `Stream`."""

    def deferred(self, attempt: Attempt, *, begins: bool = False) -> Deferred:
        beneath: list[Deferred] = []

        def opened() -> SyncSource:
            try:
                found = sync_source(self._give(attempt))
                while isinstance(found, Deferred):
                    beneath.append(found)
                    found = found.open()
            except Exception as error:  # noqa: BLE001 - it is raised, as one of ours
                failed = opening_failed(error, _WHERE)
                raise failed from failed.__cause__
            return found

        def socket() -> Any:  # noqa: ANN401 - a socket of any kind
            find = beneath[-1].socket if beneath else None
            return None if find is None else find()

        return Deferred(opened, socket=socket, prepare=self.prepare, begins=begins, asked=self.asked)


class AsyncOpener(Opener):
    """Opens a source for an `AsyncStream`."""

    def deferred(self, attempt: Attempt, *, begins: bool = False) -> Deferred:
        async def opened() -> AsyncSource:
            if attempt.wait > 0:
                from anyio import sleep

                await sleep(attempt.wait)
            return await self.open(attempt)

        return Deferred(opened, enters=self.enters, prepare=self.prepare, begins=begins, asked=self.asked)

    async def open(self, attempt: Attempt) -> AsyncSource:
        """Open the source of an attempt.

        Raises:
            StreamError: It cannot be opened.
            MisuseError: What `open` returns is no source.
        """
        try:
            found = async_source(self._give(attempt))
            while isinstance(found, Deferred):
                found = await found.open()
        except Exception as error:  # noqa: BLE001 - it is raised, as one of ours
            failed = opening_failed(error, _WHERE)
            raise failed from failed.__cause__
        return found


def told_prefix(told: Prefill) -> Prefix:
    """Return how a prefix goes to a server of which nothing is known but what the caller says."""
    return Prefix(echoes=True if told == "echo" else None)


def takes_attempt(opens: Opens) -> bool:
    """Tell whether a function takes the attempt as its argument.

    Raises:
        MisuseError: It is no function, or needs more than one argument.
    """
    given: Any = opens
    if not callable(given):
        raise MisuseError(
            f"open= is a function that opens a source, and not {type(given).__name__}: pass lambda: … or "
            "def open(attempt)"
        )
    try:
        signature = inspect.signature(given)
    except (TypeError, ValueError):
        # What is written in C may not say what it takes.
        return False
    for arguments in ((), (None,)):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        named = [each for each in signature.parameters.values() if each.kind is not each.KEYWORD_ONLY]
        plain = named and named[0].kind is not named[0].VAR_KEYWORD
        # One with a default of its own, such as `client=client`, is not meant for the attempt.
        return bool(plain) and (
            bool(arguments) or named[0].name == "attempt" or named[0].kind is named[0].VAR_POSITIONAL
        )
    raise MisuseError("open= takes the attempt as its one argument, or none at all")


def openers_of(kind: type[Opener], fallback: tuple[Fallback, ...]) -> tuple[Opener, ...]:
    """Return what opens the sources to fall back on."""
    pairs: list[tuple[Any, Any]] = [each if isinstance(each, tuple) else (each, None) for each in fallback]
    return tuple(kind(*pair) for pair in pairs)
