"""Read the answers of models whose payloads contain only text, a finish reason and token counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from tokenstream._basics.untrusted import dicts_of, int_of, is_dict, text_of
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import always_decode
from tokenstream.formats._fast.shape import PADDING
from tokenstream.formats._kit.parts import Parts
from tokenstream.formats._wire.bedrock_invoke.shapes import (
    COUNT_FIELDS,
    FINISH_REASONS,
    ModelShape,
    shape_of,
    value_at,
)
from tokenstream.message import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.limits import Limits


class _NamedCount(NamedTuple):
    """A token count, with the model's name for the count."""

    name: str
    """The model's name for the count."""
    number: int


class _CountedParts(Parts):
    """Makes the events of an answer, and reports the token counts only at the end of the answer.

    Each payload may have new counts; an event for each of them would take more time than reading the text.
    """

    __slots__ = ("_counts", "unread_delta")

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        super().__init__(limits, note)
        self._counts: dict[str, _NamedCount] = {}
        """The last counts, under "input" and "output"."""
        self.unread_delta: Event | None = None
        """The last delta read without decoding, whose counts have not been read yet."""

    def store_unread_delta(self, delta: Event) -> None:
        """Store a delta that was read without decoding; the counts in its payload are read later."""
        self.unread_delta = delta

    def record_counts(self, payload: dict[str, Any]) -> None:
        """Record the counts of a payload; the last counts are reported at the end."""
        # First record the counts of the previous payload, if it was read without decoding.
        delta, self.unread_delta = self.unread_delta, None
        if delta is not None and is_dict(delta.raw):
            self.record_counts(delta.raw)
        shape = shape_of(payload)
        paths = (("input", shape.input), ("output", shape.output)) if shape is not None else ()
        for kind, path in paths:
            count = int_of({"count": value_at(payload, path)}, "count")
            if count is not None:
                self._counts[kind] = _NamedCount(path[-1], count)

    def close_all(self, *, complete: bool) -> None:
        """Close every part and report the token counts."""
        self.report_counts()
        super().close_all(complete=complete)

    def report_counts(self) -> None:
        """Report the token counts so far, if known."""
        # The counts of `unread_delta`, the last delta that was read without decoding, are still missing; each
        # call of `record_counts` adds them first, even without a payload of its own.
        self.record_counts({})
        counts, self._counts = self._counts, {}
        input_count, output_count = counts.get("input"), counts.get("output")
        if counts:
            self.usage(
                Usage(
                    input_tokens=None if input_count is None else input_count.number,
                    output_tokens=None if output_count is None else output_count.number,
                    provider_data={count.name: count.number for count in counts.values()},
                )
            )


class PlainModel(Format):
    """Reads the native stream of a model whose payloads have only text, a finish reason and token counts.

    A table has the paths to these fields for each model; see `ModelShape`.

    Args:
        limits: Bounds on parts, choices, and JSON payloads.
        pings: True if frames without content, such as pings, become `Ping` events.
    """

    __slots__ = ("_counted_parts",)

    name: ClassVar[str] = "bedrock-invoke"
    is_one_answer: ClassVar[bool] = True

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self._counted_parts = _CountedParts(self.limits, self.note)
        self.parts = self._counted_parts

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool:
        """Return whether a payload has one of the shapes in the table."""
        return not event and shape_of(payload) is not None

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Read a payload: pass its content to `self.parts`, which makes the events."""
        shape = shape_of(payload)
        if shape is None:
            self.parts.unknown(next(iter(payload), "chunk"), payload)
            return
        if not self.parts.started:
            self.parts.head(id=text_of(payload, "id"), model=text_of(payload, "model"))
        self._counted_parts.record_counts(payload)
        # `_read_item` reports fields as unknown, except those that it reads and those in its last argument,
        # which are read here.
        if not shape.items:
            # The payload itself is the only item.
            self._read_item(shape, payload, int_of(payload, shape.index), (*shape.fields, *PADDING))
            return
        for number, item in enumerate(dicts_of(payload[shape.items])):
            index = int_of(item, shape.index)
            self._read_item(shape, item, number if index is None else index, (shape.index,))
        self.parts.report_unknown_fields(payload, (*shape.fields, *PADDING))

    def follow(self, delta: Event) -> Callable[[Any], bool | None] | None:
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
        return always_decode if has_other_counts else self._counted_parts.store_unread_delta

    def _read_item(
        self, shape: ModelShape, item: dict[str, Any], index: int | None, known: tuple[str, ...]
    ) -> None:
        """Read the text and the finish reason of one choice.

        Args:
            shape: The paths into the item.
            item: A payload, or one of its items.
            index: The choice's index; None if the item has none, and so the finish reason ends all choices.
            known: Names of the item's fields that are read elsewhere.
        """
        choice = index or 0
        text = value_at(item, shape.text)
        whole_answer = item.get("response")
        if isinstance(text, str):
            self.parts.write(choice, "text", text)
        elif text is not None:
            # Report the item unchanged, under the name of the field that shows the model.
            self.note("delta_misfits")
            self.parts.items(shape.marking_field, [item], choice)
        elif is_dict(whole_answer) and not self.parts.choices:
            # Cohere's last payload has the whole answer: read it only if no payload before had any text.
            self.read(whole_answer, "")
        read_here = (shape.text[0], "response", *[path[0] for path in shape.finish])
        self.parts.report_unknown_fields(item, (*known, *read_here), choice)
        words = [value_at(item, path) for path in shape.finish]
        reason = next((word for word in words if isinstance(word, str)), "")
        was_read_in_whole_answer = is_dict(whole_answer) and self.parts.finished
        if reason and not was_read_in_whole_answer:
            self._finish(reason, index)

    def _finish(self, reason: str, index: int | None) -> None:
        """Report a finish reason, and then the token counts.

        Args:
            reason: The model's word for the reason.
            index: The index of the choice that has ended; None if all choices have ended.
        """
        # Without an index, all choices have ended; without any choice so far, the answer is choice 0.
        ended = list(self.parts.choices) if index is None else [index]
        for ended_choice in ended or [0]:
            self.parts.finish(ended_choice, FINISH_REASONS.get(reason, "unknown"), reason)
        self._counted_parts.report_counts()
