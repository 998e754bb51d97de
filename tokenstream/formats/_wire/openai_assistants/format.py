"""OpenAI Assistants: turns the events of a run, of its steps and of its messages into events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, text_of
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.openai import usage_of
from tokenstream.formats._wire.openai_assistants.parts import AssistantsContent
from tokenstream.formats._wire.openai_assistants.steps import AssistantsSteps
from tokenstream.formats._wire.openai_assistants.words import FINISH_REASONS, INCOMPLETE_REASONS, OBJECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

_Reader: TypeAlias = "Callable[[OpenAIAssistants, dict[str, Any]], None]"

_KNOWN_RUN_FIELDS = frozenset({"id", "object", "model", "status", "usage", "required_action", "last_error"})


class OpenAIAssistants(Format):
    """The `openai-assistants` format: the events of a run, whose payloads say in `object` what they describe.

    Args:
        limits: Bounds on parts, tool calls, and JSON payloads.
        pings: True if frames without content, such as pings, become `Ping` events.

    Example:
        >>> delta = {"content": [{"index": 0, "type": "text", "text": {"value": "Hello"}}]}
        >>> for event in OpenAIAssistants().feed(
        ...     {"id": "msg_1", "object": "thread.message.delta", "delta": delta}
        ... ):
        ...     print(type(event).__name__)
        PartStart
        TextDelta
    """

    __slots__ = ("_content", "_steps")

    name: ClassVar[str] = "openai-assistants"
    finish_reasons: ClassVar[Mapping[str, FinishReason]] = {**FINISH_REASONS, **INCOMPLETE_REASONS}
    event_names: ClassVar[frozenset[str]] = frozenset({*OBJECTS})
    sentinel: ClassVar[bytes | None] = b"[DONE]"
    fast: ClassVar[Fast | None] = Fast(
        texts=[
            ("delta", "content", 0, "text", "value"),
            ("delta", "step_details", "tool_calls", 0, "function", "arguments"),
        ]
    )

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self._content = AssistantsContent(self.parts)
        self._steps = AssistantsSteps(self.parts)

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
        """Return whether a stream's first payload is an event of a run; None if only its name says so."""
        if is_dict(payload.get("data")) and text_of(payload, "event") in OBJECTS:
            return True
        if text_of(payload, "object") in _OBJECT_NAMES:
            return True
        # Another API has events of these names, whose payloads have a type.
        is_named = event in OBJECTS and "type" not in payload
        return (True if "id" in payload else None) if is_named else False

    def begun_by(self, payload: dict[str, Any], event: str) -> str | None:
        """Return the id of the run that an event is about; None if the event is about a part of a run."""
        is_run = (text_of(payload, "object") or OBJECTS.get(event)) == "thread.run"
        return text_of(payload, "id") or None if is_run else None

    def _read_object(self, data: dict[str, Any], event: str) -> None:
        """Read a payload; if it is an event from the SDK, unwrap the payload first."""
        name, inner = data.get("event"), data.get("data")
        # An event from the SDK is an object with two fields: the event's name, and the payload as `data`.
        if isinstance(name, str) and is_dict(inner) and not event:
            super()._read_object(inner, name)
        else:
            if not event and text_of(data, "object") in _OBJECT_NAMES:
                self.note("event_name_missing")
            super()._read_object(data, event)

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Pass the content of `payload` to `self.parts`; store a failed run's error in `self.error`.

        Raises:
            LimitExceeded: There are more parts or tool calls than a limit allows.
        """
        kind = text_of(payload, "object")
        expected_kind = OBJECTS.get(event)
        if kind is None and expected_kind is not None:
            self.note("type_missing")
            kind = expected_kind
        elif expected_kind is not None and kind != expected_kind:
            self.note("event_name_differs")
        reader = self._READERS.get(kind or "")
        if reader is not None:
            reader(self, payload)
        elif event == "done":
            self.read_sentinel()
        else:
            self.parts.unknown(event or kind or "event", payload)

    def conclude(self) -> None:
        """End the answer: close the open parts and ignore later frames."""
        self._steps.report_results()
        self._steps.drop_calls()
        super().conclude()

    def finish_input(self) -> None:
        """Report the results of the provider's tools and close the open parts, at the end of the input.

        Raises:
            LimitExceeded: The held-back text exceeds a limit.
        """
        self._steps.report_results()
        super().finish_input()

    # -- the run -------------------------------------------------------------

    def _read_run(self, run: dict[str, Any]) -> None:
        """Read a run: its fields, usage, the calls that it waits for, and its end."""
        self.parts.head(id=text_of(run, "id"), model=text_of(run, "model"))
        self.parts.report_unknown_fields(run, _KNOWN_RUN_FIELDS)
        usage = run.get("usage")
        if is_dict(usage) and usage:
            self.parts.usage(usage_of(usage))
        status = text_of(run, "status") or ""
        if status == "requires_action":
            action = dict_of(dict_of(run, "required_action"), "submit_tool_outputs")
            for call in dicts_of(action.get("tool_calls")):
                self._steps.hand_out_call(call)
        reason = FINISH_REASONS.get(status)
        if reason is None:
            # The run goes on.
            return
        if status == "incomplete":
            word = text_of(dict_of(run, "incomplete_details"), "reason") or ""
            reason = INCOMPLETE_REASONS.get(word, "unknown")
        self._steps.report_results()
        if status != "requires_action":
            # The run has ended without waiting for the results of its open calls.
            self._steps.drop_calls()
        self.parts.finish(0, reason, status)
        if status == "requires_action":
            # The run waits for the results of all its calls, so nothing more of them follows.
            self.parts.end_waiting(0)
        if status == "failed":
            self.error = provider_error({"error": run.get("last_error") or "the run failed"})

    def _read_thread(self, thread: dict[str, Any]) -> None:
        """Report the thread's id, as a field of the answer."""
        self.parts.field("thread_id", thread.get("id"))

    # -- messages and steps --------------------------------------------------

    def _read_message(self, message: dict[str, Any]) -> None:
        """Read a message of the assistant; a message of the user is reported as unknown."""
        if text_of(message, "role") == "user":
            self.parts.unknown("thread.message", message)
            return
        self._content.read_message(message)

    def _read_message_delta(self, payload: dict[str, Any]) -> None:
        """Add a delta to the content of its message, which is found by its id ("" if it has none)."""
        content = dict_of(payload, "delta").get("content")
        self._content.read_delta(text_of(payload, "id") or "", content)

    def _read_step(self, step: dict[str, Any]) -> None:
        self._steps.read_step(step)

    def _read_step_delta(self, payload: dict[str, Any]) -> None:
        """Add a delta to the tool calls of its step, which is found by its id ("" if it has none)."""
        details = dict_of(dict_of(payload, "delta"), "step_details")
        self._steps.read_delta(text_of(payload, "id") or "", details.get("tool_calls"))

    _READERS: ClassVar[dict[str, _Reader]] = {
        "thread": _read_thread,
        "thread.run": _read_run,
        "thread.message": _read_message,
        "thread.message.delta": _read_message_delta,
        "thread.run.step": _read_step,
        "thread.run.step.delta": _read_step_delta,
    }


_OBJECT_NAMES = frozenset(OBJECTS.values()) - {"thread"}
