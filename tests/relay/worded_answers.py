"""Answers in which each word occurs once, and the names of the losses with which it may be gone."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import get_args

from hypothesis import strategies as st

from tests.relay.provider_tools import told_result
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MediaDelta,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolResult,
)
from tokenstream.message import (
    Citation,
    FinishReason,
    MediaPart,
    OpaquePart,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
)
from tokenstream.relay._encoders.losses import Loss

_MEDIA: tuple[Loss, ...] = ("media", "image", "audio", "video", "file")
_CALL: tuple[Loss, ...] = ("tool_call", "custom_tool_call", "invalid_tool_call")
_CITED: tuple[Loss, ...] = ("citation", "unlinked_citation")


@dataclass
class Worded:
    """Events with words that occur nowhere else."""

    events: list[Event] = field(default_factory=list[Event])
    reasons: dict[str, tuple[Loss, ...]] = field(default_factory=dict[str, "tuple[Loss, ...]"])
    """For each word, the names of the losses with which it may be gone."""

    def add(self, *events: Event, words: dict[str, tuple[Loss, ...]]) -> None:
        self.events.extend(events)
        self.reasons.update(words)


def _text(at: int, said: Worded) -> None:
    said.add(TextDelta(f"text{at}w", part=at), words={f"text{at}w": ()})


def _phase(at: int, said: Worded) -> None:
    content = TextPart(phase="commentary")
    events: list[Event] = [PartStart(content, part=at), TextDelta(f"text{at}w", part=at), PartDone(part=at)]
    said.add(*events, words={f"text{at}w": (), "commentary": ("phase",)})


def _refusal(at: int, said: Worded) -> None:
    said.add(RefusalDelta(f"no{at}w", part=at), words={f"no{at}w": ()})


def _reasoning(at: int, said: Worded) -> None:
    events = ReasoningDelta(f"think{at}w", part=at), ReasoningDelta("", f"sign{at}w", part=at)
    said.add(*events, words={f"think{at}w": ("reasoning",), f"sign{at}w": ("reasoning", "signature")})


def _encrypted(at: int, said: Worded) -> None:
    content = ReasoningPart(redacted=_base64(f"hide{at}w"))
    reasons: tuple[Loss, ...] = ("reasoning", "encrypted_reasoning")
    said.add(PartStart(content, part=at), PartDone(content, part=at), words={_base64(f"hide{at}w"): reasons})


def _calls(arguments: str, tool_type: str, *, is_json: bool) -> Callable[[int, Worded], None]:
    def add(at: int, said: Worded) -> None:
        text = arguments.replace("?", f"in{at}w")
        call = ToolCall(id=f"c{at}", name=f"name{at}w", arguments_text=text, type=tool_type, complete=is_json)
        end = ToolCallDone(call, part=at) if is_json else PartDone(call, part=at)
        start = ToolCallStart(call.id, call.name, tool_type, part=at)
        words = {f"name{at}w": _CALL, f"in{at}w": _CALL}
        said.add(start, ToolCallDelta(call.id, text, part=at), end, words=words)

    return add


def _results(*, called: bool, output: object, error: bool) -> Callable[[int, Worded], None]:
    """Return a function that adds a result of the application's tool, with or without its call."""

    def add(at: int, said: Worded) -> None:
        if called:
            _calls('{"a":"?"}', "function", is_json=True)(at, said)
        words = _words_of(at, "tool_result", output=output, error=error)
        failure = f"fail{at}w" if error else None
        said.add(ToolResult(f"c{at}", _worded(output, at), failure), words=words)

    return add


def _provider_results(id: str, name: str, *, output: object, error: bool) -> Callable[[int, Worded], None]:
    """Return a function that adds a result of the provider's tool; its call comes first, if it has a name."""

    def add(at: int, said: Worded) -> None:
        call = ServerToolCall(id=f"{id}{at}", name=name, arguments_text=f'{{"a":"in{at}w"}}', complete=True)
        if name:
            blank = call.model_copy(update={"arguments_text": "", "complete": False})
            piece = PartDelta(call.arguments_text, part=at)
            events = PartStart(blank, part=at), piece, PartDone(call, part=at)
            said.add(*events, words={f"in{at}w": ("server_tool_call",)})
        failure = f"fail{at}w" if error else None
        content = _worded(output, at)
        result = ServerToolResult(id=call.id, name="r", content=content, error=failure, complete=True)
        words = _words_of(at, "server_tool_result", output=output, error=error)
        after = at + 50
        said.add(
            PartStart(result, part=after), PartDone(result, part=after), told_result(result), words=words
        )

    return add


