"""Gemini Live: the server keeps the conversation, and gives handles with which to resume it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tokenstream._basics.untrusted import dicts_of, is_dict, is_list, text_of
from tokenstream.errors import MisuseError
from tokenstream.formats._wire.gemini_live import GeminiLive
from tokenstream.formats._wire.gemini_live.parts import fields_of, object_in
from tokenstream.session._api import NOBODY, Addressee, FormatOfRounds, Payload, SessionAPI, place_aside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.formats._base import Format
    from tokenstream.session._connection import AskedExchange
    from tokenstream.session._rounds import HasRounds, Question, Round

_SET_UP_BY_SDK = (
    "google-genai sets the session up itself: pass model, tools and settings to its connect(model=…, "
    "config=…), and leave them out of the session"
)
_END = frozenset({"interrupted", "turnComplete"})
"""Fields of a message that is only about the end of a turn."""
_TURN_ENDED: Payload = {"serverContent": {"generationComplete": True, "turnComplete": True}}


class LiveAPI(SessionAPI):
    """The state of a conversation with Gemini Live."""

    format = "gemini-live"
    turn_method = "to_gemini"
    keeps_attempts = True

    def __init__(self, model: str | None, tools: list[Payload] | None, settings: Any) -> None:  # noqa: ANN401 - a mapping
        super().__init__(model, tools, settings)
        self._last_known: Round | None = None
        """The last round of which the server has the question; None if it has none."""
        self._last_settled: Round | None = None
        """The last round before the latest request."""
        self._latest: AskedExchange | None = None
        """The exchange of that request, if it was for this connection."""
        self._handle: str | None = None
        """The last handle that the server has called resumable."""
        self._last_resumable: Round | None = None
        """The last round that a connection with this handle has."""
        self._awaited: set[str] = set()
        """Ids of the calls whose results the server waits for, on this connection."""
        self._unsent: list[Payload] = []
        """Turns with results of calls in the text, which the server takes only between two of its turns."""
        self._reader = GeminiLive()
        """Tells where turns end."""
        self._was_interrupted = False
        """True once the server has reported that no more content comes of an answer that nobody reads."""
        self._is_turn_left = False
        """True from calls until the server ends their turn, or goes on with the next answer."""

    @override
    def greet(self, *, is_set_up: bool) -> list[Payload]:
        # The message sets the session up, or resumes it.
        super().greet(is_set_up=is_set_up)
        self._awaited.clear()
        self._latest, self._was_interrupted, self._is_turn_left = None, False, False
        self.is_ready = is_set_up
        if is_set_up:
            if self.model is not None or self.tools or self.settings:
                raise MisuseError(_SET_UP_BY_SDK)
            # Only the caller could have given the handle to the SDK.
            self._last_known = self._handle = None
            self._unsent.clear()
            return []
        self._last_known = None if self._handle is None else self._last_resumable
        if self._last_known is None:
            # The whole history has them.
            self._unsent.clear()
        setup = dict(self.settings)
        if self.model is not None:
            setup["model"] = self.model if "/" in self.model else f"models/{self.model}"
        if self.tools:
            setup["tools"] = self.tools
        given: object = setup.get("sessionResumption")
        resumption = dict(given) if is_dict(given) else {}
        if self._handle is not None:
            resumption["handle"] = self._handle
        # Without this field, the server gives no handles.
        return [{"setup": {**setup, "sessionResumption": resumption}}]

    def forget_handle(self) -> bool:
        had_handle, self._handle = self._handle is not None, None
        return had_handle

    def write_request(self, exchange: AskedExchange, rounds: Sequence[Round]) -> list[Payload]:
        """Return the message with the turns that the server does not have, or the results it waits for."""
        question, response = exchange.round.question, None
        turns: list[Payload] = []
        if exchange.round is not self._last_known:
            turns = self.write_missing(rounds, self._last_known, question)
            response = None if turns else self._write_results(question)
            turns += question.write_turns(self.turn_method)
        self._last_known, self._latest = exchange.round, exchange
        self._last_settled = rounds[-1] if rounds else None
        if response is not None:
            return [response]
        unsent, self._unsent = self._unsent, []
        return [{"clientContent": {"turns": [*unsent, *turns, *exchange.turns], "turnComplete": True}}]

    def _write_results(self, question: Question) -> Payload | None:
        """Return the message with the results that the server waits for; None if the question has none."""
        if question.results is None or not self._awaited.intersection(question.results):
            return None
        turns = question.write_turns(self.turn_method)
        parts = [part for turn in turns for part in dicts_of(turn.get("parts"))]
        responses = [part["functionResponse"] for part in parts if is_dict(part.get("functionResponse"))]
        # In the middle of a turn, a text would interrupt the model.
        self._unsent += [
            turn for turn in turns if any("text" in part for part in dicts_of(turn.get("parts")))
        ]
        self._awaited.clear()
        return {"toolResponse": {"functionResponses": responses}}

    # -- receiving -----------------------------------------------------------

    def find_place(self, payload: Payload, open_exchanges: Sequence[AskedExchange]) -> Addressee:
        """Return the place of a message: only calls have ids; turns come in the order of the questions."""
        fields = fields_of(payload)
        self._learn(fields, open_exchanges)
        exchange = open_exchanges[0] if open_exchanges else None
        if self._is_of_ended(fields, exchange):
            return NOBODY
        place, is_end = self._reader.place_of(payload)
        if place is None and "inputTranscription" in object_in(fields, "serverContent"):
            return place_aside(open_exchanges)
        if place is None:
            return Addressee(exchange, begins=False)
        content = object_in(fields, "serverContent")
        if self._is_turn_left and self._ends_left_turn(fields, exchange, is_end=is_end):
            return NOBODY
        if exchange is None:
            # The rest of a turn that is over for us.
            return NOBODY
        if (
            exchange.dropped
            and (next_place := self._leave_dropped(payload, content, open_exchanges)) is not None
        ):
            return next_place
        if is_end:
            self._was_interrupted = False
            exchange.completed = True
            return Addressee(exchange, is_end=True)
        if "toolCall" in fields:
            return self._place_calls(exchange, _called_ids(fields))
        return Addressee(exchange)

    def _is_of_ended(self, fields: Payload, exchange: AskedExchange | None) -> bool:
        """Return True if a message is about calls of an answer that has ended."""
        ids = [*_called_ids(fields), *_cancelled_ids(fields)]
        owner = self.owners.find(ids)
        if owner is None or not owner.ended:
            return False
        if "toolCall" in fields:
            # Once the server has ended that turn, it may give its ids anew.
            return self._is_turn_left
        # The answer goes on with the results of the calls, some of which may be cancelled.
        return exchange is None or not any(exchange.round.question.answers(id) for id in ids)

    def _learn(self, fields: Payload, open_exchanges: Sequence[AskedExchange]) -> None:
        if is_dict(fields.get("setupComplete")):
            self.is_ready = True
        if is_dict(fields.get("goAway")):
            self.must_rotate = True
        if is_dict(fields.get("sessionResumptionUpdate")):
            self._learn_handle(object_in(fields, "sessionResumptionUpdate"), open_exchanges)
        self._awaited.difference_update(_cancelled_ids(fields))

    def _leave_dropped(
        self, payload: Payload, content: Payload, open_exchanges: Sequence[AskedExchange]
    ) -> Addressee | None:
        """Return the place of content of the next turn, if the dropped one was interrupted; else None."""
        if content.get("interrupted") is True or content.get("generationComplete") is True:
            self._was_interrupted = True
        elif self._was_interrupted and content.get("modelTurn"):
            # The server has left out the end of the interrupted turn.
            self._was_interrupted = False
            open_exchanges[0].end()
            return self.find_place(payload, open_exchanges[1:])
        return None

    def _ends_left_turn(self, fields: Payload, exchange: AskedExchange | None, *, is_end: bool) -> bool:
        """Return True if a message only ends the turn that called tools: a question came for the results."""
        is_about_end = "serverContent" in fields and object_in(fields, "serverContent").keys() <= _END
        if exchange is not None and exchange.round.question.results is not None:
            # The turn goes on with the results, and its end counts the tokens.
            # Quirk (aimock 1.43, 2026-11): the turn ends right after the calls, uncounted.
            is_about_end = is_about_end and "usageMetadata" not in fields
        self._is_turn_left = is_about_end and not is_end
        return is_about_end

    def _place_calls(self, exchange: AskedExchange, ids: list[str]) -> Addressee:
        """Return the place of calls, after which the server waits for their results."""
        self._awaited.update(ids)
        self.owners.note(ids, exchange)
        exchange.completed = self._is_turn_left = True
        # The server ends the turn only after the results, with the next answer.
        return Addressee(exchange, is_end=True, ending=_TURN_ENDED)

    def _learn_handle(self, update: Payload, open_exchanges: Sequence[AskedExchange]) -> None:
        """Keep a handle, unless resuming with it would lose data."""
        handle = text_of(update, "newHandle")
        if update.get("resumable") is True and handle:
            self._handle = handle
            # Of an answer in progress, the server may have the question only, or not even that.
            is_sent = self._latest is None or self._latest.written
            self._last_resumable = self._last_known if is_sent and not open_exchanges else self._last_settled

    def make_format(self, asked: HasRounds) -> Format:
        return _LiveAnswer().of_rounds(asked)


def _called_ids(fields: Payload) -> list[str]:
    calls = dicts_of(object_in(fields, "toolCall").get("functionCalls"))
    return [id for call in calls if (id := text_of(call, "id"))]


def _cancelled_ids(fields: Payload) -> list[str]:
    ids: object = object_in(fields, "toolCallCancellation").get("ids")
    return [id for id in (ids if is_list(ids) else []) if isinstance(id, str)]


class _LiveAnswer(FormatOfRounds, GeminiLive):
    """The format of the answer to a question, which may go on after its tools were run."""

    @property
    @override
    def resting(self) -> bool:
        # Until the turn begins, the server is silent although it was asked.
        return super().resting and (self.parts.finished or self._awaits_result)
