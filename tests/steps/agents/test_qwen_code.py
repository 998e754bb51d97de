"""Qwen Code: answers of several lines, answers that are asked for anew, and its errors.

The lines are those that `StreamJsonOutputAdapter` of @qwen-code/qwen-code 0.24.4 writes, with and without
`--include-partial-messages`.
"""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.steps.agents.support import follow, tools_of

if TYPE_CHECKING:
    from tokenstream import Steps

_THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": ""}
_CALL = {"type": "tool_use", "id": "call", "name": "look", "input": {"a": 1}}
_TEXTS = {"thinking": ("thinking", "thinking_delta"), "text": ("text", "text_delta")}

in_both_modes = pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def result(**fields: Any) -> dict[str, Any]:
    return {"type": "result", "subtype": "success", "is_error": False, "result": "Done.", **fields}


def events(block: dict[str, Any]) -> list[dict[str, Any]]:
    kind = block["type"]
    if kind == "tool_use":
        start = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        field, name = _TEXTS[kind]
        start, delta = {**block, field: ""}, {"type": name, field: block[field]}
    return [
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
    ]


class Program:
    """Writes the lines of a turn."""

    def __init__(self, *, streams: bool) -> None:
        self._streams = streams
        self._ids = count()
        self.lines: list[dict[str, Any]] = []
        self.write(type="system", subtype="init", tools=[], model="m", qwen_code_version="0.24.4")

    def write(self, **line: Any) -> None:
        self.lines.append({"uuid": f"u{next(self._ids)}", "session_id": "s", **line})

    def answer(self, *blocks: dict[str, Any], tokens: int) -> None:
        """Write an answer: each kind of block is a message of its own, and the last has the counts."""
        first = f"m{next(self._ids)}"
        if self._streams:
            head = {"id": first, "role": "assistant", "model": "m", "content": []}
            self.write(type="stream_event", event={"type": "message_start", "message": head})
        for number, block in enumerate(blocks):
            for event in events(block) if self._streams else ():
                self.write(type="stream_event", event=event)
            counted = tokens if block is blocks[-1] else 0
            usage = {"input_tokens": counted, "output_tokens": counted}
            id = f"m{next(self._ids)}" if number else first
            message = {"id": id, "role": "assistant", "content": [block], "usage": usage}
            self.write(type="assistant", uuid=id, message=message)
        if self._streams:
            self.write(type="stream_event", event={"type": "message_stop"})

    def end_tool(self, text: str, *, is_error: bool = False) -> None:
        block = {"type": "tool_result", "tool_use_id": "call", "is_error": is_error, "content": text}
        self.write(type="user", message={"role": "user", "content": [block]})

    def retry(self, *, discarded: int = 0) -> None:
        data = {"reason": "retry", "discardedToolCalls": discarded, "preserveText": False}
        self.write(type="system", subtype="retry", data=data)

    def run(self, *last: dict[str, Any]) -> tuple[Steps, Any]:
        for line in last:
            self.write(**line)
        run, _, error = follow([json.dumps(line) for line in self.lines])
        return run, error


def parts_of(run: Steps) -> list[tuple[str, list[str]]]:
    """Return the ending of each answer, and the kinds of its parts."""
    (turn,) = run.turns
    return [(message.ending, [part.kind for part in message.parts]) for message in turn.step.messages]


@in_both_modes
def test_what_the_model_has_said_at_once_is_one_answer(streams: bool) -> None:
    program = Program(streams=streams)
    program.answer(_THOUGHT, said("I look."), _CALL, tokens=10)
    program.end_tool("found")
    program.answer(said("Done."), tokens=20)
    run, error = program.run(result(usage={"input_tokens": 30, "output_tokens": 30}))

    assert parts_of(run) == [("complete", ["reasoning", "text", "tool_call"]), ("complete", ["text"])]
    assert [message.text for message in run.turns[0].step.messages] == ["I look.", "Done."]
    assert (error, tools_of(run.turns[0].step)) == (None, [("look", "done", "found")])
    assert run.total_usage.input_tokens == 30


