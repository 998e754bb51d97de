"""Results that are missing: an API refuses a request with a call and without its result."""

from __future__ import annotations

import pytest

from tests.support.tables import in_one_test
from tokenstream import Router, testing
from tokenstream.errors import MisuseError
from tokenstream.message import Message
from tokenstream.turns import ToolResults

SCRIPT = (
    testing.script()
    .tool_call("find", {"n": 1}, id="call_1")
    .tool_call("book", {"n": 2}, id="call_2")
    .finish("tool_calls")
)
FORMATS = ["openai-chat", "openai-responses", "anthropic", "gemini", "bedrock-converse", "cohere"]


def asked(format: str) -> Message:
    return SCRIPT.stream(format).final()


@in_one_test("format", FORMATS)
def test_a_missing_result_is_refused_and_its_call_named(format: str) -> None:
    """Each API refuses a turn that leaves one of its calls without a result."""
    message = asked(format)
    first, second = message.tool_calls

    with pytest.raises(MisuseError, match=rf"no result was given for book \({second.id}\)"):
        ToolResults(message, {first.id: "found"})


@in_one_test("format", FORMATS)
def test_words_for_the_model_stand_in_for_what_is_missing(format: str) -> None:
    """The result counts as failed, so that the model does not take the words for it."""
    message = asked(format)
    first, second = message.tool_calls
    results = ToolResults(message, {first.id: "found"}, missing="The user has said no.")

    assert dict(results) == {first.id: "found", second.id: "The user has said no."}
    assert results.errors == {second.id}
    assert "The user has said no." in str(results.turns())


def test_a_call_that_was_cut_off_needs_no_result() -> None:
    message = testing.script().text("Hi").tool_call("find", '{"n": ', id="call_1").finish("length")
    cut = message.stream("anthropic").final()

    assert [call.complete for call in cut.tool_calls] == [False]
    assert len(ToolResults(cut, {}).turns()) == 1


def test_what_has_run_is_kept_and_only_its_turns_are_refused() -> None:
    """The results of a router that was stopped by an error are there to look at."""
    router = Router()

    @router.tool
    def find(n: int) -> str:
        return f"found {n}"

    @router.tool
    def book(n: int) -> str:
        raise OSError(n)

    with SCRIPT.stream("anthropic") as stream, pytest.raises(OSError, match="2") as caught:
        stream.run(router)
    results: ToolResults = caught.value.tool_results  # type: ignore[attr-defined]

    assert dict(results) == {"call_1": "found 1"}
    with pytest.raises(MisuseError, match="book"):
        results.turns()
    whole = ToolResults(results.message, dict(results), missing="It has failed.")
    assert len(whole.turns()) == 2
