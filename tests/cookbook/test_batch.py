"""The batch of the cookbook keeps answers and failures apart, never asks too much at once, and goes on."""

from __future__ import annotations

import asyncio
import json
import runpy
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import tokenstream
from tests.cookbook.programs import environment, run_program, write_program
from tests.support.timing import wait_for
from tokenstream import Route, aconnect, testing

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tokenstream import AsyncStream, Retry, Usage

_PAUSE = testing.script().text("Not ").silence(60).text("yet.").finish("stop").recording("openai-chat")


def _question(request: testing.Request) -> str:
    return str(request.json["messages"][0]["content"])


def _answer(question: str) -> testing.Recording:
    script = testing.script().text("The answer to ", question, ".").finish("stop")
    return script.recording("openai-chat")


def _rows(folder: Path, name: str) -> list[dict[str, Any]]:
    path = folder / f"questions.{name}.jsonl"
    return [json.loads(row) for row in path.read_text().splitlines() if row] if path.exists() else []


def _write_questions(folder: Path, count: int) -> None:
    (folder / "questions.txt").write_text("\n".join(map(str, range(count))))


def test_answers_and_failures_are_kept_apart(tmp_path: Path) -> None:
    """A failure that may pass is tried again, and the others have their own file, with the partial text."""
    asked: Counter[str] = Counter()

    def answer(request: testing.Request) -> testing.Recording:
        asked[question := _question(request)] += 1
        faults = {
            "3": testing.faults.error_event("invalid_request", event=3),
            "4": testing.faults.status(401),
            "5": testing.faults.status(503),
        }
        fails = question in faults and (question != "5" or asked["5"] == 1)
        return _answer(question).with_fault(faults[question]) if fails else _answer(question)

    _write_questions(tmp_path, 8)
    with testing.serve(answer) as provider:
        done = run_program("batch", tmp_path, "questions.txt", OPENAI_BASE_URL=f"{provider.url}/v1")
    answers, failures = _rows(tmp_path, "answers"), _rows(tmp_path, "failures")

    assert not done.stderr
    assert {(each, f"The answer to {each}.", "stop") for each in "012567"} == {
        (row["question"], row["answer"], row["finish"]) for row in answers
    }
    assert {("3", "The answer to 3"), ("4", "")} == {(row["question"], row["partial"]) for row in failures}
    assert all(row["error"] for row in failures)


def test_an_answer_is_written_at_once_and_not_asked_for_again(tmp_path: Path) -> None:
    """The program may be killed while it waits for one answer; the next run asks only for that one."""
    _write_questions(tmp_path, 8)
    first = testing.serve(
        lambda it: _PAUSE if _question(it) == "3" else _answer(_question(it)), pace="recorded"
    )
    with first as provider:
        variables = environment(OPENAI_BASE_URL=f"{provider.url}/v1")
        program = [sys.executable, str(write_program("batch", tmp_path)), "questions.txt"]
        with subprocess.Popen(program, cwd=tmp_path, env=variables) as process:
            try:
                wait_for(lambda: len(_rows(tmp_path, "answers")) == 7, seconds=20)
            finally:
                process.kill()
    with testing.serve(lambda it: _answer(_question(it))) as provider:
        run_program("batch", tmp_path, "questions.txt", OPENAI_BASE_URL=f"{provider.url}/v1")

        assert ["3"] == [_question(request) for request in provider.requests]
    assert [*"01234567"] == sorted(row["question"] for row in _rows(tmp_path, "answers"))


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_run_that_was_killed_in_a_row_goes_on(cut: int, tmp_path: Path) -> None:
    """The half of a row is removed, and its question is asked again; blank lines mean nothing."""
    _write_questions(tmp_path, 3)
    with (tmp_path / "questions.txt").open("a") as file:
        file.write("\n\n \n")
    rows = [
        json.dumps({"question": each, "answer": f"Kept: {each}", "finish": "stop"}) + "\n" for each in "012"
    ]
    (tmp_path / "questions.answers.jsonl").write_text(f"{rows[0]}\n\n{rows[1]}{rows[2][:cut]}")
    with testing.serve(lambda it: _answer(_question(it))) as provider:
        done = run_program("batch", tmp_path, "questions.txt", OPENAI_BASE_URL=f"{provider.url}/v1")

    assert not done.stderr
    assert ["2"] == [_question(request) for request in provider.requests]
    assert ["Kept: 0", "Kept: 1", "The answer to 2."] == [row["answer"] for row in _rows(tmp_path, "answers")]


def _price(usage: Usage) -> float:
    return (usage.output_tokens or 0) / 1_000


def _priced(url: str, *, json: dict[str, Any], client: httpx.AsyncClient, retry: Retry) -> AsyncStream:
    """Ask with a price, since the table knows prices by address, and the test's is another one."""
    return aconnect(Route(url, json=json, client=client, price=_price), retry=retry)


def test_the_answers_cost_no_more_than_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no room is not sent, says so in the file of failures, and is asked with a new budget."""
    _write_questions(tmp_path, 8)
    script = testing.script().text("An answer.").usage(input_tokens=20, output_tokens=1_000).finish("stop")
    with testing.serve(script) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/v1")
        monkeypatch.setattr(tokenstream, "aconnect", _priced)
        ask_all = runpy.run_path(str(write_program("batch", tmp_path)))["ask_all"]
        asyncio.run(ask_all(tmp_path / "questions.txt", 5.0))
        answers, failures = _rows(tmp_path, "answers"), _rows(tmp_path, "failures")
        assert len(answers) == len(provider.requests)
        (tmp_path / "questions.purse").unlink()
        asyncio.run(ask_all(tmp_path / "questions.txt", 50.0))

    assert 2 <= len(answers) <= 5
    assert 8 == len(answers) + len(failures)
    assert all("the purse has no room for it" in row["error"] for row in failures)
    assert 8 == len(_rows(tmp_path, "answers"))
