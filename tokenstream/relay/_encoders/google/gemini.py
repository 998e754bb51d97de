"""Encoders for Gemini: generateContent, and the messages that Gemini Live sends over a WebSocket."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.json import to_json_bytes
from tokenstream._basics.untrusted import is_dict
from tokenstream._values.error_kinds import word_for
from tokenstream.events import InputTranscript, MediaDelta, PartDone, PartStart
from tokenstream.formats._kit.count_paths import GOOGLE_USAGE, LIVE_USAGE
from tokenstream.formats._kit.values import failure_of_code
from tokenstream.message import ServerToolCall, ServerToolResult
from tokenstream.relay._encoders.encoder import Handlers, MessageFrames, Payload, Payloads
from tokenstream.relay._encoders.google import ERRORS, OTHER_ERROR, PartEncoder, make_grounding
from tokenstream.relay._encoders.pieces import string
from tokenstream.relay._encoders.values import parse_object
from tokenstream.relay._encoders.vocabulary import SERVER_TOOLS, FinishWords
from tokenstream.relay._encoders.whole_parts import (
    CODE_TOOL,
    Medium,
    ServerParts,
    complete_input,
    result_texts,
    says_more,
)

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.errors import ErrorKind

_CODE, _CODE_RESULT = "executableCode", "codeExecutionResult"
"""The kinds of parts with code that Google runs, and with its result."""
_ESCAPED = re.compile("[<>\x7f-\x9f\u2028\u2029]")
"""The characters that Google's servers escape although JSON does not require it."""

_SENT_SEPARATELY = ("generationComplete", "interrupted")
"""Words for finish reasons that are sent in a message of their own, before the message that ends the turn."""


class GeminiEncoder(PartEncoder):
    """Encodes an answer as `GenerateContentResponse` objects; there is no sentinel at the end.

    Tool calls are sent whole, with their ids. Citations are sent together with the finish
    reason. An answer with tool calls ends with STOP, like any other answer.
    """

    name = "gemini"
    default_id = "response-1"
    content_type = "text/event-stream"
    counts = GOOGLE_USAGE.fields
    words: ClassVar[FinishWords] = {
        "stop": "STOP",
        "length": "MAX_TOKENS",
        "content_filter": "SAFETY",
        "error": "MALFORMED_FUNCTION_CALL",
        "pause": "CONTINUATION",
        "unknown": "OTHER",
    }
    choices = True
    expresses = frozenset((*PartEncoder.expresses, *SERVER_TOOLS))

    @staticmethod
    def string(text: str) -> bytes:
        # Inside this method, `string` is the module's function, which has no such escapes.
        return _escape_like_google(string(text)).encode()

    def reset(self) -> None:
        super().reset()
        self._server_calls = ServerParts(ServerToolCall)
        """The calls of tools that the provider runs, until they end."""
        self._code_calls: set[str] = set()
        """The ids of those calls that were sent as code."""
        self._results = ServerParts(ServerToolResult)

    def encode_part(self, choice: int, part: JsonObject) -> Payloads:
        return [self._chunk(_candidate(choice, part))]

    def encode_part_start(self, event: PartStart) -> Payloads:
        """Return the payloads for the content of a part's start; none for a provider's call or result."""
        self._server_calls.begin(event)
        self._results.begin(event)
        return super().encode_part_start(event)

    def encode_part_end(self, event: PartDone) -> Payloads:
        """Return a complete medium, a complete call of the provider's, or its result."""
        result, call = self._results.end(event), self._server_calls.end(event)
        if result is not None:
            return self.encode_part(event.choice, self._result_part(result))
        if call is None:
            return super().encode_part_end(event)
        return self.encode_part(event.choice, self._call_part(call))

    def encode_tail(self) -> Payloads:
        """Return a chunk with each candidate's finish reason and citations, and the token counts."""
        candidates: list[JsonObject] = []
        for choice, finish in sorted(self.finishes.items()):
            last = {**_candidate(choice, {"text": ""}), "finishReason": self.word_for(finish.reason)}
            sources = self.citations.get(choice)
            candidates.append({**last, "groundingMetadata": make_grounding(sources)} if sources else last)
        return [self._chunk(*candidates)]

    @staticmethod
    def make_error_body(kind: ErrorKind, message: str, code: str | None = None) -> JsonObject:
        """Return an error object, perhaps for a given code: a status of HTTP or a word of Google's."""
        number, status = word_for(kind, ERRORS, OTHER_ERROR)
        if code is not None:
            number, status = (int(code), status) if code.isdecimal() else (number, code)
        return {"error": {"code": number, "message": message, "status": status}}

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        return [("", self.make_error_body(kind, message, code))]

    def frame(self, name: str, payload: object) -> bytes:
        """Return a payload as an event whose lines end with CRLF, as in the Gemini API."""
        data = payload if isinstance(payload, str) else _escape_like_google(to_json_bytes(payload))
        return super().frame(name, data).replace(b"\n", b"\r\n")

    # -- within ------------------------------------------------------------------

    def _call_part(self, call: ServerToolCall) -> JsonObject:
        """Return the part for a call of a tool that the provider runs: code, or a call with arguments."""
        given, id = parse_object(complete_input(call)), {"id": call.id} if call.id else {}
        # A text that is no JSON object is the field `input` of one.
        arguments = {"input": call.arguments_text} if given is None else given
        if call.name == _CODE or call.name.startswith(CODE_TOOL):
            self._code_calls.add(call.id)
            return {_CODE: {"language": "PYTHON", **arguments, **id}}
        return {"toolCall": {"toolType": call.name, "args": arguments, **id}}

    def _result_part(self, result: ServerToolResult) -> JsonObject:
        """Return the part for the result of a tool that the provider ran; that of code has an outcome."""
        content, error, id = result.content, result.error, {"id": result.id} if result.id else {}
        if result.name == _CODE_RESULT and is_dict(content) and failure_of_code(content) == error:
            return {_CODE_RESULT: {**content, **id}}
        if result.id in self._code_calls:
            outcome = "OUTCOME_OK" if error is None else "OUTCOME_FAILED"
            texts = result_texts(error, content)
            return {_CODE_RESULT: {"outcome": outcome, "output": "\n".join(texts), **id}}
        return {"toolResponse": {"toolType": result.name, "response": _to_response(content, error), **id}}

    def _chunk(self, *candidates: JsonObject) -> Payload:
        """Return a chunk with the token counts known so far; its event has no name."""
        usage = GOOGLE_USAGE.write(self.usage)
        return "", {
            "candidates": list(candidates),
            **({"usageMetadata": usage} if usage else {}),
            "modelVersion": self.answer_model,
            "responseId": self.answer_id,
        }


