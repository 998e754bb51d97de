"""Read the content of deltas: text, lists of parts, reasoning, sources, media, and server tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.chat_words import SIGNATURES, SUMMARY_ITEM
from tokenstream._basics.untrusted import (
    dict_of,
    dicts_of,
    fields_except,
    index_of,
    int_of,
    is_dict,
    is_list,
    text_of,
)
from tokenstream.formats._kit.values import base64_bytes, scalar_text, split_names
from tokenstream.message import (
    Citation,
    MediaPart,
    OpaquePart,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
)

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.parts import Parts, TextKind
    from tokenstream.formats._kit.values import ReadersOf
    from tokenstream.formats._wire.openai_chat.calls import ChatCalls
    from tokenstream.message import Part


# Quirk (DashScope's multimodal route, 2025-12): items have no `type`; recording: dashscope_multimodal.
_KINDS_BY_FIELD = {"text": "text", "image": "image_url"}
"""Maps the field of an item without a type to the type."""
_TEXT_FIELDS = frozenset({"type", "text", "annotations", "citations", "logprobs", "index", *SIGNATURES})
"""Names of the fields of a text in a list."""
_THINKING_TEXT_FIELDS = ("thinking", "reasoning", "summary", "text", "content")
_THINKING_FIELDS = frozenset({*_THINKING_TEXT_FIELDS, *SIGNATURES}) | split_names(
    "type id closed status url title description favicon tool reference_ids"
)
"""Names of the fields of reasoning in a list, and of the references in it."""


class ChatContent:
    """Reads the content in the deltas of one choice."""

    __slots__ = (
        "_audio",
        "_executed_tools",
        "_last_start",
        "_reported_items",
        "begun_calls",
        "choice",
        "has_empty",
        "kinds",
        "parts",
        "state",
        "text_start",
    )

    def __init__(self, parts: Parts, choice: int) -> None:
        self.parts = parts
        self.choice = choice
        self.state = parts.choices[choice]
        self.has_empty = False
        """True once an empty text has arrived."""
        self.kinds: tuple[str, ...] = ()
        """Kinds of content that deltas have contained."""
        # Text.
        self.text_start: TextPart | None = None
        """The part, without text, with which a text begins if the current delta names the text's phase."""
        self._last_start: TextPart | None = None
        """The value of `text_start` when the last text was added."""
        # Sources and media.
        self._reported_items: set[tuple[object, ...]] | None = None
        """Keys of the items that chunks may repeat: sources and encrypted reasoning."""
        self._audio: OpenPart | None = None
        # Tool calls, of the application and of the server.
        self.begun_calls: ChatCalls | None = None
        """Reads the application's calls; None before the first of them."""
        self._executed_tools: dict[object, bool] | None = None
        """Maps the index of each executed tool to True once its output has been reported."""

    @property
    def calls(self) -> ChatCalls:
        """The tool calls of the choice; created on first use, since most answers have none."""
        if self.begun_calls is None:
            from tokenstream.formats._wire.openai_chat.calls import ChatCalls

            self.begun_calls = ChatCalls(self.parts, self.choice)
        return self.begun_calls

    @property
    def is_read(self) -> bool:
        """True once any content was read, also an empty one."""
        return self.has_empty or self.state.next_part > 0 or bool(self.kinds)

    def record_kind(self, kind: str) -> None:
        """Record that a delta has contained content of a kind, which a whole message may repeat later."""
        if kind not in self.kinds:
            self.kinds = (*self.kinds, kind)

    def write(self, kind: TextKind, text: str, start: Part | None = None) -> None:
        """Add text, reasoning or a refusal, which begins with the part `start`."""
        if not text:
            self.has_empty = True
            return
        if kind not in self.kinds:
            self.record_kind(kind)
        if kind == "text":
            # The delta may name the text's phase.
            start = self.text_start
            if start is not self._last_start:
                # A text in another phase is another part.
                self._last_start = self.text_start
                if self.state.current_part is not None and self.state.current_part.kind == "text":
                    self.end_current_part()
        self.parts.write(self.choice, kind, text, start)

    def scalar_as_text(self, value: object) -> object:
        """Return a number or boolean as text, which is a departure; any other value unchanged."""
        text = scalar_text(value)
        if text is None:
            return value
        self.parts.note("text_parsed")
        return text

    def end_current_part(self) -> None:
        self.parts.close_current(self.state)

    # -- content as a list of parts ----------------------------------------

    def read_list(self, items: object) -> None:
        """Read a `content` that is a list of typed parts and texts, or one typed part."""
        for item in items if is_list(items) else [items]:
            if isinstance(item, str):
                self.write("text", item)
            elif is_dict(item):
                kind = item.get("type")
                if kind is None:
                    kind = next((_KINDS_BY_FIELD[name] for name in _KINDS_BY_FIELD if name in item), None)
                reader = self._PART_READERS.get(kind) if isinstance(kind, str) else None
                (reader or ChatContent.read_opaque)(self, item)

    def _read_text(self, item: JsonObject) -> None:
        """Add the text of a part, and the citations in its annotations; a signature is an opaque part."""
        self.write("text", text_within(item.get("text")))
        signatures = {name: item[name] for name in SIGNATURES if text_of(item, name)}
        if signatures:
            self.read_opaque({"type": "text", **signatures})
        self.read_annotations(item.get("annotations"))
        self.parts.tell_fields(item, _TEXT_FIELDS)

    def _read_refusal(self, item: JsonObject) -> None:
        self.write("refusal", text_within(item.get("refusal", item.get("text"))))

    def _read_thinking(self, item: JsonObject) -> None:
        self.parts.tell_inside(item, _THINKING_FIELDS)
        inner = next((item[key] for key in _THINKING_TEXT_FIELDS if item.get(key)), None)
        pieces = dicts_of(inner)
        if any(text_of(piece, *SIGNATURES) for piece in pieces):
            # Quirk (Databricks, 2026-03): a piece of a summary may have a signature of its own.
            for piece in pieces:
                self._write_reasoning(text_of(piece, "text") or "", text_of(piece, *SIGNATURES), item)
        else:
            self._write_reasoning(text_within(inner), text_of(item, *SIGNATURES), item)
        for piece in pieces:
            if piece.get("type") in ("reference", "tool_reference"):
                self._read_reference(piece)
        current = self.state.current_part
        # The field marks the last piece of the reasoning.
        if item.get("closed") is True and current is not None and current.kind == "reasoning":
            self.end_current_part()

    def _write_reasoning(self, text: str, signature: str | None, item: JsonObject) -> None:
        if text or signature:
            self.record_kind("reasoning")
        self.parts.write_reasoning(self.choice, text, signature)
        current = self.state.current_part
        if signature and current is not None and item.get("type") == SUMMARY_ITEM:
            # The type tells where the next request must have the reasoning.
            self.parts.report_start_again(current, ReasoningPart(provider_data={"type": SUMMARY_ITEM}))

    def _read_reference(self, item: JsonObject) -> None:
        self._cite(Citation(url=text_of(item, "url"), title=text_of(item, "title"), provider_data=item))

    def _read_image(self, item: JsonObject) -> None:
        image = item.get("image_url", item.get("url", item.get("image")))
        url = image if isinstance(image, str) else text_of(dict_of(item, "image_url"), "url")
        if url is None:
            self.read_opaque(item)
        elif (media := _decode_media(url, item)) is None:
            self.parts.add_undecodable_media(self.choice, text_of(item, "type") or "", item)
        else:
            self.parts.whole(self.choice, media)

    def read_opaque(self, item: JsonObject) -> None:
        kind = item.get("type")
        self.parts.whole(self.choice, OpaquePart(type=kind if isinstance(kind, str) else "", data=item))

    # -- reasoning ---------------------------------------------------------

    def read_encrypted(self, item: JsonObject, encrypted: str) -> None:
        if self._note((scalar_or_none(item.get("id")), scalar_or_none(item.get("index")), encrypted)):
            self.record_kind("reasoning")
            part = ReasoningPart(redacted=encrypted, provider_data=fields_except(item, "data"))
            self.parts.whole(self.choice, part)

    # -- sources -----------------------------------------------------------

    def read_annotations(self, items: object) -> None:
        """Read `annotations`: sources of passages of the answer."""
        for item in dicts_of(items):
            # The details are in an object named by the type, or are fields of the annotation itself, or both.
            details = item | dict_of(item, text_of(item, "type") or "")
            self._cite(
                Citation(
                    url=text_of(details, "url"),
                    title=text_of(details, "title", "filename", "name"),
                    text=text_of(details, "content", "text", "quote"),
                    start=int_of(details, "start_index"),
                    end=int_of(details, "end_index"),
                    provider_data=item,
                )
            )

    def read_sources(self, items: object) -> None:
        """Read `search_results` or `citations`: sources of the whole answer, which chunks often repeat."""
        for item in items if is_list(items) else []:
            data = item if is_dict(item) else None
            fields = data or {"url": item}
            url = text_of(fields, "url", "link")
            if url is not None and self._note(("answer", url)):
                title = text_of(fields, "title", "name")
                self.parts.cite(self.choice, Citation(url=url, title=title, provider_data=data))

    def _cite(self, citation: Citation) -> None:
        """Cite a source of a passage in the current text, unless it was cited before."""
        # Without a text, only the whole annotation tells one source from another.
        key = (citation.url, citation.start, citation.end, citation.text or repr(citation.provider_data))
        if not self._note(key):
            return
        current = self.state.current_part
        cites = current.index if current is not None and current.kind == "text" else None
        self.parts.cite(self.choice, citation.model_copy(update={"cites": cites}))

    def _note(self, key: tuple[object, ...]) -> bool:
        """Remember an item; return False if it is repeated."""
        if self._reported_items is None:
            self._reported_items = set()
        if key in self._reported_items:
            return False
        self._reported_items.add(key)
        return True

    # -- media -------------------------------------------------------------

    def read_images(self, items: object) -> None:
        """Read `images`: whole images as data URLs."""
        self.record_kind("images")
        for item in dicts_of(items):
            self._read_image(item)

    def read_audio(self, audio: object) -> None:
        """Read a piece of a spoken answer: audio in base64, and the transcript of the audio."""
        self.record_kind("audio")
        if not is_dict(audio):
            self.parts.field("audio", audio, self.choice)
            return
        encoded = audio.get("data")
        data = b"" if encoded is None else base64_bytes(encoded)
        transcript = text_of(audio, "transcript") or ""
        if data is None:
            self.parts.add_undecodable_media(self.choice, "audio", {"data": encoded})
            data = b""
        if self._audio is None:
            self.end_current_part()
        if self._audio is None or (self._audio.closed and (data or transcript)):
            # Audio that arrives after the end of its part begins a new part.
            self._audio = self.parts.open(self.choice, MediaPart(id=text_of(audio, "id")))
        self.parts.add_media(self._audio, data, transcript)
        for name, value in (fields_except(audio, "id", "data", "transcript") or {}).items():
            self.parts.field(f"audio.{name}", value, self.choice)

    # -- tools that the server runs ----------------------------------------

    def read_executed(self, items: object) -> None:
        """Read `executed_tools`, the server's calls, each sent at its start and with its output."""
        if self._executed_tools is None:
            self._executed_tools = {}
        for position, item in enumerate(dicts_of(items)):
            index = index_of(item.get("index"))
            key = index if isinstance(index, int | str) else position
            if key not in self._executed_tools:
                # True once the output has been reported, too.
                self._executed_tools[key] = False
                call = ServerToolCall(
                    id=str(key),
                    name=text_of(item, "name", "type") or "",
                    arguments_text=text_of(item, "arguments") or "",
                    provider_data=fields_except(item, "arguments", "output", "search_results"),
                )
                self.parts.whole(self.choice, call)
            if "output" in item and not self._executed_tools[key]:
                self._executed_tools[key] = True
                result = ServerToolResult(
                    id=str(key),
                    name=text_of(item, "type") or "",
                    content=fields_except(item, "index", "arguments"),
                )
                self.parts.whole(self.choice, result)

    _PART_READERS: ClassVar[ReadersOf[ChatContent]] = {
        "text": _read_text,
        "output_text": _read_text,
        "refusal": _read_refusal,
        "thinking": _read_thinking,
        "reasoning": _read_thinking,
        "reference": _read_reference,
        "tool_reference": _read_reference,
        "image_url": _read_image,
    }


def _decode_media(url: str, item: JsonObject) -> MediaPart | None:
    """Return the media at a URL, or in a data URL; None if a data URL's content is not base64."""
    head, comma, text = url.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        return MediaPart(url=url, provider_data=fields_except(item, "image_url", "url", "image"))
    data = base64_bytes(text)
    if data is None:
        return None
    mime_type = head.removeprefix("data:").removesuffix(";base64").partition(";")[0]
    return MediaPart(
        mime_type=mime_type or None, data=data, provider_data=fields_except(item, "image_url", "url", "image")
    )


def text_within(value: object) -> str:
    """Return the text in a field, which may be text, an object with text, or a list of these."""
    if isinstance(value, str):
        return value
    if is_dict(value):
        return text_of(value, "text", "value") or ""
    if is_list(value):
        texts = [text_of(item, "text") if is_dict(item) else item for item in value]
        return "".join([text for text in texts if isinstance(text, str)])
    return ""


def scalar_or_none(value: object) -> object:
    """Return a whole number or text unchanged; None for any other value, so that a key can contain it."""
    return value if isinstance(value, int | str) else None
