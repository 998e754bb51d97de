"""The rounds of a conversation: each is a question, or the results of tools, and the model's answer."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from weakref import ref

from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream._values.parts import dialect_of
from tokenstream.errors import MisuseError, NotExpressible
from tokenstream.message import MediaPart, Message, Part, TextPart
from tokenstream.turns._drop import Drop, formats_with_turns, turn_method, write_user_turn
from tokenstream.turns._in_text import MARKUPS, put_calls_in_text
from tokenstream.turns._results import ToolResults, keep_results, write_in_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream._basics.loose import JsonObject
    from tokenstream.session._steering import SentSteer
    from tokenstream.stream._cancelling import EndVerdict

_DROP: Drop = ("incomplete", "invalid_tool_call", "media", "opaque", "citation")
"""Parts of an answer that need not be repeated to the model, or that cannot be."""


class ReadsAnswer(Protocol):
    """The driver of an answer's stream, as far as a round and its question need it."""

    @property
    def message(self) -> Message: ...
    @property
    def verdict(self) -> EndVerdict: ...
    def note_look(self) -> None: ...


class HasRounds(Protocol):
    """A question, as far as its rounds and the format of its answer need it."""

    @property
    def is_post(self) -> bool: ...  # True once it was sent as a POST, which gets a single answer
    @property
    def runs_tools(self) -> bool: ...  # True if tools are run, so that further answers may follow
    @property
    def goes_on(self) -> bool: ...  # True while further answers may follow in the same stream
    @property
    def has_rounds(self) -> bool: ...  # True while tools may still be run for the same stream


class Question:
    """The application's words in one round: a text, items of the API's requests, or the results of tools."""

    def __init__(self, content: object) -> None:
        self.text: str | None = content if isinstance(content, str) else None
        self.results: ToolResults | None = content if isinstance(content, ToolResults) else None
        self.items: tuple[JsonObject, ...] = ()
        if self.text is None and self.results is None:
            self.items = _find_own_items(content)

    def write_turns(self, method: str) -> list[JsonObject]:
        """Return the turns of the question, made by a method of `Message` in the form of one API."""
        if self.results is not None:
            return _write_results(self.results, method)
        if self.text is not None:
            return [_write_text_turn(self.text, method)]
        return [dict(item) for item in self.items]

    def answers_all(self, message: Message) -> bool:
        """Return True if the question has the results of all calls of a message that the server has seen."""
        return all(self.answers(call.id) or dialect_of(call) for call in message.tool_calls)

    def answers(self, call_id: str) -> bool:
        if self.results is not None:
            return call_id in self.results
        return any(call_id in (item.get("call_id"), item.get("id")) for item in self.items)


def _write_results(results: ToolResults, method: str) -> list[JsonObject]:
    """Return the turns of results; those of calls in the text are text, too: the server knows of no call."""
    in_text = [call for call in results.message.tool_calls if dialect_of(call)]
    if not in_text:
        turns: list[JsonObject] = getattr(results, method)()
        return turns
    own = [call for call in results.message.tool_calls if not dialect_of(call)]
    turns = getattr(keep_results(results, own), method)()
    markup = MARKUPS.get(dialect_of(in_text[0]) or "")
    text = write_in_text(keep_results(results, in_text), markup)
    return [*turns, _write_text_turn(text, method)] if text else turns


def _find_own_items(content: Any) -> tuple[JsonObject, ...]:  # noqa: ANN401 - whatever the caller passes
    """Return the items of a question that the caller has written in the form of the API."""
    kind = type(content).__name__
    given: list[Any] = [content] if is_dict(content) else []
    if isinstance(content, list | tuple):
        given = [*content]
    if given and all(is_dict(item) for item in given):
        try:
            json.dumps(given)
        except (TypeError, ValueError, RecursionError) as error:
            raise MisuseError(
                f"the items of a question are sent as JSON, which these are not: {error}"
            ) from error
        return tuple(given)
    raise MisuseError(
        "session.ask() takes a text, the results of tools (`stream.run(router)` returns them), or items of "
        f"the API's requests as dicts, and not {kind}" + (" without items" if content == [] else "")
    )


def _write_text_turn(text: str, method: str) -> JsonObject:
    """Return the user's turn with a text; that of the Responses API is written out, as an item."""
    if method == "to_openai_responses":
        return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return write_user_turn(text, method)


