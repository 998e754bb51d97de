"""`Retry`, `Routes` and `Seam`: the options for recovering a broken answer, with the rule for useful ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, get_origin

from tokenstream._basics.elsewhere import explain_all_options
from tokenstream._basics.overlap import Prefill  # noqa: TC001 - a field's type can be asked for
from tokenstream.errors import (
    AnswerRejected,
    ErrorKind,
    MisuseError,
    Outcome,
    OutputIncomplete,
    OutputInvalid,
    StreamError,
)
from tokenstream.limits import check_seconds, check_wait, check_whole
from tokenstream.recovery._purse import Purse
from tokenstream.recovery._route import Route
from tokenstream.stream._attempts import Attempt
from tokenstream.stream._guarding import is_awaited
from tokenstream.stream._handover import is_stream

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from tokenstream.message import Message

Accept: TypeAlias = "type[Any] | TypeAdapter[Any] | Callable[[Message], object]"
"""A type that the answer's text has to match, or a function that returns False for a bad message."""


def find_fault(message: Message, accept: Accept) -> AnswerRejected | None:
    """Return the error for a whole answer that the caller's rule refuses; None if the rule accepts it."""
    whole = message.model_copy(update={"ending": "complete"})
    if _is_readable_type(accept):
        cause = _find_mismatch(whole, accept)
        is_accepted, words = cause is None, "it does not match the type of accept="
    else:
        accepts: Any = accept
        cause, is_accepted, words = None, bool(accepts(whole)), "accept= returned False for it"
    if is_accepted:
        return None
    error = AnswerRejected(f"the answer is not good enough: {words}", outcome="invalid")
    error.partial, error.__cause__ = whole, cause
    return error


def _is_readable_type(accept: object) -> bool:
    """Return True for a class, a generic type such as `list[int]`, or a `TypeAdapter`."""
    return isinstance(accept, type) or get_origin(accept) is not None or hasattr(accept, "validate_python")


def _find_mismatch(message: Message, accept: Any) -> OutputInvalid | OutputIncomplete | None:  # noqa: ANN401 - a type of any kind
    """Return the error with which `Stream.result` would refuse the answer; None if it matches."""
    from tokenstream.stream import Stream
    from tokenstream.stream._outputs.text import missing_json_error

    try:
        if not message.answer.strip():
            raise missing_json_error(message, tool=None)
        Stream([message.answer], format="pieces").result(accept)
    except (OutputInvalid, OutputIncomplete) as error:
        return error
    return None


Opens: TypeAlias = Callable[[Attempt], Any] | Callable[[], Any]
"""Function that opens a source, and gets the attempt if it takes an argument."""
PauseReason: TypeAlias = Literal["pause", "length"]
"""A finish reason after which another request may go on with the answer."""
Condition: TypeAlias = "type[StreamError] | ErrorKind | Outcome"
"""Condition for a retry: a class of errors, a kind of errors, or an outcome."""

