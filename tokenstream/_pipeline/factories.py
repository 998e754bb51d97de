"""Functions that create a stream's optional stages, whose modules are imported only if they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.framing._content_coding import ContentDecoder
    from tokenstream.limits import Limits
    from tokenstream.schemas._build import ToolsOption
    from tokenstream.stages._text.tags import Tags


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


def make_stage_factory(tags: Tags | None) -> StageFactory | None:
    """Return a function that creates the stage which splits texts; None if texts stay as they are."""
    if tags is None:
        return None
    from tokenstream._pipeline.split_texts import make_split_factory
    from tokenstream.limits import check_option
    from tokenstream.stages._text.tags import Tags

    check_option("tags", tags, Tags)
    return make_split_factory(tags.wanted)


def looks_for_calls(make_stage: StageFactory | None) -> bool:
    """Return True if the stage that a function creates looks for calls in texts."""
    if make_stage is None:
        return False
    from tokenstream._pipeline.split_texts import wanted_of

    return bool(wanted_of(make_stage).dialects)
