"""Builders of a run, from the items that a loop takes: an agent's lines, or a framework's events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict, is_list, is_tuple
from tokenstream._sources.kinds import class_name_of
from tokenstream._sources.payloads import to_payload
from tokenstream.errors import (
    LimitExceeded,
    MisuseError,
    ProtocolError,
    ProviderError,
    StreamError,
    StreamStalled,
)
from tokenstream.formats import _registry as registry
from tokenstream.framing._json_frames import JSONFrames
from tokenstream.steps._agents.detect import AgentRun, may_be_of_agent
from tokenstream.steps._agents.text_agents import TEXT
from tokenstream.steps._agents.values import begins_as_payload, is_envelope, value_in
from tokenstream.steps._framework import RunOfAFramework, find_run_of_agents
from tokenstream.steps._langchain import find_run_of_langchain
from tokenstream.steps._program import NOTHING, PATIENCE
from tokenstream.steps._pydantic_ai import PydanticAIRun, is_of_pydantic_ai
from tokenstream.steps._step import LeftOpenStep
from tokenstream.stream._log import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._connection.head import ResponseHead
    from tokenstream.steps._agents import AgentReader
    from tokenstream.steps._program import Exit, LineWriter
    from tokenstream.steps._run import Steps

_ENDS_OF_TURN = ("turn", "idle")
_UNREAD = "its lines were not read to their end"
_LINE_ENDS = (b"\n", b"\r")
_STRANDS = "init_event_loop"
"""The field of the first event of strands."""
_FRAMEWORKS = {
    "crewai": ("CrewAI", ""),
    "pydantic_ai": (
        "pydantic-ai",
        "; or give its model an HTTP client with a hook that calls tap(response), which has the answer",
    ),
    "smolagents": ("smolagents", ""),
    "strands": ("Strands Agents", ""),
}
"""The names of frameworks with objects that no reader knows, and a further way out, by their packages."""
_OBJECTS = (dict, str)
"""Types of values that a line may stand for; a string is text of an agent."""


class RunBuilder(ABC):
    """Builds a run from an agent's items as the loop takes them, and detects which agent sends them.

    Args:
        run: The run that receives the steps.
        agent: The name of the agent; None to detect it.
        until: Ends the loop before the end of the input: "turn" or "idle" once a turn has ended and none is
            open, what `peer.begin(…)` returns once it is answered, or a function of an item that returns
            True for the last one. None to read all of the input.

    Raises:
        MisuseError: `agent` is not the name of a known agent, or `until` is none of these values.
    """

    def __init__(self, run: Steps, agent: str | None, until: Any) -> None:  # noqa: ANN401 - checked here
        if until is not None and until not in _ENDS_OF_TURN and not callable(until):
            raise MisuseError(
                'until= takes "turn", "idle", a function of an item or what peer.begin(…) returns, '
                f"not {until!r}"
            )
        self._until: str | Callable[[Any], object] | None = until
        self._turns_before = 0
        """Number of turns that had ended when the loop began."""
        self.has_ended = False
        """True once the run's turns were ended."""
        self.must_stop = False
        """True once the loop must end because of `until`."""
        self._run = run
        self._agent = AgentRun(run, agent, self._prepare)

    @property
    def _reader(self) -> AgentReader | None:
        return self._agent.reader

    # -- input -------------------------------------------------------------

    @abstractmethod
    def feed(self, item: object) -> bool:
        """Take in a chunk or an item; return True if it completes a line or a message."""

    @abstractmethod
    def end(self) -> None:
        """Take in the end of the input."""

    @abstractmethod
    def take(self) -> object:
        """Return the next item for the loop, and build the run from it; `NOTHING` if there is none yet."""

    @property
    def is_resting(self) -> bool:
        """True if the agent has nothing to do, so that its silence means nothing."""
        return self._reader is not None and self._reader.is_waiting

    @property
    def plain_lines(self) -> int:
        """Number of lines that hold no item, such as logs, and were passed by."""
        return 0

    # -- the loop ----------------------------------------------------------

    def begin_loop(self) -> None:
        """Note that a loop begins, or goes on after the last turn."""
        self.must_stop = False
        self._turns_before = 0 if self._reader is None else self._reader.turns_ended

    def finish(self, ended: Exit) -> StreamError | None:
        """End the run's turns; return the error of the run, or None."""
        if self.has_ended:
            return None
        self.has_ended = True
        name = "the agent" if self._reader is None else self._reader.name
        if self._reader is not None:
            error = self._agent.end(ended.code)
        elif ended.code:
            error = ProviderError(f"the process of {name} ended with exit code {ended.code}")
        else:
            is_unknown = not ended.still_runs and (self._agent.has_lines or self.plain_lines > 0)
            error = self._agent.make_unknown_error() if is_unknown else None
        if ended.still_runs and error is not None:
            error.args = (f"{error.message}; its process still runs",)
        elif ended.still_runs:
            error = StreamStalled(
                f"the process of {name} still runs {PATIENCE:g} s after the end of its output; what had "
                "arrived is in .partial, and the process is yours to end",
                limit="exit_code",
            )
            self._add_partial(error)
        return error

    def stop(self, error: BaseException) -> None:
        """End the open turn with an exception, because nothing more is read."""
        if self._reader is not None and not self.has_ended:
            if isinstance(error, StreamError):
                self._add_partial(error)
            self._reader.stop(error)
        self.has_ended = True

    def leave(self) -> None:
        """Stop the turn that is open, and the loop, because nothing more is read."""
        self.must_stop = True
        self.stop(LeftOpenStep(_UNREAD))

    # -- within ------------------------------------------------------------

    def _read(self, item: object, payload: object) -> None:
        """Build the run further from an item that the loop gets now."""
        if not self.has_ended:
            self._agent.read(payload)
        if self._until is not None:
            if callable(self._until):
                self.must_stop = bool(self._until(item))
            self._check_turns()

    def _check_turns(self) -> None:
        """End the loop if a turn has ended, and that is what it waits for."""
        reader = self._reader
        if reader is not None and self._until in _ENDS_OF_TURN and not reader.has_open_turn:
            self.must_stop = reader.turns_ended > self._turns_before

    def _prepare(self, reader: AgentReader) -> None:
        """Give a reader what it needs beyond the items, and let the run steer its agent."""
        self._run.note_reader(reader)

    def _add_partial(self, error: StreamError) -> None:
        partial = None if self._reader is None else self._reader.find_partial()
        if partial is not None:
            error.partial = partial


