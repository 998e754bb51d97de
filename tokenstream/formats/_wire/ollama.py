"""Ollama's native API: the JSON lines of `/api/chat` and `/api/generate`, and whole answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, is_dict, is_list, says_nothing, text_of
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._fast.shape import PADDING
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.formats._kit.values import base64_bytes, fields_of_call, split_names
from tokenstream.message import MediaPart, OpaquePart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.parts import TextKind
    from tokenstream.formats._kit.values import ReasonsOfWords

FINISH_REASONS: ReasonsOfWords = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    # Answers to a request without a prompt, which loads a model into memory or unloads it.
    "load": "unknown",
    "unload": "unknown",
}

_COUNTS = Counts(
    input_tokens="prompt_eval_count",
    output_tokens="eval_count",
    beside="total_duration|load_duration|prompt_eval_duration|eval_duration",
)
_TEXT_FIELDS: dict[str, TextKind] = {
    "thinking": "reasoning",
    # Ollama itself has only `thinking`. Servers and proxies that imitate it pass on the fields of the OpenAI
    # Chat servers behind them: `reasoning_content` of llama.cpp and DeepSeek, `reasoning` of newer vLLM.
    "reasoning_content": "reasoning",
    "reasoning": "reasoning",
    "content": "text",
    "response": "text",
}
"""Maps the fields with text to the kind of the text; if a line has several, they are read in this order."""


class Ollama(Format):
    """The `ollama` format: chat and generate, streamed as JSON lines or whole.

    Example:
        >>> ollama = Ollama()
        >>> line = {"model": "m", "message": {"role": "assistant", "content": "Hel"}, "done": False}
        >>> [type(event).__name__ for event in ollama.feed(line)]
        ['MessageStart', 'PartStart', 'TextDelta']
        >>> ollama.feed(b'{"model":"m","message":{"role":"assistant","content":"lo"},"done":false}')
        [TextDelta(choice=0, part=0, text='lo')]
    """

    __slots__ = ("_time_reported",)

    name = "ollama"
    counted = _COUNTS
    # Of the answers in Ollama's `api/types.go`.
    documented = split_names(
        "completed context image logprobs message.tool_name remote_host remote_model response thinking total"
    )
    is_one_answer = True
    finish_reasons = FINISH_REASONS
    framing = "ndjson"
    # Proxies that convert the lines to server-sent events add this sentinel.
    sentinel = b"[DONE]"
    ends_twice = True
    fast = Fast(
        texts=[*[("message", name) for name in _TEXT_FIELDS], *[(name,) for name in _TEXT_FIELDS]],
        changing=[("created_at",)],
        units=frozenset({"event", "line"}),
    )

    def _set_up(self) -> None:
        self._time_reported = False
        """True once the time of the first line has been reported, as the time of the answer."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - lines have no names
        if not isinstance(payload.get("done"), bool) or "choices" in payload:
            # With `choices`, the payload is of an OpenAI format, even if it has `done`.
            return False
        if "role" in dict_of(payload, "message"):
            return True
        return isinstance(payload.get("model"), str) and bool(
            payload.keys() & {"created_at", "message", "response"}
        )

    def read(self, payload: JsonObject, event: str) -> None:
        message = payload.get("message")
        self.parts.head(
            model=text_of(payload, "model"), role=text_of(message, "role") if is_dict(message) else None
        )
        # The generate API sends texts in the payload itself, the chat API in a message.
        self._read_texts(payload)
        if is_dict(message):
            self._read_texts(message)
            self._read_message(message)
        self._read_fields(payload)
        if payload.get("done") is True:
            self._finish(payload)

    # -- internals ---------------------------------------------------------

    def _read_texts(self, holder: JsonObject) -> None:
        """Add the texts in `holder`, which is a line or the message in it.

        Several fields may have reasoning. The first one is added; another one is skipped if it has the same
        text, and otherwise reported as an unknown field.
        """
        first_reasoning = ""
        for key, kind in _TEXT_FIELDS.items():
            text = holder.get(key)
            if not isinstance(text, str) or not text:
                continue
            if kind != "reasoning":
                self.parts.write(0, kind, text)
            elif not first_reasoning:
                first_reasoning = text
                self.parts.write(0, kind, text)
            elif text == first_reasoning:
                self.note("reasoning_twice")
            else:
                self.parts.field(key, text)

    def _read_message(self, message: JsonObject) -> None:
        for key, value in message.items():
            if says_nothing(value) or key == "role" or (key in _TEXT_FIELDS and isinstance(value, str)):
                continue
            reader = self._MESSAGE_READERS.get(key)
            # A single call may be sent without a list.
            items = [value] if is_dict(value) and "function" in value else value
            if reader is None or not is_list(items):
                self.parts.other_field(f"message.{key}", value)
            else:
                reader(self, items)

    def _read_fields(self, payload: JsonObject) -> None:
        for key, value in payload.items():
            is_text = key in _TEXT_FIELDS and isinstance(value, str)
            if is_text or key in _READ_ELSEWHERE or says_nothing(value):
                continue
            if key == "logprobs" and is_list(value):
                self.parts.items(key, value)
            elif key == "image" and isinstance(value, str):
                self._add_image(value)
            elif key != "created_at":
                self.parts.other_field(key, value)
            elif not self._time_reported:
                # Each line has another time; only the first is reported.
                self._time_reported = True
                self.parts.field(key, value)

    def _read_calls(self, calls: list[Any]) -> None:
        for call in calls:
            function = dict_of(call, "function") if is_dict(call) else {}
            name = text_of(function, "name")
            if not name:
                self.note("call_nameless")
                self.parts.whole(
                    0, OpaquePart(type="tool_call", data=call if is_dict(call) else {"tool_call": call})
                )
                continue
            other_fields = fields_of_call(call)
            # Older servers send no ids, so a missing one is not a departure.
            id = text_of(call, "id") or ""
            if id and self.parts.choice(0).ended.knows(id):
                # `open_call` replaces an id already in use, but the next request must repeat the sent id.
                other_fields["id"] = id
            opened = self.parts.open_call(0, id, name, provider_data=other_fields or None)
            arguments = function.get("arguments")
            if arguments is not None:
                self.parts.add_whole_arguments(opened, arguments)
            self.parts.close_call(opened)

    def _read_images(self, images: list[Any]) -> None:
        for image in images:
            if isinstance(image, str):
                self._add_image(image)
            else:
                self.parts.items("message.images", [image])

    def _add_image(self, encoded: str) -> None:
        data = base64_bytes(encoded)
        if data is None:
            self.parts.add_undecodable_media(0, "image", {"image": encoded})
            return
        part = self.parts.open(0, MediaPart())
        self.parts.add_media(part, data)
        self.parts.close(part)

    def _finish(self, payload: JsonObject) -> None:
        report = {name: payload[name] for name in _COUNTS.usual if payload.get(name) is not None}
        if report:
            self.parts.usage(_COUNTS.read(report))
        reason = text_of(payload, "done_reason")
        if reason is None:
            self.note("finish_missing")
        else:
            self.parts.finish(0, FINISH_REASONS.get(reason, "unknown"), reason)
        self.conclude()

    _MESSAGE_READERS: ClassVar[dict[str, Callable[[Ollama, list[Any]], None]]] = {
        "tool_calls": _read_calls,
        "images": _read_images,
    }


_READ_ELSEWHERE = frozenset({"model", "message", "done", "done_reason", *_COUNTS.usual, *PADDING})
"""Fields of a line that `Ollama._read_fields` skips."""
