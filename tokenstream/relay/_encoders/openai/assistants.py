"""Encoder for OpenAI's Assistants: the events of a run, its steps and its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.events import Finish
from tokenstream.relay._encoders.openai.items import CALLS, ItemEncoder
from tokenstream.relay._encoders.openai.shared import CREATED, Places, error_of, omit_cut_call, report_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import ErrorKind
    from tokenstream.message import FinishReason
    from tokenstream.relay._encoders.encoder import Payload, Payloads
    from tokenstream.relay._encoders.openai.items import OutputItem
    from tokenstream.turns import Kind

_ASSISTANT, _THREAD = "asst_1", "thread_1"
_EXPIRES = CREATED + 600
_PLACES: Places = {
    "input_tokens": ("prompt_tokens",),
    "output_tokens": ("completion_tokens",),
    "total_tokens": ("total_tokens",),
    # This is no typing error: Assistants spell this name with "token", and all similar names with "tokens".
    "cached_tokens": ("prompt_token_details", "cached_tokens"),
    "reasoning_tokens": ("completion_tokens_details", "reasoning_tokens"),
}
_STATUSES: dict[FinishReason, tuple[str, str, str, str | None]] = {
    "stop": ("completed", "completed", "completed", None),
    "tool_calls": ("requires_action", "completed", "completed", None),
    "length": ("incomplete", "completed", "incomplete", "max_tokens"),
    "content_filter": ("incomplete", "completed", "incomplete", "content_filter"),
    "cancelled": ("cancelled", "cancelled", "incomplete", "run_cancelled"),
}
"""Maps finish reasons to the statuses of the run, of its open step and of its open message, and to the
reason why the message is incomplete."""
_RUN_REASONS = {"max_tokens": "max_completion_tokens", "content_filter": "content_filter"}
"""Maps the reason why a message is incomplete to the reason why its run is incomplete."""


class OpenAIAssistantsEncoder(ItemEncoder):
    """Encodes an answer as a run: each text is a step with a message, and all calls are one step."""

    name: ClassVar[str] = "openai-assistants"
    default_id: ClassVar[str] = "run_1"
    expresses: ClassVar[frozenset[Kind]] = frozenset({"text", "refusal", "tool_call"})
    counts: ClassVar[frozenset[str]] = frozenset(_PLACES)
    words: ClassVar[Mapping[FinishReason, str]] = {
        reason: statuses[0] for reason, statuses in _STATUSES.items()
    }

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(**options)
        self._calls: list[OutputItem] = []
        self._step = ""
        """The id of the step that all calls share."""
        self._ending: FinishReason = "stop"
        """The finish reason that applies to the items that are still open at the end."""

    def keep_finish(self, event: Finish) -> Payloads:
        """Keep the finish reason, which is sent at the end; with complete calls, "stop" becomes "tool_calls".

        Raises:
            NotExpressible: The format has no word for the reason, or no word that fits complete calls.
        """
        reason = self.choose_reason(event.reason)
        if any(call.whole for call in self._calls):
            if reason == "stop":
                event = Finish("tool_calls", event.raw_reason)
            elif reason != "tool_calls":
                omit_cut_call(self, reason)
        return super().keep_finish(event)

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """Return an `error` event."""
        return [("error", error_of(kind, message, code))]

    # -- the run -----------------------------------------------------------------

    def encode_head(self) -> Payloads:
        """Return a `thread.run.created`, a `thread.run.queued` and a `thread.run.in_progress`."""
        for word, status in (("created", "queued"), ("queued", "queued"), ("in_progress", "in_progress")):
            yield f"thread.run.{word}", self._run(status)

    def encode_tail(self) -> Payloads:
        """Return the ends of all open items and of the run, and the sentinel."""
        self._ending = self.choose_reason(self.finishes[0].reason)
        yield from super().encode_tail()
        yield "done", "[DONE]"

    def encode_ending(self, finish: Finish) -> Payloads:
        """Return the run with its status, the token counts, and the required calls."""
        status, _, _, why = _STATUSES[self.choose_reason(finish.reason)]
        run = self._run(status)
        run["usage"] = report_of(self.usage, _PLACES)
        if status == "requires_action":
            calls = [
                {"id": call.fields["call_id"], "type": "function", "function": _function(call)}
                for call in self._calls
                if call.whole
            ]
            run["required_action"] = {
                "type": "submit_tool_outputs",
                "submit_tool_outputs": {"tool_calls": calls},
            }
        elif status == "incomplete":
            run["incomplete_details"] = {"reason": _RUN_REASONS[why or ""]}
        else:
            run[f"{status}_at"] = CREATED
        yield f"thread.run.{status}", run

    def _run(self, status: str) -> dict[str, Any]:
        """Return the run, without token counts and required actions."""
        return {
            "id": self.answer_id,
            "object": "thread.run",
            "created_at": CREATED,
            "assistant_id": _ASSISTANT,
            "thread_id": _THREAD,
            "status": status,
            "started_at": None if status == "queued" else CREATED,
            "expires_at": _EXPIRES,
            "cancelled_at": None,
            "failed_at": None,
            "completed_at": None,
            "required_action": None,
            "last_error": None,
            "model": self.answer_model,
            "instructions": "",
            "tools": [],
            "metadata": {},
            "temperature": 1.0,
            "top_p": 1.0,
            "max_completion_tokens": None,
            "max_prompt_tokens": None,
            "truncation_strategy": {"type": "auto", "last_messages": None},
            "incomplete_details": None,
            "usage": None,
            "response_format": "auto",
            "tool_choice": "auto",
            "parallel_tool_calls": True,
        }

    # -- steps and messages --------------------------------------------------------

    def encode_begin(self, item: OutputItem) -> Payloads:
        """Return a step and its message; for a call, a delta of the calls' shared step."""
        if item.kind in CALLS:
            yield from self._call_begun(item)
            return
        item.id = f"msg_{item.index + 1}"
        yield from self._step_begun(item)
        for word in ("created", "in_progress"):
            yield f"thread.message.{word}", self._message(item, "in_progress")

    def encode_more(self, item: OutputItem, text: str) -> Payloads:
        """Return a delta of a message, or of a step."""
        if item.kind in CALLS:
            return [self._call_delta(item, {"arguments": text})]
        content = {"index": 0, **_content(item.kind, text)}
        delta = {"id": item.id, "object": "thread.message.delta", "delta": {"content": [content]}}
        return [("thread.message.delta", delta)]

    def encode_end(self, item: OutputItem, status: str) -> Payloads:
        """Return the whole message and its step; nothing for a call, which ends with the run."""
        if item.kind in CALLS:
            return
        ending = self._ending if status == "incomplete" else "stop"
        _, step_status, message_status, why = _STATUSES[ending]
        message = self._message(item, message_status)
        message["content"] = [_content(item.kind, item.written.join())]
        message["incomplete_details"] = None if why is None else {"reason": why}
        message["completed_at" if why is None else "incomplete_at"] = CREATED
        yield f"thread.message.{message_status}", message
        step = self._step_of(item)
        step |= {"status": step_status, f"{step_status}_at": CREATED}
        yield f"thread.run.step.{step_status}", step

    def _step_begun(self, item: OutputItem) -> Payloads:
        """Return the events for the start of an item's step."""
        for word in ("created", "in_progress"):
            yield f"thread.run.step.{word}", self._step_of(item)

    def _call_begun(self, item: OutputItem) -> Payloads:
        """Return the events for the start of a call, and of the calls' step before the first call."""
        if not self._calls:
            self._step = f"step_{item.index + 1}"
            yield from self._step_begun(item)
        item.id = str(len(self._calls))
        self._calls.append(item)
        function = {"name": item.fields["name"], "arguments": "", "output": None}
        yield self._call_delta(item, function, id=item.fields["call_id"])

    def _call_delta(self, item: OutputItem, function: dict[str, Any], **fields: str) -> Payload:
        """Return a delta of the calls' step, with more of one call."""
        call = {"index": int(item.id), **fields, "type": "function", "function": function}
        details = {"type": "tool_calls", "tool_calls": [call]}
        delta = {"id": self._step, "object": "thread.run.step.delta", "delta": {"step_details": details}}
        return "thread.run.step.delta", delta

    def _step_of(self, item: OutputItem) -> dict[str, Any]:
        """Return the step of an item, in progress."""
        if item.kind in CALLS:
            details: dict[str, Any] = {"type": "tool_calls", "tool_calls": []}
        else:
            details = {"type": "message_creation", "message_creation": {"message_id": item.id}}
        return {
            "id": f"step_{item.index + 1}",
            "object": "thread.run.step",
            "created_at": CREATED,
            "run_id": self.answer_id,
            "assistant_id": _ASSISTANT,
            "thread_id": _THREAD,
            "type": details["type"],
            "status": "in_progress",
            "cancelled_at": None,
            "completed_at": None,
            "expires_at": _EXPIRES,
            "failed_at": None,
            "last_error": None,
            "step_details": details,
            "usage": None,
        }

    def _message(self, item: OutputItem, status: str) -> dict[str, Any]:
        """Return the message of a text, without its content."""
        return {
            "id": item.id,
            "object": "thread.message",
            "created_at": CREATED,
            "assistant_id": _ASSISTANT,
            "thread_id": _THREAD,
            "run_id": self.answer_id,
            "status": status,
            "incomplete_details": None,
            "incomplete_at": None,
            "completed_at": None,
            "role": "assistant",
            "content": [],
            "attachments": [],
            "metadata": {},
        }


def _content(kind: str, text: str) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "text", "text": {"value": text, "annotations": []}}


def _function(call: OutputItem) -> dict[str, Any]:
    return {"name": call.fields["name"], "arguments": call.written.join()}
