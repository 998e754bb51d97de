"""What a newcomer reads after a first mistake: the way out, by name."""

from __future__ import annotations

import ast
import gc
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.docs.mistakes import MISTAKES, REASONS, Program
from tests.docs.test_errors_index import messages
from tests.project import PACKAGE, parsed, source_of
from tests.support.tables import in_one_test
from tokenstream import (
    Deadlines,
    Limits,
    Message,
    Retry,
    Route,
    Seam,
    Steps,
    Stream,
    Tags,
    Tools,
    connect,
    response_format,
    testing,
)
from tokenstream.errors import MisuseError, OutputIncomplete, TokenStreamError
from tokenstream.relay import Timing
from tokenstream.turns import ToolResults

ADVICE = re.compile(
    r"(?:[:;.,(] |\bor |\band )"
    r"(?:add|ask|call|check|choose|give|install|leave|name|pass|put|raise|read|set|take|update|use|write)\b"
)
"""What tells a reader of a message to do something."""
PROGRAMS = {words: program for group in MISTAKES.values() for words, program in group.items()}

URL = "http://127.0.0.1:1/v1/chat/completions"
CALLED = testing.script().tool_call("find", {"n": 1}, id="call_1").finish("tool_calls")


def find(n: int) -> int:
    return n


async def find_later(n: int) -> int:
    return n


@in_one_test(
    ("value", "advice"),
    [
        (CALLED.stream("anthropic").final(), "is a Message: pass its .to_openai_chat()"),
        (ToolResults(CALLED.stream("anthropic").final(), {"call_1": 1}), "add its .turns() to the messages"),
        (Tools(find), "is a Tools: pass its .to_openai_chat()"),
        (response_format(dict), "is a ResponseFormat: write {**format.to_openai_chat()}"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_object_in_the_payload_is_told_how_it_is_written(value: Any, advice: str) -> None:
    with pytest.raises(MisuseError) as caught, connect(URL, json={"messages": [value]}) as stream:
        stream.final()

    assert advice in str(caught.value)


@in_one_test(
    ("options", "advice"),
    [
        ({"model": "m"}, 'pass json={"model": …, …}'),
        ({"stream": True}, 'pass json={"stream": …, …}'),
        ({"messages": []}, 'pass json={"messages": …, …}'),
        ({"api_key": "sk-1"}, 'pass headers={"Authorization": f"Bearer {api_key}"}'),
    ],
)
def test_arguments_of_sdks_are_reported_where_they_belong(options: dict[str, Any], advice: str) -> None:
    with pytest.raises(MisuseError) as caught:
        connect(URL, **options)

    assert advice in str(caught.value)
    assert "sk-1" not in str(caught.value)


@in_one_test(
    ("kind", "arguments", "some"),
    [
        (Retry, (), "attempts, again"),
        (Limits, (), "line, event"),
        (Deadlines, (), "first_event, idle_bytes"),
        (Route, (URL,), "url, json, headers"),
    ],
)
def test_an_unknown_option_is_answered_with_those_that_there_are(
    kind: Any, arguments: tuple[Any, ...], some: str
) -> None:
    with pytest.raises(TypeError) as caught:
        kind(*arguments, nonsense=1)

    assert isinstance(caught.value, MisuseError)
    assert f"{kind.__name__}() has no option nonsense=: the options are {some}" in str(caught.value)


@in_one_test(
    ("kind", "wrong", "right"),
    [(Retry, "atempts", "attempts"), (Limits, "boddy", "body"), (Deadlines, "idle_byte", "idle_bytes")],
)
def test_a_misspelt_option_is_answered_with_the_right_one(kind: Any, wrong: str, right: str) -> None:
    """One letter is soon missing."""
    with pytest.raises(MisuseError, match=f"did you mean {right}="):
        kind(**{wrong: 1})


@pytest.mark.parametrize("kind", [Retry, Route, Seam, Tags, Timing])
def test_advice_in_messages_and_docstrings_names_options_that_there_are(kind: Any) -> None:
    """Whoever follows it must not get the next error."""
    sources = map(source_of, PACKAGE.rglob("*.py"))
    named = set(re.findall(rf"\b{kind.__name__}\((\w+)=", "\n".join(sources)))

    assert named
    assert named <= {*inspect.signature(kind).parameters}


def test_a_run_with_an_unknown_option_fails_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TypeError, match="nonsense"):
        Steps("a run", nonsense=1)  # type: ignore[call-arg]
    gc.collect()

    assert capsys.readouterr().err == ""


def test_the_error_of_a_typed_result_tells_why_the_stream_broke_off() -> None:
    chunks = testing.script().text("Once upon a time").finish("stop").chunks("openai-chat")
    with pytest.raises(OutputIncomplete, match="before the end of the answer; what had arrived") as caught:
        Stream(chunks[:2]).result(dict)

    assert caught.value.message.endswith(str(caught.value.__cause__))


def test_a_message_prints_what_it_has() -> None:
    printed = repr(testing.script().text("Hello").finish("stop").stream("anthropic").final())

    assert "None" not in printed
    assert "text='Hello'" in printed
    assert "None" not in repr(Message())


def test_an_async_tool_is_refused_for_a_sync_stream() -> None:
    with CALLED.stream("anthropic") as stream:
        stream.final()
        with pytest.raises(MisuseError, match="'find_later' is asynchronous, and a Stream cannot await it"):
            stream.validated_calls(find_later)
        with pytest.raises(MisuseError, match="'find' is asynchronous"):
            stream.choice(0).validated_calls(find=find_later)


def _group_of(words: str) -> str:
    return next(name for name, group in MISTAKES.items() if words in group)


@pytest.fixture
def collected() -> Iterator[None]:
    """Have what a test leaves unread thrown away before the next one begins."""
    yield
    gc.collect()


# A mistake leaves its stream unread.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::RuntimeWarning")
@pytest.mark.usefixtures("collected")
@pytest.mark.quick
@in_one_test(("words", "mistaken"), PROGRAMS.items(), ids=str, by=lambda words, _: _group_of(words))
def test_the_message_of_a_mistake_says_the_way_out(words: str, mistaken: Program) -> None:
    pattern = ".*".join(map(re.escape, words.split("…")))
    with pytest.raises(TokenStreamError, match=pattern):
        mistaken()


@pytest.mark.slow
def test_an_option_that_a_message_names_is_an_argument_or_a_field() -> None:
    """Four are of websockets, LangChain and LangGraph, and of the caller."""
    nodes = [node for path in PACKAGE.rglob("*.py") for node in ast.walk(parsed(path))]
    fields = [node.target for node in nodes if isinstance(node, ast.AnnAssign)]
    there = {node.arg for node in nodes if isinstance(node, ast.arg)}
    there |= {target.id for target in fields if isinstance(target, ast.Name)}

    named = {name for message in messages() for name in re.findall(r"(?<![\w?&])([a-z]\w+)=", message)}

    assert named - there == {"additional_headers", "chunk_position", "other_name", "stream_mode"}


@pytest.mark.slow
def test_each_message_with_advice_has_a_program_or_a_reason() -> None:
    """A new one has neither; a row goes with its message."""
    known = [*PROGRAMS, *(words for some in REASONS.values() for words in some)]
    advice = [message for message in messages() if ADVICE.search(message)]

    assert [] == [message for message in advice if not message.startswith(tuple(known))]
    assert [] == [words for words in known if not any(each.startswith(words) for each in messages())]
