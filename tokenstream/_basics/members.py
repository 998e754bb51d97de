"""Members and defaults as `help` shows them: the members in one place, the defaults in words.

`pydoc` has a section for each base class. Users of this package need not know its
private base classes, so public classes get the members of these bases as their own.
This happens once, when the class is made.
"""

from __future__ import annotations

import re
from functools import cache
from inspect import cleandoc, signature
from itertools import pairwise
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ast import stmt
    from collections.abc import Callable, Iterable

T = TypeVar("T")

_PACKAGE = __name__.partition(".")[0]
_WRAPPERS = (classmethod, staticmethod)
"""Objects in a class that wrap a function, which is their `__func__`."""
_FUNCTION_TYPES = frozenset({BuiltinFunctionType, FunctionType})
_STATE_METHODS = ("__getstate__", "__setstate__")
_USUAL_WORDS = {
    "__aenter__": "Begin an `async with` block.",
    "__aexit__": "End the `async with` block.",
    "__aiter__": "Return the iterator of an `async for` loop.",
    "__anext__": "Return the next item; raise StopAsyncIteration at the end.",
    "__bool__": "Return the truth value.",
    "__class_getitem__": "Return the class with parameters, for type checkers.",
    "__contains__": "Return True if the name, key or item is there.",
    "__enter__": "Begin a `with` block.",
    "__exit__": "End the `with` block.",
    "__getattr__": "Return an attribute that the class itself does not have.",
    "__getitem__": "Return the item at a key or an index.",
    "__getstate__": "Return the values of the fields, for pickle.",
    "__iter__": "Return the iterator of a `for` loop.",
    "__len__": "Return the number of items.",
    "__next__": "Return the next item; raise StopIteration at the end.",
    "__post_init__": "Check the arguments.",
    "__setstate__": "Set the values of the fields, for pickle.",
}
"""Docstrings that `help` shows for methods such as `__aenter__` that have none of their own."""
_WORDS_OF_STAGES = {
    "error": "The error that follows the last items; None if there is none.",
    "stop": "The reason why no more input is needed; None while more is needed.",
}
"""Words with which `help` describes slots of stages that have no words of their own."""
_ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
_POINTER = re.compile(r"^( *).*\bthose of `\w+\.(\w+)`\.$", re.MULTILINE)
_SECTIONS = re.compile(r"^( *)(?:Args|Returns|Raises):\n(?:(?:\1 +.*| *)(?:\n|\Z))*", re.MULTILINE)


class NamedDefault:
    """Stands for a function that is a default in a signature, and prints as the function's name.

    Args:
        value: The function. Calling this object calls the function, for callers that take the
            defaults from the signature.
    """

    __slots__ = ("_value",)

    def __init__(self, value: BuiltinFunctionType | FunctionType) -> None:
        self._value = value

    def __call__(self, *args: object, **options: object) -> object:
        return self._value(*args, **options)

    def __repr__(self) -> str:
        return f"{self._value.__module__}.{self._value.__qualname__}"


class SlotWords(dict[str, str | None]):
    """Maps the names of a class's slots to the words with which `help` describes the slots.

    The words are in the class's source, or in its docstring. They are read when the first of them is
    needed; a slot without words is mapped to None.
    """

    __slots__ = ("_kind",)

    def __init__(self, kind: type, names: Iterable[str]) -> None:
        super().__init__(dict.fromkeys(names))
        self._kind: type | None = kind

    def __getitem__(self, name: str) -> str | None:
        if self._kind is not None:
            # The first look-up reads the words of all slots.
            self.update((found, words) for found, words in _read_words(self._kind).items() if found in self)
            self._kind = None
        return super().__getitem__(name)


