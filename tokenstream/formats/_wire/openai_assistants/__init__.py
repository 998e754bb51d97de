"""OpenAI Assistants: the events of a run on a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream._basics.untrusted import (
    dict_of,
    dicts_of,
    fields_except,
    index_of,
    is_dict,
    is_list,
    says_nothing,
    text_of,
)
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.openai import usage_of
from tokenstream.formats._wire.openai_assistants.parts import (
    FINAL_STEP_STATUSES,
    FINISH_REASONS,
    INCOMPLETE_REASONS,
    OBJECTS,
    AssistantsContent,
)
from tokenstream.message import ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.formats._kit.open import OpenCall, OpenPart
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

_Key: TypeAlias = "tuple[str, int | str]"
"""A call's key: the id of its step, and its index there."""
_INPUT_FIELDS = ("input", "code", "query", "arguments")
_OUTPUT_FIELDS = ("outputs", "results", "output")


class _ProviderTool:
    """A call of a tool that the provider runs, and the tool's outputs."""

    __slots__ = ("id", "is_reported", "kind", "outputs", "part")

    def __init__(self, part: OpenPart, id: str, kind: str) -> None:
        self.part = part
        self.id = id
        self.kind = kind
        self.outputs: dict[object, tuple[dict[str, Any], list[str]]] = {}
        """Maps the index of an output to its fields and the pieces of its logs."""
        self.is_reported = False
        """True once the result has been reported."""

    @property
    def result(self) -> list[dict[str, Any]]:
        """The outputs, assembled from the deltas."""
        # Code has outputs of two kinds: logs, whose pieces are joined here, and images, which have none.
        return [
            {**fields, "logs": "".join(logs)} if logs else fields for fields, logs in self.outputs.values()
        ]


