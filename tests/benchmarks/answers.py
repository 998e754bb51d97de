"""Answers in every format: what opens them, text deltas as servers send them, and what ends them."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.benchmarks.bodies import BODIES, Chunk, middle_of, tokens
from tests.support.aws_eventstream import message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ANSWERS", "Answer", "chat_event"]

Payload: TypeAlias = dict[str, Any]
Frame: TypeAlias = "Callable[[str, bytes], Chunk]"
"""Puts a payload between its borders, given the event's name."""

_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, one event to a chunk.

    Args:
        name: What the table calls it.
        format: The format's name.
        head: The chunks before the first text delta.
        deltas: The chunks that are one text delta each; text where the format takes text.
        payloads: The payloads of these, as far as they are JSON.
        tail: The chunks after the last text delta.
        text: The text of the answer.
    """

    name: str
    format: str
    head: list[bytes]
    deltas: Sequence[bytes | str]
    payloads: list[bytes]
    tail: list[bytes]
    text: str

    @property
    def chunks(self) -> list[bytes]:
        """All chunks that are bytes."""
        return [*self.head, *(delta for delta in self.deltas if isinstance(delta, bytes)), *self.tail]


# -- borders --------------------------------------------------------------------


def _nameless(_: str, payload: bytes) -> Chunk:
    return Chunk(b"data: %b\n\n" % payload, payload)


def _tight(_: str, payload: bytes) -> Chunk:
    return Chunk(b"data:%b\n\n" % payload, payload)


def _carriage(_: str, payload: bytes) -> Chunk:
    return Chunk(b"data: %b\r\n\r\n" % payload, payload)


def _named(name: str, payload: bytes) -> Chunk:
    return Chunk(b"event: %b\ndata: %b\n\n" % (name.encode(), payload), payload)


def _line(_: str, payload: bytes) -> Chunk:
    return Chunk(payload + b"\n", payload)


def _item(_: str, payload: bytes) -> Chunk:
    return Chunk(b"\n,\n" + payload, payload)


def _alone(_: str, payload: bytes) -> Chunk:
    return Chunk(payload, payload)


def _binary(name: str, payload: bytes) -> Chunk:
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return Chunk(message(headers, payload), payload)


# -- making them ------------------------------------------------------------------

Event: TypeAlias = tuple[str, Payload]


def _compact(payload: Payload) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _indented(payload: Payload) -> bytes:
    return json.dumps(payload, ensure_ascii=False, indent=2).encode()


@dataclass(frozen=True, slots=True)
class Shape:
    """How a provider's answers look on the wire.

    Args:
        format: The format's name.
        frame: The borders of an event.
        delta: Makes a text delta of its number and its text, with random values from a source.
        head: The events before.
        tail: The events after.
        last: Bytes after the last event.
        tokens: How many tokens stand in one delta.
        written: Writes a payload as JSON.
    """

    format: str
    frame: Frame
    delta: Callable[[int, str, random.Random], Event]
    head: tuple[Event, ...] = ()
    tail: tuple[Event, ...] = ()
    last: bytes = b""
    tokens: int = 1
    written: Callable[[Payload], bytes] = _compact

    def answer(self, name: str, count: int) -> Answer:
        """Return an answer of `count` text deltas."""
        source = random.Random(0)
        pieces = tokens(count * self.tokens, 0)
        texts = ["".join(pieces[at : at + self.tokens]) for at in range(0, len(pieces), self.tokens)]
        deltas = [self._chunk(self.delta(number, text, source)) for number, text in enumerate(texts)]
        return Answer(
            name,
            self.format,
            [self._chunk(event).wire for event in self.head],
            [delta.wire for delta in deltas],
            [delta.payload for delta in deltas if delta.payload is not None],
            [*(self._chunk(event).wire for event in self.tail), *filter(None, [self.last])],
            "".join(texts),
        )

    def _chunk(self, event: Event) -> Chunk:
        name, payload = event
        return self.frame(name, self.written(payload))


def _letters(source: random.Random, most: int) -> str:
    """Return padding as Bedrock and Mistral send it: the alphabet, cut at random."""
    return _ALPHABET[: source.randrange(3, most)]


def _code(source: random.Random, size: int) -> str:
    return "".join(source.choices(_ALPHABET, k=size))


# -- openai -----------------------------------------------------------------------

_ITEM = "msg_059e023db00a851000691f2a73e17081948d7803eaad776686"
_RESPONSE: Payload = {
    "id": "resp_059e023db00a851000691f2a72a8e481949e1e12ae6dd9ea2e",
    "object": "response",
    "created_at": 1763650163,
    "status": "in_progress",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "model": "gpt-5.1-2025-11-13",
    "output": [],
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "usage": None,
}
_RESPONSE_USAGE: Payload = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 99,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 110,
}


def _response(kind: str, number: int, **fields: Any) -> Event:
    return kind, {"type": kind, "sequence_number": number, **fields}


def _responses_delta(number: int, text: str, source: random.Random) -> Event:
    place = {"item_id": _ITEM, "output_index": 0, "content_index": 0}
    # OpenAI fills each text up to sixteen characters, so that its length tells little.
    hidden = _code(source, 16 - len(text) % 16)
    return _response(
        "response.output_text.delta", number + 4, **place, delta=text, logprobs=[], obfuscation=hidden
    )


def _responses_item(status: str) -> Payload:
    return {"id": _ITEM, "type": "message", "status": status, "content": [], "role": "assistant"}


_RESPONSES = Shape(
    "openai-responses",
    _named,
    _responses_delta,
    (
        _response("response.created", 0, response=_RESPONSE),
        _response("response.in_progress", 1, response=_RESPONSE),
        _response("response.output_item.added", 2, output_index=0, item=_responses_item("in_progress")),
        _response(
            "response.content_part.added",
            3,
            item_id=_ITEM,
            output_index=0,
            content_index=0,
            part={"type": "output_text", "annotations": [], "logprobs": [], "text": ""},
        ),
    ),
    (
        _response(
            "response.completed",
            99_999,
            response={**_RESPONSE, "status": "completed", "usage": _RESPONSE_USAGE},
        ),
    ),
)


def _completion(text: str, finish: str | None = None) -> Event:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return "", {
        "id": "cmpl-9fXkQmBv4TzLr2WnYs7HdJc1",
        "object": "text_completion",
        "created": 1794700000,
        "model": "gpt-3.5-turbo-instruct:20230824-v2",
        "choices": [choice],
        "usage": None,
    }


_DONE = b"data: [DONE]\n\n"
_COMPLETIONS = Shape(
    "openai-completions",
    _nameless,
    lambda _, text, __: _completion(text),
    tail=(_completion("", "stop"),),
    last=_DONE,
)

_RUN: Payload = {
    "id": "run_Kd93mVbQxT7wLrZ2nYpA5cHs",
    "object": "thread.run",
    "created_at": 1794712400,
    "assistant_id": "asst_Wq8RtYxZbN4mLk2JhGf6DsPa",
    "thread_id": "thread_Zc5VbNmQw3ErTyUiOp7LkJhG",
    "status": "in_progress",
    "required_action": None,
    "last_error": None,
    "model": "gpt-4o-2024-11-20",
    "usage": None,
}
_WRITTEN: Payload = {
    "id": "msg_7PYTieR4GRJjQL0RJiTZX4Az",
    "object": "thread.message",
    "created_at": 1794712401,
    "assistant_id": _RUN["assistant_id"],
    "thread_id": _RUN["thread_id"],
    "run_id": _RUN["id"],
    "status": "in_progress",
    "role": "assistant",
    "content": [],
}


def _assistants_delta(_: int, text: str, __: random.Random) -> Event:
    content = [{"index": 0, "type": "text", "text": {"value": text}}]
    return "thread.message.delta", {
        "id": _WRITTEN["id"],
        "object": "thread.message.delta",
        "delta": {"content": content},
    }


_ASSISTANTS = Shape(
    "openai-assistants",
    _named,
    _assistants_delta,
    (
        ("thread.run.created", {**_RUN, "status": "queued"}),
        ("thread.run.in_progress", _RUN),
        ("thread.message.created", _WRITTEN),
        ("thread.message.in_progress", _WRITTEN),
    ),
    (
        (
            "thread.run.completed",
            {
                **_RUN,
                "status": "completed",
                "usage": {"prompt_tokens": 11, "completion_tokens": 99, "total_tokens": 110},
            },
        ),
    ),
    b"event: done\ndata: [DONE]\n\n",
)

_SPOKEN: Payload = {"response_id": "resp_E4GEY62IwDifuz0JAhlha", "output_index": 0}


def _realtime(kind: str, **fields: Any) -> Event:
    return kind, {"type": kind, "event_id": "event_E4GEYakWzxILxVxZp0bzS", **fields}


def _realtime_delta(_: int, text: str, source: random.Random) -> Event:
    kind = "response.output_text.delta"
    return kind, {
        "type": kind,
        "event_id": f"event_{_code(source, 21)}",
        "response_id": _SPOKEN["response_id"],
        "item_id": "item_E4GEYn560V3qYWXO8lsNM",
        "output_index": 0,
        "content_index": 0,
        "delta": text,
        "obfuscation": _code(source, 16 - len(text) % 16),
    }


_REALTIME_RESPONSE: Payload = {"object": "realtime.response", "id": _SPOKEN["response_id"], "output": []}
_REALTIME_ITEM: Payload = {
    "id": "item_E4GEYn560V3qYWXO8lsNM",
    "object": "realtime.item",
    "type": "message",
    "status": "in_progress",
    "role": "assistant",
    "content": [],
}
_REALTIME = Shape(
    "openai-realtime",
    _alone,
    _realtime_delta,
    (
        _realtime("response.created", response={**_REALTIME_RESPONSE, "status": "in_progress"}),
        _realtime("response.output_item.added", **_SPOKEN, item=_REALTIME_ITEM),
        _realtime(
            "response.content_part.added",
            **_SPOKEN,
            item_id=_REALTIME_ITEM["id"],
            content_index=0,
            part={"type": "text", "text": ""},
        ),
    ),
    (_realtime("response.done", response={**_REALTIME_RESPONSE, "status": "completed", "usage": None}),),
)


def _mistral(delta: Payload, finish: str | None, source: random.Random | None) -> Event:
    payload = {
        "id": "6dc321029f5d4aa5899c1b38c9657a61",
        "object": "chat.completion.chunk",
        "created": 1757759492,
        "model": "mistral-medium-2508",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return "", payload if source is None else {**payload, "p": _letters(source, 36)}


_MISTRAL = Shape(
    "mistral",
    _nameless,
    lambda _, text, source: _mistral({"content": text}, None, source),
    (_mistral({"role": "assistant", "content": ""}, None, None),),
    (_mistral({"content": ""}, "stop", None),),
    _DONE,
)


# -- google -----------------------------------------------------------------------


def _gemini(number: int, text: str, finish: str | None = None) -> Event:
    ended = {"finishReason": finish} if finish else {}
    prompt = [{"modality": "TEXT", "tokenCount": 14}]
    return "", {
        "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, **ended, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 14,
            "candidatesTokenCount": 10 * number + 8,
            "totalTokenCount": 10 * number + 93,
            "promptTokensDetails": prompt,
            "thoughtsTokenCount": 71,
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "qX1taKmBOf2rkdUPm5Xg8QI",
    }


def _spaced(payload: Payload) -> bytes:
    return json.dumps(payload, ensure_ascii=False).encode()


_GEMINI = Shape(
    "gemini",
    _carriage,
    lambda number, text, _: _gemini(number, text),
    tail=(_gemini(99_999, "", "STOP"),),
    tokens=10,
    written=_spaced,
)


def _gemini_array(name: str, count: int) -> Answer:
    shape = Shape("gemini", _item, _GEMINI.delta, (), _GEMINI.tail, b"\n]", 10, _indented)
    made = shape.answer(name, count)
    first, *others = [delta for delta in made.deltas if isinstance(delta, bytes)]
    deltas = [first.removeprefix(b"\n,\n"), *others]
    return Answer(name, made.format, [b"["], deltas, made.payloads, made.tail, made.text)


_INTERACTION: Payload = {
    "id": "v1_ChdMYVowTWFkZVVwRm9yVGVzdHNPbmx5EhdMYVowTWFkZVVwRm9yVGVzdHNPbmx5",
    "status": "in_progress",
    "object": "interaction",
    "model": "gemini-2.5-flash",
}


def _step(kind: str, **fields: Any) -> Event:
    return kind, {**fields, "event_type": kind}


_INTERACTIONS = Shape(
    "gemini-interactions",
    _named,
    lambda _, text, __: _step("step.delta", index=1, delta={"text": text, "type": "text"}),
    (
        _step("interaction.created", interaction=_INTERACTION),
        _step("step.start", index=1, step={"type": "model_output"}),
    ),
    (
        _step("step.stop", index=1),
        _step("interaction.completed", interaction={**_INTERACTION, "status": "completed"}),
    ),
    b"event: done\ndata: [DONE]\n\n",
    tokens=10,
)


_LIVE = Shape(
    "gemini-live",
    _alone,
    lambda _, text, __: ("", {"serverContent": {"modelTurn": {"parts": [{"text": text}]}}}),
    (("", {"setupComplete": {"sessionId": "s-1"}}),),
    (
        ("", {"serverContent": {"generationComplete": True}}),
        ("", {"serverContent": {"turnComplete": True}, "usageMetadata": {"totalTokenCount": 13}}),
    ),
    tokens=3,
    written=_indented,
)


# -- bedrock ----------------------------------------------------------------------


def _converse(name: str, source: random.Random | None = None, **fields: Any) -> Event:
    return name, {**fields, "p": "abcdefgh" if source is None else _letters(source, 62)}


_CONVERSE = Shape(
    "bedrock-converse",
    _binary,
    lambda _, text, source: _converse("contentBlockDelta", source, contentBlockIndex=0, delta={"text": text}),
    (_converse("messageStart", role="assistant"),),
    (
        _converse("contentBlockStop", contentBlockIndex=0),
        _converse("messageStop", stopReason="end_turn"),
        _converse(
            "metadata",
            metrics={"latencyMs": 7211},
            usage={"inputTokens": 11, "outputTokens": 236, "totalTokens": 247},
        ),
    ),
    tokens=3,
)


def _invoked(payload: Payload, source: random.Random | None = None) -> Event:
    inner = base64.b64encode(_compact(payload)).decode()
    return "chunk", {"bytes": inner, "p": "abcdefgh" if source is None else _letters(source, 62)}


_CLAUDE_HEAD: Payload = {
    "model": "claude-sonnet-4-20250514",
    "id": "msg_bdrk_01UdjYBBipA9omjYhicnevgq",
    "type": "message",
    "role": "assistant",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 22, "output_tokens": 1},
}
_METRICS: Payload = {"inputTokenCount": 22, "outputTokenCount": 33, "invocationLatency": 2481}
_CLAUDE = Shape(
    "bedrock-invoke",
    _binary,
    lambda _, text, source: _invoked(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}, source
    ),
    (
        _invoked({"type": "message_start", "message": _CLAUDE_HEAD}),
        _invoked({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ),
    (
        _invoked({"type": "content_block_stop", "index": 0}),
        _invoked(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 33},
            }
        ),
        _invoked({"type": "message_stop", "amazon-bedrock-invocationMetrics": _METRICS}),
    ),
    tokens=2,
)


def _llama(number: int, text: str, source: random.Random) -> Event:
    counts = {"prompt_token_count": None, "generation_token_count": number + 1}
    return _invoked({"generation": text, **counts, "stop_reason": None}, source)


_LLAMA = Shape(
    "bedrock-invoke",
    _binary,
    _llama,
    tail=(
        _invoked(
            {
                "generation": "",
                "prompt_token_count": None,
                "generation_token_count": 99_999,
                "stop_reason": "stop",
                "amazon-bedrock-invocationMetrics": _METRICS,
            }
        ),
    ),
)


# -- the others -------------------------------------------------------------------


def _cohere(kind: str, delta: Payload, **fields: Any) -> Event:
    return kind, {"type": kind, **fields, "delta": delta}


_COHERE = Shape(
    "cohere",
    _named,
    lambda _, text, __: _cohere("content-delta", {"message": {"content": {"text": text}}}, index=0),
    (
        (
            "message-start",
            {
                "id": "7d1b6a52-0c7e-4c55-8f0e-3f1f2c9a1b01",
                "type": "message-start",
                "delta": {"message": {"role": "assistant", "content": [], "tool_plan": ""}},
            },
        ),
        _cohere("content-start", {"message": {"content": {"type": "text", "text": ""}}}, index=0),
    ),
    (
        ("content-end", {"type": "content-end", "index": 0}),
        _cohere("message-end", {"finish_reason": "COMPLETE"}),
    ),
    _DONE,
)
_COHERE_1 = Shape(
    "cohere",
    _line,
    lambda _, text, __: ("", {"is_finished": False, "event_type": "text-generation", "text": text}),
    (("", {"is_finished": False, "event_type": "stream-start", "generation_id": "5c1f7d2e-3b4a"}),),
    (
        (
            "",
            {
                "is_finished": True,
                "event_type": "stream-end",
                "finish_reason": "COMPLETE",
                "response": {"text": "", "generation_id": "5c1f7d2e-3b4a", "finish_reason": "COMPLETE"},
            },
        ),
    ),
)


def _ollama(number: int, text: str, *, done: bool = False, **fields: Any) -> Event:
    # The clock of a machine that gives thirty tokens in a second.
    at = f"2025-05-19T09:{number // 1800 % 60:02}:{number // 30 % 60:02}.{number * 33_333_333 % 10**9:09}Z"
    said = {"role": "assistant", "content": text}
    return "", {"model": "llama3.2", "created_at": at, "message": said, **fields, "done": done}


_OLLAMA = Shape(
    "ollama",
    _line,
    lambda number, text, _: _ollama(number, text),
    tail=(_ollama(99_999, "", done=True, done_reason="stop", prompt_eval_count=17, eval_count=24),),
)


def _tgi(number: int, text: str, source: random.Random) -> Event:
    logprob = -round(source.random() * 4, 8)
    token = {"id": source.randrange(32_000), "text": text, "logprob": logprob, "special": False}
    return "", {"index": number + 1, "token": token, "generated_text": None, "details": None}


_TGI = Shape(
    "tgi",
    _tight,
    _tgi,
    tail=(
        (
            "",
            {
                "index": 99_999,
                "token": {"id": 2, "text": "</s>", "logprob": -0.1441, "special": True},
                "generated_text": "",
                "details": {"finish_reason": "eos_token", "generated_tokens": 11, "seed": None},
            },
        ),
    ),
)


def _ui(kind: str, **fields: Any) -> Event:
    return kind, {"type": kind, **fields}


_UI = Shape(
    "ui-message",
    _nameless,
    lambda _, text, __: _ui("text-delta", id="txt-0", delta=text),
    (_ui("start", messageId="msg-7KqZ2mVb"), _ui("start-step"), _ui("text-start", id="txt-0")),
    (_ui("text-end", id="txt-0"), _ui("finish-step"), _ui("finish", finishReason="stop")),
    _DONE,
)
_RUN_IDS = {"threadId": "thread-3", "runId": "run-9f"}
_AG = Shape(
    "ag-ui",
    _nameless,
    lambda _, text, __: _ui("TEXT_MESSAGE_CONTENT", messageId="m1", delta=text),
    (
        _ui("RUN_STARTED", **_RUN_IDS),
        _ui("TEXT_MESSAGE_START", messageId="m1", role="assistant"),
    ),
    (_ui("TEXT_MESSAGE_END", messageId="m1"), _ui("RUN_FINISHED", **_RUN_IDS)),
)


def _of_body(name: str, count: int) -> Answer:
    body = BODIES[name](count)
    head, deltas, tail = middle_of(body)
    ends = slice(len(head), len(head) + len(deltas))
    payloads = body.payloads[ends]
    return Answer(name, name, head, deltas, payloads, tail, body.text)


def _of_pieces(name: str, count: int) -> Answer:
    texts = tokens(count)
    return Answer(name, name, [], texts, [], [], "".join(texts))


def _of(shape: Shape) -> Callable[[str, int], Answer]:
    return shape.answer


ANSWERS: dict[str, Callable[[str, int], Answer]] = {
    "openai-chat": _of_body,
    "openai-chat, Mistral": _of(_MISTRAL),
    "openai-responses": _of(_RESPONSES),
    "openai-completions": _of(_COMPLETIONS),
    "openai-assistants": _of(_ASSISTANTS),
    "openai-realtime, messages": _of(_REALTIME),
    "anthropic": _of_body,
    "gemini, SSE": _of(_GEMINI),
    "gemini, JSON array": _gemini_array,
    "gemini-interactions": _of(_INTERACTIONS),
    "gemini-live, messages": _of(_LIVE),
    "bedrock-converse": _of(_CONVERSE),
    "bedrock-invoke, Claude": _of(_CLAUDE),
    "bedrock-invoke, Llama": _of(_LLAMA),
    "cohere, v2": _of(_COHERE),
    "cohere, v1": _of(_COHERE_1),
    "ollama": _of(_OLLAMA),
    "tgi": _of(_TGI),
    "ui-message": _of(_UI),
    "ag-ui": _of(_AG),
    "text": _of_body,
    "pieces": _of_pieces,
}


def chat_event() -> bytes:
    """Return a text delta of OpenAI's chat that is 256 bytes long: what others are compared with."""
    choice = {"index": 0, "delta": {"content": " stream"}, "logprobs": None, "finish_reason": None}
    event = {
        "id": "chatcmpl-DcaUEvrillZT3lpWBzIVgxXITgbiI",
        "object": "chat.completion.chunk",
        "created": 1778089090,
        "model": "gpt-4o-2024-08-06",
        "choices": [choice],
        "usage": None,
        "obfuscation": "",
    }
    hidden = _ALPHABET[: 256 - len(_compact(event))]
    return _compact({**event, "obfuscation": hidden})
