"""The parts of sessions that need no connection: options, history and counts."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.elsewhere import explain_options
from tokenstream._basics.request_facts import offered_in
from tokenstream._pipeline.factories import make_stage_factory
from tokenstream.errors import MisuseError
from tokenstream.limits import DEFAULT_LIMITS, Deadlines, Limits
from tokenstream.recovery._resilient import check_retry
from tokenstream.recovery._retry import Routes
from tokenstream.router import Router
from tokenstream.session._api import check_settings
from tokenstream.session._asked_question import AskedQuestion
from tokenstream.session._conversation import SessionConversation
from tokenstream.session._rounds import Question, find_turn_method, write_history
from tokenstream.session._steering import steer_answer
from tokenstream.stream._job import Job
from tokenstream.stream._options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream._basics.loose import AnyFunction
    from tokenstream._values.steer import Steer
    from tokenstream.message import Message
    from tokenstream.recovery import Attempt, Retry
    from tokenstream.schemas import Tools
    from tokenstream.session._connection import Bell
    from tokenstream.session._lines import Flow, Line
    from tokenstream.stages._text.tags import Tags

_RESPONSES = "openai-responses"


class SessionBase:
    """The parts of a session that need no connection; the options are those of `Session`."""

    _is_async: ClassVar[bool] = False

    @explain_options()
    def __init__(
        self,
        open: Callable[[], Any],  # noqa: A002 - what it does
        *,
        model: str | None = None,
        tools: Tools | Router | list[dict[str, Any]] | None = None,
        format: str | None = None,
        settings: Mapping[str, Any] | None = None,
        retry: Retry | None = None,
        fallback: Callable[[dict[str, Any]], Any] | None = None,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        tags: Tags | None = None,
    ) -> None:
        if not callable(open):
            raise MisuseError(
                "open= is a function that opens a WebSocket, because a session may need another one: write "
                f"lambda: connect(url), and not {type(open).__name__}"
            )
        if fallback is not None and not callable(fallback):
            raise MisuseError("fallback= is a function that takes the payload and sends it as a POST")
        self._fallback = fallback
        self._is_falling_back = False
        """True once no connection could be opened, so that questions are sent as POSTs."""
        self._limits = limits or DEFAULT_LIMITS
        self._deadlines = deadlines
        self._make_stage = make_stage_factory(tags)
        self._retry = None if retry is None else check_retry(retry, is_async=self._is_async)
        if self._retry is not None and self._retry.routes != Routes():
            raise MisuseError("a session asks one server: leave out routes= of its Retry")
        if format is None and fallback is not None:
            # Only this API can also be asked over HTTP.
            format = _RESPONSES
        if fallback is not None and format != _RESPONSES:
            raise MisuseError(f"fallback= is for {_RESPONSES}: a session of {format} needs its connection")
        self._conversation = SessionConversation(
            format,
            model,
            _check_tools(tools),
            check_settings(settings),
            limits=self._limits,
            clock=time.monotonic,
            make_bell=_make_async_bell if self._is_async else threading.Event,
        )
        self._is_open = self._is_closed = False
        self._line: Any = self._make_line(open)

    @abstractmethod
    def _make_line(self, open: AnyFunction) -> Line:  # noqa: A002 - as in `__init__`
        """Return what takes the steps of the conversation, of either kind."""

    # -- facts ---------------------------------------------------------------

    @property
    def format(self) -> str | None:
        """The name of the format of the API's answers; None until the session is open."""
        api = self._conversation.api
        return None if api is None else api.format

    @property
    def closed(self) -> bool:
        """True once the session was closed."""
        return self._is_closed

    @property
    def rotations(self) -> int:
        """Number of connections that replaced an earlier one."""
        return self._conversation.rotations

    @property
    def resent(self) -> int:
        """Number of times that the whole history had to be sent again."""
        api = self._conversation.api
        return 0 if api is None else api.resent

    @property
    def messages(self) -> list[Message]:
        """The answers so far with any content of the model, the oldest first."""
        return [each.message for each in self._conversation.rounds_in("") if each.is_answered]

    def turns(self, format: str | None = None, *, lane: str | None = None) -> list[dict[str, Any]]:
        """Return the conversation so far as the turns of a request, which may be to another API.

        What was spoken is a text there. Questions that got no answer are left out, and so are tool calls
        without a result.

        Args:
            format: The name of the request's format, such as "openai-chat"; None for the format of the API.
                Items that you have written yourself stay in the form of the session's API.
            lane: The name of the lane; None for the default one.

        Raises:
            MisuseError: Requests in that format have no turns.
            NotExpressible: The format cannot express a part of an answer.
        """
        if format is None or format == self.format:
            method = self._conversation.known_api.turn_method
        else:
            method = find_turn_method(format)
        rounds = self._conversation.rounds_in(lane or "")
        return write_history(rounds, method)

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "open" if self._is_open else "not open"
        return f"<{type(self).__name__} of {self.format or 'an unknown API'}, {state}>"

    # -- asking --------------------------------------------------------------

    def _make_asked(
        self, content: object, router: object, lane: object, job: str | None
    ) -> tuple[AskedQuestion, Options]:
        """Check the arguments of `ask`; return the question, and the options of its answer's stream."""
        lane = self._check_lane(lane)
        if router is not None and not isinstance(router, Router):
            raise MisuseError(f"router= is a Router, and not {type(router).__name__}")
        options = None
        if router is not None:
            # The stream of the answer has the deadlines, also while tools are run.
            options = self._options_for(self._conversation.known_api.format, job)
            options = options._replace(deadlines=None)
        question, may_restart = Question(content), self._retry is not None
        asked = AskedQuestion(self._conversation, question, lane, router, options, may_restart=may_restart)
        self._conversation.check_free(asked.round.lane)
        return asked, self._options_for(self._conversation.known_api.make_format(asked), job)

    def _options_for(self, format: Any, job: str | None) -> Options:  # noqa: ANN401 - a format, or its name
        tools = self._conversation.known_api.tools
        offered = offered_in({"tools": tools}) if tools else None
        named = None if job is None else Job(job)
        stage = self._make_stage
        return Options(format, self._limits, self._deadlines, job=named, make_stage=stage, offered=offered)

    def _make_steer(self, content: object, lane: object) -> Flow[Steer]:
        """Check the arguments of `steer`, and return the steps that send the input."""
        question, lane = Question(content), self._check_lane(lane)
        if question.results is not None:
            raise MisuseError("session.steer() takes what the user says: pass results of tools to ask()")
        return steer_answer(self._conversation, question, lane)

    def _check_lane(self, lane: object) -> str:
        """Return the name of a lane, "" for the default one."""
        if self._is_closed:
            raise MisuseError("the session is closed, and asks nothing more", kind="closed")
        if not self._is_open:
            raise MisuseError("the session is not open yet: enter it with `with`, or `async with`")
        if lane is not None and not self._conversation.known_api.has_lanes:
            raise MisuseError(f"{self.format} has no lanes: leave out lane=")
        if lane is not None and not isinstance(lane, str):
            raise MisuseError(f"lane= is the name of a lane, and not {lane!r:.80}")
        return lane or ""

    # -- sending POSTs instead -------------------------------------------------

    def _falls_back(self, error: Exception) -> bool:
        """Return True if questions are POSTs from now on, since a line could open no connection."""
        is_unopened = error is self._line.opening_failure and not isinstance(error, MisuseError)
        if is_unopened and self._fallback is not None:
            self._is_falling_back = True
        return self._is_falling_back

    def _send_post(self, asked: AskedQuestion, attempt: Attempt | None) -> object:
        """Send a question as a POST, with the caller's function; return what the function returns."""
        turns = asked.write_turns(attempt)
        asked.check_no_post()
        asked.exchange, payload = self._conversation.write_post(asked.round, turns)
        send: Any = self._fallback
        return send(payload)


class SessionOpening:
    """Mixin of openers that send a question of a session for each attempt at its answer."""

    makes_request = True
    """True: the session makes the request, and so follows the mode of each attempt."""

    def why_not(self, message: Message, limit_left: int | None) -> str | None:
        """Return None: a question can continue any broken answer."""
        return None


def _make_async_bell() -> Bell:
    from anyio import Event

    return Event()


def _check_tools(tools: object) -> Any:  # noqa: ANN401 - a `Tools`, a list, or None
    """Return the tools of a session: an object that writes them, a list, or None."""
    if tools is None or isinstance(tools, list):
        return tools  # pyright: ignore[reportUnknownVariableType]
    if isinstance(tools, Router):
        return tools.tools
    if hasattr(tools, "to_openai_responses") and hasattr(tools, "to_gemini"):
        return tools
    raise MisuseError(
        f"tools= is Tools(function, …), a Router, or a list for the API, and not {type(tools).__name__}"
    )
