"""Errors: one tree, everything on board, and across process borders."""

from __future__ import annotations

import pickle

import pytest

from tests.support.tables import in_one_test
from tokenstream import Checkpoint, Stream, errors
from tokenstream.message import Message, TextPart

ERRORS: list[errors.TokenStreamError] = [
    errors.TokenStreamError("a"),
    errors.StreamClosed("a"),
    errors.StreamConsumed("a"),
    errors.ConcurrentRead("a"),
    errors.NotExpressible("a", kinds={"citation": 2}),
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
    errors.CallUncertain("a", key="k"),
    errors.CallsDiffer(1, first=["pay({})"], second=["pay({})", "mail({})"]),
    errors.CallStoreUnavailable("a"),
]


@in_one_test("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_pickles_with_all_that_it_carries(error: errors.TokenStreamError) -> None:
    if isinstance(error, errors.StreamError | errors.OutputInvalid | errors.OutputIncomplete):
        error.partial = Message(parts=(TextPart(text="Hel"),))
    if isinstance(error, errors.StreamError):
        error.request_id = "req_1"
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__


def test_blame_is_the_class() -> None:
    """Misuse is a RuntimeError; everything has one root."""
    assert issubclass(errors.StreamClosed, (errors.MisuseError, RuntimeError))
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


def test_an_error_of_the_output_has_an_empty_partial_where_no_stream_put_one() -> None:
    """As errors of a stream have."""
    assert errors.InvalidJSON("a", offset=1).partial == Message()


def test_what_is_worth_a_retry() -> None:
    """The world's passing faults are; requests that are wrong and bounds that were met are not."""
    assert errors.StreamTruncated("a").retryable
    assert errors.ProviderError("a", kind="overloaded").retryable
    assert not errors.ProviderError("a", kind="invalid_request").retryable
    assert not errors.ProviderError("a").retryable
    assert not errors.LimitExceeded(limit="body", value=10).retryable
    assert errors.ProviderError("a", kind="authentication", retryable=True).retryable


def test_the_tree_in_the_docstring_names_every_error() -> None:
    """The docstring is the map."""
    assert errors.__doc__ is not None
    for name in errors.__all__:
        if name not in ("ErrorKind", "Outcome"):
            assert f"{name}\n" in errors.__doc__ or f"{name} " in errors.__doc__


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


def test_an_error_says_where_the_answer_stood() -> None:
    """Its checkpoint holds the partial answer, the format and the last id, and outlives the process."""
    body = [b"id: 7\ndata: Hel\n\n", b"id: 8\ndata: lo\n\n"]
    with pytest.raises(errors.StreamTruncated) as caught:
        Stream(body, format="text").final()

    kept = pickle.loads(pickle.dumps(caught.value)).checkpoint
    assert kept.message == caught.value.partial
    assert kept.message.text == "Hello"
    assert (kept.format, kept.last_event_id, kept.events_seen) == ("text", "8", caught.value.events_seen)


def test_an_error_that_no_stream_raised_has_a_checkpoint_too() -> None:
    """It holds the partial answer, which is empty."""
    assert errors.StreamInterrupted("a").checkpoint.message == Message()


def test_a_stream_says_where_it_stands() -> None:
    """At any time, and in a form that a file can keep."""
    stream = Stream([b"id: 7\ndata: Hel\n\ndata: [DONE]\n\n"], format="text")
    assert stream.checkpoint() == Checkpoint(format="text")
    next(iter(stream))
    kept = Checkpoint.model_validate_json(stream.checkpoint().model_dump_json())
    stream.close()

    assert (kept.last_event_id, kept.message.text, kept.message.ending) == ("7", "", "streaming")