@in_both_modes
def test_a_run_without_its_result_has_the_tokens_of_its_lines(streams: bool) -> None:
    program = Program(streams=streams)
    program.answer(_THOUGHT, _CALL, tokens=10)
    program.end_tool("found")
    program.answer(said("Done."), tokens=20)
    run, error = program.run()

    assert error is not None
    assert (run.total_usage.input_tokens, run.total_usage.output_tokens) == (30, 30)


@in_both_modes
def test_an_answer_that_is_asked_for_anew_is_truncated(streams: bool) -> None:
    program = Program(streams=streams)
    program.answer(_THOUGHT, said("Do"), tokens=0)
    program.retry()
    program.answer(said("Done."), tokens=20)
    run, error = program.run(result())

    assert parts_of(run) == [("truncated", ["reasoning", "text"]), ("complete", ["text"])]
    assert (error, run.turns[0].result) == (None, "Done.")


@in_both_modes
def test_a_call_that_was_discarded_with_its_answer_has_failed(streams: bool) -> None:
    """The program writes that it was skipped before it says that it asks anew."""
    program = Program(streams=streams)
    program.answer(said("I look."), _CALL, tokens=0)
    program.end_tool("Skipped", is_error=True)
    program.retry(discarded=1)
    program.answer(said("Done."), tokens=20)
    run, _ = program.run(result())

    assert parts_of(run) == [("truncated", ["text", "tool_call"]), ("complete", ["text"])]
    assert tools_of(run.turns[0].step) == [("look", "failed", "Skipped")]


@in_both_modes
def test_an_answer_stays_complete_if_the_next_one_is_asked_for_anew(streams: bool) -> None:
    """Nothing had come of the request that was repeated."""
    program = Program(streams=streams)
    program.answer(_CALL, tokens=10)
    program.end_tool("found")
    program.retry()
    program.answer(said("Done."), tokens=20)
    run, _ = program.run(result())

    assert parts_of(run) == [("complete", ["tool_call"]), ("complete", ["text"])]


def test_an_error_says_why() -> None:
    program = Program(streams=False)
    failed = {"subtype": "error_during_execution", "is_error": True, "error": {"message": "no credit"}}
    run, _ = program.run(result(**failed, result=None))

    assert "no credit" in str(run.turns[0].error)


@pytest.mark.parametrize("advice", ["", "\nPossible quota limitations. Please wait and try again later."])
@in_both_modes
def test_an_error_of_its_provider_fails_the_turn(streams: bool, advice: str) -> None:
    """Qwen Code writes it as an answer, and calls the turn a success."""
    text = f"[API Error: 400 no credit]{advice}"
    program = Program(streams=streams)
    program.answer(said(text), tokens=0)
    run, error = program.run(result(result=text))

    (turn,) = run.turns
    assert (error, turn.state) == (None, "failed")
    assert "no credit" in str(turn.error)


@pytest.mark.parametrize("text", ["[API Error: 400] means that it is refused.", "It said [API Error: 400]"])
@in_both_modes
def test_an_answer_about_such_an_error_fails_nothing(streams: bool, text: str) -> None:
    program = Program(streams=streams)
    program.answer(said(text), tokens=1)
    run, _ = program.run(result(result=text))

    assert [(turn.state, turn.result) for turn in run.turns] == [("done", text)]


@in_both_modes
def test_its_input_has_the_cached_tokens(streams: bool) -> None:
    """Qwen Code adds the cached tokens of Anthropic's API itself."""
    program = Program(streams=streams)
    program.answer(said("Hi."), tokens=1)
    usage = {"input_tokens": 300, "output_tokens": 40, "cache_read_input_tokens": 10, "total_tokens": 340}
    total = program.run(result(usage=usage))[0].total_usage

    assert (total.input_tokens, total.cached_tokens, total.total_tokens) == (300, 10, 340)
