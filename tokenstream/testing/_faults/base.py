"""Faults as values: each changes a recording, and can be printed, compared and combined."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, cast

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from tokenstream.testing._recordings.recording import Recording

    _ApplyFault: TypeAlias = Callable[..., Recording]

_P = ParamSpec("_P")
_CHANGES: dict[str, _ApplyFault] = {}
"""Maps each kind of fault to the function that applies it to a recording."""
_OMITTED_DEFAULTS: dict[str, dict[str, Any]] = {}
"""Maps each kind of fault to the default values that its repr omits.

These are the defaults of keyword-only arguments, and all defaults that are None.
"""


@dataclass(frozen=True, slots=True, repr=False)
class _AppliedFault:
    kind: str
    """The name of the function of `testing.faults` that made the fault, such as "cut"."""
    details: tuple[tuple[str, Any], ...]
    """The arguments with which the fault was made, as pairs of a name and a value."""

    def __repr__(self) -> str:
        omitted = _OMITTED_DEFAULTS[self.kind]
        # No argument equals `...`, which stands for a default that is not omitted.
        arguments = [f"{name}={value!r}" for name, value in self.details if value != omitted.get(name, ...)]
        return f"{self.kind}({', '.join(arguments)})"


@dataclass(frozen=True, slots=True, repr=False)
class Fault:
    """One or several defects of an answer, applied in order.

    A fault is a value: it has the same effect each time, equals any fault made with the
    same arguments, and never changes. The functions of `testing.faults` make faults;
    `a | b` applies a, then b.

    Example:
        >>> from tokenstream.testing import faults
        >>> faults.crlf() | faults.cut(at=17)
        crlf() | cut(at=17)
    """

    _steps: tuple[_AppliedFault, ...] = ()
    """The defects, in the order in which they are applied."""

    def __call__(self, recording: Recording) -> Recording:
        """Return a copy of a recording with the fault applied.

        Raises:
            MisuseError: The fault cannot be applied to this recording.
        """
        for step in self._steps:
            recording = _CHANGES[step.kind](recording, **dict(step.details))
        return recording

    @property
    def name(self) -> str:
        """The fault as it is written in a program, for the id of a test."""
        return repr(self)

    def __or__(self, other: Fault) -> Fault:
        if not isinstance(cast("object", other), Fault):
            raise _not_a_fault(other)
        return Fault(self._steps + other._steps)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self._steps)) or "Fault()"


def fault(change: Callable[Concatenate[Recording, _P], Recording]) -> Callable[_P, Fault]:
    """Turn a function that changes recordings into a function that makes faults.

    The new function has the same arguments, except the recording.
    """
    signature = inspect.signature(change)
    # The same signature without its first parameter, the recording.
    details = signature.replace(parameters=list(signature.parameters.values())[1:])
    kind = change.__name__
    _CHANGES[kind] = change
    # The repr of a fault, which is its name in tests, leaves out the arguments with these values. A
    # positional argument stays, such as the code in `status(code=529)`, unless it is None.
    _OMITTED_DEFAULTS[kind] = {
        name: detail.default
        for name, detail in details.parameters.items()
        if detail.kind is detail.KEYWORD_ONLY or detail.default is None
    }

    @wraps(change)
    def make(*args: _P.args, **kwargs: _P.kwargs) -> Fault:
        # The docstring is that of `change`.
        try:
            bound = details.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{kind}{details} is not called like that: {error}") from None
        bound.apply_defaults()
        return Fault((_AppliedFault(kind, tuple(bound.arguments.items())),))

    # The signature that `help` prints leaves out the recording, which is passed later.
    vars(make)["__signature__"] = details.replace(return_annotation="Fault")
    return make


def combined(faults: Fault | Iterable[Fault]) -> Fault:
    """Return several faults as one.

    Args:
        faults: A fault, or several in the order in which they are applied.

    Raises:
        MisuseError: One of the values is not a fault.
    """
    if isinstance(faults, Fault):
        return faults
    if not isinstance(cast("object", faults), Iterable):
        raise _not_a_fault(faults)
    combination = Fault()
    for one_fault in faults:
        combination |= one_fault
    return combination


def _not_a_fault(value: object) -> MisuseError:
    kind = type(value).__name__
    return MisuseError(
        f"a {kind} is not a fault: call a function of testing.faults, such as faults.cut(at=17)"
    )
