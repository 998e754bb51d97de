"""A purse: what many answers may cost together, in threads, in processes, and over kills."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import math
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.recovery.attempts import in_each_world
from tests.recovery.routes.providers import TRUTH, Behaviour, Provider
from tests.support.either import connect_in, got, inside, read_whole, run_in
from tests.support.redis_servers import RedisServer
from tests.support.tables import in_one_test
from tokenstream import Deadlines, Purse, Retry, Route, Routes, Usage, aconnect, connect, resilient
from tokenstream._basics.call_keys import AnswerIdentity
from tokenstream.call_store import RedisCallStore
from tokenstream.errors import (
    CostExceeded,
    MisuseError,
    OutputIncomplete,
    PurseUnavailable,
    StreamError,
    StreamStalled,
)
from tokenstream.recovery._ledger import Amount
from tokenstream.recovery._purse import Claim
from tokenstream.relay.journal import MemoryJournal

CHAT = "https://chat.test/v1/chat/completions"
PAYLOAD: dict[str, Any] = {"model": "m", "messages": [], "stream": True, "max_tokens": 60}
TAKEN = math.ceil(len(json.dumps(PAYLOAD, separators=(",", ":"))) / 2) + 60
"""What is taken for a request of one token of input for every two bytes, and 60 of output."""
COST = 27
"""What each answer costs by the provider's count."""


def price(usage: Usage) -> float:
    return float((usage.input_tokens or 0) + (usage.output_tokens or 0))


def take_one(purse: Purse) -> bool:
    """Spend a token if there is room for it."""
    claim = Claim(purse)
    claim.is_over = False
    return claim.change(Amount(0, 1), Amount(0, 1), "room").made == 1


def add_up(*amounts: Amount) -> Amount:
    return functools.reduce(Amount.plus, amounts, Amount())


def ask(world: str, purse: Purse, provider: Provider, *, job: str | None = None, **options: Any) -> str:
    route = Route(CHAT, json=PAYLOAD, price=price, client=provider.client(is_async=world != "sync"))
    retry = Retry(most=purse, wait=0, **options)
    text: str = read_whole(world, lambda: connect_in(world)(route, retry=retry, job=job)).message.text
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

    def test_raises_with_the_partial_answer_if_the_next_attempt_has_no_room(self) -> None:
        purse, provider = Purse(most=TAKEN), Provider("openai-chat", Behaviour("early_end", 9))

        with pytest.raises(OutputIncomplete, match="not sent") as caught:
            ask("sync", purse, provider, attempts=3, again=True)

        assert TRUTH.startswith(caught.value.partial.text)
        assert caught.value.partial.text
        # A program that falls back elsewhere after a StreamError stays within its budget.
        assert not isinstance(caught.value, StreamError)
        assert len(provider.requests) == 1
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

        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
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
        path = tmp_path / "purse"
        assert Purse(most=1_000, file=path).spent == 0

        async def unlock(other: sqlite3.Connection) -> None:
            for _ in range(20):
                await anyio.sleep(0.001)
            other.execute("COMMIT")

        async def read(other: sqlite3.Connection) -> None:
            provider = Provider("openai-chat")
            route = Route(CHAT, json=PAYLOAD, price=price, client=provider.client(is_async=True))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(unlock, other)
                async with aconnect(route, retry=Retry(most=Purse(most=1_000, file=path))) as stream:
                    await stream.final()

        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            # Only a loop that waits for the file itself would wait until it is given up.
            anyio.run(read, other)
            assert not other.in_transaction


AMOUNTS = st.builds(Amount, st.integers(0, 40), st.integers(0, 40))
STEPS = st.tuples(
    st.integers(0, 3), AMOUNTS, AMOUNTS, st.sampled_from(["room", "wait", "note"]), st.booleans()
)
"""A change of one of four answers: what it has cost more, what it may cost beyond that, and an end."""