class Round:
    """One question with its answer, over all attempts at the answer.

    Args:
        question: What the application says.
        lane: The name of the lane; "" for the only one.
        asked: The call that has asked it, and may ask on with the results of tools; None if nothing does.
    """

    def __init__(self, question: Question, lane: str = "", asked: HasRounds | None = None) -> None:
        self.question = question
        # Weak, since the call refers to its round.
        self._asked: Callable[[], HasRounds | None] | None = None if asked is None else ref(asked)
        self.lane = lane
        self._answer: ReadsAnswer | None = None
        """The driver of the answer's stream; None before the question is sent, and once it is let go."""
        self._find_answer: Callable[[], ReadsAnswer | None] | None = None
        """Returns that driver, as long as anything else keeps it; None unless it was let go."""
        self.steers: list[SentSteer] = []
        """The input that was applied while the answer was written."""
        self.text_calls_before = 0
        """The number of calls in the text of that stream's earlier rounds: their ids are not the server's."""
        self._message = Message()

    @property
    def asked(self) -> HasRounds | None:
        """The call that has asked the question; None if nothing asks on."""
        return None if self._asked is None else self._asked()

    @property
    def answer(self) -> ReadsAnswer | None:
        """The driver of the stream; None before the question is sent, after `keep`, and once it is gone."""
        return self._answer if self._find_answer is None else self._find_answer()

    def be_answered_by(self, answer: ReadsAnswer | None) -> None:
        """Take the answer from a stream's driver, which is kept even if the application drops the stream."""
        self._answer = answer

    @property
    def message(self) -> Message:
        """The answer so far."""
        answer = self.answer
        if answer is None:
            return self._message
        message, results = answer.message, self.question.results
        answer.note_look()
        if results is None:
            return message
        # The stream of an answer that went on after its tools were run begins with the rounds before.
        calls = [(index, part) for index, part in enumerate(message.parts) if part.kind == "tool_call"]
        own = [index for index, call in calls if not dialect_of(call) and call.id in results]
        in_text = [index for index, call in calls if dialect_of(call)][: self.text_calls_before]
        parts = message.parts[max([*own, *in_text], default=-1) + 1 :]
        return message.model_copy(update={"parts": parts})

    @property
    def is_answered(self) -> bool:
        """True if the model has answered, so that the round belongs to the history."""
        message = self.message
        return bool(message.parts) or message.complete

    def keep(self, message: Message | None = None) -> None:
        """Keep a message, by default the stream's, and forget the stream, from which nothing more comes."""
        self._message = self.message if message is None else message
        self._answer = self._asked = self._find_answer = None

    def let_go(self) -> None:
        """Keep the message so far instead of the stream, which may go on as long as the application has it.

        The stream refers to the conversation, which keeps this round. Another call keeps what was read since
        then: it comes once the stream was read to its end or closed.
        """
        if (answer := self.answer) is not None:
            self._message = self.message
            self._answer, self._find_answer = None, ref(answer)


def write_history(
    rounds: Sequence[Round], method: str, following: Question | None = None
) -> list[JsonObject]:
    """Return the turns, by a method of `Message`, of the rounds in which the model has answered."""
    turns: list[JsonObject] = []
    answered = [each for each in rounds if each.is_answered]
    for index, each in enumerate(answered):
        later = answered[index + 1].question if index + 1 < len(answered) else following
        turns += each.question.write_turns(method)
        for steer in each.steers:
            turns += steer.question.write_turns(method)
        turns += _write_answer(each.message, method, later)
    return turns


def _write_answer(message: Message, method: str, later: Question | None) -> list[JsonObject]:
    """Return the assistant's turns of an answer, without delegated work and calls never answered."""
    called = {part.id for part in message.parts if part.kind == "server_tool_call"}
    parts = [
        # Spoken parts are repeated as text: audio cannot be sent back.
        TextPart(text=part.transcript, complete=part.complete)
        if isinstance(part, MediaPart) and part.transcript
        else part
        for part in message.parts
        if (part.kind != "tool_call" or later is None or later.answers(part.id))
        and (part.kind != "server_tool_result" or part.id in called)
    ]
    spoken = _as_written(message.model_copy(update={"parts": tuple(parts)}))
    try:
        turn: Any = getattr(spoken, method)(drop=_DROP)
    except NotExpressible as error:
        if error.kinds:
            raise
        # Nothing is left that could be sent.
        return []
    return turn if is_list(turn) else [turn]


def _as_written(message: Message) -> Message:
    """Return an answer with the calls of its text as text again, or without those that cannot be written."""
    for dialect in MARKUPS.keys() & {dialect_of(call) for call in message.tool_calls}:
        message, _ = put_calls_in_text(message, dialect, _DROP, is_meant=partial(_is_written_in, dialect))
    kept = tuple([part for part in message.parts if not dialect_of(part)])
    return message.model_copy(update={"parts": kept})


def _is_written_in(dialect: str, part: Part) -> bool:
    return dialect_of(part) == dialect


def find_turn_method(format: str) -> str:
    """Return the name of the method of `Message` that makes turns in the form of an API."""
    method = turn_method(format)
    if method is None:
        names = ", ".join(formats_with_turns())
        raise MisuseError(f"a request in the format {format!r} has no turns; name one that has: {names}")
    return method


def rounds_after(rounds: Sequence[Round], last: Round | None) -> Sequence[Round]:
    """Return the rounds after the given one, all of them if it is None."""
    # Mostly, it is the last one, so the search begins at the end.
    for index in range(len(rounds) - 1, -1, -1):
        if rounds[index] is last:
            return rounds[index + 1 :]
    return rounds
