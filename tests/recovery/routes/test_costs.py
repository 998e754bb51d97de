"""What an answer has cost: each attempt, the prices of the table, and answers that cost too much."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from typing import Any

import httpx
import pytest

from tests.recovery.attempts import in_each_world
from tests.recovery.routes.providers import TRUTH, Behaviour, Provider, ask, tokens_of
from tests.support.either import Each, connect_in, got, inside, read_whole, run_in
from tests.support.responses import streamed
from tokenstream import Message, Purse, Retry, Route, Usage, connect, testing
from tokenstream.errors import MisuseError, OutputIncomplete, StreamError
from tokenstream.stages import Budget
from tokenstream.stream._prices import Tariff, _look_up, find_tariff

CUT = Behaviour("early_end", 9)
APIS = ["openai-chat", "anthropic", "gemini"]
OPENAI = "https://api.openai.com/v1/chat/completions"
ANTHROPIC = "https://api.anthropic.com/v1/messages"
SONNET, GPT = ("claude-sonnet-4-5", ANTHROPIC), ("gpt-5", OPENAI)
COMMAND = ("command-a-03-2025", "https://api.cohere.com/v2/chat")
LONG = testing.script().text(*["word "] * 400).finish()
"""An answer of 500 tokens by estimate, without token counts."""


def price(usage: Usage) -> float:
    """One for each token, so that a cost shows which tokens were counted."""
    return float((usage.input_tokens or 0) + (usage.output_tokens or 0))


def question(model: str = "gpt-5", **options: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": True, **options}


def playing(script: testing.Script, kind: type[Any] = httpx.Client) -> Any:
    return kind(transport=testing.transport(script))


class TestABrokenAttempt:
    """Has brought something, which is paid for although the provider has not counted it."""

    @in_each_world
    @pytest.mark.parametrize("api", APIS)
    @pytest.mark.parametrize("again", [False, True])
    def test_costs_what_it_has_brought_by_estimate(self, world: str, api: str, again: bool) -> None:
        """Four bytes are a token; the whole answer after it has the provider's own counts."""
        found = ask(world, Provider(api, CUT), Retry(attempts=2, wait=0, again=again), price=price)

        broken, whole = found.reports
        assert broken.usage.basis == "estimated"
        assert broken.usage.output_tokens == pytest.approx(len(TRUTH) * 9 / 20 / 4, abs=4)
        assert broken.usage.input_tokens is not None
        assert broken.cost == price(broken.usage)
        assert (whole.usage.basis, whole.cost) == ("reported", 27)

    @in_each_world
    def test_that_goes_on_has_the_tokens_of_what_is_sent_back(self, world: str) -> None:
        """A continuation's request is longer by the text so far, which is paid for again."""
        provider = Provider("openai-chat", CUT, Behaviour("early_end", 2), Behaviour("early_end", 1))
        found = ask(world, provider, Retry(attempts=3, wait=0, again=True), price=price)

        assert [tokens_of(request) for request in provider.requests] == [
            report.usage.input_tokens for report in found.reports
        ]

    @in_each_world
    @pytest.mark.parametrize("fault", ["status", "refused", "html", "connect"])
    def test_costs_nothing_if_no_model_has_answered(self, world: str, fault: str) -> None:
        """A refused request is not billed, so the sum is known even if the refusing route has no price."""
        second = Provider("anthropic").route(is_async=world != "sync", price=price)
        retry = Retry(attempts=1, wait=0, routes=[second])

        found = ask(world, Provider("openai-chat", Behaviour(fault)), retry)

        assert [report.cost for report in found.reports] == [0.0, 27]

    def test_makes_the_sum_unknown_if_it_has_no_price(self) -> None:
        """A sum that leaves something out would be too low."""
        first, second = Provider("openai-chat", CUT), Provider("anthropic")
        retry = Retry(attempts=1, wait=0, routes=[second.route(price=price)])

        with connect(first.route(), retry=retry) as stream:
            assert stream.cost is None
            stream.final()

        assert [report.cost for report in stream.attempts] == [None, 27]
        assert stream.cost is None

    @pytest.mark.parametrize(
        "places",
        [[0.3], [0.9], [0.2, 0.6], [0.2, 0.5, 0.9], [0.4, 0.4], [0.4, None, 0.4, 0.6], [0.1, 0.3, 0.3, None]],
    )
    @pytest.mark.parametrize("is_whole", [True, False])
    def test_that_is_resumed_is_paid_for_once(self, places: list[float | None], *, is_whole: bool) -> None:
        """One request has one bill: what resumes it has what it adds, which may be nothing, or a 503."""
        body = testing.script().text(*["word "] * 40).usage(input_tokens=9, output_tokens=40).finish()
        in_background = b'"background":false', b'"background":true'
        chunks = [chunk.replace(*in_background) for chunk in body.chunks("openai-responses")]
        ends = [None if place is None else round(len(chunks) * place) for place in places]
        asked, purse = list[str](), Purse(most=1000.0)

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request.method)
            after = int(request.url.params.get("starting_after", -1))
            if is_whole and len(asked) > len(ends):
                return streamed(chunks[after + 1 :])
            end = ends[min(len(asked), len(ends)) - 1]
            return httpx.Response(503) if end is None else streamed(chunks[after + 1 : end])

        payload = {"model": "gpt-5", "input": "x", "stream": True, "background": True, "store": True}
        route = Route(
            "https://api.test/v1/responses",
            json={**payload, "max_output_tokens": 90},
            price=price,
            attempts=9,
            client=httpx.Client(transport=httpx.MockTransport(answer)),
        )
        raised = nullcontext() if is_whole else pytest.raises(StreamError)
        with raised, connect(route, retry=Retry(wait=0, most=purse)) as stream:
            assert stream.final().text == "word " * 40

        *before, last = [report.cost or 0 for report in stream.attempts]
        assert asked == ["POST", *["GET"] * (len(places) if is_whole else 8)]
        assert before[0]
        assert stream.cost == sum(before) + last
        if is_whole:
            assert (purse.spent, stream.cost) == (49, max(49, sum(before)))
        else:
            assert (purse.spent, last) == (stream.cost, 0)