class TestTheLaws:
    """A purse adds up exactly, and never beyond its bounds."""

    @given(steps=st.lists(STEPS), most=st.integers(1, 99) | st.none(), tokens=st.integers(1, 99))
    def test_there_is_room_for_what_fits_beside_all_that_runs(
        self, tmp_path_factory: pytest.TempPathFactory, steps: Any, most: int | None, tokens: int
    ) -> None:
        """All that was spent is added up; a file and the memory decide alike."""
        bounds: dict[str, Any] = {"most": None if most is None else most / 1e9, "tokens": tokens}
        path = tmp_path_factory.mktemp("purse") / "file"
        memory, file = Purse(**bounds), Purse(file=path, **bounds)
        claims = [[Claim(purse) for _ in range(4)] for purse in (memory, file)]
        for each in itertools.chain(*claims):
            each.is_over = False
        spent, held, line = [Amount()] * 4, [Amount()] * 4, list[int]()
        for number, cost, rest, kind, ends in steps:
            sure = spent[number].plus(cost)
            others = [each for index, each in enumerate(held) if index != number]
            now, reserved = add_up(*spent[:number], sure, *spent[number + 1 :]), add_up(*others)
            ahead = line[: line.index(number)] if number in line else line
            fits = now.plus(reserved).plus(rest).fits(memory.bounds) and not (kind == "wait" and ahead)
            could = now.plus(rest).fits(memory.bounds)
            made = 1 if kind == "note" or fits else 0 if could else -1
            for of_purse in claims:
                assert of_purse[number].change(sure, sure.plus(rest), kind).made == made
            if made == 1:
                spent[number], held[number] = sure, rest
                line = [each for each in line if each != number]
            elif made == 0 and kind == "wait":
                held[number] = Amount()
                line = line if number in line else [*line, number]
            total = add_up(*spent, *held)
            assert [total] * 2 == [purse.look() for purse in (memory, file)]
            if ends:
                for of_purse in claims:
                    of_purse[number].change(spent[number], spent[number], "note")
                held[number], line = Amount(), [each for each in line if each != number]

    @given(cost=st.floats(0, 1e6))
    def test_a_cost_is_never_rounded_down(self, cost: float) -> None:
        assert cost * (1 - 1e-15) - 1e-12 <= Amount.of(cost, 0).cost <= cost + 2e-9 + cost * 1e-15

    def test_threads_that_take_at_once_never_pass_the_bound(self, make: Callable[..., Purse]) -> None:
        purse = make(tokens=200)
        with ThreadPoolExecutor(8) as pool:
            taken = pool.map(lambda _: take_one(purse), range(300))

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
from tests.money.test_purse import take_one
redis = Redis(unix_socket_path={server.path!r}) if {kind!r} == "redis" else None
purse = Purse(tokens=500, redis=redis, file={str(tmp_path / "purse")!r} if redis is None else None)
print("ready", flush=True)
input()
while take_one(purse):
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "redis"])
@pytest.mark.parametrize(("job", "lease"), [(None, 3), ("order 7", 600)])
def test_a_request_of_a_killed_process_has_spent_its_input_once_its_lease_is_over(
    kind: str, job: str | None, lease: float, tmp_path: Path, server: RedisServer
) -> None:
    """Until then, all that was reserved for it stays taken, but for the next process of its job."""
    with Redis(unix_socket_path=server.path) as client:
        client.flushall()
    place = {"file": tmp_path / "purse"} if kind == "file" else {"redis": f"unix://{server.path}"}
    purse = Purse(most=2 * TAKEN - 60, lease=lease, **place)
    number = os.fork()
    if not number:

        def hang(_: httpx.Request) -> httpx.Response:
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError

        client = httpx.Client(transport=httpx.MockTransport(hang))
        route = Route(CHAT, json=PAYLOAD, price=price, client=client)
        connect(route, retry=Retry(most=purse), job=job).final()
        os._exit(0)
    os.waitpid(number, 0)

    assert purse.spent == TAKEN
    assert ask("sync", purse, Provider("openai-chat"), job=job) == TRUTH
    assert purse.spent == TAKEN - 60 + COST


