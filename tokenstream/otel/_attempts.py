"""The attempts at an answer: a span for each, and events for those that failed.

An attempt is a part of an operation, and no operation itself: in the GenAI conventions, the span of an
operation covers all its retries. So the span of an attempt has no `gen_ai.operation.name`, by which
operations are counted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from tokenstream._basics.untrusted import is_dict, whole_number
from tokenstream._basics.url import server_of
from tokenstream.otel._report import (
    MODE,
    NS_PER_SECOND,
    ROUTE,
    SpanReport,
    drop_unknown,
    error_type_of,
    provider_of,
    token_attributes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import AnswerFailure
    from tokenstream.recovery import AttemptReport

Attributes: TypeAlias = "dict[str, str | bool | int | float | Sequence[str]]"

_PARAMETER_OBJECTS = (
    "generationConfig",
    "generation_config",
    "inferenceConfig",
    "options",
    "text",
    "output_config",
)
"""Names of the objects in a payload that contain parameters.

They belong to Gemini (with two spellings), Bedrock, Ollama, OpenAI Responses and Anthropic.
"""


def _number(value: object) -> float | None:
    """Return a number as float; None for any other value."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _texts(value: object) -> list[str] | None:
    """Return a single text, or the texts in a list, as a list; None if there are none."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list):
        return None
    texts = cast("list[object]", values)
    return [text for text in texts if isinstance(text, str)] or None


_READERS: dict[str, tuple[Callable[[object], Any], tuple[str, ...]]] = {
    "gen_ai.request.temperature": (_number, ("temperature",)),
    "gen_ai.request.top_p": (_number, ("top_p", "topP", "p")),
    "gen_ai.request.top_k": (_number, ("top_k", "topK", "k")),
    "gen_ai.request.frequency_penalty": (_number, ("frequency_penalty", "frequencyPenalty")),
    "gen_ai.request.presence_penalty": (_number, ("presence_penalty", "presencePenalty")),
    "gen_ai.request.max_tokens": (
        whole_number,
        (
            "max_tokens",
            "max_completion_tokens",
            "max_output_tokens",
            "maxOutputTokens",
            "maxTokens",
            "num_predict",
        ),
    ),
    "gen_ai.request.seed": (whole_number, ("seed", "random_seed")),
    "gen_ai.request.choice.count": (whole_number, ("n", "candidateCount")),
    "gen_ai.request.stop_sequences": (_texts, ("stop", "stop_sequences", "stopSequences")),
}
"""Maps attributes to the function that checks a value, and to the names of the parameter in the APIs."""
_JSON_TYPES = frozenset({"json_object", "json_schema", "json", "application/json"})
_OUTPUT_TYPES = {"text": "text", "audio": "speech", "image": "image", **dict.fromkeys(_JSON_TYPES, "json")}
"""Maps names of output types in the APIs to the names in the GenAI conventions."""


def parameters_of(payload: object) -> Attributes:
    """Return the attributes that a span gets for a request's parameters, such as its temperature.

    They contain no text of the question.
    """
    # The payload and some objects in it, since APIs have their parameters at different places.
    objects: list[JsonObject] = []
    if is_dict(payload):
        objects = [payload, *(payload[name] for name in _PARAMETER_OBJECTS if is_dict(payload.get(name)))]
    attributes: Attributes = {}
    # For each attribute: the function that checks a value, and the names that APIs have for the parameter.
    for name, (read_value, keys) in _READERS.items():
        values = (read_value(each[key]) for each in objects for key in keys if key in each)
        value = next((value for value in values if value is not None), None)
        if value is not None:
            attributes[name] = value
    if attributes.get("gen_ai.request.choice.count") == 1:
        # The conventions want the count only if it is not 1.
        del attributes["gen_ai.request.choice.count"]
    output = next((text for each in objects for text in _output_types_in(each)), None)
    if output is not None:
        attributes["gen_ai.output.type"] = output
    return attributes


def _output_types_in(request_object: JsonObject) -> Iterator[str]:
    """Yield the output types that a request asks for, by their names in the conventions."""
    # A word, or an object with a `type`, as OpenAI and Ollama have it.
    for name in ("response_format", "format"):
        requested: Any = request_object.get(name)
        kind: Any = requested.get("type") if is_dict(requested) else requested
        if isinstance(kind, str) and kind in _OUTPUT_TYPES:
            yield _OUTPUT_TYPES[kind]
    # Gemini's form of a request for JSON.
    kind = request_object.get("responseMimeType")
    if isinstance(kind, str) and kind in _JSON_TYPES:
        yield "json"
    # Lists of kinds of output; text is among them in most requests, and so says nothing.
    for name in ("modalities", "responseModalities"):
        for text in _texts(request_object.get(name)) or ():
            if text.lower() in ("audio", "image"):
                yield _OUTPUT_TYPES[text.lower()]


def server_address_of(url: str | None) -> Attributes:
    """Return the attributes with the server's address and port; {} if the URL does not name a server."""
    return server_attributes(*server_of(url or ""))


