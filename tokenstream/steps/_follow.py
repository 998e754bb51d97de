"""The events of a framework, which pass untouched while a run grows out of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tokenstream.errors import MisuseError
from tokenstream.formats._read import is_dict
from tokenstream.sources._frameworks import is_run_event
from tokenstream.sources._kinds import named
from tokenstream.sources._payloads import payload_of
from tokenstream.steps._langchain import GraphMessages, LangChainRun, message_in
from tokenstream.steps._llamaindex import LlamaIndexRun
from tokenstream.steps._openai_agents import AgentsRun
from tokenstream.stream._said import warn
from tokenstream.stream._tap_beside import AsyncBeside, SyncBeside, loops_of

if TYPE_CHECKING:
    from tokenstream.status import ResponseHead
    from tokenstream.steps._framework import RunOfAFramework
    from tokenstream.steps._run import Steps

__all__ = ["AsyncFollowed", "Followed", "follow"]

ItemT = TypeVar("ItemT")


class Followed(SyncBeside[ItemT]):
    """The events of a framework's run, read in `for`; made by `Steps.follow`."""

    __slots__ = ()

    _made_by: ClassVar[str] = "run.follow(…)"


class AsyncFollowed(AsyncBeside[ItemT]):
    """The events of a framework's run, read in `async for`; made by `Steps.follow`."""

    __slots__ = ()

    _made_by: ClassVar[str] = "run.follow(…)"


class _Follower:
    """Takes the events of a framework as they pass, and how they end.

    Args:
        run: Where its steps go.
    """

    __slots__ = ("_found", "_over", "_run", "items")

    def __init__(self, run: Steps) -> None:
        self._run = run
        self._found: RunOfAFramework | None = None
        self._over = False
        self.items = 0
        """How many events have passed."""

    def see_item(self, item: object) -> None:
        """Take an event.

        Raises:
            MisuseError: It is a piece of a model's answer, and no event of a run.
        """
        self.items += 1
        if self._over:
            return
        if self._found is None:
            self._found = _run_in(item, self._run)
        if self._found is not None:
            self._take(self._found, item)
        elif self.items == 1 and _is_of_an_answer(item):
            raise MisuseError(
                f"{named(item)} is a piece of one answer, and no event of a run: have a step follow the "
                "model's stream, with step.follow(Stream(…)) or step.follow(AsyncStream(…))"
            )

    def _take(self, found: RunOfAFramework, item: object) -> None:
        try:
            found.take(item)
        except MisuseError:
            raise
        except Exception as error:  # noqa: BLE001 - who reads is not disturbed by what fails here
            warn(
                "the run is not followed any further: its events are not as expected (%s)",
                type(error).__name__,
            )
            self.stop()

    def is_first(self, item: object) -> bool:
        """Say no: a run does not begin anew."""
        return False

    def end(self) -> None:
        """The events have ended."""
        self._end(None)
        if self._found is None and self.items:
            warn(
                "no step was made of the %d events that were followed: they are of no known framework",
                self.items,
            )

    def broke(self, error: BaseException, *, final: bool) -> None:
        """Reading the events raised; whoever reads is told, too."""
        if isinstance(error, Exception) or final:
            self._end(error)

    def not_opened(self, error: BaseException) -> None:
        """There were no events, but an exception."""
        self._end(error)

    def stop(self) -> None:
        """Whoever reads has closed the events."""
        if not self._over and self._found is not None:
            self._found.stop()
        self._over = True

    def sent(self) -> None:
        """Take no note of when the run began: its steps do."""

    def opened(self, head: ResponseHead | None, coding: str) -> None:
        """Take no note of a response: the events are what counts."""

    def see(self, chunk: bytes) -> None:
        """Take no note of bytes: the events are what counts."""

    def _end(self, error: BaseException | None) -> None:
        if not self._over and self._found is not None:
            self._found.end(error)
        self._over = True


def follow(events: Any, run: Steps) -> Followed[Any] | AsyncFollowed[Any]:  # noqa: ANN401 - told apart by what it can do
    """Return the events, to be looped over; see `Steps.follow`."""
    sync, asynchronous = loops_of(events)
    if asynchronous:
        return AsyncFollowed(events, _Follower(run))
    if sync and events.__class__ not in (str, bytes, dict):
        return Followed(events, _Follower(run))
    raise MisuseError(
        f"{named(events)} is nothing that a run can follow: hand over the events of a framework, such as "
        "astream_events(…), result.stream_events() or handler.stream_events()"
    )


def _run_in(event: Any, run: Steps) -> RunOfAFramework | None:  # noqa: ANN401 - any object
    """Return what reads the events of which this is the first one that tells; None where it tells nothing."""
    if is_dict(event):
        return LangChainRun(run) if "run_id" in event and "event" in event else None
    if is_run_event(event):
        return AgentsRun(run)
    if message_in(event) is not None:
        return GraphMessages(run)
    told = hasattr(event, "current_agent_name") or (
        hasattr(event, "tool_id") and hasattr(event, "tool_kwargs")
    )
    return LlamaIndexRun(run) if told else None


def _is_of_an_answer(item: object) -> bool:
    payload: object = payload_of(item)
    return isinstance(payload, bytes | str | dict)