def _citations(*names: str, has_span: bool = False) -> Callable[[int, Worded], None]:
    def add(at: int, said: Worded) -> None:
        fields = {name: f"{name}{at}w" for name in names}
        if "url" in fields:
            fields["url"] = f"https://{fields['url']}.test/"
        span = {"start": 0, "end": 2} if has_span else {}
        text: tuple[Loss, ...] = (*_CITED, "citation_text")
        words = {f"{name}{at}w": text if name == "text" else _CITED for name in names}
        said.add(CitationAdded(Citation.model_validate({**fields, **span}), part=at), words=words)

    return add


def _media(
    mime_type: str | None, *, is_linked: bool = False, is_said: bool = False
) -> Callable[[int, Worded], None]:
    def add(at: int, said: Worded) -> None:
        words: dict[str, tuple[Loss, ...]] = {}
        content = MediaPart(mime_type=mime_type)
        events: list[Event] = []
        if is_linked:
            content = content.model_copy(update={"url": f"https://link{at}w.test/"})
            words[f"link{at}w"] = (*_MEDIA, "media_url")
        else:
            transcript = f"said{at}w" if is_said else ""
            events = [MediaDelta(f"media{at}w".encode(), transcript, part=at)]
            words[_base64(f"media{at}w")] = _MEDIA
            if is_said:
                words[transcript] = (*_MEDIA, "transcript")
        said.add(PartStart(content, part=at), *events, PartDone(part=at), words=words)

    return add


def _opaque(at: int, said: Worded) -> None:
    content = OpaquePart(type="x", data={"a": f"own{at}w"})
    said.add(PartStart(content, part=at), PartDone(content, part=at), words={f"own{at}w": ("opaque",)})


def _choice(at: int, said: Worded) -> None:
    said.add(TextDelta(f"other{at}w", choice=1, part=at), words={f"other{at}w": ("choice",)})


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _worded(output: object, at: int) -> object:
    match output:
        case str():
            return f"out{at}w"
        case list():
            return [{"b": f"out{at}w"}]
        case dict():
            return {"b": f"out{at}w"}
        case _:
            return None


def _words_of(at: int, kind: Loss, *, output: object, error: bool) -> dict[str, tuple[Loss, ...]]:
    words: dict[str, tuple[Loss, ...]] = {}
    if output is not None:
        words[f"out{at}w"] = (kind,)
    if error:
        words[f"fail{at}w"] = (kind,)
    return words


_OUTPUTS: tuple[tuple[object, bool], ...] = (("", False), ({}, False), ([], True), ("", True), (None, True))
_TYPES = (None, "image/png", "image/tiff", "audio/pcm", "audio/wav", "video/mp4", "application/pdf", "text/x")
_PIECES: list[Callable[[int, Worded], None]] = [
    _text,
    _phase,
    _refusal,
    _reasoning,
    _encrypted,
    _opaque,
    _choice,
    _calls('{"a":"?"}', "function", is_json=True),
    _calls('["?"]', "function", is_json=True),
    _calls('{"a":"?', "function", is_json=False),
    _calls("? = 1", "custom", is_json=True),
    *(_results(called=called, output=out, error=bad) for called in (True, False) for out, bad in _OUTPUTS),
    *(
        _provider_results(id, name, output=out, error=bad)
        for id, name in (("s", "look_up"), ("s", ""), ("ws_", "web_search"), ("ci_", "code_interpreter"))
        for out, bad in _OUTPUTS
    ),
    _citations("url"),
    _citations("title"),
    _citations("text"),
    _citations("url", "title", "text", has_span=True),
    *(_media(each) for each in _TYPES),
    _media("image/png", is_linked=True),
    _media("audio/pcm", is_said=True),
]


def _make(pieces: Iterable[Callable[[int, Worded], None]], reason: FinishReason) -> Worded:
    said = Worded()
    for at, add in enumerate(pieces):
        add(at, said)
    said.events.append(Finish(reason))
    return said


worded_answers = st.builds(
    _make,
    st.lists(st.sampled_from(_PIECES), min_size=1, max_size=4),
    st.sampled_from(["stop", "stop", *get_args(FinishReason)]),
)
"""Answers of up to four parts, in any order."""
