"""A format for a simple server, defined in one call with paths, by which it reads payloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import count_of, float_of, is_dict, says_nothing, text_of
from tokenstream.errors import MisuseError
from tokenstream.formats._base import Format, Frame
from tokenstream.formats._custom import (
    CustomMapping,
    FieldPath,
    check_event_names,
    check_reasons,
    check_retryable,
    check_sentinel,
    compile_conditions,
    compile_path,
    compile_paths,
    compile_usage_paths,
    find,
    find_text,
)
from tokenstream.formats._detect.payloads import PING_NAMES, event_in
from tokenstream.formats._endings import confirm_finishes
from tokenstream.formats._fast.path import FastPath
from tokenstream.formats._fast.shape import PADDING
from tokenstream.formats._kit.error_details import classify_error
from tokenstream.formats._kit.errors import provider_error, text_error
from tokenstream.formats._kit.values import json_text
from tokenstream.formats._reader import FrameReader, end_without_finish
from tokenstream.framing._frames import ServerSentEvent
from tokenstream.message import Usage

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tokenstream._basics.loose import AnyEvent, DeltaCallback, JsonObject
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._kit.parts import TextKind
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

__all__ = ["Custom", "custom"]


class _MappedReader(FrameReader["Custom"]):
    __slots__ = ()

    def classify_error(self, format: Custom, error: StreamError) -> bool:
        return classify_error(error, format.mapped.retryable)

    def read_frame(self, format: Custom, frame: Frame) -> None:
        """Read a frame: the sentinel, an end event, an error, bare text, a ping, or a JSON value."""
        if not isinstance(frame, bytes | ServerSentEvent):
            super().read_frame(format, frame)
            return
        event, payload = event_in(frame), frame if isinstance(frame, bytes) else frame.payload
        mapped = format.mapped
        if mapped.sentinel is not None and payload.strip() == mapped.sentinel:
            format.read_sentinel()
        elif event in mapped.ends:
            self._read_end(format, event, payload)
        elif event == "error" and not payload.lstrip().startswith(b"{"):
            self.fail(format, text_error(payload))
        # Unless the mapping names the SSE events with text, bare text has no event name.
        elif mapped.bare and event != "error" and event in (mapped.events or ("",)):
            # White space is text, too; empty data say nothing.
            format.parts.raw = text = payload.decode("utf-8", "replace")
            if text:
                format.write("text", text)
        elif not payload or payload.isspace():
            format.note("empty_data")
        else:
            self.read_text(format, payload, event)

    def _read_end(self, format: Custom, event: str, payload: bytes) -> None:
        """Read the event that marks the end; its name is the finish reason if the server sent no other."""
        if payload.lstrip().startswith(b"{"):
            # The last event may also have text, token counts, or an error.
            format.read_value(self.decode(format, payload), event)
        if format.error is not None:
            return
        confirm_finishes(format.parts)
        if not format.parts.finished:
            format.parts.finish(0, format.reason_of(event) or "stop", event)
        format.conclude()

    def read_text(self, format: Custom, payload: bytes, event: str) -> None:
        """Read a payload, which may be any JSON value."""
        events = format.mapped.events
        looks_like_json = payload.lstrip()[:1] in (b"{", b"[")
        # The text of an event that the mapping does not name need not be JSON.
        if event and not (events is None or event in events or looks_like_json):
            self.report_unknown_event(format, event, payload)
        else:
            format.read_value(self.decode(format, payload), event)


class Custom(Format):
    """A format that reads payloads as a mapping describes; created by `custom`.

    Args:
        mapped: The paths to the text and the other values of a payload.

    Example:
        >>> format = custom(text="result.delta")
        >>> [event.text for event in format.feed(b'{"result": {"delta": "Hel"}}') if hasattr(event, "text")]
        ['Hel']
    """

    __slots__ = ("_changed_fields", "_counts", "_head", "mapped")

    name = "custom"
    reader = _MappedReader()
    # The mapping is tried first; only then is a payload checked for an error.
    checks_errors = False

    def __init__(self, mapped: CustomMapping, *, limits: Limits | None = None) -> None:
        super().__init__(limits=limits)
        self.mapped = mapped
        self._counts: dict[str, int | float] = {}
        """The token counts that were reported last."""
        self._head: tuple[str | None, str | None] = (None, None)
        """The answer's id and model, as they were reported last."""
        self._changed_fields: JsonObject = {}
        """The last values of fields that no path leads to, if they differ from the values reported."""
        # In place of the fast path of the class, since each mapping has its own places of text.
        self.fast_path = None if mapped.fast is None else FastPath(self, mapped.fast)

    def fresh(self, *, limits: Limits) -> Custom:
        return type(self)(self.mapped, limits=limits)

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - any format is asked
        """Return False: a mapping is used only if the caller passes it."""
        return False

    def follow(self, delta: Event) -> DeltaCallback | None:
        """Return a callback that keeps the fast path from taking the sentinel for a delta.

        A sentinel that is a JSON object may look like a delta. For such a sentinel, the callback
        returns False, so that it is decoded. If the sentinel is not a JSON object, no callback is
        needed, and the result is None.
        """
        sentinel = self.mapped.sentinel
        if sentinel is None or not sentinel.startswith(b"{"):
            return None

        def is_not_sentinel(piece: AnyEvent) -> bool:
            payload = piece._raw  # noqa: SLF001 - the bytes, not decoded yet
            return is_dict(payload) or payload.strip() != sentinel

        return is_not_sentinel

    def judge_end(self) -> None:
        """End the answer with the input, unless the mapping names the sentinel or an end event.

        If it names a finish reason, the answer must have that; if it names no mark at all, the end is enough.
        """
        mapped = self.mapped
        self._report_changed_fields()
        # An input without any frame is not an answer, so it counts as truncated.
        if self.frames and self.error is None and not self.ended:
            finish_reason_is_last = mapped.sentinel is None and not mapped.ends
            if self.parts.finished and finish_reason_is_last:
                self.conclude()
            elif mapped.finish is None and finish_reason_is_last:
                # The mapping names no mark.
                end_without_finish(self)

    def read_sentinel(self) -> None:
        if self.mapped.finish is None:
            # The mapping has no other mark of the end.
            end_without_finish(self)
        else:
            super().read_sentinel()

    def read(self, payload: JsonObject, event: str) -> None:
        self.read_value(payload, event)

    # -- payloads ----------------------------------------------------------

    def read_value(self, data: object, event: str) -> None:
        """Report all values in a payload that the mapping's paths lead to, or store the payload's error.

        A payload that none of the paths leads into is passed to `_read_other`.
        """
        self.parts.raw = data
        if self._store_error(data, event):
            return
        mapped = self.mapped
        found = self._read_head(data)
        if mapped.may_hold_text(data, event):
            found = self._read_texts(data) or found
        if mapped.usage:
            found = self._read_usage(data) or found
        if mapped.finish is not None:
            found = self._read_finish(data, mapped.finish) or found
        if found:
            # One of the paths fits, so the mapping is for this server.
            self.first_frames.drop()
            self._report_unmapped_fields(data)
        elif event not in mapped.ends:
            self._read_other(data, event)

    def _store_error(self, data: object, event: str) -> bool:
        """Store the error in a payload; return True if there is one.

        A payload has an error at the mapping's path for errors or in the field `error`, or is the
        payload of an SSE event named "error".
        """
        path = self.mapped.error
        at_path = None if path is None else find(data, path)
        if at_path:
            self.error = provider_error({"error": at_path if is_dict(at_path) else str(at_path)}, event)
        elif is_dict(data):
            # The usual field counts, unless a path of the mapping gives it another meaning.
            has_usual_field = data.get("error") and "error" not in self.mapped.fields
            if event == "error" or has_usual_field:
                self.error = provider_error(data, event)
            elif self.mapped.is_of_error(data):
                # Its text would count as the answer's.
                texts = [text for path in self.mapped.text if (text := find_text(data, path))]
                self.error = provider_error({"error": {"message": texts[0] if texts else "", **data}})
        return self.error is not None

    def _read_head(self, data: object) -> bool:
        mapped = self.mapped
        if mapped.id is None and mapped.model is None:
            return False
        id_ = None if mapped.id is None else _scalar_of(find(data, mapped.id))
        model = None if mapped.model is None else find_text(data, mapped.model)
        if (id_, model) != self._head:
            self._head = (id_, model)
            self.parts.head(id=id_, model=model)
        return id_ is not None or model is not None

    def _read_texts(self, data: object) -> bool:
        """Report the first reasoning and the first text that a path leads to; return whether there is one."""
        found = False
        kinds: tuple[tuple[TextKind, tuple[FieldPath, ...]], ...]
        kinds = ("reasoning", self.mapped.reasoning), ("text", self.mapped.text)
        for kind, paths in kinds:
            for path in paths:
                text = find_text(data, path)
                if text is not None:
                    self.write(kind, text)
                    found = True
                    break
        return found

    def write(self, kind: TextKind, text: str) -> None:
        if not self.parts.started:
            self.parts.head()
        self.parts.write(0, kind, text)

    def _read_usage(self, data: object) -> bool:
        """Report the token counts if they changed; return whether the payload has any."""
        counts: dict[str, int | float] = {}
        for name, path in self.mapped.usage:
            # As an object with one field, from which `int_of` and `float_of` read.
            value = {name: find(data, path)}
            count = float_of(value, name) if name == "cost" else count_of(value, name)
            if count is not None:
                counts[name] = count
        if counts and not counts.items() <= self._counts.items():
            self._counts.update(counts)
            self.parts.usage(Usage.model_validate({**counts, "provider_data": dict(counts)}))
        return bool(counts)

    def _read_finish(self, data: object, path: FieldPath) -> bool:
        """Report the finish reason at a path; return whether the payload has a value there."""
        value = find(data, path)
        # Servers send null, false, 0 or "" as long as the answer goes on.
        if says_nothing(value):
            return False
        # "the words for the end" names the value in an error.
        raw = value if isinstance(value, str) else json_text(value, "the words for the end")
        # A mapping may give false or 0 a meaning, for servers whose flag says that the answer goes on.
        if not value and raw not in self.mapped.reasons:
            return False
        reason = self.reason_of(raw)
        # The mapping may say that a word does not mean the end.
        if reason is not None:
            self.parts.finish(0, reason, raw)
        return True

    def reason_of(self, word: str) -> FinishReason | None:
        """Return the mapping's finish reason for a word, else "unknown"; None if the word means no end.

        Where a condition asks for the same field, it has the kinds of payloads, most of which end nothing.
        """
        of_kind = self.mapped.finish in dict(self.mapped.where)
        return self.mapped.reasons.get(word, None if of_kind else "unknown")

    def _report_unmapped_fields(self, data: object) -> None:
        """Report the fields that no path leads to; the last value of one that changes, at the end."""
        if not is_dict(data):
            return
        for name, value in data.items():
            if name in self.mapped.fields or name in PADDING or says_nothing(value):
                continue
            if name in self.parts.fields:
                self._changed_fields[name] = value
            else:
                self.parts.field(name, value)

    def _report_changed_fields(self) -> None:
        late, self._changed_fields = self._changed_fields, {}
        for name, value in late.items():
            self.parts.field(name, value)

    def conclude(self) -> None:
        self._report_changed_fields()
        super().conclude()

    def _read_other(self, data: object, event: str) -> None:
        """Read a payload that no path matches: an error, a ping, or something unknown."""
        kind = text_of(data, "type") if is_dict(data) else None
        # `_store_error` has looked only in the field `error`. No path leads into this payload, so here
        # an error in any usual form counts.
        self.error = provider_error(data, event) if is_dict(data) else None
        if self.error is not None:
            return
        if event not in PING_NAMES and kind not in PING_NAMES:
            self.parts.unknown(event or kind or "payload", data)


