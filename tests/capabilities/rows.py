"""The capabilities of this library and of nine others: the rows of docs/about/capabilities.md.

The columns of the others are of 2026-11-25: by programs that ran, their sources, and their documentation.
"""

from __future__ import annotations

from typing import NamedTuple

PEERS = (
    "openai 3.57",
    "anthropic 2.14",
    "pydantic-ai 2.68",
    "LiteLLM 1.110",
    "LangChain v3",
    "instructor 1.17",
    "BAML 0.226",
    "AI SDK 7.0.173",
    "TanStack AI 0.58",
)
"""The other libraries, with their versions."""


class Row(NamedTuple):
    """A capability, and who has it: "y" yes, "p" partly, "–" no, "·" does not apply, "?" unknown."""

    group: str
    name: str
    ours: str
    peers: tuple[str, ...]


ROWS = (
    Row(
        "wire",
        "spec-clean SSE (BOM, `retry:`-only, CR, U+2028, bad UTF-8), chunk-invariant",
        "y",
        (
            "– (BOM loses text, `retry:` = JSONDecodeError)",
            "– (BOM = AssertionError)",
            "–",
            "–",
            "–",
            "–",
            "?",
            "y",
            "y",
        ),
    ),
    Row(
        "wire",
        "framing alone, importable",
        "y",
        ("p", "p", "–", "–", "–", "–", "–", "p", "p"),
    ),
    Row(
        "wire",
        "formats of providers read / detected from bytes",
        "y 28 / y",
        ("2 / –", "1 / –", "y 12 / –", "y 100 / –", "y / –", "p / –", "p / –", "y / –", "y / –"),
    ),
    Row(
        "wire",
        "wraps other SDKs' streams (`tap`)",
        "y",
        ("–", "–", "–", "–", "–", "p", "–", "–", "–"),
    ),
    Row(
        "wire",
        "unknown events kept; departures named",
        "y",
        ("p", "p", "–", "p", "p", "–", "–", "p", "p"),
    ),
    Row(
        "answer",
        "verdict: clean end without finish is no success",
        "y",
        ("– (Responses p)", "–", '– ("stop, complete")', "y", "–", "–", "?", "y", "– (invents `stop`)"),
    ),
    Row(
        "answer",
        "two calls on one index / interleaved calls right",
        "y",
        (
            '– / – (half arguments "done")',
            "·",
            "–",
            "–",
            "– (invalid call, fails safe)",
            "·",
            "·",
            "y",
            "– (second lost)",
        ),
    ),
    Row(
        "answer",
        "cut arguments never a call",
        "y",
        ("p (raw string)", "– (`input={}`)", "y", "y", "y", "–", "?", "y", "y"),
    ),
    Row(
        "answer",
        "a call told again is one call",
        "y",
        ("–", "–", "?", "–", "?", "·", "·", "?", "?"),
    ),
    Row(
        "answer",
        "usage never nulled, with provenance",
        "y",
        ("–", "y", "y", "y", "p", "p", "p", "y", "y"),
    ),
    Row(
        "answer",
        "reasoning, signatures, citations, media, server tools",
        "y",
        ("y", "y", "y", "p", "y", "–", "p", "y", "y"),
    ),
    Row(
        "answer",
        "snapshot at any time, immutable, linear",
        "y",
        ("y/p", "y/–", "p", "p", "y/–", "p", "y", "y/–", "y"),
    ),
    Row(
        "structured",
        "typed result; dataclass/TypedDict too",
        "y/y",
        ("y/–", "y/–", "y/p", "p/–", "y/p", "y/–", "y/–", "y/·", "y/·"),
    ),
    Row(
        "structured",
        "drafts per delta with required fields; finality per field",
        "y/y",
        ("–/–", "–/–", "–/–", "–/–", "–/–", "y/p", "y/y", "y/–", "p/–"),
    ),
    Row(
        "structured",
        "each list item when it closes",
        "y",
        ("–", "–", "–", "–", "–", "y", "–", "y (linear since 7.0.170)", "–"),
    ),
    Row(
        "structured",
        "stop at the first broken field; reask with reason",
        "y/y",
        ("–", "–", "–/y", "–", "–", "–/y", "–/y", "p", "–"),
    ),
    Row(
        "structured",
        "repaired almost-JSON, fences; JSON patches",
        "y/y",
        ("–", "–", "–", "–", "p", "p", "y/–", "p/–", "p/–"),
    ),
    Row(
        "structured",
        "XML, YAML, TOON while streaming",
        "–",
        ("–", "–", "–", "–", "p (XML parser)", "– (TOON closed, #1986)", "?", "–", "–"),
    ),
    Row(
        "tools",
        "schema from function, arguments checked, run while streaming, results as turns",
        "y",
        ("p", "p", "y", "p", "p", "·", "·", "y", "y"),
    ),
    Row(
        "tools",
        "exactly once over retries and processes (store)",
        "y",
        ("–", "–", "–", "–", "–", "·", "·", "p", "p (cache)"),
    ),
    Row(
        "tools",
        "tool that yields progress (generator)",
        "y",
        ("–", "–", "p", "–", "y (JS merged)", "·", "·", "y", "p (custom events)"),
    ),
    Row(
        "tools",
        "tool calls written as text (`<tool_call>…`)",
        "y, 25 dialects",
        ("–", "–", "–", "?", "?", "–", "?", "– (third-party middleware)", "–"),
    ),
    Row(
        "tools",
        "approval / human in the loop",
        "p (recipe; questions of agents: y)",
        ("–", "–", "y", "–", "y (interrupts)", "–", "–", "y", "y (typed interrupts)"),
    ),
    Row(
        "failure",
        "partial on every exception",
        "y",
        ("p", "–", "y", "y", "p", "–", "?", "p", "–"),
    ),
    Row(
        "failure",
        "retry mid-stream / continue with told confidence",
        "y / y",
        ("–/–", "–/–", "–/p (suspended)", "p/p", "–", "–", "–", "y/–", "–/–"),
    ),
    Row(
        "failure",
        "routes, fallback, hedge, price cap",
        "y",
        ("–", "–", "y/p", "y", "p", "–", "y", "p", "–"),
    ),
    Row(
        "failure",
        "deadline on every silence (sync too)",
        "y",
        ("p", "p", "p", "p", "–", "–", "p", "y", "–"),
    ),
    Row(
        "failure",
        "pauses, background, continuation tokens as one answer",
        "y",
        ("p (starting_after)", "–", "y (new: `suspended`)", "–", "–", "–", "–", "p", "–"),
    ),
    Row(
        "failure",
        "checkpoint to another process",
        "y",
        ("–", "–", "– (durable exec p)", "–", "p (graph)", "–", "–", "p (workflow)", "p (log)"),
    ),
    Row(
        "failure",
        "reorder, de-duplicate",
        "y",
        ("–", "–", "–", "–", "p", "–", "–", "–", "–"),
    ),
    Row(
        "control, interfaces",
        "stop from thread or task; leaving closes",
        "y",
        ("p", "p", "y", "p", "p", "–", "?", "p", "y"),
    ),
    Row(
        "control, interfaces",
        "guards: regex, repetition, tokens, hold",
        "y",
        ("–", "–", "p", "p", "–", "–", "–", "p", "p (content guard)"),
    ),
    Row(
        "control, interfaces",
        "money budget while streaming, price table",
        "y (genai-prices)",
        ("–", "–", "y (genai-prices)", "y (table)", "–", "–", "–", "p (gateway)", "–"),
    ),
    Row(
        "control, interfaces",
        "smooth, words, graphemes, sentences, throttle",
        "y",
        ("–", "–", "p (debounce)", "–", "–", "–", "–", "y (smooth)", "p (word, punctuation, batch)"),
    ),
    Row(
        "control, interfaces",
        "markdown blocks, repaired",
        "y",
        ("–", "–", "–", "–", "–", "–", "–", "p (streamdown)", "–"),
    ),
    Row(
        "control, interfaces",
        "redact across chunks",
        "y (a pattern needs `max_length=`)",
        ("–", "–", "–", "p (proxy)", "–", "–", "–", "–", "p"),
    ),
    Row(
        "control, interfaces",
        "OpenAI's inline citation markers (U+E200–E202) resolved or removed",
        "y",
        ("–", "–", "–", "–", "–", "–", "–", "–", "–"),
    ),
    Row(
        "control, interfaces",
        "fan-out / merge",
        "y",
        ("–", "–", "–", "–", "p (v3 projections)", "–", "–", "p (tee)", "p"),
    ),
    Row(
        "control, interfaces",
        "marks of time, gaps, OTel",
        "y",
        ("–", "y", "y", "y", "p", "–", "p", "y", "y"),
    ),
    Row(
        "relay",
        "to browsers: protocols",
        "y 19",
        ("–", "–", "y 2", "p", "p", "–", "p", "y 1", "y AG-UI + 4 transports"),
    ),
    Row(
        "relay",
        "resumable, tabs, stop; store",
        "y memory, Redis; your own store by a protocol",
        (
            "–",
            "–",
            "–",
            "–",
            "p (platform)",
            "–",
            "–",
            "p (Redis)",
            "y memory, Durable Streams, 5-method adapter",
        ),
    ),
    Row(
        "relay",
        "JS package, React hooks",
        "p (in the wheel, not on npm)",
        ("·", "·", "·", "·", "y", "·", "p", "y", "y"),
    ),
    Row(
        "relay",
        "JSON polling where a host cannot stream",
        "–",
        ("–", "–", "–", "–", "–", "–", "–", "–", "y"),
    ),
    Row(
        "sessions, agents",
        "WebSocket sessions (Responses, Realtime, Gemini Live)",
        "y",
        ("y", "·", "p", "p", "–", "–", "–", "p", "p (realtime)"),
    ),
    Row(
        "sessions, agents",
        "steer / inject into a running answer",
        "y (OpenAI Responses, GPT-Live; agents)",
        ("y (raw events)", "p (agents)", "–", "–", "–", "–", "–", "y (steering-message)", "–"),
    ),
    Row(
        "sessions, agents",
        "GPT-Live, Live Interactions, realtime translation/transcription",
        "y (GPT-Live also as a session; the others are read)",
        ("y", "·", "–", "– (#40888)", "–", "–", "–", "–", "p"),
    ),
    Row(
        "sessions, agents",
        "coding agents, ACP, A2A, hosted sessions as runs",
        "y",
        ("p", "p", "p", "p (A2A)", "–", "–", "–", "p (harnesses)", "–"),
    ),
    Row(
        "sessions, agents",
        "sync view of an async source",
        "y",
        ("·", "·", "p (`run_stream_sync`)", "–", "–", "–", "–", "·", "·"),
    ),
    Row(
        "tests",
        "scripts, recordings, every cut, virtual clock, mock server, fault matrix",
        "y",
        (
            "–",
            "–",
            "p (TestModel)",
            "p (mock)",
            "p (fake models)",
            "–",
            "–",
            "p (simulate, aimock)",
            "p (replay)",
        ),
    ),
)
