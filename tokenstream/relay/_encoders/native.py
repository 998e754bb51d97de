"""Encoders for native routes of servers: of Ollama, in JSON lines, and of Text Generation Inference."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.json import to_json_bytes
from tokenstream._values.error_kinds import word_for
from tokenstream.relay._encoders.encoder import Encoder, Payload, Payloads, WholeCalls
from tokenstream.relay._encoders.pieces import Template, string
from tokenstream.relay._encoders.vocabulary import BASICS, CREATED, ErrorWords, FinishWords

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.errors import ErrorKind
    from tokenstream.events import Event, ReasoningDelta, TextDelta, ToolCallDone
    from tokenstream.message import Usage

_ESCAPED = {
    character.encode(): b"\\u%04x" % ord(character) for character in ("<", ">", "&", "\u2028", "\u2029")
}
"""The characters that Go escapes in JSON; Ollama's SDK would take the last two for line ends."""
_LOAD_DURATION = 1_000_000
_PER_INPUT_TOKEN, _PER_OUTPUT_TOKEN = 1_000_000, 20_000_000
"""The durations in the statistics, in nanoseconds."""

_END_TOKEN = 2
"""The id of the end token; lower ids belong to other special tokens."""
_INDEX_KEY = b'"index":'
_VOCABULARY_SIZE = 32_000
_LOGPROB = -0.25
_ERRORS: ErrorWords = {"overloaded": "overloaded", "invalid_request": "validation"}
"""Maps kinds of errors to TGI's error types; any other kind is "generation"."""


class OllamaEncoder(WholeCalls, Encoder):
    """Encodes an answer as lines of `/api/chat`; tool calls are sent whole and without an id."""

    name = "ollama"
    content_type = "application/x-ndjson"
    expresses = BASICS
    counts = frozenset({"input_tokens", "output_tokens"})
    stand_in = "content_filter"
    words: ClassVar[FinishWords] = {"stop": "stop", "length": "length"}
    names_calls = False

    @staticmethod
    def string(text: str) -> bytes:
        return _escape_like_go(string(text))

    def encode_text(self, event: TextDelta) -> Payloads:
        return [self._make_line({"role": "assistant", "content": event.text})]

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        text = self.drop_signature(event)
        return [self._make_line({"role": "assistant", "content": "", "thinking": text})] if text else ()

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        arguments = self.parse_arguments(event)
        if arguments is None:
            return ()
        function = {"name": event.call.name, "arguments": arguments}
        return [self._make_line({"role": "assistant", "content": "", "tool_calls": [{"function": function}]})]

    def encode_tail(self) -> Payloads:
        reason = self.finish_word
        name, line = self._make_line({"role": "assistant", "content": ""})
        return [(name, {**line, "done": True, "done_reason": reason, **_statistics(self.usage)})]

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        return [("", {"error": message})]

    def frame(self, name: str, payload: object) -> bytes:
        if isinstance(payload, str):
            return payload.encode() + b"\n"
        return _escape_like_go(to_json_bytes(payload)) + b"\n"

    # -- within ----------------------------------------------------------------

    def _make_line(self, message: JsonObject) -> Payload:
        """Return the payload of a line with a piece of the message; lines have no event name."""
        return "", {"model": self.answer_model, "created_at": CREATED, "message": message, "done": False}


def _escape_like_go(line: bytes) -> bytes:
    """Return JSON with the escapes that Go writes in place of some characters, such as `<`."""
    for character, escape in _ESCAPED.items():
        line = line.replace(character, escape)
    return line


def _statistics(usage: Usage) -> dict[str, int]:
    """Return token counts, and durations made up from them; as from Ollama, an unknown count has no field."""
    input_tokens, output_tokens = usage.input_tokens, usage.output_tokens
    if input_tokens is None and output_tokens is None:
        return {}
    input_duration = (input_tokens or 0) * _PER_INPUT_TOKEN
    output_duration = (output_tokens or 0) * _PER_OUTPUT_TOKEN
    statistics = {
        "total_duration": _LOAD_DURATION + input_duration + output_duration,
        "load_duration": _LOAD_DURATION,
    }
    if input_tokens is not None:
        statistics |= {"prompt_eval_count": input_tokens, "prompt_eval_duration": input_duration}
    if output_tokens is not None:
        statistics |= {"eval_count": output_tokens, "eval_duration": output_duration}
    return statistics


class TGIEncoder(Encoder):
    """Encodes each piece of text as one token; the last token has the whole text and the details.

    If the model itself has ended the text, the last token is the special end token. Otherwise
    it is a token without text, so that no piece has to be held back until it is known to be the last.
    """

    name = "tgi"
    expresses = frozenset({"text"})
    counts = frozenset({"input_tokens", "output_tokens"})
    stand_in = "content_filter"
    words: ClassVar[FinishWords] = {"stop": "eos_token", "length": "length", "stop_sequence": "stop_sequence"}

    def reset(self) -> None:
        super().reset()
        self._pieces: list[str] = []

    def encode_text(self, event: TextDelta) -> Payloads:
        self._pieces.append(event.text)
        return [self._token_payload(_token_id(event.text), event.text)]

    def make_template(self, event: Event, head: bytes, tail: bytes) -> Template:
        """Return a template: a function that makes the chunk of a token, with its number and id."""
        # Of the bytes before the text, those up to the token's number are the same in all chunks.
        before_index = head.partition(_INDEX_KEY)[0] + _INDEX_KEY

        def make_chunk(text: str) -> bytes:
            as_json = self.string(text)
            self._pieces.append(text)
            return b'%b%d,"token":{"id":%d,"text":%b%b' % (
                before_index,
                len(self._pieces),
                _token_id(text),
                as_json,
                tail,
            )

        return make_chunk

    def encode_tail(self) -> Payloads:
        """Return the last token, with the whole text and the finish reason."""
        text, word = "".join(self._pieces), self.finish_word
        model_ended = word == "eos_token"
        # The last token is numbered and counted like all others.
        self._pieces.append("</s>" if model_ended else "")
        counted = self.usage.output_tokens
        details = {
            "finish_reason": word,
            "generated_tokens": len(self._pieces) if counted is None else counted,
            "input_length": self.usage.input_tokens or 0,
            "seed": None,
        }
        whole = {"generated_text": text, "details": details}
        id = _END_TOKEN if model_ended else _token_id("")
        return [self._token_payload(id, self._pieces[-1], special=model_ended, **whole)]

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        return [("", {"error": message, "error_type": code or word_for(kind, _ERRORS, "generation")})]

    # -- within ----------------------------------------------------------------

    def _token_payload(self, id: int, text: str, *, special: bool = False, **whole: Json) -> Payload:
        """Return the payload of a token; only the last one, the `special` end token, has the `whole` text."""
        token = {"id": id, "text": text, "logprob": _LOGPROB, "special": special}
        return "", {
            "index": len(self._pieces),
            "token": token,
            "generated_text": None,
            "details": None,
            **whole,
        }


def _token_id(text: str) -> int:
    return _END_TOKEN + 1 + zlib.crc32(text.encode("utf-8", "surrogatepass")) % _VOCABULARY_SIZE
