"""Events of the Responses API, and of OpenAI's endpoints for speech, transcripts and images.

Those of the Responses API are about output items: a reader finds the event's item, and adds to it. Those of
the other endpoints have a `type` as well, but no response, and so no ids, numbers or output items.
Their fields: `TranscriptionStreamEvent`, `ImageGenStreamEvent` and `ImageEditStreamEvent` of openai-python,
and https://developers.openai.com/api/reference/resources/audio for `speech.audio.delta` and `.done`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, is_dict, text_of
from tokenstream.formats._kit.open import note_unread_texts
from tokenstream.formats._kit.openai import usage_of
from tokenstream.formats._kit.values import fragment_text, split_names
from tokenstream.formats._wire.openai_responses.calls import CallItem
from tokenstream.formats._wire.openai_responses.item import ImageItem
from tokenstream.formats._wire.openai_responses.parts import ResponseItems, number_of
from tokenstream.formats._wire.openai_responses.research import RESEARCH_EVENTS
from tokenstream.formats._wire.openai_responses.shell import ShellOutputItem
from tokenstream.formats._wire.openai_responses.texts import Section, TextItem
from tokenstream.message import TextPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._wire.openai_responses.texts import TextKey

_ItemEventReader: TypeAlias = "Callable[[ResponseItems, dict[str, Any], str], bool]"


class _TextTarget(NamedTuple):
    """Describes the text that the events of one name add to: the item with the text, and the text's index."""

    item_type: str
    """The type of the item that contains the text."""
    index_field: str
    """The event field that contains the index of the text."""
    content_type: str
    """The type of the text as content of the item."""


_TEXT = _TextTarget("message", "content_index", "output_text")
_REFUSAL = _TextTarget("message", "content_index", "refusal")
_REASONING = _TextTarget("reasoning", "content_index", "reasoning_text")
_SUMMARY = _TextTarget("reasoning", "summary_index", "summary_text")
_TEXT_TARGETS = {
    "response.output_text": _TEXT,
    "response.refusal": _REFUSAL,
    "response.reasoning_text": _REASONING,
    "response.reasoning": _REASONING,
    "response.reasoning_summary_text": _SUMMARY,
    "response.reasoning_summary": _SUMMARY,
}
"""Maps names of events, without "delta" or "done", to the text that they are about."""
# The second name is vLLM's.
_PARTS = ("response.content_part", "response.reasoning_part", "response.reasoning_summary_part")
"""Names of events about content parts, without "added" or "done"."""
_INPUTS = {
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
    "response.mcp_call_arguments": ("mcp_call", "arguments"),
    "response.code_interpreter_call_code": ("code_interpreter_call", "code"),
}
"""Maps names of events about arguments to the type of the item, and its field with the arguments."""
SHELL_COMMAND = "response.shell_call_command"
"""The beginning of the names of events about shell commands."""
_PROGRESS = {
    "code_interpreter_call": "in_progress interpreting completed",
    "compaction": "compacting",
    "file_search_call": "in_progress searching completed",
    "image_generation_call": "in_progress generating completed",
    "mcp_call": "in_progress completed failed",
    "mcp_list_tools": "in_progress completed failed",
    "web_search_call": "in_progress searching completed",
}
"""Maps types of items to the words with which the provider reports progress."""
_PROGRESS_EVENTS = {
    f"response.{item_type}.{status}": (item_type, status)
    for item_type, statuses in _PROGRESS.items()
    for status in statuses.split()
}
"""Maps names of events about progress to the type of the item and the word in the name."""


def _read_item(items: ResponseItems, payload: JsonObject, kind: str) -> bool:
    """Start or end the item in an event, or count a departure without one; the event counts as read."""
    item = items.mend_surrogates_in(dict_of(payload, "item"))
    if not item:
        items.note("part_empty")
    elif kind.endswith(".done"):
        items.end_item(payload, item)
    else:
        items.start_item(payload, item)
    return True


