"""The recordings: those made for this project, and those of real servers outside the checkout."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.project import PACKAGE
from tests.support.beside import SHARED
from tokenstream.formats import Frame
from tokenstream.formats._registry import GONE_SERVICES
from tokenstream.framing import AWSEventStreamParser, SSEParser
from tokenstream.framing._body import JSONBody
from tokenstream.framing._sniff import sniff

OURS = Path(__file__).parents[1] / "recordings"
DEMO = PACKAGE / "cli" / "recordings"
_RECORDINGS = SHARED / "recordings"


@dataclass(frozen=True)
class Recorded:
    """A body, and the expected result."""

    name: str
    format: Any
    body: bytes
    expected: dict[str, Any]


_NATIVE = "native-routes"
"""The folder with answers of servers' own routes, whose payloads differ from those of the format's name."""


def ours() -> list[Recorded]:
    """Return the recordings made for this project, each in the folder of its format."""
    return [*_ours()]


@cache
def _ours() -> tuple[Recorded, ...]:
    """Return them, read once for all modules of tests."""
    return tuple(_recorded_in(path for path in OURS.glob("*/*") if path.parent.name != _NATIVE))


def of_native_routes() -> list[Recorded]:
    """Return the recordings made for this project of servers' own routes."""
    return _recorded_in((OURS / _NATIVE).glob("*"))


def _recorded_in(paths: Iterable[Path]) -> list[Recorded]:
    found = []
    for path in sorted(paths):
        expected = path.with_name(f"{path.stem}.expected.json")
        if path.name.endswith(".expected.json"):
            continue
        said = json.loads(expected.read_text("utf-8"))
        found.append(Recorded(f"{path.parent.name}/{path.stem}", said["format"], path.read_bytes(), said))
    return found


def folder_of(recorded: Recorded) -> str:
    return recorded.name.partition("/")[0]


def series_of(recorded: Recorded) -> str:
    """Return the first words of a recording of a real server, which name the server and who asked it."""
    return "-".join(recorded.name.split("-")[:4])


def frames_of(body: bytes) -> list[Frame]:
    found = sniff(body, None, over=True)
    if found == "sse":
        return list(SSEParser().frames(body))
    if found == "aws-eventstream":
        return list(AWSEventStreamParser().frames(body))
    parser = JSONBody()
    frames = [*parser.feed(body), *parser.end()]
    return [*frames, parser.unfinished] if parser.unfinished else [*frames]


def events_of(name: str) -> list[dict[str, Any]]:
    """Return the payloads of one of our recordings of server-sent events, such as "anthropic/text"."""
    frames: list[Any] = frames_of((OURS / f"{name}.sse").read_bytes())
    return [json.loads(getattr(frame, "payload", frame)) for frame in frames]


def of_the_demo() -> list[Path]:
    return sorted(DEMO.rglob("*.sse"))


def folders() -> list[str]:
    """Return the folders of recordings of real servers, by name, except of services that are gone."""
    names = {path.name for path in _RECORDINGS.glob("*") if path.is_dir()}
    return sorted(names - GONE_SERVICES.keys())


def shared(*formats: str) -> list[Recorded]:
    """Return the recordings of real servers, from these folders or all, that have an expectation."""
    return [recorded for folder in formats or folders() for recorded in _shared_in(folder)]


@cache
def _shared_in(folder: str) -> tuple[Recorded, ...]:
    """Return those in a folder, read once for all modules of tests."""
    found = []
    for path in sorted((_RECORDINGS / folder).glob("*.expected.json")):
        expected = json.loads(path.read_text("utf-8"))
        if "hand-written" in str(expected["doubtful"]):
            continue
        body = (path.parent / expected["file"]).read_bytes()
        found.append(Recorded(f"{folder}/{expected['id']}", expected["library_format"], body, expected))
    return tuple(found)
