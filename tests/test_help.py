"""The text that `help` shows for the public names: one place for all members, defaults in words."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pickle
import pkgutil
import pydoc
import re
import subprocess
import sys
import weakref
from functools import cache
from typing import Any

import pytest

import tokenstream
from tests.public_names import PUBLIC
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Limits, Stream, TextDelta, connect, relay
from tokenstream.stream import AsyncTextView, Broadcast, BroadcastReader, TextView


def _met(stream: Any) -> list[type]:
    """Return the classes that have no public name, but that public methods return."""
    return [type(met) for met in (stream.choice(0), stream.items(int), stream.responses, stream.tool_calls)]


async def _met_async() -> list[type]:
    async with AsyncStream(b"", format="text") as stream:
        return _met(stream)


with Stream(b"", format="text") as _stream:
    _MET = [*_met(_stream), *asyncio.run(_met_async())]


def _is_ours(value: object) -> bool:
    return str(getattr(value, "__module__", "")).split(".")[0] == "tokenstream"


_VALUES = {
    f"{module}.{name}": value
    for module, names in PUBLIC.items()
    for name in names
    if _is_ours(value := getattr(importlib.import_module(module), name))
}
# Where Starlette is installed, it is a subclass of Starlette's own, and of this one.
_VALUES["tokenstream.relay.Response"] = next(filter(_is_ours, relay.Response.__mro__[1:]), relay.Response)
_CLASSES = {
    **{name: value for name, value in _VALUES.items() if inspect.isclass(value)},
    **{kind.__name__: kind for kind in _MET},
}
_FUNCTIONS = {name: value for name, value in _VALUES.items() if inspect.isfunction(value)}


@cache
def _text_of(value: object) -> str:
    return pydoc.plain(pydoc.render_doc(value))


@pytest.mark.slow
@in_one_test("name", _CLASSES)
def test_no_section_is_about_a_private_base(name: str) -> None:
    """The members of private base classes are among those that are "defined here"."""
    inherited = re.findall(r"^ \|  .* inherited from (\S+):$", _text_of(_CLASSES[name]), re.MULTILINE)
    public = {f"{kind.__module__}.{kind.__qualname__}" for kind in _CLASSES.values()}
    private = [
        base
        for base in inherited
        if "pydantic" not in base
        and base not in public
        and any(room.startswith("_") for room in base.split("."))
    ]

    assert [] == private


@pytest.mark.slow
@in_one_test("name", [*_CLASSES, *_FUNCTIONS])
def test_no_value_is_shown_as_an_object_without_a_name(name: str) -> None:
    """A default that is a function has the function's name, and no text has an address in it."""
    text = _text_of(_CLASSES.get(name) or _FUNCTIONS[name])
    # Python's own attribute of a NamedTuple.
    text = text.replace("__orig_bases__ = (<function NamedTuple>", "")

    assert [] == re.findall(r"<built-in.*|<object object.*|<function.*| at 0x.*", text)


@in_one_test("name", _CLASSES)
def test_every_public_member_has_words(name: str) -> None:
    """Methods, properties and slots; plain values have a string below them in the source."""
    silent = [
        each.name
        for each in inspect.classify_class_attrs(_CLASSES[name])
        if not each.name.startswith("_")
        and _is_ours(each.defining_class)
        and (each.kind != "data" or inspect.isdatadescriptor(each.object))
        and not pydoc.getdoc(each.object)
    ]

    assert [] == silent


@in_one_test("kind", [Stream, AsyncStream, BroadcastReader, TextView, AsyncTextView])
def test_the_methods_of_blocks_and_loops_have_words(kind: type) -> None:
    """Also those that refuse the wrong block, and uses that a view does not support."""
    silent = [
        each.name
        for each in inspect.classify_class_attrs(kind)
        if each.kind == "method"
        and (each.name.startswith("__") or not each.name.startswith("_"))
        and _is_ours(each.defining_class)
        and not pydoc.getdoc(each.object)
    ]

    assert [] == silent


def test_the_help_of_a_stream_shows_one_section_of_methods() -> None:
    """No machinery of Python's typing, and no name of another library."""
    text = _text_of(Stream)

    assert "inherited from" not in text
    for machinery in ("__orig_bases__", "__parameters__", "__class_getitem__", "__weakref__"):
        assert machinery not in text
    assert "clock: 'Callable[[], float]' = time.monotonic," in text
    assert not {"text_stream", "choices", "usage"} & {*dir(Stream)}


