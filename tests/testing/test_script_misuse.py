"""Invalid scripts are refused where they are written, and scripts never change."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.tables import in_one_test
from tokenstream import testing
from tokenstream.errors import MisuseError
from tokenstream.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

_OBJECT: Any = object()
_MISUSES: dict[str, tuple[Callable[[Any], object], str]] = {
    "a silence that runs backwards": (lambda script: script.silence(-1), r"seconds=-1 .* 0 or more"),
    "a silence without end": (lambda script: script.silence(math.inf), "seconds=inf"),
    "a silence of no number": (lambda script: script.silence("2"), "seconds='2'"),
    "a silence of a truth": (lambda script: script.silence(True), "seconds=True"),
    "text that is none": (lambda script: script.text(None), r"text\(\) takes text, .*NoneType"),
    "text in bytes": (lambda script: script.text(b"Hello"), r"text\(\) takes text, .*bytes"),
    "pieces in a list": (lambda script: script.text(["Hel", "lo"]), r"text\(\) takes text, .*list"),
    "pieces of numbers": (lambda script: script.reasoning(1, 2), r"reasoning\(\) takes text, .*int"),
    "a signature that is none": (
        lambda script: script.reasoning("a", signature=b"x"),
        "signature takes text",
    ),
    "a call with an empty id": (lambda script: script.tool_call("ls", id=""), "id='' is invalid"),
    "arguments that are no JSON": (
        lambda script: script.tool_call("rm", {"path": _OBJECT}),
        "arguments cannot be written as JSON: Object of type object",
    ),
    "arguments that are no number": (
        lambda script: script.tool_call("rm", {"path": math.nan}),
        "arguments cannot be written as JSON",
    ),
    "arguments of no kind": (lambda script: script.tool_call("rm", 5), "a mapping, .* and not a int"),
    "fragments of no text": (
        lambda script: script.tool_call("rm", (1, 2)),
        "a fragment of arguments takes text",
    ),
    "a citation of no text": (lambda script: script.citation(url=5), r"citation\(\) takes text, .*int"),
    "a file of text": (lambda script: script.media("abc", "image/png"), r"media\(\) takes the bytes"),
    "a file of no type": (lambda script: script.media(b"abc", ""), "mime_type='' is invalid"),
    "a choice below 0": (lambda script: script.choice(-1), "choice -1 is invalid"),
    "tokens in words": (lambda script: script.usage(output_tokens="many"), "output_tokens='many'"),
    "a kind of error that is none": (
        lambda script: script.error(kind="busy"),
        "'busy' is not a kind of error: pass one of overloaded, ",
    ),
    "an error of no text": (lambda script: script.error(5), r"error\(\) takes text"),
    "text behind the error": (lambda script: script.error().text("a"), r"after error\(\)"),
    "a payload that is no JSON": (lambda script: script.raw(_OBJECT), "payload cannot be written as JSON"),
    "a payload of bytes": (lambda script: script.raw(b"{}"), "payload cannot be written as JSON"),
    "a rate of nothing": (lambda _: testing.script(rate=0), "rate=0 .* above 0"),
    "a model of no text": (lambda _: testing.script(model=_OBJECT), r"script\(\) takes text"),
}


@in_one_test("misuse", _MISUSES)
def test_a_mistake_is_reported_in_the_line_that_makes_it(misuse: str) -> None:
    write, said = _MISUSES[misuse]
    with pytest.raises(MisuseError, match=said):
        write(testing.script())


def test_what_is_done_to_a_payload_later_changes_no_script() -> None:
    payload: dict[str, Any] = {"seen": [1]}
    arguments: dict[str, Any] = {"paths": ["/tmp"]}
    image = bytearray(b"png")
    script = testing.script().tool_call("rm", arguments).raw(payload).media(image, "image/png")
    payload["seen"].append(2)
    arguments["paths"].append("/")
    image[:] = b"gif"

    told = testing.script().tool_call("rm", {"paths": ["/tmp"]}).raw({"seen": [1]})
    assert told.media(b"png", "image/png").chunks("gemini") == script.chunks("gemini")


def test_a_payload_may_have_what_json_has_not() -> None:
    """A server that sends NaN is a case to be tested."""
    assert b'data: {"x":NaN}\n\n' in testing.script().raw({"x": math.nan}).chunks("openai-chat")


def test_an_id_that_is_made_up_is_never_one_that_is_given() -> None:
    """Two calls would be one, for who reads them."""
    script = testing.script().tool_call("ls", id="call_2").tool_call("rm").finish()
    ids = [call.id for call in script.stream("anthropic").final().tool_calls]

    assert 2 == len({*ids})
    assert ids == [call.id for call in script.message.tool_calls]


def test_a_script_that_says_nothing_is_an_answer_without_anything() -> None:
    empty = testing.script()

    assert Message(ending="truncated") == empty.message
    assert [] == empty.chunks("openai-chat")


@in_one_test("format", testing.all_formats)
def test_text_without_a_character_is_no_part(format: str) -> None:
    """A reader of the bytes has none, in any format."""
    script = testing.script().text("").finish()

    assert () == script.message.parts
    assert () == script.stream(format).final().parts


def test_fragments_may_be_in_a_list() -> None:
    """Whoever makes them one by one has a list."""
    listed = testing.script().tool_call("rm", ['{"pa', 'th": 1}']).finish()

    assert testing.script().tool_call("rm", ('{"pa', 'th": 1}')).finish() == listed
