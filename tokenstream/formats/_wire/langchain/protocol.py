"""LangChain's streaming protocol: turns the events of a model's stream, or of a graph's, into events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tokenstream._basics.error_marks import add_sentence
from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, is_dict, is_list, text_of, text_or_empty
from tokenstream.errors import PositionLost, ProtocolError, StreamTruncated
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.sessions import REMEMBERED, HostedSession
from tokenstream.formats._kit.values import failure_text, split_names
from tokenstream.formats._reader import FrameReader, find_cut, note_missing_start, note_second_start
from tokenstream.formats._wire.langchain import LangChain
from tokenstream.formats._wire.langchain.graph_parts import (
    DOCUMENTED,
    MODEL_MESSAGES,
    GraphMessages,
    is_of_server,
    message_event_in,
    open_part,
    source_of,
)
from tokenstream.formats._wire.langchain.parts import (
    COUNTED,
    EVENT_FIELDS,
    MADE_UP_ID_PREFIXES,
    MODEL_FIELDS,
    PROVIDER_FIELDS,
    finish_in,
    report_metadata,
)
from tokenstream.formats._wire.langchain.protocol_blocks import (
    FINISH,
    START,
    OpenMessage,
    OpenMessages,
    ProtocolBlocks,
)

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.errors import ProviderError
    from tokenstream.formats._base import AnswerPlace
    from tokenstream.formats._kit.values import ReadersOf
    from tokenstream.limits import Limits


RUN_ENDS = split_names("completed failed interrupted drained")
"""The states in which a graph, or a subgraph, has ended."""
_MESSAGE_EVENTS = frozenset(
    {START, "content-block-start", "content-block-delta", "content-block-finish", FINISH}
)
_FAILED = frozenset({"tool-error", "error"})


class _RunReader(FrameReader["LangChainProtocol"]):
    __slots__ = ()

    @override
    def decode(self, format: LangChainProtocol, payload: bytes) -> Json:
        data = super().decode(format, payload)
        return {"data": data} if is_list(data) else data


class LangChainProtocol(HostedSession):
    """The `langchain-protocol` format: the events of a model's answer, or of a graph's run with several.

    A model's events are about one answer. A graph wraps the events of its models, and has others; those
    of its subgraphs, such as subagents, are not the answer. A server's older stream has messages.

    Args:
        answer: The id of the only message to read; None to read all messages.

    Example:
        >>> model = LangChainProtocol()
        >>> events = model.feed({"event": "message-start", "role": "ai", "id": "msg_1"})
        >>> events += model.feed(
        ...     {"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": "Hel"}}
        ... )
        >>> [type(event).__name__ for event in events]
        ['MessageStart', 'PartStart', 'TextDelta']
    """

    __slots__ = (
        "_blocks",
        "_ended",
        "_is_of_graph",
        "_message",
        "_messages",
        "_name",
        "_names_provider",
        "_placed_messages",
        "_reader",
        "_run_is_open",
        "_streamed",
        "mixed",
    )

    reader = _RunReader()
    name = "langchain-protocol"
    counted = COUNTED
    closes_parts = True
    documented = DOCUMENTED
    event_names = split_names("messages messages/partial messages/complete")
    fast = Fast(
        texts=[("delta", "text"), ("delta", "reasoning"), ("delta", "args")],
        units=frozenset({"event", "line"}),
    )

    def __init__(self, *, limits: Limits | None = None, answer: str | None = None) -> None:
        super().__init__(limits=limits, answer=answer)
        self._blocks = ProtocolBlocks(self.parts)
        self._is_of_graph = False
        """True if the events are those of a graph, between whose answers tools run in silence."""
        self._run_is_open = False
        """True after the start of a graph's run, whose end the server then sends, too."""
        self._messages = OpenMessages()
        """The open messages of the graph itself, of which one is the open answer."""
        self._message: OpenMessage | None = None
        """The message of the answer that began last; None before the first one."""
        self._names_provider = False
        """True if the open answer names its provider, whose integration passes on the finish reason."""
        self._placed_messages = OpenMessages()
        """The open messages, judging by the events that `place_of` was given."""
        self._streamed = GraphMessages(has_begun=answer is not None)
        """Finds the messages in a server's older stream."""
        self._reader: LangChain | None = None
        """Reads the message that is open in such a stream."""
        self._name: str | None = None
        self._ended = RecentIds(REMEMBERED)
        """The names of such messages that have ended, or are not read."""

    @classmethod
    @override
    def recognises(cls, payload: JsonObject, event: str) -> bool:
        kind = text_of(payload, "event")
        is_of_message = kind in _MESSAGE_EVENTS and (kind in (START, FINISH) or "index" in payload)
        return is_of_message or is_graph_event(payload) or is_of_server(payload)

    @override
    def place_of(self, payload: JsonObject) -> AnswerPlace:
        inner, metadata = _message_event_in(payload)
        kind = text_of(inner, "event")
        self.mixed = None
        if kind not in _MESSAGE_EVENTS and kind != "error":
            # The end of a run ends the answer that is open.
            is_end = _ending_of_run(payload) is not None
            if is_end:
                self._placed_messages.clear()
            for message, _, name in self._streamed.find_own(payload):
                if message["type"] in MODEL_MESSAGES:
                    return name, message["type"] == "ai" or message.get("chunk_position") == "last"
            return None, is_end
        message = self._placed_messages.place(inner, source_of(payload, metadata))
        if message is None or not message.is_answer:
            return None, False
        was_taken = message.was_taken
        if message.is_mixed:
            # A line that mixes an answer with another one ends both.
            self.mixed = {id: mixed_error() for id in message.take_ids()}
        if was_taken:
            return None, False
        return message.id, message.is_mixed or kind in (FINISH, "error")

    @override
    def tolerates(self, payload: JsonObject, event: str) -> bool:
        return is_graph_event(payload) or text_of(payload, "event") in _MESSAGE_EVENTS or _is_refusal(payload)

    @property
    @override
    def finished(self) -> bool:
        # Between two answers of a run, another one is to come.
        return super().finished and not self._run_is_open

    @property
    @override
    def is_amid(self) -> bool:
        return self._run_is_open and self._last_error is self._failure is None

    @property
    @override
    def resting(self) -> bool:
        return self._is_of_graph and super().resting

    @override
    def judge_end(self) -> None:
        if self._reader is not None and self.parts.finished:
            self._end_streamed()
        if self._run_is_open and self.error is None and not self.ended:
            # Between two answers, only the end of the run shows that nothing is missing.
            self.error = self._failure or self._last_error or self.cut_short()
        super().judge_end()

    @override
    def read(self, payload: JsonObject, event: str) -> None:
        if _is_refusal(payload):
            self._read_refusal(payload)
            return
        if not is_graph_event(payload):
            if text_of(payload, "event") in self._READERS:
                self._read_message(payload)
            else:
                self._read_part(payload, event)
            return
        self._is_of_graph = True
        if self.is_repeated(text_of(payload, "event_id")):
            return
        method, params = text_or_empty(payload, "method"), dict_of(payload, "params")
        if _ending_of_run(payload) is not None:
            self._end_run(dict_of(params, "data"))
        elif method == "messages" and not params.get("namespace"):
            inner, metadata = _message_event_in(payload)
            self._read_message(inner or payload, source_of(payload, metadata))
        elif not params.get("namespace") and self._read_of_run(method, dict_of(params, "data")):
            return
        else:
            self.parts.unknown(method or "event", payload)

    def cut_short(self) -> StreamTruncated:
        if self._reader is not None:
            return self._reader.cut_short()
        if self.answer_is_open and self._names_provider:
            return StreamTruncated(
                "LangChain ended the answer without the provider's finish reason, as it does when the "
                "provider's stream was cut; what had arrived is in .partial"
            )
        return super().cut_short()

    # -- the run of a graph --------------------------------------------------

    def _read_of_run(self, method: str, data: JsonObject) -> bool:
        """Read an event about the run, or about a tool that it runs; return False for any other."""
        kind = text_or_empty(data, "event")
        if method == "lifecycle" and kind in ("running", "started") and not data.get("namespace"):
            self._run_is_open = True
            return True
        id = text_of(data, "tool_call_id")
        if method != "tools" or id is None or kind not in ("tool-finished", "tool-error"):
            return False
        self.parts.result_of_call(id, *result_of_tool(data))
        return True

    def _end_run(self, data: JsonObject) -> None:
        self._run_is_open = False
        self._messages.clear()
        # The run may be called complete although its last answer has failed.
        failure = self._failure
        if text_of(data, "event") == "failed":
            failure = provider_error({"error": text_of(data, "error")}, ours="the run failed")
        if self.answer_is_open:
            self.error = failure or self.cut_short()
            return
        self.error = failure
        if failure is None:
            self.conclude()

    def _read_refusal(self, payload: JsonObject) -> None:
        code = text_of(payload, "error")
        if code == "resume_gap":
            sentence = "the server has no longer what followed the last event that was read"
            message = text_or_empty(payload, "message")
            self.error = add_sentence(PositionLost(f"{sentence}: {message}"), sentence)
        else:
            self.error = _find_run_failure(payload, code)

    # -- messages ------------------------------------------------------------

    def _read_message(self, event: JsonObject, source: str | None = None) -> None:
        kind = text_or_empty(event, "event")
        reader, message = self._READERS.get(kind), self._messages.place(event, source)
        if message is not None and message.is_mixed:
            self._end_mixed(message, kind)
        elif kind == START and self.answer_is_open and message is self._message:
            note_second_start(self)
            return
        # A message of a tool, or of a model that runs beside the one whose answer is open, is not the answer.
        elif reader is not None and self._begin(event, kind, message, source):
            self.parts.tell_fields(event, EVENT_FIELDS)
            reader(self, event)
            return
        self.parts.unknown(kind or text_of(event, "type") or "message", event)

    def _end_mixed(self, message: OpenMessage, kind: str) -> None:
        """End the open answer, if nothing tells its pieces from those of another message."""
        if not self._is_of_graph:
            # A model alone writes one message after the other: the end of the one before is missing.
            self.error = self.cut_short()
        elif self.answer_is_open:
            if self._message is not None and self._message.is_mixed:
                self.note("answers_interleaved")
                self.end_answer("error", None, failure=mixed_error())
        elif kind == START and message.is_answer and self._failure is None:
            # An answer that cannot begin, because the message of a tool is open.
            self.note("answers_interleaved")
            self._failure = mixed_error()

    def _begin(self, event: JsonObject, kind: str, message: OpenMessage | None, source: str | None) -> bool:
        """Begin an answer, unless one is open; return False for an event of another message.

        An id that LangChain made up is reported as a field, and not as the id of the answer.
        """
        if message is None:
            if self.parts.started or self._answer is not None:
                # The rest of a message that is not read.
                return False
            note_missing_start(self)
            message = OpenMessage("", is_answer=True)
            if kind not in (FINISH, "error"):
                message = self._messages.begin(source, "", is_answer=True)
        elif self.answer_is_open:
            return message is self._message
        elif kind != START or not message.is_answer or self._answer not in (None, message.id):
            return False
        self._blocks.clear()
        self._message = message
        self._names_provider = False
        id = text_of(event, "id") if kind == START else None
        is_made_up = id is not None and id.startswith(MADE_UP_ID_PREFIXES)
        self.begin_answer(None if is_made_up else id, text_of(dict_of(event, "metadata"), *MODEL_FIELDS))
        if is_made_up:
            self.parts.field("run_id", id)
        return True

    def _read_start(self, event: JsonObject) -> None:
        """Read what the start of an answer says beyond its id and its model."""
        self._note_provider(dict_of(event, "metadata"))
        self._read_usage(event)

    def _read_delta(self, event: JsonObject) -> None:
        if not self._blocks.add(event):
            self.parts.unknown(text_of(dict_of(event, "delta"), "type") or "delta", event)

    def _read_usage(self, event: JsonObject) -> None:
        """Report the token counts in an event; each report is the sum so far."""
        self.parts.usage_in(event, COUNTED.read)

    def _read_finish(self, event: JsonObject) -> None:
        """End the answer; without a finish reason of a provider that sends them, it was cut off.

        LangChain ends an answer in this way in any case, also if the stream of the provider was cut off.
        """
        metadata = dict_of(event, "metadata") or dict_of(event, "responseMetadata")
        self._note_provider(metadata)
        self._read_usage(event)
        self.parts.head(id=self.parts.id or text_of(metadata, "id"), model=text_of(metadata, *MODEL_FIELDS))
        report_metadata(self.parts, {name: value for name, value in metadata.items() if name != "id"})
        for name, value in dict_of(event, "additional_kwargs").items():
            self.parts.field(name, value)
        finish = finish_in(event, metadata, self.note)
        if finish is not None:
            self.end_answer(*finish, awaits_results=True)
        elif self._names_provider:
            self.error = self.cut_short()
        else:
            self._end_without_reason()

    def _end_without_reason(self) -> None:
        """End an answer whose model sends no finish reason; inside a call's arguments, it was cut off."""
        self.error = find_cut(self)
        if self.error is None and self._is_of_graph:
            # Another answer may follow.
            self.end_answer("unknown", None, awaits_results=True)
        elif self.error is None:
            self.note("finish_missing")
            self.answer_is_open = False
            self.conclude()

    def _read_error(self, event: JsonObject) -> None:
        """End the answer with the error that the model has sent; in a graph, another answer may follow."""
        code = text_of(event, "code")
        failure = _find_run_failure(event, code)
        if self._is_of_graph:
            self.end_answer("error", code, failure=failure)
        else:
            self.error = failure

    # -- messages of a server's older stream ---------------------------------

    def _read_part(self, payload: JsonObject, event: str) -> None:
        self._is_of_graph = True
        mode, data = open_part(payload)
        found = self._streamed.find_own(payload, event)
        for message, _, name in found:
            self._read_streamed(message, name)
        if mode == "error":
            self.error = provider_error(data if is_dict(data) else {"error": data}, mode)
        elif not found:
            self.parts.unknown(event or mode or text_of(payload, "event", "type") or "part", payload)

    def _read_streamed(self, message: JsonObject, name: str) -> None:
        """Read a message, unless that of another model is open, or this one has ended."""
        is_answer = message["type"] in MODEL_MESSAGES
        if self._reader is not None and self.parts.finished and name != self._name:
            self._end_streamed()
        if is_answer and self._reader is None and name not in self._ended and self._answer in (None, name):
            self.begin_answer()
            self._reader, self._name = LangChain(limits=self.limits, parts=self.parts), name
        reader = self._reader if is_answer else LangChain(limits=self.limits, parts=self.parts)
        if reader is None or (is_answer and name != self._name):
            self._ended.add(name)
            self.parts.unknown("message", message)
            return
        reader.read_in_session(message, self.departures)
        self.error = reader.error
        if reader.ended:
            self._end_streamed()

    def _end_streamed(self) -> None:
        self._reader, self.answer_is_open = None, False
        self._ended.add(self._name or "")
        if self._answer is not None:
            self.conclude()

    def _note_provider(self, metadata: JsonObject) -> None:
        self._names_provider = self._names_provider or text_of(metadata, *PROVIDER_FIELDS) is not None

    _READERS: ClassVar[ReadersOf[LangChainProtocol]] = {
        START: _read_start,
        "content-block-start": lambda self, event: self._blocks.begin(event),
        "content-block-delta": _read_delta,
        "content-block-finish": lambda self, event: self._blocks.end(event),
        FINISH: _read_finish,
        "usage": _read_usage,
        "error": _read_error,
    }


