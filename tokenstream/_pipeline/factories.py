"""Functions that create a stream's optional stages, whose modules are imported only if they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.framing._content_coding import ContentDecoder
    from tokenstream.limits import Limits
    from tokenstream.schemas._build import ToolsOption
    from tokenstream.stages._citations import CitationMarkers


def make_content_decoder(coding: str, limits: Limits) -> ContentDecoder | None:
    """Return a decoder for a content coding such as "gzip"; None if there is nothing to decode."""
    if coding.strip().lower() in ("", "identity"):
        return None
    from tokenstream.framing._content_coding import ContentDecoder

    return ContentDecoder(coding, limits=limits)


def make_offered(tools: ToolsOption) -> OfferedTools | None:
    """Return the names and schemas of the tools that a caller names; None if there are none."""
    if tools is None:
        return None
    from tokenstream.schemas._build import offered_by

    return offered_by(tools)


def make_stage_factory(
    reasoning_tags: bool | Iterable[str],  # noqa: FBT001 - as callers give it
    tool_tags: bool | str | Iterable[str] = False,  # noqa: FBT001, FBT002 - as callers give it
    citation_markers: CitationMarkers = False,  # noqa: FBT002 - as callers give it
) -> StageFactory | None:
    """Return a function that creates the stage which splits texts into reasoning, calls, citations and text.

    The result is None if texts stay as they are.
    """
    if reasoning_tags in (False, ()) and tool_tags in (False, ()) and citation_markers in (False, ()):
        return None
    from tokenstream._pipeline.split_texts import make_split_factory

    return make_split_factory(reasoning_tags, tool_tags, citation_markers)


def looks_for_calls(make_stage: StageFactory | None) -> bool:
    """Return True if the stage that a function creates looks for calls in texts."""
    if make_stage is None:
        return False
    from tokenstream._pipeline.split_texts import wanted_of

    return bool(wanted_of(make_stage).dialects)


def change_stage_factory(
    make_stage: StageFactory | None,
    tool_tags: bool | str | Iterable[str] | None,  # noqa: FBT001 - as callers give it
    citation_markers: CitationMarkers | None,
) -> StageFactory | None:
    """Return a function like another one, whose stage looks for other calls and markers, or the same."""
    if tool_tags is None and citation_markers is None:
        return make_stage
    from tokenstream._pipeline.split_texts import change_split_factory

    return change_split_factory(make_stage, tool_tags, citation_markers)
