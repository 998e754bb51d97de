"""Read the steps of a run: calls of the application's functions, and of tools that the provider runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

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
from tokenstream.formats._wire.openai_assistants.words import FINAL_STEP_STATUSES
from tokenstream.message import ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenCall, OpenPart
    from tokenstream.formats._kit.parts import Parts

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
        """Add the `tool_calls` of a delta.

        Args:
            step: The step's id.
            items: A list of pieces, each with the index of its call.
        """
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
        """Hand out a complete call, after adding the arguments that no delta has sent.

        Args:
            item: The call; the run waits for its result.
        """
        body = dict_of(item, "function")
        name, arguments = text_of(body, "name") or "", body.get("arguments")
        call = self._calls.get(text_of(item, "id") or "")
        if call is None:
            call = self._open_call(item, name)
        if call is None or call.closed:
            # It has no name, and was reported as unknown; or it was handed out before.
            return
        if isinstance(arguments, str):
            streamed = call.arguments.join()
            if arguments.startswith(streamed):
                self._parts.add_arguments(call, arguments[len(streamed) :])
            else:
                self._parts.note("text_rewritten")
        elif not says_nothing(arguments) and not call.has_arguments:
            self._parts.add_argument_values(call, arguments)
        # The run waits for the result, so nothing more of the call follows.
        self._parts.close_call(call)

    def drop_calls(self, step: str | None = None) -> None:
        """Close the open calls without handing them out: the run does not wait for their results.

        Args:
            step: The id of the step whose calls to close; None for all steps.
        """
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
        if says_nothing(fragment):
            return
        if call.closed:
            self._parts.note("call_after_done")
        elif isinstance(fragment, str):
            self._parts.add_arguments(call, fragment)
        else:
            self._parts.add_argument_values(call, fragment)

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
        if fragment is not None:
            if tool.part.closed:
                self._parts.note("part_after_close")
            else:
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
        if tool is None:
            tool = self._read_provider_tool(key, item)
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
