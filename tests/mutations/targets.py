"""The modules that are changed, each with the tests that have to notice."""

from __future__ import annotations

__all__ = ["TARGETS"]

_FORMATS = ("tests/formats", "tests/test_recordings.py")

TARGETS: dict[str, tuple[str, ...]] = {
    "_pipeline/align.py": ("tests/recovery",),
    "_pipeline/arrivals.py": ("tests/stages/test_reorder.py", "tests/recovery"),
    "_pipeline/checkpoints.py": ("tests/test_checkpoints.py", "tests/recovery"),
    "_pipeline/glance.py": (
        "tests/test_decoder.py",
        "tests/stages/test_metrics.py",
        "tests/formats/openai_chat",
    ),
    "_pipeline/guarding.py": ("tests/stream/guards",),
    "_pipeline/hold.py": ("tests/stream/guards", "tests/recovery"),
    "_pipeline/joining.py": ("tests/stream/guards", "tests/recovery"),
    "_pipeline/machine.py": (
        "tests/stream/guards",
        "tests/recovery",
        "tests/test_decoder.py",
        "tests/test_truncation.py",
        "tests/faults",
        "tests/otel",
    ),
    "_pipeline/progress.py": ("tests/test_truncation.py", "tests/test_checkpoints.py", "tests/recovery"),
    "_pipeline/reading.py": (
        "tests/test_decoder.py",
        "tests/test_truncation.py",
        "tests/stages/test_metrics.py",
        "tests/recovery",
    ),
    "_pipeline/resumption.py": ("tests/recovery",),
    "_pipeline/seam.py": ("tests/test_seam.py", "tests/recovery"),
    "accumulator.py": (
        "tests/test_accumulator.py",
        "tests/test_message.py",
        "tests/test_lost_events.py",
        "tests/recovery",
        *_FORMATS,
    ),
    "_decoder.py": ("tests/test_decoder.py", "tests/test_truncation.py", "tests/test_json_bodies.py"),
    "formats/_wire/anthropic/parts.py": ("tests/formats/anthropic", *_FORMATS),
    "formats/_wire/openai_chat/parts.py": ("tests/formats/openai_chat", *_FORMATS),
    "framing/_lines.py": ("tests/framing",),
    "framing/_json_array.py": ("tests/framing",),
    "framing/_ndjson.py": ("tests/framing",),
    "framing/_sse.py": ("tests/framing",),
    "partial_json/_document.py": ("tests/partial_json",),
    "partial_json/_parser.py": ("tests/partial_json",),
    "recovery/_current.py": ("tests/recovery",),
    "recovery/_open.py": ("tests/recovery",),
    "recovery/_planning.py": ("tests/recovery",),
    "recovery/_recovery.py": ("tests/recovery",),
    "recovery/_retry.py": ("tests/recovery",),
    "recovery/_rules.py": ("tests/recovery",),
    "stages/_text/until.py": ("tests/stages", "tests/stream/test_views.py"),
    "turns/_turn.py": ("tests/turns",),
}
"""Paths below the package, and paths of tests."""
