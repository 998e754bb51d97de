"""The class `Retry`, with the options for recovering a broken answer, and its rule for useful answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, get_origin

from tokenstream._basics.elsewhere import explain_all_options
from tokenstream._basics.joint import Prefill  # noqa: TC001 - a field's type can be asked for
from tokenstream.errors import (
    AnswerRejected,
    ErrorKind,
    MisuseError,
    Outcome,
    OutputIncomplete,
    OutputInvalid,
    StreamError,
)
from tokenstream.formats._base import Format
from tokenstream.limits import check_seconds, check_wait
from tokenstream.recovery._purse import Purse
from tokenstream.recovery._route import Route
from tokenstream.stream import (
    AsyncStream,  # noqa: TC001 - a field's type can be asked for
    Stream,  # noqa: TC001 - a field's type can be asked for
)
from tokenstream.stream._attempts import Attempt
from tokenstream.stream._guarding import is_awaited
from tokenstream.stream._handover import is_stream

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from tokenstream.message import Message

Accept: TypeAlias = "type[Any] | TypeAdapter[Any] | Callable[[Message], object]"
"""A type that the answer's text has to match, or a function that returns False for a bad message."""


def is_rule(accept: object) -> bool:
    """Return True if a value can be a rule: a type, a `TypeAdapter` or a function."""
    return callable(accept) or _is_type(accept)


def find_fault(message: Message, accept: Accept) -> AnswerRejected | None:
    """Return the error for a whole answer that the caller's rule refuses; None if the rule accepts it."""
    whole = message.model_copy(update={"ending": "complete"})
    cause: OutputInvalid | OutputIncomplete | None = None
    if _is_type(accept):
        cause = _find_mismatch(whole, accept)
        is_accepted, words = cause is None, "it does not match the type of accept="
    else:
        accepts: Any = accept
        is_accepted, words = bool(accepts(whole)), "accept= returned False for it"
    if is_accepted:
        return None
    error = AnswerRejected(f"the answer is not good enough: {words}", outcome="invalid")
    error.partial, error.__cause__ = whole, cause
    return error


def _is_type(accept: object) -> bool:
    """Return True for a class, a generic type such as `list[int]`, or a `TypeAdapter`."""
    return isinstance(accept, type) or get_origin(accept) is not None or hasattr(accept, "validate_python")


def _find_mismatch(message: Message, accept: Any) -> OutputInvalid | OutputIncomplete | None:  # noqa: ANN401 - a type of any kind
    """Return the error with which `Stream.result` would refuse the answer's text; None if it matches."""
    from tokenstream.stream import Stream

    try:
        Stream([message.text], format="pieces").result(accept)
    except (OutputInvalid, OutputIncomplete) as error:
        return error
    return None


Mode: TypeAlias = Literal["auto", "resume", "continue", "restart"]
"""The way to recover an answer that broke off after its first content."""
Order: TypeAlias = Literal["given", "last", "latency"]
"""The order of routes: as given, the one that worked last first, or the fastest first."""
Opens: TypeAlias = Callable[[Attempt], Any] | Callable[[], Any]
"""Function that opens a source, and gets the attempt if it takes an argument."""
Fallback: TypeAlias = "Opens | Stream | AsyncStream | tuple[Opens, str | Format]"
"""Function that opens a source of another model or provider, alone or with the format's name; or an unread
stream of `connect`."""
PauseReason: TypeAlias = Literal["length"]
"""A finish reason of a whole answer after which another request may go on with it."""
Condition: TypeAlias = "type[StreamError] | ErrorKind | Outcome"
"""Condition for a retry: a class of errors, a kind of errors, or an outcome."""

_OUTCOMES: frozenset[str] = frozenset(get_args(Outcome))
_KINDS: frozenset[str] = frozenset(get_args(ErrorKind))
_MODES: frozenset[str] = frozenset(get_args(Mode))
_ORDERS: tuple[str, ...] = get_args(Order)
_DEFAULT_ATTEMPTS = 3


_COUNTS_ALL = "write attempts=, which counts the first request, too; two retries are attempts=3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Options for recovering a broken answer: when to retry, how often, and how to go on.

    Before the first content is delivered, a new attempt leaves no trace, and an answer that cannot go on
    is requested again. After that:

    | mode | recovery |
    |---|---|
    | `"auto"` | resumes if the server can replay; else, with `connect`, continues; else raises the error |
    | `"resume"` | resumes: `open` gets the position; without a position, raises the error |
    | `"continue"` | a new request makes the model continue its text; an answer that cannot be continued \
