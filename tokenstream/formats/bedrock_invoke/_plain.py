"""Models whose payloads are plain: text, an end, token counts, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.events import TextDelta
from tokenstream.formats._parts import Parts
from tokenstream.formats._read import dicts_of, int_of, is_dict, known, text_of
from tokenstream.formats.base import Format
from tokenstream.formats.bedrock_invoke._shapes import FINISH_REASONS, Shape, shape_of, value_at
from tokenstream.message import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.limits import Limits

__all__ = ["PlainModel"]


class _CountedParts(Parts):
    """Parts that are told how many tokens there were when they end.

    Each payload may count anew; a report for each would cost more than its text.
    """

    __slots__ = ("counts",)

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        super().__init__(limits, note)
        self.counts: dict[str, tuple[str, int]] = {}
        """The last counts: our name for them, and the model's with the number."""

    def close_all(self, *, complete: bool) -> None:
        """Close every part, and say how many tokens there were."""
        self.report()
        super().close_all(complete=complete)

    def report(self) -> None:
        """Say how many tokens there were so far, if that is known."""
        counts, self.counts = self.counts, {}
        if counts:
            self.usage(
                Usage(
                    input_tokens=counts.get("input", ("", None))[1],
                    output_tokens=counts.get("output", ("", None))[1],
                    provider_data=dict(counts.values()),
                )
            )


class PlainModel(Format):
    """One model's own stream, read by a table that says where it has what.

    Args:
        limits: Bounds on parts, choices, and JSON payloads.
        pings: Whether signs of life become `Ping` events.
    """

    __slots__ = ("_counted", "_layout", "_shape")

    name: ClassVar[str] = "bedrock-invoke"

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self._counted = _CountedParts(self.limits, self.note)
        self.parts = self._counted
        self._shape: Shape | None = None
        self._layout: tuple[str, ...] = ()
        """The fields of the last payload, where it said nothing but text and counts."""

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
        """Tell whether a payload has one of the shapes."""
        return not event and shape_of(payload) is not None

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Put what `payload` says into `self.parts`."""
        shape = shape_of(payload)
        if shape is None:
            self.parts.unknown(next(iter(payload), "chunk"), payload)
            return
        if not self.parts.started:
            self.parts.head(id=text_of(payload, "id"), model=text_of(payload, "model"))
        self._count(shape, payload)
        if not shape.items:
            self._read_item(shape, payload, int_of(payload, shape.index), shape.fields)
            plain = shape.counts_each and payload.keys() <= {*shape.fields, shape.finish[0][0]}
            self._shape, self._layout = shape, tuple(payload) if plain else ()
            return
        for number, item in enumerate(dicts_of(payload[shape.items])):
            index = int_of(item, shape.index)
            self._read_item(shape, item, number if index is None else index, (shape.index,))
        for name, value in (known(payload, *shape.fields) or {}).items():
            self.parts.field(name, value)

    @property
    def counts_each(self) -> bool:
        """Whether each payload counts anew, so that no two are alike but for their text."""
        return bool(self._layout)

    def delta_of(self, payload: dict[str, Any]) -> TextDelta | None:
        """Return the text of a payload that says nothing but text and counts, or None for any other.

        Args:
            payload: The decoded payload.
        """
        shape, state = self._shape, self.parts.choices.get(0)
        if shape is None or state is None or tuple(payload) != self._layout:
            return None
        text, part = payload[shape.mark], state.flow
        if text.__class__ is not str or not text or part is None or part.held:
            return None
        if payload.get(shape.finish[0][0]) is not None:
            return None
        sent, counted = payload.get(shape.input[0]), payload.get(shape.output[0])
        if not isinstance(counted, int) or not isinstance(sent, int | None):
            return None
        counts = self._counted.counts
        counts["output"] = shape.output[0], counted
        if sent is not None:
            counts["input"] = shape.input[0], sent
        return TextDelta(text, part=part.index, raw=payload)

    def _read_item(
        self, shape: Shape, item: dict[str, Any], index: int | None, read: tuple[str, ...]
    ) -> None:
        """Read the text and the end of one choice; an end without an index is that of all.

        Args:
            shape: Where the item has what.
            item: A payload, or one of its items.
            index: The choice's index.
            read: The item's fields that were read.
        """
        choice = index or 0
        text = value_at(item, shape.text)
        whole = item.get("response")
        if isinstance(text, str):
            self.parts.write(choice, "text", text)
        elif text is not None:
            self.note("delta_misfits")
            self.parts.items(shape.mark, [item], choice)
        elif is_dict(whole) and not self.parts.choices:
            # Cohere's last payload has the answer as a whole, once more or for the first time.
            self.read(whole, "")
        own = (shape.text[0], "response", *[path[0] for path in shape.finish])
        for name, value in (known(item, *read, *own) or {}).items():
            self.parts.field(name, value, choice)
        reason = next((found for path in shape.finish if isinstance(found := value_at(item, path), str)), "")
        if not reason or (is_dict(whole) and self.parts.finished):
            return
        every = list(self.parts.choices) if index is None else [index]
        for each in every or [0]:
            self.parts.finish(each, FINISH_REASONS.get(reason, "unknown"), reason)
        self._counted.report()

    def _count(self, shape: Shape, payload: dict[str, Any]) -> None:
        for kind, path in (("input", shape.input), ("output", shape.output)):
            count = int_of({"count": value_at(payload, path)}, "count")
            if count is not None:
                self._counted.counts[kind] = (path[-1], count)
