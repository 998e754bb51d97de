"""Time for a line of Claude Code, and memory that a long run holds."""

from __future__ import annotations

import gc
import io
import json
import tracemalloc
from time import process_time
from typing import TYPE_CHECKING, Any

from tests.benchmarks.tables import Table, judge
from tests.project import ROOT
from tests.support.packages import needed
from tokenstream import Steps

if TYPE_CHECKING:
    from tests.benchmarks.timing import Plan

__all__ = ["agents"]

_RECORDING = ROOT / "tests" / "steps" / "agents" / "recordings" / "claude-code-own-two-tools-partial.jsonl"
_PIECES = (20, 60, 200)
"""Numbers of pieces of text in an answer; its call has a third as many."""
_BAR = 8.0
_MEMORY_BAR = 1.2
_LONGER = 10
_MB = 1_000_000


def _recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in _RECORDING.read_bytes().splitlines()]


class _Writer:
    """Writes lines of a turn in the shape of the recorded ones, each with an id of its own."""

    def __init__(self) -> None:
        self._lines = _recorded()
        self._events = [line for line in self._lines if line["type"] == "stream_event"]
        self._envelope = {key: value for key, value in self._events[1].items() if key != "event"}
        self._whole = next(line for line in self._lines if line["type"] == "assistant")
        self.written: list[bytes] = []
        self.add(self._lines[0])

    def add(self, line: dict[str, Any]) -> None:
        line = {**line, "uuid": f"{len(self.written):08x}-7e16-4528-af71-a9d3def2102a"}
        self.written.append(json.dumps(line, separators=(",", ":")).encode())

    def event(self, **event: Any) -> None:
        self.add({**self._envelope, "event": event})

    def begin(self, id: str) -> None:
        start = self._events[0]["event"]
        self.event(**{**start, "message": {**start["message"], "id": id}})
        self.event(type="content_block_start", index=0, content_block={"type": "text", "text": ""})

    def text(self, number: int) -> str:
        text = f"some words of {number} "
        self.event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": text})
        return text

    def whole(self, answer: str, **block: Any) -> None:
        """Write the line with a whole block of an answer, which comes before the block's end."""
        self.add({**self._whole, "message": {**self._whole["message"], "id": answer, "content": [block]}})

    def call(self, id: str, pieces: int, answer: str | None = None) -> None:
        """Write the end of the text, and a call with its result.

        Args:
            id: The id of the call.
            pieces: Number of pieces of its arguments.
            answer: The id of the answer's message, for the line with the whole call; None for no such line.
        """
        block = {"type": "tool_use", "id": id, "name": "Bash", "input": {}}
        self.event(type="content_block_stop", index=0)
        self.event(type="content_block_start", index=1, content_block=block)
        for fragment in ('{"command":"', *["echo "] * pieces, '"}'):
            delta = {"type": "input_json_delta", "partial_json": fragment}
            self.event(type="content_block_delta", index=1, delta=delta)
        if answer is not None:
            self.whole(answer, **{**block, "input": {"command": "echo " * pieces}})
        self.event(type="content_block_stop", index=1)
        self.event(type="message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9})
        self.event(type="message_stop")
        result = {"type": "tool_result", "tool_use_id": id, "content": "ok", "is_error": False}
        self.add({**self._envelope, "type": "user", "message": {"role": "user", "content": [result]}})

    def end(self) -> list[bytes]:
        self.add(next(line for line in self._lines if line["type"] == "result"))
        return self.written


def _answers(count: int, pieces: int) -> list[bytes]:
    """Return lines of a turn with answers of some pieces, each with a call and the call's result."""
    writer, number = _Writer(), 0
    while len(writer.written) < count:
        number += 1
        id = f"msg_{number}"
        writer.begin(id)
        text = "".join([writer.text(piece) for piece in range(pieces)])
        writer.whole(id, type="text", text=text)
        writer.call(f"toolu_{number}", pieces // 3, id)
    return writer.end()


def _one_answer(count: int) -> list[bytes]:
    """Return lines of a turn with one answer of many pieces."""
    writer = _Writer()
    writer.begin("msg_1")
    for piece in range(count):
        writer.text(piece)
    writer.call("toolu_1", 1)
    return writer.end()


def _follow(body: bytes) -> Steps:
    with Steps() as run:
        for _ in run.follow(io.BytesIO(body)):
            pass
    return run


def _times(lines: list[bytes], rounds: int) -> tuple[float, float]:
    """Return the least seconds that `orjson.loads` takes for the lines, and those that `run.follow` takes."""
    loads = needed("orjson").loads
    body = b"\n".join(lines) + b"\n"
    decoding, following = [], []
    for _ in range(rounds):
        gc.collect()
        begun = process_time()
        for line in lines:
            loads(line)
        decoding.append(process_time() - begun)
        gc.collect()
        begun = process_time()
        _follow(body)
        following.append(process_time() - begun)
    return min(decoding), min(following)


def _held(count: int) -> tuple[int, int]:
    """Return the peak while an answer of many pieces is followed, and the size of its text."""
    body = b"\n".join(_one_answer(count)) + b"\n"
    gc.collect()
    tracemalloc.start()
    run = _follow(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, len(run.steps[0].text)


def agents(plan: Plan) -> list[Table]:
    """Measure lines of Claude Code with partial messages."""
    count = plan.events * 8
    rows, notes = [], []
    for pieces in _PIECES:
        lines = _answers(count, pieces)
        decoding, following = _times(lines, min(plan.rounds, 5))
        ratio = following / decoding
        rows.append([str(pieces), *(f"{spent / len(lines) * 1e6:.2f}" for spent in (decoding, following))])
        rows[-1].append(f"{ratio:.1f}")
        notes.append(judge(f"{pieces} pieces: {ratio:.1f}", f"at most {_BAR:.0f}", reached=ratio <= _BAR))
    head = ["pieces in each answer", "orjson.loads", "run.follow", "ratio"]
    speed = Table(f"agents: µs per line of Claude Code, {count:,} lines", head, rows, notes)
    few, many = _held(count), _held(count * _LONGER)
    # The text is there twice when its part ends: in pieces, and joined.
    beside = [peak - 2 * text for peak, text in (few, many)]
    rows = [
        [f"{size:,}", *(f"{part / _MB:.2f}" for part in (*measured, rest))]
        for size, measured, rest in zip((count, count * _LONGER), (few, many), beside, strict=True)
    ]
    growth = beside[1] / beside[0]
    note = judge(
        f"{growth:.2f} × as much beside the text", f"at most {_MEMORY_BAR}", reached=growth <= _MEMORY_BAR
    )
    head = ["MB, lines of one answer", "peak", "text", "beside it"]
    return [speed, Table("agents: memory (tracemalloc)", head, rows, [note])]
