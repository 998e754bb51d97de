"""Finish reasons and token counts in the form of OpenAI's APIs, and of frameworks that pass any words on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import count_of, dict_of, float_of, is_dict, is_list, says_nothing, text_of
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.formats._kit.values import reasons_of

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream._values.parts import Phase
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.formats._kit.values import Mark
    from tokenstream.message import FinishReason, Usage

INPUT_TRANSCRIPTION = "conversation.item.input_audio_transcription."
"""The beginning of the types of events in which sessions transcribe the user's speech."""
PHASES: dict[str, Phase] = {"commentary": "commentary", "final_answer": "final_answer"}
"""The phases of texts, by their words in the items of responses and of runs."""
FINISH_REASONS = reasons_of(
    stop="stop eos eos_token end_turn normal",
    stop_sequence="stop_sequence",
    length="length max_tokens model_length",
    tool_calls="tool_calls tool_call function_call tool_use",
    content_filter="content_filter safety sensitive",
    refusal="refusal",
    pause="pause_turn",
    cancelled="abort aborted cancelled canceled",
    error="error network_error insufficient_system_resource overloaded_error api_error rate_limit_error",
)
"""Maps the servers' words, in lower case, to finish reasons."""

_UNENDED = frozenset({"in_progress", "queued", "FINISH_REASON_UNSPECIFIED"})
"""Words of OpenAI's Responses API and of Google for an answer that has not ended."""
RESPONSE_REASONS = reasons_of(
    stop="completed",
    cancelled="cancelled steered",
    error="failed",
    length="max_output_tokens max_tokens max_messages",
    content_filter="content_filter",
)
"""Maps the final statuses of a response, and the reasons why it is incomplete, to finish reasons."""
PROVIDERS_REASONS: dict[str, FinishReason] = {
    **FINISH_REASONS,
    **reasons_of(
        stop="complete completed finished",
        length="max_output_tokens model_context_window_exceeded incomplete",
        content_filter="content_filtered guardrail_intervened recitation blocklist prohibited_content spii",
        error="failed malformed_function_call",
    ),
}
"""Maps providers' words, in lower case, to finish reasons; any other word is "unknown"."""


_TICKS = 10_000_000_000
"""The ticks in a dollar, in which xAI counts costs."""


def finish_reason(word: str) -> FinishReason:
    """Return the finish reason for a server's word; "unknown" for an unknown word."""
    return FINISH_REASONS.get(word.lower(), "unknown")


def usage_of(report: JsonObject) -> Usage:
    """Return a report of token counts as `Usage`, which also contains the report itself."""
    usage = _add_beside(CHAT_COUNTS.read(report), report)
    if "cost" in report:
        # Quirk (Perplexity sonar, 2026-11): the cost is an object with its parts;
        # https://schemas.apis.io/schemas/perplexity/perplexity-usageinfo.
        cost = float_of(report, "cost")
        cost = float_of(dict_of(report, "cost"), "total_cost") if cost is None else cost
        usage = usage if cost is None else usage.model_copy(update={"cost": cost})
    elif (ticks := count_of(report, "cost_in_usd_ticks")) is not None:
        # Quirk (xAI, 2026-11): the cost in parts of a dollar; https://docs.x.ai/developers/cost-tracking.
        usage = usage.model_copy(update={"cost": ticks / _TICKS})
    return usage


def _add_beside(usage: Usage, report: JsonObject) -> Usage:
    """Return a usage with the one count that the total has beside the input and the output.

    xAI counts the reasoning of a chat so, and Mistral what its connectors have read.
    """
    missing = (usage.total_tokens or 0) - (usage.input_tokens or 0) - (usage.output_tokens or 0)
    if missing <= 0:
        return usage
    beside = {"output_tokens": usage.reasoning_tokens, "input_tokens": count_of(report, "connector_tokens")}
    name = next((name for name, count in beside.items() if count == missing), None)
    return usage if name is None else usage.model_copy(update={name: (getattr(usage, name) or 0) + missing})


_IN_DETAILS = (
    "text_tokens|image_tokens|video_tokens|audio_seconds|character_count|image_count|cache_creation_tokens"
)
"""The numbers in the details of OpenAI's reports, and of OpenRouter, xAI, DashScope and LiteLLM."""
_BESIDE = (
    "cached_tokens_details|cache_write_tokens_details.text_tokens|audio_tokens|image_tokens|ttl_30m_tokens"
    "|ttl_12h_tokens seconds|active_seconds|paused_seconds|output_audio_seconds|billable_audio_seconds"
    # Of DeepSeek, Mistral, MiniMax, Snowflake, DashScope and vLLM.
    " prompt_cache_miss_tokens|connector_tokens|num_cached_tokens|prompt_audio_seconds|total_characters"
    "|guardrails_tokens|image_tokens|video_tokens|audio_tokens plugins|search.count connectors.*"
    # Of llama.cpp.
    " tokens_evaluated|tokens_predicted"
    # Of Groq, Cerebras and Together.
    " queue_time|prompt_time|completion_time|total_time|created"
    # Of OpenRouter.
    " cost|total_cost|market_cost cost_details.upstream_inference_cost|upstream_inference_prompt_cost"
    "|upstream_inference_completions_cost|upstream_inference_input_cost|upstream_inference_output_cost"
    " server_tool_use_details.tool_calls_requested|tool_calls_executed|web_search_requests"
    # Of xAI.
    " cost_in_usd_ticks|num_sources_used|num_server_side_tools_used context_details.input_tokens"
    "|output_tokens|cached_tokens server_side_tool_usage_details.web_search_calls|x_search_calls"
    "|code_interpreter_calls|file_search_calls|mcp_calls|document_search_calls"
    # Of Perplexity.
    " citation_tokens cost.input_tokens_cost|output_tokens_cost|reasoning_tokens_cost|citation_tokens_cost"
    "|search_queries_cost|request_cost|tool_calls_cost|cache_read_cost|cache_creation_cost|total_cost"
    " tool_calls_details|search_web|fetch_url.invocation"
    # Of Anthropic, by way of gateways.
    " server_tool_use.web_fetch_requests cache_creation|cache_creation_token_details"
    ".ephemeral_5m_input_tokens|ephemeral_1h_input_tokens"
)
"""The other numbers that the documents of OpenAI, and of servers that are like it, have in reports."""


