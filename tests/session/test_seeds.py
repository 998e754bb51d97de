"""Conversations go on over closures, interruptions and late events, with exact texts and single calls."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest

from tests.session.servers import Chatty, LiveServer, RealtimeServer, ResponsesServer, Server, serving
from tests.session.talks import COLOURS, Answered, talking
from tests.support.effort import trials
from tests.support.timing import own_threads, wait_for
from tokenstream import Retry, Router, StreamInterrupted, StreamTruncated

SERVERS = {"responses": ResponsesServer, "realtime": RealtimeServer, "live": LiveServer}
CHATTY: dict[str, type[Chatty]] = {
    kind: type(f"Chatty{server.__name__}", (Chatty, server), {}) for kind, server in SERVERS.items()
}
"""The same servers, which also send what is unknown."""
_CODES = (1000, 1001, 1011, 1012, None)


def is_exact(text: str, known: list[str], optional: set[str], question: str) -> bool:
    """Return True if an answer names all questions before it, once and in order, and then its own.

    Questions that were interrupted before anything was read may be among them.
    """
    if not text.startswith("I know: "):
        return False
    named = text.removeprefix("I know: ").split(" | ")
    while named and named[-1].startswith("["):
        # The result of the tool.
        named.pop()
    return (
        named[-1:] == [question]
        and [each for each in named[:-1] if not each.startswith("[") and each not in optional] == known
    )


def play(kind: str, colour: str, seed: int) -> None:
    """Hold one conversation, with whatever the seed brings about."""
    chance = random.Random(seed)
    server: Server = (SERVERS if seed % 2 else CHATTY)[kind](pieces=chance.choice((3, 7, 40)))
    if isinstance(server, LiveServer):
        server.gives_handles = chance.random() < 0.5
        server.says_go_away_after = {chance.randrange(1, 6)}
    # Not before the session is set up.
    for _ in range(chance.randrange(4)):
        server.hangups[chance.randrange(4, 120)] = chance.choice(_CODES)
    runs: list[str] = []
    router = Router()

    @router.tool
    def look_up(word: str) -> str:
        runs.append(word)
        return f"about {word}"

    known: list[str] = []
    optional: set[str] = set()
    settings = {"store": False} if kind == "responses" and chance.random() < 0.5 else None
    # By default, an answer that broke off too early to be continued is an error.
    again = kind == "live" or chance.random() < 0.5
    allowed = (type(None),) if again else (type(None), StreamInterrupted, StreamTruncated)
    options: dict[str, Any] = {
        "retry": Retry(attempts=6, again=again, wait=0),
        "settings": settings,
        "tools": router,
    }
    with serving(server) as url, talking(colour, url, **options) as talk:
        for number in range(chance.randrange(2, 7)):
            is_call = chance.random() < 0.3
            question = f"{'call:' if is_call else ''}q{number}"
            stop_after = chance.choice((None, None, 1, 2))
            played_ms = chance.choice((None, 0, 50, 10_000, -1))
            answered: Answered = talk.ask(
                question, stop_after=stop_after, played_ms=played_ms, router=router if is_call else None
            )
            whole = answered.message.text

            assert isinstance(answered.error, allowed)
            assert whole.startswith(answered.text) or answered.text.startswith(whole)
            if answered.message.complete:
                assert is_exact(whole, known, optional, question), (whole, known, question)
            if answered.message.parts or answered.message.complete:
                known.append(question)
            else:
                optional.add(question)
        session = talk.session

        assert [message.text for message in session.messages if message.text]
        assert session.rotations == len(server.lines) - 1
    wait_for(lambda: server.are_closed)
    assert len(runs) == len(set(runs))


@pytest.mark.few_rows(3)
@pytest.mark.slow_rows("live")
@pytest.mark.parametrize(("kind", "colour"), [*product(SERVERS, COLOURS)])
def test_a_conversation_survives_whatever_happens_to_its_connections(kind: str, colour: str) -> None:
    """Closures at any message with any code, interruptions, goAway and tools change no text and no call."""
    threads = own_threads()
    for seed in (0, 1, 2, 611, 612):
        play(kind, colour, seed)

    wait_for(lambda: own_threads() <= threads)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(("kind", "colour"), [*product(SERVERS, COLOURS)])
def test_hundreds_of_conversations(kind: str, colour: str) -> None:
    for seed in range(1_000, 1_000 + trials(30, one_in=5)):
        play(kind, colour, seed)
