"""Routes that are left out, come first, are raced, or are judged: by failures, speed, answers and price."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, TypeAdapter

from tests.recovery.attempts import in_each_world
from tests.recovery.routes.providers import TRUTH, Behaviour, Provider, ask, read
from tests.support.clocks import on
from tests.support.either import Each, connect_in, inside, run_in
from tests.support.raised import is_same_error
from tokenstream import Message, Retry, Route, Usage, connect, resilient, testing
from tokenstream.errors import AnswerRejected, GuardFailed, OutputIncomplete, OutputInvalid, StreamTruncated
from tokenstream.events import UsageUpdate
from tokenstream.recovery._route import RouteHealth

DOWN = Behaviour("status")


class Order(BaseModel):
    dish: str
    guests: int


GOOD = Behaviour(
    script=testing.script().text('{"dish": "soup", "guests": 4}').usage(output_tokens=9).finish()
)
LONG = Behaviour(script=testing.script().text(*["word "] * 40).finish())
"""An answer of 200 characters, or 50 tokens by estimate."""
BAD = Behaviour(script=testing.script().text('{"dish": "soup"}').usage(output_tokens=5).finish())


def nowhere() -> Any:
    """Fail, so that the first route is asked."""
    raise httpx.ConnectError("nobody is there")


class _SlowToBegin(RouteHealth):
    """Gives other threads the time to look at the route before an attempt begins."""

    def begin_attempt(self, now: float) -> bool:
        _wait(0.05)
        return super().begin_attempt(now)


def _out(route: Route) -> Route:
    """Return a route that is left out, because it has failed five times at the clock's beginning."""
    for _ in range(5):
        route.health.note_failure(StreamTruncated("cut"), 100.0)
    return route


class TestARouteThatFails:
    """Left out after five failures within a minute, for all streams that share the route."""

    def test_is_left_out_after_some_failures_and_comes_back_after_a_rest(self) -> None:
        first, second = Provider("openai-chat", *[DOWN] * 8), Provider("anthropic")
        clock, chat = testing.VirtualClock(100), first.route(rest=30)
        assert _asked(clock, chat, second.route()) == ["chat.test", "claude.test"]
        # Only five failures within a minute count.
        clock.advance(61)
        both = ["chat.test", "claude.test"]
        assert [_asked(clock, chat, second.route()) for _ in range(6)] == [*[both] * 5, ["claude.test"]]

        clock.advance(31)
        assert _asked(clock, chat, second.route()) == ["chat.test", "claude.test"]
        assert _asked(clock, chat, second.route()) == ["claude.test"]

        clock.advance(31)
        assert _asked(clock, chat, second.route()) == ["chat.test", "claude.test"]
        clock.advance(31)
        assert [_asked(clock, chat, second.route()) for _ in range(2)] == [["chat.test"], ["chat.test"]]

    def test_stays_in_if_the_request_was_wrong(self) -> None:
        """A mistake of the caller's says nothing about the provider."""
        refused = Behaviour("refused", status=400)
        first, second = Provider("openai-chat", *[refused] * 9), Provider("anthropic")
        clock, chat = testing.VirtualClock(100), first.route()

        for _ in range(6):
            assert _asked(clock, chat, second.route()) == ["chat.test", "claude.test"]

    def test_is_asked_nevertheless_if_all_others_are_out_too(self) -> None:
        """An attempt that may work is better than none."""
        first, second = Provider("openai-chat"), Provider("anthropic")
        clock, chat, claude = testing.VirtualClock(100), _out(first.route()), _out(second.route())

        assert _asked(clock, chat, claude) == ["chat.test"]

    def test_is_asked_in_the_end_if_it_was_passed_over(self) -> None:
        second, third = Provider("anthropic"), Provider("gemini", DOWN)
        clock, claude = testing.VirtualClock(100), second.route()

        def fail() -> Any:
            # Another stream finds out that the route is down.
            _out(claude)
            return nowhere()

        retry = Retry(attempts=1, routes=[claude, third.route()], wait=0)
        with on(clock, resilient, fail, retry) as stream:
            assert stream.final().text == TRUTH

        assert [report.route for report in stream.attempts][1:] == ["gemini.test", "claude.test"]

    def test_can_stay_in_for_good(self) -> None:
        """With `rest=None`, a provider that is always down is still asked first."""
        first, second = Provider("openai-chat", *[DOWN] * 9), Provider("anthropic")
        clock, chat = testing.VirtualClock(100), first.route(rest=None)

        assert [_asked(clock, chat, second.route())[0] for _ in range(9)] == ["chat.test"] * 9

    @pytest.mark.slow
    def test_is_first_tried_by_one_of_many_threads(self) -> None:
        """Until the trial has ended, all other streams begin with the next route."""
        first, second = Provider("openai-chat", *[DOWN] * 99), Provider("anthropic")
        chat, claude = first.route(attempts=1), second.route()
        chat.health = _SlowToBegin(0.5)
        for _ in range(5):
            _first_asked(chat, claude)
        _wait(0.6)
        found: list[str | None] = []
        all_here = threading.Barrier(8)

        def ask() -> None:
            all_here.wait()
            found.append(_first_asked(chat, claude))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert found.count("chat.test") == 1
        assert len(found) == 8


