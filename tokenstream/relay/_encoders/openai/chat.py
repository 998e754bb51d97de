"""Encoders for OpenAI's Chat Completions, the legacy API Completions, and Mistral's chat API, which is alike.

Reasoning and images are sent as most compatible servers do; Mistral's chunks have reasoning, tool calls and
token counts of their own.
"""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, ClassVar

from tokenstream.relay._encoders.encoder import Payload, Payloads, WholeCalls
from tokenstream.relay._encoders.openai import COUNTS, ChunkEncoder, convert_citation
from tokenstream.relay._encoders.vocabulary import BASICS, CALLS, CITATIONS, CUT_REASONS, FinishWords, PartKey
from tokenstream.relay._encoders.whole_parts import Media, omit_medium

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.errors import ErrorKind
    from tokenstream.events import (
        CitationAdded,
        Finish,
        MediaDelta,
        MessageStart,
        PartDone,
        PartStart,
        ReasoningDelta,
        RefusalDelta,
        TextDelta,
        ToolCallDelta,
        ToolCallDone,
        ToolCallStart,
    )


_ARGUMENT_FIELDS = {"function": "arguments", "custom": "input"}
"""Maps types of calls to the field for the arguments."""


class OpenAIChatEncoder(ChunkEncoder):
    """Encodes an answer as `chat.completion.chunk` objects, and `[DONE]`.

    Nothing marks the end of a tool call. Readers take the last call for incomplete if the finish reason says
    that the answer was cut off. So with a finish reason in `CUT_REASONS`, the end of a last call that is
    complete is lost.
    """

    name = "openai-chat"
    object = "chat.completion.chunk"
    default_id = "chatcmpl-1"
    first_delta: ClassVar[JsonObject] = {"role": "assistant", "content": "", "refusal": None}
    """The delta that begins a choice."""
    expresses = frozenset(
        {*BASICS, *CALLS, *CITATIONS, "citation_text", "refusal", "media", "media_url", "transcript"}
    )
    words: ClassVar[FinishWords] = {**ChunkEncoder.words, "tool_calls": "tool_calls"}

    def reset(self) -> None:
        super().reset()
        self._begun_choices: set[int] = set()
        """The choices for which the first delta, with the role, was sent."""
        self._sent_calls: dict[PartKey, tuple[int, str]] = {}
        """For the choice and part of each call: the call's index in its choice, and its type."""
        self._last_calls: dict[int, int] = {}
        """The part of the last call in each choice, by choice."""
        self._complete_calls: set[PartKey] = set()
        self._indexes = defaultdict[tuple[int, str], "count[int]"](count)
        """The next indexes in each list of a choice's deltas, by choice and name."""
        self._media = Media()

    def encode_start(self, event: MessageStart) -> Payloads:
        """Return the first chunk of a choice, with the role; no payloads if it was sent already."""
        super().encode_start(event)
        return self.begin_choice(event.choice)

    def encode_part_start(self, event: PartStart) -> Payloads:
        """Return the payloads for the data that the start of a media part contains; none for other parts."""
        return self._media.start(event, self.encode_media)

    def encode_text(self, event: TextDelta) -> Payloads:
        return self.make_delta(event.choice, content=event.text)

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        text = self.drop_signature(event)
        return self.make_delta(event.choice, reasoning_content=text) if text else ()

    def encode_refusal(self, event: RefusalDelta) -> Payloads:
        return self.make_delta(event.choice, refusal=event.text)

    def encode_call(self, event: ToolCallStart) -> Payloads:
        index = self.assign_call_index(event.choice, event.part)
        # A call of the legacy form "function_call", which cannot hold several calls, is sent as "function".
        call_type = "custom" if event.type == "custom" else "function"
        self._sent_calls[event.choice, event.part] = index, call_type
        body = {"name": event.name, _ARGUMENT_FIELDS[call_type]: ""}
        call = {"index": index, "id": event.id, "type": call_type, call_type: body}
        return self.make_delta(event.choice, tool_calls=[call])

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        # As sent at the call's start: its index in the choice, and its type, which is also a field's name.
        index, call_type = self._sent_calls[event.choice, event.part]
        call = {"index": index, call_type: {_ARGUMENT_FIELDS[call_type]: event.fragment}}
        return self.make_delta(event.choice, tool_calls=[call])

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        self._complete_calls.add((event.choice, event.part))
        return ()

    def keep_finish(self, event: Finish) -> Payloads:
        """Keep the finish reason for the end, unless it would mark a complete call as cut off."""
        last_call = self._last_calls.get(event.choice)
        if event.reason in CUT_REASONS and (event.choice, last_call) in self._complete_calls:
            # Because of the reason, the reader will think that the call is incomplete, and will not run it.
            what = f"a tool call that is whole before the finish reason {event.reason!r}"
            self.omit(what, "tool_call_end", ())
        return super().keep_finish(event)

    def encode_citation(self, event: CitationAdded) -> Payloads:
        """Return a delta with an annotation.

        The cited text goes into the annotation's field `content`, as OpenRouter sends it.
        """
        url_citation = convert_citation(self, event.citation)
        if url_citation is None:
            return ()
        if event.citation.text is not None:
            url_citation["content"] = event.citation.text
        annotation = {"type": "url_citation", "url_citation": url_citation}
        return self._make_item_delta(event.choice, "annotations", annotation)

    def encode_media(self, event: MediaDelta) -> Payloads:
        """Return a delta with audio; an image is sent when it is complete."""
        medium = self._media.find(event)
        kind = (medium.mime_type or "audio").partition("/")[0]
        if kind == "image":
            medium.pieces.append(event.data)
            return ()
        if kind != "audio":
            return omit_medium(self, event, medium.mime_type)
        audio = {"id": f"audio_{event.part + 1}"}
        if event.data:
            audio["data"] = b64encode(event.data).decode()
        if event.transcript:
            audio["transcript"] = event.transcript
        return self.make_delta(event.choice, audio=audio)

    def encode_part_end(self, event: PartDone) -> Payloads:
        """Return a delta with a complete image, or its URL; no payloads for any other part."""
        image = self._media.pop(event)
        url = None if image is None else image.to_url(image.mime_type or "image/png")
        if image is None or url is None:
            return ()
        if not (image.mime_type or "image/").startswith("image/"):
            # Clients would show a file as an image; of other media, only the data of audio have a place.
            return omit_medium(self, event, image.mime_type)
        return self._make_item_delta(event.choice, "images", {"type": "image_url", "image_url": {"url": url}})

    def encode_last(self, choice: int, word: str) -> Payloads:
        return [*self.begin_choice(choice), self.make_choice_chunk(choice, {}, word)]

    # -- chunks ----------------------------------------------------------------

    def assign_call_index(self, choice: int, part: int) -> int:
        """Return the index of a new call in its choice, and record it as the last one of the choice."""
        self._last_calls[choice] = part
        return next(self._indexes[choice, "tool_calls"])

    def begin_choice(self, choice: int) -> Payloads:
        """Return the payload that begins a choice; no payloads if it was sent already."""
        if choice in self._begun_choices:
            return []
        self._begun_choices.add(choice)
        return [self.make_choice_chunk(choice, self.first_delta)]

    def make_delta(self, choice: int, **delta: Json) -> Payloads:
        """Return the chunk of a delta, after that with the choice's role if that was not sent yet."""
        return [*self.begin_choice(choice), self.make_choice_chunk(choice, delta)]

    def _make_item_delta(self, choice: int, name: str, item: JsonObject) -> Payloads:
        """Return the chunk of a delta with one more item of a list, and the index that it needs."""
        return self.make_delta(choice, **{name: [{"index": next(self._indexes[choice, name]), **item}]})

    def make_choice_chunk(self, index: int, delta: JsonObject, finish: str | None = None) -> Payload:
        """Return the payload of a chunk with one choice, whose finish word is None before the end."""
        return self.make_chunk({"index": index, "delta": delta, "logprobs": None, "finish_reason": finish})