def test_a_process_that_has_lost_its_job_only_spends(make: Callable[..., Purse]) -> None:
    """A halted process wakes, in whose place another one has reserved."""
    purse = make(tokens=100)
    first, second = Claim(purse), Claim(purse)
    for claim in (first, second):
        claim.begin(AnswerIdentity("given", "order 7"))
        assert claim.change(Amount(0, 5), Amount(0, 90), "room").made == 1
    first.renew()
    assert purse.tokens_spent == 95
    first.change(Amount(0, 7), Amount(0, 90), "note")

    assert purse.tokens_spent == 97


class TestRoomThatIsOnlyReserved:
    """By requests that run now: it is waited for, since most of them cost less."""

    @in_each_world
    def test_is_waited_for_by_any_number_of_requests(self, world: str, make: Callable[..., Purse]) -> None:
        """Ten at once share a purse that has room for two."""
        purse, provider = make(tokens=10_000, most=TAKEN + 10 * COST), Provider("openai-chat")

        assert ask_at_once(world, purse, provider, 10) == [TRUTH] * 10
        assert purse.spent == purse.tokens_spent == 10 * COST

    def test_is_given_in_the_order_in_which_it_was_asked_for(self, make: Callable[..., Purse]) -> None:
        """A large request does not wait until no small ones come."""
        purse = make(tokens=100)
        running, large, small = (Claim(purse) for _ in range(3))
        for claim in (running, large, small):
            claim.is_over = False
        none, some = Amount(), Amount(0, 60)

        assert running.change(none, some, "wait").made == 1
        assert [large.change(none, some, "wait").made, small.change(none, Amount(0, 9), "wait").made] == [
            0,
            0,
        ]
        running.change(none, none, "note")
        assert [small.change(none, Amount(0, 9), "wait").made, large.change(none, some, "wait").made] == [
            0,
            1,
        ]
        assert small.change(none, Amount(0, 9), "wait").made == 1

    @in_each_world
    @pytest.mark.parametrize("end", ["within", "total", "stop", "close", "cancel"])
    def test_is_not_waited_for_without_end(self, world: str, end: str, make: Callable[..., Purse]) -> None:
        """Nothing was sent, and the reservation of the running request is the only one."""
        if (world, end) == ("sync", "cancel"):
            return
        purse, provider = make(most=TAKEN + 9), Provider("openai-chat")
        running = Claim(purse)
        running.is_over = False
        assert running.change(Amount(), Amount.of(10, 10), "wait").made == 1

        caught, stream = run_in(world, wait_for_room, world, purse, provider, end)

        purse.leave(running)
        assert provider.requests == []
        assert purse.spent == 10
        if end in ("within", "total"):
            assert isinstance(caught, CostExceeded if end == "within" else StreamStalled)
        assert stream.message.ending == ("truncated" if end == "total" else "stopped")
        if end == "within":
            assert "of the 98 that are left, of which 10 are reserved for running requests" in str(caught)

    def test_is_renewed_while_the_request_runs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process that was suspended for longer than its lease goes on, and nothing is counted twice."""
        clock, purse = [0.0], Purse(tokens=100, file=tmp_path / "purse")
        monkeypatch.setattr("tokenstream.recovery._ledger.time", SimpleNamespace(time=lambda: clock[0]))
        claim = Claim(purse)
        claim.is_over = False
        claim.change(Amount(0, 5), Amount(0, 60), "wait")
        for now, renews, spent in ((9, True, 60), (18, True, 60), (29, False, 20), (30, True, 60)):
            clock[0], claim.sure = now, Amount(0, 20)
            if renews:
                claim.renew()
            assert purse.tokens_spent == spent
        claim.change(Amount(0, 31), Amount(0, 31), "note")
        purse.leave(claim)

        assert purse.tokens_spent == 31


class TestAnotherProcess:
    """A purse is the same there, or says what to do."""

    def test_has_the_purse_of_a_file_or_of_an_address_of_redis(
        self, tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also the routes beside it, which have failed nowhere yet."""
        monkeypatch.chdir(tmp_path)
        for place in ({"file": "purse"}, {"redis": f"unix://{server.path}", "name": "n"}):
            monkeypatch.chdir(tmp_path)
            purse = Purse(most=1_000, tokens=500, price=price, **place)  # type: ignore[arg-type]
            retry = Retry(most=purse, routes=[Route(CHAT, json=PAYLOAD, price=price)])
            pickled = pickle.dumps(retry)
            take_one(purse)
            monkeypatch.chdir("/")

            other: Any = pickle.loads(pickled)

            assert (other.most.tokens_spent, other.most.bounds, other.most.price) == (1, purse.bounds, price)
            assert other.routes.routes[0].json == PAYLOAD

    @in_one_test(
        "value, words",
        [
            (lambda: Purse(most=1), "after the fork, or give it file=, or redis= with a URL"),
            (lambda: Purse(most=1, redis=Redis()), "give it the URL"),
            (lambda: Route(CHAT, json={}, client=httpx.Client()), "leave the client out"),
            (lambda: Retry(routes=[Route(CHAT, json={}, client=httpx.Client())]), "the Route chat.test"),
            (lambda: RedisCallStore(Redis()), "make one in each process"),
            (MemoryJournal, "make one in each process"),
        ],
    )
    def test_does_not_get_what_belongs_to_this_one(self, value: Any, words: str) -> None:
        for copies in (pickle.dumps, copy.deepcopy):
            with pytest.raises(MisuseError, match=words):
                copies(value())

    def test_after_a_fork_has_no_purse_in_memory(self) -> None:
        """Each process would spend all of it."""
        purse, provider = Purse(most=1_000), Provider("openai-chat")
        number = os.fork()
        if not number:
            with pytest.raises(MisuseError, match="make it in each worker, after the fork"):
                ask("sync", purse, provider)
            os._exit(7 + len(provider.requests))

        assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == 7