def _report_progress(items: ResponseItems, payload: JsonObject, kind: str) -> bool:
    """Report the provider's progress with an item; return True, because such an event fits any item."""
    item_type, status = _PROGRESS_EVENTS[kind]
    items.find_or_start_item(payload, item_type).set_status(status)
    return True


def _preview_image(items: ResponseItems, payload: JsonObject, _kind: str) -> bool:
    """Report the preview of an image; return False if the event has no preview, or fits no image item."""
    item = items.find_or_start_item(payload, "image_generation_call")
    return isinstance(item, ImageItem) and item.read_preview(items.mend_surrogates_in(payload))


def _add_input(items: ResponseItems, payload: JsonObject, kind: str) -> bool:
    item_type, field = _INPUTS[kind.removesuffix(".delta")]
    text = fragment_text(payload.get("delta"), items.note)
    if text is None:
        item = items.find_item(payload, item_type)
        call = item.call if isinstance(item, CallItem) else None
        note_unread_texts(call, payload)
        return False
    return items.find_or_start_item(payload, item_type).add_input(field, text)


def _end_input(items: ResponseItems, payload: JsonObject, kind: str) -> bool:
    item_type, field = _INPUTS[kind.removesuffix(".done")]
    text = payload.get(field)
    if not isinstance(text, str):
        return False
    item = items.find_or_start_item(payload, item_type, {field: text})
    return item.set_input(field, text, text_of(payload, "name"))


def _write_command(items: ResponseItems, payload: JsonObject, kind: str) -> bool:
    """Read the start, a piece or the end of a shell command; return False if it fits no shell call.

    No call is started here: only the start of its item says whether the application is to run it.
    """
    item = items.find_item(payload, "shell_call")
    text = payload.get("delta" if kind.endswith(".delta") else "command")
    if not isinstance(text, str) or item is None:
        return False
    return item.write_command(number_of(payload, "command_index"), text, whole=kind.endswith(".done"))


def _read_shell_output(items: ResponseItems, payload: JsonObject, kind: str) -> bool:
    """Read a piece or the end of a shell command's output; return False if it fits no such output."""
    item = items.find_or_start_item(payload, "shell_call_output")
    if not isinstance(item, ShellOutputItem):
        return False
    payload, number = items.mend_surrogates_in(payload), number_of(payload, "command_index") or 0
    if kind.endswith(".delta"):
        return item.add_output(number, dict_of(payload, "delta"))
    item.end_output(number, dicts_of(payload.get("output")))
    return True


def _add_text(items: ResponseItems, payload: JsonObject, kind: str) -> bool:
    """Add a delta to the text that the event is about; return False if the delta fits no text."""
    target = _TEXT_TARGETS[kind.removesuffix(".delta")]
    delta = payload.get("delta")
    # Some servers send an object with the text; below, anything but text is refused.
    text = text_of(delta, "text") if is_dict(delta) else delta
    item = items.find_or_start_item(payload, target.item_type)
    if not isinstance(text, str) or not isinstance(item, TextItem):
        return False
    key = _find_text_key(items, payload, target.index_field, item)
    section = item.add_text(key, {"type": target.content_type}, text)
    if section is not None:
        section.report_logprobs(items, payload.get("logprobs"))
    # On the fast path, `follow` counts the characters of later deltas of this text.
    items.last_section = section
    return section is not None


def _read_text_end(items: ResponseItems, payload: JsonObject, kind: str) -> bool:
    """Read the end of a text: the event repeats the whole text. Return False if the event fits no text."""
    target = _TEXT_TARGETS[kind.removesuffix(".done")]
    content: JsonObject = {"type": target.content_type}
    content |= {name: payload[name] for name in ("text", "refusal", "logprobs") if name in payload}
    item = items.find_or_start_item(payload, target.item_type, {"content": [content]})
    if not isinstance(item, TextItem):
        return False
    return item.read_whole_text(_find_text_key(items, payload, target.index_field, item, content), content)


