"""A2A, the protocol between agents, in versions 0.3 and 1.0."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, is_list, text_of, text_or_empty
from tokenstream.formats._base import Format
from tokenstream.formats._detect.payloads import object_of
from tokenstream.formats._fast.path import Fast, always_decode
from tokenstream.formats._kit.count_paths import GOOGLE_USAGE
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.values import reasons_of, split_names
from tokenstream.formats._reader import FrameReader
from tokenstream.formats._wire.a2a.parts import (
    TaskParts,
    fingerprint_of,
    parts_field,
    pieces_of,
    text_in,
    usage_in,
)

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyEvent, DeltaCallback, JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._base import Frame
    from tokenstream.formats._kit.values import ReadersOf

PayloadKind: TypeAlias = Literal["task", "message", "status-update", "artifact-update"]
"""The kinds of payloads, by their names in version 0.3."""
FINISH_REASONS = reasons_of(
    stop="completed",
    pause="input-required auth-required",
    cancelled="canceled cancelled",
    error="failed rejected",
)
"""Maps a state to a finish reason; in any other state, the task goes on."""
PAUSED = frozenset({"input-required", "auth-required"})
"""States in which the task waits, and after which it may go on in the same stream."""
_KINDS_BY_FIELD: dict[str, PayloadKind] = {
    "task": "task",
    "message": "message",
    "statusUpdate": "status-update",
    "artifactUpdate": "artifact-update",
}
"""Maps the field that contains a payload in version 1.0 to the payload's kind."""
_KINDS: dict[object, PayloadKind] = {kind: kind for kind in _KINDS_BY_FIELD.values()}
_STATE_PREFIX = "TASK_STATE_"

_TEXT = ("artifact", "parts", 0, "text")
_ENVELOPE = split_names("jsonrpc id result task message statusUpdate artifactUpdate")
_UPDATE = ("kind", "taskId", "contextId", "metadata")
_KNOWN_IN_TASKS = split_names("kind id contextId metadata status artifacts")
_KNOWN_IN_STATUS_UPDATES = (*_UPDATE, "status", "final")
# `index` counted the artifacts in versions before 0.3.
_KNOWN_IN_ARTIFACT_UPDATES = (*_UPDATE, "artifact", "append", "lastChunk", "index")
_FAILURES = {"failed": "the task has failed", "rejected": "the agent refuses the task"}
"""Messages of errors for which the agent gives no reason."""
_KNOWN_IN_STATUS = ("state", "message", "timestamp")


class _TaskReader(FrameReader["A2A"]):
    __slots__ = ()

    def after_end(self, format: A2A, frame: Frame) -> None:
        """Ignore a frame after the terminal event; count a departure, unless it repeats the whole task."""
        unwrapped = unwrap(object_of(frame, format.limits))
        if unwrapped is None or unwrapped[0] != "task" or text_of(unwrapped[1], "id") != format.parts.id:
            super().after_end(format, frame)