def server_attributes(host: str | None, port: int | None) -> Attributes:
    """Return the attributes with a server's address and port, as far as they are known."""
    return drop_unknown({"server.address": host, "server.port": port})


def has_spans(attempts: Sequence[AttemptReport]) -> bool:
    """Return True if each attempt gets a span of its own: if there are several, or if routes have names."""
    return len(attempts) > 1 or any(attempt.route is not None for attempt in attempts)


def find_last(attempts: Sequence[AttemptReport]) -> AttemptReport | None:
    """Return the attempt whose answer the reader got: the one that ended last; None if there are no attempts.

    If two attempts ran side by side, the other one was closed before this one ended.
    """
    return max(attempts, key=lambda each: math.inf if each.seconds is None else _find_end(each), default=None)


def report_attempt(
    attempt: AttemptReport,
    operation: SpanReport,
    error: AnswerFailure | None,
    *,
    provider: str | None,
    model: str | None,
) -> SpanReport:
    """Return the data of an attempt's span; the operation's `error` counts for an attempt that still ran."""
    # An attempt that has its duration has ended by itself, before the operation.
    if attempt.seconds is not None:
        error = attempt.error
    model = attempt.requested_model or model
    # With routes, each has its own provider.
    provider = None if attempt.route is not None else provider
    began_ns = operation.started_ns + round(attempt.began * NS_PER_SECOND)
    return SpanReport(
        name="attempt" if model is None else f"attempt {model}",
        started_ns=min(began_ns, operation.ended_ns),
        ended_ns=_find_end_time(attempt, operation),
        shared_attributes={
            "gen_ai.provider.name": provider or provider_of(attempt.host, attempt.format),
            **drop_unknown({"gen_ai.request.model": model, "gen_ai.response.model": attempt.model}),
            **server_attributes(attempt.host, attempt.port),
        },
        attributes={
            **token_attributes(attempt.usage, attempt.format),
            **drop_unknown(
                {
                    "gen_ai.response.id": attempt.id,
                    "tokenstream.request.id": None if error is None else error.origin.request_id,
                    "tokenstream.attempt.number": attempt.number,
                    MODE: attempt.mode,
                    ROUTE: attempt.route,
                    "tokenstream.attempt.cost": attempt.cost,
                    "tokenstream.attempt.estimated": attempt.usage.basis == "estimated" or None,
                }
            ),
        },
        error_type=None if error is None else error_type_of(error),
        error_name=None if error is None else type(error).__name__,
    )


def list_failures(attempts: Sequence[AttemptReport], operation: SpanReport) -> list[tuple[int, Attributes]]:
    """Return, for each failed attempt, the time at which it ended, in nanoseconds, and its attributes."""
    return [
        (
            _find_end_time(attempt, operation),
            {
                "number": attempt.number,
                "mode": attempt.mode,
                "error.type": error_type_of(attempt.error),
                **drop_unknown({"tokenstream.request.id": attempt.error.origin.request_id}),
            },
        )
        for attempt in attempts
        if attempt.error is not None
    ]


def _find_end_time(attempt: AttemptReport, operation: SpanReport) -> int:
    """Return the time at which an attempt ended; that of the operation, if the attempt did not end before."""
    if attempt.seconds is None:
        return operation.ended_ns
    return min(operation.started_ns + round(_find_end(attempt) * NS_PER_SECOND), operation.ended_ns)


def _find_end(attempt: AttemptReport) -> float:
    """Return the seconds from the first request to the end of an attempt that has ended."""
    return attempt.began + (attempt.seconds or 0.0)
