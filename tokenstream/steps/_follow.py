"""Iterables that pass a framework's events on unchanged, and build a run from these events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream._sources.kinds import class_name_of
from tokenstream._sources.payloads import is_run_event, payload_of
from tokenstream.errors import LimitExceeded, MisuseError
from tokenstream.formats import _registry as registry
from tokenstream.steps._agents.detect import AgentRun, may_be_of_agent
from tokenstream.steps._chunks import is_byte_stream, is_response
from tokenstream.steps._framework import AgentsRun, GraphMessages, LangChainRun, LlamaIndexRun, message_in
from tokenstream.steps._step import LeftOpenStep
from tokenstream.stream._log import warn
from tokenstream.stream._tap.wrappers import AsyncWatchedStream, SyncWatchedStream, can_loop

if TYPE_CHECKING:
    from tokenstream._connection.head import ResponseHead
    from tokenstream.steps._framework import RunOfAFramework
    from tokenstream.steps._run import Steps

ItemT = TypeVar("ItemT")
_SEARCHED = 200
"""Number of lines in a list among which one with an object is searched."""


class FollowedRun(SyncWatchedStream[ItemT]):
    """The events of a framework's run, read in `for`; made by `Steps.follow`."""

    __slots__ = ()

    _made_by: ClassVar[str] = "run.follow(…)"
    """The call that made this object, for error messages."""


class AsyncFollowedRun(AsyncWatchedStream[ItemT]):
    """The events of a framework's run, read in `async for`; made by `Steps.follow`."""

    __slots__ = ()

    _made_by: ClassVar[str] = "run.follow(…)"
    """The call that made this object, for error messages."""


class _Follower:
    """Builds the run from the events of a framework; the iterables of this module call its methods."""

    __slots__ = ("_agent", "_has_ended", "_reader", "_run", "item_count")

    def __init__(self, run: Steps) -> None:
        self._run = run
        self._reader: RunOfAFramework | _AgentLines | None = None
        """Reads the events of one framework; None until the first event shows which one it is."""
        self._agent = AgentRun(run)
        """Keeps the first lines of an agent until they tell which agent it is."""
        self._has_ended = False
        """True once the open steps were ended; later events are only counted."""
        self.item_count = 0
        """Number of events that have passed."""

    def see_item(self, item: object) -> None:
        """Build the run further from an event; events of an unknown framework are only counted."""
        self.item_count += 1
        if self._has_ended:
            return
        if self._reader is None:
            self._reader = _find_reader(item, self._run)
        if self._reader is not None:
            self._read_event(self._reader, item)
            return
        self._agent.read(item)
        if self._agent.reader is not None:
            self._reader = _AgentLines(self._agent)
        elif self.item_count == 1 and type(item).__module__.partition(".")[0] == "pydantic_ai":
            raise MisuseError(
                f"{class_name_of(item)} is an event of pydantic-ai, which a run does not read: make events "
                "of tokenstream.events of it, and pass them to step.feed(…); or give pydantic-ai's model an "
                "HTTP client with a hook that calls tap(response), whose message is the model's answer"
            )
        elif self.item_count == 1 and _is_answer_piece(item) and not may_be_of_agent(item):
            raise MisuseError(
                f"{class_name_of(item)} is a piece of a model's answer and not an event of a run: follow the "
                "model's stream with step.follow(Stream(…)) or step.follow(AsyncStream(…)); if it is a line "
                "of an agent, name the agent, as in run.follow(lines, agent=…)"
            )

    def _read_event(self, reader: RunOfAFramework | _AgentLines, item: object) -> None:
        """Pass an event to the reader of the framework's events; if that fails, warn and stop the steps."""
        try:
            reader.read_event(item)
        except MisuseError:
            # A mistake in the calling code, which has to see it.
            raise
        except LimitExceeded as error:
            self._end(error)
            raise
        except Exception as error:  # noqa: BLE001 - a failure here must not disturb the reader
            warn(
                "the run is not followed any further: its events are not as expected (%s)",
                type(error).__name__,
            )
            self.stop()

    def is_first(self, item: object) -> bool:
        """Return False: the events of a run cannot be read twice, so no loop over them starts over."""
        return False

    def end(self) -> None:
        """End the steps that are still open; raise StreamError if the last turn of an agent has no end."""
        self._end(None)
        if self._agent.has_lines:
            raise self._agent.make_unknown_error()
        if self._reader is None and self.item_count:
            warn(
                "none of the %d events that were followed made a step: they are of no known framework",
                self.item_count,
            )

    def note_read_error(self, error: BaseException, *, final: bool) -> None:
        """End the open steps with a read's exception; a cancellation that is not `final` ends none."""
        # After a cancellation or an interrupt that is not final, the events may be read further.
        if isinstance(error, Exception) or final:
            self._end(error)

    def note_open_error(self, error: BaseException) -> None:
        """End the open steps with an exception that was raised while the events were being opened."""
        self._end(error)

    def stop(self) -> None:
        """Stop the open steps, since the events were closed before their end."""
        if not self._has_ended and self._reader is not None:
            self._reader.stop()
        self._has_ended = True

    def note_sent(self) -> None:
        """Ignore the time of the request: the steps have times of their own."""

    def note_head(self, head: ResponseHead | None, coding: str) -> None:
        """Ignore a response: only the events matter."""

    def see(self, chunk: bytes) -> None:
        """Ignore bytes: only the events matter."""

    def _end(self, error: BaseException | None) -> None:
        """End the open steps, unless this was done already."""
        has_ended, self._has_ended = self._has_ended, True
        if not has_ended and self._reader is not None:
            self._reader.end(error)


