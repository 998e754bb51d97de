"""Errors that are kept, and raised at each read that comes too late."""

from __future__ import annotations

from functools import partial
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar
from weakref import ref

from tokenstream.errors import MisuseError, TokenStreamError, is_own_frame, is_raised_outside

ErrorT = TypeVar("ErrorT", bound=BaseException)

_Copies: TypeAlias = dict[int, BaseException]
"""The copies of errors that were made so far, by the id of the error."""
_RAISED: dict[int, tuple[ref[Any], ref[Any]]] = {}
"""The error that was raised for each kept one, by the kept one's id: references to both."""
_GROUPS: tuple[Any, ...] = (ExceptionGroup, BaseExceptionGroup)
_SEQUENCES = frozenset({list, tuple})
_PLAIN: Any = BaseException
"""Sets what each error has, whatever its own class makes of an assignment."""
_OWN = "tokenstream"
"""The package whose errors have a twin."""


class FunctionFailed(MisuseError):
    """Stands for an exception that is the application's, and goes out as it came; the stream ends with it.

    No further attempt is made because of it.
    """

    def __init__(self, raised: BaseException) -> None:
        super().__init__(f"a function of the application's raised {type(raised).__name__}")
        self.raised = raised


class _HasError(Protocol):
    @property
    def error(self) -> Exception | None: ...


class ErrorKeeper:
    """Base class of stages that keep the error which follows what they returned last."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def stop(self) -> str | None: ...

    else:
        stop = None
        """A reason to close the source; most stages have none."""

    def check(self: _HasError) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise raised_anew(self.error)


def raised_anew(error: ErrorT) -> ErrorT | BaseException:
    """Return a kept error as another object, to be raised; as the same each time while its reader has it.

    The traceback of a raised error holds the frames that have read, and so the object that keeps the error;
    both would wait for the garbage collector. The two errors share their attributes: what is noted on one of
    them is also on the other. Their causes have tracebacks, too, which the first raised error alone keeps.
    An error that the application has made is returned itself: its class may be made in any way, and the
    application may know it by its identity.
    """
    if isinstance(error, FunctionFailed):
        return frameless(error.raised)
    if not isinstance(error, TokenStreamError) or _is_of_application(error):
        return error.with_traceback(None)
    living = as_raised(error)
    if living is not error:
        return living.with_traceback(None)
    raised = error.__class__.__new__(error.__class__, *error.args)
    raised.args, raised.__dict__ = error.args, error.__dict__
    raised.__cause__, raised.__context__ = error.__cause__, error.__context__
    # The end of a loop that is handled where the error is raised has nothing to do with it.
    raised.__suppress_context__ = error.__suppress_context__ or error.__context__ is None
    forget_frames(error)
    _RAISED[id(error)] = ref(error, partial(_forget, id(error))), ref(raised)
    return raised


def as_raised(error: ErrorT) -> ErrorT:
    """Return the error that was raised for a kept one, as long as its reader has it, or else the kept one."""
    _, known = _RAISED.get(id(error), (None, None))
    living: ErrorT | None = None if known is None else known()
    return error if living is None else living


def forget_frames(error: BaseException) -> None:
    """Replace the causes of a kept error by equal ones without tracebacks.

    Of a frame that is over, Python may still know the frames that have called it, whatever is cut off the
    traceback: those of the library, and of the application that holds the stream. An error that the
    application has made stays as it is.
    """
    if error.__cause__ is None and error.__context__ is None:
        return
    if isinstance(error, TokenStreamError) and _is_of_application(error):
        return
    _replace_causes(error, error, {id(error): error})


def frameless(error: ErrorT) -> ErrorT:
    """Return an error that is equal to another one and its causes, without tracebacks, to be kept."""
    equal = _frameless(error, {})
    return equal if isinstance(equal, type(error)) else error


def mark_given(error: ErrorT) -> ErrorT:
    """Note on an error of this library if the application has raised it; return the error."""
    if is_raised_outside(error):
        vars(error)["_is_given"] = True
    return error


def without_own_frames(error: ErrorT) -> ErrorT:
    """Return an error of a source with a traceback that begins in the source.

    The frames before, which have called the source, hold the stream that reads it.
    """
    place = error.__traceback__
    while place is not None and is_own_frame(place.tb_frame):
        place = place.tb_next
    return error.with_traceback(place)


def _frameless(error: BaseException | None, known: _Copies) -> BaseException | None:
    """Return an error that is equal to another one and its causes, without tracebacks.

    An error that cannot be copied is returned itself, without the frames of this library. `known` has the
    results so far by the ids of their originals, because causes may refer to one another.
    """
    if error is None or id(error) in known:
        return known.get(id(error))
    try:
        return _copied(error, known)
    except Exception:  # noqa: BLE001 - a class may refuse anything, and no refusal may replace the error
        known[id(error)] = without_own_frames(error)
        return error


def _copied(error: BaseException, known: _Copies) -> BaseException:
    """Return a copy of an error, made as Python makes it and by none of the methods of its class."""
    classes = type(error).__mro__
    if any(vars(each).get("__slots__") for each in classes):
        raise TypeError("the error may have more than what is copied")
    builtin: Any = next(each for each in classes if each.__module__ == "builtins")
    group: Any = error if builtin in _GROUPS else None
    members = () if group is None else (group.message, _without_frames([*group.exceptions], known))
    copy: Any = builtin.__new__(type(error), *members)
    known[id(error)] = copy
    for field in _list_kept_fields(classes):
        value = field.__get__(error)
        # A file name of None would be shown with the error.
        if value is not None and group is None:
            field.__set__(copy, value)
    _PLAIN.args.__set__(copy, _without_frames(_PLAIN.args.__get__(error), known))
    copy.__dict__.update({name: _without_frames(value, known) for name, value in vars(error).items()})
    _replace_causes(copy, error, known)
    equal: BaseException = copy
    return equal


def _list_kept_fields(classes: tuple[Any, ...]) -> list[Any]:
    """Return the fields that Python's own classes of errors keep, such as `errno` of an OSError."""
    own: list[Any] = [each.__dict__ for each in classes if each.__module__ == "builtins"]
    fields = [field for namespace in own for field in namespace.values()]
    # Each error has the first two. `obj`, of an AttributeError or a NameError, may be anything.
    left_out = ("__suppress_context__", "args", "obj")
    return [
        each for each in fields if isinstance(each, MemberDescriptorType) and each.__name__ not in left_out
    ]


def _without_frames(value: Any, known: _Copies) -> Any:  # noqa: ANN401 - whatever an error keeps
    """Return a value of an error, in which other errors are replaced by equal ones without tracebacks."""
    kind: Any = value.__class__
    if issubclass(kind, BaseException):
        return _frameless(value, known)
    if kind in _SEQUENCES:
        return kind([_without_frames(each, known) for each in value])
    return value


def _replace_causes(error: BaseException, original: BaseException, known: _Copies) -> None:
    """Give an error the causes of the original without tracebacks, and without those that nobody is shown."""
    suppressed = original.__suppress_context__
    _PLAIN.__context__.__set__(error, None if suppressed else _frameless(original.__context__, known))
    _PLAIN.__cause__.__set__(error, _frameless(original.__cause__, known))
    _PLAIN.__suppress_context__.__set__(error, suppressed)


def _is_of_application(error: TokenStreamError) -> bool:
    """Return True for an error of the application's own class, or one that the application has raised."""
    is_of_own_class = type(error).__module__.partition(".")[0] == _OWN
    return not is_of_own_class or vars(error).get("_is_given", False)


def _forget(key: int, _: object) -> None:
    _RAISED.pop(key, None)