is restarted |
    | `"restart"` | requests the whole answer; delivered content is skipped, or `Restarted` is sent |

    Example:
        >>> Retry(attempts=5, mode="restart", timeout=60).attempts
        5
    """

    attempts: int | None = None
    """Total number of requests that ask a model; by default one more than there are fallbacks, but at least
    three, and one more for each pause. With `routes`, the number at the first of them alone, by default 2."""
    mode: Mode = "auto"
    """The way to recover an answer after its first content was delivered; see the table."""
    pauses: int = 0
    """Number of pauses of the answer to go through, such as Anthropic's `pause_turn`: the next request is
    made at once, and counts towards `attempts`. With 0, a pause ends the answer."""
    pauses_at: PauseReason | Iterable[PauseReason] = ()
    """Finish reasons that are pauses, too. With "length", an answer that has reached its output limit is
    continued by a user's turn that asks the model to go on, with the same limit once more."""
    wait: float | Callable[[Attempt], float] = 0.5
    """Seconds before the second attempt, which double for each later attempt, up to a minute, and are
    shortened at random so that clients do not all return at once; or a function that returns the seconds.
    If the server requests a longer wait, that applies; if it requests more than five minutes, the error
    is raised."""
    timeout: float | None = 600.0
    """Seconds after the first request in which others may begin, of any kind; None for no limit. A wait that
    would end later is not begun: the error is raised at once."""
    on: Callable[[StreamError], bool | None] | Condition | Iterable[Condition] | None = None
    """Conditions for a retry; by default every error whose `retryable` is True. Outcomes ("empty",
    "refusal", "content_filter", "malformed_call") add to the default; classes and kinds of errors replace
    the default. A function gets the error (`AnswerRejected` for an outcome) and returns True, False, or
    None for the default."""
    fallback: Sequence[Fallback] = ()
    """Sources that `routes` cannot describe, in order: functions that open a source of another model
    or provider, such as an SDK's stream, or return an unread `connect(…)`, whose request is then sent; or an
    unread `connect(…)` itself, which serves one answer. The format is detected, unless `connect` names it, or
    the function is in a pair with the format, such as `(open_other, "anthropic")`."""
    routes: Sequence[Route] = ()
    """Requests at other providers, in order. Each has attempts of its own, after which the next one is asked;
    a provider that refuses to serve is left at once. What was delivered is continued at the next one."""
    order: Order = "given"
    """Order of the routes: "given"; "last", with the one first that worked last; or "latency", with the one
    first that was fastest to its first content, and those that were never tried before it."""
    accept: Accept | None = None
    """The type of the answer's text, as for `Stream.result`, or a function of the message that returns False
    for an answer that is not good enough. The answer is held back until it is whole and accepted;
    otherwise, the attempt has failed, with the outcome "invalid"."""
    most: float | Purse | None = None
    """The highest cost of all attempts together, by `Route.price` or else by the table of the extra `prices`:
    no attempt begins once it is reached, and the one in progress is stopped like one with a `Budget`, also
    while it is held back; `final` then raises `OutputIncomplete`. A `Purse` bounds many answers together.
    Requests without a price are refused."""
    hedge_after: float | None = None
    """Seconds after which a second attempt starts if the first attempt has brought no content: at the next
    route, if there are routes. The attempt that brings content earlier is read, and the other is closed.
    Only for `aresilient` and `aconnect`."""
    hold: bool = True
    """True to hold back a continuation until it is known where it joins the answer (at the *seam*), for 280
    characters at most; usually, it is known at 40. With False, only text that may be a repetition is held
    back."""
    least: float = 0.8
    """Minimum confidence at the seam, from 0 to 1; 0.8 if the last 16 characters of the answer, or more, were
    found again. With less confidence, the continuation is discarded, and its attempt has failed: the next
    attempt is made, and after the last one, the error that broke off the answer is raised."""
    ask: str | Callable[[str], str] | None = None
    """Text of the user's turn that asks the model to go on, or a function that gets the answer's last words
    and returns this text; None for the default text, in English."""
    prefill: Prefill | None = None
    """True if the model continues an assistant's turn at the end of the request; "echo" if the server also
    repeats that turn in its answer. None to follow what is known about the provider; for an unknown provider,
    a user's turn asks the model to go on. With True or "echo" and `connect`, an unknown server with OpenAI's
    chat format gets the same request as vLLM."""
    max_output_tokens: int | None = None
    """Output limit of the request, in tokens; a continuation gets the rest of the limit. `connect` reads
    the limit from the payload."""
    answer_id: str | None = None
    """An id of your own for the answer, like the option of `Stream`; only for a `Retry` of one answer."""
    on_retry: Callable[[Attempt], object] | None = None
    """Function that is called with each further attempt, before the wait for that attempt; a plain `def`,
    also for an asynchronous stream. It may return `attempt.skip()`, `attempt.stop()` or
    `attempt.with_payload(…)`; any other result is ignored."""

    def __post_init__(self) -> None:
        attempts: Any = self.attempts
        mode: Any = self.mode
        is_count = isinstance(attempts, int) and not isinstance(attempts, bool) and attempts >= 1
        if attempts is not None and not is_count:
            raise MisuseError(f"attempts= is the number of attempts in all, 1 or more, and not {attempts!r}")
        _check_pauses(self)
        if mode not in _MODES:
            raise MisuseError(f"mode= is one of {', '.join(sorted(_MODES))}, and not {mode!r}")
        if not callable(self.wait):
            check_wait("wait", self.wait)
        for name in ("timeout", "hedge_after"):
            if getattr(self, name) is not None:
                check_wait(name, getattr(self, name))
        _check_continuation(self)
        # A class of errors can be called like a function, but is a condition.
        is_function = callable(self.on) and not isinstance(self.on, type)
        # These options are stored as tuples. The dataclass is frozen, so this is the only way to set them.
        if self.on is not None and not is_function:
            object.__setattr__(self, "on", _check_conditions(self.on))
        object.__setattr__(self, "fallback", _check_fallbacks(self.fallback))
        object.__setattr__(self, "routes", _check_routes(self.routes))
        _check_choice(self)
        if self.on_retry is not None and not callable(self.on_retry):
            raise MisuseError("on_retry= is a function that takes the attempt")
        if is_awaited(self.on_retry):
            raise MisuseError("on_retry= is an async def, whose result is not awaited: use a plain def")

    @property
    def budget(self) -> int:
        """The maximum number of attempts, the first one included; without those of routes."""
        return self.attempts if self.attempts is not None else max(_DEFAULT_ATTEMPTS, 1 + len(self.fallback))

    @property
    def outcomes(self) -> frozenset[str]:
        """The outcomes of a complete answer, such as an empty one, after which another attempt is made.

        If `on` is a function, which decides for each error, the result contains all outcomes.
        """
        on: Any = self.on
        named = _OUTCOMES if callable(on) else _OUTCOMES.intersection(on or ())
        return named if self.accept is None else named | {"invalid"}

    def wants(self, error: StreamError, *, otherwise: bool) -> bool:
        """Return True if an error should be retried.

        Args:
            error: The error that ended the attempt.
            otherwise: True if the error is retried by default.
        """
        on: Any = self.on
        if callable(on):
            decision = on(error)
            return otherwise if decision is None else bool(decision)
        if isinstance(error, AnswerRejected):
            # An answer is rejected only for an outcome that `on` names, or by `accept`.
            return True
        conditions: set[Any] = {*(on or ())} - _OUTCOMES
        if not conditions:
            # `on` names only outcomes, or nothing.
            return otherwise
        classes = tuple(each for each in conditions if isinstance(each, type))
        return isinstance(error, classes) or error.kind in conditions


