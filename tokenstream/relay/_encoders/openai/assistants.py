"""Encoder for OpenAI's Assistants: the events of a run, its steps and its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from tokenstream._basics.deprecated import warn_deprecated
from tokenstream.events import Finish
from tokenstream.relay._encoders.openai.items import CALLS, ItemEncoder
from tokenstream.relay._encoders.openai.shared import (
    CREATED,
    CountPaths,
    make_error,
    make_usage_report,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import ErrorKind
    from tokenstream.message import FinishReason
    from tokenstream.relay._encoders.encoder import Payload, Payloads
    from tokenstream.relay._encoders.openai.items import OutputItem
    from tokenstream.turns import Drop, Kind

_ASSISTANT, _THREAD = "asst_1", "thread_1"
_EXPIRES = CREATED + 600
_COUNT_PATHS: CountPaths = {
    "input_tokens": ("prompt_tokens",),
    "output_tokens": ("completion_tokens",),
    "total_tokens": ("total_tokens",),
    # This is no typing error: Assistants spell this name with "token", and all similar names with "tokens".
    "cached_tokens": ("prompt_token_details", "cached_tokens"),
    "reasoning_tokens": ("completion_tokens_details", "reasoning_tokens"),
}


class _Statuses(NamedTuple):
    """The statuses of the run, of its open step and of its open message when the answer ends."""

    run: str
    step: str
    """The status of the open step."""
    message: str
    """The status of the open message."""
    incomplete_reason: str | None = None
    """The reason why the message is incomplete; None if it is complete."""


_STATUSES: dict[FinishReason, _Statuses] = {
    "stop": _Statuses("completed", "completed", "completed"),
    "tool_calls": _Statuses("requires_action", "completed", "completed"),
    "length": _Statuses("incomplete", "completed", "incomplete", "max_tokens"),
    "content_filter": _Statuses("incomplete", "completed", "incomplete", "content_filter"),
    "cancelled": _Statuses("cancelled", "cancelled", "incomplete", "run_cancelled"),
}
_RUN_REASONS = {"max_tokens": "max_completion_tokens", "content_filter": "content_filter"}
"""Maps the reason why a message is incomplete to the reason why its run is incomplete."""


class OpenAIAssistantsEncoder(ItemEncoder):
    """Encodes an answer as a run: each text is a step with a message, and all calls are one step."""

    name: ClassVar[str] = "openai-assistants"
    default_id: ClassVar[str] = "run_1"
    expresses: ClassVar[frozenset[Kind]] = frozenset({"text", "refusal", "tool_call"})
    counts: ClassVar[frozenset[str]] = frozenset(_COUNT_PATHS)
    words: ClassVar[Mapping[FinishReason, str]] = {
        reason: statuses.run for reason, statuses in _STATUSES.items()
    }

    def __init__(self, *, drop: Drop = ()) -> None:
        super().__init__(drop=drop)
        warn_deprecated(
            "writing the format 'openai-assistants' is deprecated, since OpenAI's Assistants API ended on "
            "2026-08-26: take 'openai-responses' or 'tokenstream'"
        )
        self._calls: list[OutputItem] = []
        """The items of all calls so far."""
        self._calls_step_id = ""
        """The id of the step that all calls share."""
        self._end_reason: FinishReason = "stop"
        """The finish reason that applies to the items that are still open at the end."""

    def keep_finish(self, event: Finish) -> Payloads:
        """Keep the finish reason, which is sent at the end; return no payloads.

        If the answer has a complete call, "stop" becomes "tool_calls": only a run with this reason lets its
        reader run the calls.

        Raises:
            NotExpressible: The format has no word for the reason; or the answer has a complete call, which
                the reader would not run because of the reason; and `drop` does not allow the loss.
        """
        reason = self.choose_reason(event.reason)
        if any(call.is_complete for call in self._calls):
            if reason == "stop":
                event = Finish("tool_calls", event.raw_reason)
            elif reason != "tool_calls":
                self.require_drop_of_call(reason)
        return super().keep_finish(event)

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """Return an `error` event."""
        return [("error", make_error(kind, message, code))]

    # -- the run -----------------------------------------------------------------

    def encode_head(self) -> Payloads:
        """Return a `thread.run.created`, a `thread.run.queued` and a `thread.run.in_progress`."""
        for word, status in (("created", "queued"), ("queued", "queued"), ("in_progress", "in_progress")):
            yield f"thread.run.{word}", self._run_json(status)

    def encode_tail(self) -> Payloads:
        """Return the ends of all open items and of the run, and the sentinel."""
        self._end_reason = self.choose_reason(self.finishes[0].reason)
        yield from super().encode_tail()
        yield "done", "[DONE]"

    def encode_ending(self, finish: Finish) -> Payloads:
        """Return the run with its status, the token counts, and the required calls."""
        statuses = _STATUSES[self.choose_reason(finish.reason)]
        status = statuses.run
        run = self._run_json(status)
        run["usage"] = make_usage_report(self.usage, _COUNT_PATHS)
        if status == "requires_action":
            calls = [
                {"id": call.fields["call_id"], "type": "function", "function": _function_json(call)}
                for call in self._calls
                if call.is_complete
            ]
            run["required_action"] = {
                "type": "submit_tool_outputs",
                "submit_tool_outputs": {"tool_calls": calls},
            }
        elif status == "incomplete":
            # Every incomplete status has a reason; "" only satisfies the type checker.
            run["incomplete_details"] = {"reason": _RUN_REASONS[statuses.incomplete_reason or ""]}
        else:
            # The time in the field of this status, such as `completed_at`.
            run[f"{status}_at"] = CREATED
        yield f"thread.run.{status}", run

    def _run_json(self, status: str) -> dict[str, Any]:
        """Return the run as JSON, without token counts and required actions."""
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
            yield from self._begin_call(item)
            return
        item.id = f"msg_{item.index + 1}"
        yield from self._begin_step(item)
        for word in ("created", "in_progress"):
            yield f"thread.message.{word}", self._message_json(item, "in_progress")

    def encode_piece(self, item: OutputItem, text: str) -> Payloads:
        """Return a delta of a text's message, or for a call's arguments a delta of the calls' shared step."""
        if item.kind in CALLS:
            return [self._call_delta(item, {"arguments": text})]
        content = {"index": 0, **_content_json(item.kind, text)}
        delta = {"id": item.id, "object": "thread.message.delta", "delta": {"content": [content]}}
        return [("thread.message.delta", delta)]

    def encode_end(self, item: OutputItem, status: str) -> Payloads:
        """Return the whole message for a text, and the end of its step.

        A call has no end of its own: the step that all calls share ends with the run.
        """
        if item.kind in CALLS:
            return
        # An item that was cut off has the status that the answer's finish reason implies.
        statuses = _STATUSES[self._end_reason if status == "incomplete" else "stop"]
        message = self._message_json(item, statuses.message)
        message["content"] = [_content_json(item.kind, item.text.join())]
        reason = statuses.incomplete_reason
        message["incomplete_details"] = None if reason is None else {"reason": reason}
        message["completed_at" if reason is None else "incomplete_at"] = CREATED
        yield f"thread.message.{statuses.message}", message
        step = self._step_json(item)
        step |= {"status": statuses.step, f"{statuses.step}_at": CREATED}
        yield f"thread.run.step.{statuses.step}", step

    def _begin_step(self, item: OutputItem) -> Payloads:
        """Return the events for the start of an item's step."""
        for word in ("created", "in_progress"):
            yield f"thread.run.step.{word}", self._step_json(item)

    def _begin_call(self, item: OutputItem) -> Payloads:
        """Return the events that start a call; for the first call, also those that start their step.

        A step is a run step of the Assistants API here; one of them holds all calls of an answer.
        """
        if not self._calls:
            self._calls_step_id = f"step_{item.index + 1}"
            yield from self._begin_step(item)
        item.id = str(len(self._calls))
        self._calls.append(item)
        function = {"name": item.fields["name"], "arguments": "", "output": None}
        yield self._call_delta(item, function, id=item.fields["call_id"])

    def _call_delta(self, item: OutputItem, function: dict[str, Any], **fields: str) -> Payload:
        """Return a delta of the step that holds all calls, with new values of one call's fields."""
        # The id of a call's item is the index among the calls.
        call = {"index": int(item.id), **fields, "type": "function", "function": function}
        details = {"type": "tool_calls", "tool_calls": [call]}
        delta = {
            "id": self._calls_step_id,
            "object": "thread.run.step.delta",
            "delta": {"step_details": details},
        }
        return "thread.run.step.delta", delta

    def _step_json(self, item: OutputItem) -> dict[str, Any]:
        """Return the step for an item as JSON, with status "in_progress"."""
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

    def _message_json(self, item: OutputItem, status: str) -> dict[str, Any]:
        """Return the message for a text as JSON, without its content."""
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


def _content_json(kind: str, text: str) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "text", "text": {"value": text, "annotations": []}}


def _function_json(call: OutputItem) -> dict[str, Any]:
    return {"name": call.fields["name"], "arguments": call.text.join()}