def is_graph_event(payload: JsonObject) -> bool:
    namespace = dict_of(payload, "params").get("namespace")
    return payload.get("type") == "event" and isinstance(payload.get("method"), str) and is_list(namespace)


def result_of_tool(data: JsonObject) -> tuple[Any, str | None]:
    """Return the output of a tool and its error, of which one is None, from an event that ends the tool."""
    if text_of(data, "event") in _FAILED:
        return None, text_of(data, "message") or "the tool failed"
    output = data.get("output")
    fields: JsonObject = output if is_dict(output) else getattr(output, "__dict__", {})
    if "content" not in fields:
        return output, None
    return fields["content"], failure_text(fields["content"]) if fields.get("status") == "error" else None


def _find_run_failure(payload: JsonObject, code: str | None) -> ProviderError | None:
    return provider_error({"error": {"message": text_of(payload, "message"), "code": code}})


def _is_refusal(payload: JsonObject) -> bool:
    """Return True for the server's error about a command or a subscription."""
    return payload.get("type") == "error" and "id" in payload and isinstance(payload.get("error"), str)


def _ending_of_run(payload: JsonObject) -> str | None:
    """Return the state in which the run of the whole graph has ended; None if it goes on."""
    params = dict_of(payload, "params")
    data = dict_of(params, "data")
    is_of_run = payload.get("method") == "lifecycle" and not params.get("namespace")
    state = text_of(data, "event")
    # In Python, the namespace of a subgraph is in the data.
    return state if is_of_run and not data.get("namespace") and state in RUN_ENDS else None


def mixed_error() -> ProtocolError:
    return ProtocolError(
        "several models of the graph answer at once, and nothing tells whose the pieces are; "
        "what had arrived before is in .partial"
    )


def _message_event_in(payload: JsonObject) -> tuple[JsonObject, JsonObject]:
    """Return the event of a model's message in a payload, {} if there is none, and LangGraph's metadata."""
    if not is_graph_event(payload):
        return payload, {}
    if payload["method"] != "messages" or payload["params"]["namespace"]:
        return {}, {}
    event, metadata = message_event_in(payload)
    return event if is_dict(event) else {}, metadata
