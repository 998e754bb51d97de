"""The subject of an event of the Realtime API: its response, its item, and the words for both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dict_of, text_of
from tokenstream.formats._kit.identity import likeness_of_call
from tokenstream.formats._kit.open import OpenCall
from tokenstream.formats._kit.openai import RESPONSE_REASONS
from tokenstream.formats._kit.sessions import find_session_kind
from tokenstream.formats._kit.values import marks_in

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._base import AnswerPlace
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.values import Mark

REMEMBERED_ITEMS = 1_000
"""Number of items of which it is remembered, at least, that pieces of their transcript were reported."""
_SESSION_EVENTS = ("conversation.", "input_audio_buffer.", "output_audio_buffer.", "rate_limits.")

_BETA_AUDIO = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
"""Maps the names of audio formats in the beta version of the API to MIME types."""


def is_event(payload: JsonObject) -> bool:
    """Return whether a payload is an event of the Realtime API and not of the Responses API.

    Example:
        >>> is_event({"type": "session.created", "session": {}}), is_event({"type": "response.created"})
        (True, False)
    """
    kind = text_of(payload, "type") or ""
    if kind in ("session.created", "session.updated"):
        # Sessions of other APIs, which have no responses, begin with such an event, too.
        return "session" in payload and find_session_kind(payload) is None
    # Events of the Responses API have a sequence number instead of an id.
    has_id = "event_id" in payload and "sequence_number" not in payload
    if kind in ("response.created", "response.done"):
        object_type = text_of(dict_of(payload, "response"), "object")
        # In the Responses API, the object's type is "response".
        is_of_session = object_type == "realtime.response" and "sequence_number" not in payload
        return is_of_session or (has_id and object_type != "response")
    if kind == "error":
        # An error in a session of OpenAI's hosted agents has the id of that session.
        return has_id and "error" in payload and "session_id" not in payload
    if kind.startswith("response."):
        return has_id and "response_id" in payload
    return has_id and kind.startswith(_SESSION_EVENTS)


def response_of(payload: JsonObject) -> AnswerPlace:
    """Return the id of the event's response, and whether the event ends that response.

    The id is None for an event about the session itself. It is also None for an event about a response that
    does not name the response; such an event belongs to the response that is open.
    """
    kind = text_of(payload, "type") or ""
    if not kind.startswith("response."):
        return None, False
    id = text_of(dict_of(payload, "response"), "id") or text_of(payload, "response_id")
    # If a server sends no ids, "" begins a response; its other events belong to the open response.
    return id or ("" if kind == "response.created" else None), kind == "response.done"


def marks_of(response: JsonObject) -> list[Mark]:
    """Return the marks of a response's end: its status, and the details of the status."""
    details = dict_of(response, "status_details")
    status, kind, reason = text_of(response, "status"), text_of(details, "type"), text_of(details, "reason")
    marks = marks_in(RESPONSE_REASONS, status, kind)
    if "incomplete" in (status, kind) or reason in RESPONSE_REASONS:
        marks.append((RESPONSE_REASONS.get(reason or "", "unknown"), status or kind or reason))
    if dict_of(details, "error"):
        marks.append(("error", status))
    is_silent = status in (None, "in_progress", "queued")
    return marks if marks or is_silent else [("unknown", status)]


def output_format(holder: JsonObject) -> JsonObject:
    """Return the format of the output audio that a session or response states; {} if it states none."""
    audio_format = dict_of(dict_of(dict_of(holder, "audio"), "output"), "format")
    if text_of(audio_format, "type"):
        return audio_format
    # The beta version of the API stated a name only.
    mime_type = _BETA_AUDIO.get(text_of(holder, "output_audio_format") or "")
    return {"type": mime_type} if mime_type else {}


class RealtimeContent:
    """The state of one content part of a message item: its part, and the kinds of content reported so far."""

    __slots__ = ("part", "reported")

    def __init__(self, part: OpenPart) -> None:
        self.part = part
        self.reported: set[str] = set()
        """Kinds of content (text, transcript, audio) reported so far; the part's end event repeats them."""


class RealtimeItem:
    """The state of one output item of a response: a message, a tool call, or an item of another type."""

    __slots__ = ("arguments_reported", "call", "contents", "ended", "id", "other", "response", "type")

    def __init__(self, id: str, response: str, type: str) -> None:  # noqa: A002 - the field's name
        self.id = id
        self.response = response
        """The id of the item's response."""
        self.type = type
        self.contents: dict[int, RealtimeContent] = {}
        """The content parts of a message, by index."""
        self.call: OpenPart | None = None
        """The call in this item, of a tool that the application or the server runs."""
        self.other: OpenPart | None = None
        """The opaque part for this item, if its type is unknown."""
        self.arguments_reported = False
        """True once a piece of a call's arguments has arrived, or all of them."""
        self.ended = False

    def fits(self, response: str, item_type: str) -> bool:
        """Return True if the item is open, and of a response and a type; "" is any type."""
        return not self.ended and self.response == response and item_type in ("", self.type)

    def likeness(self, whole: JsonObject) -> int:
        """Return the likeness of a call to a whole one: see `likeness_of_call`."""
        if not isinstance(self.call, OpenCall):
            return 0
        return likeness_of_call(self.call, self.call.sent_id, whole, text_of(whole, "arguments") or "")