def ask_at_once(world: str, purse: Purse, provider: Provider, count: int) -> list[str]:
    """Ask the same question in threads, or in tasks; return the answers."""
    if world == "sync":
        with ThreadPoolExecutor(count) as pool:
            return [*pool.map(lambda _: ask(world, purse, provider), range(count))]
    texts = list[str]()

    async def read() -> None:
        client = provider.client(is_async=True)
        route = Route(CHAT, json=PAYLOAD, price=price, client=client)
        async with aconnect(route, retry=Retry(most=purse)) as stream:
            texts.append((await stream.final()).text)

    async def read_all() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(read)

    run_in(world, read_all)
    return texts


async def wait_for_room(world: str, purse: Purse, provider: Provider, end: str) -> tuple[Any, Any]:
    """Ask without room until an end comes; return the error, and the stream."""
    deadlines = Deadlines(total=0.03 if end == "total" else 20, first_event=2)
    route = Route(CHAT, json=PAYLOAD, price=price, client=provider.client(is_async=world != "sync"))
    retry = Retry(most=purse, within=2.5 if end == "within" else 20)
    stream, caught = connect_in(world)(route, retry=retry, deadlines=deadlines), list[Exception]()

    async def read() -> None:
        try:
            async with inside(stream):
                await got(stream.final())
        except (CostExceeded, StreamStalled, MisuseError) as error:
            caught.append(error)

    if world == "sync":
        if end in ("stop", "close"):
            threading.Timer(0.05, getattr(stream, end)).start()
        await read()
    else:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.sleep(0.05)
            if end == "cancel":
                tasks.cancel_scope.cancel()
            elif end == "stop":
                stream.stop()
            elif end == "close":
                await stream.aclose()
    return next(iter(caught), None), stream
