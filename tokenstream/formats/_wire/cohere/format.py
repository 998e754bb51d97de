"""Cohere chat: turns payloads into events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import is_dict, text_of
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._wire.cohere.v1 import ID_FIELDS, V1
from tokenstream.formats._wire.cohere.v2 import V2
from tokenstream.formats._wire.cohere.words import FINISH_REASONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.events import Event
    from tokenstream.formats._fast.shape import Path
    from tokenstream.message import FinishReason

_MESSAGE: Path = ("delta", "message")


class Cohere(V1, V2):
    """The `cohere` format: answers of the chat API, version 2 or 1, streamed or whole.

    Args:
        limits: Bounds on parts, tool calls, and JSON payloads.
        pings: True if frames without content, such as pings, become `Ping` events.

    Example:
        >>> cohere = Cohere()
        >>> [type(event).__name__ for event in cohere.feed({"type": "content-start", "index": 0,
        ...     "delta": {"message": {"content": {"type": "text", "text": ""}}}})]
        ['PartStart']
        >>> cohere.feed({"type": "content-delta", "index": 0,
        ...     "delta": {"message": {"content": {"text": "Hel"}}}})
        [TextDelta(choice=0, part=0, text='Hel')]
    """

    __slots__ = ()

    name: ClassVar[str] = "cohere"
    is_one_answer: ClassVar[bool] = True
    finish_reasons: ClassVar[Mapping[str, FinishReason]] = FINISH_REASONS
    fast: ClassVar[Fast | None] = Fast(
        texts=[
            (*_MESSAGE, "content", "text"),
            (*_MESSAGE, "content", "thinking"),
            (*_MESSAGE, "tool_calls", "function", "arguments"),
            ("text",),
            ("tool_call_delta", "parameters"),
        ],
        units=frozenset({"event", "line"}),
    )

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
        """Return whether a stream's first payload is of this format; None if other formats send it, too."""
        kind = text_of(payload, "type")
        if kind is None and "event_type" not in payload and not event:
            return cls.is_whole_v2(payload) or cls.is_whole_v1(payload)
        name = kind or event
        if name == "debug":
            # Other formats have events of that name, too.
            return None if "prompt" in payload else False
        if name in V2.READERS:
            # Other servers have types of these names, too, but not these fields.
            is_own = is_dict(payload.get("delta")) or "index" in payload
            return True if is_own or (name == "message-start" and "id" in payload) else None
        return text_of(payload, "event_type") in V1.READERS_V1

    def begun_by(self, payload: dict[str, Any], event: str) -> str | None:
        """Return the id of the answer that an event begins; None if the event begins none."""
        kind = text_of(payload, "type", "event_type") or event
        return text_of(payload, *ID_FIELDS) or "" if kind in ("message-start", "stream-start") else None

    def follow(self, delta: Event) -> Callable[[Any], bool | None] | None:
        """Return a function that counts each later delta without the event name that v2 documents.

        Such a delta is a departure from the documentation. The fast path reads it without `read`, which
        counts all other events without names. The result is None if the events have names, or belong to v1,
        whose events need no names.
        """
        # Payloads of v1 have their type in the field `event_type` instead.
        is_v2 = text_of(delta.raw, "event_type") is None
        return self._count_nameless if self.is_nameless and is_v2 else None

    def _count_nameless(self, delta: Event) -> None:
        """Count a departure from the documentation for a delta without an event name, on the fast path."""
        # The frame of the delta is counted only after this call.
        self.departures.note("event_name_missing", event=self.frames + 1)
