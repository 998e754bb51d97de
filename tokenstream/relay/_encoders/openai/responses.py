"""Encoder for OpenAI's Responses API: the events of a response and of its output items."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, is_dict, text_or_empty
from tokenstream._values.event_base import is_repeat
from tokenstream.events import (
    CitationAdded,
    Finish,
    MediaDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    ToolResult,
)
from tokenstream.formats._kit.openai import RESPONSE_COUNTS
from tokenstream.message import Citation, MediaPart, ReasoningPart, ServerToolCall, ServerToolResult, TextPart
from tokenstream.relay._encoders.encoder import HANDLERS, Handlers, Payload, Payloads
from tokenstream.relay._encoders.openai import CREATED, convert_citation, make_error, make_error_body
from tokenstream.relay._encoders.openai.items import ItemEncoder, OutputItem
from tokenstream.relay._encoders.openai.responses_items import (
    CALL_NAMES,
    PREFIXES,
    RESPONSE_FIELDS,
    SERVER_CALL,
    TEXTS,
    TextNames,
    find_lost,
    server_item_fields,
    server_item_type,
)
from tokenstream.relay._encoders.values import prepare_result
from tokenstream.relay._encoders.vocabulary import BASICS, CALLS, CITATIONS, CUT_REASONS, SERVER_TOOLS
from tokenstream.relay._encoders.whole_parts import ServerParts, UnnamedCalls, omit_medium, result_texts

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.errors import ErrorKind
    from tokenstream.relay._encoders.vocabulary import FinishWords


_IMAGE = "image_generation_call"
_RESULT = "tool_result"
"""The kind of items that are results of the application's tools."""
_FILE_ANNOTATIONS = frozenset({"file_citation", "container_file_citation", "file_path"})
"""The types of annotations that have no URL, and can only be sent unchanged."""
_UNWRITTEN = ("input_audio_tokens", "output_audio_tokens", "input_image_tokens", "web_searches")
_PREDICTED = ("accepted_prediction_tokens", "rejected_prediction_tokens")
_USAGE = RESPONSE_COUNTS.without(*_UNWRITTEN, *_PREDICTED)
_REQUIRED_DETAILS = {
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}
"""The details that every report of token counts must contain."""