# Applied here, because a dataclass writes its own `__init__`.
Retry.__init__ = explain_all_options(  # type: ignore[method-assign] # its signature stays the same
    align="views skip what they have; a loop over events gets `Restarted`, then the whole new answer",
    max_attempts="it is called attempts=",
    max_retries=_COUNTS_ALL,
    num_retries=_COUNTS_ALL,
    retries=_COUNTS_ALL,
    tries="it is called attempts=",
    backoff="wait= takes the seconds before the second attempt, or a function of the attempt",
    backoff_factor="wait= takes the seconds before the second attempt, or a function of the attempt",
    delay="it is called wait=",
)(Retry.__init__)


def _check_pauses(retry: Retry) -> None:
    """Refuse invalid options for going through pauses."""
    pauses: Any = retry.pauses
    reasons: Any = retry.pauses_at
    if not isinstance(pauses, int) or isinstance(pauses, bool) or pauses < 0:
        raise MisuseError(f"pauses= is the number of pauses to go through, 0 or more, and not {pauses!r}")
    if isinstance(reasons, str) or not isinstance(reasons, Iterable):
        reasons = (reasons,)
    named: tuple[Any, ...] = tuple(reasons)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if any(each != "length" for each in named):
        raise MisuseError(f'pauses_at= takes finish reasons that are pauses, too: "length", not {reasons!r}')
    if named and not pauses:
        raise MisuseError("pauses_at= needs pauses=, the number of pauses to go through")
    # The dataclass is frozen, so this is the only way to set the attribute.
    object.__setattr__(retry, "pauses_at", named)


