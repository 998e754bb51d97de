"""Both ways of the cookbook to retry give one answer, from a server that fails at first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cookbook.programs import run_program
from tests.support.packages import needed
from tokenstream import testing


def test_each_answer_is_printed_once(tmp_path: Path) -> None:
    needed("stamina")
    answer = testing.script().text("The sky ", "is blue.").finish("stop")
    refused = answer.recording("openai-chat").with_fault(testing.faults.status(503))
    with testing.serve([refused, answer, refused, answer]) as provider:
        done = run_program("retries", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")

    assert "The sky is blue.\nThe sky is blue.\n" == done.stdout, done.stderr
    assert 4 == len(provider.requests)


def test_an_answer_that_breaks_off_is_printed_once(tmp_path: Path) -> None:
    """`Retry` goes on after the text so far; stamina asks for all of it again, and shows only that."""
    needed("stamina")
    words = "The sky above the harbour ", "is ", "blue."
    answer = testing.script().text(*words).finish("stop").recording("openai-chat")
    broken = answer.with_fault(testing.faults.close(event=3))
    # A model is asked to begin with the last words that it has said.
    rest = testing.script().text("above the harbour is blue.").finish("stop")
    with testing.serve([broken, rest, broken, answer]) as provider:
        done = run_program("retries", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")
    asked = [request.json["messages"] for request in provider.requests]

    assert f"{''.join(words)}\n" * 2 == done.stdout, done.stderr
    assert {"role": "assistant", "content": "The sky above the harbour is "} == asked[1][1]
    assert [asked[0]] * 2 == asked[2:]


@pytest.mark.parametrize("whole", [0, 1])
def test_an_error_that_stays_ends_the_program_below_the_text(whole: int, tmp_path: Path) -> None:
    """The user sees what had arrived, from the loop and from the function that returns a whole answer."""
    needed("stamina")
    answer = testing.script().text("The sky ", "is ", "blue.").finish("stop").recording("openai-chat")
    broken = answer.with_fault(testing.faults.error_event("invalid_request", event=3))
    with testing.serve([*[answer] * whole, broken]) as provider:
        done = run_program("retries", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")
    printed = ["The sky is ", "The sky is blue.\n"][whole]

    assert printed == done.stdout
    assert ["", "The sky is "][whole] + "\nThe answer broke off (invalid_request).\n" == done.stderr
    assert 1 == done.returncode
    assert 1 + whole == len(provider.requests)
