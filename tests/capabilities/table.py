"""The programs that try what the table of capabilities says of us, by the words of a row and of our cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tests.capabilities import long_probes, probes

if TYPE_CHECKING:
    from collections.abc import Callable

Program: TypeAlias = "Callable[..., None]"

_WHOLE: dict[str, Program] = {
    "spec-clean SSE (BOM, `retry:`-only, CR, U+2028, bad UTF-8), chunk-invariant": probes.event_streams,
    "framing alone, importable": probes.framing,
    "formats of providers read / detected from bytes": long_probes.detection,
    "wraps other SDKs' streams (`tap`)": probes.tapping,
    "verdict: clean end without finish is no success": probes.verdict,
    "two calls on one index / interleaved calls right": probes.calls_in_turns,
    "cut arguments never a call": probes.cut_arguments,
    "a call sent again is one call": probes.sent_again,
    "usage never nulled, with provenance": probes.usage,
    "typed result; dataclass/TypedDict too": probes.results,
    "drafts per delta with required fields; finality per field": probes.drafts,
    "each list item when it closes": probes.list_items,
    "stop at the first broken field; reask with reason": probes.broken_field,
    "repaired almost-JSON, fences; JSON patches": probes.almost_json,
    "tool that yields progress (generator)": probes.progress,
    "tool calls written as text (`<tool_call>…`)": probes.calls_in_text,
    "approval / human in the loop": long_probes.questions,
    "partial on every exception": probes.partials_kept,
    "deadline on every silence (sync too)": probes.deadlines,
    "checkpoint to another process": long_probes.checkpoints,
    "reorder, de-duplicate": probes.order,
    "smooth, words, graphemes, sentences, throttle": probes.pieces,
    "markdown blocks, repaired": probes.markdown,
    "OpenAI's inline citation markers (U+E200–E202) resolved or removed": probes.citation_markers,
    "fan-out / merge": probes.sharing,
    "to browsers: protocols": long_probes.protocols,
    "sync view of an async source": probes.sync_view,
}
"""Rows that one program tries."""
_WORDS: dict[str, dict[str, Program]] = {
    "unknown events kept; departures named": {
        "unknown events kept": probes.unknown,
        "departures named": probes.departures,
    },
    "reasoning, signatures, citations, media, server tools": {
        "reasoning, signatures, citations": probes.parts,
        "media": probes.media,
        "server tools": probes.server_tools,
    },
    "snapshot at any time, immutable, linear": {
        "snapshot at any time, immutable": probes.snapshots,
        "linear": probes.linear_snapshots,
    },
    "schema from function, arguments checked, run while streaming, results as turns": {
        "schema from function": probes.tools,
        "arguments checked": probes.checked_arguments,
        "run while streaming": probes.running_tools,
        "results as turns": probes.tools,
    },
    "exactly once over retries and processes (store)": {
        "exactly once over retries": probes.once,
        "processes (store)": long_probes.once_over_processes,
    },
    "retry mid-stream / continue with reported confidence": {
        "retry mid-stream": probes.retrying,
        "continue with reported confidence": probes.continuing,
    },
    "routes, fallback, hedge, price cap": {
        "routes, fallback": probes.routes,
        "hedge": probes.hedging,
        "price cap": probes.price_cap,
    },
    "pauses, background, continuation tokens as one answer": {
        "pauses": probes.pauses,
        "background": probes.background,
        "continuation tokens as one answer": probes.continuation_tokens,
    },
    "stop from thread or task; leaving closes": {
        "stop from thread or task": probes.stopping,
        "leaving closes": probes.leaving,
    },
    "guards: regex, repetition, tokens, hold": {
        "guards: regex, repetition, tokens": probes.guards,
        "hold": probes.holding,
    },
    "money budget while streaming, price table": {
        "money budget while streaming, price table": probes.costs,
        "(genai-prices)": probes.costs,
    },
    "redact across chunks": {
        "redact across chunks": probes.redaction,
        "(a pattern needs `max_length=`)": probes.unbounded_redaction,
    },
    "marks of time, gaps, OTel": {"marks of time, gaps": probes.marks, "OTel": probes.telemetry},
    "resumable, tabs, stop; store": {
        "resumable, tabs, stop; store": probes.memory_journals,
        "memory": probes.memory_journals,
        "Redis": long_probes.redis_journals,
        "your own store by a protocol": probes.own_journals,
    },
    "JS package, React hooks": {
        "JS package": long_probes.javascript,
        "React hooks": long_probes.react_hooks,
        "(in the wheel, not on npm)": long_probes.javascript,
    },
    "WebSocket sessions (Responses, Realtime, Gemini Live)": {
        "WebSocket sessions (Responses": probes.responses_sessions,
        "Realtime": probes.realtime_sessions,
        "Gemini Live": probes.gemini_live_sessions,
    },
    "steer / inject into a running answer": {
        "steer / inject into a running answer": probes.steering,
        "OpenAI Responses": probes.steering,
        "agents": probes.steering_agents,
    },
    "GPT-Live, Live Interactions, realtime translation/transcription": {
        "GPT-Live": probes.gpt_live,
        "Live Interactions": probes.live_interactions,
        "realtime translation": probes.translation,
        "transcription": probes.transcription,
    },
    "coding agents, ACP, A2A, hosted sessions as runs": {
        "coding agents": probes.coding_agents,
        "ACP": probes.acp,
        "A2A": probes.a2a,
        "hosted sessions as runs": probes.hosted_sessions,
    },
    "scripts, recordings, every cut, virtual clock, mock server, fault matrix": {
        "scripts": probes.mock_server,
        "recordings": long_probes.recordings,
        "every cut": probes.every_cut,
        "virtual clock": probes.virtual_clock,
        "mock server": probes.mock_server,
        "fault matrix": probes.faults,
    },
}
"""Rows of which programs try single words."""
PROBES = {row: {row: program} for row, program in _WHOLE.items()} | _WORDS
"""Rows by their names."""