def _read_words(kind: type) -> dict[str, str]:
    """Return the words that describe the attributes of a class, by the attribute's name.

    They are the string below the attribute in the source; if there is none, the words on the argument
    of the same name in the class's docstring.
    """
    from ast import ClassDef, FunctionDef, parse, walk
    from inspect import getsource
    from textwrap import dedent

    # A class with `feed` is a stage.
    words = dict(_WORDS_OF_STAGES) if "feed" in dir(kind) else {}
    words |= {
        name: re.sub(r"\s+", " ", text)
        for section in _SECTIONS.finditer(cleandoc(kind.__doc__ or ""))
        if section[0].startswith("Args:")
        for name, text in _ARGUMENT.findall(section[0])
    }
    try:
        tree = parse(dedent(getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        # There is no source, as in a frozen program.
        return words
    for body in (node.body for node in walk(tree) if isinstance(node, ClassDef | FunctionDef)):
        # A string directly below an assignment describes the attribute.
        for statement, below in pairwise(body):
            name, text = _find_assigned_name(statement), _find_text(below)
            if name is not None and text is not None:
                words[name] = text
    return words


def _find_assigned_name(statement: stmt) -> str | None:
    """Return the name or attribute to which a statement assigns a value; None for any other statement."""
    from ast import Assign, Attribute, Name

    # An assignment with an annotation has a single `target`.
    target = statement.targets[0] if isinstance(statement, Assign) else getattr(statement, "target", None)
    if isinstance(target, Name):
        return target.id
    return target.attr if isinstance(target, Attribute) else None


def _find_text(statement: stmt) -> str | None:
    """Return the text of a statement that is nothing but a string; None for any other statement."""
    from ast import Constant, Expr

    value = statement.value if isinstance(statement, Expr) else None
    text = value.value if isinstance(value, Constant) else None
    return text if isinstance(text, str) else None


def name_defaults(function: T) -> T:
    """Make a function's signature show defaults that are functions by their names; return the function.

    Otherwise, `time.monotonic` would print as `<built-in function monotonic>`.
    """
    shown: Any = function
    by_position, by_name = shown.__defaults__, shown.__kwdefaults__
    # Most functions have no such default, and keep their signature.
    if (by_position and not _FUNCTION_TYPES.isdisjoint(map(type, by_position))) or (
        by_name and not _FUNCTION_TYPES.isdisjoint(map(type, by_name.values()))
    ):
        described = signature(shown)
        shown.__signature__ = described.replace(
            parameters=[
                each.replace(default=NamedDefault(each.default))
                if type(each.default) in _FUNCTION_TYPES
                else each
                for each in described.parameters.values()
            ]
        )
    return function


def show_members(kind: T) -> T:
    """Give a public class the members of its private bases as its own, and return the class.

    Functions are copied, so that they have the name of the class in `help` and in the errors
    of wrong calls; what `super()` finds is unchanged. A method that a private base inherits
    from a public class stays with that class.
    """
    _copy_members(kind)
    return kind


class _OptionsDoc:
    """The docstring of a class whose options are its fields, with the words on each of them.

    Args:
        text: The docstring as it is in the source.
    """

    __slots__ = ("_text", "_whole")

    def __init__(self, text: str) -> None:
        self._text = text
        self._whole: str | None = None
        """The whole docstring; None before it is asked for, since that takes reading the source."""

    def __get__(self, instance: object, kind: Any) -> str:  # noqa: ANN401 - a class
        if self._whole is None:
            # The words are looked for in the source, and in this docstring.
            self._whole = self._text
            # The further lines of an option are indented more, as in each section of a docstring.
            words = {
                name: kind.__slots__[name].replace("\n", "\n        ") for name in kind.__dataclass_fields__
            }
            lines = [f"    {name}: {text}" for name, text in words.items()]
            before, example, rest = cleandoc(self._text).partition("Example:")
            self._whole = "\n".join([before.rstrip(), "", "Args:", *lines, "", f"{example}{rest}"])
        return self._whole


def show_options(kind: T) -> T:
    """Let the docstring of a dataclass have the words on its fields, which are options; return the class.

    `help` shows them with the attributes, but a notebook shows only the docstring.
    """
    shown: Any = kind
    shown.__doc__ = _OptionsDoc(shown.__doc__)
    return kind


def show_members_like(twin: type) -> Callable[[T], T]:
    """Return a decorator like `show_members` that also completes docstrings which point to another class.

    To a docstring with the sentence "The arguments and errors are those of `Stream.result`.",
    the decorator adds these sections of the other docstring.
    """

    def show(kind: T) -> T:
        """Copy the members into a class, complete their docstrings, and return the class."""
        for member in _copy_members(kind):
            _complete_docstring(member, twin)
        return kind

    return show


def _copy_members(kind: Any) -> list[FunctionType]:  # noqa: ANN401 - a class, which type checkers see unchanged
    """Copy the members of private bases into a class, and its words for `help`; return its functions."""
    _describe_slots(kind)
    _copy_from_private_bases(kind)
    _copy_state_methods(kind)
    # Also the functions inside class methods and static methods.
    functions = [
        function
        for member in kind.__dict__.values()
        if type(function := member.__func__ if type(member) in _WRAPPERS else member) is FunctionType
    ]
    for function in functions:
        name_defaults(function)
        if function.__doc__ is None:
            function.__doc__ = _USUAL_WORDS.get(function.__name__)
    return functions


def _copy_from_private_bases(kind: Any) -> None:  # noqa: ANN401 - a class
    """Copy into a class each member that it inherits from a private base."""
    # The names seen so far: as in attribute look-up, the first class that has a name decides.
    found = {*kind.__dict__}
    # All bases except `object`.
    for base in kind.__mro__[1:-1]:
        members = base.__dict__
        if _is_private(base):
            _describe_slots(base)
            for name, member in [*members.items()]:
                if name not in found and _is_shown(name, member):
                    setattr(kind, name, _copy_for(kind, member))
        found.update(members)


def _copy_state_methods(kind: Any) -> None:  # noqa: ANN401 - a class
    """Give a frozen dataclass its own copies of `__getstate__` and `__setstate__`.

    All frozen dataclasses share these methods, for which `help` would show a comment of the standard
    library; a copy can have a docstring of its own.
    """
    own = kind.__dict__
    for name in _STATE_METHODS:
        if getattr(own.get(name), "__module__", None) == "dataclasses":
            copy = _copy_for(kind, own[name])
            copy.__name__, copy.__qualname__ = name, f"{kind.__qualname__}.{name}"
            setattr(kind, name, copy)


@cache
def _describe_slots(kind: Any) -> None:  # noqa: ANN401 - a class
    """Make `help` show words for the slots of a class, and hide the slot for weak references."""
    own = kind.__dict__
    if own.get("__slots__"):
        kind.__slots__ = SlotWords(kind, own["__slots__"])
    # Weak references do not need the attribute, which only shows that there may be some.
    if "__weakref__" in own:
        delattr(kind, "__weakref__")


@cache
def _is_private(base: type) -> bool:
    """Return True for a class of this library that is private, or is in a private module or package."""
    path = f"{base.__module__}.{base.__qualname__}"
    return path.startswith(_PACKAGE + ".") and "._" in path


def _is_shown(name: str, member: object) -> bool:
    """Return True if a member of a private base is to be shown as a member of the public class."""
    if name.startswith("__"):
        # Other values with such names, such as `__slots__`, belong only to the class that has them.
        return isinstance(member, FunctionType) or name in ("__class_getitem__", "__hash__")
    return not name.startswith("_")


def _copy_for(kind: type, member: Any) -> Any:  # noqa: ANN401 - any member
    """Return a copy of a function that has `kind` as its class; return any other member unchanged."""
    if type(member) in _WRAPPERS:
        return type(member)(_copy_for(kind, member.__func__))
    if not isinstance(member, FunctionType):
        return member
    copy = FunctionType(
        member.__code__, member.__globals__, member.__name__, member.__defaults__, member.__closure__
    )
    copy.__kwdefaults__ = member.__kwdefaults__
    copy.__annotations__ = member.__annotations__
    copy.__doc__ = member.__doc__
    copy.__module__ = kind.__module__
    copy.__qualname__ = f"{kind.__qualname__}.{member.__name__}"
    copy.__dict__.update(member.__dict__)
    return copy


def _complete_docstring(function: FunctionType, twin: type) -> None:
    """Complete a docstring that points to the docstring of a twin's method; see `show_members_like`.

    A docstring without such a pointer, or with sections of its own, stays unchanged. The sections
    of the other docstring, such as "Args:", go before the example, if there is one.
    """
    text = function.__doc__ or ""
    pointer = _POINTER.search(text) if "those of `" in text else None
    if pointer is None or _SECTIONS.search(text):
        return
    sections = "".join(each[0] for each in _SECTIONS.finditer(getattr(twin, pointer[2]).__doc__ or ""))
    before, example, rest = text.partition("Example:")
    # `pointer[1]` is the indentation, which `rstrip` has removed from before "Example:"; `pointer[2]` is the
    # name of the other method.
    function.__doc__ = f"{before.rstrip()}\n\n{sections.rstrip()}\n\n{pointer[1]}{example}{rest}"
