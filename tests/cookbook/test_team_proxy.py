"""The team's proxy with a real Redis and two workers, as OpenAI's SDK sees it."""

from __future__ import annotations

import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.cookbook.programs import serving, write_program
from tests.support.packages import needed
from tests.support.redis_servers import RedisServer
from tokenstream import testing

needed("fastapi")
needed("redis")
openai = needed("openai")
pytestmark = pytest.mark.slow
_USERS = {f"key-{number}": f"user{number}" for number in range(10)}
_COST = 1_000 * 0.25e-6 + 1_000 * 2e-6
"""What an answer costs, by the program's price; 0.00405 may be taken for it."""
_ANSWER = testing.script().text("Tiles ", "it is.").usage(input_tokens=1_000, output_tokens=1_000).finish()
_LONG = testing.script().text(*["a word or two "] * 2_000).finish()
"""It is longer than the output limit that was asked for, so that it may cost more than was taken."""


class Proxy(NamedTuple):
    """Two workers of a proxy, the provider behind them, and their Redis."""

    workers: list[str]
    provider: testing.Server
    redis: RedisServer

    def ask(self, number: int) -> str:
        """Ask as one of the users does, with OpenAI's SDK and its retries; return the text."""
        url = f"{self.workers[number % 2]}/v1"
        with openai.OpenAI(base_url=url, api_key=f"key-{number}") as client:
            question = [{"role": "user", "content": "Which tiles?"}]
            chunks = client.chat.completions.create(model="any", messages=question, stream=True)
            return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)

    def outcome(self, number: int) -> str:
        """Return the text that a user gets, or the status and type of the refusal."""
        try:
            return self.ask(number)
        except openai.APIStatusError as error:
            return f"{error.status_code} {error.type}"

    def spent(self, number: int) -> float:
        """Return what a user's purse says that is spent."""
        headers = {"Authorization": f"Bearer key-{number}"}
        return float(httpx.get(f"{self.workers[0]}/spent", headers=headers).json()["spent"])


@contextmanager
def proxying(folder: Path, answer: testing.Script, **variables: str) -> Generator[Proxy]:
    write_program("team-proxy", folder)
    command = ("-m", "uvicorn", "team_proxy:app", "--port", "{port}")
    with (
        RedisServer(folder) as redis,
        testing.serve(answer.recording("openai-chat")) as provider,
        ExitStack() as running,
    ):
        variables |= {"OPENAI_BASE_URL": f"{provider.url}/v1", "REDIS_URL": f"unix://{redis.path}"}
        variables |= {"USERS": json.dumps(_USERS)}
        workers = [running.enter_context(serving(folder, *command, **variables)) for _ in range(2)]
        yield Proxy(workers, provider, redis)


def test_ten_users_share_a_purse_which_is_never_overdrawn(tmp_path: Path) -> None:
    """One after the other, eight get an answer; the last two get a 402, after one request each."""
    with proxying(tmp_path, _ANSWER, TEAM="0.0202") as proxy:
        seen = [proxy.outcome(number) for number in range(10)]

        assert ["Tiles it is."] * 8 + ["402 insufficient_quota"] * 2 == seen
        assert 8 == len(proxy.provider.requests)
        assert pytest.approx(8 * _COST) == proxy.spent(3)


def test_ten_users_at_a_time_spend_no_more_than_the_purse_has(tmp_path: Path) -> None:
    """What runs has taken its most, so fewer may be answered; nobody is asked for who is refused."""
    with proxying(tmp_path, _ANSWER, TEAM="0.0202") as proxy, ThreadPoolExecutor(10) as pool:
        seen = [*pool.map(proxy.outcome, range(10))]
        answered = seen.count("Tiles it is.")

        assert 4 <= answered <= 8
        assert 10 - answered == seen.count("402 insufficient_quota")
        assert answered == len(proxy.provider.requests)
        assert pytest.approx(answered * _COST) == proxy.spent(0)


def test_the_empty_purse_of_a_user_stops_nobody_else(tmp_path: Path) -> None:
    """Each has one purse at both workers."""
    with proxying(tmp_path, _ANSWER, EACH="0.0062") as proxy:
        assert ["Tiles it is.", "402 insufficient_quota"] == [proxy.outcome(0), proxy.outcome(0)]
        assert "Tiles it is." == proxy.outcome(1)
        assert [pytest.approx(_COST)] * 2 == [proxy.spent(0), proxy.spent(1)]
        assert 0 == proxy.spent(2)


def test_a_purse_that_gets_empty_ends_a_running_answer_with_an_error(tmp_path: Path) -> None:
    """The SDK raises it behind the text, and asks nobody again."""
    with proxying(tmp_path, _LONG, EACH="0.005") as proxy:
        with pytest.raises(openai.APIError, match="quota") as raised:
            proxy.ask(0)

        assert "insufficient_quota" == raised.value.code
        assert not isinstance(raised.value, openai.APIStatusError)
        assert 1 == len(proxy.provider.requests)
        assert "402 insufficient_quota" == proxy.outcome(0)


def test_without_a_key_or_without_redis_nobody_asks_the_model(tmp_path: Path) -> None:
    """A key that is unknown is a 401, a body that wants no stream a 422, and a store that is gone a 503."""
    asked = {"messages": [{"role": "user", "content": "Which tiles?"}], "stream": True}
    with proxying(tmp_path, _ANSWER) as proxy:
        url, known = f"{proxy.workers[0]}/v1/chat/completions", {"Authorization": "Bearer key-1"}
        assert 401 == httpx.post(url, json=asked).status_code
        assert 401 == httpx.post(url, json=asked, headers={"Authorization": "Bearer user1"}).status_code
        assert 422 == httpx.post(url, json={**asked, "stream": False}, headers=known).status_code
        proxy.redis.kill()
        gone = httpx.post(url, json=asked, headers=known, timeout=30)

        assert (503, "application/json") == (gone.status_code, gone.headers["content-type"])
        assert "error" in gone.json()
        assert [] == proxy.provider.requests
