"""A format that keeps the rules of formats, and others that break one each."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.errors import ProtocolError
from tokenstream.events import Event, Finish, PartDone, TextDelta, ToolCallDone
from tokenstream.formats import Fast, Format
from tokenstream.formats._reader import FrameReader
from tokenstream.message import ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.formats import Frame


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


class Parrot(Format):
    """A format that keeps all rules; those below are the same with one mistake each."""

    __slots__ = ()

    name: ClassVar[str] = "parrot"
    finish_reasons: ClassVar = {"said": "stop"}

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
        return not event and "words" in payload

    def read(self, payload: dict[str, Any], event: str) -> None:
        self.parts.write(0, "text", _text(payload.get("words")))
        tool = payload.get("tool")
        if isinstance(tool, dict):
            call = self.parts.open_call(0, _text(tool.get("id")), _text(tool.get("name")))
            self.parts.add_arguments(call, _text(tool.get("arguments")))
            self.parts.close_call(call)
        count = payload.get("count")
        if isinstance(count, int):
            self.parts.usage(Usage(output_tokens=count))
        over = _text(payload.get("over"))
        if over:
            self.parts.finish(0, self.finish_reasons.get(over, "unknown"), over)
            self.conclude()
        for name, value in payload.items():
            if name not in ("words", "tool", "over", "count"):
                self.parts.field(name, value)


class Framed(Parrot):
    framing: ClassVar[str] = "smoke signals"
    event_names: ClassVar[Any] = ["word"]
    finish_reasons: ClassVar[Any] = {"said": "done"}


class Nameless(Parrot):
    name: ClassVar[Any] = None
    sentinel: ClassVar[Any] = "[DONE]"
    finish_reasons: ClassVar[Any] = ()


class Sleepless(Parrot):
    retryable: ClassVar[Any] = {"asleep": "no"}


class Listed(Parrot):
    finish_reasons: ClassVar[Any] = {"end": ["stop"]}


class Moody(Parrot):
    retryable: ClassVar[Any] = {"asleep": ["no"]}


class Swift(Parrot):
    """A format whose deltas are read by comparison, and that keeps all rules."""

    fast: ClassVar[Any] = Fast(texts=[("words",)], changing=[("number",)])

    def read(self, payload: dict[str, Any], event: str) -> None:
        kind: Any = "reasoning" if payload.get("kind") == "thought" else "text"
        self.parts.write(0, kind, _text(payload.get("words")))
        known = ("words", "kind", "number")
        super().read({name: value for name, value in payload.items() if name not in known}, event)


class Blind(Swift):
    fast: ClassVar[Any] = Fast(texts=[("words",)], changing=[("number",), ("kind",)])


class Misspelt(Swift):
    fast: ClassVar[Any] = Fast(texts=[("wrods",)], changing=[("number",)])


class Counting(Swift):
    fast: ClassVar[Any] = Fast(texts=[("words",)])


class Dotted(Swift):
    fast: ClassVar[Any] = Fast(texts=["words"])  # type: ignore[list-item]


class Pathless(Swift):
    fast: ClassVar[Any] = Fast(texts=7)  # type: ignore[arg-type]


class Mapped(Swift):
    fast: ClassVar[Any] = {"texts": [("words",)]}


class Snappish(Parrot):
    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
        return not event and bool(payload["words"])


class Greedy(Parrot):
    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
        return not (event and payload)


class Unfresh(Parrot):
    def fresh(self, **options: Any) -> Format:
        return self if options["limits"].event == 999_983 else super().fresh(**options)


class Deaf(Parrot):
    def fresh(self, **options: Any) -> Format:
        return type(self)()


class Sharing(Parrot):
    heard: ClassVar[list[str]] = []

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.heard.clear()

    def read(self, payload: dict[str, Any], event: str) -> None:
        self.heard.append(_text(payload.get("words")))
        super().read({**payload, "words": str(len(self.heard))}, event)


class Crashing(Parrot):
    def read(self, payload: dict[str, Any], event: str) -> None:
        super().read({**payload, "words": payload.get("words", "") + ""}, event)


class Deep(Parrot):
    def read(self, payload: dict[str, Any], event: str) -> None:
        self.parts.write(0, "text", payload.get("words", 1))


class Undecided(Parrot):
    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> Any:
        return f"perhaps {payload} {event}"


class Dead(Parrot):
    def read(self, payload: dict[str, Any], event: str) -> None:
        raise RuntimeError("dead")


class _Decoding(FrameReader):
    def decode(self, format: Format, payload: bytes) -> Any:
        return json.loads(payload)


class Recursive(Parrot):
    reader = _Decoding()


class Mute(Parrot):
    def read(self, payload: dict[str, Any], event: str) -> None:
        pass


class Hasty(Parrot):
    def shortcut(
        self, unit: Any, max_size: int, before: bytes = b"", after: bytes = b""
    ) -> Callable[[bytes], Event | None] | None:
        return lambda chunk: TextDelta("?") if chunk.endswith(b"\n\n") else None


class Blocking(Parrot):
    def read(self, payload: dict[str, Any], event: str) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            super().read(payload, event)
        else:
            super().read({**payload, "words": "busy"}, event)


class Apologetic(Parrot):
    def judge_end(self) -> None:
        if not self.ended:
            self.parts.write(0, "text", " (cut)")


class Renaming(Parrot):
    def judge_end(self) -> None:
        if not self.ended:
            self.parts.open_call(0, "t0", "sorry")


class Repeating(Parrot):
    def read(self, payload: dict[str, Any], event: str) -> None:
        super().read(payload, event)
        if "tool" in payload:
            call = ToolCall(id="t1", name="fly", arguments_text='{"to": "Oslo"}', complete=True)
            self.parts.emit(ToolCallDone(call, part=1))


class Eager(Parrot):
    def judge_end(self) -> None:
        if not self.ended:
            call = ToolCall(id="t1", name="fly", arguments_text='{"to": "Os', complete=True)
            self.parts.emit(ToolCallDone(call, part=1))


class Inventive(Parrot):
    def judge_end(self) -> None:
        if not self.ended:
            call = ToolCall(id="t1", name="fly", arguments_text="", complete=True)
            self.parts.emit(ToolCallDone(call, part=1))


class Rewriting(Parrot):
    def judge_end(self) -> None:
        if not self.ended:
            self.parts.add_arguments(self.parts.open_call(0, "t1", "fly"), "[1]")


class Satisfied(Parrot):
    def end(self, *, now: float = 0.0) -> list[Event]:
        if self.frames:
            self.conclude()
        return super().end(now=now)


class Optimistic(Parrot):
    @property
    def finished(self) -> bool:
        return True

    def end(self, *, now: float = 0.0) -> list[Event]:
        self.conclude()
        return super().end(now=now)


class Closing(Parrot):
    closes: ClassVar[str] = "lo"

    def read(self, payload: dict[str, Any], event: str) -> None:
        super().read(payload, event)
        if payload.get("words") == self.closes:
            self.parts.emit(PartDone())


class ClosingEarly(Closing):
    closes: ClassVar[str] = "Hel"


class Open(Parrot):
    def end(self, *, now: float = 0.0) -> list[Event]:
        return []

    def conclude(self) -> None:
        self.ended = True

    def read(self, payload: dict[str, Any], event: str) -> None:
        if "over" in payload:
            self.parts.emit(Finish("stop"))
            self.conclude()
        elif isinstance(payload.get("words"), str):
            self.parts.emit(TextDelta(payload["words"], raw=payload))
        else:
            self.parts.unknown("other", payload)


class Dropping(Parrot):
    def read(self, payload: dict[str, Any], event: str) -> None:
        if {"words", "tool", "over"} & set(payload):
            super().read(payload, event)


class Strict(Parrot):
    def read(self, payload: dict[str, Any], event: str) -> None:
        if not {"words", "tool", "over"} & set(payload):
            raise ProtocolError("this is no payload of a parrot")
        super().read(payload, event)


class Rawless(Parrot):
    def read(self, payload: dict[str, Any], event: str) -> None:
        self.parts.raw = None
        known: dict[str, Any] = {
            name: payload[name] for name in ("words", "tool", "over", "count") if name in payload
        }
        super().read(known, event)


class Undying(Parrot):
    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        return [TextDelta("and another thing")] if self.ended else super().feed(frame, now=now)


class Unstoppable(Parrot):
    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        error, self.error = self.error, None
        events = super().feed(frame, now=now)
        self.error = error or self.error
        return events


class EndingTwice(Parrot):
    def end(self, *, now: float = 0.0) -> list[Event]:
        self.parts.usage(Usage(output_tokens=1))
        return super().end(now=now)


class FragileError(ProtocolError):
    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.hook = lambda: code


class Fragile(Parrot):
    def read(self, payload: dict[str, Any], event: str) -> None:
        if payload.get("words") is None and "over" not in payload:
            raise FragileError(7)
        super().read(payload, event)


BREAKING: list[tuple[type[Format], str, str]] = [
    (Framed, "described", "framing: one of aws-eventstream, json"),
    (Sleepless, "described", "retryable: a mapping to True or False"),
    (Listed, "described", "finish_reasons: a mapping to "),
    (Moody, "described", "retryable: a mapping to True or False"),
    (Nameless, "described", "name: letters, digits, dots and dashes"),
    (Dotted, "described", 'fast: None, or a `Fast` with places such as ("delta", "text")'),
    (Pathless, "described", "fast: None, or a `Fast`"),
    (Mapped, "described", "fast: None, or a `Fast`"),
    (Snappish, "recognises", "KeyError is raised (broken_formats.py, line "),
    (Undecided, "recognises", "it must return True, False or None, not 'perhaps"),
    (Greedy, "recognises", "claims an empty payload"),
    (Unfresh, "fresh", "must return a new format of the same class"),
    (Deaf, "fresh", "must pass on `limits`"),
    (Sharing, "fresh", "give other events than one alone"),
    (Crashing, "raises", "TypeError is raised (broken_formats.py, line "),
    (Dead, "raises", "): dead"),
    (Recursive, "raises", "is raised"),
    (Mute, "events", "it gives no event, but StreamTruncated"),
    (Hasty, "chunking", "chunking='events': the reading differs"),
    (Blocking, "async", "an AsyncStream gives a different reading"),
    (Blind, "fast", "the reading differs from that with `fast = None`"),
    (Misspelt, "fast", "all of 20 deltas in a row are decoded: look for a wrong place in `texts` of `fast`"),
    (Counting, "fast", "all of 20 deltas in a row are decoded"),
    (Apologetic, "prefix", "its text is not the beginning of the whole answer's"),
    (Renaming, "prefix", "its tool call 't0' is not the one in the whole answer"),
    (Rewriting, "prefix", "the arguments of its tool call 't1' are not the beginning"),
    (Repeating, "calls", "the tool call of part 1 is handed out 2 times"),
    (Eager, "calls", "tool call 't1' is handed out incomplete"),
    (Inventive, "calls", "tool call 't1' is handed out, but differs from the one in the whole answer"),
    (Optimistic, "cut", "an answer without events is not an error"),
    (Satisfied, "cut", "a cut answer is reported complete"),
    (Closing, "parts", "part 0 of choice 0 ends again"),
    (ClosingEarly, "parts", "part 0 of choice 0 goes on after its end"),
    (Open, "parts", "part 0 is open in a complete answer"),
    (Dropping, "unknown", "an unknown payload is dropped"),
    (Strict, "unknown", "an unknown payload is fatal"),
    (Rawless, "unknown", "an unknown field is in neither message nor events"),
    (Undying, "after", "fed again after the terminal event, it gives content"),
    (Unstoppable, "after", "it gives events"),
    (EndingTwice, "after", "a second end() gives events"),
    (Fragile, "pickle", "FragileError does not survive pickle"),
]
"""A format, the rule that it breaks, and what is told of that."""
