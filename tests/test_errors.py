"""Errors: one tree, everything on board, across process borders; and the table of their kinds."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.project import ROOT
from tests.support.asgi import Client
from tests.support.encoders import PROTOCOLS
from tests.support.packages import needed
from tests.support.refusals import status_error_of
from tests.support.tables import in_one_test
from tokenstream import Checkpoint, Stream, errors, relay
from tokenstream._values import error_kinds as _kinds
from tokenstream._values.error_kinds import ERROR_KINDS
from tokenstream._values.origin import Origin
from tokenstream.errors import ErrorKind, ProviderError
from tokenstream.events import Event, MessageStart, TextDelta
from tokenstream.message import Message, TextPart
from tokenstream.testing import RecordingInvalid

ERRORS: list[errors.TokenStreamError] = [
    errors.TokenStreamError("a"),
    errors.MisuseError("a"),
    errors.MisuseError("a", kind="closed"),
    errors.NotExpressible("a", kinds={"citation": 2}),
    relay.JournalError("a", kind="closed"),
    RecordingInvalid("a", path="a.rec", line=3),
    errors.ConnectError("a", stage="connect"),
    errors.StatusError("a", status=429, code="c", type="t", body="b", kind="rate_limited", retry_after=2.0),
    errors.NotAStream("a", body="<html>"),
    errors.StreamInterrupted("a"),
    errors.StreamTruncated("a"),
    errors.StreamStalled("a", limit="total"),
    errors.ProtocolError("a", event=3, offset=4),
    errors.LimitExceeded(limit="body", value=10),
    errors.ProviderError("a", code="c", type="t", kind="overloaded"),
    errors.OutputInvalid("a", text="{", offset=1, errors=[{"type": "missing", "loc": ("b",)}]),
    errors.InvalidJSON("a", text="{]", offset=1),
    errors.OutputIncomplete("a", text="{", offset=1),
    errors.AnswerRejected("a", outcome="refusal"),
    errors.CostExceeded("a", text="{"),
    errors.CallUncertain("a", key="k"),
    errors.CallsDiffer("a", number=1, first=["pay({})"], second=["pay({})", "mail({})"]),
    errors.CallStoreUnavailable("a"),
]


class TaskError(Exception):
    """Stands for the error of Ray's tasks, whose class is made of this one and the cause's."""

    def __init__(self, cause: errors.TokenStreamError) -> None:
        self.cause = cause  # As Ray's does, it leaves out the constructors of its bases.

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "cause"), name)


def joined_with_a_task(error: errors.TokenStreamError) -> Any:
    return type("TaskError", (TaskError, type(error)), {})(error)


BORDERS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "a class of two": joined_with_a_task,
}


@in_one_test("border", BORDERS)
@in_one_test("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_crosses_a_border_with_all_that_it_carries(
    error: errors.TokenStreamError, border: str
) -> None:
    """Its own values, and all that it answers by them, are the same on the other side."""
    given: dict[str, Any] = {"tool_results": Message().tool_results, "_code_hint": "; a hint"}
    if isinstance(error, errors.StreamError | errors.OutputInvalid | errors.OutputIncomplete):
        given |= {"partial": Message(parts=(TextPart(text="Hel"),)), "origin": Origin(host="a.example")}
    if isinstance(error, errors.StreamError):
        given |= {"request_id": "req_1", "checkpoint": Checkpoint(format="text", events_seen=3)}
        given |= {"provider_message": "no", "retry_after": 7.0, "tail": b"da", "stderr": "gone"}
    for name, value in given.items():
        setattr(error, name, value)
    there = BORDERS[border](error)

    assert isinstance(there, type(error))
    assert str(there) == str(error)
    for name in {*vars(error), *(name for name in dir(type(error)) if name[0] != "_")} - {"args"}:
        value = getattr(error, name)
        assert callable(value) or getattr(there, name) == value, name


def classes_below(cls: type[errors.TokenStreamError]) -> set[type[errors.TokenStreamError]]:
    found = {cls}.union(*map(classes_below, cls.__subclasses__()))
    return {each for each in found if each.__module__.startswith("tokenstream")}


def test_no_class_of_errors_has_a_value_of_a_single_error() -> None:
    """Ray's class of an error would find it there, and never ask its cause."""
    of_all = {"default_kind", "words_for_model"}
    for cls in classes_below(errors.TokenStreamError):
        for name in vars(cls).keys() - of_all:
            is_code = callable(value := vars(cls)[name]) or hasattr(value, "__get__")
            assert is_code or name.startswith("__"), f"{cls.__name__}.{name}"