class A2A(Format[TaskParts]):
    """The `a2a` format: the updates of one task, or one message of the agent, which is the whole answer.

    A payload may be the result in a JSON-RPC response, or come alone.

    Example:
        >>> task = A2A()
        >>> artifact = {"artifactId": "a", "parts": [{"text": "Hello"}]}
        >>> for event in task.feed({"artifactUpdate": {"taskId": "t", "artifact": artifact}}):
        ...     print(type(event).__name__)
        MessageStart
        PartStart
        TextDelta
    """

    __slots__ = ("_appends", "_is_paused", "_last_message")

    _parts_class = TaskParts
    reader = _TaskReader()
    name = "a2a"
    counted = GOOGLE_USAGE
    # Of `Task` in a2a-sdk.
    documented = frozenset({"history"})
    finish_reasons = MappingProxyType(FINISH_REASONS)
    # JSON-RPC's codes and the protocol's own, and the state of a task that the agent refuses.
    retryable = MappingProxyType(
        {
            **dict.fromkeys(("-32603", "-32006"), True),
            **dict.fromkeys(("-32700", "-32600", "-32601", "-32602"), False),
            **dict.fromkeys([f"-3200{digit}" for digit in (1, 2, 3, 4, 5, 7, 8, 9)], False),
            "rejected": False,
        }
    )
    fast = Fast(
        texts=[("result", *_TEXT), ("result", "artifactUpdate", *_TEXT), ("artifactUpdate", *_TEXT)],
        crlf=True,
    )

    def _set_up(self) -> None:
        self._appends = False
        """True if the last payload had further pieces of an artifact, and not the whole artifact."""
        self._is_paused = False
        """True while the task waits for the user; the server may close the stream, or go on later."""
        self._last_message: tuple[str, str, int] | None = None
        """Id, state and fingerprint of the last message of a status, which a snapshot of the task repeats."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - names mean nothing here
        return unwrap(payload) is not None

    def begun_by(self, payload: JsonObject, event: str) -> str | None:
        """Return the id of the task that a payload is about, which a payload of another task begins."""
        kind, content = unwrap(payload) or ("", {})
        return text_of(content, "id" if kind == "task" else "taskId")

    @property
    def may_go_on(self) -> bool:
        """True if content may follow the finish reason, because the task only waits for the user."""
        return self._is_paused

    @property
    def resting(self) -> bool:
        return self._is_paused

    def read(self, payload: JsonObject, event: str) -> None:
        self._appends = False
        unwrapped = unwrap(payload)
        if unwrapped is None:
            self.parts.unknown(event or text_of(payload, "method") or "event", payload)
            return
        kind, content = unwrapped
        if content is not payload:
            self.parts.report_unknown_fields(payload, _ENVELOPE)
            if content is not payload.get("result"):
                self.parts.tell_fields(dict_of(payload, "result"), _ENVELOPE)
        self._READERS[kind](self, content)

    def follow(self, delta: Event) -> DeltaCallback | None:
        """Return a callback that counts the characters of later deltas, if they add to an artifact.

        If the artifact was sent whole, return `always_decode`, which has later payloads decoded: each of them
        must be compared with what has arrived of the artifact.
        """
        run = self.parts.last_run
        if not self._appends or run is None:
            return always_decode

        def count(event: AnyEvent) -> None:
            run.length += len(event.text)

        return count

    def judge_end(self) -> None:
        """End an answer whose task waits for the user: the pause, and not a cut, has ended the input."""
        if self._is_paused and self.error is None:
            self.conclude()

    # -- payloads ----------------------------------------------------------

    def _read_task(self, task: JsonObject) -> None:
        """Read a whole task: the start of a stream, or all that has happened before a client came back."""
        task_id = text_of(task, "id")
        self._read_head(task_id, task)
        for artifact in dicts_of(task.get("artifacts")):
            self.parts.read_artifact(task_id or "", artifact)
        self.parts.report_unknown_fields(task, _KNOWN_IN_TASKS)
        self._read_status(dict_of(task, "status"), is_final=False)

    def _read_message(self, message: JsonObject) -> None:
        """Read a message of the agent, which is the whole answer, or a piece of it if a task works on it."""
        if state_of(text_or_empty(message, "role")).endswith("user"):
            self.parts.unknown("message", message)
            return
        # Quirk (agno 3.1, 2026-12): a task's messages are the pieces of its answer; recording: agno-cut.
        works = self.parts.started
        self._read_head(text_of(message, "taskId", "messageId"), message)
        self.parts.read_message(message)
        if not works:
            self.parts.finish(0, "stop", None)
            self.conclude()

    def _read_artifact_update(self, update: JsonObject) -> None:
        """Read an update of an artifact: all of the artifact, or further pieces of it."""
        self._go_on()
        task_id = text_of(update, "taskId")
        self._read_head(task_id, update)
        self._appends = update.get("append") is True
        self.parts.read_artifact(
            task_id or "",
            dict_of(update, "artifact"),
            appends=self._appends,
            is_last=update.get("lastChunk") is True,
            replaces=True,
        )
        self.parts.report_unknown_fields(update, _KNOWN_IN_ARTIFACT_UPDATES)

    def _read_status_update(self, update: JsonObject) -> None:
        self._read_head(text_of(update, "taskId"), update)
        self.parts.report_unknown_fields(update, _KNOWN_IN_STATUS_UPDATES)
        self._read_status(dict_of(update, "status"), is_final=update.get("final") is True)

    _READERS: ClassVar[ReadersOf[A2A]] = {
        "task": _read_task,
        "message": _read_message,
        "artifact-update": _read_artifact_update,
        "status-update": _read_status_update,
    }

    # -- within ------------------------------------------------------------

    def _read_head(self, id: str | None, content: JsonObject) -> None:
        """Report what any payload may have: an id, the conversation, metadata, and perhaps token counts."""
        if id != self.parts.id or not self.parts.started:
            self.parts.head(id=id)
        context_id, metadata = text_of(content, "contextId"), dict_of(content, "metadata")
        if context_id:
            self.parts.field("contextId", context_id)
        if metadata:
            self.parts.field("metadata", metadata)
            if usage := usage_in(metadata):
                self.parts.usage(usage)

    def _read_status(self, status: JsonObject, *, is_final: bool) -> None:
        """Read a state with its message: progress, a question, the answer, or the reason of a failure."""
        word = text_or_empty(status, "state")
        state = state_of(word)
        self.parts.report_unknown_fields(status, _KNOWN_IN_STATUS)
        message = dict_of(status, "message")
        is_new = bool(message) and not self._is_repeated(state, message)
        reason = FINISH_REASONS.get(state)
        if reason is None:
            # The task is in progress.
            self._go_on()
            if is_new:
                self._read_status_message(state, message)
            return
        if is_new:
            self._read_status_message(state, message)
        elif self._is_paused and state in PAUSED and not is_final:
            # The server only says again that the task waits for the user.
            return
        # The new finish reason replaces that of an earlier pause.
        self._go_on()
        self.parts.finish(0, reason, word)
        if reason == "error":
            details = {"message": text_in(pieces_of(message)), "type": state}
            self.error = provider_error({"error": details}, ours=_FAILURES[state])
        self._is_paused = state in PAUSED and not is_final
        if not self._is_paused:
            self.conclude()

    def _read_status_message(self, state: str, message: JsonObject) -> None:
        """Add a status's message that asks the user, or is the whole answer; report any other as unknown."""
        is_only_answer = state == "completed" and not self.parts.has_parts
        is_question = state in PAUSED and not self.parts.contains(pieces_of(message))
        if is_only_answer or is_question:
            self._go_on()
            self.parts.read_message(message)
        else:
            self.parts.items("status_messages", [message])

    def _is_repeated(self, state: str, message: JsonObject) -> bool:
        """Return whether the message of a status is the one before, in the same state; remember it.

        Quirk (opencode-a2a, 2026-11): all messages of a task have one id while their text goes on.
        """
        id = text_of(message, "messageId")
        known, self._last_message = self._last_message, None
        if id is not None:
            self._last_message = id, state, fingerprint_of(message)
        return known is not None and known == self._last_message

    def _go_on(self) -> None:
        """Drop the finish reason of a pause, if the task has waited for the user: it goes on now."""
        if self._is_paused:
            self._is_paused = False
            self.parts.choice(0).finish = None


