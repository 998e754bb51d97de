"""The state of one step of an interaction, and the API's words for steps, statuses and token counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import int_of, text_of
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.formats._kit.values import failure_text, json_text, reasons_of, split_names
from tokenstream.message import Citation, OpaquePart, ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenPart

ALIASES = {
    "interaction.start": "interaction.created",
    "interaction.complete": "interaction.completed",
    "content.start": "step.start",
    "content.delta": "step.delta",
    "content.stop": "step.stop",
}
"""Maps event names in previews of the API to the present names."""
FINISH_REASONS = reasons_of(
    stop="completed",
    tool_calls="requires_action",
    length="incomplete budget_exceeded",
    pause="requires_continuation",
    cancelled="cancelled",
    error="failed",
)
"""Maps the final status of an interaction to a finish reason; any other status is "unknown"."""
UNFINISHED = frozenset({"in_progress", "queued"})


USAGE = Counts(
    total_tokens="total_tokens",
    input_tokens="total_input_tokens",
    tool_tokens="total_tool_use_tokens",
    cached_tokens="total_cached_tokens",
    output_tokens="total_output_tokens",
    reasoning_tokens="total_thought_tokens",
    input_audio_tokens="input_tokens_by_modality[audio]",
    input_image_tokens="input_tokens_by_modality[image]",
    output_audio_tokens="output_tokens_by_modality[audio]",
    beside="initial_input_tokens grounding_tool_count.count cached_tokens_by_modality"
    "|input_tokens_by_modality|output_tokens_by_modality|tool_use_tokens_by_modality.tokens",
    element="tokens",
    apart=True,
)
"""The token counts of an interaction; those of the output do not include the thoughts."""

OUTPUT = "model_output"
THOUGHT = "thought"
CALL = "function_call"
"""Type of a call of one of the application's tools; the provider runs the calls of other types."""
CALL_FIELDS = ("id", "name", "arguments", "signature")
"""Fields of a call, or of its deltas, that are read or hold no arguments."""
DELTA_FIELDS = split_names(
    "annotations arguments channels content custom_metadata data document_uri end_index file_name id "
    "language media_id mime_type name page_number place_id processing rate resolution review_id "
    "review_snippets sample_rate signature source speaker start_index style text title type uri url"
)
"""The fields of deltas of text, thoughts, arguments and media, and of what is in them."""
MEDIA_TYPES = split_names("image audio video document")
NOT_TEXT = -1
"""Stands for the index of a part in `ReportedStep.contents` if the content is not text."""
_STEP_TYPES_OF_DELTAS = {
    "thought_summary": THOUGHT,
    "thought_signature": THOUGHT,
    "text_annotation_delta": OUTPUT,
    "text_annotation": OUTPUT,
}
"""Maps some types of deltas to the type of the step that the delta belongs to."""


def citation_of(annotation: JsonObject, cites: int | None) -> Citation:
    return Citation(
        url=text_of(annotation, "url", "document_uri"),
        title=text_of(annotation, "title", "file_name", "name"),
        text=text_of(annotation, "source"),
        start=int_of(annotation, "start_index"),
        end=int_of(annotation, "end_index"),
        cites=cites,
        provider_data=annotation,
    )


class ReportedStep:
    """A record of a step that has arrived, for the comparison with the whole interaction at the end.

    Args:
        type: The API's word for the type of the step.
        index: The step's index in the stream.
        id: The id of the step, such as a call; None if it has none.
    """

    __slots__ = ("contents", "id", "index", "type")

    def __init__(self, type: str, index: int, id: str | None) -> None:  # noqa: A002 - the fields' names
        self.type = type
        self.index = index
        self.id = id
        self.contents: list[int] = []
        """Indexes of the parts of the step's pieces of content; `NOT_TEXT` for content that is not text."""

    def matches(self, data: JsonObject) -> bool:
        """Return True if a step of the whole interaction is this one, by its type and by the ids of both."""
        id = text_of(data, "id")
        return self.type == (text_of(data, "type") or "") and (None in (self.id, id) or self.id == id)


class InteractionStep:
    """The state of a step of an interaction, such as a thought or a call, that can still grow.

    Args:
        type: The API's word for the type of the step.
        data: The fields of the step so far.
        record: The record of the step, for the comparison with the whole interaction.
    """

    __slots__ = ("data", "has_fragments", "kind", "part", "record", "text_index", "type")

    def __init__(self, type: str, data: JsonObject, record: ReportedStep) -> None:  # noqa: A002 - the field's name
        self.type = type
        self.data = data
        self.record = record
        self.part: OpenPart | None = None
        """The part that the next delta of the step belongs to."""
        self.kind = ""
        self.text_index: int | None = None
        """Index of the step's last text part."""
        self.has_fragments = False
        """True once a piece of the step's arguments has arrived as text."""

    @property
    def waits(self) -> bool:
        """True for a call whose step was closed, but which has no arguments so far."""
        return self.part is not None and self.part.waits

    @property
    def has_arguments(self) -> bool:
        """True once arguments have arrived; a call without them may be cut off before its first fragment."""
        return self.has_fragments or bool(self.data.get("arguments"))


def server_result(step: InteractionStep) -> ServerToolResult:
    """Return the result of a tool that the provider ran, from the fields of a step so far."""
    return ServerToolResult(
        id=text_of(step.data, "call_id") or "",
        name=step.type,
        content=step.data.get("result"),
        provider_data={**step.data},
        error=failure_text(step.data.get("result")) if step.data.get("is_error") is True else None,
    )


def whole_content(
    step: InteractionStep, data: JsonObject, part: OpenPart
) -> ServerToolCall | ServerToolResult | OpaquePart | None:
    """Return the whole content of a step's part, for `Parts.close`; None if the deltas add up to it."""
    if part.kind == "server_tool_result":
        return server_result(step)
    # An opaque part of the model's output is a whole piece of content, and not the step.
    if part.kind == "opaque" and step.type != OUTPUT:
        return OpaquePart(type=step.type, data=data)
    if part.kind != "server_tool_call" or step.has_fragments:
        # The deltas of a text, and the fragments of a call, add up to the content.
        return None
    arguments = data.get("arguments")
    return server_call(step, data, arguments if isinstance(arguments, str) else json_text(arguments or {}))


def server_call(step: InteractionStep, data: JsonObject, arguments: str = "") -> ServerToolCall:
    return ServerToolCall(
        id=text_of(data, "id") or "",
        name=text_of(data, "name") or step.type,
        arguments_text=arguments,
        provider_data={**data},
    )


def step_type_of(kind: str) -> str:
    """Return the type of the step that a type of deltas belongs to; "" if it does not reveal that."""
    if kind == "text" or kind in MEDIA_TYPES:
        return OUTPUT
    if kind.endswith(("_call", "_result")):
        # These deltas have the type of their step.
        return kind
    return _STEP_TYPES_OF_DELTAS.get(kind, "")
