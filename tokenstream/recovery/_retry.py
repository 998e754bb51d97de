"""When to ask again, how often, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from tokenstream._joint import Prefill  # noqa: TC001 - a field's type can be asked for
from tokenstream.errors import AnswerRejected, ErrorKind, MisuseError, Outcome, StreamError
from tokenstream.formats.base import Format
from tokenstream.limits import check_wait
from tokenstream.stream._attempts import Attempt

__all__ = ["Condition", "Fallback", "Mode", "Opens", "Retry"]

Mode: TypeAlias = Literal["auto", "resume", "continue", "restart"]
"""How an answer goes on that broke off after its first content."""
Opens: TypeAlias = Callable[[Attempt], Any] | Callable[[], Any]
"""Opens a source: it is told of the attempt, where it takes an argument."""
Fallback: TypeAlias = "Opens | tuple[Opens, str | Format]"
"""Opens a source of another model or provider, whose format is found out, or named."""
Condition: TypeAlias = "type[StreamError] | ErrorKind | Outcome"
"""What is asked again for: a class of errors, a kind of them, or an outcome."""

_OUTCOMES: frozenset[str] = frozenset(get_args(Outcome))
_KINDS: frozenset[str] = frozenset(get_args(ErrorKind))
_MODES: frozenset[str] = frozenset(get_args(Mode))
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When a broken answer is asked for again, how often, and how it goes on.

    Before the first content was shown a new attempt leaves no trace. After it:

    | mode | what is done |
    |---|---|
    | `"auto"` | resumed where the server can replay; with `connect`, else continued; raised otherwise |
    | `"resume"` | resumed: `open` is told the position; raised where there is none |
    | `"continue"` | a new request has the model go on with what there is; what cannot be continued is \
restarted |
    | `"restart"` | asked for from zero; what was given is not given again, or `Restarted` tells of it |

    Example:
        >>> Retry(attempts=5, mode="restart", timeout=60).attempts
        5
    """

    attempts: int | None = None
    """How many attempts there are in all; by default three, and one for each fallback at least."""
    mode: Mode = "auto"
    """How an answer goes on after its first content was shown."""
    wait: float | Callable[[Attempt], float] = 0.5
    """Seconds before the second attempt, doubled for each one after it, up to a minute, and shortened by
    chance so that clients do not come back all at once; or a function that returns the seconds.
    A server that asks for a longer wait is given it; one that asks for more than five minutes is not
    asked again."""
    timeout: float | None = None
    """Seconds from the first request on in which attempts may begin; None for no bound."""
    on: Callable[[StreamError], bool | None] | Iterable[Condition] | None = None
    """What is asked again for. By default every error whose `retryable` is True. Outcomes ("empty",
    "refusal", "content_filter", "malformed_call") come in addition; classes and kinds of errors take the
    place of the default. A function is given the error, `AnswerRejected` for an outcome, and returns None
    for the default."""
    fallback: Sequence[Fallback] = ()
    """What is asked instead, one after the other: each opens another model or provider, whose format
    is found out, or stands beside it: `(open_other, "anthropic")`."""
    hedge_after: float | None = None
    """Seconds after which a second attempt is made beside a first one that has shown nothing; the first
    to show content is read, the other closed. On `aresilient` and `aconnect` only."""
    hold: bool = False
    """Whether nothing of a continuation is shown before its seam is decided, up to some 280 characters later.
    Else only what may have been given before is held back."""
    least: float = 0.0
    """Least confidence at the seam, from 0 to 1; below it the continuation is discarded, and the error that
    broke off the answer is raised. A sure seam has 1, one that may have lost or
    doubled words less than 0.9."""
    ask: str | Callable[[str], str] | None = None
    """The words of the user's turn that asks to go on, or a function that is given the last words of the
    answer and returns them; None for our own, in English."""
    prefill: Prefill | None = None
    """Whether the model continues an assistant's turn that is sent last; "echo" where the server repeats that
    turn first. None for what is known of the provider: where nothing is, a user's turn asks. With `connect`,
    an unknown server of OpenAI's chat format is asked as vLLM is."""
    max_output_tokens: int | None = None
    """The output limit of the request, of which a continuation has what is left; `connect` reads it from the
    payload."""
    align: bool = False
    """Whether the loop over events, too, is not given again what equals what it was given."""
    on_retry: Callable[[Attempt], object] | None = None
    """Told of each further attempt before it is made, and before the wait."""

    def __post_init__(self) -> None:
        attempts: Any = self.attempts
        mode: Any = self.mode
        if attempts is not None and (
            not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 1
        ):
            raise MisuseError(
                f"attempts= is how many attempts there are in all, 1 or more, and not {attempts!r}"
            )
        if mode not in _MODES:
            raise MisuseError(f"mode= is one of {', '.join(sorted(_MODES))}, and not {mode!r}")
        if not callable(self.wait):
            check_wait("wait", self.wait)
        for name in ("timeout", "hedge_after"):
            if getattr(self, name) is not None:
                check_wait(name, getattr(self, name))
        _check_continuation(self)
        if self.on is not None and not callable(self.on):
            object.__setattr__(self, "on", _conditions(self.on))
        object.__setattr__(self, "fallback", _fallbacks(self.fallback))
        if attempts is not None and attempts <= len(self.fallback):
            raise MisuseError(
                f"attempts={attempts} never comes to the last of {len(self.fallback)} fallbacks: "
                "each attempt that fails goes on to the next one"
            )
        if self.on_retry is not None and not callable(self.on_retry):
            raise MisuseError("on_retry= is a function that is given the attempt")

    @property
    def budget(self) -> int:
        """How many attempts there are in all."""
        return self.attempts if self.attempts is not None else max(_ATTEMPTS, 1 + len(self.fallback))

    @property
    def outcomes(self) -> frozenset[str]:
        """The outcomes that are asked again for; all of them where a function decides."""
        on: Any = self.on
        if callable(on):
            return _OUTCOMES
        return frozenset(each for each in on or () if each in _OUTCOMES)

    def wants(self, error: StreamError, *, otherwise: bool) -> bool:
        """Tell whether an error is one that is asked again for.

        Args:
            error: What ended the attempt.
            otherwise: Whether it is asked again for by default.
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
        raise MisuseError("ask= is the words of a user's turn, or a function that returns them")
    if prefill not in (None, True, False, "echo"):
        raise MisuseError(f'prefill= is True, False, "echo" or None, and not {prefill!r}')
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise MisuseError(f"max_output_tokens= is a number of tokens, 1 or more, and not {limit!r}")


def _conditions(on: object) -> tuple[Any, ...]:
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


def _fallbacks(given: Any) -> tuple[Fallback, ...]:  # noqa: ANN401 - whatever was given
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
    """Tell whether it is a function and a format."""
    return (
        isinstance(given, tuple)
        and len(given) == 2  # pyright: ignore[reportUnknownArgumentType]
        and callable(given[0])  # pyright: ignore[reportUnknownArgumentType]
        and isinstance(given[1], str | Format | None)
    )
