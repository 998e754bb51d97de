"""Spans and metrics of runs, of their turns, subagents and tools, and of the tools that a router runs."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from tokenstream._basics.untrusted import is_dict, text_of
from tokenstream.otel._report import (
    NS_PER_SECOND,
    OTHER,
    Receivers,
    drop_unknown,
    instruments_of,
    run_quietly,
    token_attributes,
)
from tokenstream.steps import Step, Steps, Turn

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from tokenstream.message import Usage
    from tokenstream.otel._attempts import Attributes
    from tokenstream.steps._step import RunNode

_PROVIDERS = {
    "amp": "anthropic",
    "claude-code": "anthropic",
    "codex": "openai",
    "codex-server": "openai",
    "gemini-cli": "gcp.gemini",
}
"""The providers of the models of agents that use those of one provider only."""
_EXCLUDE_CACHE = frozenset({"amp", "claude-code"})
"""Agents that count cached tokens apart from the input tokens, as Anthropic's API does."""


class _SpanData(NamedTuple):
    name: str
    attributes: Attributes
    metric: Literal["turn", "agent", "tool"] | None
    """The kind of the operation, which has a metric of its duration; None for any other step."""


class RunObserver:
    """Reports a run: each step at its top level when it ends, with all that is below.

    Args:
        receivers: OpenTelemetry's providers that receive the report, and its context.
        provider: The provider's name; None to derive it from the agent.
        model: The requested model; None for the one that the agent tells.
        attributes: Further attributes of the spans of turns and subagents.
    """

    def __init__(
        self, receivers: Receivers, *, provider: str | None, model: str | None, attributes: Attributes
    ) -> None:
        self._receivers = receivers
        self._provider, self._model, self._attributes = provider, model, attributes
        self._reported: set[str] = set()
        """The ids of the steps at the top level that were reported."""

    def ended(self, node: RunNode) -> None:
        """Report the step that has ended, or what is left of the run that has ended."""
        # The clock of the run has another zero than that of the spans.
        zero_ns = time.time_ns() - round((node.ended or 0.0) * NS_PER_SECOND)
        steps = node.steps if isinstance(node, Steps) else (node,)
        for step in steps:
            if isinstance(step, Step) and step.id not in self._reported:
                self._reported.add(step.id)
                run_quietly(partial(self._report, step, zero_ns))

    def _report(self, top: Step, zero_ns: int) -> None:
        """Create the spans of a step and of all steps below, and record their metrics."""
        from opentelemetry import trace

        tracer = self._receivers.tracer
        turns = {turn.step.id: turn for turn in top.run.turns}
        # Not recursive: runs may nest deeper than Python's recursion limit.
        waiting: list[tuple[Step, Context]] = [(top, self._receivers.context)]
        while waiting:
            step, context = waiting.pop()
            ended = step.started if step.ended is None else step.ended
            for data in self._describe(step, turns.get(step.id)):
                error = {} if step.state != "failed" else {"error.type": step.error_type or OTHER}
                span = tracer.start_span(
                    data.name,
                    context=context,
                    attributes={**data.attributes, **error},
                    start_time=zero_ns + round(step.started * NS_PER_SECOND),
                )
                if error:
                    span.set_status(trace.StatusCode.ERROR, step.error_type)
                context = trace.set_span_in_context(span, context)
                self._record(data, error, ended - step.started, context)
                span.end(zero_ns + round(ended * NS_PER_SECOND))
            waiting.extend((below, context) for below in reversed(step.steps))

    def _record(self, data: _SpanData, error: dict[str, str], seconds: float, context: Context) -> None:
        instruments, attributes = instruments_of(self._receivers.meters), data.attributes

        def those(*names: str) -> Attributes:
            return {name: attributes[name] for name in names if name in attributes}

        if data.metric == "tool":
            shared = those("gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.agent.name")
            instruments.tool.record(seconds, {**shared, **error}, context)
        elif data.metric is not None:
            shared = those("gen_ai.agent.name", "gen_ai.request.model")
            instruments.agent.record(seconds, {**shared, **error}, context)
        if data.metric != "turn":
            return
        shared = those(
            "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model"
        )
        instruments.record_tokens(attributes, shared, context)

    def _describe(self, step: Step, turn: Turn | None) -> list[_SpanData]:
        """Return the data of the spans of a step, the outer one first: two for a tool that is an agent."""
        run = step.run
        session = run.session if turn is None else turn.session
        conversation = drop_unknown({"gen_ai.conversation.id": session})
        above = None if step.parent is None else step.parent.agent
        is_agent = turn is not None or (step.agent is not None and step.agent != above)
        spans: list[_SpanData] = []
        if step.cause is not None:
            tool: Attributes = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": step.cause.name,
                # The conventions call it so if the agent runs the tool, and not its client.
                "gen_ai.tool.type": "function" if run.agent is None else "extension",
                "gen_ai.tool.call.id": step.cause.id,
                **drop_unknown({"gen_ai.agent.name": above}),
                **conversation,
            }
            spans.append(_SpanData(f"execute_tool {step.cause.name}", tool, "tool"))
            # A tool with answers of its own is an agent.
            is_agent = is_agent or bool(step.messages)
        if is_agent:
            name = _name_of(step)
            agent = self._describe_agent(step, turn, name) | conversation
            title = "invoke_agent" if name is None else f"invoke_agent {name}"
            spans.append(_SpanData(title, agent, "agent" if turn is None else "turn"))
        return spans or [_SpanData(step.name, conversation, None)]

    def _describe_agent(self, step: Step, turn: Turn | None, name: str | None) -> Attributes:
        """Return the attributes of a turn or of a subagent."""
        run, message = step.run, step.message
        usage: Usage = step.total_usage if turn is None or not turn.usage else turn.usage
        known = {
            "gen_ai.agent.name": name,
            "gen_ai.request.model": self._model or run.model,
            "gen_ai.response.model": None if message is None else message.model,
            "tokenstream.cost": None if turn is None else turn.cost,
        }
        return {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": self._provider or _PROVIDERS.get(run.agent or "", OTHER),
            **drop_unknown(known),
            **token_attributes(usage or None, "anthropic" if run.agent in _EXCLUDE_CACHE else None),
            "tokenstream.state": step.state,
            **self._attributes,
        }


