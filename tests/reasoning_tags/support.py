"""Messages whose text holds reasoning between tags."""

from __future__ import annotations

from typing import Any

from tokenstream import Decoder, Message, testing
from tokenstream.events import Event


def decoded(chunks: list[bytes], **options: Any) -> tuple[Decoder, list[Event]]:
    decoder = Decoder(**options)
    events = [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.end()
    return decoder, events


def parts_of(message: Message) -> list[tuple[str, str]]:
    return [
        (part.kind, str(getattr(part, "text", None) or getattr(part, "arguments_text", "")))
        for part in message.parts
    ]


SCRIPT = (
    testing.script()
    .text("\n<think>\nLet me", *[" see"] * 40, ".</thi", "nk>\n\nHello ", *["world "] * 40, "`<think>` is")
    .tool_call("now", {"zone": "UTC", "at": "x" * 50})
    .text("and <THINK>more</think>\nbye")
    .usage(input_tokens=1, output_tokens=2)
    .finish("tool_calls")
)
MARKUPS = {
    # The opening, the end, and what stands around the answer behind it.
    "think": ("<think>\n", "\n</think>\n\n", "", ""),
    "think, Hunyuan": ("<think>\n", "\n</think>\n", "<answer>\n", "\n</answer>"),
    "think, Ernie": ("<think>\n", "\n</think>\n\n", "<response>\n", "\n</response>\n"),
    "thinking": ("<thinking>", "</thinking>", "", ""),
    "thought": ("<thought>", "</thought>", "", ""),
    "reasoning": ("<reasoning>", "</reasoning>", "", ""),
    "mm:think": ("<mm:think>", "</mm:think>", "", ""),
    "seed:think": ("<seed:think>", "</seed:think>", "", ""),
    "k2_horizon": ("<ifm|think>", "</ifm|think>", "", ""),
    "gemma4": ("<|channel>thought\n", "\n<channel|>", "", ""),
    "mistral": ("[THINK]", "[/THINK]", "", ""),
    "apertus": ("<|inner_prefix|>", "<|inner_suffix|>", "", ""),
    "cohere": ("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    "kimi_k3": (
        "<|open|>think<|sep|>",
        "<|close|>think<|sep|>",
        "<|open|>response<|sep|>",
        "<|close|>response<|sep|><|close|>message<|sep|>",
    ),
    "inkling": (
        "<|content_thinking|>",
        "<|end_message|>",
        "<|message_model|><|content_text|>",
        "<|end_message|>",
    ),
    "harmony": (
        "<|channel|>analysis<|message|>",
        "<|end|>",
        "<|start|>assistant<|channel|>final<|message|>",
        "<|return|>",
    ),
}
"""The markups of reasoning, as models write them, by their names."""
