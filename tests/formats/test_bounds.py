"""How much a server can make a format hold: `Limits` bounds parts, calls and choices in every format."""

from __future__ import annotations

from typing import Any

from tests.formats.a2a import support as a2a
from tests.formats.anthropic import payloads as anthropic
from tests.formats.bedrock import payloads as bedrock
from tests.formats.cohere import payloads as cohere
from tests.formats.gemini import payloads as gemini
from tests.formats.gemini_live import support as live
from tests.formats.ollama import support as ollama
from tests.formats.openai_chat import payloads as chat
from tests.formats.openai_realtime import payloads as realtime
from tests.formats.openai_responses import payloads as responses
from tests.formats.told import tell
from tests.support import registry
from tests.support.tables import in_one_test
from tokenstream.errors import LimitExceeded
from tokenstream.limits import Limits

TRANSCRIPTION = realtime.event("session.created", session={"type": "transcription"})


def many(make: Any) -> list[Any]:
    return [make(number) for number in range(9)]


@in_one_test(
    "format, bound, frames, calls",
    [
        ("a2a", "parts", many(lambda n: a2a.artifact(id=str(n))), 0),
        ("anthropic", "parts", [anthropic.start(), *many(anthropic.tool)], 0),
        ("bedrock-converse", "parts", [dict([bedrock.text(n, "a")]) for n in range(9)], 0),
        ("bedrock-converse", "parts", [dict([bedrock.text(n, "")]) for n in range(9)], 0),
        ("cohere", "parts", [cohere.start(), *many(cohere.block)], 0),
        ("gemini", "tool_calls", [gemini.chunk(gemini.call("f"))] * 9, 3),
        ("gemini", "parts", [gemini.chunk(gemini.text("a", thoughtSignature="c2ln"))] * 9, 0),
        ("gemini", "choices", many(lambda n: gemini.chunk(gemini.text("a"), index=n * 10**9)), 0),
        ("gemini-live", "parts", [live.inline(b"x", "image/png")] * 9, 0),
        ("ollama", "tool_calls", [ollama.said("", tool_calls=[ollama.CALL] * 9)], 3),
        ("openai-chat", "choices", many(lambda n: chat.text("a", choice=n)), 0),
        (
            "openai-chat",
            "tool_calls",
            [*many(lambda n: chat.call("{}", index=n, id=f"c{n}", name="f")), chat.FINISH],
            0,
        ),
        ("openai-chat", "tool_calls", [*many(lambda n: chat.call("{}", index=n)), chat.FINISH], 0),
        ("openai-realtime", "choices", many(lambda n: realtime.created(f"resp_{n}")), 0),
        ("openai-realtime", "parts", many(lambda n: realtime.added(item=f"i{n}", index=n)), 0),
        ("openai-realtime", "parts", many(lambda n: realtime.added(item=f"i{n}")), 0),
        (
            "openai-responses",
            "parts",
            many(lambda n: responses.added(responses.message(id=f"i{n}"), -(10**n))),
            0,
        ),
        (
            "openai-responses",
            "tool_calls",
            many(lambda n: responses.added(responses.call(id=f"i{n}"), -(10**n))),
            0,
        ),
        (
            "transcription",
            "parts",
            [TRANSCRIPTION, *many(lambda n: realtime.event("input_audio_buffer.committed", item_id=f"i{n}"))],
            0,
        ),
    ],
)
def test_a_format_holds_no_more_than_its_bound(
    format: str, bound: str, frames: list[Any], calls: int
) -> None:
    told = tell(registry.create(format, limits=Limits(**{bound: 3})), *frames)

    assert isinstance(told.error, LimitExceeded)
    assert (bound, calls) == (told.error.limit, len(told.calls))