class AssistantsSteps:
    """The tool calls of a run's steps.

    Args:
        parts: Makes the events.
    """

    __slots__ = ("_calls", "_parts", "_provider_tools")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._calls: dict[_Key | str, OpenCall] = {}
        """Calls of the application's functions; each is stored under its key and under its id."""
        self._provider_tools: dict[_Key, _ProviderTool] = {}

    def read_delta(self, step: str, items: object) -> None:
        """Add the `tool_calls` of a delta."""
        for position, item in enumerate(dicts_of(items)):
            index = index_of(item.get("index"))
            key = (step, index if isinstance(index, int | str) else position)
            if item.get("type") == "function" or is_dict(item.get("function")):
                self._read_function(key, item)
            else:
                self._read_provider_tool(key, item)

    def read_step(self, step: dict[str, Any]) -> None:
        """Read a whole step, except content that deltas have sent; ignore a step that goes on."""
        step_id = text_of(step, "id") or ""
        status = text_of(step, "status")
        if status not in FINAL_STEP_STATUSES:
            return
        for position, item in enumerate(dicts_of(dict_of(step, "step_details").get("tool_calls"))):
            if item.get("type") == "function" or is_dict(item.get("function")):
                # The application answered this call in an earlier stream.
                self._parts.unknown("thread.run.step", step)
            else:
                self._end_provider_tool((step_id, position), item)
        error = step.get("last_error")
        if is_dict(error):
            # The run may go on after a failed step.
            self._parts.field("last_error", error)
        if status != "completed":
            self.drop_calls(step_id)

    def hand_out_call(self, item: dict[str, Any]) -> None:
        """Hand out a complete call, after adding or replacing arguments that the deltas have not told."""
        body = dict_of(item, "function")
        name, arguments = text_of(body, "name") or "", body.get("arguments")
        call = self._calls.get(text_of(item, "id") or "")
        if call is None:
            call = self._open_call(item, name)
        if call is None or call.closed:
            # It has no name, and was reported as unknown; or it was handed out before.
            return
        if isinstance(arguments, str) and arguments:
            # The run waits for the call with these arguments, whatever pieces of it have arrived.
            self._parts.complete_arguments(call, arguments, replaces="all")
        elif not says_nothing(arguments) and not call.has_arguments:
            self._parts.add_fragment(call, arguments)
        # The run waits for the result, so nothing more of the call follows.
        self._parts.close_call(call)

    def drop_calls(self, step: str | None = None) -> None:
        """Close open calls of a step (None: of all) without handing them out: the run awaits no results."""
        for key, call in self._calls.items():
            # Each call is also stored under its id, which is skipped here.
            if isinstance(key, tuple) and step in (None, key[0]):
                self._parts.close_call(call, whole=False)

    def report_results(self) -> None:
        """Close the calls of the provider's tools whose steps did not end, and report the tools' outputs."""
        for tool in self._provider_tools.values():
            self._parts.close(tool.part)
            self._report_result(tool, tool.result)

    # -- the application's functions ---------------------------------------

    def _read_function(self, key: _Key, item: dict[str, Any]) -> None:
        """Add a fragment to a call of the application's function; the first fragment opens the call."""
        body = dict_of(item, "function")
        call = self._calls.get(key)
        if call is None:
            call = self._open_call(item, text_of(body, "name") or "")
            if call is None:
                # Without a name, the item was reported as unknown.
                return
            self._calls[key] = call
        fragment = body.get("arguments")
        if not says_nothing(fragment):
            self._parts.add_fragment(call, fragment)

    def _open_call(self, item: dict[str, Any], name: str) -> OpenCall | None:
        """Open a call of the application's function; without a name, report it as unknown and return None."""
        if not name:
            self._parts.note("call_nameless")
            self._parts.unknown("tool_call", item)
            return None
        call_id = text_of(item, "id")
        data = fields_except(item, "id", "index", "type", "function")
        call = self._parts.open_call(0, call_id, name, provider_data=data)
        if call_id is not None:
            self._calls[call_id] = call
        return call

    # -- tools that the provider runs --------------------------------------

    def _read_provider_tool(self, key: _Key, item: dict[str, Any]) -> _ProviderTool:
        """Add input and outputs to a call of a provider's tool; the first delta opens the call."""
        kind = text_of(item, "type") or ""
        body = dict_of(item, kind)
        tool = self._provider_tools.get(key)
        if tool is None:
            call_id = text_of(item, "id") or ""
            read_here = ("id", "index", "type", kind, *_INPUT_FIELDS, *_OUTPUT_FIELDS)
            data = fields_except({**item, **body}, *read_here)
            part = self._parts.open(0, ServerToolCall(id=call_id, name=kind, provider_data=data))
            tool = self._provider_tools[key] = _ProviderTool(part, call_id, kind)
        fragment = text_of(body, *_INPUT_FIELDS)
        if fragment and tool.part.closed:
            self._parts.note("part_after_close")
        elif fragment:
            self._parts.add(tool.part, fragment)
        for name in _OUTPUT_FIELDS:
            self._add_outputs(tool, body.get(name))
        return tool

    def _add_outputs(self, tool: _ProviderTool, outputs: object) -> None:
        """Add pieces of a tool's outputs; the pieces with one index belong together."""
        for output in dicts_of(outputs):
            index = index_of(output.get("index"))
            # An output without an index is separate from all others; a tuple is never sent as an index.
            key: object = index if isinstance(index, int | str) else (len(tool.outputs),)
            fields, logs = tool.outputs.setdefault(key, ({}, []))
            fields.update(fields_except(output, "index", "logs") or {})
            piece = text_of(output, "logs")
            if piece is not None:
                logs.append(piece)

    def _end_provider_tool(self, key: _Key, item: dict[str, Any]) -> None:
        """Close a call of a provider's tool, and report its result."""
        kind = text_of(item, "type") or ""
        body = dict_of(item, kind)
        tool = self._provider_tools.get(key)
        whole = text_of(body, *_INPUT_FIELDS)
        if tool is None:
            tool = self._read_provider_tool(key, item)
        elif whole is not None and not tool.part.closed:
            # The last pieces may have been lost, or come late.
            self._parts.tell(tool.part, whole, len(whole))
        self._parts.close(tool.part)
        outputs = next((body[name] for name in _OUTPUT_FIELDS if not says_nothing(body.get(name))), None)
        if outputs is None:
            # The step does not repeat the outputs that deltas have sent.
            outputs = tool.result
        self._report_result(tool, outputs)

    def _report_result(self, tool: _ProviderTool, outputs: object) -> None:
        """Report a tool's outputs, unless they are empty or were reported before."""
        if tool.is_reported or says_nothing(outputs):
            return
        tool.is_reported = True
        content = [*outputs] if is_list(outputs) else outputs
        self._parts.whole(0, ServerToolResult(id=tool.id, name=tool.kind, content=content))


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

    def _read_object(self, payload: dict[str, Any], event: str) -> None:
        """Read a payload; if it is an event from the SDK, unwrap the payload first."""
        name, inner = payload.get("event"), payload.get("data")
        # An event from the SDK is an object with two fields: the event's name, and the payload as `data`.
        if isinstance(name, str) and is_dict(inner) and not event:
            super()._read_object(inner, name)
        else:
            if not event and text_of(payload, "object") in _OBJECT_NAMES:
                self.note("event_name_missing")
            super()._read_object(payload, event)

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Pass the content of `payload` to `self.parts`; store a failed run's error in `self.error`."""
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
        """Report the results of the provider's tools and close the open parts, at the end of the input."""
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
