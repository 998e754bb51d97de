"""The protocols in which an answer can be sent: their headers, heartbeats and abilities, and what each loses.

The losses are found by encoding small answers that contain everything there is.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, get_args

from tokenstream._values.parts import COUNTS
from tokenstream.errors import MisuseError
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MediaDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    StepDelta,
    StepDone,
    StepStart,
    StepUpdate,
    StepWaiting,
    Stopped,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolResult,
    UsageUpdate,
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
    Usage,
)
from tokenstream.relay._encoders import ProtocolName, load, protocols
from tokenstream.relay._encoders.losses import PHRASES, Loss

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._basics.waits import HeaderFields

_Sequence: TypeAlias = "tuple[Event, ...]"
_TYPES = ("image/png", "image/tiff", "audio/pcm", "audio/wav", "video/mp4", "application/pdf")
"""The types of media that are tried: two of a family of which a protocol may know one."""


class Protocol(NamedTuple):
    """Properties of a protocol that do not depend on an answer."""

    name: str
    media_type: str
    headers: HeaderFields
    heartbeat: bytes
    """The heartbeat, which may be sent between any two events; empty if the protocol has none."""
    retry: bytes
    """An instruction to reconnect after one second; empty if the protocol has none."""
    has_ids: bool


@cache
def find_protocol(name: str) -> Protocol:
    """Return the properties of a protocol; MisuseError if there is none of this name."""
    if name not in protocols():
        raise MisuseError(
            f"protocol={name!r} is not a protocol of the relay: take one of {', '.join(protocols())}; "
            "the AI SDK reads ui-message"
        )
    encoder = load(name)
    is_sse = encoder.content_type.startswith("text/event-stream")
    headers = {
        "content-type": encoder.content_type,
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        # Middleware that compresses bodies makes an exception for event streams, but for no other type.
        **({} if is_sse else {"content-encoding": "identity"}),
        **encoder.further_headers,
    }
    heartbeat, retry = (b": keep-alive\n\n", b"retry: 1000\n\n") if is_sse else (encoder.heartbeat, b"")
    return Protocol(name, encoder.content_type, headers, heartbeat, retry, is_sse or encoder.has_ids)


def headers(protocol: ProtocolName = "tokenstream") -> dict[str, str]:
    """Return the headers of a response whose body is an answer in a protocol.

    Some of these headers tell proxies neither to buffer nor to transform the body.

    Args:
        protocol: The protocol's name.

    Raises:
        MisuseError: The protocol is unknown.

    Example:
        >>> headers("ui-message")["content-type"]
        'text/event-stream; charset=utf-8'
    """
    return dict(find_protocol(protocol).headers)


def losses(protocol: ProtocolName) -> dict[Loss, tuple[str, ...]]:
    """Return what a protocol cannot express, and what is therefore left out; use it to choose a protocol.

    Ids, names of models and fields that only one provider knows are not considered.

    Args:
        protocol: The protocol's name.

    Returns:
        The names of what is lost. The value of each is a tuple that says what of it is lost, such as the
        names of token counts, or () if all of it is.

    Raises:
        MisuseError: The protocol is unknown.

    Example:
        >>> "citation" in losses("ag-ui"), losses("openai-responses")["video"]
        (True, ())
        >>> "cancelled" in losses("ollama")["finish_reason"]
        True
        >>> losses("tokenstream")
        {}
    """
    find_protocol(protocol)
    return {**_find_losses(protocol)}


@cache
def _find_losses(format: str) -> Mapping[Loss, tuple[str, ...]]:
    """Return what a format loses of all answers of `make_answers`, in the order of the names."""
    encoder_class = load(format)
    found: dict[Loss, tuple[str, ...]] = {}
    for events in make_answers().values():
        encoder = encoder_class(lossy=True)
        for event in events:
            encoder.feed(event)
        if not encoder.finishes:
            encoder.finish_without_reason("stopped")
        encoder.end()
        for kind, details in encoder.losses.by_kind().items():
            known = found.get(kind, details)
            # () stands for all of a kind, which includes each detail.
            found[kind] = (*dict.fromkeys((*known, *details)),) if known and details else ()
    return {kind: found[kind] for kind in PHRASES if kind in found}


@cache
def make_answers() -> Mapping[str, _Sequence]:
    """Return small answers, each with one thing that an answer may contain or one way in which it may end."""
    result = ServerToolResult(id="s", name="web_search_tool_result", content=[{"url": "https://a.test"}])
    code_result = ServerToolResult(id="s", name="code_interpreter_call", content=["4"])
    failed = ServerToolResult(id="s", name="look_up", content="rows", error="cut")
    openai_failed = failed.model_copy(update={"id": "ws_1"})
    answers: dict[str, _Sequence] = {}
    for reason in get_args(FinishReason):
        events = _try_call("{}") if reason == "tool_calls" else [TextDelta("Hi")]
        answers[f"finish_reason {reason}"] = _answer(*events, reason=reason)
    answers["finish_reason without a call"] = _answer(TextDelta("Hi"), reason="tool_calls")
    # The total may differ from the sum.
    counts = {name: 10 + at for at, name in enumerate(COUNTS)}
    counts |= {"input_tokens": 1_000, "output_tokens": 500, "total_tokens": 1_600}
    signed_end = PartDone(ReasoningPart(text="Hm", signature="c2ln", complete=True))
    return answers | {
        "text": _answer(TextDelta("Hi")),
        "phase": _answer(PartStart(TextPart(phase="commentary")), TextDelta("Hi"), PartDone()),
        "characters": _answer(TextDelta("a\rb"), TextDelta("\ud83d")),
        "reasoning": _answer(ReasoningDelta("Hm")),
        "signature": _answer(ReasoningDelta("Hm", "c2ln")),
        # As from a UI message stream, whose ends of reasoning have the signature.
        "signature that comes last": _answer(PartStart(ReasoningPart()), ReasoningDelta("Hm"), signed_end),
        "encrypted_reasoning": _answer(PartStart(ReasoningPart(redacted="ZW5j")), PartDone()),
        "refusal": _answer(RefusalDelta("No")),
        "tool_call": _answer(*_try_call('{"a":1}'), reason="tool_calls"),
        "custom_tool_call": _answer(*_try_call("words", "custom"), reason="tool_calls"),
        "invalid_tool_call": _answer(*_try_call("[1]"), reason="tool_calls"),
        "invalid_tool_call that is no JSON": _answer(*_try_call('{"a', is_json=False), reason="tool_calls"),
        "tool_call_end": _answer(*_try_call('{"a":1}'), reason="length"),
        "server_tool_call": _answer(PartStart(ServerToolCall(id="s", name="search")), PartDone()),
        "server_tool_result": _answer(*_serve_call(result)),
        "server_tool_result of code": _answer(*_serve_call(code_result)),
        "server_tool_result that failed": _answer(*_serve_call(failed)),
        "server_tool_result of OpenAI that failed": _answer(*_serve_call(openai_failed, "web_search")),
        "server_tool_result without a call": _answer(*_result(result)),
        "citation": _cited(url="https://a.test", title="A"),
        "unlinked_citation": _cited(text="cited"),
        "unlinked_citation with a title": _cited(title="A"),
        "citation_text": _cited(url="https://a.test", title="A", text="cited"),
        "citation_span": _cited(url="https://a.test", title="A", start=0, end=4),
        "citation without text": _answer(CitationAdded(Citation(url="https://a.test", title="A"))),
        "media": _medium(None),
        "media without content": _answer(PartStart(MediaPart()), PartDone()),
        **{mime_type: _medium(mime_type) for mime_type in _TYPES},
        "media_url": _answer(PartStart(MediaPart(mime_type="image/png", url="https://a.test")), PartDone()),
        "transcript": _medium("audio/pcm", transcript="words"),
        "opaque": _answer(PartStart(OpaquePart(type="x", data={"a": 1})), PartDone()),
        "choice": _answer(TextDelta("Hi"), TextDelta("Ho", choice=1), Finish("stop", choice=1)),
        "usage": _answer(UsageUpdate(Usage.model_validate(counts))),
        "tool_result": _answer(*_try_call("{}"), ToolResult("c", 1)),
        "tool_result without a call": _answer(TextDelta("Hi"), ToolResult("c", 1)),
        "tool_result that failed": _answer(*_try_call("{}"), ToolResult("c", "rows", "cut")),
        "step": _answer(
            StepStart("1", "search"),
            StepDelta("1", "found"),
            StepUpdate("1", {"type": "progress", "progress": 1}),
            StepWaiting("w", {"command": "ls"}),
            StepDone("1"),
        ),
        "stopped": (TextDelta("Hi"), Stopped("enough")),
    }


def _answer(*events: Event, reason: FinishReason = "stop") -> _Sequence:
    return (*events, Finish(reason))


def _try_call(arguments: str, tool_type: str = "function", *, is_json: bool = True) -> list[Event]:
    """Return the events of a call of a tool that has ended; it is whole if its arguments are JSON."""
    call = ToolCall(id="c", name="f", arguments_text=arguments, complete=is_json, type=tool_type)
    end = ToolCallDone(call) if is_json else PartDone(call)
    return [ToolCallStart("c", "f", type=tool_type), ToolCallDelta("c", arguments), end]


def _serve_call(result: ServerToolResult, name: str = "search") -> list[Event]:
    call = ServerToolCall(id=result.id, name=name, arguments_text="{}", complete=True)
    return [PartStart(call), PartDone(call), *_result(result)]


def _result(result: ServerToolResult) -> list[Event]:
    repeated = ToolResult(result.id, result.content, result.error, provider_executed=True)
    repeated.is_repeat = True
    return [PartStart(result, part=1), PartDone(result, part=1), repeated]


def _cited(**fields: str | int) -> _Sequence:
    citation = Citation.model_validate({"cites": 0, **fields})
    return _answer(PartStart(TextPart()), TextDelta("Oslo"), CitationAdded(citation, part=1))


def _medium(mime_type: str | None, transcript: str = "") -> _Sequence:
    """Return an answer that is a medium of a type; None for a type that is not known."""
    return _answer(PartStart(MediaPart(mime_type=mime_type)), MediaDelta(b"\x01\x02", transcript), PartDone())
