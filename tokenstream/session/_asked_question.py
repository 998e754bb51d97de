"""One call of `session.ask`: the question, the exchange that brings its answer, and the tools to run."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import ref

from tokenstream._basics.json import decode_tolerantly
from tokenstream._basics.untrusted import dict_of, is_dict
from tokenstream._pipeline.factories import looks_for_calls
from tokenstream._sources.kinds import do_nothing
from tokenstream._values.parts import dialect_of
from tokenstream.errors import StreamTruncated
from tokenstream.session._lines import Flow, RunTools
from tokenstream.session._rounds import Question, ReadsAnswer, Round
from tokenstream.turns import ToolResults

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.recovery import Attempt
    from tokenstream.router import Router
    from tokenstream.session._connection import AskedExchange
    from tokenstream.session._conversation import SessionConversation
    from tokenstream.stream._options import Options

_CREATED = b'"response.created"'
_CALLS = (b"function_call", b"tool_call", b"toolCall")
"""Words of which each message that contains a whole call has at least one."""
_ENDS = (b"response.completed", b"response.incomplete", b"response.done", b"serverContent")
"""Words of which each message that ends an answer has at least one."""
_COUNTS = (b'"usage"', b'"usageMetadata"', b'"usage_metadata"')
"""Names of the fields with token counts."""
_SOUNDS = (b'audio.delta"', b'audio_transcript.delta"')
"""Words of messages with pieces of sound, which contain no calls."""
_PIECES = (b'.delta"', b"inlineData")
"""Words of messages with pieces of an answer that nothing is needed of for its calls."""
_STOPPED = "the tool was stopped by the application"
"""The result of a call whose tool was stopped, for the model."""
_UNANSWERED = (
    "the connection was closed after the tools were run, before the end of the answer; what had arrived is "
    "in .partial"
)


def _without_usage(message: bytes) -> bytes:
    """Return a message without the token counts that the end of an answer has."""
    if not any(name in message for name in _COUNTS):
        return message
    payload: object = decode_tolerantly(message)
    if not is_dict(payload):
        return message
    for name in ("usageMetadata", "usage_metadata"):
        payload.pop(name, None)
    dict_of(payload, "response").pop("usage", None)
    return json.dumps(payload).encode()


class AskedQuestion:
    """A question that was asked, and what has come of it."""

    def __init__(
        self,
        conversation: SessionConversation,
        question: Question,
        lane: str,
        router: Router | None,
        options: Options | None,
        *,
        may_restart: bool,
    ) -> None:
        self.conversation = conversation
        self.router = router
        self._tool_options: Any = options
        self._reads_text = options is not None and looks_for_calls(options.make_stage)
        """True if calls are also looked for in the text."""
        self.is_post = False
        """True once the question was sent as a POST, which gets a single answer."""
        self.has_rounds = router is not None
        """True while further rounds may follow, because the tools may still have to be run."""
        self.round = Round(question, lane, self)
        """The current round; further ones follow with the results of tools."""
        self._find_answer: Callable[[], ReadsAnswer | None] = do_nothing
        """Returns the driver of the answer's stream, which keeps this object; None if it is gone."""
        self.exchange: AskedExchange | None = None
        """The current exchange; None until the question is sent."""
        self._earlier: list[AskedExchange] = []
        """The exchanges of the answer whose tools were run."""
        self._messages: list[bytes] = []
        """The messages of the current exchange that its tools are run by."""
        self._may_restart = may_restart and router is not None
        self._read: list[bytes] = []
        """The messages of the current exchange, all of them if the answer may be restarted."""
        self._settled: list[bytes] = []
        """The messages of the exchanges whose tools were run: with them, a restarted answer begins."""
        self._repeated: deque[bytes] = deque()
        """The messages that the current attempt is still to begin with."""

    @property
    def runs_tools(self) -> bool:
        """True if tools are run, with whose results the model goes on."""
        return self.router is not None

    @property
    def goes_on(self) -> bool:
        """True while further responses may follow: after tools, or because the answer was steered."""
        exchange = self.exchange
        return self.has_rounds or (exchange is not None and bool(exchange.steers) and not exchange.is_read)

    def be_answered_by(self, answer: ReadsAnswer) -> None:
        """Note which driver reads the answer; only once the question is sent, the conversation keeps it."""
        self._find_answer = ref(answer)

    def begin(self, attempt: Attempt | None) -> Flow[AskedExchange]:
        exchange = self.exchange = yield from self.conversation.ask(self.round, self.write_turns(attempt))
        return exchange

    def check_no_post(self) -> None:
        """Refuse to ask by a POST if the attempt begins with rounds whose tools ran over the connection."""
        if self._repeated:
            raise StreamTruncated(_UNANSWERED)
        # Its source has a single answer.
        self.is_post, self.has_rounds = True, False

    def write_turns(self, attempt: Attempt | None) -> list[JsonObject]:
        """Return the turns that ask the model to continue a broken answer; none for any other attempt."""
        self.round.be_answered_by(self._find_answer())
        self._messages.clear()
        self._read.clear()
        self._repeated.clear()
        self.has_rounds = self.router is not None
        if attempt is None or attempt.mode != "continue":
            # Tools that were run are not run again, so a restart asks from their results on. The tokens that
            # were spent on what is repeated are those of the attempt before.
            self._repeated.extend(map(_without_usage, self._settled))
            return []
        is_live = self.conversation.known_api.turn_method == "to_gemini"
        return attempt.continuation("gemini" if is_live else "openai-responses")

    def read(self, exchange: AskedExchange, seconds: float | None) -> Flow[bytes | None]:
        """Return the next message of the answer; None at its end, after which no tools are to be run."""
        if self.router is None:
            return (yield from self.conversation.read(exchange, seconds))
        if self._repeated:
            return self._repeated.popleft()
        while (current := self.exchange) is not None:
            message = yield from self.conversation.read(current, seconds)
            if message is not None:
                self._note(message)
                return message
            if current.dropped:
                break
            if not current.completed and self.round.question.results is not None:
                # The format knows of the answer before the tools only, and that one has ended.
                raise StreamTruncated(_UNANSWERED)
            if not current.completed or not (yield from self._answer_calls(self.router, current)):
                break
            if self.is_stopped():
                # More would follow, so that the answer is not finished.
                return None
        self.has_rounds = False
        return None

    def _note(self, message: bytes) -> None:
        """Keep a message that a restart or the tools need: a call, an end, or text that may have calls."""
        if self._may_restart:
            self._read.append(message)
        if _CREATED in message and self.exchange is not None and self.exchange.steers:
            # The tools are run by the last response alone; the one before was steered.
            self._messages.clear()
        if any(word in message for word in _SOUNDS):
            return
        is_piece = any(word in message for word in _PIECES)
        if self._reads_text or (not is_piece and any(word in message for word in (*_CALLS, *_ENDS))):
            self._messages.append(message)

    def _answer_calls(self, router: Router, answered: AskedExchange) -> Flow[bool]:
        """Run the tools that the answer has called, and ask on with their results; return False for none."""
        messages, self._messages = self._messages, []
        if not (self._reads_text or any(word in message for message in messages for word in _CALLS)):
            return False
        options, rounds = self._tool_options, len(self._earlier)
        if rounds and (job := options.job) is not None:
            # The same call in a later round is another one.
            options = options._replace(job=replace(job, id=f"{job.id}, round {rounds + 1}"))
        results = yield RunTools(router, messages, options, self.is_stopped)
        if self.is_stopped():
            # A generator that was closed has no result, and an API refuses the next question without one.
            results = ToolResults(results.message, dict(results), results.errors, missing=_STOPPED)
        if not results:
            return False
        answer, earlier = self.round.answer, self.round.text_calls_before
        # The words before the input are only in the answer's own stream.
        self.round.keep(self.round.message if answered.steers else results.message)
        self.round = Round(Question(results), self.round.lane, self)
        self.round.be_answered_by(answer)
        self.round.text_calls_before = earlier + sum(map(bool, map(dialect_of, results.message.tool_calls)))
        # Even if asking fails: another attempt goes on from here, because the tools were run.
        self._earlier.append(answered)
        self._settled += self._read
        self._read.clear()
        self.exchange = yield from self.conversation.ask(self.round, [])
        return True

    def is_stopped(self) -> bool:
        """Return True once the application has stopped or closed the answer."""
        answer = self.round.answer
        return answer is not None and answer.verdict.is_asked

    def release(self, exchange: AskedExchange) -> Flow[None]:
        """Stop the answer of an attempt that is not read any further."""
        current = exchange if self.router is None else self.exchange or exchange
        yield from self.conversation.release(current)

    def interrupt(self, played_ms: float | None) -> Flow[None]:
        """Stop the answer at the server, and shorten it to the audio that was played."""
        if self.exchange is not None:
            yield from self.conversation.release(self.exchange, played_ms, self._earlier)