def _scalar_of(value: object) -> str | None:
    """Return a text or whole number as text; None for an empty text or any other value."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def custom(
    *,
    text: str | Sequence[str],
    reasoning: str | Sequence[str] | None = None,
    finish: str | None = None,
    finish_reasons: Mapping[str, FinishReason | None] | None = None,
    id: str | None = None,
    model: str | None = None,
    usage: Mapping[str, str] | None = None,
    error: str | None = None,
    retryable: Mapping[str, bool] | None = None,
    event: str | Collection[str] | None = None,
    where: Mapping[str, Any] | None = None,
    end: str | Collection[str] | None = None,
    sentinel: str | None = None,
) -> Custom:
    r"""Return a format for a simple server, to be passed as `format=`.

    A path is a series of keys and list indexes separated by dots, such as
    `"choices.0.text"`; `"*"` means every item of a list, and `"$"` the whole payload.
    The answer is over at `end`, at `sentinel`, or with its finish reason. If a
    mapping has none of these, the end of the input is the end of the answer.

    Args:
        text: FieldPath to the text; of several paths, the first that leads to text
            is used. `""` means that the data themselves are the text, and not JSON.
        reasoning: FieldPath to the model's reasoning; None if there is none.
        finish: FieldPath to the finish reason; null, false, 0 and "" do not count, unless
            `finish_reasons` has "false" or "0". None if there is none.
        finish_reasons: Maps further words of the server to finish reasons, or to
            None for a word that does not mean the end, such as `"not_finished"`.
        id: FieldPath to the answer's id; None if there is none.
        model: FieldPath to the model's name; None if there is none.
        usage: Maps names of counts in `Usage` to the paths of the counts; None if there are none.
        error: FieldPath to an error; the usual places are searched, too. None to search only those.
        retryable: Maps an error's code or type to True if a retry may help, else to
            False; for codes and types that this library does not know.
        event: Names of the SSE events that contain text and reasoning; all by default.
        where: Maps paths to the values that a payload must have there if its text
            and reasoning are to be read.
        end: Names of the SSE events that mark the end; None for no such event.
        sentinel: Data that mark the end, such as `"[DONE]"`; None if none do.

    Raises:
        MisuseError: An option has a wrong type or value.

    Example:
        >>> from tokenstream import Stream
        >>> body = [b'data: {"r": {"delta": "Hi"}}\n\n', b'data: {"r": {"stop": "done"}}\n\n']
        >>> Stream(body, format=custom(text="r.delta", finish="r.stop")).final().text
        'Hi'
    """
    is_bare_text = isinstance(text, str) and not text
    if is_bare_text and (reasoning or where):
        raise MisuseError(
            'text="" means that the data themselves are the text, so no path leads anywhere in them: '
            "leave reasoning= and where= out, or name the paths of JSON data"
        )
    text_paths = () if is_bare_text else compile_paths("text", text)
    if not is_bare_text and not text_paths:
        # `text` is required: for a value such as None, `compile_path` raises the error.
        text_paths = (compile_path("text", text),)
    mapped = CustomMapping(
        text=text_paths,
        bare=is_bare_text,
        reasoning=compile_paths("reasoning", reasoning),
        finish=_compile_or_none("finish", finish),
        reasons=check_reasons(finish_reasons),
        id=_compile_or_none("id", id),
        model=_compile_or_none("model", model),
        usage=compile_usage_paths(usage),
        error=_compile_or_none("error", error),
        retryable=check_retryable(retryable),
        events=check_event_names("event", event),
        where=compile_conditions(where),
        ends=check_event_names("end", end) or frozenset(),
        sentinel=check_sentinel(sentinel),
    )
    return Custom(mapped)


def _compile_or_none(option: str, path: str | None) -> FieldPath | None:
    return None if path is None else compile_path(option, path)
