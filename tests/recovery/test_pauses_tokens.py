"""Google stops an answer at a limit of the request, and goes on from a token: one answer for the reader."""

from __future__ import annotations

import importlib
import json
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from tests.recovery.paused import end_of, raw_end_of
from tests.support.packages import needed
from tests.support.responses import streamed
from tests.support.resuming import stored
from tests.support.wire import sse
from tokenstream import Job, Retry, Stream, connect, resilient
from tokenstream.errors import StreamError
from tokenstream.events import MessageStart
from tokenstream.recovery import Attempt

URL = "https://generativelanguage.googleapis.com/v1beta/interactions"
ASKED: dict[str, Any] = {"model": "gemini-3.6-pro", "input": "Tell me of a river.", "stream": True}
WORDS = ["A river does ", "not mind a stone. ", "It goes around."]
GO_ON = Retry(attempts=9, pauses=8)


def leg(number: int, text: str, token: str | None) -> list[bytes]:
    """Return one interaction, in events with ids; with a token, it ends before the answer does."""
    status = "completed" if token is None else "requires_continuation"
    ended = {} if token is None else {"continuation_token": token}
    usage = {"total_input_tokens": 10 * number, "total_output_tokens": number, "total_tokens": 11 * number}
    interaction = {"id": f"v1_{number}", "object": "interaction", "model": "gemini-3.6-pro"}
    half = len(text) // 2
    payloads: list[dict[str, Any]] = [
        {"event_type": "interaction.created", "interaction": {**interaction, "status": "in_progress"}},
        {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}},
        *[
            {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": piece}}
            for piece in (text[:half], text[half:])
        ],
        {"event_type": "step.stop", "index": 0},
        {
            "event_type": "interaction.completed",
            "interaction": {**interaction, "status": status, "usage": usage, **ended},
        },
    ]
    return [
        sse({**payload, "event_id": f"{number}-{place}"}, event=payload["event_type"])
        for place, payload in enumerate(payloads)
    ]


LEGS = [leg(1, WORDS[0], "token-1"), leg(2, WORDS[1], "token-2"), leg(3, WORDS[2], None)]
TOKENS = [None, "token-1", "token-2"]


