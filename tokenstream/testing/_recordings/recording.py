"""The class `Recording`: the chunks of an answer with their times, its head, and the way it ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypedDict, Unpack, cast

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from tokenstream.formats._registry import FormatChoice
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.schemas._build import ToolsOption
    from tokenstream.stages import Reorder
    from tokenstream.stages._text.tags import Tags
    from tokenstream.stream import AsyncStream, Job, Stream
    from tokenstream.testing._recordings.process import AsyncReplayedProcess, ReplayedProcess
    from tokenstream.testing._recordings.replay import Chunking, Pace
    from tokenstream.testing.faults import Fault

Breaks: TypeAlias = Literal["close", "reset", "stall", "half"]
"""The way in which a connection breaks: closed inside the body, reset, silent for ever, or closed inside the
last WebSocket message."""


def _to_bytes(chunk: object) -> bytes:
    """Return a chunk as bytes; raise `MisuseError` for a value that is not bytes-like."""
    if not isinstance(chunk, bytes | bytearray | memoryview):
        kind = type(chunk).__name__
        raise MisuseError(
            f"a recording is made of chunks of bytes, such as a list of them, and not of {kind}"
        )
    return bytes(cast("bytes", chunk))


class Arrival(NamedTuple):
    """A chunk of the body with its arrival time."""

    at: float
    """Seconds since the request was sent."""
    data: bytes


@dataclass(frozen=True)
class Recording:
    r"""A recorded answer: its chunks with their arrival times, and its head.

    Args:
        arrivals: The chunks of the body, each with its arrival time in seconds since the request.
        name: The recording's name, which appears in test reports.
        status: The HTTP status.
        headers: The response's relevant headers; their names are stored in lower case.
        format: The format's name; None if it is not known.
        messages: True if each chunk is one WebSocket message.
        breaks: The way in which the connection broke after the last chunk; None if the body
            ended properly.
        request: Method and address of the request, without the query.
        exit_code: The exit code of the program that has printed the body; None if it is not known.
        close_frame: Code and reason with which the server has closed the WebSocket if `breaks` is
            "close"; None if it has sent no closing frame.
        late: Number of messages that a server of sessions still sends after the client has cancelled
            the answer.

    Example:
        >>> recording = Recording.of([b"data: Hel\n\n", b"data: lo\n\ndata: [DONE]\n\n"])
        >>> recording.stream().final().text
        'Hello'
    """

    arrivals: tuple[Arrival, ...] = ()
    name: str = "recording"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    format: str | None = None
    messages: bool = False
    breaks: Breaks | None = None
    request: str = ""
    exit_code: int | None = None
    close_frame: tuple[int, str] | None = None
    late: int = 0

    def __post_init__(self) -> None:
        if self.headers:
            # A copy of the caller's dict; the frozen dataclass needs object.__setattr__.
            lower = {name.lower(): text for name, text in self.headers.items()}
            object.__setattr__(self, "headers", lower)

    @classmethod
    def of(
        cls, chunks: Iterable[bytes | bytearray | memoryview], **fields: Unpack[RecordingFields]
    ) -> Recording:
        """Return a recording whose chunks all arrive at time 0.

        Args:
            chunks: The chunks of the body.
            **fields: The recording's other fields.
        """
        if isinstance(chunks, bytes | bytearray | memoryview | str):
            kind = type(chunks).__name__
            raise MisuseError(
                f"a recording is made of a list of chunks, and not of a single {kind}: Recording.of([body])"
            )
        return cls(tuple(Arrival(0.0, _to_bytes(chunk)) for chunk in chunks), **fields)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Load a recording from a file.

        The file may also contain a body alone (`.sse`, `.ndjson`, `.jsonl`, `.json`, `.eventstream`,
        `.txt`, `.raw`, `.bin`), or be a VCR cassette (`.yaml`, `.yml`, `.json`) with one answer, or
        with one streamed answer among others.

        Args:
            path: The file.

        Raises:
            RecordingInvalid: The file is not a recording, or it is damaged; the message names the line.
            FileNotFoundError: There is no such file.
        """
        from tokenstream.testing._recordings.files import load

        return load(Path(path))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the recording to a file, in the format of docs/reference/recording-format.md.

        Args:
            path: The file, with the extension `.rec`; with that of a body, such as `.sse`, only
                the body is written.
            overwrite: True to replace an existing file.

        Raises:
            FileExistsError: The file exists, and `overwrite` is False.
            RecordingInvalid: The recording contains something that looks like a secret.
        """
        from tokenstream.testing._recordings.files import save

        save(self, Path(path), overwrite=overwrite)

    def __repr__(self) -> str:
        return f"<Recording {self.name}: {len(self.arrivals):,} chunks, {len(self.body):,} bytes>"

    @property
    def __name__(self) -> str:
        """Name for pytest's test ids."""
        return self.name

    # -- content -------------------------------------------------------------

    @cached_property
    def body(self) -> bytes:
        """All bytes of the body."""
        return b"".join([data for _, data in self.arrivals])

    @property
    def content_type(self) -> str | None:
        """The `content-type` header."""
        return self.headers.get("content-type")

    @cached_property
    def _chunk_list(self) -> list[bytes]:
        return [data for _, data in self.arrivals]

    def chunks(self, chunking: Chunking = "recorded") -> list[bytes]:
        """Return the chunks of the body.

        Args:
            chunking: Boundaries of the chunks, as for `stream`.
        """
        if chunking == "recorded":
            return list(self._chunk_list)
        from tokenstream.testing._recordings.replay import apply_chunking

        return [data for _, data in apply_chunking(self, chunking).arrivals]

    def with_fault(self, fault: Fault | Iterable[Fault]) -> Recording:
        """Return a copy of the recording with a fault applied.

        Args:
            fault: A fault made by `testing.faults`, or several in the order of application.
        """
        from tokenstream.testing.faults import combined

        return combined(fault)(self)

    def replaced(self, **fields: Unpack[AllRecordingFields]) -> Recording:
        """Return a copy of the recording with some fields replaced."""
        return replace(self, **fields)

    @cached_property
    def at_once(self) -> bool:
        """True if all chunks arrive at once and the connection does not break."""
        return self.breaks is None and self._has_no_times()

    def at_pace(self, pace: Pace) -> Recording:
        """Return the recording at another pace.

        Args:
            pace: Times of the chunks: "instant" for 0, "recorded", or a factor of speed.

        Raises:
            MisuseError: `pace` is invalid.
        """
        if pace == "recorded":
            return self
        if pace == "instant":
            return self._without_times
        if isinstance(pace, bool) or not isinstance(cast("object", pace), int | float) or not pace > 0:
            raise MisuseError(f'pace={pace!r} is invalid: pass "instant", "recorded", or a factor of speed')
        return self.replaced(arrivals=tuple(Arrival(at / pace, data) for at, data in self.arrivals))

    @cached_property
    def _without_times(self) -> Recording:
        # Cached: one recording is often played many times.
        if self._has_no_times():
            return self
        return self.replaced(arrivals=tuple(Arrival(0.0, data) for _, data in self.arrivals))

    def _has_no_times(self) -> bool:
        return all(at <= 0 for at, _ in self.arrivals)

    # -- replay --------------------------------------------------------------

    def stream(
        self,
        *,
        pace: Pace = "instant",
        chunking: Chunking = "recorded",
        fault: Fault | Iterable[Fault] | None = None,
        clock: Callable[[], float] | None = None,
        **options: Unpack[StreamOptions],
    ) -> Stream:
        """Return a `Stream` of the recording on a virtual clock, which takes no real time.

        Args:
            pace: Times of the chunks: "instant" for all at once, "recorded", or a factor of speed,
                such as 2 for half of the recorded times.
            chunking: Boundaries of the chunks: "recorded", "events" (one frame each), "bytes" (one
                byte each), "whole", a number of bytes, or a `Seed` for random sizes.
            fault: A fault made by `testing.faults`, or several; None for no fault.
            clock: The clock; None for a new `VirtualClock`, `time.monotonic` to wait in real time.
            **options: Arguments of `Stream`: `format`, `limits`, `deadlines`, `started_at`.
        """
        from tokenstream.testing._recordings.replay import Playback

        return Playback(self, pace=pace, chunking=chunking, fault=fault, clock=clock).stream(**options)

    def astream(
        self,
        *,
        pace: Pace = "instant",
        chunking: Chunking = "recorded",
        fault: Fault | Iterable[Fault] | None = None,
        clock: Callable[[], float] | None = None,
        **options: Unpack[StreamOptions],
    ) -> AsyncStream:
        """Return an `AsyncStream` of the recording on a virtual clock, with the arguments of `stream`."""
        from tokenstream.testing._recordings.replay import Playback

        return Playback(self, pace=pace, chunking=chunking, fault=fault, clock=clock).astream(**options)

    def process(self, **options: Unpack[PlaybackOptions]) -> ReplayedProcess:
        r"""Return a process that prints the recording: its `stdout` and `wait` are those of a `Popen`.

        The exit code is that of the recording; 0 if it has none.

        Args:
            **options: `pace`, `chunking`, `fault` and `clock`, as for `stream`.

        Example:
            >>> from tokenstream import Steps
            >>> from tokenstream.errors import ProviderError
            >>> agent = Recording.of([b'{"type": "thread.started"}\n'], exit_code=2).process()
            >>> with Steps() as run:
            ...     try:
            ...         for line in run.follow(agent.stdout, agent="codex", exit_code=agent.wait):
            ...             pass
            ...     except ProviderError as error:
            ...         print(error)
            the process of codex ended with exit code 2
        """
        from tokenstream.testing._recordings.process import play_process
        from tokenstream.testing._recordings.replay import Playback

        playback = Playback(self, **options)
        return play_process(playback.recording, playback.clock)

    def aprocess(self, **options: Unpack[PlaybackOptions]) -> AsyncReplayedProcess:
        """Return a process that prints the recording, as `asyncio.create_subprocess_exec` returns one.

        Args:
            **options: `pace`, `chunking`, `fault` and `clock`, as for `stream`.
        """
        from tokenstream.testing._recordings.process import play_async_process
        from tokenstream.testing._recordings.replay import Playback

        playback = Playback(self, **options)
        return play_async_process(playback.recording, playback.clock)


