"""OpenAI's Realtime API: the server keeps the conversation, and answers when it is asked to."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as InvalidBase64
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, text_of, text_or_empty
from tokenstream.formats._kit.openai import INPUT_TRANSCRIPTION
from tokenstream.formats._wire.openai_realtime import OpenAIRealtime
from tokenstream.formats._wire.openai_realtime.words import REMEMBERED_ITEMS, output_format, response_of
from tokenstream.session._api import (
    LATE_ERROR,
    NOBODY,
    Addressee,
    FormatOfRounds,
    Payload,
    SessionAPI,
    ids_in,
    place_aside,
    refuse_question,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.formats._base import Format
    from tokenstream.session._connection import AskedExchange
    from tokenstream.session._rounds import HasRounds, Round

_AUDIO_DELTAS = ("response.output_audio.delta", "response.audio.delta")
_TRANSCRIPT_DELTAS = ("response.output_audio_transcript.delta", "response.audio_transcript.delta")
"""The first events of a spoken item: its words come before their sound."""
_SPEECH_DELTAS = (*_AUDIO_DELTAS, *_TRANSCRIPT_DELTAS)
_LINEAR_BYTES_PER_MS = 2 / 1000
"""Bytes per millisecond of 16-bit samples, for each Hertz of the rate."""
_COMPANDED_BYTES_PER_MS = 8.0
"""Bytes per millisecond of G.711 audio."""
_RATE = 24_000
_TEXTS = ("input_text", "output_text")
_EXPIRED = "session_expired"
"""The code of the error with which the server ends a session that is too old."""
_OWN_SETUP = "tokenstream_setup_"
"""The beginning of the id of the message that sets a session up."""
_OWN_CONTROLS = ("tokenstream_cancel_", "tokenstream_truncate_")
"""The beginnings of the ids of messages whose failure concerns no answer."""


class RealtimeAPI(SessionAPI):
    """The state of a conversation with the Realtime API."""

    format = "openai-realtime"
    turn_method = "to_openai_responses"
    keeps_attempts = True

    def __init__(self, model: str | None, tools: list[Payload] | None, settings: Any) -> None:  # noqa: ANN401 - a mapping
        super().__init__(model, tools, settings)
        self._session: Payload = {}
        self._last_known: Round | None = None
        """The last round of which the server has the question; None on a new connection."""
        self._heard = RecentIds(REMEMBERED_ITEMS)
        """The ids of the user's items of which an answer has had pieces of the transcript."""
        self._messages = 0
        """Number of messages written, for their ids."""

    @override
    @classmethod
    def write_tools(cls, tools: Any) -> list[Payload]:
        # They have no setting for strict schemas here.
        written = super().write_tools(tools)
        return [{name: value for name, value in tool.items() if name != "strict"} for tool in written]

    @override
    def greet(self, *, is_set_up: bool) -> list[Payload]:
        # The message has the session's settings; the model is in the URL.
        super().greet(is_set_up=is_set_up)
        self._last_known = None
        session: Payload = {"type": "realtime", **self.settings}
        if self.tools:
            session["tools"] = self.tools
        return [self._write("setup", "session.update", session=session)] if len(session) > 1 else []

    def write_request(self, exchange: AskedExchange, rounds: Sequence[Round]) -> list[Payload]:
        """Return the items that the server does not have, and the message that asks for an answer."""
        question = exchange.round.question
        turns: list[Payload] = []
        if exchange.round is not self._last_known:
            turns = self.write_missing(rounds, self._last_known, question)
            turns += question.write_turns(self.turn_method)
        self._last_known = exchange.round
        items = [_to_item(turn) for turn in [*turns, *exchange.turns]]
        created = [self._write("item", "conversation.item.create", item=item) for item in items]
        messages = [*created, self._write("ask", "response.create")]
        # An error names the message that has caused it.
        self.owners.note((message["event_id"] for message in messages), exchange)
        return messages

    def write_cancel(self, exchange: AskedExchange) -> list[Payload]:
        fields = {"response_id": exchange.answer_id} if exchange.answer_id else {}
        return [self._write("cancel", "response.cancel", **fields)]

    def waits_for(self, other: AskedExchange, exchange: AskedExchange) -> bool:
        """Return True: a question may only be sent once the answer before it has ended."""
        return True

    def write_truncation(self, exchanges: Sequence[AskedExchange], played_ms: float) -> list[Payload]:
        """Return the messages that shorten the items to what was played, and never to more than they have."""
        messages: list[Payload] = []
        left = max(0.0, played_ms)
        for exchange in exchanges:
            exchange.is_cut = True
            for item_id, received in exchange.audio.items():
                heard = min(left, received)
                left -= heard
                if heard < received or not exchange.ended:
                    messages.append(self._write_cut(exchange, item_id, heard))
        return messages

    def _write_cut(self, exchange: AskedExchange, item_id: str, heard: float) -> Payload:
        """Return the message that shortens an item to the milliseconds that were heard of it."""
        exchange.audio[item_id] = heard
        fields = {"item_id": item_id, "content_index": 0, "audio_end_ms": int(heard)}
        return self._write("truncate", "conversation.item.truncate", **fields)

    def _write(self, purpose: str, kind: str, **fields: Any) -> Payload:  # noqa: ANN401 - any JSON
        """Return a message with an id, which the server names in an error that the message causes."""
        self._messages += 1
        return {"type": kind, "event_id": f"tokenstream_{purpose}_{self._messages}", **fields}

    # -- receiving -----------------------------------------------------------

    def find_place(self, payload: Payload, open_exchanges: Sequence[AskedExchange]) -> Addressee:
        """Return the place of a message, by the id of its response or item."""
        kind = text_or_empty(payload, "type")
        if kind == "error":
            return self._place_error(payload, open_exchanges)
        if kind in ("session.created", "session.updated"):
            self._session = dict_of(payload, "session")
        id, is_end = response_of(payload)
        ids = ids_in(payload)
        owner = self._find_owner(ids, kind, open_exchanges)
        if owner is not None and owner.ended:
            return NOBODY
        if not kind.startswith("response."):
            return self._place_session(kind, owner, open_exchanges)
        exchange = owner or self._find_exchange(id, open_exchanges)
        if exchange is None:
            # A response that no question has asked for may be of the user's voice.
            return Addressee() if kind == "response.created" else NOBODY
        self.owners.note(ids, exchange)
        if is_end:
            status = text_of(dict_of(payload, "response"), "status")
            exchange.completed = status in ("completed", "incomplete", None)
        elif exchange.dropped:
            return self._leave_dropped(exchange, payload, kind)
        elif (item_id := _spoken_item_of(payload, kind)) is not None:
            received = exchange.audio.get(item_id, 0.0)
            exchange.audio[item_id] = received + self._measure_audio(payload, kind)
        return Addressee(exchange, is_end)

    @staticmethod
    def _place_session(
        kind: str, owner: AskedExchange | None, open_exchanges: Sequence[AskedExchange]
    ) -> Addressee:
        """Return the place of a message about the session: the answer in progress, or else the next one."""
        if kind.startswith(INPUT_TRANSCRIPTION):
            return place_aside(open_exchanges)
        is_unread = owner is not None and owner.dropped
        if is_unread or kind == "conversation.item.truncated":
            return NOBODY
        return Addressee(open_exchanges[0] if open_exchanges else None, begins=False)

    def _find_owner(
        self, ids: Sequence[str | None], kind: str, open_exchanges: Sequence[AskedExchange]
    ) -> AskedExchange | None:
        """Return the exchange of the first id that is known; None if none is."""
        owner = self.owners.find(ids)
        if owner is None or not owner.ended or kind != "response.created":
            return owner
        waiting = next((each for each in open_exchanges if each.answer_id is None), None)
        if waiting is None:
            return owner
        # Quirk (servers that replay one answer, 2026-11): each response has the ids of the one before.
        self.owners.take_over(ids, waiting)
        waiting.answer_id = ids[0]
        return waiting

    def _leave_dropped(self, exchange: AskedExchange, payload: Payload, kind: str) -> Addressee:
        """Return the place of a message of an answer that nobody reads."""
        spoken = _spoken_item_of(payload, kind)
        replies: Sequence[Payload] = ()
        if kind == "response.created":
            # The request to stop may have come before there was anything to stop.
            replies = self.write_cancel(exchange)
        elif exchange.is_cut and spoken is not None and spoken not in exchange.audio:
            # Nobody has heard it.
            replies = [self._write_cut(exchange, spoken, 0.0)]
        return Addressee(exchange, replies=replies)

    @staticmethod
    def _find_exchange(id: str | None, open_exchanges: Sequence[AskedExchange]) -> AskedExchange | None:
        """Return the exchange of a response with unknown ids; None if no question has caused the response."""
        if id is None:
            # An answer that was given up before its id is known owns what comes until its end.
            return next((each for each in open_exchanges if each.dropped or each.answer_id is not None), None)
        # "" begins a response of a server that sends no ids.
        exchange = next((each for each in open_exchanges if each.answer_id in (None, id)), None)
        if exchange is not None:
            exchange.answer_id = id
        return exchange

    def _place_error(self, payload: Payload, open_exchanges: Sequence[AskedExchange]) -> Addressee:
        """Return the place of an error: it ends an answer only if it is about the request for it."""
        cause = text_or_empty(dict_of(payload, "error"), "event_id")
        if cause.startswith(_OWN_CONTROLS):
            return NOBODY
        code = text_or_empty(dict_of(payload, "error"), "code")
        if "cancel" in code:
            return NOBODY
        exchange = self.owners.find([cause]) or (open_exchanges[0] if open_exchanges else None)
        self.must_rotate = self.must_rotate or code == _EXPIRED
        if exchange is None and cause.startswith(_OWN_SETUP):
            # Without its setup, the session gives no answer that was asked for.
            return Addressee(begins=False)
        if exchange is None or exchange.ended:
            return LATE_ERROR
        is_refused = exchange.answer_id is None
        if code == _EXPIRED and is_refused:
            return refuse_question(exchange)
        return Addressee(exchange, is_end=is_refused, begins=is_refused)

    def _measure_audio(self, payload: Payload, kind: str) -> float:
        """Return the milliseconds of audio in a message, to whose sum its item can be shortened at most."""
        if kind not in _AUDIO_DELTAS:
            return 0.0
        try:
            size = len(b64decode(text_or_empty(payload, "delta")))
        except (InvalidBase64, ValueError):
            return 0.0
        return size / self._bytes_per_ms()

    def _bytes_per_ms(self) -> float:
        """Return the bytes of a millisecond of the session's output audio."""
        audio = output_format(self._session) or output_format(self.settings)
        if text_of(audio, "type") in ("audio/pcmu", "audio/pcma"):
            return _COMPANDED_BYTES_PER_MS
        return (int_of(audio, "rate") or _RATE) * _LINEAR_BYTES_PER_MS

    def make_format(self, asked: HasRounds) -> Format:
        """Return the format that reads an answer, with what is known about the session."""
        return _RealtimeAnswer(session=self._session, heard=self._heard).of_rounds(asked)


class _RealtimeAnswer(FormatOfRounds, OpenAIRealtime):
    """The format of the answer to a question, which may go on after its tools were run."""

    @property
    @override
    def resting(self) -> bool:
        # Until the response begins, the server is silent although it was asked.
        return super().resting and self.parts.finished


def _spoken_item_of(payload: Payload, kind: str) -> str | None:
    """Return the id of the item that a message adds speech to, its sound or its words; None for any other."""
    return text_of(payload, "item_id") if kind in _SPEECH_DELTAS else None


def _to_item(turn: Payload) -> Payload:
    """Return an item of the Realtime API for an item of the Responses API, which are nearly the same."""
    content: object = turn.get("content")
    is_assistant = turn.get("role") == "assistant"
    kind = "output_text" if is_assistant else "input_text"
    if turn.get("type", "message") != "message":
        return turn
    if isinstance(content, str):
        pieces: list[Payload] = [{"type": kind, "text": content}]
    else:
        # Annotations and the like are fields of the Responses API only.
        pieces = [
            {"type": kind, "text": piece["text"]} if piece.get("type") in _TEXTS else piece
            for piece in dicts_of(content)
        ]
    return {"type": "message", "role": turn.get("role", "user"), "content": pieces}
