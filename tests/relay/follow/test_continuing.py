"""A request with a position continues its answer or is refused, and never asks the model anew."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from tests.relay.follow.support import failing, memory_journal, read_body
from tests.support.asgi import Client, response_to
from tokenstream import AsyncStream, relay
from tokenstream.errors import ProviderError, StreamError

pytestmark = pytest.mark.anyio


class _Model:
    """Answers with other words each time, and counts how often it is asked."""

    def __init__(self, *, failures: int = 0) -> None:
        self.asked = 0
        self._failures = failures

    def stream(self) -> AsyncStream:
        return AsyncStream(self._pieces(), format="pieces")

    def answer(self, _: Any) -> Any:
        return self.stream()

    async def _pieces(self) -> AsyncIterator[str]:
        self.asked += 1
        if self.asked <= self._failures:
            raise ProviderError("no", kind="overloaded")
        for word in ("Answer ", str(self.asked), ", to its ", "end."):
            yield word


async def _post(
    app: Any, body: Any = None, method: str = "POST", path: str = "/chat", **headers: str
) -> Client:
    return await response_to(app, method, path, body, **headers)


def _text(client: Client) -> str:
    return read_body(client, "tokenstream")[0].text


async def test_a_post_with_a_position_continues_its_answer() -> None:
    model = _Model()
    async with memory_journal() as journal:
        for is_function in (False, True):
            model.asked = 0
            first = await _post(relay.respond(model.stream(), journal=journal))
            id = first.headers["x-answer-id"]
            again = await _post(
                relay.respond(model.stream if is_function else model.stream(), journal=journal),
                x_answer_id=id,
                last_event_id="4",
            )
            whole = await _post(relay.respond(model.stream(), journal=journal), x_answer_id=id)

            assert [200] * 3 == [first.status, again.status, whole.status]
            assert {id} == {client.headers["x-answer-id"] for client in (first, again, whole)}
            assert {f"/chat/{id}"} == {client.headers["location"] for client in (first, again, whole)}
            assert first.body.split(b"id: 5\n")[1] == again.body.split(b"id: 5\n")[1]
            assert b"id: 4\n" not in again.body
            assert f'"answer":"{id}"'.encode() in again.body.split(b"\n\n")[1]
            assert "Answer 1, to its end." == _text(first) == _text(whole)
            assert 1 == model.asked


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({"last_event_id": "4"}, 409, "no_answer_id"),
        ({"last_event_id": "four"}, 400, "unknown_position"),
        ({"last_event_id": "four", "x_answer_id": "mine"}, 400, "unknown_position"),
        ({"last_event_id": "99", "x_answer_id": "mine"}, 400, "unknown_position"),
        ({"last_event_id": "4", "x_answer_id": "unheard-of"}, 404, "unknown_answer"),
        ({"x_answer_id": "unheard-of"}, 404, "unknown_answer"),
        ({"x_answer_id": "x" * 300}, 404, "unknown_answer"),
        ({"last_event_id": "4", "x_answer_id": "theirs"}, 404, "unknown_answer"),
        ({"last_event_id": "8", "x_answer_id": "mine"}, 204, None),
    ],
)
@pytest.mark.parametrize("route", ["respond", "routes"])
async def test_what_cannot_be_continued_is_refused(
    route: str, headers: dict[str, str], status: int, kind: str | None
) -> None:
    """Each refusal has its status, the same from an endpoint and from the routes; the model is not asked."""
    model = _Model()
    async with memory_journal() as journal:
        for id, owner in (("mine", "ann"), ("theirs", "bob")):
            await _post(relay.respond(model.stream(), journal=journal, id=id, owner=owner))
        app: Any = (
            relay.endpoints(journal, model.answer, owner=lambda _: "ann")
            if route == "routes"
            else relay.respond(model.stream(), journal=journal, owner="ann")
        )
        client = await _post(app, {}, path="/", **headers)

    assert status == client.status
    assert 2 == model.asked
    assert kind == (client.json["error"]["type"] if kind else None)


@pytest.mark.slow
async def test_what_was_trimmed_or_has_expired_is_gone() -> None:
    given: list[dict[str, Any]] = [{"max_bytes": 60}, {"expire": 1.0}]
    for options in given:
        model = _Model()
        async with memory_journal(**options) as journal:
            # The reader of a start may itself be trimmed.
            await _post(relay.respond(model.stream(), journal=journal, id="mine"))
            if "expire" in options:
                await anyio.sleep(1.05)
            app = relay.respond(model.stream(), journal=journal)
            late = await _post(app, x_answer_id="mine", last_event_id="1")

        assert (410, "answer_expired") == (late.status, late.json["error"]["type"])
        assert 1 == model.asked


async def test_without_a_journal_a_post_with_a_position_is_refused() -> None:
    """Nothing is kept, so there is nothing to continue; the source is closed without being opened."""
    for headers in ({"last_event_id": "4"}, {"x_answer_id": "any"}):
        model = _Model()
        for source in (model.stream(), model.stream):
            client = await _post(relay.respond(source), **headers)
            assert (409, "not_kept") == (client.status, client.json["error"]["type"])
        malformed = await _post(relay.respond(model.stream()), last_event_id="four")
        assert 400 == malformed.status
        assert 0 == model.asked


async def test_a_get_without_a_journal_is_answered() -> None:
    """An application may make the same events for each GET, such as the patches of a form."""
    client = await _post(relay.respond(_Model().stream()), method="GET", last_event_id="4")
    assert "Answer 1, to its end." == _text(client)


async def test_a_source_may_be_a_function() -> None:
    model = _Model()

    async def make() -> AsyncStream:
        return model.stream()

    async with memory_journal() as journal:
        given: list[dict[str, Any]] = [{}, {"journal": journal}]
        for options in given:
            for source in (model.stream, make):
                client = await _post(relay.respond(source, **options))
                assert f"Answer {model.asked}, to its end." == _text(client)
            asked = model.asked
            head = await _post(relay.respond(make, **options), method="HEAD")
            assert (200, asked) == (head.status, model.asked)


async def test_a_function_that_fails_is_the_failure_of_the_answer() -> None:
    def make() -> Any:
        raise ProviderError("no", kind="overloaded")

    async with memory_journal() as journal:
        given: list[dict[str, Any]] = [{}, {"journal": journal}]
        for options in given:
            client = await _post(relay.respond(make, **options))
            assert 503 == client.status


async def test_an_idempotency_key_gives_the_same_answer() -> None:
    """The key is scoped by owner and body; the same key with another body is refused."""
    model = _Model()
    async with memory_journal() as journal:

        async def ask(body: Any, owner: str | None, **headers: str) -> Client:
            return await _post(
                relay.respond(model.stream(), journal=journal, body=body, owner=owner), body, **headers
            )

        first = await ask({"a": 1, "b": 2}, "ann", idempotency_key="k")
        again = await ask({"b": 2, "a": 1}, "ann", idempotency_key="k")
        rest = await ask({"a": 1, "b": 2}, "ann", idempotency_key="k", last_event_id="4")
        theirs = await ask({"a": 1, "b": 2}, "bob", idempotency_key="k")
        other = await ask({"a": 2}, "ann", idempotency_key="k")
        without = await ask({"a": 1, "b": 2}, "ann")
        unasked = await ask({"a": 1}, "ann", idempotency_key="new", last_event_id="4")

    assert "Answer 1, to its end." == _text(first) == _text(again)
    assert first.headers["x-answer-id"] == again.headers["x-answer-id"] == rest.headers["x-answer-id"]
    assert rest.body.endswith(first.body[-100:])
    assert ["Answer 2, to its end.", "Answer 3, to its end."] == [_text(theirs), _text(without)]
    assert (422, "key_reused") == (other.status, other.json["error"]["type"])
    assert 404 == unasked.status
    assert 3 == model.asked


async def test_an_answer_is_not_given_to_another_request() -> None:
    model = _Model()
    async with memory_journal() as journal:

        async def ask(body: Any, id: str | None = None, **headers: str) -> Client:
            return await _post(relay.respond(model.stream(), journal=journal, body=body, id=id), **headers)

        first = await ask({"a": 1}, idempotency_key="k")
        id = first.headers["x-answer-id"]
        refused = [
            await ask({"a": 2}, x_answer_id=id),
            await ask({"a": 2}, x_answer_id=id, idempotency_key="k", last_event_id="4"),
            await ask({"a": 1}, x_answer_id=id, idempotency_key="other"),
            await ask({"a": 2}, id),
            await ask({"a": 1}, "fixed", x_answer_id=id),
        ]
        same = await ask({"a": 1}, x_answer_id=id, idempotency_key="k")
        fixed = [await ask({"a": 1}, "fixed", idempotency_key=key) for key in ("one", "two")]

    assert [(409, "other_request")] * 5 == [(one.status, one.json["error"]["type"]) for one in refused]
    assert 200 == same.status
    # The application's id says which answer it is, whatever key the reader has made.
    assert ["Answer 2, to its end."] * 2 == [_text(client) for client in fixed]
    assert 2 == model.asked


async def test_a_key_whose_answer_failed_before_its_first_content_asks_anew() -> None:
    """Each failure is forgotten, in every process; an answer with content is kept, also if it broke off."""
    model = _Model(failures=2)
    async with memory_journal() as journal:
        app = relay.endpoints(journal, model.answer)
        clients = [
            await _post(app, {}, path="/", idempotency_key="k", accept="text/event-stream") for _ in range(4)
        ]
        broken = [
            await _post(
                relay.respond(failing(StreamError("gone"), text), journal=journal, body={}),
                idempotency_key="b",
            )
            for text in ("Once", "Twice")
        ]

    assert [503, 503, 200, 200] == [client.status for client in clients]
    assert ["Answer 3, to its end."] * 2 == [_text(client) for client in clients[2:]]
    assert 3 == model.asked
    assert ["Once", "Once"] == [_text(client) for client in broken]


async def test_a_key_that_is_sent_twice_at_once_asks_once() -> None:
    model, clients = _Model(), list[Client]()
    async with memory_journal() as journal:
        app = relay.endpoints(journal, model.answer)

        async def ask() -> None:
            clients.append(await _post(app, {}, path="/", idempotency_key="k", accept="text/event-stream"))

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
        quiet = await _post(app, {}, path="/", idempotency_key="k")

    assert ["Answer 1, to its end."] * 5 == [_text(client) for client in clients]
    assert (200, clients[0].headers["location"]) == (quiet.status, quiet.headers["location"])
    assert quiet.json["id"] == quiet.headers["x-answer-id"] == clients[0].headers["x-answer-id"]


async def test_an_owners_key_gives_the_same_answer() -> None:
    """Without `body=`, an endpoint takes its owner's word that it is the same question."""
    model = _Model()
    async with memory_journal() as journal:
        asked = [
            ("ann", "k", 1),
            ("ann", "k", 1),
            ("ann", "other", 2),
            ("bob", "k", 3),
            (None, "k", 4),
            (None, "k", 5),
        ]
        for owner, key, number in asked:
            app = relay.respond(model.stream(), journal=journal, owner=owner)
            assert f"Answer {number}, to its end." == _text(await _post(app, idempotency_key=key))