class TestThePricesOfTheTable:
    """What genai-prices says of the requested model at the host, where the caller says nothing."""

    @in_each_world
    def test_are_those_of_the_model_and_the_host(self, world: str) -> None:
        counted = testing.script().text("Hi").usage(input_tokens=1000, output_tokens=100).finish()

        kind: Any = httpx.Client if world == "sync" else httpx.AsyncClient

        def ask(retry: Retry | None) -> Any:
            return connect_in(world)(OPENAI, json=question(), client=playing(counted, kind), retry=retry)

        for retry in (None, Retry()):
            cost = read_whole(world, partial(ask, retry)).cost
            assert cost == pytest.approx(0.00225)

    @pytest.mark.parametrize(
        ("asked", "usage", "cost"),
        [
            # Anthropic counts cached tokens beside the input tokens, OpenAI and Google among them.
            (SONNET, {"input_tokens": 100, "cached_tokens": 900}, 100 * 3 + 900 * 0.3),
            (SONNET, {"input_tokens": 9, "cache_write_tokens": 900}, 9 * 3 + 900 * 3.75),
            (SONNET, {"cache_write_tokens": 900, "cache_write_1h_tokens": 400}, 500 * 3.75 + 400 * 6),
            (GPT, {"input_tokens": 1000, "cached_tokens": 900}, 100 * 1.25 + 900 * 0.125),
            (GPT, {"input_tokens": 5, "cached_tokens": 900}, 900 * 0.125),
            (GPT, {"output_tokens": 7, "reasoning_tokens": 5}, 70),
            (GPT, {}, 0),
            # The advisor has a price of its own, and so has a search.
            (
                SONNET,
                {"input_tokens": 140, "other_input_tokens": 80, "web_searches": 2},
                60 * 3 + 400 + 20_000,
            ),
            (SONNET, {"output_tokens": 47, "other_output_tokens": 40}, 7 * 15 + 40 * 25),
            (SONNET, {"cached_tokens": 99, "other_cached_tokens": 11}, 88 * 0.3 + 11 * 0.5),
            # Less is billed than was read, of which some was cached.
            (COMMAND, {"input_tokens": 10, "cached_tokens": 700, "context_tokens": 900}, 25),
            # What the provider bills is right.
            (GPT, {"output_tokens": 7, "cost": 0.5}, 500_000),
        ],
    )
    def test_count_each_token_once(self, asked: tuple[str, str], usage: Any, cost: float) -> None:
        model, url = asked
        tools = [{"name": "f"}, {"type": "advisor_20260301", "model": "claude-opus-4-6"}]
        tariff = find_tariff((url, {"model": model, "tools": tools}), None)

        assert tariff is not None
        assert tariff.find_cost(Usage(**usage)) == pytest.approx(cost / 1e6)

    @pytest.mark.parametrize(
        ("url", "model"), [("http://localhost:8000/v1/chat/completions", "gpt-5"), (OPENAI, "of-our-own")]
    )
    def test_do_not_exist_for_a_model_of_ones_own(self, url: str, model: str) -> None:
        """The cost is None; what needs a price is refused before the first request, and says what to do."""
        counted = testing.script().text("Hi").usage(input_tokens=1, output_tokens=1).finish()
        with connect(url, json=question(model), client=playing(counted), retry=Retry()) as stream:
            stream.final()
        assert stream.cost is None

        words = rf"'{model}'.*Route\(price=….*Purse\(most=…, price=….*the installed genai-prices has none"
        for most in (1.0, Purse(most=1.0)):
            with pytest.raises(MisuseError, match=words):
                connect(url, json=question(model), client=playing(counted), retry=Retry(most=most))

    def test_are_the_models_own_if_the_tools_model_has_none(self) -> None:
        tariff = find_tariff((OPENAI, {"model": "gpt-5", "tools": [{"model": "of-our-own"}]}), None)

        assert tariff is not None
        assert tariff.find_cost(Usage(output_tokens=9, other_output_tokens=2)) == pytest.approx(90e-6)

    def test_do_not_exist_without_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A cost is then unknown, and a bound on it names the extra."""
        monkeypatch.setitem(sys.modules, "genai_prices", None)
        _look_up.cache_clear()
        monkeypatch.setattr("tokenstream.stream._prices._look_up", _look_up.__wrapped__)

        assert Tariff("gpt-5", OPENAI, adds_cached=False).find_cost(Usage(input_tokens=1)) is None
        with pytest.raises(MisuseError, match=r'pip install "genai-prices'):
            connect(OPENAI, json=question(), retry=Retry(most=1.0))

    def test_are_asked_for_before_the_request_of_a_function_is_sent(self) -> None:
        """The JSON of a function's request, and its model, are known only then."""
        provider = Provider("openai-chat")
        route = Route(provider.url, json=lambda _: provider.payload, client=provider.client())

        with (
            pytest.raises(MisuseError, match="price of the model 'm'"),
            connect(route, retry=Retry(most=1.0)) as stream,
        ):
            stream.final()

        assert provider.requests == []

    def test_are_not_imported_before_a_cost_is_asked_for(self) -> None:
        """The table takes half a second and 80 MB, and nothing that fetches another one is begun."""
        program = f"""
import sys, threading
import httpx
from tokenstream import connect, testing
counted = testing.script().text("Hi").usage(input_tokens=1, output_tokens=1).finish()
client = httpx.Client(transport=testing.transport(counted))
with connect({OPENAI!r}, json={question()!r}, client=client, retry={{}}) as stream:
    stream.final()
assert [report.error for report in stream.attempts] == [None]
assert "genai_prices" not in sys.modules
assert stream.cost
assert "genai_prices" in sys.modules
assert threading.active_count() == 1
""".replace("retry={}", "retry=__import__('tokenstream').Retry()")
        subprocess.run([sys.executable, "-c", program], check=True)