class OpenAIResponsesEncoder(ItemEncoder):
    """Encodes an answer as the numbered events of a response; each part is an output item."""

    name = "openai-responses"
    default_id = "resp_1"
    expresses = frozenset(
        {*BASICS, *CALLS, *SERVER_TOOLS, *CITATIONS, "phase", "encrypted_reasoning", "refusal", "media"}
    )
    handlers: ClassVar[Handlers] = {**HANDLERS, ToolResult: "encode_result"}
    counts = _USAGE.fields
    number_field = b'"sequence_number":'
    words: ClassVar[FinishWords] = {
        "stop": "completed",
        "tool_calls": "completed",
        "length": "max_output_tokens",
        "content_filter": "content_filter",
    }

    def reset(self) -> None:
        super().reset()
        self._last_text: OutputItem | None = None
        """The last item that is a text; None before the first."""
        self._early_citations: list[CitationAdded] = []
        """Citations that arrived before the first text, which gets them when it begins."""
        self._server_items: dict[str, OutputItem] = {}
        """The items of the calls of provider's tools that have no result yet, by the id of the call."""
        self._unnamed_items = UnnamedCalls[OutputItem]()
        """The items of such calls without ids."""
        self._results = ServerParts(ServerToolResult)

    # -- events ----------------------------------------------------------------

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        """Return the payloads for a piece of a reasoning summary, or of the reasoning itself.

        The reasoning itself is recognised by OpenAI's field `content_index` in the start of the part, or in
        what OpenAI has sent.
        """
        text = self.drop_signature(event)
        if not text:
            return ()
        start = self.starts.get(event.part)
        data = start.provider_data if isinstance(start, ReasoningPart) else None
        # Only the reasoning itself has this field; a summary has "summary_index".
        is_itself = data is not None and "content_index" in data
        raw = event.raw if data is not None and self.find_item(event.part) is None else None
        if is_dict(raw) and text_or_empty(raw, "type").startswith("response."):
            # The part may have begun before any text, of which only the event says what it is.
            is_itself = is_itself or "content_index" in raw or bool(dict_of(raw, "item").get("content"))
        return self.write_text(event.part, "reasoning_text" if is_itself else "reasoning", text)

    def encode_citation(self, event: CitationAdded) -> Payloads:
        """Return an annotation of the cited text; if the citation names no text, of the last text.

        A citation before the first text, such as a source that was found before the answer, is sent with
        that text.
        """
        if self._last_text is None:
            self._early_citations.append(event)
            return ()
        annotation = self._to_annotation(event.citation)
        if annotation is None:
            # It cannot become an annotation, and is left out.
            return ()
        item = self.find_item(event.citation.cites)
        if item is None or item.kind != "text":
            # The citation names no text of this answer.
            item = self._last_text
        item.annotations.append(annotation)
        place = {"content_index": 0, "annotation_index": len(item.annotations) - 1}
        kind = "response.output_text.annotation.added"
        return [self._item_event(item, kind, **place, annotation=annotation)]

    def encode_media(self, event: MediaDelta) -> Payloads:
        """Return the payloads that begin an image's item; the image itself is sent when it is complete."""
        start = self.starts.get(event.part)
        if not event.data:
            # The words of audio may come before it is known to be audio.
            return ()
        mime = (start.mime_type if isinstance(start, MediaPart) else None) or "image/png"
        if not mime.startswith("image/"):
            return omit_medium(self, event, mime)
        item, payloads = self.open_item(event.part, "media", format=mime.removeprefix("image/"))
        item.media.append(event.data)
        return payloads

    def encode_part_start(self, event: PartStart) -> Payloads:
        """Return the start of the item of a provider's call; no payloads for any other part."""
        content = event.content
        self._results.begin(event)
        if isinstance(content, ServerToolCall) and self.find_item(event.part) is None:
            item, payloads = self.open_item(event.part, SERVER_CALL, call=content)
            if content.id:
                self._server_items[content.id] = item
            else:
                self._unnamed_items.begin(event.part, item)
            return payloads
        return super().encode_part_start(event)

    def encode_part_end(self, event: PartDone) -> Payloads:
        """Return the payloads for a part that is complete.

        Encrypted reasoning without text becomes an item only here. The item of a provider's call ends with
        the call's result, or at the end of the answer. All other parts end as in the base class.
        """
        if isinstance(event.content, ServerToolCall):
            item = self.find_item(event.part)
            if item is not None and not item.end_sent:
                item.fields["call"] = event.content
            return ()
        result = self._results.end(event)
        if result is not None:
            item = self._server_items.pop(result.id, None) if result.id else self._unnamed_items.take()
            if item is None or item.end_sent:
                return self.omit("the result of a call that is not in the answer", "server_tool_result")
            item.fields["result"] = result
            lost = find_lost(item.fields)
            if lost:
                self.omit(" and ".join(lost), "server_tool_result", lost)
            return self.end_item(item)
        start = self.starts.get(event.part)
        is_encrypted = isinstance(start, ReasoningPart) and start.redacted is not None
        if not is_encrypted or self.find_item(event.part) is not None:
            return super().encode_part_end(event)
        item, payloads = self.open_item(event.part, "encrypted_reasoning")
        return [*payloads, *self.end_item(item)]

    def encode_result(self, event: ToolResult) -> Payloads:
        """Return the item with the result of the application's tool; a provider's result was sent before.

        The status "incomplete" tells a result from an error, for which the item has no field. The output of
        a tool that has failed follows the error as another text.
        """
        if is_repeat(event):
            return ()
        result, part = prepare_result(event, raw=True), -1 - len(self.items)
        has_failed = result.error is not None
        texts = result_texts(result.error, result.output)
        several = [{"type": "input_text", "text": text} for text in texts]
        output: Json = several if len(texts) > 1 else texts[0]
        custom = (item.fields["call_id"] for item in self.items if item.kind == "custom_tool_call")
        type_ = "custom_tool_call_output" if event.id in custom else "function_call_output"
        item, payloads = self.open_item(part, _RESULT, type=type_, call_id=result.id, output=output)
        return [*payloads, *self.end_item(item, "incomplete" if has_failed else "completed")]

    def ping(self) -> list[bytes]:
        return [self.frame(*self._event("keepalive"))]

    make_error_body = staticmethod(make_error_body)

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        error = make_error(kind, message, code)
        return [self._event("error", code=error["code"], message=message, param=None)]

    # -- the response ------------------------------------------------------------

    def encode_head(self) -> Payloads:
        response = self._response_json("in_progress")
        yield self._event("response.created", response=response)
        yield self._event("response.in_progress", response=response)

    def encode_ending(self, finish: Finish) -> Payloads:
        """Return the event that ends the answer, with the complete response."""
        if self._early_citations:
            self.omit("a citation where there is no text", "citation")
        cut = self.choose_reason(finish.reason) in CUT_REASONS
        status = "incomplete" if cut else "completed"
        details = {"reason": self.word_for(finish.reason)} if cut else None
        # `CREATED` is a constant, so that the output does not depend on a clock.
        response = self._response_json(status) | {
            "completed_at": None if cut else CREATED,
            "incomplete_details": details,
            "output": [item.final_json for item in self.items],
            "usage": self._usage_report(),
        }
        yield self._event(f"response.{status}", response=response)

    def _response_json(self, status: str) -> JsonObject:
        head = {"id": self.answer_id, "object": "response", "created_at": CREATED, "status": status}
        return {**head, "model": self.answer_model, **RESPONSE_FIELDS}

    def _usage_report(self) -> JsonObject | None:
        """Return the token counts with all required details; None if there are no counts."""
        report = _USAGE.write(self.usage) or None
        if report is not None:
            # OpenAI's documentation requires these details, and clients fail on a report without them.
            for name, zeros in _REQUIRED_DETAILS.items():
                report[name] = {**zeros, **report.get(name, {})}
        return report

    # -- output items ------------------------------------------------------------

    def encode_begin(self, item: OutputItem) -> Payloads:
        """Return the start of an item; for a text, also the start of its content part."""
        type_ = _find_item_type(item)
        item.id = f"{PREFIXES.get(type_, 'tool')}_{item.index + 1}"
        if item.kind == SERVER_CALL:
            # Readers take the id of the item as that of the call.
            item.id = item.fields["call"].id or item.id
        yield self._event(
            "response.output_item.added", output_index=item.index, item=self._item_json(item, "in_progress")
        )
        if item.kind == "text":
            self._last_text = item
        # Only the kinds of text have names in `TEXTS`, and a content part.
        names = TEXTS.get(item.kind)
        if names is not None:
            yield self._part_event(item, names, "added", _content_json(item, names, ""))
            if item is self._last_text:
                early, self._early_citations = self._early_citations, []
                for citation in early:
                    yield from self.encode_citation(citation)
        elif item.kind == "media":
            yield self._item_event(item, f"response.{_IMAGE}.in_progress")
            yield self._item_event(item, f"response.{_IMAGE}.generating")

    def encode_piece(self, item: OutputItem, text: str) -> Payloads:
        if item.kind in CALLS:
            return [self._item_event(item, f"{CALL_NAMES[item.kind].arguments_event}.delta", delta=text)]
        names = TEXTS[item.kind]
        fields = {names.index_field: 0, "delta": text, **_logprobs(item)}
        return [self._item_event(item, f"{names.text_event}.delta", **fields)]

    def encode_end(self, item: OutputItem, status: str) -> Payloads:
        """Return the whole text of an item, the end of its content part, and the end of the item."""
        # `names` is None for calls, media and encrypted reasoning.
        text, names = item.text.join(), TEXTS.get(item.kind)
        if names is not None:
            whole = {names.index_field: 0, names.text_field: text, **_logprobs(item)}
            yield self._item_event(item, f"{names.text_event}.done", **whole)
            yield self._part_event(item, names, "done", _content_json(item, names, text))
        elif item.kind in CALLS:
            call_names = CALL_NAMES[item.kind]
            whole = {call_names.arguments_field: text}
            yield self._item_event(item, f"{call_names.arguments_event}.done", **whole)
        elif item.kind == "media":
            yield self._item_event(item, f"response.{_IMAGE}.completed")
        item.final_json = self._item_json(item, status, text)
        yield self._event("response.output_item.done", output_index=item.index, item=item.final_json)

    def _item_json(self, item: OutputItem, status: str, text: str | None = None) -> JsonObject:
        """Return an item's JSON, without a text until the item is complete."""
        type_ = _find_item_type(item)
        fields: JsonObject = {"id": item.id, "type": type_}
        if item.kind == _RESULT:
            return {**fields, "status": status, **item.fields}
        if item.kind == SERVER_CALL:
            return {**fields, "status": status, **server_item_fields(item.fields, is_whole=text is not None)}
        start = self.starts.get(item.part)
        if type_ == "reasoning":
            fields["summary"] = []
            # Encrypted reasoning is sent only with the complete item.
            if text is not None and isinstance(start, ReasoningPart) and start.redacted is not None:
                fields["encrypted_content"] = start.redacted
        else:
            # Only an item of reasoning has no status.
            fields["status"] = status
        names = TEXTS.get(item.kind)
        if names is not None:
            fields[names.list_field] = [] if text is None else [_content_json(item, names, text)]
        if type_ == "message":
            fields["role"] = "assistant"
            if isinstance(start, TextPart) and start.phase is not None:
                fields["phase"] = start.phase
        elif item.kind in CALLS:
            fields |= {CALL_NAMES[item.kind].arguments_field: text or "", **item.fields}
        elif item.kind == "media" and text is not None:
            image = b64encode(b"".join(item.media)).decode()
            fields |= {"output_format": item.fields["format"], "result": image}
        return fields

    def _part_event(self, item: OutputItem, names: TextNames, step: str, content: JsonObject) -> Payload:
        """Return an event about the only content part of an item; `step` is "added" or "done"."""
        return self._item_event(item, f"{names.content_event}.{step}", **{names.index_field: 0}, part=content)

    def _item_event(self, item: OutputItem, kind: str, **fields: Json) -> Payload:
        return self._event(kind, item_id=item.id, output_index=item.index, **fields)

    def _event(self, kind: str, **fields: Json) -> Payload:
        return kind, {"type": kind, "sequence_number": next(self.numbers), **fields}

    def is_own_citation(self, citation: Citation) -> bool:
        """Return True for an annotation of a file, which cannot be made from a citation, only sent again."""
        fields = citation.provider_data or {}
        return fields.get("type") in _FILE_ANNOTATIONS and "file_id" in fields

    def _to_annotation(self, citation: Citation) -> JsonObject | None:
        if self.is_own_citation(citation):
            return citation.provider_data
        url_citation = convert_citation(self, citation)
        return None if url_citation is None else {"type": "url_citation", **url_citation}


def _find_item_type(item: OutputItem) -> str:
    if item.kind in TEXTS:
        return TEXTS[item.kind].item_type
    if item.kind in CALL_NAMES:
        return CALL_NAMES[item.kind].item_type
    if item.kind == _RESULT:
        return str(item.fields["type"])
    if item.kind == SERVER_CALL:
        return server_item_type(item.fields["call"])
    return "reasoning" if item.kind == "encrypted_reasoning" else _IMAGE


def _content_json(item: OutputItem, names: TextNames, text: str) -> JsonObject:
    content: JsonObject = {"type": names.content_type}
    if item.kind == "text":
        content |= {"annotations": [*item.annotations], "logprobs": []}
    return {**content, names.text_field: text}


def _logprobs(item: OutputItem) -> JsonObject:
    """Return the field `logprobs`, empty, for events about a text; {} for events about any other item."""
    return {"logprobs": []} if item.kind == "text" else {}