class Server:
    """Sends the interaction that a request asks for; breaks off after some events of one of them."""

    def __init__(self, legs: list[list[bytes]] = LEGS, cut: tuple[int, int] | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.fetched: list[str] = []
        self._legs, self._cut = legs, cut

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            after = request.url.params["last_event_id"]
            number, place = map(int, after.split("-"))
            assert request.url.path.endswith(f"/v1_{number}")
            self.fetched.append(after)
            chunks = self._legs[number - 1][place + 1 :]
        else:
            asked = json.loads(request.content)
            self.asked.append(asked)
            number = TOKENS.index(asked.get("continuation_token"))
            chunks = self._legs[number]
            if self._cut is not None and self._cut[0] == number:
                chunks, self._cut = chunks[: self._cut[1]], None
        return streamed(chunks)

    def read(self, retry: Retry, **asked: Any) -> Stream:
        client = httpx.Client(transport=httpx.MockTransport(self))
        with connect(URL, json={**ASKED, **asked}, client=client, retry=retry) as stream:
            heads = [event for event in stream if isinstance(event, MessageStart)]
        assert 1 == len(heads)
        return stream


def test_the_answer_goes_on_from_the_token_of_the_last_interaction() -> None:
    """The server has the input, so the request names the interaction in place of it."""
    server = Server()
    stream = server.read(GO_ON)

    assert ("".join(WORDS), "stop", "complete") == end_of(stream.message)
    assert "v1_1" == stream.message.id
    named = {name: value for name, value in ASKED.items() if name != "input"}
    assert [
        ASKED,
        {**named, "continuation_token": "token-1", "previous_interaction_id": "v1_1"},
        {**named, "continuation_token": "token-2", "previous_interaction_id": "v1_2"},
    ] == server.asked


def test_an_input_that_is_not_stored_is_sent_again() -> None:
    """Nothing names it, and the token alone is not enough."""
    server = Server()
    server.read(GO_ON, store=False)

    asked = {**ASKED, "store": False}
    assert [asked, *({**asked, "continuation_token": token} for token in TOKENS[1:])] == server.asked


def test_each_interaction_is_paid_for() -> None:
    stream = Server().read(GO_ON)

    usage = stream.message.usage
    assert (60, 6) == (usage.input_tokens, usage.output_tokens)
    assert (66, "reported") == (usage.total_tokens, usage.basis)
    told = [(leg.id, leg.usage.input_tokens) for leg in stream.pauses]
    assert [("v1_1", 10), ("v1_2", 20), ("v1_3", 30)] == told


class Order(BaseModel):
    dish: str
    table: int


def test_json_may_be_cut_anywhere_by_a_pause() -> None:
    pieces = ['{"dish": "so', 'up", "tab', 'le": 3}']
    legs = [leg(number, piece, TOKENS[number % 3]) for number, piece in enumerate(pieces, 1)]
    client = httpx.Client(transport=httpx.MockTransport(Server(legs)))
    with connect(URL, json=ASKED, client=client, retry=GO_ON) as stream:
        drafts = [*stream.partials(Order)]
    assert Order(dish="soup", table=3) == stream.result(Order)
    assert "soup" == drafts[-1].dish


@pytest.mark.parametrize("token", ["token-1", None])
def test_a_token_that_stays_the_same_ends_the_answer(token: str | None) -> None:
    """The server got no further: the answer is still paused, and the stream does not ask for ever."""
    same = leg(2, WORDS[1], "token-1")
    if token is None:
        same[-1] = same[-1].replace(b', "continuation_token": "token-1"', b"")
        assert b"token-1" not in same[-1]
    stream = Server([LEGS[0], same]).read(GO_ON)

    assert ("pause", "requires_continuation") == raw_end_of(stream.message)
    assert "got no further" in str(stream.pauses[-1].why)


def test_a_paused_answer_without_a_token_stays_paused() -> None:
    first = [*LEGS[0][:-1], LEGS[0][-1].replace(b"continuation_token", b"other")]
    stream = Server([first]).read(GO_ON)
    assert "the server has sent no token with which to go on" == stream.pauses[-1].why


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_interaction_that_breaks_is_resumed_where_it_broke(number: int) -> None:
    """The server still has it, so nothing is paid twice: also behind a pause."""
    for cut in range(1, len(LEGS[number])):
        server = Server(cut=(number, cut))
        stream = server.read(Retry(attempts=4, pauses=8, wait=0))

        assert ("".join(WORDS), "complete") == (stream.message.text, stream.message.ending), cut
        assert (3, [f"{number + 1}-{cut - 1}"]) == (len(server.asked), server.fetched)
        assert (60, 6) == (stream.message.usage.input_tokens, stream.message.usage.output_tokens)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_checkpoint_of_any_interaction_goes_on_in_another_process(number: int) -> None:
    for cut in range(2, len(LEGS[number])):
        with pytest.raises(StreamError) as caught:
            Server(cut=(number, cut)).read(Retry(attempts=number + 1, pauses=8))
        kept = stored(caught.value.checkpoint)
        last = kept.message.joined[-1].id if kept.message.joined else kept.message.id
        if kept.message.finish_reason == "pause":
            # Nothing of the interaction was shown: the answer is still paused.
            assert (f"v1_{number}", 2) == (last, cut)
            continue

        assert f"v1_{number + 1}" == last
        message = Stream(LEGS[number][cut:], job=Job("job", checkpoint=kept)).final()
        assert "".join(WORDS[: number + 1]) == message.text
        assert [*range(len(message.parts))] == [*range(number + 1)]


@pytest.mark.slow
def test_an_agent_function_makes_the_request_of_an_sdk() -> None:
    """The arguments of the SDK have the same names."""
    asked: list[dict[str, Any]] = []

    def ask(attempt: Attempt) -> list[bytes]:
        asked.append(attempt.request(ASKED))
        return LEGS[len(asked) - 1]

    with resilient(ask, GO_ON) as stream:
        assert "".join(WORDS) == stream.final().text

    needed("google.genai")
    module = importlib.import_module("google.genai._gaos.types.interactions.createmodelinteraction")
    for each in asked:
        module.CreateModelInteraction.model_validate({"input": "", **each})


def test_the_sdk_asks_for_the_same_interactions() -> None:
    needed("google.genai")
    module = importlib.import_module("google.genai._interactions_continuation")
    for store in ({}, {"store": False}):
        server = Server()
        server.read(GO_ON, **store)
        for number, asked in enumerate(server.asked[1:], 1):
            made = module._continuation_body({**ASKED, **store}, f"token-{number}", f"v1_{number}")  # noqa: SLF001 - its rule
            assert made == asked


def test_generate_content_goes_on_from_its_token() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        number = TOKENS.index(asked[-1].get("continuationToken"))
        content = {"role": "model", "parts": [{"text": WORDS[number]}]}
        candidate = {"content": content, "index": 0, "finishReason": "CONTINUATION" if number < 2 else "STOP"}
        usage = {"promptTokenCount": 10, "candidatesTokenCount": 2, "totalTokenCount": 12}
        token = {"continuationToken": TOKENS[number + 1]} if number < 2 else {}
        chunk = {"candidates": [candidate], "usageMetadata": usage, "responseId": f"r{number}", **token}
        return streamed([sse(chunk)])

    asked: list[Any] = []
    payload = {"contents": [{"role": "user", "parts": [{"text": "Tell me of a river."}]}]}
    client = httpx.Client(transport=httpx.MockTransport(answer))
    url = URL.replace("interactions", "models/gemini-3.6-pro:streamGenerateContent?alt=sse")
    with connect(url, json=payload, client=client, retry=GO_ON) as stream:
        assert "".join(WORDS) == "".join(stream.text)
    assert [payload, *[{**payload, "continuationToken": token} for token in TOKENS[1:]]] == asked
    assert (30, "r0") == (stream.message.usage.input_tokens, stream.message.id)