class TestAnAnswerThatCostsTooMuch:
    """`final` raises what `result` raises, so that no half answer passes for a whole one."""

    @pytest.mark.parametrize("most", [0.001, "purse"])
    @in_each_world
    def test_is_an_error_for_final_and_the_end_of_a_loop_over_text(self, world: str, most: Any) -> None:
        """The error has the part that was paid for, each time it is asked for."""
        payload = question(max_tokens=100)

        def bound() -> Retry:
            return Retry(most=Purse(most=0.0012) if most == "purse" else most)

        async def read() -> tuple[str, OutputIncomplete, Message]:
            client = playing(LONG, httpx.Client if world == "sync" else httpx.AsyncClient)
            made = connect_in(world)(OPENAI, json=payload, client=client, retry=bound())
            async with inside(made) as stream:
                text = "".join([piece async for piece in Each(stream.text)])
                with pytest.raises(OutputIncomplete):
                    await got(stream.final())
                with pytest.raises(OutputIncomplete) as caught:
                    await got(stream.final())
            return text, caught.value, stream.message

        text, error, message = run_in(world, read)

        assert "the answer was stopped" in error.message
        assert error.partial.text == text == message.text
        assert 0 < len(text) < 2000
        assert (message.ending, error.partial.ending) == ("stopped", "stopped")

    def test_is_no_error_if_somebody_else_has_stopped_it(self) -> None:
        """`stop()` and a guard are decisions of the program, which knows of them."""
        stops: list[Any] = [lambda stream: stream.stop(), lambda stream: stream.guard(Budget(tokens=9))]
        for stop in stops:
            with connect(OPENAI, json=question(), client=playing(LONG), retry=Retry(most=1.0)) as stream:
                stop(stream)
                assert stream.final().ending == "stopped"