@pytest.mark.slow
def test_the_help_of_a_stream_is_the_same_in_each_run() -> None:
    """It depends neither on the hash seed nor on addresses."""
    program = "import pydoc, tokenstream; print(pydoc.plain(pydoc.render_doc(tokenstream.Stream)))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }

    assert 1 == len(texts)


@in_one_test("kind", [AsyncStream, _MET[4]])
@in_one_test("name", ["result", "partials", "items", "field", "validated_calls"])
def test_an_async_method_shows_the_arguments_of_its_twin(kind: type, name: str) -> None:
    """The source points to the other method; `help` has the sections themselves, once."""
    text = inspect.getdoc(getattr(kind, name)) or ""

    assert f"those of `Stream.{name}`." in text
    assert (1, 1) == (text.count("\nArgs:\n"), text.count("\nRaises:\n"))


def test_every_pointer_to_a_twin_is_followed() -> None:
    """No public docstring only says that the arguments are those of another method."""
    pointing = [
        f"{name}.{each.name}"
        for name, kind in _CLASSES.items()
        for each in inspect.classify_class_attrs(kind)
        if not each.name.startswith("_")
        and re.search(
            r"\b(?:arguments?|errors) .*are those of `", text := pydoc.getdoc(getattr(kind, each.name, None))
        )
        and not re.search(r"^(?:Args|Returns|Raises):$", text, re.MULTILINE)
    ]

    assert [] == pointing


def test_a_default_with_a_name_can_still_be_called() -> None:
    """Whoever takes defaults from a signature gets a working one; the function's own is unchanged."""
    default: Any = inspect.signature(Stream).parameters["clock"].default
    init: Any = Stream.__init__

    assert isinstance(default(), float)
    assert "time.monotonic" == repr(default)
    assert "monotonic" == init.__kwdefaults__["clock"].__name__


def test_a_wrong_call_names_the_public_class() -> None:
    """The copies have the name of their class, in errors too."""
    stream: Any = Stream(["{}"], format="pieces")

    with stream, pytest.raises(TypeError, match=r"^Stream\.result\(\) missing 1 required"):
        stream.result()


def test_objects_behave_as_before() -> None:
    """Weak references, pickles, slots and private bases."""
    stream = Stream(["Hi"], format="pieces")
    limits = Limits(depth=5)

    assert weakref.ref(stream)() is stream
    assert isinstance(stream, type(stream.choice(1)))
    assert limits == pickle.loads(pickle.dumps(limits))
    assert TextDelta("a", part=1) == pickle.loads(pickle.dumps(TextDelta("a", part=1)))
    assert "Hi" == stream.final().text


def test_an_error_within_a_property_is_not_replaced() -> None:
    """The explanation of missing names leaves other AttributeErrors as they are."""

    class Failing(Stream):
        @property
        def broken(self) -> object:
            missing: Any = self
            return missing.no_such_name

    failing = Failing(["Hi"], format="pieces")
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = failing.broken
    failing.close()


def _all_classes() -> set[type]:
    found: set[type] = set()
    for each in pkgutil.walk_packages(tokenstream.__path__, "tokenstream."):
        if not each.name.endswith("__main__"):
            module = importlib.import_module(each.name)
            found |= {value for value in vars(module).values() if inspect.isclass(value) and _is_ours(value)}
    return found


def _code_of(member: Any) -> object:
    function = getattr(member, "__func__", member)
    return getattr(function, "__code__", function)


@pytest.mark.slow
def test_no_copy_hides_a_method_of_a_subclass() -> None:
    """A copy in a public class comes before base classes that follow it in the method resolution order."""
    wrong = []
    for kind in _all_classes():
        for name in dir(kind):
            holders = [base for base in kind.__mro__ if name in vars(base)]
            if (name.startswith("__") and name != "__init__") or len(holders) < 2:
                continue
            first = vars(holders[0])[name]
            # A copy is right if the class that it is copied from is the next that has the name.
            same = [base for base in holders[1:] if _code_of(vars(base)[name]) == _code_of(first)]
            if same and same[0] is not holders[1] and inspect.isfunction(first):
                wrong.append(f"{kind.__qualname__}.{name}")

    assert [] == wrong


def test_the_words_of_slots_come_from_the_source() -> None:
    """Each is written once: below the slot, or among the arguments."""
    assert "The deepest nesting of a JSON payload" in _text_of(Limits)
    assert "_dataclass_getstate" not in _text_of(Limits)
    assert "The added text, which is never empty." in _text_of(TextDelta)
    assert "Broadcast" in _text_of(Broadcast)
    assert "connect(" in _text_of(connect)
