"""Read the answers of models whose payloads contain only text, a finish reason and token counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, is_dict, text_of, whole_number
from tokenstream._values.parts import make_usage
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import always_decode
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.formats._kit.parts import Parts
from tokenstream.formats._kit.values import Mark, marks_in, reasons_of, split_names, worst_of

if TYPE_CHECKING:
    from tokenstream._basics.loose import DeltaCallback, JsonObject
    from tokenstream.events import Event

NamePath: TypeAlias = tuple[str, ...]

FINISH_REASONS = reasons_of(
    stop="FINISH FINISHED stop eos endoftext end_turn COMPLETE",
    length="LENGTH length max_tokens MAX_TOKENS ERROR_LIMIT",
    stop_sequence="STOP_CRITERIA_MET stop_sequence STOP_SEQUENCE",
    content_filter="CONTENT_FILTERED ERROR_TOXIC",
    tool_calls="tool_calls",
    error="ERROR",
    cancelled="USER_CANCEL",
)
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
    text: NamePath
    """Path to the text, in the payload or in one of its items."""
    finish: tuple[NamePath, ...]
    """Paths to finish reasons, of which the worst one is used."""
    items: str = ""
    """The field with one item per choice; "" if the payload itself is the item."""
    index: str = ""
    """The field with a choice's index."""
    input: NamePath = ()
    """Path to the count of input tokens."""
    output: NamePath = ()
    """Path to the count of output tokens."""
    known: tuple[str, ...] = ()
    """Further fields that are read elsewhere or have no meaning, and so are not reported as unknown."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a payload that need not be reported as unknown."""
        first_names = [path[0] for path in (self.input, self.output) if path]
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


def shape_of(payload: JsonObject) -> ModelShape | None:
    for shape in SHAPES:
        if shape.marking_field in payload and _has_shape(shape, payload):
            return shape
    return None


def _has_shape(shape: ModelShape, payload: JsonObject) -> bool:
    if shape.items:
        items = dicts_of(payload[shape.items])
        return bool(items) and all(shape.text[0] in item for item in items)
    # If the marking field itself has the text, an object in it shows that the payload is of another format.
    return shape.marking_field != shape.text[0] or not is_dict(payload[shape.marking_field])


METRICS = Counts(
    input_tokens="inputTokenCount",
    output_tokens="outputTokenCount",
    cached_tokens="cacheReadInputTokenCount",
    cache_write_tokens="cacheWriteInputTokenCount",
    beside="invocationLatency|firstByteLatency",
)
"""The token counts that Bedrock adds to the last payload."""


def value_at(payload: JsonObject, path: NamePath) -> object:
    """Return the value at a path; None if the path leads nowhere."""
    for name in path[:-1]:
        payload = dict_of(payload, name)
    return payload.get(path[-1]) if path else None


class _CountedParts(Parts):
    """Makes the events of an answer, and reports the token counts only at the end of the answer.

    Each payload may have new counts; an event for each of them would take more time than reading the text.
    """

    __slots__ = ("_counts", "_report", "unread_delta")

    def _set_up(self) -> None:
        super()._set_up()
        self._counts: dict[str, int] = {}
        """The last counts, by their names in `Usage`."""
        self._report: JsonObject = {}
        """The last counts, by the model's names for them."""
        self.unread_delta: Event | None = None
        """The last delta read without decoding, whose counts have not been read yet."""

    def store_unread_delta(self, delta: Event) -> None:
        """Store a delta that was read without decoding; the counts in its payload are read later."""
        self.unread_delta = delta

    def record_counts(self, payload: JsonObject) -> None:
        """Record the counts of a payload; the last counts are reported at the end."""
        # First record the counts of the previous payload, if it was read without decoding.
        delta, self.unread_delta = self.unread_delta, None
        if delta is not None and is_dict(delta.raw):
            self.record_counts(delta.raw)
        shape = shape_of(payload)
        paths = {} if shape is None else {"input_tokens": shape.input, "output_tokens": shape.output}
        for name, path in paths.items():
            count = whole_number(value_at(payload, path))
            if count is not None:
                self._counts[name] = self._report[path[-1]] = count

    def close_all(self, *, complete: bool) -> None:
        self.report_counts()
        super().close_all(complete=complete)

    def report_counts(self) -> None:
        # The counts of `unread_delta`, the last delta that was read without decoding, are still missing; each
        # call of `record_counts` adds them first, even without a payload of its own.
        self.record_counts({})
        counts, self._counts = self._counts, {}
        report, self._report = self._report, {}
        if counts:
            self.usage(make_usage(report, **counts))


