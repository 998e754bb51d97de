"""The providers' own SDKs for Python: each reads an answer from a server."""

from __future__ import annotations

import json
import warnings
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.compare.sdks.relay.judges.client_answer import ClientAnswer
from tests.compare.sdks.relay.judges.served import served
from tests.support.packages import needed

if TYPE_CHECKING:
    from tokenstream.relay import ProtocolName

Reader: TypeAlias = Callable[[Any, str, ClientAnswer], None]
"""Reads the answer at an address, with an HTTP client, and adds what its SDK gives."""

_ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def read_in_python(reader: str, bodies: Mapping[str, tuple[ProtocolName, bytes]]) -> dict[str, ClientAnswer]:
    """Return what an SDK gives for answers that are served over HTTP."""
    with needed("httpx2").Client() as http, served(bodies) as urls:
        return {name: _read(READERS[reader], http, url) for name, url in urls.items()}


def _read(reader: Reader, http: Any, url: str) -> ClientAnswer:
    """Return what an SDK gives for an answer; what it raises is the error."""
    answer = ClientAnswer()
    try:
        with warnings.catch_warnings(action="ignore"):
            # Of fields that it does not know.
            reader(http, url, answer)
    except Exception as error:  # noqa: BLE001 - each SDK has errors of its own
        answer.error = str(error) or type(error).__name__
    return answer


# -- openai ----------------------------------------------------------------------


def _openai(http: Any, url: str) -> Any:
    return needed("openai").OpenAI(api_key="k", base_url=url, max_retries=0, http_client=http)


def _read_chat(http: Any, url: str, answer: ClientAnswer) -> None:
    """Take the text from the deltas, and the rest from the SDK's own accumulator."""
    sounds: dict[str, bytes] = {}
    with _openai(http, url).chat.completions.stream(**_ASKED) as stream:
        for event in stream:
            if event.type == "chunk":
                _add_deltas(answer, event.chunk, sounds)
        completion = stream.current_completion_snapshot
    for choice in completion.choices:
        _add_choice(_choice_of(answer, choice.index), choice)
    answer.media += [f"data:audio;base64,{b64encode(sound).decode()}" for sound in sounds.values()]
    usage = completion.usage
    if usage is not None:
        inputs, outputs = usage.prompt_tokens_details, usage.completion_tokens_details
        answer.counts = {
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            "cached_tokens": getattr(inputs, "cached_tokens", None),
            "input_audio_tokens": getattr(inputs, "audio_tokens", None),
            "reasoning_tokens": getattr(outputs, "reasoning_tokens", None),
            "output_audio_tokens": getattr(outputs, "audio_tokens", None),
        }


def _choice_of(answer: ClientAnswer, index: int) -> ClientAnswer:
    return answer.choices.setdefault(str(index), ClientAnswer()) if index else answer


def _add_deltas(answer: ClientAnswer, chunk: Any, sounds: dict[str, bytes]) -> None:
    for choice in chunk.choices:
        _choice_of(answer, choice.index).text += choice.delta.content or ""
        audio = getattr(choice.delta, "audio", None)
        answer.transcript += (audio and audio.transcript) or ""
        if audio is not None and audio.data:
            sounds[audio.id] = sounds.get(audio.id, b"") + b64decode(audio.data)


def _add_choice(answer: ClientAnswer, choice: Any) -> None:
    message = choice.message
    assert (message.content or "") == answer.text
    answer.reasoning = getattr(message, "reasoning_content", "")
    answer.refusal = message.refusal or ""
    answer.end = choice.finish_reason
    for call in message.tool_calls or ():
        # The SDK's accumulator has no class for calls of custom tools.
        called = call.to_dict()[call.type]
        answer.calls.append([call.id, called["name"], called.get("arguments", called.get("input"))])
    for cited in message.annotations or ():
        answer.citations.append([cited.url_citation.url, cited.url_citation.title])
    answer.media += [image["image_url"]["url"] for image in getattr(message, "images", ())]


def _read_responses(http: Any, url: str, answer: ClientAnswer) -> None:
    """Take the text from the deltas, and the rest from the response in the last event."""
    event: Any = None
    with _openai(http, url).responses.stream(model="m", input="Hi") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                answer.text += event.delta
            elif event.type in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
                answer.reasoning += event.delta
            elif event.type == "error":
                raise ValueError(event.message)
            elif event.type == "response.failed":
                raise ValueError(event.response.error.message)
    response = event.response
    details, usage = response.incomplete_details, response.usage
    answer.end = response.status if details is None else details.reason
    for item in response.output:
        _add_item(answer, item)
    if usage is not None:
        inputs, outputs = usage.input_tokens_details, usage.output_tokens_details
        answer.counts = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
            "cached_tokens": inputs.cached_tokens,
            "cache_write_tokens": inputs.cache_write_tokens,
            "reasoning_tokens": outputs.reasoning_tokens,
        }


