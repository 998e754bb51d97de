"""Names that people try first: a sentence says where they are, and nothing else shows that they are known."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from tests.stream.bodies import ANSWER, chunk
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Message, Stream, ToolCall, Usage, aconnect, connect
from tokenstream._basics.elsewhere import (
    ALIASES,
    FIELDS,
    OF_CALL,
    OF_MESSAGE,
    OF_METRICS,
    OF_STREAM,
    OF_USAGE,
)
from tokenstream.errors import MisuseError, NotAStream, OutputInvalid
from tokenstream.stages import Metrics

NAMES = sorted({*ALIASES, *FIELDS, *OF_STREAM, *OF_MESSAGE})
URL = "http://localhost:9/v1"


def _closed(kind: Any) -> Any:
    stream = kind([])
    stream.close() if kind is Stream else anyio.run(stream.aclose)
    return stream


def _no_attribute(of: Any, name: str) -> str:
    with pytest.raises(AttributeError) as caught:
        getattr(of, name)
    return str(caught.value)


@pytest.mark.parametrize("kind", [Stream, AsyncStream])
def test_a_stream_says_where_the_names_are_that_it_has_not(kind: Any) -> None:
    stream = _closed(kind)
    for name in ("usage", "content", "choices", "text_stream", "finish_reason", "get_final_message"):
        told = _no_attribute(stream, name)

        assert told.startswith(f"{kind.__name__} has no attribute {name!r}: ")
        assert "`stream." in told
        assert (False, False, None) == (
            hasattr(stream, name),
            hasattr(kind, name),
            getattr(stream, name, None),
        )


def test_a_message_says_where_the_names_are_that_it_has_not() -> None:
    message = Message()

    assert "`message.text`" in _no_attribute(message, "content")
    assert "`stream.messages`" in _no_attribute(message, "choices")
    assert _no_attribute(message, "stop_reason").endswith(": it is `message.finish_reason`")
    assert "'Message' object has no attribute 'contents'" == _no_attribute(message, "contents")
    assert not any(hasattr(message, name) for name in ("content", "choices", "stop_reason"))
    assert message == copy.deepcopy(message) == pickle.loads(pickle.dumps(message))


@in_one_test("name", NAMES)
def test_what_the_sentences_lead_to_is_there(name: str) -> None:
    message = Stream(ANSWER).final()
    for where in (ALIASES.get(name), name if name in FIELDS else None):
        assert where is None or hasattr(message, where.partition(".")[0])
    # A message has the methods of each pydantic model.
    assert name in FIELDS or not hasattr(message, name) or hasattr(BaseModel, name)
    assert name in OF_MESSAGE or not hasattr(Stream, name)


_TOLD = [(ToolCall(), OF_CALL), (Usage(), OF_USAGE), (Metrics(started="request"), OF_METRICS)]


@in_one_test("of, name", [(of, name) for of, names in _TOLD for name in names])
def test_calls_and_token_counts_say_where_the_names_are_that_they_have_not(of: Any, name: str) -> None:
    """The words of OpenAI's, Anthropic's, Google's and LangChain's objects lead to ours, which exist."""
    told = _no_attribute(of, name)

    assert told.startswith(f"{type(of).__name__} has no attribute {name!r}: ")
    for place in re.findall(r"`(?:call|usage|metrics)\.(\w+)", told):
        assert hasattr(of, place)
    assert not hasattr(of, name)
    assert of == copy.deepcopy(of) == pickle.loads(pickle.dumps(of))


def test_a_block_of_the_wrong_colour_names_the_right_one() -> None:
    """A TypeError as in Python, which is the calling code's."""

    async def enter() -> None:
        wrong: Any = connect(URL)
        async with wrong:
            raise NotImplementedError

    wrong: Any = aconnect(URL)
    with pytest.raises(MisuseError, match=r"^AsyncStream supports `async with`") as told, wrong:
        raise NotImplementedError
    with pytest.raises(MisuseError, match=r"^Stream supports `with`, .* use AsyncStream or aconnect"):
        anyio.run(enter)
    assert isinstance(told.value, TypeError)
    assert type(pickle.loads(pickle.dumps(told.value))) is MisuseError
    assert (False, False) == (hasattr(wrong, "__enter__"), hasattr(_closed(Stream), "__aenter__"))


def test_a_stack_of_blocks_refuses_the_wrong_colour_as_it_refuses_anything() -> None:
    """The standard library looks at the class."""

    async def enter(stack: AsyncExitStack) -> None:
        stream: Any = _closed(Stream)
        with pytest.raises(TypeError, match="asynchronous context manager"):
            await stack.enter_async_context(stream)

    wrong: Any = aconnect(URL)
    with ExitStack() as stack, pytest.raises(TypeError, match="context manager protocol"):
        stack.enter_context(wrong)
    anyio.run(enter, AsyncExitStack())
    assert isinstance(_closed(Stream), AbstractContextManager)


@pytest.mark.parametrize("ask", [connect, aconnect])
def test_what_has_no_name_in_a_request_is_refused_with_its_name(ask: Any) -> None:
    name = ask.__name__
    with pytest.raises(MisuseError, match=rf"pass the payload as {name}\(url, json=payload\)") as caught:
        ask(URL, {"private": 1})
    assert "private" not in str(caught.value)
    with pytest.raises(MisuseError, match=rf"not the method POST: write {name}\(url, method='POST'\)"):
        ask("POST", URL)


@pytest.mark.parametrize("kind", [Stream, AsyncStream])
def test_a_view_that_is_taken_for_its_items_says_where_they_are(kind: Any) -> None:
    stream = _closed(kind)
    uses: list[Callable[[], object]] = [
        lambda: stream.tool_calls[0],
        lambda: stream.tool_calls[:1],
        lambda: stream.text + "x",
        lambda: "x" + stream.text,
    ]
    for use in uses:
        with pytest.raises(
            MisuseError, match=r"read it in `(async )?for`, or take stream\.message\.\w+$"
        ) as caught:
            use()
        assert isinstance(caught.value, TypeError)


def test_a_package_that_is_missing_is_the_calling_environments() -> None:
    """No fault of the network, and to be asked again only once it is there."""

    def body() -> Any:
        yield chunk({"content": "a"})
        raise ModuleNotFoundError("No module named 'h2'", name="h2")

    stream = Stream(body())
    with pytest.raises(
        MisuseError, match=r"^the package 'h2' is needed here and cannot be imported: install it$"
    ):
        list(stream.text)
    assert ("a", "stopped") == (stream.message.text, stream.message.ending)


def test_elements_that_are_the_values_of_an_object_say_where_to_look() -> None:
    """Mostly the array is one of them."""
    told = r"no valid int: .* say where in it the elements are with at=…; a new loop .*$"
    with Stream(['{"numbers": [1, 2]}'], format="pieces") as stream, pytest.raises(OutputInvalid, match=told):
        list(stream.items(int))
    with Stream(['["a"]'], format="pieces") as stream, pytest.raises(OutputInvalid) as caught:
        list(stream.items(int))
    assert "at=" not in str(caught.value)


@pytest.mark.parametrize("source", [["Hel", "lo"], "Hello"])
def test_text_that_is_no_wire_names_the_format_of_pieces(source: Any) -> None:
    """Bytes may be anything else."""
    with pytest.raises(NotAStream, match=r'pass format="pieces"$'):
        Stream(source).final()
    with pytest.raises(NotAStream) as caught:
        Stream([b"Hello"]).final()
    assert 'pass format="pieces"' not in str(caught.value)