class LineReader(RunBuilder):
    """Cuts an agent's output into lines, and builds a run from their objects.

    Args:
        run: The run that receives the steps.
        agent: The name of the agent; None to detect it.
        until: Ends the loop before the end of the lines, as in `RunBuilder`; None to read all lines.
        has_bare_lines: True if it is known that each item is a line without its line end.
        write: Writes a line to the agent; None if it is only read.
    """

    def __init__(
        self, run: Steps, agent: str | None, until: object, *, has_bare_lines: bool, write: LineWriter | None
    ) -> None:
        self._write = write
        super().__init__(run, agent, until)
        self._frames = JSONFrames()
        self._ready: deque[Any] = deque()
        self._error: StreamError | None = None
        self._plain_lines = 0
        self._has_bare_lines = has_bare_lines
        self._is_after_bare_line = has_bare_lines
        """True after a line without its line end: what follows is that end, or another line."""
        self._envelope_lines = 0
        """Number of lines without their line ends that are SSE without data, or else a log."""

    @property
    def plain_lines(self) -> int:
        return self._plain_lines + self._frames.banner_lines

    def feed(self, item: object) -> bool:
        """Take in a line or any other piece of the output, as bytes or text, or an object of a line."""
        before = len(self._ready)
        if isinstance(item, str):
            item = item.encode("utf-8", "surrogatepass")
        if isinstance(item, bytes | bytearray):
            self._feed_bytes(bytes(item))
        else:
            self._ready.append(item)
        return len(self._ready) > before

    def end(self) -> None:
        """Take in the end of the input; the last line may lack its line end."""
        rest = self._frames.unfinished
        self._frames.end()
        self._parse(rest)

    def take(self) -> object:
        if not self._ready:
            if self._error is not None and not self.has_ended:
                raise self._error
            return NOTHING
        item: object = self._ready.popleft()
        line = {"type": TEXT, "text": item} if item.__class__ is str else item
        if self._until is None and not self.has_ended:
            # The way of most lines.
            self._agent.read(line)
        else:
            self._read(item, line)
        return item

    def _prepare(self, reader: AgentReader) -> None:
        super()._prepare(reader)
        reader.steering.write = self._write

    def _feed_bytes(self, chunk: bytes) -> None:
        """Take in a chunk, which may be a line of a list of lines, without a line end."""
        line = chunk.strip()
        if begins_as_payload(line) and b"\n" not in line and self._frames.holds_nothing:
            value: object = None
            try:
                value = value_in(line)
            except LimitExceeded as error:
                self._error = self._error or error
                return
            except ProtocolError:
                pass
            # An object or a string is complete; of anything else, more may follow.
            if value.__class__ in _OBJECTS:
                # A CR alone ends no line: its LF may follow, or have been cut off.
                self._is_after_bare_line = self._has_bare_lines or chunk[-1:] != b"\n"
                if line[:1] == b"{":
                    self._begin_lines()
                self._ready.append(value)
                return
        if self._is_after_bare_line:
            begins_with_line_end = chunk.lstrip(b" \t")[:1] in _LINE_ENDS
            if self._has_bare_lines or (not begins_with_line_end and b"\n" not in line):
                # A whole line is not followed by more of it, so this is another one.
                if is_envelope(line) and not self._frames.has_lines:
                    self._envelope_lines += 1
                else:
                    self._plain_lines += line != b""
                return
            self._is_after_bare_line = False
        for payloads in self._frames.feed(chunk):
            self._parse(payloads)
        self._error = self._error or self._frames.error

    def _begin_lines(self) -> None:
        """Take in that a line holds JSON: the lines that looked like SSE before it were a log."""
        self._plain_lines += self._envelope_lines
        self._envelope_lines = 0
        if not self._frames.has_lines:
            self._frames.begin_lines()

    def _parse(self, payloads: list[bytes]) -> None:
        """Add the objects in some lines, up to the first that exceeds a limit."""
        has_lines = self._frames.has_lines
        for payload in payloads:
            if self._error is not None:
                return
            try:
                if has_lines and payload[:1] == b"{":
                    # The way of most lines.
                    self._ready.append(decode(payload))
                else:
                    self._add(value_in(payload if has_lines else b"data:" + payload))
            except LimitExceeded as error:
                self._error = error
            except ProtocolError:
                self._plain_lines += 1

    def _add(self, value: object) -> None:
        if isinstance(value, _OBJECTS):
            self._ready.append(value)
        else:
            self._plain_lines += 1


