"""`Retry`: options for recovering a broken answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from tokenstream._basics.joint import Prefill  # noqa: TC001 - a field's type can be asked for
from tokenstream.errors import AnswerRejected, ErrorKind, MisuseError, Outcome, StreamError
from tokenstream.formats.base import Format
from tokenstream.limits import check_wait
from tokenstream.stream._attempts import Attempt

Mode: TypeAlias = Literal["auto", "resume", "continue", "restart"]
"""Recovery of an answer that broke off after its first content."""
Opens: TypeAlias = Callable[[Attempt], Any] | Callable[[], Any]
"""Function that opens a source; it gets the attempt if it takes an argument."""
Fallback: TypeAlias = "Opens | tuple[Opens, str | Format]"
"""Function that opens a source of another model or provider; alone, or with the format's name."""
Condition: TypeAlias = "type[StreamError] | ErrorKind | Outcome"
"""Condition to retry on: a class of errors, a kind of errors, or an outcome."""

_OUTCOMES: frozenset[str] = frozenset(get_args(Outcome))
_KINDS: frozenset[str] = frozenset(get_args(ErrorKind))
_MODES: frozenset[str] = frozenset(get_args(Mode))
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Options for recovering a broken answer: when to retry, how often, and how to go on.

    Before the first content was shown, a new attempt leaves no trace. After that:

    | mode | recovery |
    |---|---|
    | `"auto"` | resumes if the server can replay; else, with `connect`, continues; else raises |
    | `"resume"` | resumes: `open` gets the position; raises if there is none |
    | `"continue"` | a new request makes the model continue its text; an answer that cannot be continued \
is restarted |
    | `"restart"` | asks from zero; content already delivered is skipped, or `Restarted` announces it |

    Example:
        >>> Retry(attempts=5, mode="restart", timeout=60).attempts
        5
    """

    attempts: int | None = None
    """Attempts in all; by default three, or one more than the fallbacks if those are more."""
    mode: Mode = "auto"
    """Recovery after the answer's first content was shown; see the table."""
    wait: float | Callable[[Attempt], float] = 0.5
    """Seconds before the second attempt, doubled for each later one, up to a minute, and shortened at
    random so that clients do not all return at once; or a function that returns the seconds.
    A longer wait that the server asks for is respected; if it asks for more than five minutes, the error
    is raised."""
    timeout: float | None = None
    """Seconds after the first request in which new attempts may begin; None for no bound."""
    on: Callable[[StreamError], bool | None] | Iterable[Condition] | None = None
    """Conditions to retry on; by default every error whose `retryable` is True. Outcomes ("empty",
    "refusal", "content_filter", "malformed_call") add to the default; classes and kinds of errors replace
    it. A function gets the error (`AnswerRejected` for an outcome) and returns True, False, or None for
    the default."""
    fallback: Sequence[Fallback] = ()
    """Functions to try next, in order: each opens another model or provider, whose format is detected,
    or given in a pair: `(open_other, "anthropic")`."""
    hedge_after: float | None = None
    """Seconds after which a second attempt starts beside a first one that has shown nothing; the first
    to show content is read, the other is closed. On `aresilient` and `aconnect` only."""
    hold: bool = False
    """Holds back a continuation entirely until its seam is decided, at most some 280 characters
    later. Otherwise only text that may be a repetition is held back."""
    least: float = 0.0
    """Least confidence at the seam, from 0 to 1. Below it the continuation is discarded, and the error that
    broke off the answer is raised. A certain seam has 1, one that may have lost or doubled words has less
    than 0.9."""
    ask: str | Callable[[str], str] | None = None
    """Text of the user's turn that asks the model to go on, or a function that gets the answer's last words
    and returns that text; None for the default text, in English."""
    prefill: Prefill | None = None
    """True if the model continues an assistant's turn that is sent last; "echo" if the server repeats that
    turn first. None to use what is known of the provider, and to ask in a user's turn if nothing is. With
    `connect`, an unknown server of OpenAI's chat format is asked as vLLM is."""
    max_output_tokens: int | None = None
    """Output limit of the request; a continuation gets what is left of it. `connect` reads it from the
    payload."""
    align: bool = False
    """Makes the loop over events, too, skip content equal to what it already got."""
    on_retry: Callable[[Attempt], object] | None = None
    """Called with each further attempt before its wait."""

    def __post_init__(self) -> None:
        attempts: Any = self.attempts
        mode: Any = self.mode
        if attempts is not None and (
            not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 1
        ):
            raise MisuseError(f"attempts= is the number of attempts in all, 1 or more, and not {attempts!r}")
        if mode not in _MODES:
            raise MisuseError(f"mode= is one of {', '.join(sorted(_MODES))}, and not {mode!r}")
        if not callable(self.wait):
            check_wait("wait", self.wait)
        for name in ("timeout", "hedge_after"):
            if getattr(self, name) is not None:
                check_wait(name, getattr(self, name))
        _check_continuation(self)
        if self.on is not None and not callable(self.on):
            object.__setattr__(self, "on", _check_conditions(self.on))
        object.__setattr__(self, "fallback", _check_fallbacks(self.fallback))
        if attempts is not None and attempts <= len(self.fallback):
            raise MisuseError(
                f"attempts={attempts} never reaches the last of {len(self.fallback)} fallbacks: "
                "each failed attempt moves on to the next one"
            )
        if self.on_retry is not None and not callable(self.on_retry):
            raise MisuseError("on_retry= is a function that takes the attempt")

    @property
    def budget(self) -> int:
        """Attempts in all."""
        return self.attempts if self.attempts is not None else max(_ATTEMPTS, 1 + len(self.fallback))

    @property
    def outcomes(self) -> frozenset[str]:
        """The outcomes to retry; all of them if a function decides."""
        on: Any = self.on
        if callable(on):
            return _OUTCOMES
        return frozenset(each for each in on or () if each in _OUTCOMES)

    def wants(self, error: StreamError, *, otherwise: bool) -> bool:
        """Return True if an error is to be retried.

        Args:
            error: The error that ended the attempt.
            otherwise: Whether it is retried by default.
        """
        on: Any = self.on
        if callable(on):
            said = on(error)
            return otherwise if said is None else bool(said)
        if isinstance(error, AnswerRejected):
            return True
        named = [each for each in on or () if each not in _OUTCOMES]
        if not named:
            return otherwise
        classes = tuple(each for each in named if isinstance(each, type))
        return isinstance(error, classes) or error.kind in named


