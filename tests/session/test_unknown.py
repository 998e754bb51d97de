"""An unknown message or field of a session changes nothing: neither texts, nor endings, nor connections."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest

from tests.session.servers import Chatty, Server, serving
from tests.session.talks import COLOURS, talking
from tests.session.test_seeds import CHATTY, SERVERS
from tests.support.effort import trials
from tokenstream import Retry

QUESTIONS = ("what the harbour is like", "who sails at noon", "which boat is red")


def hold(kind: str, colour: str, seed: int, *, is_odd: bool) -> tuple[list[Any], int]:
    """Hold a conversation whose connections break off; return what was heard, and their number."""
    chance = random.Random(seed)
    server: Server = (CHATTY if is_odd else SERVERS)[kind](pieces=chance.choice((3, 7, 40)))
    if isinstance(server, Chatty):
        server.chance.seed(seed)
    for _ in range(chance.randrange(1, 4)):
        server.hangups[chance.randrange(4, 60)] = chance.choice((1000, 1001, 1011, None))
    retry = Retry(attempts=5, again=chance.random() < 0.5, wait=0)
    heard: list[Any] = []
    with serving(server) as url, talking(colour, url, retry=retry) as talk:
        for question in QUESTIONS:
            answered = talk.ask(question)
            message = answered.message
            heard.append((answered.text, message.text, message.ending, type(answered.error)))
    return heard, len(server.lines)


@pytest.mark.few_rows(3)
@pytest.mark.parametrize(("kind", "colour"), [*product(SERVERS, COLOURS)])
def test_what_is_unknown_changes_nothing(kind: str, colour: str) -> None:
    for seed in range(2):
        assert hold(kind, colour, seed, is_odd=False) == hold(kind, colour, seed, is_odd=True)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(("kind", "colour"), [*product(SERVERS, COLOURS)])
def test_what_is_unknown_changes_nothing_in_many_conversations(kind: str, colour: str) -> None:
    for seed in range(2, 2 + trials(200, one_in=5)):
        assert hold(kind, colour, seed, is_odd=False) == hold(kind, colour, seed, is_odd=True)
