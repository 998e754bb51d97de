"""The turn to read a connection: one run has it, nobody waits for one that is free, and none is lost."""

from __future__ import annotations

from threading import Event
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tokenstream.session._connection import AskedExchange, FairLock
from tokenstream.session._rounds import Question, Round


class Run:
    """One run of steps that wants the turn for the messages of its exchange."""

    def __init__(self, turn: FairLock) -> None:
        self.exchange = AskedExchange(Round(Question("one")), [])
        self.steps: Any = turn.take(exchange=self.exchange)
        self.wait: Any = None
        """The step that the run waits in; None if it does not wait."""
        self.has_turn = False

    def resume(self, error: Exception | None = None) -> None:
        """Go on, until the run waits, has the turn, or has ended without it."""
        try:
            self.wait = next(self.steps) if error is None else self.steps.throw(error)
        except StopIteration as end:
            self.wait, self.has_turn = None, end.value
        except TimeoutError:
            self.wait = None

    def cancel(self) -> None:
        self.steps.close()
        self.wait = None


@pytest.mark.slow
@given(st.data())
def test_the_turn_is_one_runs_and_never_lost(data: st.DataObject) -> None:
    turn = FairLock(Event)
    runs: list[Run] = []

    def among(kind: str) -> list[Run]:
        waiting = [run for run in runs if run.wait is not None]
        return {
            "begin": [Run(turn)],
            "give": [run for run in runs if run.has_turn],
            "resume": [run for run in waiting if run.wait.bell.is_set()],
        }.get(kind, waiting)

    def act(kind: str) -> None:
        run = data.draw(st.sampled_from(among(kind)))
        match kind:
            case "begin":
                runs.append(run)
                run.resume()
            case "give":
                run.has_turn = False
                turn.give()
            case "message":
                run.exchange.put(b"{}")
            case "timeout":
                run.resume(TimeoutError())
            case "cancel":
                run.cancel()
            case _:
                run.resume()
        # A run goes on to read only if there is nothing that it could read already.
        assert kind not in ("begin", "resume") or not (run.has_turn and run.exchange.messages)

    for _ in range(data.draw(st.integers(1, 40))):
        kinds = [kind for kind in ("begin", "give", "message", "timeout", "cancel", "resume") if among(kind)]
        act(data.draw(st.sampled_from(kinds)))
        assert len(among("give")) <= 1
    while among("resume"):
        act("resume")

    assert turn.is_taken == bool(among("give"))
    assert turn.is_taken or not among("waiting")


def test_the_turn_goes_to_the_run_that_has_waited_longest() -> None:
    turn = FairLock(Event)
    runs = [Run(turn) for _ in range(3)]
    order: list[int] = []
    for run in runs:
        run.resume()
    for _ in runs:
        holder = next(run for run in runs if run.has_turn)
        order.append(runs.index(holder))
        holder.has_turn = False
        turn.give()
        for run in runs:
            if run.wait is not None and run.wait.bell.is_set():
                run.resume()

    assert order == [0, 1, 2]