class PlainModel(Format[_CountedParts]):
    """Reads the native stream of a model whose payloads have only text, a finish reason and token counts.

    A table has the paths to these fields for each model; see `ModelShape`.
    """

    __slots__ = ()

    _parts_class = _CountedParts
    name = "bedrock-invoke"
    # Of the models' pages in the user guide of Amazon Bedrock.
    documented = split_names("id likelihood prompt stop token_likelihoods")
    is_one_answer = True

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:
        return not event and shape_of(payload) is not None

    def read(self, payload: JsonObject, event: str) -> None:
        shape = shape_of(payload)
        if shape is None:
            self.parts.unknown(next(iter(payload), "chunk"), payload)
            return
        if not self.parts.started:
            self.parts.head(id=text_of(payload, "id"), model=text_of(payload, "model"))
        self.parts.record_counts(payload)
        # `_read_item` reports fields as unknown, except those that it reads and those in its last argument,
        # which are read here.
        if not shape.items:
            # The payload itself is the only item.
            self._read_item(shape, payload, int_of(payload, shape.index), shape.fields)
            return
        for number, item in enumerate(dicts_of(payload[shape.items])):
            index = int_of(item, shape.index)
            self._read_item(shape, item, number if index is None else index, (shape.index,))
        self.parts.report_unknown_fields(payload, shape.fields)

    def follow(self, delta: Event) -> DeltaCallback | None:
        """Return a callback that stores each later delta, so that its token counts can be read later.

        The fast path reads these deltas without `read`, which records the token counts of all others.
        If the payload of the delta has no known shape, or has counts that the shape does not name, return
        `always_decode` instead, which has each later payload decoded.
        """
        payload = delta.raw
        shape = shape_of(payload) if is_dict(payload) else None
        if shape is None:
            return always_decode
        named = {path[0] for path in (shape.input, shape.output) if path}
        has_other_counts = not (COUNT_FIELDS & payload.keys() <= named)
        return always_decode if has_other_counts else self.parts.store_unread_delta

    def _read_item(
        self, shape: ModelShape, item: JsonObject, index: int | None, known: tuple[str, ...]
    ) -> None:
        """Read the text and the finish reason of a choice; without an index, the reason ends all choices."""
        choice = index or 0
        text = value_at(item, shape.text)
        whole_answer = item.get("response")
        if isinstance(text, str):
            self.parts.write(choice, "text", text)
        elif text is not None:
            # Report the item unchanged, under the name of the field that shows the model.
            self.note("delta_misfits")
            self.parts.stray(shape.marking_field, item, choice)
        elif is_dict(whole_answer) and not self.parts.choices:
            # Cohere's last payload has the whole answer: read it only if no payload before had any text.
            self.read(whole_answer, "")
        read_here = (shape.text[0], "response", *[path[0] for path in shape.finish])
        self.parts.report_unknown_fields(item, (*known, *read_here), choice)
        words = [value_at(item, path) for path in shape.finish]
        marks = marks_in(
            FINISH_REASONS, *[word for word in words if isinstance(word, str) and word], other="unknown"
        )
        was_read_in_whole_answer = is_dict(whole_answer) and self.parts.finished
        if marks and not was_read_in_whole_answer:
            self._finish(worst_of(marks, self.note), index)

    def _finish(self, mark: Mark, index: int | None) -> None:
        """Report the finish reason of a choice (None: of all choices), and then the token counts."""
        # Without an index, all choices have ended; without any choice so far, the answer is choice 0.
        ended = list(self.parts.choices) if index is None else [index]
        for ended_choice in ended or [0]:
            self.parts.finish(ended_choice, *mark)
        self.parts.report_counts()