class TestAnAnswerThatHasToBeGood:
    """`Retry(accept=…)`: a type, or a function of the message."""

    @pytest.mark.parametrize(
        "accept",
        [Order, TypeAdapter(Order), lambda message: "guests" in message.text],
        ids=["type", "adapter", "function"],
    )
    @in_each_world
    def test_is_held_back_until_it_is(self, world: str, accept: Any) -> None:
        """A cheap model first, and a strong one if its answer, which is never seen, is invalid."""
        cheap, strong = Provider("openai-chat", BAD), Provider("anthropic", GOOD)

        found = read(world, cheap, strong.then(attempts=1, accept=accept))

        assert found.text == '{"dish": "soup", "guests": 4}'
        assert [getattr(report.error, "outcome", None) for report in found.reports] == ["invalid", None]

    def test_is_judged_with_its_route_and_its_format(self) -> None:
        cheap, strong = Provider("openai-chat"), Provider("anthropic")
        judged: list[Message] = []
        retry = Retry(attempts=1, accept=judged.append, routes=[strong.route(name="strong")])

        found = read("sync", cheap, lambda _: retry)

        assert found.error is not None
        assert [(message.route, message.format) for message in (*judged, found.error.partial)] == [
            ("chat.test", "openai-chat"),
            ("strong", "anthropic"),
            ("strong", "anthropic"),
        ]

    @pytest.mark.parametrize("api", ["openai-chat", "anthropic", "gemini"])
    def test_is_judged_once(self, api: str) -> None:
        """A rule may ask a model of its own, which costs money and may change its mind."""
        judged: list[Message] = []

        def judge(message: Message) -> bool:
            judged.append(message)
            return True

        found = read("sync", Provider(api), lambda _: Retry(attempts=1, accept=judge))

        assert found.text == TRUTH
        assert len(judged) == 1

    @in_each_world
    def test_is_an_error_if_none_is(self, world: str) -> None:
        """Nothing is delivered; the error has the last answer, and the reason as its cause."""
        cheap, strong = Provider("openai-chat", BAD), Provider("anthropic", BAD)

        found = read(world, cheap, strong.then(attempts=1, accept=Order))

        assert found.text == ""
        assert isinstance(found.error, AnswerRejected)
        assert found.error.outcome == "invalid"
        assert found.error.partial.text == '{"dish": "soup"}'
        assert isinstance(found.error.__cause__, OutputInvalid)

    @in_each_world
    def test_is_not_delivered_if_it_breaks_off(self, world: str) -> None:
        cheap = Provider("openai-chat", BAD, Behaviour("early_end", 1, script=BAD.script))

        found = ask(world, cheap, Retry(attempts=2, accept=Order, wait=0), attempts=2)

        assert isinstance(found.error, StreamTruncated)
        assert (found.text, found.message.text) == ("", "")
        assert (found.error.partial.text, found.error.partial.ending) == ('{"dish', "truncated")
        assert is_same_error(found.reports[-1].error, found.error)

    @in_each_world
    def test_is_in_the_error_also_if_on_retry_ends_the_attempts(self, world: str) -> None:
        """Nothing that had arrived is lost."""
        cheap = Provider("openai-chat", Behaviour("early_end", 3))
        retry = Retry(attempts=2, accept=_any, wait=0, on_retry=lambda attempt: attempt.skip())

        found = ask(world, cheap, retry, attempts=2)

        assert found.error is not None
        assert (found.text, found.error.partial.text) == ("", "A river does")

    def test_lets_an_exception_of_the_function_through(self) -> None:
        cheap = Provider("openai-chat", GOOD)

        def judge(message: Message) -> bool:
            raise LookupError(message.text)

        stream = connect(cheap.route(), retry=Retry(accept=judge))
        with stream, pytest.raises(LookupError, match="soup"):
            stream.final()

        assert cheap.open == 0


