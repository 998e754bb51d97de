"""Candidates and their parts, which become choices and parts of the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, fields_except, is_dict, says_nothing, text_of
from tokenstream.formats._kit.open import mend_surrogates
from tokenstream.formats._kit.values import base64_bytes, json_text
from tokenstream.formats._wire.gemini.calls import CallParts
from tokenstream.formats._wire.gemini.words import usage_of
from tokenstream.message import (
    MediaPart,
    OpaquePart,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event, Finish
    from tokenstream.formats._kit.open import OpenChoice
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason, Usage

_UNION = frozenset(
    {
        "text",
        "functionCall",
        "inlineData",
        "fileData",
        "executableCode",
        "codeExecutionResult",
        "toolCall",
        "toolResponse",
        "functionResponse",
        "audioTranscription",
    }
)
"""Content fields, of which a part has one; the other fields of a part describe the content."""
_SIGNATURE = "thoughtSignature"
_MOST_WAITING = 256
"""Most plain deltas without a usage event: decoding each report would take longer than the text."""
_URL_SAFE = str.maketrans("-_", "+/")


class GeminiParts(CallParts):
    """Parts without an index or id; only text and streamed calls arrive in pieces.

    Args:
        limits: Bounds on parts and tool calls.
        note: Counts a departure.
    """

    __slots__ = ("_counts", "_given", "_report", "decoded", "every", "latest", "plain", "waited")

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        super().__init__(limits, note)
        self.decoded = False
        """True if the payload arrived decoded: its base64 may use another alphabet."""
        self._report: dict[str, Any] | None = None
        self._given: dict[str, Any] | None = None
        self.latest: Event | None = None
        """The last plain delta (only text and counts), whose payload has a newer usage report."""
        self.plain = False
        """True if the current payload is a plain delta."""
        self._counts: dict[str, int] = {}
        self.waited = 0
        """Number of plain deltas since the last usage event."""
        self.every = 1
        """Number of plain deltas per usage event; it grows, because each delta changes the counts less."""

    # -- usage ---------------------------------------------------------------

    def report(self, report: dict[str, Any]) -> None:
        """Store a usage report; nearly every chunk has one, and the last report is final."""
        if report:
            self._report = report
            self.latest = None

    def keep(self, delta: Event) -> bool:
        """Store a plain delta that was not decoded; return False if its counts must be reported now."""
        if self.waited + 1 >= self.every:
            return False
        self.latest = delta
        self.waited += 1
        return True

    def give_usage_again(self) -> None:
        """Report the usage of the last plain delta, and lengthen the interval to the next report."""
        self.every = min(2 * self.every, _MOST_WAITING)
        self.give_usage()

    def give_usage(self) -> None:
        """Report the counts of the last usage report, if they are new."""
        self.waited = 0
        latest, self.latest = self.latest, None
        if latest is not None:
            self._report = dict_of(latest.raw, "usageMetadata") or self._report
            self.raw = latest.raw
        if self._report is not None and self._report != self._given:
            self._given = self._report
            self.usage(usage_of(self._report, self._counts))

    def late_usage(self) -> Usage | None:
        """Return the counts of the last usage report, even if no event has contained them so far."""
        latest = self.latest
        report = dict_of(latest.raw, "usageMetadata") if latest is not None else {}
        report = report or self._report or {}
        if not report:
            return None
        usage = usage_of(report, {**self._counts})
        return mend_surrogates(usage) if self.may_hold_surrogates else usage

    # -- parts ---------------------------------------------------------------

    def part(self, choice: int, part: dict[str, Any]) -> None:
        """Add a part of a candidate's content."""
        kinds = [name for name in part if name in _UNION and part[name] is not None]
        more = {name: value for name, value in part.items() if name not in _UNION and _is_set(value)}
        if self.decoded and isinstance(more.get(_SIGNATURE), str):
            more[_SIGNATURE] = more[_SIGNATURE].translate(_URL_SAFE)
        if not kinds:
            self._add_other(choice, more)
        for kind in kinds[:-1]:
            # A part should have one content field; if it has several, the signature belongs to the last.
            without = {name: value for name, value in more.items() if name != _SIGNATURE}
            self._add_one(choice, kind, part[kind], without)
        for kind in kinds[-1:]:
            self._add_one(choice, kind, part[kind], more)

    def _add_one(self, choice: int, kind: str, value: object, more: dict[str, Any]) -> None:
        reader = self._READERS.get(kind)
        if reader is None or not reader(self, choice, value, more):
            self.whole(choice, OpaquePart(type=kind, data={kind: value, **more}))

    def _add_other(self, choice: int, more: dict[str, Any]) -> None:
        """Read a part without a known content field; the first field that is left names it."""
        if text_of(more, _SIGNATURE):
            self._add_text(choice, "", more)
        elif fields_except(more, "thought"):
            name = next(iter(fields_except(more, "thought") or more))
            self.whole(choice, OpaquePart(type=name, data=more))

    def _add_text(self, choice: int, value: object, more: dict[str, Any]) -> bool:
        """Add text or a thought; with a signature or other data, it becomes a part by itself."""
        if not isinstance(value, str):
            return False
        thought = more.get("thought") is True
        data = fields_except(more, "thought")
        if data is None:
            self.write(choice, "reasoning" if thought else "text", value)
            return True
        # The next request must repeat signed content unchanged, so it is not joined with its neighbours.
        signature = text_of(data, _SIGNATURE) if thought else None
        if signature is not None:
            data = fields_except(data, _SIGNATURE)
        state = self.choice(choice)
        self._end_flow(state)
        kind = ReasoningPart if thought else TextPart
        part = self.open(choice, kind(provider_data=data))
        self.add(part, value)
        self.add_signature(part, signature or "")
        self.close(part)
        return True

    def _add_inline(self, choice: int, value: object, more: dict[str, Any]) -> bool:
        """Add media in base64; return False if they cannot be decoded."""
        if not is_dict(value):
            return False
        encoded = value.get("data")
        data = b"" if encoded is None else base64_bytes(encoded)
        if data is None:
            self.note("media_invalid")
            return False
        rest = fields_except({**value, **more}, "data", "mimeType")
        self._end_flow(self.choice(choice))
        part = self.open(choice, MediaPart(mime_type=text_of(value, "mimeType"), provider_data=rest))
        self.add_media(part, data)
        self.close(part)
        return True

    def _add_file(self, choice: int, value: object, more: dict[str, Any]) -> bool:
        """Add media as a URL; return False if the value is not an object."""
        if not is_dict(value):
            return False
        rest = fields_except({**value, **more}, "fileUri", "mimeType")
        self.whole(
            choice,
            MediaPart(
                mime_type=text_of(value, "mimeType"), url=text_of(value, "fileUri"), provider_data=rest
            ),
        )
        return True

    def _add_code(self, choice: int, value: object, more: dict[str, Any]) -> bool:
        return self._add_server_call(choice, "executableCode", value, more)

    def _add_hosted(self, choice: int, value: object, more: dict[str, Any]) -> bool:
        return self._add_server_call(choice, "toolCall", value, more)

    def _add_server_call(self, choice: int, kind: str, value: object, more: dict[str, Any]) -> bool:
        """Add a call of a tool that Google runs; return False if the value is not an object."""
        if not is_dict(value):
            return False
        arguments = fields_except(value, "id") if kind == "executableCode" else value.get("args")
        self.whole(
            choice,
            ServerToolCall(
                id=text_of(value, "id") or "",
                name=text_of(value, "toolType") or kind,
                arguments_text=json_text(arguments or {}),
                provider_data={kind: value, **more},
            ),
        )
        return True

    def _add_code_result(self, choice: int, value: object, more: dict[str, Any]) -> bool:
        return self._add_server_result(choice, "codeExecutionResult", value, more)

    def _add_hosted_result(self, choice: int, value: object, more: dict[str, Any]) -> bool:
        return self._add_server_result(choice, "toolResponse", value, more)

    def _add_server_result(self, choice: int, kind: str, value: object, more: dict[str, Any]) -> bool:
        """Add the result of a tool that Google ran; return False if the value is not an object."""
        if not is_dict(value):
            return False
        self.whole(
            choice,
            ServerToolResult(
                id=text_of(value, "id") or "",
                name=text_of(value, "toolType") or kind,
                content=fields_except(value, "id")
                if kind == "codeExecutionResult"
                else value.get("response"),
                provider_data={kind: value, **more},
            ),
        )
        return True

    # -- ends ----------------------------------------------------------------

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        """Record a finish reason; content may follow it, and the last finish reason of a choice is final."""
        state = self.choice(choice)
        candidate = self.candidate(state)
        self.cite_rest(state)
        # Quirk (Vertex AI, 2026-05): the last piece of a streamed call still says that it goes on;
        # recording: gemini-sse-ai-eam-tool-call-array-arguments-missing-terminal-function-call-25c627a6.
        self.end_call(candidate, stopped=reason == "stop")
        before, state.finish = state.finish, None
        if before is None:
            super().finish(choice, reason, raw_reason)
            return
        # Quirk (translating proxies, 2025-06): every chunk says STOP; text goes on in one part then;
        # recording: gemini-sse-vertexai-sdk-test-data-streaming-failure-error-mid-stream-40958d6e.
        self.note("finish_repeated")
        self._finish_again(state, before, reason, raw_reason)

    def _finish_again(
        self, state: OpenChoice, before: Finish, reason: FinishReason, raw_reason: str | None
    ) -> None:
        """Report another finish reason, unless it is the same; an open text stays open."""
        flow, state.current_part = state.current_part, None
        if flow is not None:
            state.opened.pop(flow.index, None)
        super().finish(state.index, reason, raw_reason)
        if flow is not None:
            state.opened[flow.index] = state.current_part = flow
        if state.finish == before:
            self._out.pop()

    def close_all(self, *, complete: bool) -> None:
        """Close every part, and report usage, sources and the final finish reason."""
        for choice in self.choices.values():
            self.end_call(self.candidate(choice), stopped=False)
            before = choice.finish
            if complete:
                self.cite_rest(choice)
            if complete and before is not None and before.reason == "stop" and choice.calls_seen:
                choice.finish = None
                self._finish_again(choice, before, "stop", before.raw_reason)
        self.give_usage()
        super().close_all(complete=complete)

    def cite_rest(self, choice: OpenChoice) -> None:
        """Cite the sources that support no particular passage."""
        for citation in self.candidate(choice).sources.rest():
            self.cite(choice.index, citation)

    _READERS: ClassVar[dict[str, Callable[[GeminiParts, int, object, dict[str, Any]], bool]]] = {
        "text": _add_text,
        "functionCall": CallParts.add_call,
        "inlineData": _add_inline,
        "fileData": _add_file,
        "executableCode": _add_code,
        "toolCall": _add_hosted,
        "codeExecutionResult": _add_code_result,
        "toolResponse": _add_hosted_result,
    }


def _is_set(value: object) -> bool:
    """Return whether a field was set; gRPC clients fill unset fields with false and empty values."""
    return value is not False and not says_nothing(value)
