"""The recordings: those made for this project, and those of real servers that lie beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.project import PACKAGE

OURS = Path(__file__).parents[1] / "recordings"
DEMO = PACKAGE / "cli" / "recordings"
SHARED = Path(__file__).parents[2].parent / "shared" / "recordings"
"""Recordings of real servers; they are read where they lie, and may be missing."""


@dataclass(frozen=True)
class Recorded:
    """A body, and what it adds up to."""

    name: str
    format: str
    body: bytes
    expected: dict[str, Any]


def ours() -> list[Recorded]:
    """Return the recordings made for this project."""
    return [
        Recorded(
            f"{path.parent.name}/{path.stem}",
            path.parent.name,
            path.read_bytes(),
            json.loads(path.with_suffix(".expected.json").read_text("utf-8")),
        )
        for path in sorted(OURS.glob("*/*.sse"))
    ]


def of_the_demo() -> list[Path]:
    """Return the bodies that the demo replays."""
    return sorted(DEMO.rglob("*.sse"))


def shared(*formats: str) -> list[Recorded]:
    """Return the recordings of real servers, of these folders, that have an expectation."""
    found = []
    for folder in formats:
        for path in sorted((SHARED / folder).glob("*.expected.json")):
            expected = json.loads(path.read_text("utf-8"))
            if "hand-written" in str(expected["doubtful"]):
                continue
            found.append(
                Recorded(
                    f"{folder}/{expected['id']}",
                    expected["library_format"],
                    (path.parent / expected["file"]).read_bytes(),
                    expected,
                )
            )
    return found
