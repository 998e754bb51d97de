"""The diagnosis of the path to a server, from the bytes of answers and their times, without I/O or clock."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from tokenstream.cli._advice import ASK_FOR_A_STREAM, advise_on_error, describe_error, is_unknown_format
from tokenstream.cli._doctor.hops import Hop, Limit, LimitOn, find_hops, find_limits, round_time
from tokenstream.cli._doctor.pacing import pace_of
from tokenstream.errors import (
    ConnectError,
    NotAStream,
    StatusError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokenstream.cli._doctor.probe import ProbedAnswer

Verdict: TypeAlias = Literal["streams", "does not stream", "cannot be told"]

_LONG_SILENCE = 20.0
"""Seconds without a byte that come close to the shortest limits of any hop."""
_SLOW_FAILURE = 10.0
"""Seconds after which an error of a gateway means that a time limit was reached."""
_GATEWAY_STATUSES = (408, 502, 503, 504, 522, 524)
_MAX_GUESSES = 4
_BUFFERS = tuple(1 << power for power in range(12, 17))
"""Usual sizes of buffers in bytes, from 4 to 64 KiB."""
_UNBUFFER_HEADERS = (
    "send `Cache-Control: no-cache, no-transform` and `X-Accel-Buffering: no` with the response"
)
_ASK_DIRECTLY = "ask the server itself, past any proxy, to learn whether it is the one that waits"
_HTTP_1_1 = 'speak HTTP/1.1 to the server: in nginx `proxy_http_version 1.1; proxy_set_header Connection "";`'
_OWN_PROXY = (("your own proxy", "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY in the environment"),)
_LIMIT_WORDS: dict[LimitOn, str] = {
    "silence": "without a byte",
    "first byte": "until the first byte",
    "answer": "for the whole answer",
}


_PARSERS = {
    "hermes": "hermes",
    "qwen": "qwen3_coder",
    "qwen_bare": "qwen3_coder",
    "seed": "seed_oss",
    "glm": "glm45 or glm47",
    "dsml": "deepseek_v32, deepseek_v4 or deepseek_v41",
    "deepseek": "deepseek_v3 or deepseek_v31",
    "kimi": "kimi_k2",
    "kimi_k3": "kimi_k3",
    "mistral": "mistral",
    "llama": "llama3_json",
    "llama_json": "llama3_json or xlam",
    "llama4": "llama4_pythonic",
    "pythonic": "pythonic",
    "harmony": "openai",
    "minimax": "minimax_m2",
    "minimax_m3": "minimax_m3",
    "dots": "dots",
    "tool_calls": "hunyuan_a13b",
    "hunyuan": "hy_v3",
    "gemma4": "gemma4",
    "lfm2": "lfm2",
    "olmo": "olmo3",
    "longcat": "longcat",
    "inkling": "inkling",
}
"""The parser of vLLM for each dialect, as of November 2026."""


class Finding(NamedTuple):
    """An observation, with advice about it."""

    name: str
    what: str
    do: tuple[str, ...] = ()
    """Pieces of advice; any one of them may solve the problem."""
    grave: bool = False
    """True if the observed problem prevents the answer from streaming to its end."""


class Diagnosis(NamedTuple):
    """The verdict on a path (the way from a server to this machine, through proxies), with the findings."""

    verdict: Verdict
    reason: str
    findings: tuple[Finding, ...]
    hops: tuple[tuple[str, str], ...]
    """Names of the recognised hops, each with the sign by which it was recognised."""


def judge(probes: Sequence[ProbedAnswer]) -> Diagnosis:
    """Return the diagnosis of the path to a server, from its answer without compression, then one with it."""
    first, *others = probes
    recognised = find_hops(header for probe in probes for header in probe.headers.items())
    hops = [hop for hop, _ in recognised.values()]
    findings = [
        *_find_failure(first, hops),
        *_find_held_back(first, hops),
        *_judge_head(first),
        *_find_silence(first),
        *_find_left_call(first),
    ]
    for other in others:
        findings += _compare_compressed(other, hops)
    findings.sort(key=lambda finding: not finding.grave)
    verdict, reason = _decide(first, findings)
    signs = [(name, sign) for name, (_, sign) in recognised.items()]
    hops_passed = (*(_OWN_PROXY if first.proxied else ()), *signs)
    return Diagnosis(verdict=verdict, reason=reason, findings=tuple(findings), hops=hops_passed)


def _decide(probe: ProbedAnswer, findings: Sequence[Finding]) -> tuple[Verdict, str]:
    """Return the verdict on the path from the server to this program, and the reason for the verdict."""
    grave = next((finding for finding in findings if finding.grave), None)
    if grave is not None:
        return "does not stream", grave.what
    pace = pace_of(probe.arrivals)
    if pace.first is None or pace.last is None:
        return "cannot be told", "no event came"
    events, moments = _write_count(pace.events, "event"), _write_count(pace.moments, "moment")
    span = f"{events} came at {moments} within {pace.last - pace.first:.2f} s"
    if pace.verdict == "streams":
        return "streams", f"{span}, the first after {pace.first:.2f} s"
    return "cannot be told", f"{span}: too few to tell; ask for a longer answer"


def _write_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _find_left_call(probe: ProbedAnswer) -> Iterator[Finding]:
    """Yield a finding if the server has left a tool call in the text."""
    dialect = probe.call_in_text
    if dialect:
        parser = _PARSERS.get(dialect, "that of the model")
        yield Finding(
            "call_in_text",
            f"a tool call came as text ({dialect}): the server's parser of calls is off, or another",
            (
                f"start vLLM with --enable-auto-tool-choice --tool-call-parser {parser}",
                "start SGLang with its --tool-call-parser, or llama.cpp with --jinja",
                f'read such calls with tags=Tags(calls="{dialect}")',
            ),
        )


# -- what failed ---------------------------------------------------------------


def _find_failure(probe: ProbedAnswer, hops: Sequence[Hop]) -> Iterator[Finding]:
    """Yield a finding if the answer failed or was not streamed."""
    error = probe.error
    if probe.is_document:
        yield Finding(
            "not_streamed",
            "the answer came as one JSON document: nobody streamed it",
            (ASK_FOR_A_STREAM,),
            grave=True,
        )
    elif error is None:
        return
    elif isinstance(error, ConnectError):
        times: dict[LimitOn, float] = {"first byte": probe.ended_at, "silence": probe.ended_at}
        # A connection that was never made has met no limit of a hop.
        limits_met = () if error.stage == "connect" else _list_limits_met(times, hops)
        yield Finding(
            "no_answer", describe_error(error), (*limits_met, advise_on_error(error, "request")), grave=True
        )
    elif isinstance(error, StatusError):
        yield _judge_refusal(probe, error, hops)
    elif isinstance(error, StreamStalled):
        yield Finding(
            "stalled",
            f"nothing came for {probe.silence:.1f} s, and then it was given up",
            ("--timeout waits longer; a server whose model thinks should send a comment or a ping",),
            grave=True,
        )
    elif isinstance(error, StreamInterrupted | StreamTruncated):
        yield _judge_cut(probe, hops)
    elif isinstance(error, NotAStream):
        yield _judge_body(probe, error)
    else:
        # Such as an error event of the provider: not grave, because it says nothing about the path.
        yield Finding("failed", describe_error(error), (advise_on_error(error, "request"),))


def _judge_refusal(probe: ProbedAnswer, error: StatusError, hops: Sequence[Hop]) -> Finding:
    """Return the finding for an answer with an error status, with the time limits that may explain it."""
    limits_met: tuple[str, ...] = ()
    waited = probe.head_at or 0.0
    # If a gateway fails only after a long wait, a time limit was probably reached.
    if error.status in _GATEWAY_STATUSES and waited >= _SLOW_FAILURE:
        limits_met = _list_limits_met({"first byte": waited, "silence": waited, "answer": waited}, hops)
    return Finding(
        "refused",
        f"after {waited:.1f} s {describe_error(error)}",
        limits_met or (advise_on_error(error, "request"),),
        grave=True,
    )


def _judge_cut(probe: ProbedAnswer, hops: Sequence[Hop]) -> Finding:
    if not probe.arrivals:
        if probe.ended == "end":
            return Finding(
                "empty",
                f"the body is empty: it ended after {probe.ended_at:.1f} s without a byte",
                ("check the address and the request",),
                grave=True,
            )
        what = f"the connection broke after {probe.ended_at:.1f} s, before the first byte of the body"
        times: dict[LimitOn, float] = {"first byte": probe.ended_at, "silence": probe.silence}
    else:
        how = "the connection broke" if probe.ended == "broken" else "the answer ended too early"
        what = f"{how} after {probe.ended_at:.1f} s, the last {probe.silence:.1f} s of them without a byte"
        times = {"silence": probe.silence, "answer": probe.ended_at}
    return Finding(
        "cut",
        what,
        _list_limits_met(times, hops)
        or ("that matches no known limit: look at the logs of the server, and of the proxies before it",),
        grave=True,
    )


def _list_limits_met(times: dict[LimitOn, float], hops: Sequence[Hop]) -> tuple[str, ...]:
    """Return advice about the time limits that may have cut an answer; () if there is none.

    1. If default limits of the recognised hops fit the times, the advice names only these limits.
    2. If no hop was recognised, and limits of any known hops fit, the advice names these, as guesses.
    3. Otherwise, the advice first names the times that are close to a round number, which somebody may have
       set as a limit, and then the limits of any known hops that fit, as guesses.
    """
    limits_met = find_limits(times, hops)
    if limits_met:
        return tuple(_write_limit(*limit) for limit in limits_met)
    guesses = tuple(f"perhaps {_write_limit(*limit)}" for limit in find_limits(times)[:_MAX_GUESSES])
    if guesses and not hops:
        return guesses
    places = " or ".join(hop.name for hop in hops) or "the proxies before the server"
    limits_set = (
        f"{time} s {_LIMIT_WORDS[on]} may be a limit that somebody has set: look for it in the settings of "
        f"{places}, and in the server's own"
        for on, seconds in times.items()
        if (time := round_time(seconds)) is not None
    )
    return (*limits_set, *guesses)


def _write_limit(hop: Hop, limit: Limit) -> str:
    return f"{hop.name}, which allows {limit.seconds:g} s {_LIMIT_WORDS[limit.on]}: {limit.change}"


def _judge_body(probe: ProbedAnswer, error: NotAStream) -> Finding:
    """Return the finding for a body of no known format: grave, unless it has events or is streamed text."""
    events = sum(arrival.events for arrival in probe.arrivals)
    is_unknown = is_unknown_format(error)
    if is_unknown and events > 1 and probe.kind in {"sse", "json"}:
        return Finding(
            "unknown_format", "the events are in an unknown format; their times are judged all the same"
        )
    content_type = probe.headers.get("content-type", "").lower()
    is_text = probe.kind == "unknown" and content_type.startswith("text/plain")
    if is_unknown and is_text and pace_of(probe.arrivals).verdict == "streams":
        return Finding(
            "unknown_format",
            "the body is text without events; the times of its pieces are judged all the same",
            ("--format text reads it, if it is an answer",),
        )
    return Finding("no_stream", describe_error(error), (advise_on_error(error, "request"),), grave=True)


# -- events that a hop held back -----------------------------------------------


def _find_held_back(probe: ProbedAnswer, hops: Sequence[Hop]) -> Iterator[Finding]:
    """Yield a finding if the events arrived all at once or in bursts, with settings to change."""
    pace = pace_of(probe.arrivals)
    if pace.verdict not in {"whole", "bursts"} or pace.first is None or pace.last is None:
        return
    if pace.verdict == "whole":
        head = probe.head_at or 0.0
        early_head = f"; the head was there after {head:.2f} s" if head < pace.first / 2 else ""
        what = f"all {pace.events} events came at once, after {pace.first:.2f} s{early_head}"
    else:
        size = "" if pace.burst_bytes is None else f" of {_write_size(pace.burst_bytes)}"
        what = (
            f"{pace.events} events came in bursts{size}, at {pace.moments} moments within "
            f"{pace.last - pace.first:.2f} s: something on the way collects them"
        )
    what += "; so they did when asked again" if probe.confirmed else ""
    is_compressed = probe.head is not None and bool(probe.head.content_coding)
    settings = [f"{hop.name}: {hop.unbuffer}" for hop in hops if hop.unbuffer]
    if is_compressed:
        # A compressor, too, may hold events back until it has filled a block.
        settings += _list_compression_settings(hops)
    if probe.proxied:
        settings.append("set NO_PROXY to the host, to ask past the proxy that the environment names")
    yield Finding("held_back", what, (*settings, _UNBUFFER_HEADERS, _ASK_DIRECTLY), grave=True)


def _write_size(size: int) -> str:
    """Describe a number of bytes; if it is close to a usual size of buffers, name that size."""
    for buffer in _BUFFERS:
        if 0.9 * buffer <= size <= buffer * 1.1:
            return f"about {buffer // 1024} KiB, the size of a buffer"
    return f"about {size:,} bytes"


def _list_compression_settings(hops: Sequence[Hop]) -> list[str]:
    """Return the advice for each hop on how to send a stream uncompressed, if that hop has any."""
    return [f"{hop.name}: {hop.uncompress}" for hop in hops if hop.uncompress]


def _compare_compressed(probe: ProbedAnswer, hops: Sequence[Hop]) -> Iterator[Finding]:
    """Yield the findings that are new when the client accepts a compressed answer."""
    coding = "" if probe.head is None else probe.head.content_coding
    failed = next(_find_failure(probe, hops), None)
    # An unknown format was a finding about the first answer already.
    if failed is not None and failed.name != "unknown_format":
        # A refusal, such as one for too many requests, gives no information about the path.
        is_refusal = isinstance(probe.error, StatusError | ConnectError)
        name = "not_compared" if is_refusal else "failed_compressed"
        yield Finding(
            name, f"where a client accepts compression: {failed.what}", failed.do, grave=not is_refusal
        )
        return
    held_back = next(_find_held_back(probe, hops), None)
    settings = (
        *_list_compression_settings(hops),
        "send `Cache-Control: no-cache, no-transform` with the response, which asks proxies not to compress",
    )
    if held_back is not None:
        where, do = "where a client accepts compression, as browsers do:", held_back.do
        if coding:
            where = f"compressed as {coding}, which browsers accept,"
            do = (*settings, "ask with `Accept-Encoding: identity`, as this library does")
        yield Finding("held_back_compressed", f"{where} {held_back.what}", do, grave=True)
    elif coding:
        yield Finding(
            "compressed",
            f"a client that accepts it gets the answer compressed as {coding}; it streams all the same",
            settings,
        )


# -- the head of the response --------------------------------------------------


def _judge_head(probe: ProbedAnswer) -> Iterator[Finding]:
    """Yield findings about the response's headers and its HTTP version."""
    headers, head = probe.headers, probe.head
    # A response that failed, or was not streamed, is a finding of `_find_failure`.
    if head is None or head.status >= 400 or probe.is_document:
        return
    kind = headers.get("content-type", "")
    if probe.kind == "sse" and "event-stream" not in kind.lower():
        description = f"says {kind}" if kind else "does not say what the body is"
        yield Finding(
            "content_type",
            f"the response {description}: proxies that spare an event stream do not know this one",
            ("send `Content-Type: text/event-stream`",),
        )
    if "content-length" in headers and sum(arrival.events for arrival in probe.arrivals) > 1:
        yield Finding(
            "content_length",
            "the response has a Content-Length: whoever sent it had all of the answer before",
            ("send the body in chunks, while it is written",),
        )
    if probe.version == "HTTP/1.0":
        yield Finding(
            "http_1_0", "the response is HTTP/1.0, which has no chunks: a cut looks like an end", (_HTTP_1_1,)
        )
    elif any(hop.strip().startswith(("1.0 ", "HTTP/1.0 ")) for hop in headers.get("via", "").split(",")):
        yield Finding(
            "via_1_0",
            "a hop was answered in HTTP/1.0, by its Via header: servers may send no chunks to such a one",
            (_HTTP_1_1,),
        )
    if "hit" in f"{headers.get('x-cache', '')} {headers.get('cf-cache-status', '')}".lower():
        yield Finding("cached", "a cache answered, and not the server", ("send `Cache-Control: no-store`",))
    if probe.kind == "sse" and "no-transform" not in headers.get("cache-control", "").lower():
        yield Finding(
            "no_transform",
            "the response has no `Cache-Control: no-transform`: a proxy on another path may compress it",
        )


def _find_silence(probe: ProbedAnswer) -> Iterator[Finding]:
    """Yield a finding if the answer has a silence that some proxies would not wait for."""
    times = [0.0, *(arrival.at for arrival in probe.arrivals)]
    longest = max((later - earlier for earlier, later in pairwise(times)), default=0.0)
    if longest >= _LONG_SILENCE:
        yield Finding(
            "long_silence",
            f"nothing came for {longest:.0f} s: some proxies cut after 30 s without a byte",
            ("send a comment or a ping every 10 seconds, also while the model thinks",),
        )
