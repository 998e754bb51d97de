"""Reads the events of LangGraph's runs, of a graph in the program or of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream._basics.untrusted import dict_of, is_dict, is_list, text_of, text_or_empty
from tokenstream.errors import StreamError, StreamTruncated
from tokenstream.formats._kit.values import json_text
from tokenstream.formats._wire.langchain.graph_parts import (
    is_callback_event,
    is_of_server,
    message_event_in,
    open_part,
    source_of,
)
from tokenstream.formats._wire.langchain.protocol import RUN_ENDS, is_graph_event, mixed_error, result_of_tool
from tokenstream.formats._wire.langchain.protocol_blocks import FINISH, START, OpenMessage, OpenMessages
from tokenstream.steps._agents import AgentReader
from tokenstream.steps._agents.values import interrupts_of
from tokenstream.steps._langchain import LangChainRun
from tokenstream.steps._model_answer import ModelAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream._basics.loose import JsonObject
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

Namespace = tuple[str, ...]
"""The path of a subgraph: the nodes in which it and those above it run, each with the id of its task."""

_Key: TypeAlias = "tuple[Namespace, OpenMessage]"
_EVENTS, _MESSAGE = "langchain-protocol", "langchain"
"""The formats of a model's events, and of a whole message."""


class LangGraphRun(AgentReader):
    """Reads LangGraph's runs: a run is a turn, and the subgraphs and agents in it are sub-steps.

    What a server sends at `runs/stream` is read as what the graph streams in the program.

    | event | is read as |
    |---|---|
    | `messages` | pieces of an answer of the graph in whose namespace the model runs |
    | `tools` | the beginning, the output and the end of a tool, which is a sub-step |
    | `lifecycle` of a subgraph | the beginning and the end of its sub-step, below the tool that called it |
    | `lifecycle` of the whole graph, which only a server sends | the beginning and the end of the turn |
    | `input.requested`, interrupts in `values` | a request that waits for your answer |
    """

    name = "langgraph"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._steps: dict[Namespace, Step] = {}
        self._called_by: dict[Namespace, str] = {}
        """The ids of the tool calls that have begun these subgraphs, by their namespaces."""
        self._messages: dict[Namespace, OpenMessages] = {}
        self._answers: dict[_Key, ModelAnswer] = {}
        """The answers in progress, by their namespaces and messages."""
        self._beside: set[_Key] = set()
        """The keys of the answers that have steps of their own, since another model answers at that time."""
        self._server_ends_run = False
        """True if the events say when the run begins, and so also when it ends."""
        self._cut: StreamError | None = None
        """The error of the last answer of the whole graph, if that answer was cut off or has failed."""
        self._parts: LangChainRun | None = None
        """Reads a server's older stream."""

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        return is_graph_event(line) or is_callback_event(line) or is_of_server(line)

    def read(self, line: JsonObject) -> None:
        if self._parts is None and not is_graph_event(line) and self.recognises(line):
            self._parts = LangChainRun(self._run)
        if self._parts is not None:
            self._parts.read_event({"type": "", "ns": (), "data": open_part(line)[1]})
            return
        params = dict_of(line, "params")
        reader = self._READERS.get(text_or_empty(line, "method"))
        if reader is None or self._is_repeated(text_of(line, "event_id")):
            return
        path: object = params.get("namespace")
        namespace = tuple([str(name) for name in path]) if is_list(path) else ()
        if self._turn is None and self._server_ends_run and not _begins_run(line, namespace):
            # A line between two runs is part of no turn.
            return
        reader(self, namespace, params, line)

    @property
    def _asker(self) -> str:
        """The name of what stops to ask: a graph, whatever session another agent has begun in the run."""
        return f"{self.name} "

    def end_open_turn(self, exit_code: int | None) -> StreamError | None:
        """End the turn that is still open, since no more events come; return its error, or None.

        A graph in the program has no event for its end: it has ended, unless an answer is open.
        """
        turn, cut = self._turn, self._end_answers()
        if self._parts is not None:
            return self._parts.end(None)
        if turn is None:
            return super().end_open_turn(exit_code)
        if cut is None and self._server_ends_run:
            cut = self._truncation_of(turn)
        elif cut is None:
            self._finish(self._cut)
            return None
        cut.partial = self._find_partial(turn, "truncated" if isinstance(cut, StreamTruncated) else "failed")
        self._finish(cut)
        return cut

    def stop(self, error: BaseException) -> None:
        if self._parts is not None:
            self._parts.end(error)
        super().stop(error)

    # -- the graph and its subgraphs -----------------------------------------

    def _read_lifecycle(self, namespace: Namespace, params: JsonObject, line: JsonObject) -> None:
        data = dict_of(params, "data")
        # In Python, the namespace of a subgraph is in the data.
        path = data.get("namespace")
        namespace = tuple([str(name) for name in path]) if is_list(path) and path else namespace
        state, error = text_or_empty(data, "event"), text_of(data, "error")
        if not namespace:
            self._server_ends_run = True
            self._open_turn_of_session()
            if state in RUN_ENDS:
                cut = self._end_answers()
                may_wait = state != "completed"
                self._finish(
                    self._failure(error) if state == "failed" else cut or self._cut, may_wait=may_wait
                )
        elif state not in RUN_ENDS:
            self._find_step(namespace, text_of(data, "graph_name"), dict_of(data, "cause"))
        else:
            step = self._steps.get(namespace)
            if state == "interrupted" and step is not None:
                self._run.requests.hold(step, self._asker)
            self._end_subgraph(namespace, self._failure(error) if state == "failed" else None)

    def _find_step(self, namespace: Namespace, name: str | None = None, cause: Any = None) -> Step:  # noqa: ANN401
        """Return the step of a namespace; begin it below the tool that has called it, or below its parent."""
        if not namespace:
            return self._turn_step
        step = self._steps.get(namespace)
        if step is None or step.ended is not None:
            call_id = text_of(cause, "tool_call_id") if is_dict(cause) else None
            tool = None if call_id is None else self._tools.get(call_id)
            if call_id is not None and tool is not None:
                self._called_by[namespace] = call_id
            above = tool or self._find_step(namespace[:-1])
            step = self._steps[namespace] = above.step(name or namespace[-1].partition(":")[0], agent=name)
        return step

    def _end_subgraph(self, namespace: Namespace, error: StreamError | None) -> None:
        step = self._steps.pop(namespace, None)
        self._called_by.pop(namespace, None)
        self._messages.pop(namespace, None)
        cut = self._end_answers(namespace)
        if step is not None and step.ended is None:
            step.end(error or cut)

    def _finish(self, error: StreamError | None, *, may_wait: bool = True) -> None:
        """End the turn; one that has asked, and may still wait for the answer, waits."""
        if error is None and may_wait:
            self._hold_tools()
        for namespace in sorted(self._steps, key=len, reverse=True):
            self._end_subgraph(namespace, error)
        self._end_turn(error)

    def _forget_turn(self) -> None:
        self._steps.clear()
        self._called_by.clear()
        self._messages.clear()
        self._answers.clear()
        self._beside.clear()
        self._cut = None

    # -- answers -------------------------------------------------------------

    def _read_message(self, namespace: Namespace, params: JsonObject, line: JsonObject) -> None:
        """Begin, continue or end an answer of the model that runs in a namespace."""
        event, metadata = message_event_in(line)
        node = text_of(params, "node") or text_of(metadata, "langgraph_node")
        if not is_dict(event):
            self._read_whole_message(namespace, event)
            return
        messages = self._messages.setdefault(namespace, OpenMessages())
        message = messages.place(event, source_of(line, metadata))
        if message is None or not message.is_answer:
            # The rest of a message whose start is missing, or a message that is no model's.
            return
        key, kind = (namespace, message), text_of(event, "event")
        if message.is_mixed:
            self._end_mixed(is_start=kind == START and not namespace)
            return
        answer = self._answers.get(key)
        if kind == START and answer is None:
            answer = self._begin_answer(key, node, text_of(metadata, "lc_agent_name"))
        if answer is None:
            # The rest of an answer that is over.
            return
        answer.read_piece(event)
        if kind in (FINISH, "error") or answer.is_over:
            self._end_answer(key)

    def _end_mixed(self, *, is_start: bool) -> None:
        """End the answers of which nothing tells whose the pieces are."""
        for key in [key for key in self._answers if key[1].is_mixed]:
            self._answers[key].fail()
            self._end_answer(key, mixed_error())
        if is_start:
            self._cut = mixed_error()

    def _begin_answer(self, key: _Key, node: str | None, agent: str | None) -> ModelAnswer:
        """Begin an answer in the step of its namespace, or in a step below if that has an open answer."""
        namespace = key[0]
        step = self._find_step(namespace, agent if namespace else None)
        if any(each.step is step for each in self._answers.values()):
            step = step.step(node or "model", agent=agent)
            self._beside.add(key)
        self._answers[key] = ModelAnswer(step, _EVENTS, [])
        return self._answers[key]

    def _read_whole_message(self, namespace: Namespace, message: object) -> None:
        """Read a message that a node has returned whole, as an object of LangChain."""
        if getattr(message, "type", None) == "ai":
            answer = ModelAnswer(self._find_step(namespace), _MESSAGE, [])
            answer.read_piece(message)
            answer.end()

    def _end_answer(self, key: _Key, error: StreamError | None = None) -> StreamError | None:
        answer = self._answers.pop(key)
        error = error or answer.end() or answer.error
        if key in self._beside:
            self._beside.discard(key)
            answer.step.end(error)
        if not key[0]:
            self._cut = error
        return error

    def _end_answers(self, below: Namespace = ()) -> StreamError | None:
        """End the answers in a namespace, and below it, that no event has ended; return the first error."""
        keys = [key for key in self._answers if key[0][: len(below)] == below]
        errors = [self._end_answer(key) for key in keys]
        return next((error for error in errors if error is not None), None)

    # -- tools and requests --------------------------------------------------

    def _read_tool(self, namespace: Namespace, params: JsonObject, line: JsonObject) -> None:
        data = dict_of(params, "data")
        id, kind = text_or_empty(data, "tool_call_id"), text_of(data, "event")
        if kind == "tool-started":
            arguments = json_text(data["input"]) if "input" in data else None
            name, parent = text_of(data, "tool_name") or "tool", self._find_step(namespace)
            self._begin_tool(id, name, arguments, parent=parent).provider_executed = False
        elif kind == "tool-output-delta":
            step, delta = self._tools.get(id), data.get("delta")
            if step is not None and step.ended is None:
                step.add_output(delta if isinstance(delta, str) else json_text(delta))
        elif kind in ("tool-finished", "tool-error"):
            output, failure = result_of_tool(data)
            # In Python, the end of a subagent follows that of the tool that has called it.
            for path in [path for path, call_id in self._called_by.items() if call_id == id]:
                self._end_subgraph(path, None)
            self._end_tool(id, output, failure=failure)

    def _read_request(self, namespace: Namespace, params: JsonObject, line: JsonObject) -> None:
        data = dict_of(params, "data")
        self._ask(namespace, text_of(data, "interrupt_id"), data.get("payload"))

    def _read_state(self, namespace: Namespace, params: JsonObject, line: JsonObject) -> None:
        """Report the requests that the state of a graph has, in Python."""
        if self._turn is None:
            # A run without answers has no other event.
            self._run.requests.resumed_by(self._asker)
        for id, value in interrupts_of(params.get("interrupts")):
            self._ask(namespace, id, value)

    def _ask(self, namespace: Namespace, id: str | None, payload: object) -> None:
        """Report a request that waits; it is answered by the next run of the thread."""
        step = self._find_step(namespace)
        if id is not None and step.ended is None:
            step.wait_for(id, payload)

    _READERS: ClassVar[Mapping[str, Callable[[Any, Namespace, JsonObject, JsonObject], None]]] = {
        "messages": _read_message,
        "tools": _read_tool,
        "lifecycle": _read_lifecycle,
        "input.requested": _read_request,
        "values": _read_state,
    }
    """The methods that read events, by their methods in the protocol."""


def _begins_run(line: JsonObject, namespace: Namespace) -> bool:
    data = dict_of(dict_of(line, "params"), "data")
    is_of_run = line.get("method") == "lifecycle" and not namespace and not data.get("namespace")
    return is_of_run and text_of(data, "event") not in RUN_ENDS