def _check_continuation(retry: Retry) -> None:
    least: Any = retry.least
    ask: Any = retry.ask
    prefill: Any = retry.prefill
    limit: Any = retry.max_output_tokens
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
        raise MisuseError(f"least= is a confidence from 0 to 1, and not {least!r}")
    if ask is not None and not callable(ask) and not (isinstance(ask, str) and ask.strip()):
        raise MisuseError("ask= is the text of a user's turn, or a function that returns it")
    if prefill not in (None, True, False, "echo"):
        raise MisuseError(f'prefill= is True, False, "echo" or None, and not {prefill!r}')
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise MisuseError(f"max_output_tokens= takes a whole number of tokens of at least 1, not {limit!r}")


def _check_conditions(on: object) -> tuple[Any, ...]:
    if isinstance(on, str) or not isinstance(on, Iterable):
        on = (on,)
    given: tuple[Any, ...] = tuple(on)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    for each in given:
        if isinstance(each, type) and issubclass(each, StreamError):
            continue
        if not isinstance(each, str) or each not in _OUTCOMES | _KINDS:
            words = ", ".join(sorted(_OUTCOMES | _KINDS))
            raise MisuseError(
                f"on= takes classes of StreamError, a function, or these words: {words}; and not {each!r}"
            )
    return given


def _check_fallbacks(given: Any) -> tuple[Fallback, ...]:  # noqa: ANN401 - whatever was given
    several: Any = given
    if callable(given) or isinstance(given, str) or not isinstance(given, Iterable) or _is_pair(given):
        several = (given,)
    found: tuple[Any, ...] = tuple(several)
    for each in found:
        if not (callable(each) or _is_pair(each)):
            raise MisuseError(
                "fallback= takes functions that open a source, or pairs of one and its format, "
                f"and not {each!r}"
            )
    return found


def _is_pair(given: Any) -> bool:  # noqa: ANN401 - whatever was given
    """Return True for a pair of a function and a format."""
    return (
        isinstance(given, tuple)
        and len(given) == 2  # pyright: ignore[reportUnknownArgumentType]
        and callable(given[0])  # pyright: ignore[reportUnknownArgumentType]
        and isinstance(given[1], str | Format | None)
    )