REFUSALS: list[errors.StreamError] = [
    *(status_error_of(status, {}) for status in (400, 401, 402, 403, 404, 408, 418, 429, 500, 501, 503, 529)),
    status_error_of(
        429, {}, {"error": {"code": "insufficient_quota", "message": "You have used status 500"}}
    ),
    status_error_of(400, {"x-amzn-errortype": "ThrottlingException"}),
    status_error_of(400, {}, {"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}}),
]


@in_one_test("error", [*ERRORS, *REFUSALS], ids=str)
def test_an_error_is_made_again_of_its_class_and_its_text(error: errors.TokenStreamError) -> None:
    """A store of results in JSON, such as Celery's, keeps no more than these two.

    Whoever waits for a refused task decides by the status of the refusal.
    """
    made: Any = type(error)(*json.loads(json.dumps(error.args)))

    assert (made.message, type(made)) == (error.message, type(error))
    assert not isinstance(error, errors.StatusError) or made.status in (error.status, 0)
    assert error not in REFUSALS or made.retryable == vars(error)["retryable"]


def test_celerys_json_backend_gives_back_a_status_error(tmp_path: Path) -> None:
    """Whoever waits for the task's result catches it as what it is, and decides by its kind."""
    backend = needed("celery").Celery(backend=f"file://{tmp_path}").backend
    error = status_error_of(503, {}, {"error": {"message": "not status 200"}})
    found = backend.exception_to_python(
        json.loads(json.dumps(backend.prepare_exception(error, serializer="json")))
    )

    assert isinstance(found, errors.StatusError)
    assert (503, "overloaded", error.message) == (found.status, found.kind, found.message)


def test_blame_is_the_class() -> None:
    """Misuse is a RuntimeError; everything has one root."""
    assert issubclass(errors.NotExpressible, errors.MisuseError)
    assert issubclass(errors.MisuseError, RuntimeError)
    assert not issubclass(errors.StreamError, errors.MisuseError)
    assert all(
        issubclass(getattr(errors, name), errors.TokenStreamError)
        for name in errors.__all__
        if name not in ("ErrorKind", "Outcome")
    )


def test_output_that_is_no_json_is_output_that_is_invalid() -> None:
    """One `except` serves both; what was cut is another matter."""
    assert issubclass(errors.InvalidJSON, errors.OutputInvalid)
    assert not issubclass(errors.OutputIncomplete, errors.OutputInvalid)


def test_what_is_worth_a_retry() -> None:
    """The world's passing faults are; requests that are wrong and bounds that were met are not."""
    assert errors.StreamTruncated("a").retryable
    assert errors.ProviderError("a", kind="overloaded").retryable
    assert not errors.ProviderError("a", kind="invalid_request").retryable
    assert not errors.ProviderError("a").retryable
    assert not errors.LimitExceeded(limit="body", value=10).retryable
    assert errors.ProviderError("a", kind="authentication", retryable=True).retryable


@pytest.mark.parametrize("place", ["the docstring", "the page"])
def test_the_tree_of_errors_has_each_with_its_base(place: str) -> None:
    page = (ROOT / "docs" / "guides" / "errors.md").read_text(encoding="utf-8")
    told, above = dict[str, str](), ["TokenStreamError"]
    for line in (page if place == "the page" else str(errors.__doc__)).splitlines():
        if found := re.match(r"(?: {4})?((?:│   |    )*)[├└]── (\w+)", line):
            depth = len(found[1]) // 4
            told[found[2]], above[depth + 1 :] = above[depth], [found[2]]
    public = [getattr(errors, name) for name in errors.__all__ if name not in ("ErrorKind", "Outcome")]
    bases = {each: next((base for base in each.__mro__[1:] if base in public), None) for each in public}

    assert told == {each.__name__: base.__name__ for each, base in bases.items() if base is not None}


def test_a_bound_says_how_to_raise_it() -> None:
    """The message names the field and its value."""
    error = errors.LimitExceeded(limit="body", value=1_000)

    assert "Limits.body = 1,000" in str(error)
    assert "Limits(body=" in str(error)


def test_an_error_always_has_a_partial() -> None:
    """An empty message where no stream has put one."""
    error = errors.StreamInterrupted("a")

    assert error.partial == Message()
    error.partial = Message(id="m")
    assert error.partial.id == "m"


def test_an_error_says_how_far_the_answer_was() -> None:
    body = [b"id: 7\ndata: Hel\n\n", b"id: 8\ndata: lo\n\n"]
    with pytest.raises(errors.StreamTruncated) as caught:
        Stream(body, format="text").final()

    kept = pickle.loads(pickle.dumps(caught.value)).checkpoint
    assert kept.message == caught.value.partial
    assert kept.message.text == "Hello"
    assert (kept.format, kept.last_event_id, kept.events_seen) == ("text", "8", caught.value.events_seen)


def test_a_stream_says_how_far_it_is() -> None:
    """At any time, and in a form that a file can keep."""
    stream = Stream([b"id: 7\ndata: Hel\n\ndata: [DONE]\n\n"], format="text")
    assert stream.checkpoint() == Checkpoint(format="text")
    next(iter(stream))
    kept = Checkpoint.model_validate_json(stream.checkpoint().model_dump_json())
    stream.close()

    assert (kept.last_event_id, kept.message.text, kept.message.ending) == ("7", "", "streaming")


def test_each_kind_has_a_row() -> None:
    assert set(get_args(ErrorKind)) == set(ERROR_KINDS)


@in_one_test("kind", ERROR_KINDS)
def test_what_stands_in_for_a_kind_is_a_kind_and_comes_to_an_end(kind: str) -> None:
    """No circle: `word_for` follows these names."""
    seen: list[str] = []
    current: str | None = kind
    while current is not None:
        assert current not in seen
        seen.append(current)
        current = ERROR_KINDS[current].like


@in_one_test("kind", ERROR_KINDS)
def test_what_stands_in_for_a_kind_is_worth_a_retry_if_the_kind_is(kind: str) -> None:
    """A client of a relay that asks again does so where it may help."""
    row = ERROR_KINDS[kind]

    assert row.like is None or ERROR_KINDS[row.like].retryable == row.retryable


def test_the_status_of_a_refused_request_says_what_to_do() -> None:
    assert "check the API key" in str(status_error_of(401, {}))
    assert str(status_error_of(402, {})).endswith(ERROR_KINDS["quota"].advice or "")
    assert str(status_error_of(422, {})).endswith(ERROR_KINDS["invalid_request"].advice or "")


@pytest.fixture
def new_kind(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A kind that no encoder has heard of, and that is like another one."""
    row = ERROR_KINDS["rate_limited"]._replace(like="rate_limited")
    monkeypatch.setitem(_kinds.ERROR_KINDS, "credit", row)
    return "credit"


def sent(kind: Any, protocol: Any) -> list[Any]:
    """Return what a protocol sends for an answer that fails, and the error that it can only raise."""

    def events() -> Iterator[Event]:
        yield MessageStart("id", "model")
        yield TextDelta("Hel", part=0)
        raise ProviderError("no credit left", kind=kind)

    found: list[Any] = []
    try:
        found.extend(relay.encode(events(), protocol))
    except ProviderError as error:
        found.append(str(error))
    return found


@in_one_test("protocol", PROTOCOLS)
def test_a_new_row_is_all_that_a_new_kind_needs(new_kind: Any, protocol: Any) -> None:
    """Each protocol says it in its own word for the kind that it is like; ours have the kind itself."""

    def said(kind: Any) -> str:
        # Each encoder gives its answer a random id. The last chunk has the error.
        return re.sub(r"[0-9a-f]{24}", "", str(sent(kind, protocol)[-1:]))

    expected = said("rate_limited")

    assert said(new_kind) in (expected, expected.replace("rate_limited", "credit"))
    assert "rate_limited" not in expected or said(new_kind) != expected


@pytest.mark.anyio
async def test_a_new_row_tells_the_clients_of_a_relay(new_kind: Any) -> None:
    error = ProviderError("no credit left", kind=new_kind)

    async def failing() -> AsyncIterator[Event]:
        for event in list[Event]():
            yield event
        raise error

    client = Client()
    await client.call(relay.respond(failing()))

    assert 429 == client.status
    assert b"The provider asks to wait before the next request." in client.body
    assert "the provider takes no more requests for now" in str(sent(new_kind, "tokenstream"))
    assert error.retryable