_OUTCOMES: frozenset[str] = frozenset(get_args(Outcome))
_KINDS: frozenset[str] = frozenset(get_args(ErrorKind))
_REASONS: tuple[str, ...] = get_args(PauseReason)
_IN_ORDER = "routes are asked in their order, and one that is down is left out by itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """The way to continue an answer that broke off, and the certainty at the *seam*, where both texts meet.

    Example:
        >>> Seam(least=0.9).least
        0.9
    """

    least: float = 0.8
    """Minimum confidence at the seam, from 0 to 1; 0.8 if the last 16 characters of the answer, or more, were
    found again. With less confidence, the continuation is discarded, and its attempt has failed: the next
    attempt is made, and after the last one, the error that broke off the answer is raised."""
    prefill: Prefill | None = None
    """True if the model continues an assistant's turn at the end of the request; "echo" if the server also
    repeats that turn in its answer. None to follow what is known about the provider; for an unknown provider,
    a user's turn asks the model to go on. With True or "echo" and `connect`, an unknown server with OpenAI's
    chat format gets the same request as vLLM."""

    def __post_init__(self) -> None:
        least: Any = self.least
        prefill: Any = self.prefill
        if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
            raise MisuseError(f"least= is a confidence from 0 to 1, and not {least!r}")
        if prefill not in (None, True, False, "echo"):
            raise MisuseError(f'prefill= is True, False, "echo" or None, and not {prefill!r}')


@dataclass(frozen=True, slots=True, init=False)
class Routes:
    """Other places to ask for an answer, and a race, for `Retry(routes=…)`.

    Args:
        routes: Requests at other providers, in order; see `Retry.routes`.

    Example:
        >>> Routes(Route(open=lambda: b""), hedge_after=0.8).hedge_after
        0.8
    """

    routes: tuple[Route, ...]
    """The other routes, in order."""
    hedge_after: float | None
    """Seconds after which a second attempt, and no third one, starts if the first has brought no content: at
    the next route, or without one at the same server. The attempt that brings content earlier is read, and
    the other is closed. Only for `aresilient` and `aconnect`, each of which decides by its own answer: no
    stream learns from another."""

    @explain_all_options(order=_IN_ORDER)
    def __init__(self, *routes: Route, hedge_after: float | None = None) -> None:
        if hedge_after is not None:
            check_wait("hedge_after", hedge_after)
        given: Any = routes
        for each in given:
            if not isinstance(each, Route):
                name = getattr(each, "__name__", None)
                raise MisuseError(
                    "routes= takes Routes: Route(url, json=payload), or Route(open=ask, format=…) for a "
                    f"function that returns a source, such as connect(…), and not {name or repr(each)}"
                )
        # The dataclass is frozen, so this is the only way to set the attributes.
        object.__setattr__(self, "routes", routes)
        object.__setattr__(self, "hedge_after", hedge_after)


_OF_SEAM = "write seam=Seam(…), which has least= and prefill="
_OWN_WORDS = "it is in English; an open of your own can write other turns than attempt.continuation()"
_OF_WAIT = "wait= takes the seconds before the second attempt, or a function of the attempt"
_COUNTS_ALL = "write attempts=, which counts the first request, too; two retries are attempts=3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Options for recovering a broken answer: when to retry, how often, and how to go on.

    As long as nothing was delivered, a new attempt leaves no trace: it goes on with the answer, or begins
    again. After that, the answer is resumed if the server can replay it; else continued by its model, if
    `connect` makes the request, or an `open` that takes the attempt; else `again` decides.

    Example:
        >>> Retry(attempts=5, again=True, within=60).attempts
        5
    """

    attempts: int | None = None
    """Number of requests that ask a model, including the first; by default 3, and one more for each pause.
    With `routes`, this is the number at your own address, by default 2; each route has one of its own.
    Unless it is 1 in all, a request that is refused with a 429 and a wait counts only if another route is
    left to ask, or after ten requests for each attempt after the first."""
    again: bool = False
    """True to ask for a whole answer again of which a part was delivered, if it can be neither resumed nor
    continued: views skip what they gave, and a loop over events gets `Restarted`. With False, the error is
    raised."""
    pauses: int | Mapping[PauseReason, int] = 0
    """Number of pauses of the answer to go through, such as Anthropic's `pause_turn`: the next request is
    sent at once, and counts as an attempt. With 0, a pause ends the answer. `{"length": 2}` also continues
    an answer that has reached its output limit, up to twice: a user's turn asks the model to go on."""
    wait: float | Callable[[Attempt], float] = 0.5
    """Seconds before the second attempt, or a function that returns the seconds before each. The number
    doubles for each later attempt, up to a minute, and is shortened at random, so that clients do not all
    return at once. If the server asks for more, it gets up to five minutes; beyond that, the error is
    raised."""
    within: float | None = 600.0
    """No request begins later than this many seconds after the first; None for no limit. If a wait would end
    later, the error is raised at once."""
    on: Callable[[StreamError], bool | None] | Condition | Iterable[Condition] | None = None
    """Causes to retry besides errors whose `retryable` is True: classes and kinds of errors, and outcomes
    ("empty", "refusal", "content_filter", "malformed_call"). Or a function, which decides alone: it gets the
    error (`AnswerRejected` for an outcome) and returns True, False, or None for the default."""
    routes: Routes | Iterable[Route] | Route = Routes()
    """Routes to ask next, in order: `Route(url, json=…)`, or `Route(open=…)` for a function that opens a
    source, such as an SDK's stream. `Routes` has a race of two. When the attempts of one are used up, the
    next is asked; one that refuses to serve is left at once. A route with an address continues what was
    delivered."""
    seam: Seam = Seam()
    """The way to continue an answer, and how sure the library must be of the place where both parts meet."""
    accept: Accept | None = None
    """The test of a good answer: the type of its text, as for `Stream.result`, or a function that returns
    False for a message that is not good enough. The answer is held back until it is whole and accepted. An
    attempt whose answer is refused has failed, with the outcome "invalid"."""
    most: float | Purse | None = None
    """The highest cost of all attempts together, by `Route.price` or the table of the extra `prices`. Once
    it is reached, no attempt begins, and the one in progress is stopped; `final` then raises
    `OutputIncomplete`. Requests without a price are refused. A `Purse` is for many answers, and may have a
    price of its own."""
    on_retry: Callable[[Attempt], object] | None = None
    """Function that gets each further attempt before the wait for it; a plain `def`, also for an
    asynchronous stream. It may return `attempt.skip()` or `attempt.with_payload(…)`; any other result is
    ignored. If it raises an exception, that ends the stream."""

    def __post_init__(self) -> None:
        again: Any = self.again
        seam: Any = self.seam
        if self.attempts is not None:
            check_whole("attempts", self.attempts)
        count_pauses(self.pauses)  # refuses anything else
        if not isinstance(again, bool):
            raise MisuseError(f"again= is True or False, and not {again!r}")
        if not callable(self.wait):
            check_wait("wait", self.wait)
        if self.within is not None:
            check_wait("within", self.within)
        if not isinstance(seam, Seam):
            raise MisuseError(f"seam= is a Seam, such as Seam(least=0.9), and not {seam!r}")
        # A class of errors can be called like a function, but is a condition.
        is_function = callable(self.on) and not isinstance(self.on, type)
        # The dataclass is frozen, so this is the only way to set attributes.
        if self.on is not None and not is_function:
            object.__setattr__(self, "on", _check_conditions(self.on))
        object.__setattr__(self, "routes", to_routes(self.routes))
        _check_choice(self)
        if self.on_retry is not None:
            if not callable(self.on_retry):
                raise MisuseError("on_retry= is a function that takes the attempt")
            if is_awaited(self.on_retry):
                raise MisuseError("on_retry= is an async def, whose result is not awaited: use a plain def")

    @property
    def outcomes(self) -> frozenset[str]:
        """The outcomes of a complete answer, such as an empty one, after which another attempt is made.

        If `on` is a function, which decides for each error, the result contains all outcomes.
        """
        on: Any = self.on
        named = _OUTCOMES if callable(on) else _OUTCOMES.intersection(on or ())
        return named if self.accept is None else named | {"invalid"}

    def wants(self, error: StreamError, *, otherwise: bool) -> bool:
        """Return True if an error should be retried, as it is `otherwise` by default."""
        on: Any = self.on
        if callable(on):
            decision = on(error)
            return otherwise if decision is None else bool(decision)
        if isinstance(error, AnswerRejected):
            # An answer is rejected only for an outcome that `on` names, or by `accept`.
            return True
        return otherwise or any(
            isinstance(error, each) if isinstance(each, type) else each == error.kind for each in on or ()
        )


