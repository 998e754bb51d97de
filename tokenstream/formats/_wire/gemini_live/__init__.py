"""Gemini Live: the server's messages in a session over a WebSocket."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dicts_of, is_dict, is_list, says_nothing, text_of
from tokenstream.formats._base import AnswerPlace, Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.count_paths import LIVE_USAGE
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.values import camel_case, marks_in, reasons_of, split_names, worst_of
from tokenstream.formats._wire.gemini_live.parts import TRANSCRIPT_FIELDS, LiveTurn, fields_of, object_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.values import ReadersOf
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

FINISH_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    reasons_of(
        stop="generationComplete turnComplete",
        cancelled="interrupted",
        pause="NEED_MORE_INPUT",
        error="MALFORMED_FUNCTION_CALL MAX_REGENERATION_REACHED",
        content_filter="RESPONSE_REJECTED PROHIBITED_INPUT_CONTENT IMAGE_PROHIBITED_INPUT_CONTENT "
        "INPUT_TEXT_CONTAIN_PROMINENT_PERSON_PROHIBITED INPUT_IMAGE_CELEBRITY "
        "INPUT_IMAGE_PHOTO_REALISTIC_CHILD_PROHIBITED INPUT_TEXT_NCII_PROHIBITED INPUT_OTHER "
        "INPUT_IP_PROHIBITED BLOCKLIST UNSAFE_PROMPT_FOR_IMAGE_GENERATION GENERATED_IMAGE_SAFETY "
        "GENERATED_CONTENT_SAFETY GENERATED_AUDIO_SAFETY GENERATED_VIDEO_SAFETY "
        "GENERATED_CONTENT_PROHIBITED GENERATED_CONTENT_BLOCKLIST GENERATED_IMAGE_PROHIBITED "
        "GENERATED_IMAGE_CELEBRITY GENERATED_IMAGE_PROMINENT_PEOPLE_DETECTED_BY_REWRITER "
        "GENERATED_IMAGE_IDENTIFIABLE_PEOPLE GENERATED_IMAGE_MINORS OUTPUT_IMAGE_IP_PROHIBITED "
        "GENERATED_OTHER",
    )
)
"""Maps the fields that end a turn, and the words for the reason of its end, to finish reasons."""
_NAMES = split_names(
    "setupComplete serverContent toolCall toolCallCancellation goAway sessionResumptionUpdate "
    "voiceActivity voiceActivityDetectionSignal"
)
_FIELDS_OF_A_TURN = split_names(
    "modelTurn outputTranscription interrupted generationComplete turnComplete groundingMetadata "
    "urlContextMetadata"
)
"""Fields that belong to the model's turn; a message may also report the user's speech."""
_MARKS = frozenset({"generationComplete", "turnComplete"})
"""The fields of a turn that only tell its end."""
_UNSPECIFIED = ("TURN_COMPLETE_REASON_UNSPECIFIED", "INTERACTION_STATUS_UNSPECIFIED")
_FOR_CLIENT = frozenset({"setupComplete", "goAway", "sessionResumptionUpdate"})
"""Messages with data for the client, such as the handle with which it can resume the session."""
_TEXT = ("serverContent", "modelTurn", "parts", 0, "text")


class GeminiLive(Format[LiveTurn]):
    """The `gemini-live` format: the server's messages in one session.

    All turns of the session form one message, with the finish reason of the last turn.

    Args:
        one: True if the answer ends with its first turn.

    Example:
        >>> live = GeminiLive()
        >>> turn = {"serverContent": {"modelTurn": {"parts": [{"text": "Hel"}]}}}
        >>> [event.text for event in live.feed(turn) if hasattr(event, "text")]
        ['Hel']
        >>> [event.reason for event in live.feed({"serverContent": {"turnComplete": True}})[-1:]]
        ['stop']
    """

    __slots__ = ("_awaits_result", "_one", "_turn_is_open")

    _parts_class = LiveTurn
    name = "gemini-live"
    counted = LIVE_USAGE
    # Of `LiveServerContent` in google-genai.
    documented = frozenset({"waitingForInput"})
    framing = "messages"
    ends_with_input = True
    several = True
    finish_reasons = FINISH_REASONS
    fast = Fast(texts=[_TEXT], units=frozenset({"message"}))

    def __init__(self, *, limits: Limits | None = None, one: bool = False) -> None:
        super().__init__(limits=limits)
        self._one = one
        self._turn_is_open = False
        self._awaits_result = False
        """True while the model waits for the result of a tool call."""

    def fresh(self, *, limits: Limits) -> GeminiLive:
        return type(self)(limits=limits, one=self._one)

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - it has no names
        if "type" in payload:
            # The messages of Gemini Live have no type; those of similar protocols have one.
            return False
        return any(camel_case(name) in _NAMES and is_dict(value) for name, value in payload.items())

    def place_of(self, payload: JsonObject) -> AnswerPlace:
        """Return a pair: "" for a payload of a turn, else None; and whether the payload ends the turn.

        Turns have no ids, so "" stands for the id of any turn; see `Format.place_of`.
        """
        fields = fields_of(payload)
        # An error ends the session: Google closes the connection, and other servers may send nothing more.
        if (error := provider_error(payload)) is not None:
            self.error = error
            return "", True
        content = object_in(fields, "serverContent")
        belongs_to_turn = "toolCall" in fields or any(content.get(name) for name in _FIELDS_OF_A_TURN)
        return ("" if belongs_to_turn else None), _ends_turn(content)

    def of_answer(self, answer: str) -> GeminiLive:
        return GeminiLive(limits=self.limits, one=True)

    @property
    def finished(self) -> bool:
        """True once the last turn is over, or its content is complete."""
        return self.ended or self.parts.finished

    @property
    def resting(self) -> bool:
        """True while the server waits for the client: for a turn, a tool's result, or the end of playback."""
        return not self._turn_is_open or self._awaits_result or self.parts.finished

    def judge_end(self) -> None:
        """Take the end for a cut if a turn is open, or none has begun."""
        if self.error is None and not (self.ended or self.parts.finished):
            self.error = self.cut_short()

    def read(self, payload: JsonObject, event: str) -> None:
        fields = fields_of(payload)
        # Read the counts first: if the payload ends a turn, they belong to this turn.
        report = fields.pop("usageMetadata", None)
        if is_dict(report):
            self.parts.usage(LIVE_USAGE.read(fields_of(report)))
        for name, value in fields.items():
            reader = self._READERS.get(name)
            if reader is not None and is_dict(value):
                reader(self, fields_of(value))
            elif name in _FOR_CLIENT and is_dict(value):
                self.parts.field(name, fields_of(value))
            elif value is not None:
                self.parts.unknown(name, value)

    # -- messages ------------------------------------------------------------

    def _read_content(self, content: JsonObject) -> None:
        """Read a message about a turn: its content, transcripts, further fields, and its end."""
        names = {name for name in _FIELDS_OF_A_TURN if content.get(name)}
        if names and names <= _MARKS and not self._turn_is_open and self.parts.finished:
            # The marks of the last turn have come again.
            self.note("finish_repeated")
            return
        if names:
            self._begin_turn()
            # The model has gone on without the result of its last call, or after it.
            self._awaits_result = False
        turn = object_in(content, "modelTurn")
        self.parts.tell_fields(turn, ("parts", "role"))
        for part in dicts_of(turn.get("parts")):
            self.parts.add_part(part)
        self.parts.add_transcript(object_in(content, "outputTranscription"))
        for name, value in content.items():
            self._read_other_field(name, value)
        self._read_end(content)

    def _read_other_field(self, name: str, value: object) -> None:
        """Report a field of a message about a turn, unless the field is read elsewhere."""
        if name == "inputTranscription":
            self._read_heard(value)
        elif name == "interimInputTranscription":
            # Later ones replace it.
            self.parts.unknown(name, value)
        elif name in ("groundingMetadata", "urlContextMetadata"):
            if not says_nothing(value):
                self.parts.field(name, value, 0)
            if name == "groundingMetadata" and is_dict(value):
                self.parts.cite_sources(value)
        elif name not in _READ_ELSEWHERE and not says_nothing(value):
            self.parts.other_field(name, value, 0)

    def _read_heard(self, value: object) -> None:
        """Report a piece of what the user has said; a value without words is reported as unknown."""
        heard = value if is_dict(value) else {}
        self.parts.tell_fields(heard, TRANSCRIPT_FIELDS)
        text, is_done = text_of(heard, "text") or "", heard.get("finished") is True
        if text or is_done:
            self.parts.input_transcript(text, done=is_done)
        else:
            self.parts.unknown("inputTranscription", value)

    def _begin_turn(self) -> None:
        if not self._turn_is_open:
            self._turn_is_open = True
            self.parts.begin_turn()

    def _read_end(self, content: JsonObject) -> None:
        """Read the fields that end the turn or its content, and report the finish reason.

        A turn may have several finish reasons, and the last one counts. The earlier one is removed from
        the choice first, because otherwise `Parts.finish` would count a departure from the documentation.
        """
        state = self.parts.choice(0)
        reason = text_of(content, "turnCompleteReason")
        if content.get("interrupted") is True:
            # An interruption may arrive after the content is complete, while its audio is being played.
            state.finish = None
            self._finish("interrupted")
        elif content.get("generationComplete") is True:
            self._finish("generationComplete")
        if not _ends_turn(content):
            return
        if reason is not None and reason not in _UNSPECIFIED:
            # A reason is more specific than the bare end of the turn.
            was_interrupted = state.finish is not None and state.finish.reason == "cancelled"
            words = ["interrupted" if was_interrupted else None, reason]
            state.finish = None
            self._finish(worst_of(marks_in(FINISH_REASONS, *words, other="unknown"), self.note)[1] or reason)
        elif state.finish is None:
            self._finish("turnComplete")
        self.parts.close_audio()
        self._turn_is_open = False
        if self._one:
            # The answer ends with its first turn.
            self.conclude()

    def _finish(self, word: str) -> None:
        self.parts.close_audio()
        self.parts.finish(0, FINISH_REASONS.get(word, "unknown"), word)

    def _read_tool_call(self, data: JsonObject) -> None:
        """Add the calls in a message; the server then waits until the client sends their results."""
        self.parts.tell_fields(data, ("functionCalls",))
        calls = dicts_of(data.get("functionCalls"))
        if not calls:
            return
        self._begin_turn()
        self._awaits_result = True
        for call in calls:
            self.parts.add_call(call)

    def _read_cancellation(self, data: JsonObject) -> None:
        """Report the ids of cancelled calls: the user has interrupted the turn."""
        ids = data.get("ids")
        if is_list(ids):
            self.parts.items("toolCallCancellation", ids)
        else:
            self.parts.unknown("toolCallCancellation", data)

    _READERS: ClassVar[ReadersOf[GeminiLive]] = {
        "serverContent": _read_content,
        "toolCall": _read_tool_call,
        "toolCallCancellation": _read_cancellation,
    }


# Fields that `_read_content`, `_read_end` and `_ends_turn` read.
_READ_ELSEWHERE = split_names(
    "modelTurn outputTranscription interrupted generationComplete turnComplete turnCompleteReason "
    "interactionStatus"
)


def _ends_turn(content: JsonObject) -> bool:
    """Return True if a message ends its turn: also one with a status that the model is still active."""
    if content.get("turnComplete") is not True:
        return False
    return text_of(content, "interactionStatus") in (None, *_UNSPECIFIED, "IDLE", "REQUIRES_ACTION")