def _counts(before: str, after: str, details: str = "tokens_details") -> Counts:
    """Return the places of the token counts in OpenAI's APIs, of which each writes names of its own.

    All are read in each: gateways write the names of several, with zeros where they have no count.
    """
    of_input = f"{before}_{details}|prompt_tokens_details|prompt_token_details"
    of_output = f"{after}_{details}|completion_tokens_details|completion_token_details"
    of_input += "|input_tokens_details|input_token_details"
    of_output += "|output_tokens_details|output_token_details"
    cached = "cached_tokens|prompt_cache_hit_tokens|cache_read_input_tokens"
    return Counts(
        input_tokens=f"{before}_tokens|prompt_tokens|input_tokens",
        output_tokens=f"{after}_tokens|completion_tokens|output_tokens",
        total_tokens="total_tokens",
        cached_tokens=f"{of_input}.cached_tokens {cached}",
        cache_write_tokens=f"{of_input}.cache_write_tokens cache_creation_input_tokens",
        input_audio_tokens=f"{of_input}.audio_tokens",
        input_image_tokens=f"{of_input}.image_tokens",
        reasoning_tokens=f"{of_output}.reasoning_tokens reasoning_tokens",
        output_audio_tokens=f"{of_output}.audio_tokens",
        accepted_prediction_tokens=f"{of_output}.accepted_prediction_tokens",
        rejected_prediction_tokens=f"{of_output}.rejected_prediction_tokens",
        web_searches="num_search_queries server_tool_use.web_search_requests connectors.web_search",
        beside=f"{of_input}|{of_output}.{_IN_DETAILS} {_BESIDE}",
    )


CHAT_COUNTS, RESPONSE_COUNTS = _counts("prompt", "completion"), _counts("input", "output")
"""The token counts as chat completions write them, and as responses do."""
SESSION_COUNTS = _counts("input", "output", "token_details")
"""The token counts as responses in sessions write them."""


def report_usage(parts: Parts, payload: JsonObject, holder: JsonObject) -> None:
    """Report the token counts in an object of a payload, or those beside it, if only these say something."""
    report, beside = dict_of(holder, "usage"), dict_of(payload, "usage")
    usage = usage_of(report)
    if beside and not (usage.input_tokens or usage.output_tokens or usage.total_tokens):
        # Quirk (xAI, 2026-07): the counts are beside the response, with an empty object
        # in it; recording: rt-xai-pydai-23166234.
        parts.note("usage_misplaced")
        report, usage = beside, usage_of(beside)
    if report:
        tools = dict_of(holder, "tool_usage")
        parts.usage(_add_tools(usage, tools) if tools else usage)


def _add_tools(usage: Usage, tools: JsonObject) -> Usage:
    """Return a usage with what the tools of a response have used, which OpenAI counts beside it."""
    images = RESPONSE_COUNTS.read(dict_of(tools, "image_gen"))
    update: JsonObject = {"web_searches": count_of(dict_of(tools, "web_search"), "num_requests")}
    for name in ("input_tokens", "output_tokens", "cached_tokens") if images.input_tokens else ():
        count = getattr(images, name) or 0
        update |= {name: (getattr(usage, name) or 0) + count, f"other_{name}": count}
    return usage.model_copy(update=update)


def report_logprobs(parts: Parts, name: str, value: object, choice: int) -> None:
    """Report log probabilities of a choice: a list, or an object with several lists."""
    lists = value.items() if is_dict(value) else [("content", value)]
    for key, items in lists:
        if not says_nothing(items):
            # Only the list `content` has the field's own name; the others have their key in it, too.
            listed = items if is_list(items) else [items]
            parts.items(name if key == "content" else f"{name}.{key}", listed, choice)


def provider_marks(response: JsonObject, *reasons: str | None) -> list[Mark]:
    """Return the marks of an answer's end that a framework passes on: reasons, a status, and its details."""
    details, status = text_of(dict_of(response, "incomplete_details"), "reason"), text_of(response, "status")
    # The details say more than the word "incomplete".
    words = [*reasons, None if status == "incomplete" and details else status, details]
    return [(reason_of(word), word) for word in words if word is not None and word not in _UNENDED]


def reason_of(word: str) -> FinishReason:
    return PROVIDERS_REASONS.get(word.lower(), "unknown")