class ReadingOptions(TypedDict, total=False):
    """The options of `Stream` and `AsyncStream`, except for the format."""

    deadlines: Deadlines | None
    job: Job | str | None
    limits: Limits | None
    reorder: Reorder | None
    started_at: float | None
    tags: Tags | None
    tools: ToolsOption


class StreamOptions(ReadingOptions, total=False):
    """The options of `Stream` and `AsyncStream`, the format included."""

    format: FormatChoice


class PlaybackOptions(TypedDict, total=False):
    chunking: Chunking
    clock: Callable[[], float] | None
    fault: Fault | Iterable[Fault] | None
    pace: Pace


class ReplayOptions(ReadingOptions, PlaybackOptions, total=False):
    """The options of `Recording.stream`: those of the replay and of the stream, except for the format."""


class RecordingFields(TypedDict, total=False):
    """The fields of a recording, except for the chunks."""

    breaks: Breaks | None
    close_frame: tuple[int, str] | None
    exit_code: int | None
    format: str | None
    headers: Mapping[str, str]
    late: int
    messages: bool
    name: str
    request: str
    status: int


class AllRecordingFields(RecordingFields, total=False):
    arrivals: tuple[Arrival, ...]


def refuse_messages(recording: Recording, why: str) -> None:
    """Raise `MisuseError` if a recording consists of the messages of a WebSocket."""
    if recording.messages:
        raise MisuseError(f"{recording.name!r} consists of the messages of a WebSocket: {why}")
