"""AG-UI 1.0: the events of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._json import decode
from tokenstream.errors import ProtocolError
from tokenstream.events import ToolCallDelta
from tokenstream.relay.encoders._named import NamedEncoder
from tokenstream.relay.encoders._pieces import keeping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import ErrorKind
    from tokenstream.events import Event, StepDone, StepStart, ToolCallDone, ToolCallStart
    from tokenstream.message import FinishReason
    from tokenstream.relay.encoders._encoder import Payload, Payloads
    from tokenstream.relay.encoders._named import NamedKind, Opened
    from tokenstream.relay.encoders._pieces import Wrap
    from tokenstream.turns import Kind

__all__ = ["AGUI"]

_COUNTS = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "total_tokens": "totalTokens",
    "reasoning_tokens": "reasoningTokens",
    "cached_tokens": "cachedInputTokens",
    "cache_write_tokens": "cacheWriteInputTokens",
}
"""AG-UI's names of token counts."""
_MESSAGES: dict[NamedKind, str] = {"text": "TEXT_MESSAGE", "reasoning": "REASONING_MESSAGE"}
_ROLES: dict[NamedKind, str] = {"text": "assistant", "reasoning": "reasoning"}
_PAUSED = {"type": "interrupt", "interrupts": [{"id": "interrupt-1", "reason": "pause"}]}
"""An outcome that waits for something has to say what it waits for."""


class AGUI(NamedEncoder):
    """Writes the events of one run."""

    name: ClassVar[str] = "ag-ui"
    made_up: ClassVar[str] = "run-1"
    expresses: ClassVar[frozenset[Kind]] = frozenset({"text", "reasoning", "tool_call"})
    counts: ClassVar[frozenset[str]] = frozenset(_COUNTS)
    words: ClassVar[Mapping[FinishReason, str]] = {
        "stop": "success",
        "pause": "interrupt",
        "cancelled": "cancelled",
    }
    prefixes: ClassVar[dict[NamedKind, str]] = {"text": "msg-", "reasoning": "reasoning-"}

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(**options)
        self._calls: dict[str, list[str]] = {}
        """The arguments of the calls that are open, by their ids."""
        self._run: dict[str, str] = {}
        """What names the run, the same at its start and at its end."""
        self._steps: dict[str, str] = {}
        """The names under which the steps were told that are open, by their ids."""

    def head(self) -> Payloads:
        """The run begins."""
        self._run = {"threadId": "thread-1", "runId": self.answer_id}
        return [("", {"type": "RUN_STARTED", **self._run, "protocolVersion": "1.0"})]

    def begun(self, part: Opened) -> list[Payload]:
        """The start of a message, and of the span of reasoning around it."""
        kind = part.kind
        start = {"type": f"{_MESSAGES[kind]}_START", "messageId": part.id, "role": _ROLES[kind]}
        return [*_span(part, "START"), ("", start)]

    def more(self, part: Opened, text: str) -> Payload:
        """A piece of a message."""
        return "", {"type": f"{_MESSAGES[part.kind]}_CONTENT", "messageId": part.id, "delta": text}

    def ended(self, part: Opened) -> list[Payload]:
        """The end of a message, and of the span of reasoning around it."""
        end = ("", {"type": f"{_MESSAGES[part.kind]}_END", "messageId": part.id})
        sealed = {"subtype": "message", "entityId": part.id, "encryptedValue": part.redacted}
        sealing = [("", {"type": "REASONING_ENCRYPTED_VALUE", **sealed})] if part.redacted else []
        return [*sealing, end, *_span(part, "END")]

    def sign(self, part: Opened, *pieces: str) -> None:
        """Refuse a signature, for which there is no place."""
        self.omit("a signature of reasoning", "signature")

    def call(self, event: ToolCallStart) -> Payloads:
        """A call begins."""
        self._calls[event.id] = []
        start = {"type": "TOOL_CALL_START", "toolCallId": event.id, "toolCallName": event.name}
        return [*self.ahead(), ("", start)]

    def arguments(self, event: ToolCallDelta) -> Payloads:
        """A fragment of a call's arguments."""
        self._calls[event.id].append(event.fragment)
        return [("", {"type": "TOOL_CALL_ARGS", "toolCallId": event.id, "delta": event.fragment})]

    def wrap(self, event: Event, head: bytes, tail: bytes) -> Wrap:
        """Keep the arguments of a call."""
        wrap = super().wrap(event, head, tail)
        return keeping(wrap, self._calls[event.id].append) if isinstance(event, ToolCallDelta) else wrap

    def call_done(self, event: ToolCallDone) -> Payloads:
        """The end of a call."""
        self._calls.pop(event.call.id, None)
        return [_call_end(event.call.id)]

    def step(self, event: StepStart) -> Payloads:
        """The start of a step; the protocol knows steps by their names, so no two that are open have one."""
        name = event.name if event.name not in self._steps.values() else f"{event.name} {event.id}"
        self._steps[event.id] = name
        return [*self.ahead(), _step("STARTED", name)]

    def step_done(self, event: StepDone) -> Payloads:
        """The end of a step, which ends nothing else."""
        name = self._steps.pop(event.id, None)
        return () if name is None else [_step("FINISHED", name)]

    def tail(self) -> Payloads:
        """The ends of what is open, and of the run, with the token counts."""
        word = self.word(self.finishes[0].reason)
        steps = [_step("FINISHED", name) for name in self._steps.values()]
        before = [*self.ahead(), *self.close_all(), *steps]
        end: dict[str, Any] = {
            "type": "RUN_FINISHED",
            **self._run,
            "outcome": _PAUSED if word == "interrupt" else {"type": word},
        }
        report = self._report()
        if report:
            end["usage"] = [report]
        # No run may end with a call open, but whoever sees the end of one may run it.
        cut = [_call_end(id) for id, pieces in self._calls.items() if not _is_whole("".join(pieces))]
        return [*before, *cut, ("", end)]

    def fail(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """The end of a run that has failed."""
        said = {"type": "RUN_ERROR", "message": message}
        code = code or (None if kind == "unknown" else kind)
        return [*self.ahead(), ("", said if code is None else {**said, "code": code})]

    # -- within ----------------------------------------------------------------

    def _report(self) -> dict[str, Any]:
        counts = self.counted(_COUNTS)
        model = {} if self.model is None else {"model": self.model}
        return {**model, **counts} if counts else {}


def _span(part: Opened, edge: str) -> list[Payload]:
    """Return an edge of what a message of reasoning stands in; other messages stand alone."""
    edges: list[Payload] = [("", {"type": f"REASONING_{edge}", "messageId": part.id})]
    return edges if part.kind == "reasoning" else []


def _step(edge: str, name: str) -> Payload:
    return "", {"type": f"STEP_{edge}", "stepName": name}


def _call_end(id: str) -> Payload:
    return "", {"type": "TOOL_CALL_END", "toolCallId": id}


def _is_whole(arguments: str) -> bool:
    """Tell whether arguments are JSON."""
    try:
        decode(arguments or "{}")
    except ProtocolError:
        return False
    return True