def _check_continuation(retry: Retry) -> None:
    """Refuse invalid options for continuing an answer."""
    least: Any = retry.least
    ask: Any = retry.ask
    prefill: Any = retry.prefill
    limit: Any = retry.max_output_tokens
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
        raise MisuseError(f"least= is a confidence from 0 to 1, and not {least!r}")
    is_text = isinstance(ask, str) and bool(ask.strip())
    if ask is not None and not callable(ask) and not is_text:
        raise MisuseError("ask= is the text of a user's turn, or a function that returns it")
    if prefill not in (None, True, False, "echo"):
        raise MisuseError(f'prefill= is True, False, "echo" or None, and not {prefill!r}')
    is_count = isinstance(limit, int) and not isinstance(limit, bool) and limit >= 1
    if limit is not None and not is_count:
        raise MisuseError(f"max_output_tokens= takes a whole number of tokens of at least 1, not {limit!r}")


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


def _check_routes(routes: object) -> tuple[Route, ...]:
    """Return the routes as a tuple, and refuse anything else."""
    given: Any = routes
    checked: tuple[Any, ...] = tuple(given if isinstance(routes, Iterable) else (given,))
    for each in checked:
        if not isinstance(each, Route):
            raise MisuseError(
                f"routes= takes Routes, such as Route(url, json=payload), and not {type(each).__name__}; "
                "a function that opens a source belongs to fallback="
            )
    return checked


def _check_choice(retry: Retry) -> None:
    """Refuse invalid options for choosing among routes and answers."""
    order: Any = retry.order
    accept: Any = retry.accept
    if order not in _ORDERS:
        raise MisuseError(f"order= is one of {', '.join(_ORDERS)}, and not {order!r}")
    if accept is not None and not is_rule(accept):
        raise MisuseError(f"accept= is a type, or a function that takes the message, and not {accept!r}")
    if inspect.iscoroutinefunction(accept):
        raise MisuseError("accept= is an async def, whose result is not awaited: use a plain def")
    if retry.most is not None and not isinstance(retry.most, Purse):
        check_seconds("most", retry.most, unit="money")


def _check_fallbacks(fallback: object) -> tuple[Fallback, ...]:
    """Return the fallbacks as a tuple, and refuse invalid ones."""
    given: Any = fallback
    # A str is not a fallback, but counts as one here, so that the error names all of it, not one character.
    is_single = callable(fallback) or isinstance(fallback, str) or _is_pair(fallback) or is_stream(fallback)
    if is_single or not isinstance(fallback, Iterable):
        given = (given,)
    fallbacks: tuple[Any, ...] = tuple(given)
    for each in fallbacks:
        if isinstance(each, Route):
            raise MisuseError("a Route belongs to routes=, and not to fallback=")
        if not (callable(each) or _is_pair(each) or is_stream(each)):
            raise MisuseError(
                "fallback= takes functions that open a source, pairs of one and its format, or "
                f"an unread connect(…), and not {each!r}"
            )
    return fallbacks


def _is_pair(value: object) -> bool:
    """Return True for a pair of a function and a format."""
    return (
        isinstance(value, tuple)
        and len(value) == 2  # pyright: ignore[reportUnknownArgumentType]
        and callable(value[0])  # pyright: ignore[reportUnknownArgumentType]
        and isinstance(value[1], str | Format | None)
    )


def check_returned_wait(value: object) -> float:
    """Return the seconds that the caller's `wait` function returned, and refuse any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise MisuseError(f"wait= returns a number of seconds, 0 or more, and not {value!r}")
    return float(value)
