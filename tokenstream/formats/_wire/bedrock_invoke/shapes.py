"""A table of paths to the text, finish reason and token counts in the payloads of several models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, is_dict
from tokenstream.message import Usage

if TYPE_CHECKING:
    from tokenstream.message import FinishReason

Path: TypeAlias = tuple[str, ...]

FINISH_REASONS: dict[str, FinishReason] = {
    # Amazon Titan
    "FINISH": "stop",
    "FINISHED": "stop",
    "LENGTH": "length",
    "STOP_CRITERIA_MET": "stop_sequence",
    "CONTENT_FILTERED": "content_filter",
    # Meta Llama, Mistral, DeepSeek, AI21
    "stop": "stop",
    "eos": "stop",
    "endoftext": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    # the old Claude
    "stop_sequence": "stop_sequence",
    # Cohere
    "COMPLETE": "stop",
    "MAX_TOKENS": "length",
    "STOP_SEQUENCE": "stop_sequence",
    "ERROR": "error",
    "ERROR_LIMIT": "length",
    "ERROR_TOXIC": "content_filter",
    "USER_CANCEL": "cancelled",
}
"""Maps the words of the models in the table, such as Titan and Llama, to finish reasons."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The paths to the text, the finish reason and the token counts in the payloads of one model.

    Example:
        >>> LLAMA.text, LLAMA.finish
        (('generation',), (('stop_reason',),))
    """

    marking_field: str
    """The field by which a payload of the model is recognised."""
    text: Path
    """Path to the text, in the payload or in one of its items."""
    finish: tuple[Path, ...]
    """Paths to the finish reason; the first path that leads to text is used."""
    items: str = ""
    """The field with one item per choice; "" if the payload itself is the item."""
    index: str = ""
    """The field with a choice's index."""
    input: Path = ()
    """Path to the count of input tokens."""
    output: Path = ()
    """Path to the count of output tokens."""
    known: tuple[str, ...] = ()
    """Further fields that are read elsewhere or have no meaning, and so are not reported as unknown."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a payload that need not be reported as unknown."""
        paths = (self.input, self.output)
        first_names = [path[0] for path in paths if path]
        return (self.marking_field, self.index, "id", "model", *self.known, *first_names)


TITAN = ModelShape(
    "outputText",
    ("outputText",),
    (("completionReason",),),
    index="index",
    input=("inputTextTokenCount",),
    output=("totalOutputTextTokenCount",),
)
LLAMA = ModelShape(
    "generation",
    ("generation",),
    (("stop_reason",),),
    input=("prompt_token_count",),
    output=("generation_token_count",),
)
CLAUDE = ModelShape("completion", ("completion",), (("stop_reason",),), known=("type",))
MISTRAL = ModelShape("outputs", ("text",), (("stop_reason",),), items="outputs")
COHERE = ModelShape(
    "is_finished", ("text",), (("finish_reason",),), index="index", known=("is_finished", "event_type")
)
COHERE_WHOLE = ModelShape(
    "generations", ("text",), (("finish_reason",),), items="generations", index="index", known=("prompt",)
)
JURASSIC = ModelShape(
    "completions", ("data", "text"), (("finishReason", "reason"),), items="completions", known=("prompt",)
)
COMPLETIONS = ModelShape(
    "choices",
    ("text",),
    (("stop_reason",), ("finish_reason",)),
    items="choices",
    index="index",
    input=("usage", "prompt_tokens"),
    output=("usage", "completion_tokens"),
    known=("object", "created", "usage"),
)
PEGASUS = ModelShape("message", ("message",), (("finishReason",),))

SHAPES = (TITAN, LLAMA, CLAUDE, MISTRAL, COHERE, COHERE_WHOLE, JURASSIC, COMPLETIONS, PEGASUS)
"""The shapes of Titan; Llama; Claude's text completions; Mistral; Cohere's generate API, and its whole
answer; AI21's Jurassic; DeepSeek and imported models; TwelveLabs. The first that fits a payload is used."""

COUNT_FIELDS = frozenset(
    path[0] for shape in SHAPES for path in (shape.input, shape.output) if len(path) == 1
)
"""Top-level fields with token counts, which change in each payload."""


def shape_of(payload: dict[str, Any]) -> ModelShape | None:
    """Return the shape of a payload, or None if no shape in the table fits.

    Example:
        >>> shape_of({"generation": "Hel", "stop_reason": None}) is LLAMA, shape_of({"what": "is this"})
        (True, None)
    """
    for shape in SHAPES:
        if shape.marking_field in payload and _fits(shape, payload):
            return shape
    return None


def _fits(shape: ModelShape, payload: dict[str, Any]) -> bool:
    """Return whether a payload has its text at the place that a shape describes.

    Args:
        payload: A payload that has the field `shape.marking_field`.
    """
    if shape.items:
        items = dicts_of(payload[shape.items])
        return bool(items) and all(shape.text[0] in item for item in items)
    # If the marking field itself has the text, an object in it shows that the payload is of another format.
    return shape.marking_field != shape.text[0] or not is_dict(payload[shape.marking_field])


def metrics_of(metrics: dict[str, Any]) -> Usage:
    """Return the token counts that Bedrock adds to the last payload, as `Usage`.

    Example:
        >>> metrics_of({"inputTokenCount": 20, "outputTokenCount": 10}).output_tokens
        10
    """
    return Usage(
        input_tokens=int_of(metrics, "inputTokenCount"),
        output_tokens=int_of(metrics, "outputTokenCount"),
        cached_tokens=int_of(metrics, "cacheReadInputTokenCount"),
        cache_write_tokens=int_of(metrics, "cacheWriteInputTokenCount"),
        provider_data=metrics,
    )


def value_at(payload: dict[str, Any], path: Path) -> object:
    """Return the value at a path; None if the path leads nowhere.

    Example:
        >>> value_at({"data": {"text": "a"}}, ("data", "text")), value_at({"data": 1}, ("data", "text"))
        ('a', None)
    """
    for name in path[:-1]:
        payload = dict_of(payload, name)
    return payload.get(path[-1]) if path else None
