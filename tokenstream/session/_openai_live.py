"""OpenAI's Live API: the model listens and speaks at the same time, and no event ends what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tokenstream._basics.untrusted import dict_of, dicts_of, text_of
from tokenstream.errors import MisuseError
from tokenstream.formats._wire.openai_live import OpenAILive, WaitingCalls
from tokenstream.session._api import NOBODY, Addressee, FormatOfRounds, Payload, SessionAPI

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.formats._base import Format
    from tokenstream.session._connection import AskedExchange
    from tokenstream.session._rounds import HasRounds, Question, Round
    from tokenstream.session._steering import SentSteer

_COMMANDS = ("session.", "response.", "decision.")
"""The beginnings of the types of messages that the API takes; other items are of the Responses API."""
_ITEM = "response.item.create"
_SPEECH = ("session.output_transcript.delta", "session.output_audio.delta")
_NO_ANSWER = frozenset({"session.started", "session.updated", "session.usage.updated", "info"})
"""Types of messages that show nothing of what becomes of a question."""
_MOST_HISTORY = 128
"""Number of messages that a session takes at its start."""
_MOST_STEERS = 4_096
"""Number of inputs to remember; each piece of the user's audio is one."""


class OpenAILiveAPI(SessionAPI):
    """The state of a conversation with the Live API."""

    format: ClassVar[str] = "openai-live"
    turn_method: ClassVar[str] = "to_openai_responses"
    keeps_steers: ClassVar[bool] = False
    lists_items: ClassVar[bool] = False

    def __init__(self, model: str | None, tools: list[Payload] | None, settings: Any) -> None:  # noqa: ANN401 - a mapping
        super().__init__(model, tools, settings)
        self._session: Payload = {}
        """The session, as the server has described it; {} until it has started."""
        self._is_greeted = False
        """True once the message that starts the session was written on this connection."""
        self._unsent: list[Payload] = []
        """The messages of a question, which the server takes once the session has started."""
        self._calls = WaitingCalls()
        """Tells which responses wait for the results of tools, over all answers."""
        self._answer_calls = WaitingCalls()
        """Tells when an answer ends with calls: by its own messages alone, like its format."""
        self._has_kept_calls = False
        """True if calls came while nobody read an answer, so that they are kept for the next one."""
        self._is_left = False
        """True from an interruption to the next question: nobody wants to hear the speech between them."""
        self._steers: dict[str, SentSteer] = {}
        """The input of which the server may still say something, by the ids of the messages."""
        self._messages = 0
        """Number of messages written, for their ids."""
        if self.tools and text_of(dict_of(self.settings, "delegation"), "type") != "responses":
            raise MisuseError(
                "the tools of openai-live are called by the model that it delegates to: name it, with "
                'settings={"delegation": {"type": "responses", "responses": {"model": …}}}'
            )

    @override
    def greet(self, *, is_set_up: bool) -> list[Payload]:
        # A session starts with its history, so the first question starts it.
        self._session, self._unsent, self._calls = {}, [], WaitingCalls()
        self._answer_calls = WaitingCalls()
        self._is_greeted = self._has_kept_calls = self._is_left = False
        self._lose_steers()
        return super().greet(is_set_up=is_set_up)

    @override
    def leave(self) -> None:
        self._session = {}
        self._lose_steers()

    def _lose_steers(self) -> None:
        """Note that nothing more will be said about input."""
        steers, self._steers = self._steers, {}
        for steer in steers.values():
            steer.lose()

    def write_request(self, exchange: AskedExchange, rounds: Sequence[Round]) -> list[Payload]:
        """Return the messages of a question; before them, the one that starts the session."""
        question = exchange.round.question
        asked = self._write_input(question)
        self.owners.note((message["event_id"] for message in asked), exchange)
        self._is_left = False
        if self._session:
            exchange.answer_id = text_of(self._session, "id") or ""
            if self._has_kept_calls:
                self._has_kept_calls, exchange.completed = False, True
                # The calls are the answer.
                self._answer_calls = WaitingCalls()
                exchange.end()
            return asked
        self._unsent = asked
        if self._is_greeted:
            return []
        self._is_greeted = True
        start = self._identify({"type": "session.start", "session": self._write_session(rounds, question)})
        self.owners.note([start["event_id"]], exchange)
        return [start]

    def _write_session(self, rounds: Sequence[Round], question: Question) -> Payload:
        """Return the description of the session, with the texts of the rounds before it as its history."""
        session: Payload = {} if self.model is None else {"model": self.model}
        session |= self.settings
        if self.tools:
            delegation = dict_of(session, "delegation")
            responses = {**dict_of(delegation, "responses"), "tools": self.tools}
            session["delegation"] = {**delegation, "responses": responses}
        history = [_to_message(turn) for turn in self.write_missing(rounds, None, question)]
        given = dicts_of(session.get("input"))
        messages = [*given, *(message for message in history if message is not None)]
        if messages:
            session["input"] = messages[-_MOST_HISTORY:]
        return session

    def _write_input(self, question: Question) -> list[Payload]:
        """Return the messages with what the application says: an instruction, results, or items."""
        if question.text is not None:
            # No message has a text that the user says: this one guides the model that speaks.
            fields = {"content": question.text, "delegation_id": None}
            return [self._identify({"type": "session.instructions.append", **fields})]
        given = question.write_turns(self.turn_method)
        messages = [each if _is_command(each) else {"type": _ITEM, "item": each} for each in given]
        if not all(map(_is_command, given)):
            # Each response that waits for results goes on by itself.
            number = self._calls.answer({text_of(each, "call_id") or "" for each in given})
            messages += [{"type": "response.create"}] * (1 if number is None else number)
        return [self._identify(message) for message in messages]

    def _identify(self, message: Payload) -> Payload:
        """Return a message with an id, which the server names where it answers the message."""
        if text_of(message, "event_id"):
            return message
        self._messages += 1
        return {**message, "event_id": f"tokenstream_{self._messages}"}

    def write_cancel(self, exchange: AskedExchange) -> list[Payload]:
        """Return no message, since none stops the model; the answer is over, as no event would end it."""
        self._is_left = True
        self._answer_calls = WaitingCalls()
        exchange.end()
        return []

    def write_steer(self, exchange: AskedExchange, steer: SentSteer) -> list[Payload]:
        """Return the messages with input, which the server takes at any time."""
        messages = self._write_input(steer.question)
        if self._session:
            self._steers |= {message["event_id"]: steer for message in messages}
        while len(self._steers) > _MOST_STEERS:
            del self._steers[next(iter(self._steers))]
        return messages

    @override
    def refuse_steer(self, exchange: AskedExchange) -> Payload | None:
        if self._session and not self.must_rotate:
            return None
        return {"code": "session_not_started", "message": "the session has not started, or is closed"}

    # -- receiving -----------------------------------------------------------

    def find_place(self, payload: Payload, open_exchanges: Sequence[AskedExchange]) -> Addressee:
        """Return the place of a message: the answer in progress gets all that the session says."""
        exchange = next((each for each in open_exchanges if not each.dropped), None)
        kind = text_of(payload, "type") or ""
        if kind == "error":
            return self._place_error(payload, exchange)
        self._note_applied(payload, kind)
        if kind == "session.closed":
            return self._place_closed(exchange)
        if kind in ("session.started", "session.updated"):
            self._session = dict_of(payload, "session") or {"id": ""}
        if kind == "session.started":
            return self._place_started(exchange)
        nested, id = dict_of(payload, "event"), text_of(payload, "delegation_id") or ""
        is_end = kind == "response.event" and self._follow(id, nested)
        if exchange is None:
            self._has_kept_calls = self._has_kept_calls or is_end
            return NOBODY if self._is_left and kind in _SPEECH else Addressee()
        if is_end:
            exchange.completed = True
        return Addressee(exchange, is_end=is_end, begins=kind not in _NO_ANSWER)

    def _follow(self, delegation: str, nested: Payload) -> bool:
        """Follow an event of a delegated response; return True if it ends an answer."""
        self._calls.follow(delegation, nested)
        is_end = self._answer_calls.follow(delegation, nested)
        if is_end:
            self._answer_calls.clear()
        return is_end

    def _place_started(self, exchange: AskedExchange | None) -> Addressee:
        """Return the place of the session's start, from which on it takes the question."""
        unsent, self._unsent = self._unsent, []
        if exchange is None:
            return Addressee()
        exchange.answer_id = text_of(self._session, "id") or ""
        return Addressee(exchange, begins=False, replies=unsent)

    def _place_closed(self, exchange: AskedExchange | None) -> Addressee:
        """Return the place of the session's end; the next question starts another session."""
        self.must_rotate = True
        self._lose_steers()
        if exchange is None:
            return NOBODY
        exchange.completed = True
        return Addressee(exchange, is_end=True)

    def _note_applied(self, payload: Payload, kind: str) -> None:
        """Note that the session has taken input."""
        if kind.startswith("session."):
            steer = self._steers.pop(text_of(payload, "client_event_id") or "", None)
            if steer is not None and steer.state != "refused":
                steer.apply(text_of(self._session, "id"))

    def _place_error(self, payload: Payload, exchange: AskedExchange | None) -> Addressee:
        """Return the place of an error, which mostly ends nothing.

        It ends an answer of which nothing has come, if it refuses the question or the session.
        """
        error = dict_of(payload, "error")
        cause = text_of(error, "client_event_id") or text_of(payload, "client_event_id") or ""
        steer = self._steers.pop(cause, None)
        if steer is not None:
            steer.refuse(payload)
            return NOBODY
        owner = self.owners.find([cause])
        if not self._session:
            # Nothing can be asked on this connection.
            self.must_rotate = True
        elif owner is not None and (owner.ended or owner.dropped):
            return NOBODY
        is_refused = not self._session or (owner is not None and not owner.begun)
        if is_refused:
            self._answer_calls = WaitingCalls()
        return Addressee(owner or exchange, is_end=is_refused, begins=is_refused)

    def make_format(self, asked: HasRounds) -> Format:
        """Return the format that reads an answer, with what is known about the session."""
        session = {} if self.must_rotate else self._session
        return _LiveSpeech(session=session).of_rounds(asked)

    @override
    def make_tool_format(self) -> Format:
        return _LiveSpeech()


