"""Hugging Face's Text Generation Inference (TGI): one token in each payload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, is_dict, is_list, text_of
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.formats._kit.repeated import LastEvent
from tokenstream.formats._kit.values import counts_in, split_names

if TYPE_CHECKING:
    from tokenstream._basics.loose import DeltaCallback, JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._kit.values import ReasonsOfWords

_FINISH_REASONS: ReasonsOfWords = {"length": "length", "eos_token": "stop", "stop_sequence": "stop_sequence"}
_COUNTED = Counts(
    input_tokens="input_length|prompt_tokens",
    output_tokens="generated_tokens",
    beside="seed prefill|tokens|top_tokens|best_of_sequences.*",
)
_USAGE = {
    "input_length": "input_tokens",
    "prompt_tokens": "input_tokens",
    "generated_tokens": "output_tokens",
}
# `index` only counts the tokens, so it need not be reported.
_KNOWN_FIELDS = split_names("index token top_tokens generated_text details")
_WHOLE_FIELDS = frozenset({"generated_text", "details"})
_KNOWN_DETAILS = ("finish_reason", "best_of_sequences", *_USAGE)


class TGI(Format):
    """The `tgi` format: the tokens of Text Generation Inference's native route, or a whole generation.

    Example:
        >>> tgi = TGI()
        >>> events = tgi.feed(b'{"index":1,"token":{"id":13,"text":"Hel","special":false}}')
        >>> [type(event).__name__ for event in events]
        ['MessageStart', 'PartStart', 'TextDelta']
        >>> tgi.feed(b'{"index":2,"token":{"id":29,"text":"lo","special":false}}')
        [TextDelta(choice=0, part=0, text='lo')]
    """

    __slots__ = ("_has_text", "_last")

    name = "tgi"
    # `TextGenerationStreamOutput` in huggingface_hub has no field but those that are read.
    documented = frozenset()
    is_one_answer = True
    finish_reasons = _FINISH_REASONS
    # TGI sends no sentinel on this route, but a proxy may add one.
    sentinel = b"[DONE]"
    fast = Fast(
        texts=[("token", "text")], changing=[("index",), ("token", "id"), ("token", "logprob")], head=b"data:"
    )

    def _set_up(self) -> None:
        self._has_text = False
        """True once a token or the whole text has arrived."""
        self._last = LastEvent("index")

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - names mean nothing here
        token = payload.get("token")
        if is_dict(token):
            # A payload with nothing but a token may belong to another format.
            return isinstance(token.get("text"), str) and fields_except(payload, "token") is not None
        return isinstance(payload.get("generated_text"), str) and payload.keys() <= _WHOLE_FIELDS

    def follow(self, delta: Event) -> DeltaCallback:
        return self._last.follow("text")

    def read(self, payload: JsonObject, event: str) -> None:
        if self._last.is_again(payload):
            self.note("frame_repeated")
            return
        token, whole = payload.get("token"), payload.get("generated_text")
        is_known = is_dict(token) or isinstance(whole, str) or is_dict(payload.get("details"))
        if not is_known:
            self.parts.unknown(event or text_of(payload, "type", "object") or "event", payload)
            return
        if not self.parts.started:
            self.parts.head()
        if is_dict(token):
            self._read_token(token, payload)
        self.parts.report_unknown_fields(payload, _KNOWN_FIELDS)
        if isinstance(whole, str):
            self._read_whole(whole)
        self._read_details(dict_of(payload, "details"))
        # Only the last payload has the whole text.
        if isinstance(whole, str) or self.parts.finished:
            self.conclude()

    def _read_token(self, token: JsonObject, payload: JsonObject) -> None:
        """Add a token to the text; report special tokens and alternatives to a token as unknown items."""
        self._has_text = True
        text = token.get("text")
        if token.get("special") is True or not isinstance(text, str):
            self.parts.items("special_tokens", [token])
        else:
            self.parts.write(0, "text", text)
        alternatives = payload.get("top_tokens")
        if is_list(alternatives) and alternatives:
            self.parts.items("top_tokens", [{"token": token, "top_tokens": alternatives}])

    def _read_whole(self, text: str) -> None:
        if self._has_text:
            part = self.parts.choice(0).current_part
            if part is not None:
                # Add what the tokens lack. A difference is no fault: TGI may have cut off a stop sequence.
                self.parts.tell(part, text, len(text), rewritten=True)
            self.parts.field("generated_text", text)
        else:
            self._has_text = True
            self.parts.write(0, "text", text)

    def _read_details(self, details: JsonObject) -> None:
        usage = counts_in(details, _USAGE)
        if usage is not None:
            self.parts.usage(usage)
            self.parts.note_unread_counts(_COUNTED, usage, details)
        further = fields_except(details, *_KNOWN_DETAILS)
        if further is not None:
            self.parts.field("details", further)
        # The further choices arrive whole; the first choice has index 0.
        for index, sequence in enumerate(dicts_of(details.get("best_of_sequences")), 1):
            self.parts.write(index, "text", text_of(sequence, "generated_text") or "")
            further = fields_except(sequence, "generated_text", "finish_reason")
            if further is not None:
                self.parts.field("details", further, index)
            self._finish(index, sequence.get("finish_reason"))
        self._finish(0, details.get("finish_reason"))

    def _finish(self, choice: int, word: object) -> None:
        if isinstance(word, str) and word:
            self.parts.finish(choice, _FINISH_REASONS.get(word, "unknown"), word)
