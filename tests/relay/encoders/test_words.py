"""The finish reasons that an encoder writes and those that its format reads are held to each other.

Neither is derived from the other: a format reads many words for a reason, and an encoder writes one.
"""

from __future__ import annotations

from tests.support import encoders, registry
from tests.support.tables import in_one_test
from tokenstream.message import FinishReason
from tokenstream.relay import ProtocolName

READ_WITH_MORE: dict[str, str] = {
    "openai-responses": "the status is read together with the details of an incomplete response",
    "openai-realtime": "as openai-responses",
    "bedrock-invoke": "the words are those of the format that it wraps",
    "text": "bare text has no finish reasons",
    "tokenstream": "the words are the library's own",
}
"""Protocols whose words are not read by one table, each with the reason."""
NO_MEANING: dict[str, set[FinishReason]] = {"gemini": {"unknown"}, "ui-message": {"unknown"}}
"""Reasons whose words say that there is no other one: they are read as unknown, as any other word is."""
_IMITATED: set[FinishReason] = {"stop_sequence", "refusal", "pause", "cancelled", "error"}
NOT_WRITTEN: dict[str, tuple[set[FinishReason], str]] = {
    "openai-chat": (_IMITATED, "only servers that imitate OpenAI send words for them"),
    "openai-completions": ({"tool_calls", *_IMITATED}, "as openai-chat; the legacy API has no calls"),
    "cohere": ({"cancelled", "error"}, "an answer that fails is sent as a failure"),
    "gemini-interactions": ({"error"}, "a failed interaction is sent as a failure"),
    "ollama": ({"tool_calls"}, "an answer with calls ends with `stop`"),
}
"""Reasons that a format reads and its encoder never writes, with why."""

TABLES = [name for name in encoders.names() if name not in READ_WITH_MORE]


@in_one_test("name", TABLES)
def test_a_word_that_is_written_is_read_as_the_same_reason(name: ProtocolName) -> None:
    read = registry.load(name).finish_reasons
    written = {
        reason: word
        for reason, word in encoders.load(name).words.items()
        if reason not in NO_MEANING.get(name, set())
    }

    assert written == {reason: word for reason, word in written.items() if read.get(word) == reason}


@in_one_test("name", TABLES)
def test_a_reason_that_is_read_can_be_written(name: ProtocolName) -> None:
    encoder = encoders.load(name)
    stood_in = {"content_filter", "refusal"} if encoder.stand_in else set[str]()
    unwritten = set(registry.load(name).finish_reasons.values()) - {*encoder.words} - stood_in

    assert unwritten - {"unknown"} == NOT_WRITTEN.get(name, (set(), ""))[0]
