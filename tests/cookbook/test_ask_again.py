"""The program of the cookbook that asks again sends the explanation, and returns the second answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cookbook.programs import run_program
from tokenstream import testing


def test_the_second_answer_counts(tmp_path: Path) -> None:
    answers = ['{"name": "Tea", "minutes": "a few"}', '{"name": "Tea", "minutes": 5}']
    scripts = [testing.script().text(answer).finish("stop") for answer in answers]
    with testing.serve(scripts) as provider:
        done = run_program("ask-again", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")
    messages = provider.requests[1].json["messages"]

    assert done.stdout.endswith("\nTea: 5 minutes\n"), done.stderr
    assert ["user", "assistant", "user"] == [message["role"] for message in messages]
    assert answers[0] == messages[1]["content"]
    assert "minutes" in messages[2]["content"]


def test_a_second_wrong_answer_is_an_error(tmp_path: Path) -> None:
    script = testing.script().text('{"name": "Tea"}').finish("stop")
    with testing.serve([script, script]) as provider:
        done = run_program("ask-again", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")

    assert done.stderr.startswith('{"name": "Tea"}\nNo recipe: the output is not a valid Recipe: ')
    assert 1 == done.returncode
    assert 2 == len(provider.requests)


@pytest.mark.parametrize("before", [[], ['{"name": "Tea"}']])
def test_a_broken_answer_is_not_corrected(before: list[str], tmp_path: Path) -> None:
    """The user sees what had arrived, and why there is no recipe; the model isn't told that it was wrong."""
    broken = testing.script().text('{"name": "Tea", ', '"minutes": ', "5}").finish("stop")
    fault = testing.faults.close(event=3)
    scripts = [testing.script().text(answer).finish("stop").recording("openai-chat") for answer in before]
    with testing.serve([*scripts, broken.recording("openai-chat").with_fault(fault)]) as provider:
        done = run_program("ask-again", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")

    assert '{"name": "Tea", "minutes": \nNo recipe: the stream broke off' in done.stderr
    assert "Traceback" not in done.stderr
    assert (1, len(before)) == (done.returncode, done.stdout.count("invalid: "))
    assert len(before) + 1 == len(provider.requests)