class OpenAICompletionsEncoder(ChunkEncoder):
    """Encodes an answer as `text_completion` objects, and `[DONE]`."""

    name = "openai-completions"
    object = "text_completion"
    default_id = "cmpl-1"
    expresses = frozenset({"text"})

    def encode_text(self, event: TextDelta) -> Payloads:
        return [self._piece(event.choice, event.text)]

    def encode_last(self, choice: int, word: str) -> Payloads:
        return [self._piece(choice, "", word)]

    def _piece(self, index: int, text: str, finish: str | None = None) -> Payload:
        """Return a chunk with a piece of a choice's text, or with OpenAI's word for the finish reason."""
        choice: JsonObject = {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
        return self.make_chunk(choice)


class MistralEncoder(WholeCalls, OpenAIChatEncoder):
    """Encodes an answer as chunks with whole calls, as Mistral's SDK requires, and reasoning as content."""

    name = "mistral"
    default_id = "cmpl-1"
    first_delta: ClassVar[JsonObject] = {"role": "assistant", "content": ""}
    expresses = BASICS
    stand_in = "content_filter"
    words: ClassVar[FinishWords] = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}

    def make_chunk(self, choice: JsonObject) -> Payload:
        """Return the payload of a chunk, without token counts, which only the last chunk has."""
        return "", {**self.envelope, "choices": [choice]}

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        text = self.drop_signature(event)
        thought = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]
        return self.make_delta(event.choice, content=thought) if text else ()

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        index = self.assign_call_index(event.choice, event.part)
        # The base class notes that the call is complete, and sends nothing.
        super().encode_call_end(event)
        function = {"name": event.call.name, "arguments": event.call.arguments_text}
        call = {"id": event.call.id, "function": function, "index": index}
        return self.make_delta(event.choice, content="", tool_calls=[call])

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """Return a chunk without choices that has the error, since Mistral's SDK accepts only chunks."""
        [(name, payload)] = super().encode_error(kind, message, code)
        return [(name, {**self.envelope, "choices": [], **payload})]

    def encode_tail(self) -> Payloads:
        """Return the finish reason of each choice, the token counts with the last, and the sentinel."""
        for number, (choice, event) in enumerate(self.finishes.items(), 1):
            yield from self.begin_choice(choice)
            name, chunk = self.make_choice_chunk(choice, {"content": ""}, self.word_for(event.reason))
            report = COUNTS.write(self.usage) if number == len(self.finishes) else None
            yield name, chunk if not report else {**chunk, "usage": report}
        yield "", "[DONE]"
