"""What an event costs by the way it is read, beside `orjson.loads` of the payloads of the same answer."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from tests.compare.benchmarks.answers import chat_event
from tests.compare.benchmarks.tables import Table
from tests.compare.benchmarks.turns import fastest
from tests.house.bytecodes import decode, read_async
from tests.support.wire import DONE, chat_call
from tokenstream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.compare.benchmarks.contenders import Run
    from tests.compare.benchmarks.timing import Plan

_EVENT = json.loads(chat_event())


def _frame(delta: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {**_EVENT["choices"][0], "delta": delta, "finish_reason": reason}
    return b"data: " + orjson.dumps({**_EVENT, "choices": [choice]}) + b"\n\n"


def _text(count: int) -> list[bytes]:
    return [*(_frame({"content": f" w{at % 97}"}) for at in range(count)), _frame({}, "stop"), DONE]


def _calls(count: int, opens: str, piece: str, ends: str) -> list[bytes]:
    fragments = [_frame(chat_call(0, piece)) for _ in range(count - 2)]
    opened = _frame(chat_call(0, opens, id="c", name="f"))
    return [opened, *fragments, _frame(chat_call(0, ends)), _frame({}, "tool_calls"), DONE]


def _read(chunks: Sequence[bytes], view: Callable[[Stream], Any] = iter) -> None:
    with Stream(iter(chunks)) as stream:
        for _ in view(stream):
            pass


def _load(chunks: Sequence[bytes]) -> None:
    for chunk in chunks[:-1]:
        orjson.loads(chunk[6:-2])


def views(plan: Plan) -> list[Table]:
    count = plan.events
    text = _text(count)
    contenders: dict[str, Run] = {
        "orjson.loads": partial(_load, text),
        "Stream": partial(_read, text),
        "Decoder": partial(decode, text),
        "stream.text": partial(_read, text, lambda stream: stream.text),
        "AsyncStream": partial(read_async, text),
        "AsyncStream.text": partial(read_async, text, lambda stream: stream.text),
        "Stream, arguments in a string": partial(_read, _calls(count, '{"a": "', "word ", '"}')),
        'Stream, arguments with `"`': partial(_read, _calls(count, '[{"a": 1', ', "a": 1', "}]")),
        "Stream, an array of numbers": partial(_read, _calls(count, "[", "1, ", "0]")),
    }
    taken = fastest([partial(lambda run: run, run) for run in contenders.values()], plan.rounds, plan.seconds)
    loads, stream, *_ = taken
    rows = [
        [name, f"{each / count * 1e6:.2f}", f"{each / loads:.2f}", f"{each / stream:.2f}"]
        for name, each in zip(contenders, taken, strict=True)
    ]
    ten = _text(10)

    def read_ten() -> None:
        for _ in range(100):
            _read(ten)

    whole, event = fastest(
        [lambda: read_ten, lambda: partial(_load, [ten[0]] * 10_001)], plan.rounds, plan.seconds
    )
    note = f"An answer of ten such events takes as long as {whole / event * 100:.0f} `orjson.loads` of one."
    head = ["", "µs", "× orjson.loads", "÷ Stream"]
    return [Table(f"an event of 256 bytes, {count:,} to an answer", head, rows, [note])]
