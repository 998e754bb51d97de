"""What replaying recordings costs beside decoding their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tests.benchmarks.tables import Table
from tests.benchmarks.turns import fastest
from tests.support.recordings import ours
from tokenstream import Decoder, testing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.contenders import Run
    from tests.benchmarks.timing import Plan
    from tokenstream.testing import Recording

__all__ = ["replay"]


def replay(plan: Plan) -> list[Table]:
    """Replay recordings as they came, on a virtual clock, beside decoding their bytes."""
    recorded = [each for each in ours() if each.expected["ending"] == "complete"]
    answers = [
        testing.Recording.of([each.body], format=each.format)
        for each in (recorded * (plan.recordings // len(recorded) + 1))[: plan.recordings]
    ]
    return [
        _compared(f"{plan.recordings:,} recordings, one chunk each", answers, plan),
        _compared(f"{plan.recordings:,} recordings, an event a chunk", _in_events(answers), plan),
    ]


def _in_events(recordings: list[Recording]) -> list[Recording]:
    return [
        testing.Recording.of(each.chunks("events"), format=each.format, headers=each.headers)
        for each in recordings
    ]


def _compared(title: str, recordings: list[Recording], plan: Plan) -> Table:
    ways: dict[str, Callable[[Recording], object]] = {
        "decoding the bytes": _decode,
        'recording.stream(pace="recorded").final()': lambda each: each.stream(pace="recorded").final(),
    }
    seconds = fastest([_prepared(way, recordings) for way in ways.values()], plan.rounds, plan.seconds)
    rows = [
        [name, f"{taken / len(recordings) * 1e6:.0f}", f"{taken / seconds[0]:.2f} ×"]
        for name, taken in zip(ways, seconds, strict=True)
    ]
    return Table(title, ["", "µs each", "ratio"], rows)


def _decode(recording: Recording) -> object:
    decoder = Decoder(cast("Any", recording.format), content_type=recording.content_type)
    for chunk in recording.chunks():
        decoder.feed(chunk)
    decoder.end()
    return decoder.message


def _prepared(way: Callable[[Recording], object], recordings: list[Recording]) -> Callable[[], Run]:
    def run() -> None:
        for recording in recordings:
            way(recording)

    return lambda: run
