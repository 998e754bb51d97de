"""Reports on attempts: what they tell of the request and of the answer."""

from __future__ import annotations

import runpy
from typing import Any

import httpx
import pytest

from tests.project import ROOT
from tests.recovery.routes.providers import TRUTH, Behaviour, Provider, SlowBody, read
from tokenstream import Retry, Route, Routes, aconnect, testing
from tokenstream.recovery import AttemptReport

WORLDS = ["sync", "asyncio", "trio"]


@pytest.mark.parametrize("world", WORLDS)
def test_each_report_has_its_own_request_and_answer(world: str) -> None:
    first = Provider("openai-chat", Behaviour("status"), Behaviour("reset", 5))
    gemini = Provider("gemini")
    told = read(world, first, gemini.then(wait=0))

    assert TRUTH == told.text
    assert [
        (None, None, "m", "openai-chat", 443),
        ("chatcmpl-1", "scripted-1", "m", "openai-chat", 443),
        ("response-1", "scripted-1", "gemini-x", "gemini", 443),
    ] == [_facts(report) for report in told.reports]


def test_the_reports_tell_when_each_attempt_began() -> None:
    """Each begins where the one before ended, after its wait."""
    first = Provider("openai-chat", Behaviour("status"), Behaviour("reset", 5))
    told = read("sync", first, lambda _: Retry(routes=[Provider("gemini").route()], wait=lambda _: 0.01))
    ends = [0.0, *[report.began + (report.seconds or 0.0) for report in told.reports]]

    assert [report.began for report in told.reports] == pytest.approx(
        [end + report.wait for end, report in zip(ends, told.reports, strict=False)]
    )
    assert 0.01 <= told.reports[1].began


def test_a_payload_that_a_function_makes_names_the_model() -> None:
    first = Provider("openai-chat", Behaviour("status"), Behaviour("status"))
    other = Provider("anthropic", Behaviour("status"))

    def decide(attempt: Any) -> object:
        return attempt.with_payload({**first.payload, "model": "small"}) if attempt.number == 2 else None

    route = Route(other.url, json=lambda _: {**other.payload, "model": "made"}, client=other.client())
    retry = Retry(routes=[route, other.route()], attempts=2, on_retry=decide, wait=0)
    told = read("sync", first, lambda _: retry)

    assert ["m", "small", "made", "m"] == [report.requested_model for report in told.reports]


@pytest.mark.parametrize("world", WORLDS)
def test_an_answer_that_is_not_accepted_costs_what_it_costs(world: str) -> None:
    options: Any = {"price": lambda usage: usage.output_tokens or 0}

    def refuse(is_async: bool) -> Retry:
        route = Provider("anthropic").route(is_async=is_async, **options)
        return Retry(attempts=1, routes=[route, route], accept=lambda _: False, wait=0)

    told = read(world, Provider("openai-chat"), refuse)

    assert [None, 20, 20] == [report.cost for report in told.reports]
    assert ["chatcmpl-1", "msg_1", "msg_1"] == [report.id for report in told.reports]
    assert 60 == told.message.usage.output_tokens


@pytest.mark.anyio
@pytest.mark.parametrize("second_wins", [True, False])
async def test_the_attempt_that_lost_a_hedge_has_a_report_like_any_other(*, second_wins: bool) -> None:
    first, second = (0.3, 0.0) if second_wins else (0.1, 0.3)
    client = httpx.AsyncClient(transport=httpx.MockTransport(_slowly({"a.test": first, "b.test": second})))
    route = Route("https://b.test/v1/messages", json={"model": "b"}, client=client)
    asked = aconnect(
        "https://a.test/v1/chat/completions",
        json={"model": "a"},
        client=client,
        retry=Retry(routes=Routes(route, hedge_after=0.02)),
    )
    async with client, asked as stream:
        await stream.final()
    one, two = stream.attempts

    assert ("chatcmpl-1", "scripted-1", "a", "openai-chat", 443) == _facts(one)
    assert ("msg_1", "scripted-1", "b", "anthropic", 443) == _facts(two)
    assert (0.0, 0.02) == (one.began, two.wait)
    assert one.seconds is not None
    assert 0.02 <= two.began < one.seconds


def _facts(report: AttemptReport) -> tuple[str | None, str | None, str | None, str | None, int | None]:
    return report.id, report.model, report.requested_model, report.format, report.port


def _slowly(seconds: dict[str, float]) -> Any:
    """Return a handler that sends the head of an answer at once, and its text after the host's seconds."""

    async def answer(request: httpx.Request) -> httpx.Response:
        format = "openai-chat" if request.url.host == "a.test" else "anthropic"
        chunks = testing.script().text("Hello").finish().chunks(format)
        body = SlowBody(chunks, 1, seconds[request.url.host])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body)

    return answer


def test_the_picture_of_routes_is_what_a_stream_gives() -> None:
    """`python docs/_programs/routes_picture.py` draws it anew."""
    drawn = runpy.run_path(str(ROOT / "docs" / "_programs" / "routes_picture.py"))["draw"]()

    assert drawn == (ROOT / "docs" / "pictures" / "routes.svg").read_text(encoding="utf-8")