def _read_part(items: ResponseItems, payload: JsonObject, kind: str) -> bool:
    """Start or end a content part, a text or some other content of a message or a reasoning item."""
    content = items.mend_surrogates_in(dict_of(payload, "part"))
    ends = kind.endswith(".done")
    whole = {"content": [content]} if ends else None
    if "summary" in kind:
        index_field, item = "summary_index", items.find_or_start_item(payload, "reasoning", whole)
    else:
        # If the event names no item that can have texts, its content shows the type of the item.
        item_type = "reasoning" if text_of(content, "type") == "reasoning_text" else "message"
        index_field = "content_index"
        item = items.find_item(payload, None) or items.find_or_start_item(payload, item_type, whole)
    if not isinstance(item, TextItem) or not (content or ends):
        return False
    key = _find_text_key(items, payload, index_field, item, content if ends else {})
    if ends:
        return item.read_whole_text(key, content)
    item.start_text(key, content)
    return True


def _add_annotation(items: ResponseItems, payload: JsonObject, _kind: str) -> bool:
    """Add an annotation to the text that it is about; return False if the event has none, or fits no text."""
    annotation = dict_of(payload, "annotation")
    item = items.find_or_start_item(payload, "message")
    if not annotation or not isinstance(item, TextItem):
        return False
    key = _find_text_key(items, payload, "content_index", item)
    # `expected=False` counts a departure: another event should have opened the text.
    section = item.sections.get(key) or item.start_text(key, {"type": "output_text"}, expected=False)
    item.cite(section, annotation, number_of(payload, "annotation_index"))
    return True


def _find_text_key(
    items: ResponseItems,
    payload: JsonObject,
    index_field: str,
    item: TextItem,
    whole: JsonObject | None = None,
) -> TextKey:
    """Return the key of an event's text; without an index, that of the text which is most like the whole one.

    A start, whose whole text is {}, begins another text after one that has content; a delta is of the last.
    """
    index = number_of(payload, index_field)
    if index is None:
        index = item.guess_index(index_field, whole)
        if item.sections.keys() - {(index_field, index)}:
            items.note("part_index_missing")
    return index_field, index


def _add_audio(items: ResponseItems, payload: JsonObject, kind: str) -> bool:
    """Add a delta to the spoken answer's audio or transcript; return True: the event counts as read."""
    delta = text_of(payload, "delta") or ""
    if "transcript" in kind:
        items.add_audio("", delta)
    else:
        items.add_audio(delta, "")
    return True


def _ignore_repetition(_items: ResponseItems, _payload: JsonObject, _kind: str) -> bool:
    """Ignore an event that only repeats earlier deltas; return True: the event counts as read."""
    return True


TEXT_DELTAS = frozenset(f"{name}.delta" for name in _TEXT_TARGETS)


def _read_research(items: ResponseItems, payload: JsonObject, kind: str) -> bool:
    """Read an event about research; return True, because such an event needs no item."""
    items.research.read_event(items, items.mend_surrogates_in(payload), kind)
    return True


READERS: dict[str, _ItemEventReader] = {
    "response.output_item.added": _read_item,
    "response.output_item.done": _read_item,
    **dict.fromkeys([f"{name}.{word}" for name in _PARTS for word in ("added", "done")], _read_part),
    "response.output_text.annotation.added": _add_annotation,
    # The name in older documentation.
    "response.output_text_annotation.added": _add_annotation,
    "response.image_generation_call.partial_image": _preview_image,
    "response.audio.delta": _add_audio,
    "response.audio.done": _ignore_repetition,
    "response.audio.transcript.delta": _add_audio,
    "response.audio.transcript.done": _ignore_repetition,
    **dict.fromkeys(TEXT_DELTAS, _add_text),
    **dict.fromkeys([f"{name}.done" for name in _TEXT_TARGETS], _read_text_end),
    **dict.fromkeys([f"{name}.delta" for name in _INPUTS], _add_input),
    **dict.fromkeys([f"{name}.done" for name in _INPUTS], _end_input),
    **dict.fromkeys(_PROGRESS_EVENTS, _report_progress),
    **dict.fromkeys(RESEARCH_EVENTS, _read_research),
    **dict.fromkeys([f"{SHELL_COMMAND}.{word}" for word in ("added", "delta", "done")], _write_command),
    "response.shell_call_output_content.delta": _read_shell_output,
    "response.shell_call_output_content.done": _read_shell_output,
}
"""Maps names of events to their readers; a reader returns False if the event does not fit its item."""


