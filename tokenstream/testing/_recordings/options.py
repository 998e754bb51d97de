"""Keyword arguments that are passed on to a stream or a recording; only type checkers import this module."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokenstream.formats import Format
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.schemas._build import ToolsOption
    from tokenstream.stages import Reorder
    from tokenstream.stages._citations import CitationMarkers
    from tokenstream.testing._recordings.recording import Arrival, Breaks
    from tokenstream.testing._recordings.replay import Chunking, Pace
    from tokenstream.testing.faults import Fault


class ReadingOptions(TypedDict, total=False):
    """The options of `Stream` and `AsyncStream`, except for the format and the clock."""

    answer_id: str | None
    citation_markers: CitationMarkers
    deadlines: Deadlines | None
    limits: Limits | None
    pings: bool
    reasoning_tags: bool | Iterable[str]
    reorder: Reorder | None
    started_at: float | None
    tool_tags: bool | str | Iterable[str]
    tools: ToolsOption


class StreamOptions(ReadingOptions, total=False):
    """The options of `Stream` and `AsyncStream`, except for the clock."""

    format: str | type[Format] | Format | None


class PlaybackOptions(TypedDict, total=False):
    """The options of a replay."""

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
    """The fields of a recording."""

    arrivals: tuple[Arrival, ...]
