from unittest.mock import MagicMock

from app import ask_openai
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta


def chunk(
    *choices: Choice, usage: CompletionUsage | None = None
) -> ChatCompletionChunk:
    return ChatCompletionChunk(
        id="1",
        object="chat.completion.chunk",
        created=1,
        model="m",
        choices=list(choices),
        usage=usage,
    )


def test_the_pieces_are_shown() -> None:
    usage = CompletionUsage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
    client = MagicMock()
    client.chat.completions.create.return_value = [
        chunk(Choice(index=0, delta=ChoiceDelta(role="assistant", content=""))),
        chunk(Choice(index=0, delta=ChoiceDelta(content="Hel"))),
        chunk(Choice(index=0, delta=ChoiceDelta(content="lo"))),
        chunk(Choice(index=0, delta=ChoiceDelta(), finish_reason="stop")),
        chunk(usage=usage),
    ]

    assert ask_openai(client, "Hi") == ["Hel", "lo"]