def _add_item(answer: ClientAnswer, item: Any) -> None:
    fields = item.to_dict()
    kind = fields["type"]
    if kind == "message":
        for part in item.content:
            answer.order += ["text"] if getattr(part, "text", "") else []
            answer.refusal += getattr(part, "refusal", "")
            cited = [each for each in getattr(part, "annotations", ()) if each.type == "url_citation"]
            answer.citations += [[each.url, each.title] for each in cited]
    elif kind == "reasoning":
        answer.order += ["reasoning"] if item.summary or item.content else []
        answer.proofs.append(item.encrypted_content)
    elif kind in ("function_call", "custom_tool_call"):
        answer.order.append("call")
        answer.calls.append([item.call_id, item.name, fields.get("arguments", fields.get("input"))])
    elif kind == "image_generation_call":
        answer.media.append(f"data:image;base64,{item.result}")
    elif kind.endswith("_call_output"):
        answer.results.append([item.call_id, item.output])
    elif kind.endswith("_call"):
        answer.order.append("ran")
        answer.ran.append([item.id, fields.get("name", kind), fields])
        given = [fields[name] for name in ("output", "error", "results", "outputs") if fields.get(name)]
        answer.results += [[item.id, given]] if given else []


# -- anthropic ---------------------------------------------------------------------


def _read_anthropic(http: Any, url: str, answer: ClientAnswer) -> None:
    """Take the text from the deltas, and the rest from the SDK's own accumulator."""
    client = needed("anthropic").Anthropic(api_key="k", base_url=url, max_retries=0, http_client=http)
    with client.messages.stream(**_ASKED, max_tokens=16) as stream:
        for event in stream:
            answer.text += event.text if event.type == "text" else ""
        message = stream.get_final_message()
    for block in message.content:
        _add_block(answer, block)
    answer.end = message.stop_reason
    usage = message.usage
    answer.counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cache_read_input_tokens,
        "cache_write_tokens": usage.cache_creation_input_tokens,
        "reasoning_tokens": getattr(usage.output_tokens_details, "thinking_tokens", None),
    }


def _add_block(answer: ClientAnswer, block: Any) -> None:
    fields = block.to_dict()
    kind = fields["type"]
    answer.reasoning += fields.get("thinking", "")
    answer.proofs.append(fields.get("signature", fields.get("data")))
    if kind.endswith("tool_use"):
        answer.order.append("call" if kind == "tool_use" else "ran")
        called = answer.calls if kind == "tool_use" else answer.ran
        called.append([block.id, block.name, json.dumps(block.input)])
    elif kind.endswith("_tool_result"):
        answer.results.append([block.tool_use_id, fields["content"]])
    elif fields.get("text") or fields.get("thinking"):
        answer.order.append("text" if kind == "text" else "reasoning")
    for cited in fields.get("citations") or ():
        answer.citations.append([cited.get("url"), cited.get("title", cited.get("document_title"))])


# -- google-genai --------------------------------------------------------------------


def _read_gemini(http: Any, url: str, answer: ClientAnswer) -> None:
    genai = needed("google.genai")
    options = genai.types.HttpOptions(base_url=url, httpx_client=http, httpx_async_client=_unused())
    client = genai.Client(api_key="k", http_options=options)
    for chunk in client.models.generate_content_stream(model="m", contents="Hi"):
        for candidate in chunk.candidates or ():
            _add_candidate(_choice_of(answer, candidate.index or 0), candidate)
        usage = chunk.usage_metadata
        if usage is not None:
            thoughts = usage.thoughts_token_count
            answer.counts = {
                "input_tokens": usage.prompt_token_count,
                "output_tokens": (usage.candidates_token_count or 0) + (thoughts or 0),
                "total_tokens": usage.total_token_count,
                "cached_tokens": usage.cached_content_token_count,
                "reasoning_tokens": thoughts,
            }


@cache
def _unused() -> Any:
    """Return a client that is never used: making one takes longer than reading an answer."""
    return needed("httpx2").AsyncClient()


def _add_candidate(answer: ClientAnswer, candidate: Any) -> None:
    for part in (candidate.content.parts if candidate.content else None) or ():
        _add_part(answer, part)
    if candidate.finish_reason is not None:
        answer.end = candidate.finish_reason.value
    for source in (candidate.grounding_metadata and candidate.grounding_metadata.grounding_chunks) or ():
        found = source.web or source.retrieved_context
        answer.citations.append([found.uri, found.title])


def _add_part(answer: ClientAnswer, part: Any) -> None:
    if part.thought_signature:
        answer.proofs.append(b64encode(part.thought_signature).decode())
    if part.function_call:
        call = part.function_call
        answer.order.append("call")
        answer.calls.append([call.id, call.name, json.dumps(call.args or {})])
    elif part.tool_call:
        answer.order.append("ran")
        answer.ran.append([part.tool_call.id, part.tool_call.tool_type, part.tool_call.args])
    elif part.executable_code:
        answer.order.append("ran")
        answer.ran.append([part.executable_code.id, None, part.executable_code.model_dump(mode="json")])
    elif part.tool_response:
        answer.results.append([part.tool_response.id, part.tool_response.response])
    elif part.code_execution_result:
        result = part.code_execution_result
        answer.results.append([result.id, result.model_dump(mode="json")])
    elif part.inline_data:
        answer.media.append(f"data:;base64,{b64encode(part.inline_data.data or b'').decode()}")
    elif part.file_data:
        answer.media.append(part.file_data.file_uri)
    elif part.text:
        kind = "reasoning" if part.thought else "text"
        answer.order.append(kind)
        setattr(answer, kind, getattr(answer, kind) + part.text)


READERS: dict[str, Reader] = {
    "openai of Python, chat": _read_chat,
    "openai of Python, responses": _read_responses,
    "anthropic of Python": _read_anthropic,
    "google-genai of Python": _read_gemini,
}
"""The reader of each SDK; it adds what the SDK gives to an empty answer."""