def unwrap(payload: JsonObject) -> tuple[PayloadKind, JsonObject] | None:
    """Return the kind and the content of a payload; None if it is not one of A2A.

    In version 0.3 of the protocol, the field `kind` of the content names the kind. In version 1.0, the
    content is in a field named after its kind; so it is in 0.3 over HTTP without JSON-RPC.
    """
    inner = payload["result"] if is_dict(payload.get("result")) else payload
    kind = _KINDS.get(inner["kind"]) if isinstance(inner.get("kind"), str) else None
    if kind is not None:
        return (kind, inner) if _is_of_kind(kind, inner) else None
    for field, kind in _KINDS_BY_FIELD.items():
        content = inner.get(field)
        if is_dict(content) and _is_of_kind(kind, content):
            return kind, content
    # The answer to a request for a task, which has nothing around it.
    state = text_or_empty(dict_of(inner, "status"), "state")
    return ("task", inner) if "id" in inner and state.startswith(_STATE_PREFIX) else None


def _is_of_kind(kind: PayloadKind, content: JsonObject) -> bool:
    if kind == "message":
        return isinstance(content.get("messageId"), str) and is_list(parts_field(content))
    if kind == "artifact-update":
        return is_dict(content.get("artifact"))
    return text_of(dict_of(content, "status"), "state") is not None


def state_of(word: str) -> str:
    """Return a state as version 0.3 spells it."""
    return word.removeprefix(_STATE_PREFIX).lower().replace("_", "-")