def _name_of(step: Step) -> str | None:
    """Return the name of the agent that a step runs; None if it is not known."""
    if step.cause is not None:
        # The tools with which Claude Code and opencode call agents have it as an argument.
        arguments: object = step.cause.arguments
        named = text_of(arguments, "subagent_type") if is_dict(arguments) else None
        if named:
            return named
    return step.agent


if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tokenstream.message import ToolCall
    from tokenstream.otel._attempts import Attributes

    Around: TypeAlias = Callable[[ToolCall], AbstractContextManager[Any]]


def around_tools(receivers: Receivers, inner: Around | None) -> Around:
    """Return a function that gives, for a tool call, a context manager with the call's span as current."""

    @contextmanager
    def around(call: ToolCall) -> Generator[Any]:
        """Report the run of a tool call; yield the value of the inner context manager, or None."""
        running = _RunningTool(receivers, call)
        run_quietly(running.start_span)
        try:
            with nullcontext() if inner is None else inner(call) as entered:
                yield entered
        except BaseException as error:
            # A cancellation is the tool's error, too.
            running.error_type = type(error).__name__
            raise
        finally:
            run_quietly(running.report)

    return around


class _RunningTool:
    """Reports one run of a tool as a span, which is current while the tool runs, and as a metric."""

    def __init__(self, receivers: Receivers, call: ToolCall) -> None:
        self._receivers = receivers
        self._attributes: Attributes = {"gen_ai.tool.name": call.name, "gen_ai.tool.type": "function"}
        self._own_attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.id": call.id}
        self._span: Any = None
        self._context_token: Any = None
        """Restores the context that was current before the span; None if the span was not started."""
        self._started = time.perf_counter()
        self._started_ns = time.time_ns()
        self.error_type: str | None = None
        """Class name of the tool's exception; None if the tool has not failed."""

    def start_span(self) -> None:
        """Start the span and make it current."""
        from opentelemetry import context, trace

        self._span = self._receivers.tracer.start_span(
            f"execute_tool {self._attributes['gen_ai.tool.name']}",
            context=self._receivers.context,
            attributes={**self._own_attributes, **self._attributes},
            start_time=self._started_ns,
        )
        self._context_token = context.attach(trace.set_span_in_context(self._span))

    def report(self) -> None:
        """Restore the context that was current before `start_span`, end the span and record its duration."""
        from opentelemetry import context as contexts
        from opentelemetry import trace

        seconds = time.perf_counter() - self._started
        if self._context_token is not None:
            run_quietly(lambda: contexts.detach(self._context_token))
        attributes, context = self._attributes, self._receivers.context
        if self.error_type is not None:
            attributes = {**attributes, "error.type": self.error_type}
        # The span is missing if OpenTelemetry failed to start it.
        if self._span is not None:
            context = trace.set_span_in_context(self._span, context)
            self._span.set_attributes(attributes)
            if self.error_type is not None:
                self._span.set_status(trace.StatusCode.ERROR, self.error_type)
            run_quietly(lambda: self._span.end(self._started_ns + round(seconds * 1e9)))
        instruments_of(self._receivers.meters).tool.record(seconds, attributes, context)