def _to_response(content: Json, error: str | None) -> JsonObject:
    """Return a result's content, and a failed tool's error, as an object with Google's documented fields."""
    if is_dict(content) and failure_of_code({"response": content}) == error:
        return content
    if error is None:
        return {"output": content}
    return {"error": error, **({"output": content} if says_more(content, error) else {})}


def _escape_like_google(line: bytes) -> str:
    """Return JSON as text in which the same characters are escaped as by Google's servers."""
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", line.decode())


def _candidate(choice: int, part: JsonObject) -> JsonObject:
    return {"content": {"parts": [part], "role": "model"}, "index": choice}


class GeminiLiveEncoder(MessageFrames, PartEncoder):
    """Encodes an answer as the messages of a session with one turn of the model.

    Gemini Live has no message for errors: its server closes the connection with a code.
    """

    handlers: ClassVar[Handlers] = {**PartEncoder.handlers, InputTranscript: "encode_heard"}
    begins_at_once = True
    name = "gemini-live"
    expresses = frozenset((*PartEncoder.expresses, "transcript"))
    counts = LIVE_USAGE.fields
    words: ClassVar[FinishWords] = {
        "stop": "generationComplete",
        "cancelled": "interrupted",
        "content_filter": "RESPONSE_REJECTED",
        "pause": "NEED_MORE_INPUT",
        "error": "MALFORMED_FUNCTION_CALL",
    }

    # -- events ------------------------------------------------------------------

    def encode_head(self) -> Payloads:
        return [("", {"setupComplete": {}})]

    def encode_part(self, choice: int, part: JsonObject) -> Payloads:
        return self._server_content(modelTurn={"parts": [part]})

    def encode_whole_call(self, choice: int, call: JsonObject) -> Payloads:
        return [*self.unsent_head(), ("", {"toolCall": {"functionCalls": [call]}})]

    def encode_media(self, event: MediaDelta) -> Payloads:
        """Return a piece of audio, or of its transcript; other media are sent when they are complete."""
        payloads: list[Payload] = []
        if event.transcript:
            payloads += self._server_content(outputTranscription={"text": event.transcript})
        medium = self.media.find(event)
        if medium.is_audio and event.data:
            data = b64encode(event.data).decode()
            # 0 is the only choice of a session.
            payloads += self.encode_part(0, {"inlineData": {"mimeType": medium.mime_type, "data": data}})
        elif event.data:
            medium.pieces.append(event.data)
        return payloads

    def encode_heard(self, event: InputTranscript) -> Payloads:
        """Return what the user has said; the last piece says that it is the last."""
        is_last = {"finished": True} if event.done else {}
        return self._server_content(inputTranscription={"text": event.text, **is_last})

    def encode_tail(self) -> Payloads:
        """Return the end of the generation, and the end of the turn with the token counts."""
        word = self.finish_word
        payloads = self.unsent_head()
        if self.citations:
            payloads += self._server_content(groundingMetadata=make_grounding(self.citations[0]))
        turn_end: JsonObject = {"turnComplete": True}
        # Some words are sent in a message of their own, others in the one that ends the turn.
        if word in _SENT_SEPARATELY:
            payloads += self._server_content(**{word: True})
        else:
            turn_end["turnCompleteReason"] = word
        usage = LIVE_USAGE.write(self.usage)
        last = {"serverContent": turn_end, **({"usageMetadata": usage} if usage else {})}
        return [*payloads, ("", last)]

    # -- within ------------------------------------------------------------------

    def _server_content(self, **content: Json) -> Payloads:
        return [*self.unsent_head(), ("", {"serverContent": content})]

    def _encode_medium(self, event: PartDone, medium: Medium) -> Payloads:
        """Return the payloads for a complete medium; none for audio, which was sent piece by piece."""
        return () if medium.is_audio and medium.url is None else super()._encode_medium(event, medium)