def follow(events: object, run: Steps) -> FollowedRun[Any] | AsyncFollowedRun[Any]:
    """Return an iterable of the same events; while it is read, the events are added to the run.

    Args:
        events: The events of a framework, such as those of `astream_events(…)`.

    Raises:
        MisuseError: `events` is not an iterable of events.
    """
    sync, asynchronous = can_loop(events)
    if asynchronous:
        return AsyncFollowedRun(events, _Follower(run))
    # A loop over one of these three would give characters, numbers or keys, but no events.
    if sync and events.__class__ not in (str, bytes, dict):
        return FollowedRun(events, _Follower(run))
    raise cannot_follow_error(events)


def cannot_follow_error(source: object) -> MisuseError:
    """Return the error for something that is neither an agent's output nor the events of a framework."""
    return MisuseError(
        f"a run cannot follow {class_name_of(source)}: pass an agent's standard output, such as "
        "process.stdout, a file, a list of lines, a response or a Peer, or the events of a framework, such "
        "as astream_events(…)"
    )


def has_lines(events: object) -> bool:
    """Return True for an agent's output: a pipe, a file, a byte stream, a response, or a list of lines."""
    if hasattr(events, "readline") or is_byte_stream(events) or is_response(events):
        return True
    # A banner may come before the first object.
    first: list[object] = events[:_SEARCHED] if is_list(events) else []
    return any(isinstance(line, bytes | str) and line.strip()[:1] in (b"{", "{") for line in first)


class _AgentLines:
    """Reads the objects of an agent's lines, like the events of a framework."""

    def __init__(self, agent: AgentRun) -> None:
        self._agent = agent

    def read_event(self, event: Any) -> None:  # noqa: ANN401 - an object of a framework
        """Begin, continue or end turns and steps, as a line says."""
        self._agent.read(event)

    def end(self, error: BaseException | None) -> None:
        """End the turn that is open; without an exception, it is truncated, which raises StreamError."""
        failure = None
        if error is None:
            failure = self._agent.end(None)
        else:
            self._agent.stop(error)
        if failure is not None:
            # The loop gets it in place of the end of the lines.
            raise failure from None

    def stop(self) -> None:
        """Stop the turn that is open, because the lines are not read any further."""
        self._agent.stop(LeftOpenStep("its lines were not read to their end"))


def _find_reader(event: object, run: Steps) -> RunOfAFramework | None:
    """Return the reader for the framework that an event belongs to; None if the event is not recognised."""
    if is_dict(event):
        # `astream_events` of LangChain and LangGraph yields dicts; the other frameworks yield objects.
        return LangChainRun(run) if "run_id" in event and "event" in event else None
    if is_run_event(event):
        return AgentsRun(run)
    if message_in(event) is not None:
        return GraphMessages(run)
    is_of_agent = hasattr(event, "current_agent_name")
    is_of_tool = hasattr(event, "tool_id") and hasattr(event, "tool_kwargs")
    return LlamaIndexRun(run) if is_of_agent or is_of_tool else None


def _is_answer_piece(item: object) -> bool:
    """Return True if an item is a piece of a model's answer, as bytes, text or a payload of a format."""
    if is_dict(item):
        name, may_be_known = registry.detect(item, "")
        return name is not None or may_be_known
    payload: object = payload_of(item)
    return isinstance(payload, bytes | str | dict)