async def test_an_application_chooses_the_address() -> None:
    """`location=` names it, and a header of the application's own counts more."""
    model = _Model()
    async with memory_journal() as journal:
        given: list[tuple[dict[str, Any], str]] = [
            ({}, "/chat/a%2Fb"),
            ({"location": "/api/answers/{id}?v=1"}, "/api/answers/a%2Fb?v=1"),
            ({"location": "/api?answer={id}&x=%20#part"}, "/api?answer=a%2Fb&x=%20#part"),
            ({"headers": {"Location": "/there"}}, "/there"),
        ]
        for options, expected in given:
            client = await _post(relay.respond(model.stream(), journal=journal, id="a/b", **options))
            assert expected == client.headers["location"]
        got = await _post(relay.respond(model.stream(), journal=journal, id="a/b"), method="GET")
    assert "location" not in got.headers


async def test_a_position_is_one_of_the_answer_that_is_followed() -> None:
    """`follow` refuses a reader that has another answer; the first event and the header name this one."""
    async with memory_journal() as journal:
        id = await journal.start(_Model().stream(), id="a b")
        app = relay.follow(journal, id, protocol="ndjson")
        refused = await _post(app, method="GET", x_answer_id="other")
        app = relay.follow(journal, id, protocol="ndjson")
        client = await _post(app, method="GET", x_answer_id="a%20b")
        assert (404, 200) == (refused.status, client.status)
        assert "a%20b" == client.headers["x-answer-id"]
        first = json.loads(client.body.strip().splitlines()[0])
    assert "a b" == first["answer"]