_IMAGES = ("image_generation", "image_edit")
_ENDS = frozenset({"speech.audio.done", "transcript.text.done", *(f"{name}.completed" for name in _IMAGES)})
ENDPOINT_EVENTS = _ENDS | {
    "speech.audio.delta",
    "transcript.text.delta",
    "transcript.text.segment",
    *(f"{name}.partial_image" for name in _IMAGES),
}
"""Names of the events of the endpoints for speech, transcripts and images."""
_IMAGE_FIELDS = split_names("type b64_json partial_image_index usage model")
_READ_FIELDS = split_names("type audio delta text logprobs usage model sequence_number")


class Endpoint:
    """The state of an answer from an endpoint for speech, transcripts or images: its text, or its image."""

    __slots__ = ("_has_segments", "_image", "_transcript")

    def __init__(self) -> None:
        self._transcript: Section | None = None
        """The text of a transcript; None before its first piece."""
        self._has_segments = False
        """True for a transcript with speakers, whose pieces may be of several speakers in turns."""
        self._image: ImageItem | None = None
        """The image; None before its first preview."""

    def read_event(self, items: ResponseItems, payload: JsonObject, kind: str) -> bool:
        """Read an event about speech, a transcript or an image; return True if it ends the answer."""
        payload = items.mend_surrogates_in(payload)
        items.head(model=text_of(payload, "model"))
        if kind == "speech.audio.delta":
            items.add_audio(text_of(payload, "audio") or "", "")
        elif kind == "transcript.text.segment":
            self._has_segments = True
            items.items("segments", [fields_except(payload, "type")])
        elif kind.startswith("transcript."):
            self._read_text(items, payload, whole=kind.endswith(".done"))
        elif kind.startswith(_IMAGES):
            self._read_image(items, payload, whole=kind.endswith(".completed"))
        # The unknown fields of an image are in its part, and a segment was reported whole.
        if not kind.startswith(_IMAGES) and kind != "transcript.text.segment":
            items.report_unknown_fields(payload, _READ_FIELDS)
        if kind not in _ENDS:
            return False
        self._end(items, payload)
        return True

    def _read_text(self, items: ResponseItems, payload: JsonObject, *, whole: bool) -> None:
        """Add a piece of a transcript; or, from the whole transcript, the text that no piece has sent."""
        section = self._transcript
        if section is None:
            section = self._transcript = Section(items.open(0, TextPart()), {})
        # On the fast path, `follow` counts the characters of later pieces of this text.
        items.last_section = section
        self._has_segments = self._has_segments or text_of(payload, "segment_id") is not None
        text = text_of(payload, "text" if whole else "delta") or ""
        has_pieces = section.length > 0
        if not whole or not has_pieces:
            section.length += len(text)
            items.add(section.part, text)
        elif text and not self._has_segments:
            # The whole text begins with the pieces, so only its rest is added. This is not so with speakers,
            # whose pieces may arrive in another order than they have in the whole text.
            items.tell(section.part, text, section.length)
        if not (whole and section.has_logprobs):
            section.report_logprobs(items, payload.get("logprobs"))

    def _read_image(self, items: ResponseItems, payload: JsonObject, *, whole: bool) -> None:
        """Report a preview of an image, which replaces the one before it, or the final image."""
        image, encoded = self._image, text_of(payload, "b64_json") or ""
        fields = fields_except(payload, *_IMAGE_FIELDS) or {}
        if image is None:
            image = self._image = ImageItem(items, "image_generation_call", 0)
            image.read_item(fields, complete=False)
        if whole:
            image.read_item({**fields, "result": encoded or payload.get("url")}, complete=True)
        else:
            image.read_preview({**payload, "partial_image_b64": encoded})

    def _end(self, items: ResponseItems, payload: JsonObject) -> None:
        items.usage_in(payload, usage_of)
        items.finish(0, "stop", None)
