"""A purse: what many answers may cost together, in threads, in processes, and over kills."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.recovery.attempts import in_each_world
from tests.recovery.routes.providers import TRUTH, Behaviour, Provider
from tests.support.either import Each, connect_in, inside, read_whole, run_in
from tests.support.redis_servers import RedisServer
from tests.support.tables import in_one_test
from tokenstream import Purse, Retry, Route, Routes, Usage, aconnect, connect, resilient
from tokenstream.errors import MisuseError, OutputIncomplete, PurseUnavailable, StreamTruncated
from tokenstream.recovery._purse import Amount

CHAT = "https://chat.test/v1/chat/completions"
PAYLOAD: dict[str, Any] = {"model": "m", "messages": [], "stream": True, "max_tokens": 60}
TAKEN = math.ceil(len(json.dumps(PAYLOAD, separators=(",", ":"))) / 2) + 60
"""What is taken for a request of one token of input for every two bytes, and 60 of output."""
COST = 27
"""What each answer costs by the provider's count."""


def price(usage: Usage) -> float:
    return float((usage.input_tokens or 0) + (usage.output_tokens or 0))


def ask(world: str, purse: Purse, provider: Provider, **options: Any) -> str:
    route = Route(CHAT, json=PAYLOAD, price=price, client=provider.client(is_async=world != "sync"))
    retry = Retry(most=purse, wait=0, **options)
    text: str = read_whole(world, lambda: connect_in(world)(route, retry=retry)).message.text
    return text


