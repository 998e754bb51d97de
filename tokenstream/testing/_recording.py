"""A recorded answer: what came, when, in which pieces, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.testing._chunking import Chunking
    from tokenstream.testing._replay import Pace
    from tokenstream.testing.faults import Fault

__all__ = ["Arrival", "Breaks", "Recording"]

Breaks: TypeAlias = Literal["close", "reset", "stall"]
"""How a connection breaks: it is closed inside the body, reset, or nothing more ever comes."""


def _bytes_of(chunk: object) -> bytes:
    if not isinstance(chunk, bytes | bytearray | memoryview):
        kind = type(chunk).__name__
        raise MisuseError(
            f"a recording is made of chunks of bytes, a list of them, and not of a {kind} in it"
        )
    return bytes(cast("bytes", chunk))


class Arrival(NamedTuple):
    """A chunk of the body, and when it came."""

    at: float
    """Seconds since the request went out."""
    data: bytes


@dataclass(frozen=True)
class Recording:
    r"""A recorded answer: the bytes with their arrival times and chunk borders, and the head.

    Args:
        arrivals: The chunks of the body, each with the seconds since the request at which it came.
        name: What tests call it.
        status: The HTTP status.
        headers: The headers of the response that matter, by name, which is kept in lower case.
        format: The name of the format, where it is known.
        messages: Whether each chunk is one message of a WebSocket.
        breaks: How the connection broke behind the last chunk; None where the body ended properly.
        request: What was asked for: method and address, without the query.

    Example:
        >>> recording = Recording.of([b"data: Hel\n\n", b"data: lo\n\ndata: [DONE]\n\n"], format="text")
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

    def __post_init__(self) -> None:
        if self.headers:
            # A copy, past the dataclass, which is frozen.
            lower = {name.lower(): text for name, text in self.headers.items()}
            object.__setattr__(self, "headers", lower)

    @classmethod
    def of(cls, chunks: Iterable[bytes | bytearray | memoryview], **fields: Any) -> Recording:  # noqa: ANN401 - the fields' own types
        """Return a recording of chunks that all come at once.

        Args:
            chunks: The chunks of the body.
            **fields: The recording's other fields.
        """
        return cls(tuple(Arrival(0.0, _bytes_of(chunk)) for chunk in chunks), **fields)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Read a recording from a file.

        It may also be a bare body (`.sse`, `.ndjson`, `.jsonl`, `.json`, `.eventstream`), or a
        cassette of VCR (`.yaml`, `.yml`) with one answer.

        Args:
            path: Where the file is.

        Raises:
            RecordingInvalid: The file is no recording, or damaged; the error says at which line.
            FileNotFoundError: There is none.
        """
        from tokenstream.testing._load import load

        return load(Path(path))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the recording to a file, as docs/recording-format.md specifies.

        Args:
            path: Where to.
            overwrite: Whether a file that is there already may be replaced.

        Raises:
            FileExistsError: There is one, and `overwrite` is False.
            RecordingRefused: It holds what looks like a secret.
        """
        from tokenstream.testing._save import save

        save(self, Path(path), overwrite=overwrite)

    def __repr__(self) -> str:
        return f"<Recording {self.name}: {len(self.arrivals):,} chunks, {len(self.body):,} bytes>"

    @property
    def __name__(self) -> str:
        """What pytest calls it where it is a parameter of a test."""
        return self.name

    # -- what came -----------------------------------------------------------

    @cached_property
    def body(self) -> bytes:
        """All bytes of the body."""
        return b"".join([data for _, data in self.arrivals])

    @property
    def content_type(self) -> str | None:
        """What the server said of the body."""
        return self.headers.get("content-type")

    @cached_property
    def _datas(self) -> list[bytes]:
        return [data for _, data in self.arrivals]

    def chunks(self, chunking: Chunking = "recorded") -> list[bytes]:
        """Return the chunks of the body.

        Args:
            chunking: Where the borders are, as for `stream`.
        """
        if chunking == "recorded":
            return list(self._datas)
        from tokenstream.testing._chunking import chunked

        return [data for _, data in chunked(self, chunking).arrivals]

    def with_fault(self, fault: Fault | Iterable[Fault]) -> Recording:
        """Return the recording as it is with something wrong.

        Args:
            fault: One of `testing.faults`, or several, of which the first comes first.
        """
        from tokenstream.testing.faults import combined

        return combined(fault)(self)

    def replaced(self, **fields: Any) -> Recording:  # noqa: ANN401 - the fields' own types
        """Return a copy with other fields."""
        return replace(self, **fields)

    @cached_property
    def at_once(self) -> bool:
        """Whether all of it comes at once, and the connection does not break."""
        return self.breaks is None and self._has_no_times()

    def at_pace(self, pace: Pace) -> Recording:
        """Return the recording at another pace.

        Args:
            pace: "instant", "recorded", or how many times as fast.

        Raises:
            MisuseError: It is none of these.
        """
        if pace == "recorded":
            return self
        if pace == "instant":
            return self._instant
        if isinstance(pace, bool) or not isinstance(cast("object", pace), int | float) or not pace > 0:
            raise MisuseError(
                f'pace={pace!r} is none: it is "instant", "recorded", or how many times as fast'
            )
        return self.replaced(arrivals=tuple(Arrival(at / pace, data) for at, data in self.arrivals))

    @cached_property
    def _instant(self) -> Recording:
        # Kept, since it may be played again and again.
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
        **options: Any,  # noqa: ANN401 - a stream's own
    ) -> Stream:
        """Return a `Stream` of the recording, on a clock of its own that takes no time.

        Args:
            pace: When chunks come: "instant" all at once, "recorded" as they came, or how many
                times as fast.
            chunking: Where the borders of chunks are: "recorded", "events" (one frame each), "bytes"
                (one byte each), "whole", a number of bytes, or a `Seed` for random ones.
            fault: What goes wrong: one of `testing.faults`, or several.
            clock: The clock; None for a new `VirtualClock`, and `time.monotonic` to wait in earnest.
            **options: What `Stream` takes: `format`, `limits`, `deadlines`, `started_at`, `pings`.
        """
        from tokenstream.testing._replay import Playback

        return Playback(self, pace=pace, chunking=chunking, fault=fault, clock=clock).stream(**options)

    def astream(
        self,
        *,
        pace: Pace = "instant",
        chunking: Chunking = "recorded",
        fault: Fault | Iterable[Fault] | None = None,
        clock: Callable[[], float] | None = None,
        **options: Any,  # noqa: ANN401 - a stream's own
    ) -> AsyncStream:
        """Return an `AsyncStream` of the recording, on a clock of its own that takes no time.

        Args:
            pace: As for `stream`.
            chunking: As for `stream`.
            fault: As for `stream`.
            clock: As for `stream`.
            **options: What `AsyncStream` takes.
        """
        from tokenstream.testing._replay import Playback

        return Playback(self, pace=pace, chunking=chunking, fault=fault, clock=clock).astream(**options)