def are_bare_lines(source: object) -> bool:
    """Return True for a list in which each item is a line without its line end."""
    if not is_list(source):
        return False
    texts = [item for item in source if isinstance(item, bytes | str)]
    has_whole_line = any(item[:1] in (b"{", "{") and item.rstrip()[-1:] in (b"}", "}") for item in texts)
    has_line_end = any("\n" in text if isinstance(text, str) else b"\n" in text for text in texts)
    return has_whole_line and not has_line_end


class Follower:
    """Builds the run from the events of a framework, which another loop reads."""

    def __init__(self, run: Steps, reader: RunOfAFramework | None) -> None:
        self._run = run
        self._reader = reader
        """Reads the events of one framework; None until the first event shows which one it is."""
        self._agent = AgentRun(run)
        """Reads the objects of an agent's lines, if the events are such objects."""
        self._has_ended = False
        """True once the open steps were ended; later events are only counted."""
        self._has_lines = False
        """True if events are lines as an agent prints them, and not the objects of a framework."""
        self.item_count = 0

    def see_item(self, item: object) -> None:
        """Build the run further from an event; events of an unknown framework are only counted."""
        self.item_count += 1
        if self._has_ended:
            return
        if isinstance(item, bytes | str):
            item, self._has_lines = _find_line_object(item), True
        elif is_tuple(item):
            # A part of a run, from the client of a LangGraph server.
            item = to_payload(item)
        if self._reader is None and self._agent.reader is None:
            self._reader = (
                PydanticAIRun(self._run)
                if is_of_pydantic_ai(item)
                else find_run_of_langchain(item, self._run) or find_run_of_agents(item, self._run)
            )
            if self._reader is None:
                self._agent.read(item)
                if self.item_count == 1 and self._agent.reader is None:
                    _refuse_stranger(item)
                return
        self._read_event(item)

    def _read_event(self, item: object) -> None:
        """Pass an event to its reader; if that fails, warn and stop the steps."""
        read = self._agent.read if self._reader is None else self._reader.read_event
        try:
            read(item)
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
        if self._reader is None and self._has_lines and self._agent.has_lines:
            raise self._agent.make_unknown_error()
        if self.item_count and self._reader is None and self._agent.reader is None:
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
        if not self._has_ended:
            if self._reader is not None:
                self._reader.stop()
            self._agent.stop(LeftOpenStep(_UNREAD))
        self._has_ended = True

    def note_sent(self) -> None:
        """Ignore the time of the request: the steps have times of their own."""

    def note_head(self, head: ResponseHead | None, coding: str) -> None:
        """Ignore a response: only the events matter."""

    def see(self, chunk: bytes) -> None:
        """Ignore bytes: only the events matter."""

    def _end(self, error: BaseException | None) -> None:
        """End the open steps, unless this was done already; raise the error of an agent's last turn."""
        has_ended, self._has_ended = self._has_ended, True
        if has_ended:
            return
        if self._reader is None and error is not None:
            self._agent.stop(error)
            return
        failure = self._agent.end(None) if self._reader is None else self._reader.end(error)
        if failure is not None and error is None:
            # The loop gets it in place of the end of the lines.
            raise failure from None