# Applied here, because a dataclass writes its own `__init__`.
Seam.__init__ = explain_all_options(ask=_OWN_WORDS)(Seam.__init__)  # type: ignore[method-assign] # as below
Retry.__init__ = explain_all_options(  # type: ignore[method-assign] # its signature stays the same
    job="connect, resilient and Stream have it",
    mode='write again=True for "restart"; resuming and continuing need no option',
    timeout="it is called within=",
    max_attempts="it is called attempts=",
    **dict.fromkeys(("least", "prefill"), _OF_SEAM),
    hedge_after="write routes=Routes(…), which has hedge_after=",
    order=_IN_ORDER,
    **dict.fromkeys(("max_retries", "num_retries", "retries"), _COUNTS_ALL),
    **dict.fromkeys(("backoff", "backoff_factor"), _OF_WAIT),
    tries="it is called attempts=",
    delay="it is called wait=",
)(Retry.__init__)


def count_pauses(pauses: int | Mapping[PauseReason, int]) -> dict[str, int]:
    """Return the numbers of pauses to go through, by the reasons; refuse anything else."""
    given: Any = pauses
    counts: dict[str, int] = {}
    for reason, count in given.items() if isinstance(pauses, Mapping) else (("pause", given),):
        if reason not in _REASONS:
            raise MisuseError(f'pauses= counts the reasons "pause" and "length", and not {reason!r}')
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise MisuseError(f"pauses= is the number of pauses to go through, 0 or more, and not {count!r}")
        if count:
            counts[reason] = count
    return counts


def _check_conditions(on: object) -> tuple[Any, ...]:
    """Return the `on` option as a tuple, and refuse an invalid value."""
    if isinstance(on, str) or not isinstance(on, Iterable):
        on = (on,)
    conditions: tuple[Any, ...] = tuple(on)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    for each in conditions:
        if isinstance(each, type) and issubclass(each, StreamError):
            continue
        if not isinstance(each, str) or each not in _OUTCOMES | _KINDS:
            words = ", ".join(sorted(_OUTCOMES | _KINDS))
            raise MisuseError(
                f"on= takes classes of StreamError, a function, or these words: {words}; and not {each!r}"
            )
    return conditions


def to_routes(routes: Routes | Iterable[Route] | Route) -> Routes:
    if isinstance(routes, Routes):
        return routes
    given: Any = routes
    # A text or a stream is no route, but counts as one, so that the error names it and not its first piece.
    is_single = isinstance(routes, Route | str) or callable(routes) or is_stream(routes)
    return Routes(given) if is_single or not hasattr(given, "__iter__") else Routes(*given)


def _check_choice(retry: Retry) -> None:
    accept: Any = retry.accept
    if accept is not None and not (callable(accept) or _is_readable_type(accept)):
        raise MisuseError(f"accept= is a type, or a function that takes the message, and not {accept!r}")
    if inspect.iscoroutinefunction(accept):
        raise MisuseError("accept= is an async def, whose result is not awaited: use a plain def")
    if retry.most is not None and not isinstance(retry.most, Purse):
        check_seconds("most", retry.most, unit="money")


def check_returned_wait(value: object) -> float:
    """Return the seconds that the caller's `wait` function returned, and refuse any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise MisuseError(f"wait= returns a number of seconds, 0 or more, and not {value!r}")
    return float(value)