class TestAPurse:
    """Takes what a request may cost, and puts back what its answer has not cost."""

    @in_each_world
    def test_has_spent_what_the_answers_have_cost(self, world: str, make: Callable[..., Purse]) -> None:
        purse, provider = make(most=TAKEN + 2 * COST, tokens=10_000), Provider("openai-chat")

        for number in range(3):
            assert ask(world, purse, provider) == TRUTH
            assert (purse.spent, purse.tokens_spent) == ((number + 1) * COST, (number + 1) * COST)
        with pytest.raises(OutputIncomplete, match=rf"may take {TAKEN:g}.* of the {TAKEN - COST:g} and"):
            ask(world, purse, provider)

        assert len(provider.requests) == 3
        assert purse.spent == 3 * COST

    @in_each_world
    def test_bounds_tokens_without_any_price(self, world: str) -> None:
        """A model of one's own costs nothing, but has only so much time."""
        purse, provider = Purse(tokens=int(TAKEN) + 40), Provider("openai-chat")

        assert ask(world, purse, provider) == TRUTH
        assert ask(world, purse, provider) == TRUTH
        with pytest.raises(OutputIncomplete, match="tokens"):
            ask(world, purse, provider)

    @in_each_world
    def test_takes_for_each_attempt_and_books_what_the_broken_one_has_brought(self, world: str) -> None:
        """A request that was refused has cost nothing."""
        plan = Behaviour("status"), Behaviour("early_end", 9)
        purse, provider = Purse(most=1_000), Provider("openai-chat", *plan)

        assert ask(world, purse, provider, attempts=3, mode="restart") == TRUTH
        assert len(provider.requests) == 3
        assert COST < purse.spent < 3 * COST + 10

    def test_raises_with_the_partial_answer_if_the_next_attempt_has_no_room(self) -> None:
        purse, provider = Purse(most=TAKEN), Provider("openai-chat", Behaviour("early_end", 9))

        with pytest.raises(OutputIncomplete, match="not sent") as caught:
            ask("sync", purse, provider, attempts=3, mode="restart")

        assert TRUTH.startswith(caught.value.partial.text)
        assert caught.value.partial.text
        assert len(provider.requests) == 1
        assert 0 < purse.spent < TAKEN

    @in_each_world
    def test_books_the_estimate_of_an_answer_that_the_program_stops(self, world: str) -> None:
        """What was taken is put back although nobody has read the answer to its end."""
        purse, provider = Purse(most=1_000), Provider("openai-chat")
        route = Route(CHAT, json=PAYLOAD, price=price, client=provider.client(is_async=world != "sync"))

        async def read() -> None:
            async with inside(connect_in(world)(route, retry=Retry(most=purse))) as stream:
                async for _ in Each(stream.text):
                    break

        run_in(world, read)

        assert 0 < purse.spent < TAKEN

    def test_takes_for_a_hedge_beside_the_first_request(self) -> None:
        for most, asked in ((3 * TAKEN, 1), (TAKEN + 1, 0)):
            slow, other = Provider("openai-chat"), Provider("anthropic")
            if asked:
                slow.when = lambda: other.requests  # noqa: B023 - it is asked before the next round
            else:
                slow.delay = 0.2
            purse = Purse(most=most)
            second = other.route(is_async=True, price=price)
            second.json = {**other.payload, "max_tokens": 60}
            text = ask("asyncio", purse, slow, routes=Routes(second, hedge_after=0.02))

            assert text == TRUTH
            assert len(other.requests) == asked
            assert COST <= purse.spent <= most

    @in_one_test(
        "options, words",
        [
            ({}, "without a bound"),
            ({"most": 0}, "most="),
            ({"tokens": 1.5}, "tokens="),
            ({"most": 1, "file": "a", "redis": object()}, "in one place"),
            ({"most": 1, "redis": object()}, "redis.Redis"),
            ({"tokens": 9, "price": price}, "price= is a function"),
            ({"most": 9, "price": 3}, "price= is a function"),
        ],
    )
    def test_that_can_bound_nothing_is_refused(self, options: Any, words: str) -> None:
        with pytest.raises(MisuseError, match=words):
            Purse(**options)

    def test_needs_an_output_limit(self) -> None:
        """Nobody knows what an answer without one may cost; nothing is sent."""
        provider = Provider("openai-chat")
        with (
            pytest.raises(MisuseError, match="output limit"),
            connect(provider.route(price=price), retry=Retry(most=Purse(most=1))) as stream,
        ):
            stream.final()

        assert provider.requests == []

    @in_one_test(
        "cost, error, words",
        [
            (lambda _: None, MisuseError, "needs a cost"),
            (lambda _: -1.0, MisuseError, "0 or more"),
            (lambda _: dict[str, float]()["m"], KeyError, "m"),
        ],
    )
    def test_needs_a_cost_before_anything_is_sent(self, cost: Any, error: Any, words: str) -> None:
        """An exception of the function that computes it is raised as it is."""
        provider = Provider("openai-chat")
        route = Route(CHAT, json=PAYLOAD, price=cost, client=provider.client())
        with pytest.raises(error, match=words), connect(route, retry=Retry(most=Purse(most=1_000))) as stream:
            stream.final()

        assert provider.requests == []

    def test_needs_a_price_for_the_request_of_a_function(self) -> None:
        """Nothing says which model it asks; the error says where a price goes."""
        for most in (1.0, Purse(most=1.0)):
            with pytest.raises(MisuseError, match=r"names no model.*Purse\(most=…, price=…\)"):
                resilient(lambda: [b""], Retry(most=most))

    def test_refuses_a_file_of_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "notes").write_text("Buy milk")

        with pytest.raises(MisuseError, match="not the file of a Purse"):
            ask("sync", Purse(most=1_000, file=tmp_path / "notes"), Provider("openai-chat"))

        assert (tmp_path / "notes").read_text() == "Buy milk"

    def test_that_cannot_be_reached_sends_nothing(self, tmp_path: Path) -> None:
        provider, purse = Provider("openai-chat"), Purse(most=1_000, file=tmp_path / "no" / "purse")
        with pytest.raises(PurseUnavailable, match="file cannot be used now") as caught:
            ask("sync", purse, provider)
        with pytest.raises(PurseUnavailable):
            str(purse)

        assert isinstance(caught.value.__cause__, FileNotFoundError)
        assert provider.requests == []

    def test_that_is_gone_after_the_answer_keeps_what_was_taken(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        purse, folder = Purse(most=1_000, file=tmp_path / "there" / "purse"), tmp_path / "there"
        folder.mkdir()
        provider = Provider("openai-chat")

        with connect(
            Route(CHAT, json=PAYLOAD, price=price, client=provider.client()), retry=Retry(most=purse)
        ) as stream:
            next(stream.text)
            folder.rename(tmp_path / "gone")
            assert stream.final().text == TRUTH

        assert "was not booked" in caplog.text
        assert Purse(most=1_000, file=tmp_path / "gone" / "purse").spent == TAKEN

    def test_that_is_emptied_while_an_answer_arrives_has_spent_nothing(
        self, tmp_path: Path, server: RedisServer
    ) -> None:
        """What is put back then is no money for the next answer, and the file can be read."""
        with Redis(unix_socket_path=server.path) as client:
            for purse, empty in (
                (Purse(most=1_000, file=tmp_path / "purse"), (tmp_path / "purse").unlink),
                (Purse(most=1_000, redis=client), client.flushall),
            ):
                route = Route(CHAT, json=PAYLOAD, price=price, client=Provider("openai-chat").client())
                with connect(route, retry=Retry(most=purse)) as stream:
                    next(stream.text)
                    empty()
                    assert stream.final().text == TRUTH
                assert (purse.spent, purse.tokens_spent) == (0, 0)

    def test_in_redis_is_changed_once_if_a_reply_is_lost(self, server: RedisServer) -> None:
        """A client of Redis sends a command again if its reply is lost."""

        class LosesReplies(Redis):
            def eval(self, *arguments: Any) -> Any:
                super().eval(*arguments)
                return super().eval(*arguments)

        with LosesReplies(unix_socket_path=server.path) as client:
            client.flushall()
            purse = Purse(most=1_000, redis=client)
            assert ask("sync", purse, Provider("openai-chat")) == TRUTH
            assert purse.spent == COST

    def test_waits_for_its_file_in_a_thread(self, tmp_path: Path) -> None:
        """Other tasks go on while another process has locked it."""
        fcntl = pytest.importorskip("fcntl")
        path = tmp_path / "purse"

        async def unlock(file: Any) -> None:
            for _ in range(20):
                await anyio.sleep(0.001)
            fcntl.flock(file, fcntl.LOCK_UN)

        async def read(file: Any) -> None:
            provider = Provider("openai-chat")
            route = Route(CHAT, json=PAYLOAD, price=price, client=provider.client(is_async=True))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(unlock, file)
                async with aconnect(route, retry=Retry(most=Purse(most=1_000, file=path))) as stream:
                    await stream.final()

        with path.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Only a loop that waits for the file itself needs it.
            bound = threading.Timer(30, fcntl.flock, (file, fcntl.LOCK_UN))
            bound.start()
            anyio.run(read, file)
            assert bound.is_alive()
            bound.cancel()


AMOUNTS = st.builds(Amount, st.integers(0, 40), st.integers(0, 40))


class TestTheLaws:
    """A purse adds up exactly, and never beyond its bounds."""

    @given(
        changes=st.lists(st.tuples(AMOUNTS, st.booleans())),
        most=st.integers(1, 99) | st.none(),
        tokens=st.integers(1, 99),
    )
    def test_a_change_is_made_if_and_only_if_there_is_room(
        self, tmp_path_factory: pytest.TempPathFactory, changes: Any, most: int | None, tokens: int
    ) -> None:
        bounds: dict[str, Any] = {"most": None if most is None else most / 1e9, "tokens": tokens}
        path = tmp_path_factory.mktemp("purse") / "file"
        purses, sums = (Purse(**bounds), Purse(file=path, **bounds)), Amount()
        for change, bounded in changes:
            total = sums.plus(change)
            fits = (most is None or total.money <= most) and total.tokens <= tokens
            sums = total if fits or not bounded else sums
            assert {purse.add(change, bounded=bounded) for purse in purses} == {(fits or not bounded, sums)}

    @given(cost=st.floats(0, 1e6))
    def test_a_cost_is_never_rounded_down(self, cost: float) -> None:
        assert cost * (1 - 1e-15) - 1e-12 <= Amount.of(cost, 0).cost <= cost + 2e-9 + cost * 1e-15

    def test_threads_that_take_at_once_never_pass_the_bound(self, make: Callable[..., Purse]) -> None:
        purse = make(tokens=200)
        with ThreadPoolExecutor(8) as pool:
            taken = pool.map(lambda _: purse.add(Amount(0, 1), bounded=True)[0], range(300))

            assert sum(taken) == 200
        assert purse.tokens_spent == 200

    @pytest.mark.parametrize("kind", ["file", "redis"])
    def test_processes_that_take_at_once_never_pass_the_bound(
        self, kind: str, tmp_path: Path, server: RedisServer
    ) -> None:
        """Four take one token at a time, until nothing is left; one is killed meanwhile."""
        program = f"""
from redis import Redis
from tokenstream import Purse
from tokenstream.recovery._purse import Amount
redis = Redis(unix_socket_path={server.path!r}) if {kind!r} == "redis" else None
purse = Purse(tokens=500, redis=redis, file={str(tmp_path / "purse")!r} if redis is None else None)
print("ready", flush=True)
input()
while purse.add(Amount(0, 1), bounded=True)[0]:
    print("taken", flush=True)
"""
        with Redis(unix_socket_path=server.path) as client:
            client.flushall()
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(4)
        ]
        try:
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
            time.sleep(0.02)
            processes[0].send_signal(signal.SIGKILL)
            told = [process.communicate()[0].count("taken") for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        with Redis(unix_socket_path=server.path) as client:
            purse = Purse(tokens=500, redis=client if kind == "redis" else None, file=None)
            if kind == "file":
                purse = Purse(tokens=500, file=tmp_path / "purse")
            assert purse.tokens_spent == 500
        # The killed one may have taken one more than it has said.
        assert sum(told) in (499, 500)


def test_a_request_of_a_killed_process_stays_taken(tmp_path: Path) -> None:
    """Nobody knows what the provider has written."""
    path = tmp_path / "purse"
    number = os.fork()
    if not number:

        def hang(_: httpx.Request) -> httpx.Response:
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError

        client = httpx.Client(transport=httpx.MockTransport(hang))
        route = Route(CHAT, json=PAYLOAD, price=price, client=client)
        connect(route, retry=Retry(most=Purse(most=1_000, file=path))).final()
        os._exit(0)
    os.waitpid(number, 0)

    assert Purse(most=1_000, file=path).spent == TAKEN


def test_a_broken_answer_is_booked_when_its_error_is_raised() -> None:
    purse, provider = Purse(most=1_000), Provider("openai-chat", Behaviour("early_end", 9))

    with pytest.raises(StreamTruncated):
        ask("sync", purse, provider, attempts=1)

    assert 0 < purse.spent < TAKEN