def _find_line_object(line: bytes | str) -> object:
    """Return the object of an agent's line; the line itself if it has none."""
    text = line.strip()
    if text[:1] not in (b"{", "{"):
        return line
    try:
        return decode(text)
    except ProtocolError:
        return line


def _refuse_stranger(item: object) -> None:
    """Raise MisuseError if a first item is a piece of one model's answer, or of an unread framework."""
    name = class_name_of(item)
    package = "strands" if is_dict(item) and _STRANDS in item else type(item).__module__.partition(".")[0]
    if package in _FRAMEWORKS:
        framework, way_out = _FRAMEWORKS[package]
        raise MisuseError(
            f"{name} is an object of {framework} that a run does not read: begin a step with run.step(…), "
            f"make events of tokenstream.events, and pass them to step.feed(…){way_out}"
        )
    if _is_answer_piece(item) and not may_be_of_agent(item):
        raise MisuseError(
            f"{name} is a piece of a model's answer and not an event of a run: follow the "
            "model's stream with step.follow(Stream(…)) or step.follow(AsyncStream(…)); if it is a line "
            "of an agent, name the agent, as in run.follow(lines, agent=…)"
        )


def _is_answer_piece(item: object) -> bool:
    """Return True if an item is a piece of a model's answer, as bytes, text or a payload of a format."""
    payload: object = item if is_dict(item) else to_payload(item)
    if is_dict(payload):
        name, may_be_known = registry.detect(payload, "")
        return name is not None or may_be_known
    return isinstance(payload, bytes | str)
