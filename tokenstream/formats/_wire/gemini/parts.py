"""Candidates and their parts, which become choices and parts of the message."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, fields_except, is_dict, says_nothing, text_of
from tokenstream.formats._kit.count_paths import GOOGLE_USAGE, drop_zeros
from tokenstream.formats._kit.values import (
    TO_STANDARD,
    base64_bytes,
    failure_of_code,
    is_worse,
    json_text,
    mend_surrogates,
    split_names,
)
from tokenstream.formats._wire.gemini.candidate import CallParts
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

    from tokenstream._basics.loose import JsonObject
    from tokenstream.events import Event, Finish
    from tokenstream.formats._kit.open import OpenChoice
    from tokenstream.message import FinishReason, Usage


_CONTENT_FIELDS = split_names(
    "text functionCall inlineData fileData executableCode codeExecutionResult toolCall toolResponse "
    "functionResponse audioTranscription"
)
"""Names of content fields. A part has one of them; its other fields describe the content."""
_PART_FIELDS = split_names("thought thoughtSignature videoMetadata partMetadata mediaResolution toolCallId")
"""Names of the fields of a part that describe its content."""
_SERVER_CALLS = ("executableCode", "toolCall")
_SIGNATURE = "thoughtSignature"
_MOST_WAITING = 256
"""Most plain deltas between two usage events: an event for each would take more time than the text."""


class GeminiParts(CallParts):
    """Turns the parts of candidates, which have neither index nor id, into parts of the message.

    Only text and streamed calls arrive in pieces.
    """

    __slots__ = (
        "_counts",
        "_emitted_report",
        "_report",
        "decoded",
        "deltas_since_usage",
        "is_plain_delta",
        "latest_delta",
        "usage_interval",
    )

    def _set_up(self) -> None:
        super()._set_up()
        # The current payload.
        self.decoded = False
        """True if the payload arrived decoded: its base64 may use another alphabet."""
        self.is_plain_delta = False
        """True if the current payload is a plain delta: a piece of text or thought, perhaps with counts."""
        # The last counts, and whether they were reported.
        self._report: JsonObject | None = None
        """The last usage report, except that the payload of `latest_delta` may have a newer one."""
        self._emitted_report: JsonObject | None = None
        """The usage report of the last usage event."""
        self.latest_delta: Event | None = None
        """The last plain delta, if its usage report was not read yet."""
        self._counts: dict[str, int] = {}
        """The last counts of tokens for the candidates and for the thoughts, whose sum is reported."""
        # The next report.
        self.deltas_since_usage = 0
        """Number of plain deltas since the last usage event."""
        self.usage_interval = 1
        """Number of plain deltas per usage event; it grows, because each delta changes the counts less."""

    # -- usage ---------------------------------------------------------------

    def store_usage(self, report: JsonObject) -> None:
        """Store a usage report, unless it is empty; nearly every chunk has one, and the last is final."""
        if report:
            self._report = report
            # The report of an earlier delta, even if it was not read yet, is out of date.
            self.latest_delta = None

    def begin_payload(self, *, decoded: bool) -> None:
        """Begin a payload, of which `read` then says if it is a plain delta; `decoded` if it arrived so."""
        self.decoded, self.is_plain_delta = decoded, False

    def count_delta(self, delta: Event) -> list[Event]:
        """Count a plain delta that was decoded; return the event with the token counts, if it is due."""
        self.latest_delta = delta
        self.deltas_since_usage += 1
        if self.deltas_since_usage < self.usage_interval:
            return []
        # Reports become rarer: an answer has few of them, however long it is.
        self.usage_interval = min(2 * self.usage_interval, _MOST_WAITING)
        self.emit_usage()
        return self.take()

    def store_delta(self, delta: Event) -> bool:
        """Store a plain delta for its counts; return False if a usage event is due and it must be decoded."""
        if self.deltas_since_usage + 1 >= self.usage_interval:
            return False
        self.latest_delta = delta
        self.deltas_since_usage += 1
        return True

    def emit_usage(self) -> None:
        """Report the counts of the last usage report, if they are new."""
        self.deltas_since_usage = 0
        # `latest_delta` is set if its payload may have a newer report than `_report`.
        latest, self.latest_delta = self.latest_delta, None
        if latest is not None:
            self._report = dict_of(latest.raw, "usageMetadata") or self._report
            # The `raw` of the usage event is the payload that has the counts.
            self.raw = latest.raw
        if self._report is not None and self._report != self._emitted_report:
            self._emitted_report = self._report
            self.usage(GOOGLE_USAGE.read(self._report, self._counts))

    def late_usage(self) -> Usage | None:
        """Return the counts of the last usage report, also if no event contained them; None without one."""
        latest = self.latest_delta
        report = dict_of(latest.raw, "usageMetadata") if latest is not None else {}
        report = report or self._report or {}
        if not report:
            return None
        # Copies of the counts, because they would be updated.
        usage = drop_zeros(GOOGLE_USAGE.read(report, {**self._counts}), {**self._known_counts})
        return mend_surrogates(usage) if self.may_hold_surrogates else usage

    # -- parts ---------------------------------------------------------------

    def read_part(self, choice: int, part: JsonObject) -> None:
        """Read a part of a candidate's content.

        A part should have one content field. If it has several, each is read as a part
        of its own, and the signature belongs to the last.
        """
        kinds = [name for name in part if name in _CONTENT_FIELDS and part[name] is not None]
        if len(kinds) > 1:
            # Some libraries write all fields that a part may have. Only an empty call may end a streamed one.
            is_open = self.candidate(self.choice(choice)).call is not None
            empty = [name for name in kinds if (name == "functionCall") is is_open]
            kinds = [name for name in kinds if part[name] not in ("", {})] or (empty or kinds)[:1]
        # gRPC clients fill unset fields with false and empty values.
        part_fields = {
            name: value
            for name, value in part.items()
            if name not in _CONTENT_FIELDS and value is not False and not says_nothing(value)
        }
        if kinds and not part_fields.keys() <= _PART_FIELDS:
            self.tell_fields(part_fields, _PART_FIELDS)
        # An SDK may write base64 in the URL-safe alphabet; the API uses the standard one.
        if self.decoded and isinstance(part_fields.get(_SIGNATURE), str):
            part_fields[_SIGNATURE] = part_fields[_SIGNATURE].translate(TO_STANDARD)
        if not kinds:
            self._add_without_content(choice, part_fields)
            return
        for kind in kinds[:-1]:
            unsigned = {name: value for name, value in part_fields.items() if name != _SIGNATURE}
            self._add_content(choice, kind, part[kind], unsigned)
        self._add_content(choice, kinds[-1], part[kinds[-1]], part_fields)

    def _add_content(self, choice: int, kind: str, value: object, part_fields: JsonObject) -> None:
        reader = self._READERS.get(kind)
        # Content of an unknown kind, or content that its reader cannot read, is kept as it is.
        if reader is None or not reader(self, choice, value, part_fields):
            self.whole(choice, OpaquePart(type=kind, data={kind: value, **part_fields}))

    def _add_without_content(self, choice: int, part_fields: JsonObject) -> None:
        """Add a part that has no known content field: a signature, or a kind of part not known yet."""
        if text_of(part_fields, _SIGNATURE):
            self._add_text(choice, "", part_fields)
        elif fields := fields_except(part_fields, "thought"):
            # The first field names the part.
            self.whole(choice, OpaquePart(type=next(iter(fields)), data=part_fields))

    def _add_text(self, choice: int, value: object, part_fields: JsonObject) -> bool:
        """Add text or a thought; with a signature or other data, it becomes a part of its own.

        Like all methods in `_READERS`, this one returns False if it cannot read the value.
        """
        if not isinstance(value, str):
            return False
        thought = part_fields.get("thought") is True
        data = fields_except(part_fields, "thought")
        if data is None:
            self.write(choice, "reasoning" if thought else "text", value)
            return True
        # `ReasoningPart` has a field for the signature; the signature of a text stays in the data.
        signature = text_of(data, _SIGNATURE) if thought else None
        if signature is not None:
            data = fields_except(data, _SIGNATURE)
        # The next request must repeat signed content unchanged, so it is not joined with its neighbours.
        self.close_current(self.choice(choice))
        part_type = ReasoningPart if thought else TextPart
        part = self.open(choice, part_type(provider_data=data))
        self.add(part, value)
        self.add_signature(part, signature or "")
        self.close(part)
        return True

    def _add_inline(self, choice: int, value: object, part_fields: JsonObject) -> bool:
        """Add media in base64; return False if the value has no media that can be decoded."""
        if not is_dict(value):
            return False
        encoded = value.get("data")
        data = b"" if encoded is None else base64_bytes(encoded)
        if data is None:
            self.note("media_invalid")
            return False
        data_fields = fields_except({**value, **part_fields}, "data", "mimeType")
        self.close_current(self.choice(choice))
        part = self.open(choice, MediaPart(mime_type=text_of(value, "mimeType"), provider_data=data_fields))
        self.add_media(part, data)
        self.close(part)
        return True

    def _add_file(self, choice: int, value: object, part_fields: JsonObject) -> bool:
        if not is_dict(value):
            return False
        data_fields = fields_except({**value, **part_fields}, "fileUri", "mimeType")
        url, mime_type = text_of(value, "fileUri"), text_of(value, "mimeType")
        self.whole(choice, MediaPart(mime_type=mime_type, url=url, provider_data=data_fields))
        return True

    def _add_server_part(
        self, choice: int, value: object, part_fields: JsonObject, *, kind: str, field: str | None = None
    ) -> bool:
        """Add a call that Google runs, or its result; return False if the value is not an object.

        Its arguments or its content are in a field; those of code are all fields but the id.
        """
        if not is_dict(value):
            return False
        id, name = text_of(value, "id") or "", text_of(value, "toolType") or kind
        data = {kind: value, **part_fields}
        content = fields_except(value, "id") if field is None else value.get(field)
        part: ServerToolCall | ServerToolResult
        if kind in _SERVER_CALLS:
            text = json_text(content or {})
            part = ServerToolCall(id=id, name=name, arguments_text=text, provider_data=data)
        else:
            error = failure_of_code(value)
            part = ServerToolResult(id=id, name=name, content=content, provider_data=data, error=error)
        self.whole(choice, part)
        return True

    # -- ends ----------------------------------------------------------------

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        """Record a finish reason, which content or another one may follow: the last one counts."""
        state = self.choice(choice)
        candidate = self.candidate(state)
        self.add_citations_without_support(state)
        if reason != "stop":
            # Another piece of a streamed call may still follow the reason "stop".
            self.end_call(candidate, cut_off=True)
        earlier = state.finish or state.early_finish
        if earlier is None:
            super().finish(choice, reason, raw_reason)
            return
        # `_finish_again` calls `Parts.finish`, which would ignore a reason that the choice already has.
        state.finish = state.early_finish = None
        # Quirk (translating proxies, 2025-06): every chunk says STOP; text then continues in the same part;
        # recording: gemini-sse-vertexai-sdk-test-data-streaming-failure-error-mid-stream-40958d6e.
        self.note("finish_repeated")
        if is_worse(earlier.reason, reason):
            state.finish = earlier
            return
        self._finish_again(state, earlier, reason, raw_reason)

    def _finish_again(
        self, state: OpenChoice, earlier: Finish, reason: FinishReason, raw_reason: str | None
    ) -> None:
        """Record another finish reason, and report it unless it equals `earlier`; an open text stays open."""
        # Hide the open text meanwhile, because `Parts.finish` closes all open parts.
        open_text, state.current_part = state.current_part, None
        if open_text is not None:
            state.opened.pop(open_text.index, None)
        super().finish(state.index, reason, raw_reason)
        if open_text is not None:
            state.opened[open_text.index] = state.current_part = open_text
            # Its next piece makes the reason void.
            open_text.is_written = False
        if state.finish != earlier:
            return
        if state.finish_waits:
            # It was reported before, and is not to be reported after the calls that wait.
            state.finish_waits = False
        else:
            # Drop the event that `Parts.finish` has just made.
            self._out.pop()

    def close_all(self, *, complete: bool) -> None:
        for choice in self.choices.values():
            candidate = self.candidate(choice)
            # Quirk (Vertex AI, 2026-05): the last piece of a streamed call still says that another piece
            # follows; recording:
            # gemini-sse-ai-eam-tool-call-array-arguments-missing-terminal-function-call-25c627a6.
            is_whole = complete and candidate.call is not None and candidate.call.waits
            self.end_call(candidate, cut_off=not is_whole)
            if complete:
                self.add_citations_without_support(choice)
        self.emit_usage()
        super().close_all(complete=complete)

    def add_citations_without_support(self, choice: OpenChoice) -> None:
        for citation in self.candidate(choice).sources.cite_without_support():
            self.cite(choice.index, citation)

    _READERS: ClassVar[dict[str, Callable[[GeminiParts, int, object, JsonObject], bool]]] = {
        "text": _add_text,
        "functionCall": CallParts.add_call,
        "inlineData": _add_inline,
        "fileData": _add_file,
        "executableCode": partial(_add_server_part, kind="executableCode"),
        "toolCall": partial(_add_server_part, kind="toolCall", field="args"),
        "codeExecutionResult": partial(_add_server_part, kind="codeExecutionResult"),
        "toolResponse": partial(_add_server_part, kind="toolResponse", field="response"),
    }