class _LiveSpeech(FormatOfRounds, OpenAILive):
    """The format of what a session says from a question on, until tools have to be run."""

    ends_with_input: ClassVar[bool] = True
    ends_with_calls: ClassVar[bool] = True
    cannot_continue: ClassVar[str | None] = "a session of openai-live goes on with no beginning of an answer"

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of the format
        super().__init__(**options)
        # A session that is refused has nothing but an error, which other formats have as well.
        self.first_frames.drop()

    @property
    @override
    def finished(self) -> bool:
        return super().finished or self.ended

    @property
    @override
    def resting(self) -> bool:
        # Until the session has started, the server is silent although it was asked.
        return super().resting and (self.parts.started or bool(self._session))


def _is_command(item: Payload) -> bool:
    """Return True for a message of the API, which is sent as it is; False for a Responses item."""
    return (text_of(item, "type") or "").startswith(_COMMANDS)


def _to_message(turn: Payload) -> Payload | None:
    """Return a message of the history for a turn, which has one text; None for a turn without a text."""
    role, content = text_of(turn, "role"), turn.get("content")
    texts = [content] if isinstance(content, str) else [text_of(each, "text") for each in dicts_of(content)]
    text = "".join(text for text in texts if text)
    if role not in ("user", "assistant", "developer") or not text:
        return None
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
