"""Answers with a tool call, cut at every byte before their end is known, and what a reader makes of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tests.compare.conformance.digest import digest_of
from tests.support import wire
from tests.support.texts import pieces_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.compare.conformance.answers import Answer

ARGUMENTS = {"path": "/srv/x", "force": True}
_TEXT = '{"path": "/srv/x", "force": true}'


@dataclass(frozen=True)
class CutAnswer:
    """An answer in one format; the frames from `last` on say that it is over."""

    format: str
    frames: list[tuple[bytes, str]]
    """Each frame with the text that it adds to the answer."""
    last: int
    """Which frame is the first to say so, counted from 0."""

    @property
    def body(self) -> bytes:
        return b"".join([frame for frame, _ in self.frames])

    def cuts(self) -> range:
        """Return the lengths at which the answer is cut: until its end has come whole, but for line ends."""
        before = sum(len(frame) for frame, _ in self.frames[: self.last])
        return range(before + len(self.frames[self.last][0].rstrip(b"\r\n")))

    def text_before(self, cut: int) -> str:
        """Return the text of the frames that came whole."""
        said: list[str] = []
        for frame, text in self.frames:
            cut -= len(frame)
            if cut < 0:
                break
            said.append(text)
        return "".join(said)


def _chat() -> CutAnswer:
    frames = [
        (wire.chat({"role": "assistant", "content": "Hel"}), "Hel"),
        (wire.chat({"content": "lo"}), "lo"),
        (wire.chat(wire.chat_call(0, "", id="call_1", name="rm")), ""),
        *((wire.chat(wire.chat_call(0, piece)), "") for piece in pieces_of(_TEXT, 5)),
        (wire.chat({}, "tool_calls"), ""),
        (wire.chat_usage(7, 21), ""),
        (wire.DONE, ""),
    ]
    return CutAnswer("openai-chat", frames, len(frames) - 3)


def _claude() -> CutAnswer:
    delta = {"stop_reason": "tool_use", "stop_sequence": None}
    frames = [
        (wire.claude_start(), ""),
        (wire.claude_open(0, type="text", text=""), ""),
        (wire.claude_delta(0, "text_delta", text="Hel"), "Hel"),
        (wire.claude_delta(0, "text_delta", text="lo"), "lo"),
        (wire.claude_close(0), ""),
        (wire.claude_open(1, type="tool_use", id="toolu_1", name="rm", input={}), ""),
        *(
            (wire.claude_delta(1, "input_json_delta", partial_json=piece), "")
            for piece in pieces_of(_TEXT, 5)
        ),
        (wire.claude_close(1), ""),
        (wire.claude("message_delta", delta=delta, usage={"output_tokens": 21}), ""),
        (wire.claude("message_stop"), ""),
    ]
    return CutAnswer("anthropic", frames, len(frames) - 2)


def gemini_payload(*parts: dict[str, Any], finish: str | None = None, **extra: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [*parts], "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 21, "totalTokenCount": 28}
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini-3.5-flash",
        "responseId": "resp-1",
        **extra,
    }


def _gemini() -> CutAnswer:
    call = {"functionCall": {"name": "rm", "args": ARGUMENTS, "id": "call_1"}}
    frames = [
        (wire.sse(gemini_payload({"text": "Hel"})), "Hel"),
        (wire.sse(gemini_payload({"text": "lo"})), "lo"),
        (wire.sse(gemini_payload(call)), ""),
        (wire.sse(gemini_payload({"text": ""}, finish="STOP")), ""),
    ]
    return CutAnswer("gemini", frames, len(frames) - 1)


ANSWERS = {answer.format: answer for answer in (_chat(), _claude(), _gemini())}
"""The answer that is cut, of each format. It calls `rm` once, with `ARGUMENTS`."""


@dataclass
class CutTally:
    """What a reader made of the cuts of one answer."""

    cuts: int = 0
    taken_for_whole: int = 0
    """No error: the documented way of reading ended as it does for a whole answer."""
    finish_made_up: int = 0
    """Of these, with a finish reason that means a good end, though none had been sent."""
    wrong_call: int = 0
    """A call was handed out with JSON arguments that are not those of the answer."""
    unreadable_call: int = 0
    """A call was handed out with arguments that are no JSON, without an error."""
    text_lost: int = 0
    """Text that stood in a frame that had come whole was not given."""

    def plain(self) -> dict[str, int]:
        return asdict(self)


_GOOD_ENDS = {"stop", "tool_calls", "tool-calls", "tool_use", "end_turn", "STOP"}


def tally(answer: CutAnswer, cuts: Sequence[int], told: Sequence[Answer]) -> CutTally:
    """Count what a reader told of an answer that was cut at these places."""
    counted = CutTally(cuts=len(cuts))
    for cut, said in zip(cuts, told, strict=True):
        silent = said.error is None
        counted.taken_for_whole += silent
        counted.finish_made_up += silent and said.finish in _GOOD_ENDS
        counted.wrong_call += any(call.valid and call.arguments != ARGUMENTS for call in said.calls)
        counted.unreadable_call += silent and any(not call.valid for call in said.calls)
        counted.text_lost += not said.text.startswith(answer.text_before(cut))
    return counted


def digest() -> str:
    return digest_of([[answer.format, answer.body.hex(), answer.last] for answer in ANSWERS.values()])
