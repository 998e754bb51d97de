"""Google's Interactions API: steps of a model or an agent, each with an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, is_dict, text_of
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.values import marks_in, split_names, worst_of
from tokenstream.formats._reader import begins_another, end_without_finish, note_missing_start, type_of
from tokenstream.formats._resume.event_log import MOST_SAVED
from tokenstream.formats._wire.gemini_interactions.parts import InteractionSteps
from tokenstream.formats._wire.gemini_interactions.step import (
    ALIASES,
    FINISH_REASONS,
    UNFINISHED,
    USAGE,
    InteractionStep,
    ReportedStep,
)

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.values import Mark, ReadersOf

_EVENTS = split_names(
    "interaction.created interaction.status_update interaction.completed step.start step.delta step.stop"
)
_STARTS = ("interaction.created", "interaction.status_update")
_OWN_FIELDS = ("interaction", "interaction_id", "index")
"""Fields of which each event has at least one."""
_REMEMBERED = 500
"""Number of events that are remembered, so that those sent again are dropped."""
_PLAIN_PAYLOAD = {"event_type", "index", "delta"}
"""The fields of a payload that has nothing but a delta."""
_EVENT_FIELDS = split_names(
    "event_type event_id interaction interaction_id status usage index step content delta metadata step_usage"
)
"""Fields of an event that are read."""
# The SDK adds the output, which repeats content of the steps.
_KNOWN_IN_INTERACTIONS = split_names(
    "id model agent status object usage steps outputs errors error output_text output_audio output_image "
    "output_video"
)


class GeminiInteractions(Format[InteractionSteps]):
    """The `gemini-interactions` format: the events of a stream, or a whole interaction in one payload.

    Example:
        >>> interactions = GeminiInteractions()
        >>> delta = {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "Hel"}}
        >>> [type(event).__name__ for event in interactions.feed(delta)]
        ['PartStart', 'TextDelta']
    """

    __slots__ = ("_ids_are_shared", "_read_events", "_reported_id", "_status", "last_positions")

    _parts_class = InteractionSteps
    name = "gemini-interactions"
    counted = USAGE
    # Of `Interaction` in google-genai.
    documented = split_names(
        "agent_config cached_content continuation_ids continuation_token created environment environment_id "
        "generation_config input labels previous_interaction_id response_format response_mime_type "
        "response_modalities safety_settings service_tier system_instruction tools updated webhook_config"
    )
    is_one_answer = True
    event_names = _EVENTS | ALIASES.keys()
    closes_parts = True
    sentinel = b"[DONE]"
    ends_twice = True
    fast = Fast(texts=[("delta", "text"), ("delta", "content", "text"), ("delta", "arguments")])
    finish_reasons = FINISH_REASONS
    resumes = True
    # The class of the open steps, which a saved state contains.
    made_of = (InteractionStep, ReportedStep)
    unkept = frozenset({"_read_events"})

    def _set_up(self) -> None:
        self._status: str | None = None
        self.last_positions: list[int | str] = []
        """The ids of the last events, by which a checkpoint recognizes a replay: they have no order."""
        self._reported_id: int | str | None = None
        """The last event id that was reported as a field of the answer."""
        self._read_events: dict[str, int] = {}
        """The hashes of the last events, by their ids, to recognise events that are sent again."""
        self._ids_are_shared = False
        """True once two events have had the same id, so that ids identify no event."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool | None:
        """Return whether a first payload is of this format; None if only its type says so."""
        kind = text_of(payload, "event_type")
        if kind is not None:
            if kind in _EVENTS or kind in ALIASES:
                return True if any(name in payload for name in _OWN_FIELDS) else None
            return kind == "error"
        if payload.get("object") == "interaction":
            return "status" in payload
        # An event that lacks its type is known by its name and by a field of its payload.
        return event in cls.event_names and (is_dict(payload.get("interaction")) or "index" in payload)

    @property
    def position(self) -> int | str | None:
        """The last `event_id`; a client sends it as `last_event_id` to resume the answer."""
        return self.last_positions[-1] if self.last_positions else None

    def position_of(self, payload: JsonObject) -> str | None:
        return text_of(payload, "event_id")

    def begun_by(self, payload: JsonObject, event: str) -> str | None:
        """Return the id of the interaction that an event begins, or "" if the interaction has no id.

        The result is None if the event begins no interaction.
        """
        kind = text_of(payload, "event_type") or event
        if ALIASES.get(kind, kind) != "interaction.created":
            return None
        return text_of(dict_of(payload, "interaction"), "id") or ""

    def tolerates(self, payload: JsonObject, event: str) -> bool:
        """Return whether a payload is an event of an interaction: an error in it is read with the event."""
        kind = text_of(payload, "event_type") or event
        return ALIASES.get(kind, kind) in _EVENTS

    def read(self, payload: JsonObject, event: str) -> None:
        kind = type_of(self, payload, event, "event_type")
        # Types in previews of the API are replaced by the present ones.
        kind = ALIASES.get(kind, kind)
        event_id = text_of(payload, "event_id")
        if event_id:
            if self._is_repeated(event_id, kind, payload):
                self.note("frame_repeated")
                return
            self.last_positions.append(event_id)
            if len(self.last_positions) > 2 * MOST_SAVED:
                del self.last_positions[:MOST_SAVED]
        reader = self._READERS.get(kind)
        if reader is not None:
            if not (self.parts.started or kind in _STARTS or _steps_of(dict_of(payload, "interaction"))):
                note_missing_start(self)
            reader(self, payload)
            if payload.keys() != _PLAIN_PAYLOAD and not self.later_frames:
                self.parts.report_unknown_fields(payload, _EVENT_FIELDS)
        elif payload.get("object") == "interaction":
            self._read_whole_interaction(payload)
        elif payload.get("event_type") == "UNKNOWN" and is_dict(payload.get("raw")):
            # The SDK yields such an object for an event for which it has no class.
            self.parts.unknown(text_of(payload["raw"], "event_type") or "event", payload["raw"])
        else:
            self.parts.unknown(kind or "event", payload)
        self._report_position()

    def _is_repeated(self, event_id: str, kind: str, payload: JsonObject) -> bool:
        """Return True if an event was read before, judging by its id and its content."""
        content, known = hash((kind, repr(payload))), self._read_events
        is_known = event_id in known
        if not is_known and len(known) >= _REMEMBERED:
            del known[next(iter(known))]
        self._ids_are_shared = self._ids_are_shared or known.setdefault(event_id, content) != content
        return is_known and not self._ids_are_shared

    def read_sentinel(self) -> None:
        """End the answer with the last status, if it is final: the terminal event may be missing."""
        if not (self.parts.finished or (self.resume and self.resume.after)):
            self._finish_by_status()
        if self.error is None:
            super().read_sentinel()

    def judge_end(self) -> None:
        self._report_position()
        if self.error is None and not self.ended:
            self._finish_by_status()

    def _finish_by_status(self) -> None:
        """Finish with the last status, if it is final; the event that describes a failure is missing."""
        for reason, word in _list_marks(self._status):
            self.parts.finish(0, reason, word)
            if reason == "error":
                self._set_error([])

    # -- events --------------------------------------------------------------

    def _read_created(self, payload: JsonObject) -> None:
        """Report a new interaction's fields; count a departure if the answer had begun before."""
        interaction = dict_of(payload, "interaction")
        if self.parts.started and begins_another(self, text_of(interaction, "id"), payload):
            return
        self._read_interaction_fields(interaction)

    def _read_status_update(self, payload: JsonObject) -> None:
        self._status = text_of(payload, "status") or self._status
        self._read_usage(payload.get("usage"))

    def _start_step(self, payload: JsonObject) -> None:
        # In previews of the API, the field was called `content`.
        step = dict_of(payload, "step") or dict_of(payload, "content")
        self.parts.start_step(self.parts.find_index(payload.get("index"), new=True), step)

    def _read_delta(self, payload: JsonObject) -> None:
        delta = dict_of(payload, "delta")
        self.parts.add_delta(
            self.parts.find_index(payload.get("index"), arguments="arguments" in delta), delta, payload
        )
        self._read_usage(dict_of(payload, "metadata").get("total_usage"))
        self.parts.report_unknown_fields(dict_of(payload, "metadata"), ("total_usage",))

    def _stop_step(self, payload: JsonObject) -> None:
        self.parts.stop(self.parts.find_index(payload.get("index"), ends=True))
        self._read_usage(payload.get("usage"))
        step_usage = dict_of(payload, "step_usage")
        if step_usage:
            self.parts.items("step_usage", [step_usage], 0)

    def _read_completed(self, payload: JsonObject) -> None:
        """Read the ended interaction, which has the outcome, and report unknown fields."""
        interaction = dict_of(payload, "interaction")
        steps = _steps_of(interaction)
        goes_on = self.resume is not None and self.resume.goes_on
        if goes_on and steps and text_of(interaction, "status") != "failed":
            self.parts.repeat_steps(steps)
        self._read_ended_interaction(interaction)

    def _read_whole_interaction(self, interaction: JsonObject) -> None:
        """Read an interaction in one payload; if it runs in the background, it may not have ended yet."""
        has_ended = text_of(interaction, "status") not in UNFINISHED
        if has_ended and self.parts.reported:
            # It was fetched, or a gateway has sent it instead of the rest of the stream.
            self.parts.repeat_steps(_steps_of(interaction))
        if has_ended:
            self._read_ended_interaction(interaction)
            return
        self.unfinished = True
        self._read_interaction_fields(interaction)
        if self.parts.withholds is None:
            # Otherwise, the finished interaction is asked for, which has all steps.
            self.parts.add_steps(_steps_of(interaction))

    def _read_ended_interaction(self, interaction: JsonObject) -> None:
        # The last status that an earlier event has reported, if any, is a mark of the end, too.
        own_marks, marks = (_list_marks(text_of(interaction, "status")), _list_marks(self._status))
        self._read_interaction_fields(interaction)
        self.parts.add_steps(_steps_of(interaction))
        self._report_position()
        if not own_marks:
            self.note("finish_missing")
        if not (own_marks or marks):
            end_without_finish(self)
            return
        reason, status = worst_of(own_marks + marks, self.note)
        self.parts.finish(0, reason, status)
        errors = dicts_of(interaction.get("errors")) or dicts_of(interaction.get("error"))
        if reason == "error":
            self._set_error(errors)
        elif errors:
            # Only a part of the answer failed, such as a step.
            self.parts.field("errors", errors)
        self.conclude()

    _READERS: ClassVar[ReadersOf[GeminiInteractions]] = {
        "interaction.created": _read_created,
        "interaction.status_update": _read_status_update,
        "interaction.completed": _read_completed,
        "step.start": _start_step,
        "step.delta": _read_delta,
        "step.stop": _stop_step,
    }

    # -- internals -----------------------------------------------------------

    def _read_interaction_fields(self, interaction: JsonObject) -> None:
        """Report the id, model or agent, usage and unknown fields of an interaction, and store its status."""
        self.parts.head(
            id=text_of(interaction, "id"),
            model=text_of(interaction, "model") or text_of(interaction, "agent"),
        )
        self._status = text_of(interaction, "status") or self._status
        self._read_usage(interaction.get("usage"))
        self.parts.report_unknown_fields(interaction, _KNOWN_IN_INTERACTIONS)

    def _read_usage(self, report: object) -> None:
        if is_dict(report) and report:
            self.parts.usage(USAGE.read(report))

    def _set_error(self, errors: list[JsonObject]) -> None:
        """Store the first error of a failed interaction, or a general one if there is none."""
        fields = (fields_except(errors[0]) or {}) if errors else {}
        self.error = provider_error({"error": fields}, ours="the interaction failed")

    def _report_position(self) -> None:
        """Report the id of the last event as a field: the answer can be resumed after this event."""
        if self.position != self._reported_id:
            self._reported_id = self.position
            self.parts.field("event_id", self._reported_id)


def _steps_of(interaction: JsonObject) -> list[JsonObject]:
    """Return the steps in an interaction, except those that repeat the user's input."""
    # In previews of the API, the field was called `outputs`.
    steps = interaction.get("steps") or interaction.get("outputs")
    return [step for step in dicts_of(steps) if step.get("type") != "user_input"]


def _list_marks(status: str | None) -> list[Mark]:
    """Return a status as a mark of the end; none for one of an interaction that goes on."""
    return [] if status in UNFINISHED else marks_in(FINISH_REASONS, status, other="unknown")
