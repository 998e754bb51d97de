"""The steps of a run: calls of the application's functions, and of tools that the provider runs."""

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
from tokenstream.formats._wire.openai_assistants.words import WHOLE_STEPS
from tokenstream.message import ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenCall, OpenPart
    from tokenstream.formats._kit.parts import Parts

_Key: TypeAlias = "tuple[str, int | str]"
_INPUTS = ("input", "code", "query", "arguments")
_RESULTS = ("outputs", "results", "output")


class _HostedTool:
    """A call of a tool that the provider runs, and the tool's outputs."""

    __slots__ = ("given", "id", "kind", "outputs", "part")

    def __init__(self, part: OpenPart, id: str, kind: str) -> None:
        self.part = part
        self.id = id
        self.kind = kind
        self.outputs: dict[object, tuple[dict[str, Any], list[str]]] = {}
        """Maps the index of an output to its fields and the pieces of its logs."""
        self.given = False
        """True once the result has been reported."""

    @property
    def result(self) -> list[dict[str, Any]]:
        """The outputs, assembled from the deltas."""
        return [
            {**fields, "logs": "".join(logs)} if logs else fields for fields, logs in self.outputs.values()
        ]


class AssistantsSteps:
    """The tool calls of a run's steps; the key of a call is its step's id and its index there.

    Args:
        parts: Makes the events.
    """

    __slots__ = ("_calls", "_parts", "_tools")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._calls: dict[_Key | str, OpenCall] = {}
        """Calls of the application's functions; each is stored under its key and under its id."""
        self._tools: dict[_Key, _HostedTool] = {}

    def read_delta(self, step: str, items: object) -> None:
        """Add the `tool_calls` of a delta.

        Args:
            step: The step's id.
            items: A list of pieces, each with the index of its call.
        """
        for place, item in enumerate(dicts_of(items)):
            index = index_of(item.get("index"))
            key = (step, index if isinstance(index, int | str) else place)
            if item.get("type") == "function" or is_dict(item.get("function")):
                self._read_function(key, item)
            else:
                self._read_tool(key, item)

    def read_step(self, step: dict[str, Any]) -> None:
        """Read a whole step, except content that deltas have sent."""
        name = text_of(step, "id") or ""
        status = text_of(step, "status")
        if status not in WHOLE_STEPS:
            return
        for place, item in enumerate(dicts_of(dict_of(step, "step_details").get("tool_calls"))):
            if item.get("type") == "function" or is_dict(item.get("function")):
                # The application answered this call in an earlier stream.
                self._parts.unknown("thread.run.step", step)
            else:
                self._end_tool((name, place), item)
        error = step.get("last_error")
        if is_dict(error):
            # The run may go on after a failed step.
            self._parts.field("last_error", error)
        if status != "completed":
            self.drop_calls(name)

    def take_whole(self, item: dict[str, Any]) -> None:
        """Hand out a complete call: the run waits for its result."""
        body = dict_of(item, "function")
        name, arguments = text_of(body, "name") or "", body.get("arguments")
        call = self._calls.get(text_of(item, "id") or "")
        if call is None:
            call = self._open(item, name)
        if call is None or call.closed:
            return
        if isinstance(arguments, str):
            sent = call.arguments.join()
            if arguments.startswith(sent):
                self._parts.add_arguments(call, arguments[len(sent) :])
            else:
                self._parts.note("text_rewritten")
        elif not says_nothing(arguments) and not call.has_arguments:
            self._parts.add_argument_values(call, arguments)
        self._parts.close_call(call)

    def drop_calls(self, step: str | None = None) -> None:
        """Close the open calls without handing them out: the run does not wait for their results.

        Args:
            step: The id of the step whose calls to close; None for all steps.
        """
        for key, call in self._calls.items():
            if isinstance(key, tuple) and step in (None, key[0]):
                self._parts.close_call(call, whole=False)

    def give_results(self) -> None:
        """Report the outputs of tools whose steps did not end."""
        for tool in self._tools.values():
            self._parts.close(tool.part)
            self._give_result(tool, tool.result)

    # -- the application's functions ---------------------------------------

    def _read_function(self, key: _Key, item: dict[str, Any]) -> None:
        """Add a fragment to a call of the application's function; the first fragment opens the call."""
        body = dict_of(item, "function")
        call = self._calls.get(key)
        if call is None:
            call = self._open(item, text_of(body, "name") or "")
            if call is None:
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

    def _open(self, item: dict[str, Any], name: str) -> OpenCall | None:
        """Open a call of the application's function; None if it has no name."""
        if not name:
            self._parts.note("call_nameless")
            self._parts.unknown("tool_call", item)
            return None
        given = text_of(item, "id")
        call = self._parts.open_call(
            0, given, name, provider_data=fields_except(item, "id", "index", "type", "function")
        )
        if given is not None:
            self._calls[given] = call
        return call

    # -- tools that the provider runs --------------------------------------

    def _read_tool(self, key: _Key, item: dict[str, Any]) -> _HostedTool:
        """Add input and outputs to a call of a provider's tool, which the first delta opens."""
        kind = text_of(item, "type") or ""
        body = dict_of(item, kind)
        tool = self._tools.get(key)
        if tool is None:
            call = text_of(item, "id") or ""
            data = fields_except({**item, **body}, "id", "index", "type", kind, *_INPUTS, *_RESULTS)
            part = self._parts.open(0, ServerToolCall(id=call, name=kind, provider_data=data))
            tool = self._tools[key] = _HostedTool(part, call, kind)
        fragment = text_of(body, *_INPUTS)
        if fragment is not None:
            if tool.part.closed:
                self._parts.note("part_after_close")
            else:
                self._parts.add(tool.part, fragment)
        for name in _RESULTS:
            self._add_outputs(tool, body.get(name))
        return tool

    def _add_outputs(self, tool: _HostedTool, outputs: object) -> None:
        """Add pieces of a tool's outputs; the pieces with one index belong together."""
        for output in dicts_of(outputs):
            index = index_of(output.get("index"))
            key: object = index if isinstance(index, int | str) else (len(tool.outputs),)
            fields, logs = tool.outputs.setdefault(key, ({}, []))
            fields.update(fields_except(output, "index", "logs") or {})
            piece = text_of(output, "logs")
            if piece is not None:
                logs.append(piece)

    def _end_tool(self, key: _Key, item: dict[str, Any]) -> None:
        """Close a call of a provider's tool, and report its result."""
        kind = text_of(item, "type") or ""
        body = dict_of(item, kind)
        tool = self._tools.get(key)
        if tool is None:
            tool = self._read_tool(key, item)
        self._parts.close(tool.part)
        outputs = next((body[name] for name in _RESULTS if not says_nothing(body.get(name))), None)
        if outputs is None:
            outputs = tool.result
        self._give_result(tool, outputs)

    def _give_result(self, tool: _HostedTool, outputs: object) -> None:
        if tool.given or says_nothing(outputs):
            return
        tool.given = True
        content = [*outputs] if is_list(outputs) else outputs
        self._parts.whole(0, ServerToolResult(id=tool.id, name=tool.kind, content=content))
