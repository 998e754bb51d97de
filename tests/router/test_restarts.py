"""A restarted answer has other ids and words: the results of tools that have run stay with their calls."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Retry, Router, Stream, Tools, aresilient, resilient, testing
from tokenstream.call_store import MemoryCallStore
from tokenstream.errors import CallsDiffer, MisuseError, StreamError
from tokenstream.events import Restarted
from tokenstream.turns import ToolResults

FORMATS = ("openai-chat", "anthropic", "openai-responses", "bedrock-converse")
ANN = '{"to": "ann", "usd": 100}'
BEN = '{"to": "ben", "usd": 7}'
EVE = '{"to": "eve", "usd": 7}'
RETRY = Retry(again=True, wait=0, attempts=2)
STORES: dict[str, Callable[[], Any]] = {
    "no store": lambda: None,
    "store": MemoryCallStore,
    "list": lambda: MemoryCallStore(same_calls=True),
}


def answer(format: str, *calls: str, name: str) -> list[bytes]:
    """Return an answer with calls, whose ids begin with a name of the attempt."""
    script = testing.script().text("I pay ", "now.")
    for number, text in enumerate(calls):
        script = script.tool_call("transfer", text, id=f"{name}_{number}")
    return script.usage(input_tokens=9, output_tokens=9).finish().chunks(format)


class Bank:
    """A tool that notes what it has sent, to be run by a router or in a loop."""

    def __init__(self, store: str) -> None:
        self.sent = Counter[str]()
        self.store: Any = STORES[store]()
        self.router = Router(once=self.store)
        self.router.tool(self.transfer)

    def transfer(self, to: str, usd: float, memo: str = "") -> str:
        self.sent[to] += 1
        return f"sent {usd:g} to {to}{memo}"

    def run(self, bodies: list[list[bytes]], format: Any) -> ToolResults:
        with resilient(self.opener(bodies), RETRY, format=format, job="job 7") as stream:
            return stream.run(self.router)

    def run_async(self, bodies: list[list[bytes]], format: Any) -> ToolResults:
        async def run() -> ToolResults:
            async with aresilient(self.opener(bodies), RETRY, format=format, job="job 7") as stream:
                return await stream.run(self.router)

        return asyncio.run(run())

    def loop(self, bodies: list[list[bytes]], format: Any) -> ToolResults:
        """Run the calls one by one; after an error, take the results so far, as a router does."""
        results = dict[str, Any]()
        with resilient(self.opener(bodies), RETRY, format=format, job="job 7") as stream:
            try:
                for call in stream.validated_calls(self.transfer, once=self.store):
                    results[call.id] = call.run()
            except (StreamError, CallsDiffer) as error:
                kept: Any = error
                kept.tool_results = ToolResults.so_far(error.partial, results)
                raise
            return ToolResults(stream.message, results)

    @staticmethod
    def opener(bodies: list[list[bytes]]) -> Any:
        left = iter(bodies)
        return lambda: next(left)


def cuts(format: str) -> Iterator[tuple[list[bytes], str]]:
    """Give the first answer, broken off behind each of its events."""
    whole = answer(format, ANN, BEN, name="first")
    for count in range(1, len(whole)):
        yield whole[:count], f"{format}, broken off behind event {count}"


def check_whole(results: ToolResults, bank: Bank, where: str) -> None:
    """Check that each transfer has its result, in turns that the next request can have."""
    turns = json.dumps(results.turns(drop="all"))
    assert {f"sent {100 if to == 'ann' else 7} to {to}" for to in bank.sent} == {*results.values()}, where
    for id in results:
        assert 2 == turns.count(f'"{id}"'), where
    assert {1} >= {*bank.sent.values()}, where


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("how", ["run", "run_async", "loop"])
@in_one_test(
    ("format", "again"),
    [
        (format, again)
        for format in FORMATS
        for again in (ANN, '{"usd": 100, "to": "ann"}', '{"to": "ann", "usd": 1e2, "memo": ""}')
    ],
    by=lambda format, _: format,
    slow=FORMATS[1:],
)
def test_calls_that_come_again_have_their_results_under_the_ids_of_the_new_answer(
    store: str, how: str, format: str, again: str
) -> None:
    for first, where in cuts(format):
        bank = Bank(store)
        results = getattr(bank, how)([first, answer(format, again, BEN, name="second")], format)

        assert ["ann", "ben"] == sorted(bank.sent), where
        check_whole(results, bank, where)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("how", ["run", "run_async", "loop"])
@in_one_test(
    ("format", "calls"),
    [(format, calls) for format in FORMATS for calls in ((ANN, EVE), (ANN,), (EVE, BEN), ())],
    by=lambda format, _: format,
    slow=FORMATS[1:],
)
def test_an_answer_that_differs_ends_with_the_results_of_all_tools_that_have_run(
    store: str, how: str, format: str, calls: tuple[str, ...]
) -> None:
    """The error is the one that broke the first answer off, or that of the list; never one of the results."""
    for first, where in cuts(format):
        bank = Bank(store)
        try:
            results = getattr(bank, how)([first, answer(format, *calls, name="second")], format)
        except (StreamError, CallsDiffer) as error:
            results = getattr(error, "tool_results")  # noqa: B009 - `CallsDiffer` declares no such attribute
        check_whole(results, bank, where)


def test_results_and_errors_are_taken_and_given_under_either_id() -> None:
    first = next(body for body, _ in cuts("openai-chat") if b"first_1" in body[-1])
    bodies = [first, answer("openai-chat", ANN, BEN, name="second")]
    with resilient(Bank.opener(bodies), RETRY, job="job 7") as stream:
        assert ["first_0", "second_1"] == [call.id for call in stream.tool_calls]
        message = stream.message

    for each in (message, pickle.loads(pickle.dumps(message))):
        results = ToolResults(each, {"first_0": "no", "second_1": "sent"}, errors=["first_0"])
        assert {"second_0": "no", "second_1": "sent"} == dict(results)
        assert {"second_0"} == results.errors
        assert "no" == results["first_0"] == results["second_0"]
        with pytest.raises(MisuseError, match="'first_1' has no result"):
            ToolResults(each, {"first_0": "no", "first_1": "sent"})


@pytest.mark.parametrize("reader", [Stream, AsyncStream])
def test_a_run_that_is_stopped_in_the_new_answer_keeps_the_results(reader: type) -> None:
    bank, seen = Bank("no store"), list[str]()
    *_, (first, _), (_, _) = cuts("openai-chat")
    bodies = [first[:-1], answer("openai-chat", ANN, BEN, name="second")]
    streams = list[Stream | AsyncStream]()

    @bank.router.on(Restarted)
    def stop(event: Restarted) -> None:
        seen.append(type(event).__name__)
        streams[0].stop()

    async def run() -> ToolResults:
        async with aresilient(Bank.opener(bodies), RETRY, job="job 7") as stream:
            streams.append(stream)
            return await stream.run(bank.router)

    if reader is AsyncStream:
        results = asyncio.run(run())
    else:
        with resilient(Bank.opener(bodies), RETRY, job="job 7") as stream:
            streams.append(stream)
            results = stream.run(bank.router)

    assert ["Restarted"] == seen
    assert {"first_0": "sent 100 to ann"} == dict(results)
    assert "first_0" == results.message.tool_calls[0].id
    check_whole(results, bank, "stopped")


@pytest.mark.parametrize("why", ["restart", "list"])
def test_a_tool_that_runs_while_the_answer_turns_out_to_be_another_one_ends(why: str) -> None:
    store = MemoryCallStore(same_calls=True) if why == "list" else None
    router, ended = Router(once=store), list[str]()

    @router.tool
    async def transfer(to: str, usd: float) -> str:
        await asyncio.sleep(0.05)
        ended.append(to)
        return f"sent {usd:g} to {to}"

    other = answer("openai-chat", ANN, EVE, name="second")
    if store is not None:
        # Another process has read the first answer, and died before it has run a call.
        first = answer("openai-chat", ANN, BEN, name="first")
        names = Tools(transfer=lambda to, usd: f"{to} {usd}")
        assert 2 == len([*Stream(first, job="job 7").validated_calls(names, once=store)])
        bodies = [other]
    else:
        first = next(body for body, _ in cuts("openai-chat") if b"first_1" in body[-1])
        bodies = [first, answer("openai-chat", EVE, name="second")]

    async def run() -> ToolResults:
        async with aresilient(Bank.opener(bodies), RETRY, job="job 7") as stream:
            return await stream.run(router)

    with pytest.raises(CallsDiffer if why == "list" else StreamError) as caught:
        asyncio.run(run())

    assert ["ann"] == ended
    assert ["sent 100 to ann"] == [*getattr(caught.value, "tool_results").values()]  # noqa: B009 - as above
