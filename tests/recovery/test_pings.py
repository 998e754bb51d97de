"""Heartbeats of an answer that takes several attempts: each is given when it arrives."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from tests.recovery.attempts import in_each_world, play
from tokenstream import Ping, Retry, TextDelta, testing

_PING = b": keep-alive\n\n"


def _with_pings(chunks: list[bytes]) -> list[bytes]:
    return [*chain.from_iterable((_PING, chunk) for chunk in chunks), _PING]


@in_each_world
@pytest.mark.parametrize("mode", ["restart", "resume"])
def test_each_heartbeat_is_given_before_and_after_a_break(world: str, mode: Any) -> None:
    """Also while the first events of an attempt are held back, and while a replay is compared."""
    whole = testing.script().text("Hello ", "wonderful ", "world").finish("stop").chunks("openai-responses")
    broken, again = _with_pings(whole[:6]), _with_pings(whole[2:] if mode == "resume" else whole)
    played = play(world, [broken, again], Retry(mode=mode, wait=0), format="openai-responses", pings=True)
    kinds = [type(event) for event in played.given]

    assert played.error is None
    assert "Hello wonderful world" == played.message.text
    assert [*broken, *again].count(_PING) == kinds.count(Ping)
    # The first one comes although nothing of the answer is shown yet.
    assert kinds.index(Ping) < kinds.index(TextDelta)
