"""What a text delta costs in each format, beside the decoding of its payload and the provider's SDK."""

from __future__ import annotations

import base64
import json
import warnings
from typing import TYPE_CHECKING

from pydantic_core import from_json

from tests.compare.benchmarks.answers import ANSWERS, chat_event
from tests.compare.benchmarks.contenders import Run, found
from tests.compare.benchmarks.sdks import SDKS, Reader
from tests.compare.benchmarks.tables import Table
from tests.compare.benchmarks.turns import fastest
from tokenstream import Decoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compare.benchmarks.shapes import Answer
    from tests.compare.benchmarks.timing import Plan

_LOADS_PER_RUN = 2_000
_LONGER, _SHORTER = 5, 4
"""We read more text deltas than in other tables, and SDKs fewer: they take a hundred times as long."""
_ROUNDS_OF_SDKS = 5
_UNKNOWN = "–"


def _opened(answer: Answer) -> Decoder:
    decoder = Decoder(answer.format)
    for chunk in answer.head:
        decoder.feed(chunk)
    return decoder


def read_by_us(answer: Answer) -> str:
    """Return the text of an answer as a decoder tells it, an event at a time."""
    decoder = _opened(answer)
    for chunk in [*answer.deltas, *answer.tail]:
        decoder.feed(chunk)
    decoder.end()
    return decoder.message.text


def _ours(answer: Answer) -> Run:
    """Feed the text deltas, after what opens the answer; the decoder has met none like them."""
    feed, deltas = _opened(answer).feed, answer.deltas

    def run() -> None:
        for chunk in deltas:
            feed(chunk)

    return run


def _inner(payload: bytes) -> bytes:
    """Return the model's payload in a chunk of Bedrock's."""
    return base64.b64decode(from_json(payload)["bytes"])


def _decoding(payloads: list[bytes]) -> Run:
    def run() -> None:
        for payload in payloads:
            from_json(payload)

    return run


def _payloads(answer: Answer) -> list[bytes]:
    """Return all JSON that must be decoded: where a payload holds another one, both."""
    inner = [_inner(payload) for payload in answer.payloads] if answer.format == "bedrock-invoke" else []
    return [*answer.payloads, *inner]


def _yardstick() -> Run:
    """Decode the 256-byte event of a chat, so and so often."""
    orjson = found("orjson")
    loads: Callable[[bytes], object] = orjson.loads if orjson else json.loads
    event = chat_event()

    def run() -> None:
        for _ in range(_LOADS_PER_RUN):
            loads(event)

    return run


def _sdk(reader: Reader | None, name: str, count: int, plan: Plan) -> tuple[str, float | None]:
    """Return what the table calls an SDK, and its seconds for a text delta, if it can be run here."""
    if reader is None:
        return "none", None
    if not reader.installed:
        return f"{reader.name}: not installed", None
    answer = ANSWERS[name](name, count)
    with warnings.catch_warnings():
        # The SDK says of its own interactions that they will change.
        warnings.simplefilter("ignore")
        [taken] = fastest([lambda: reader.prepare(answer)], min(plan.rounds, _ROUNDS_OF_SDKS), 0.0)
    return reader.name, taken / count


def _row(name: str, plan: Plan) -> list[str]:
    count = plan.events * _LONGER
    answer = ANSWERS[name](name, count)
    payloads = _payloads(answer)
    prepared = [lambda: _ours(answer), lambda: _decoding(payloads), _yardstick]
    ours, decoding, loads = fastest(prepared, plan.rounds, plan.seconds / len(ANSWERS))
    ours, decoding, loads = ours / count, decoding / count, loads / _LOADS_PER_RUN
    peer, theirs = _sdk(SDKS.get(name), name, max(1, plan.events // _SHORTER), plan)
    # What was decoded by somebody else has no size.
    size = sum(len(delta) for delta in answer.deltas if isinstance(delta, bytes | str)) / count
    return [
        name,
        f"{size:.0f}" if size else _UNKNOWN,
        f"{ours * 1e6:.2f}",
        f"{decoding * 1e6:.2f}" if payloads else _UNKNOWN,
        f"{(ours - decoding) * 1e6:.2f}",
        f"{(ours - decoding) / loads:.2f}",
        peer,
        _UNKNOWN if theirs is None else f"{theirs * 1e6:.1f}",
        _UNKNOWN if theirs is None else f"{theirs / ours:.0f}",
    ]


def formats(plan: Plan) -> list[Table]:
    """Return one table with a row for each format, and for each form in which it comes."""
    loads = "orjson.loads" if found("orjson") else "json.loads"
    ours = ["Decoder µs", "from_json µs", "above µs", f"× {loads}"]
    return [
        Table(
            f"a text delta in each format, one event per chunk, {plan.events * _LONGER:,} events",
            ["", "bytes", *ours, "SDK", "SDK µs", "SDK ÷ Decoder"],
            [_row(name, plan) for name in ANSWERS],
            [f"× {loads}: what is above from_json, in {loads} of a chat event of 256 bytes"],
        )
    ]