class TestMoney:
    """`Route(price=…)` and `Retry(most=…)`."""

    def test_the_requests_of_functions_have_the_prices_of_their_routes(self) -> None:
        """A function has the price of its route also where it is asked first."""
        said = testing.script().text("Hello")
        first = Route(open=lambda: said.chunks("openai-chat"), price=_cents, name="first")
        second = Route(
            open=lambda: said.usage(output_tokens=3).finish().chunks("anthropic"),
            format="anthropic",
            price=_written,
        )
        stream = resilient(first, Retry(again=True, wait=0, routes=second))

        assert stream.final().text == "Hello"
        assert [(report.route, report.cost) for report in stream.attempts] == [
            ("first", 2),
            ("first", 2),
            ("<lambda>", 3),
        ]

    def test_no_attempt_begins_once_the_bound_is_reached(self) -> None:
        """The error has a note that the money is used up, and no further request is sent."""
        first, second = Provider("openai-chat", BAD), Provider("anthropic", GOOD)
        retry = Retry(attempts=1, accept=Order, most=4, routes=[second.route(price=_written)])

        stream = connect(first.route(price=_written), retry=retry)
        with stream, pytest.raises(AnswerRejected) as caught:
            stream.final()

        assert any("Retry.most is used up" in note for note in caught.value.__notes__)
        assert second.requests == []

    def test_the_attempt_in_progress_is_stopped_at_the_bound(self) -> None:
        """Tokens that the server has not counted are estimated, as by a Budget; earlier attempts count."""
        first, second = Provider("openai-chat", Behaviour("early_end", 9)), Provider("anthropic")
        # By estimate, the first attempt costs 32, and the second one 7 before its first word.
        retry = Retry(attempts=1, most=45, routes=[second.route(price=_cents)])

        with connect(first.route(price=_cents), retry=retry) as stream:
            text = "".join(stream.text)
            with pytest.raises(OutputIncomplete, match="budget of 45") as caught:
                stream.final()

        message = caught.value.partial
        assert message.text == text
        assert message.ending == "stopped"
        assert TRUTH.startswith(message.text)
        assert len(message.text) < len(TRUTH)
        assert "budget" in str(stream.stop_reason)

    @in_each_world
    @pytest.mark.parametrize("api", ["openai-chat", "anthropic", "gemini"])
    def test_is_counted_as_the_answer_arrives_also_while_it_is_held_back(self, world: str, api: str) -> None:
        """An answer that is stopped is neither judged nor delivered, and its rest is not paid for."""
        first, judged = Provider(api, LONG), list[Message]()
        retry = Retry(attempts=1, accept=judged.append, most=10)

        found = ask(world, first, retry, price=_written)

        assert (found.text, found.message.ending, found.error, judged) == ("", "stopped", None, [])
        assert first.sent < len(LONG.script.chunks(api)) / 2
        assert first.open == 0

    @in_each_world
    @pytest.mark.parametrize("api", ["openai-chat", "anthropic", "gemini"])
    def test_does_not_stop_an_answer_of_which_all_has_arrived(self, world: str, api: str) -> None:
        counted = Behaviour(script=testing.script().text("word").usage(output_tokens=99).finish())

        found = ask(world, Provider(api, counted), Retry(attempts=1, accept=_any, most=10), price=_written)

        assert (found.text, found.message.ending) == ("word", "complete")
        assert [report.cost for report in found.reports] == [99]

    @in_each_world
    def test_of_what_a_continuation_leaves_out_is_counted(self, world: str) -> None:
        """A model that reasons again before it goes on writes reasoning that the answer leaves out."""
        script = testing.script().reasoning(*["hmm "] * 200).text(TRUTH).finish()
        first = Provider("openai-chat", Behaviour("early_end", 9), Behaviour(script=script))

        found = ask(world, first, Retry(attempts=2, most=50, wait=0), price=_written)

        assert (found.message.ending, found.error) == ("stopped", None)
        assert TRUTH.startswith(found.text)
        assert first.sent < 100

    def test_that_was_stopped_is_in_the_report_as_far_as_it_was_counted(self) -> None:
        """The provider counts the question first, and the answer only at its end."""
        script = testing.script().usage(input_tokens=7).text(*["word "] * 40).finish()
        first = Provider("anthropic", Behaviour(script=script))

        found = ask("sync", first, Retry(attempts=1, accept=_any, most=10), price=_written)

        assert found.message.ending == "stopped"
        (report,) = found.reports
        assert (report.usage.input_tokens, report.id) == (7, "msg_1")

    @pytest.mark.parametrize("stops", [False, True])
    @in_each_world
    def test_a_price_that_raises_is_called_no_more(self, world: str, *, stops: bool) -> None:
        first = Provider("openai-chat")
        called: list[Usage] = []

        def price(usage: Usage) -> float:
            called.append(usage)
            raise LookupError("no price for this model")

        def look(stream: Any) -> None:
            assert [report.cost for report in stream.attempts] == [None]

        async def read_it() -> None:
            route = first.route(is_async=world != "sync", price=price)
            stream = connect_in(world)(route, retry=Retry())
            with pytest.raises(LookupError, match="no price"):
                async with inside(stream):
                    async for event in Each(stream):
                        look(stream)
                        if stops and isinstance(event, UsageUpdate):
                            stream.stop()
            look(stream)
            assert stream.message.complete

        run_in(world, read_it)

        assert len(called) == 1
        assert first.open == 0

    def test_a_price_is_asked_for_once_when_the_attempt_ends(self) -> None:
        called: list[Usage] = []
        first = Provider("openai-chat")

        def price(usage: Usage) -> float:
            called.append(usage)
            return 3

        with connect(first.route(price=price), retry=Retry()) as stream:
            assert [report.cost for _ in stream for report in stream.attempts][-1] is None
        costs = [stream.attempts[0].cost for _ in range(3)]

        assert costs == [3, 3, 3]
        assert len(called) == 1

    @in_each_world
    @pytest.mark.parametrize("refused", [None, {"error": {"message": "busy"}}])
    def test_a_price_that_raises_ends_an_answer_that_it_bounds(self, world: str, refused: Any) -> None:
        """Nothing would bound it any more. The error tells what has raised the exception."""
        plan = [] if refused is None else [Behaviour("refused", status=503, body=refused)]
        first = Provider("openai-chat", *plan)

        def price(_: Usage) -> float:
            raise LookupError("no price for this model")

        found = ask(world, first, Retry(most=10, wait=0), price=price)

        assert isinstance(found.error, GuardFailed)
        assert isinstance(found.error.__cause__, LookupError)
        assert "price= raised LookupError" in str(found.error)
        assert [report.cost for report in found.reports] == [None]
        assert (len(first.requests), first.open) == (1, 0)


def _any(_: Message) -> bool:
    return True


def _written(usage: Usage) -> float:
    return float(usage.output_tokens or 0)


def _cents(usage: Usage) -> float:
    return float((usage.input_tokens or 0) + (usage.output_tokens or 0))


def _asked(clock: testing.VirtualClock, *routes: Route) -> list[str | None]:
    """Return the routes that were asked for one answer, which must be the truth."""
    with on(clock, resilient, nowhere, Retry(attempts=1, routes=routes, wait=0)) as stream:
        assert stream.final().text == TRUTH
    return [report.route for report in stream.attempts][1:]


def _first_asked(first: Route, second: Route) -> str | None:
    with connect(first, retry=Retry(routes=[second], wait=0)) as stream:
        assert stream.final().text == TRUTH
    return stream.attempts[0].route


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)
