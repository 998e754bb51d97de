"""Encoders for UI protocols, and their base class: each text or reasoning has an id, a start and an end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from tokenstream._basics.json import escape
from tokenstream._basics.untrusted import text_of
from tokenstream.events import (
    StepDelta,
    StepDone,
    StepStart,
    StepUpdate,
    StepWaiting,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolProgress,
    ToolResult,
)
from tokenstream.relay._encoders.encoder import HANDLERS, Encoder, Handlers, Payload, Payloads
from tokenstream.relay._encoders.whole_parts import UnnamedCalls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.events import Event, PartDone, PartStart, ReasoningDelta, TextDelta
    from tokenstream.formats._kit.named import NamedKind
    from tokenstream.message import Part, ServerToolCall
    from tokenstream.relay._encoders.pieces import Template

KindNames: TypeAlias = "Mapping[NamedKind, str]"
"""A protocol's names for texts and for reasoning, or a part of them."""


@dataclass(slots=True)
class OpenText:
    """A text or reasoning that has begun and not ended, with the fields to send at its end."""

    kind: NamedKind
    id: str
    signature: list[str] = field(default_factory=list[str])
    """The pieces of the provider's signature."""
    redacted: str | None = None
    """The reasoning in encrypted form; None if there is none."""


class NamedEncoder(Encoder, ABC):
    """Encodes an answer as a head, and as a start, pieces and an end for each text or reasoning."""

    begins_at_once = True
    prefixes: ClassVar[KindNames]
    """The prefixes of the ids of texts and of reasoning; the index of the part follows."""

    handlers: ClassVar[Handlers] = {
        **HANDLERS,
        StepDelta: "encode_output",
        StepDone: "encode_step_end",
        StepStart: "encode_step_start",
        StepUpdate: "encode_update",
        StepWaiting: "encode_waiting",
        ToolCallDelta: "encode_input",
        ToolCallDone: "encode_input_end",
        ToolCallStart: "encode_input_start",
        ToolProgress: "encode_progress",
        ToolResult: "encode_result",
    }
    scope: str = ""
    """A text before the prefix of every id, which makes the ids unique among several answers."""

    def reset(self) -> None:
        super().reset()
        self._open: dict[int, OpenText] = {}
        """The texts and reasonings that have not ended, by the index of their part."""
        self._closed: set[int] = set()
        """Parts that have ended; a part is sent again if its signature or encrypted form arrives later."""
        self.server_calls: dict[int, ServerToolCall] = {}
        """The open calls of tools that the provider runs, by the index of their part; each has an id."""
        self.sent_calls: set[str] = set()
        self._unnamed_calls: dict[str | None, UnnamedCalls[str]] = {}
        """The ids that were made for calls of the provider's tools without ids, by the step."""
        self._custom_calls: dict[str, str] = {}
        """The text still to be sent before the next piece of a custom tool's input, by the call's id: a quote
        before the first.
        """

    # -- for encoders ------------------------------------------------------------

    @abstractmethod
    def encode_begin(self, part: OpenText) -> Payloads:
        """Return the payloads that begin a text or reasoning."""

    @abstractmethod
    def encode_piece(self, part: OpenText, text: str) -> Payload:
        """Return the payload for a piece of a text or reasoning."""

    @abstractmethod
    def encode_end(self, part: OpenText) -> Payloads:
        """Return the payloads that end a text or reasoning, including a signature."""

    @abstractmethod
    def encode_server_call(self, call: ServerToolCall) -> Payloads:
        """Return the payloads for the start of a call of a tool that the provider runs."""

    @abstractmethod
    def encode_server_call_end(self, call: ServerToolCall) -> Payloads:
        """Return the payloads for the end of a call of a tool that the provider runs."""

    def keep_signature(self, part: OpenText, *pieces: str) -> None:
        """Keep pieces of a signature, which is sent at the end of the reasoning."""
        part.signature.extend(pieces)

    def close_all(self) -> Payloads:
        return [payload for index in list(self._open) for payload in self._close_text(index)]

    # -- calls of custom tools -------------------------------------------------------

    def encode_input_start(self, event: ToolCallStart) -> Payloads:
        """Return the payloads for the start of a call.

        The input of a custom tool is free text. Both protocols have only JSON there, so the text is sent as a
        JSON string.
        """
        if event.type == "custom":
            self._custom_calls[event.id] = '"'
            event = replace(event, type="function")
        return self.encode_call(event)

    def encode_input(self, event: ToolCallDelta) -> Payloads:
        """Return the payloads for a piece of a call's arguments, or of a custom tool's input."""
        before = self._custom_calls.get(event.id)
        if before is None:
            return self.encode_arguments(event)
        self._custom_calls[event.id] = ""
        return self.encode_arguments(replace(event, fragment=before + escape(event.fragment)))

    def encode_input_end(self, event: ToolCallDone) -> Payloads:
        call = event.call
        before = self._custom_calls.pop(call.id, None)
        if before is None:
            return self.encode_call_end(event)
        # Without any piece, the whole input is sent here.
        rest = f'{before}{escape(call.arguments_text) if before else ""}"'
        delta = ToolCallDelta(call.id, rest, choice=event.choice, part=event.part)
        as_json = call.model_copy(update={"arguments_text": f'"{escape(call.arguments_text)}"'})
        return [*self.encode_arguments(delta), *self.encode_call_end(replace(event, call=as_json))]

    def make_template(self, event: Event, head: bytes, tail: bytes) -> Template:
        template = super().make_template(event, head, tail)
        if isinstance(event, ToolCallDelta) and event.id in self._custom_calls:
            return lambda text: template(escape(text))
        return template

    # -- handlers of events --------------------------------------------------------

    def encode_part_start(self, event: PartStart) -> Payloads:
        """Return the payloads that begin a text or reasoning; none for any other part, or if it has begun.

        A start that is repeated after the part has ended begins the part again, but only if the start has
        a signature or the encrypted form: these were not sent before.
        """
        content = event.content
        if content.kind == "server_tool_call":
            return self._begin_server_call(event, content)
        # `prefixes` has only the kinds "text" and "reasoning".
        if content.kind not in self.prefixes:
            return ()
        is_proven = content.kind == "reasoning" and (content.signature or content.redacted) is not None
        if event.part in self._closed and not is_proven:
            return ()
        part, payloads = self._open_text("text" if content.kind == "text" else "reasoning", event.part)
        self._add_proofs(part, content)
        return payloads

    def encode_text(self, event: TextDelta) -> Payloads:
        part, payloads = self._open_text("text", event.part)
        return [*payloads, self.encode_piece(part, event.text)]

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        """Return the payloads for a piece of reasoning; a signature is sent at the end."""
        part, payloads = self._open_text("reasoning", event.part)
        if event.signature is not None:
            self.keep_signature(part, event.signature)
        return [*payloads, self.encode_piece(part, event.text)] if event.text else payloads

    def encode_part_end(self, event: PartDone) -> Payloads:
        """Return the payloads that end a text, reasoning, or a provider's call; none for other parts.

        The result of a provider's tool is sent by `encode_result`, with the event that follows its part.
        """
        call = self.server_calls.pop(event.part, None)
        if call is not None:
            if event.content is not None and event.content.kind == "server_tool_call":
                call = event.content.model_copy(update={"id": call.id})
            return self.encode_server_call_end(call)
        part = self._open.get(event.part)
        if part is not None and event.content is not None:
            self._add_proofs(part, event.content)
        return self._close_text(event.part)

    def call_id_of(self, event: ToolResult) -> str:
        """Return the id under which the call of a result was sent, or would have been sent.

        Some providers give the calls of their own tools no ids. An encoder calls this once for each result.
        """
        calls = None if event.id else self._unnamed_calls.get(event.step)
        return event.id if calls is None else calls.take() or ""

    # -- within ----------------------------------------------------------------

    def _begin_server_call(self, event: PartStart, call: ServerToolCall) -> Payloads:
        """Return the payloads that begin a call of a tool that the provider runs; none if it has begun."""
        if event.part in self.server_calls or event.part in self._closed:
            return []
        # `_closed` keeps a repeated start from beginning the call again after its end.
        self._closed.add(event.part)
        if not call.id:
            call = call.model_copy(update={"id": f"{self.scope}tool-{event.part}"})
            self._unnamed_calls.setdefault(event.step, UnnamedCalls()).begin(event.part, call.id)
        self.server_calls[event.part] = call
        self.sent_calls.add(call.id)
        return [*self.unsent_head(), *self.encode_server_call(call)]

    def _open_text(self, kind: NamedKind, index: int) -> tuple[OpenText, list[Payload]]:
        """Return a part's open text or reasoning, and the payloads that begin it if it is new."""
        part = self._open.get(index)
        if part is not None:
            return part, []
        # The id; `scope` makes it unique among several answers.
        part = self._open[index] = OpenText(kind, f"{self.scope}{self.prefixes[kind]}{index}")
        return part, [*self.unsent_head(), *self.encode_begin(part)]

    def _add_proofs(self, part: OpenText, content: Part) -> None:
        """Store the signature and the encrypted form that the content of a part has; they are sent later."""
        if content.kind != "reasoning":
            return
        if content.signature is not None:
            # The whole signature replaces its pieces.
            part.signature.clear()
            self.keep_signature(part, content.signature)
        part.redacted = content.redacted or part.redacted

    def _close_text(self, index: int) -> Payloads:
        """Return the payloads that end the text or reasoning of a part; none if it is not open."""
        part = self._open.pop(index, None)
        if part is None:
            return []
        self._closed.add(index)
        return self.encode_end(part)


def is_approval(event: StepWaiting) -> bool:
    """Return True if a request is the one for the approval of a call: `{"type": "approval", …}`."""
    return event.request.__class__ is dict and text_of(event.request, "type") == "approval"
