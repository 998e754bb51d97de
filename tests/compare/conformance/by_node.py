"""Packages of npm, run by Node in a folder where they are installed."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.compare.conformance.answers import Answer, SSEEvent
from tests.compare.conformance.packages import NodePackages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.compare.conformance.json_case import JSONCase
    from tests.compare.conformance.sse_cases import SSECase

_SCRIPT = Path(__file__).with_name("node_readers.mjs")
_JSON_SCRIPT = Path(__file__).with_name("node_json_readers.mjs")


@dataclass(frozen=True)
class NodeReader(NodePackages):
    sse: tuple[str, ...] = ()
    formats: frozenset[str] = frozenset()
    claims: frozenset[str] = frozenset()
    json: frozenset[str] = frozenset()

    def events(self, cases: Sequence[SSECase]) -> list[list[list[SSEEvent] | str]]:
        jobs = [
            {"body": base64.b64encode(case.body).decode(), "cuts": cuts}
            for case in cases
            for cuts in case.chunkings()
        ]
        told = iter(self.ask_script(_SCRIPT, {"task": "events", "jobs": jobs}))
        return [
            [
                events if isinstance(events, str) else [(name, data, id) for name, data, id in events]
                for _, events in zip(case.chunkings(), told, strict=False)
            ]
            for case in cases
        ]

    def answers(self, bodies: Sequence[tuple[str, bytes]]) -> list[Answer]:
        """Return what it makes of each body, given with its format."""
        jobs = [{"format": format, "body": base64.b64encode(body).decode()} for format, body in bodies]
        return [
            Answer.of_plain(plain) for plain in self.ask_script(_SCRIPT, {"task": "answers", "jobs": jobs})
        ]

    def json_told(self, cases: Sequence[JSONCase]) -> list[str]:
        jobs = [{"text": case.text, "kind": case.kind, "allow": case.allow} for case in cases]
        told: list[str] = self.ask_script(_JSON_SCRIPT, {"reader": self.name, "jobs": jobs})
        return told


def node_readers(folder: Path | None) -> list[NodeReader]:
    return [
        NodeReader(
            "eventsource-parser",
            how="`EventSourceParserStream` behind a `TextDecoderStream`",
            packages=("eventsource-parser",),
            folder=folder,
            sse=("event", "data", "id"),
        ),
        NodeReader(
            "ai",
            how="the `stream` of `streamText()`, with the providers for compatible servers and for "
            "Anthropic, and with zod schemas for the tools",
            packages=("ai", "@ai-sdk/openai-compatible", "@ai-sdk/anthropic", "zod"),
            folder=folder,
            formats=frozenset({"openai-chat", "anthropic"}),
            claims=frozenset({"reasoning", "usage"}),
        ),
    ]


def node_json_readers(folder: Path | None) -> list[NodeReader]:
    part = frozenset({"partial"})
    return [
        NodeReader(
            "jsonriver",
            how="`parse(stream)`; for a part of a document, a stream that has not ended",
            packages=("jsonriver",),
            folder=folder,
            json=part | {"strict"},
        ),
        NodeReader(
            "fix-json",
            how="`parsePartialJson(text)` of the AI SDK, which uses its `fixJson`",
            packages=("ai",),
            folder=folder,
            json=part,
        ),
        NodeReader(
            "partial-json",
            how="`parse(text, allow)`, by default `Allow.ALL`",
            packages=("partial-json",),
            folder=folder,
            json=part | {"allow"},
        ),
        NodeReader(
            "best-effort-json-parser",
            how="`parse(text)`",
            packages=("best-effort-json-parser",),
            folder=folder,
            json=part,
        ),
        NodeReader(
            "jsonrepair",
            how="`JSON.parse(jsonrepair(text))`",
            packages=("jsonrepair",),
            folder=folder,
            json=frozenset({"lenient"}),
        ),
    ]
