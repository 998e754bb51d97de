"""`inspect`: its description of a fault and its advice, in terms of the command line."""

from __future__ import annotations

import pickle
import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import CUT, RECORDINGS, run
from tests.support.replies import reply, serve_in_time
from tests.support.wire import sse
from tokenstream._basics.error_marks import add_code_hint
from tokenstream._connection.head import ResponseHead
from tokenstream._connection.status import ErrorBody
from tokenstream.cli import main
from tokenstream.cli._advice import FORMATS, advise_on_error, describe_error
from tokenstream.errors import (
    ConnectError,
    LimitExceeded,
    NotAStream,
    ProviderError,
    StatusError,
    StreamError,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.formats._detect.unknown import describe_unknown_body, describe_unknown_format
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from tests.cli.commands import Shown
    from tokenstream.testing import Recording

_PYTHON = re.compile(r"\w=|(?<!\w)\.[a-z]|Limits\.|Limits\(|Deadlines")
"""A keyword, an attribute or a class: none of these is of use on a command line."""
_HTML = b"<html><title>Gateway</title></html>"
_UNKNOWN = sse('{"odd": 1}')
_LIMIT = "this command has no option for it; a program may allow more, with the library's Limits"
_FILE = "look at what was recorded: a file has no other answer to give"
_AGAIN = "ask again: it may help"
_NAME_IT = (
    f"if it is one of these formats, name it with --format: {', '.join(FORMATS)}; "
    "another one needs a program, with a mapping or a format of its own"
)


def _redirected() -> StreamError:
    follower = ErrorBody(ResponseHead(status=307, headers={"location": "/there"}, url="http://example.com/"))
    follower.end()
    assert follower.error is not None
    return follower.error


def _rows(shown: str) -> tuple[str, str]:
    """Return what is said of the error, and what to do."""
    said = re.search(r"^error +(.*)$", shown, re.MULTILINE)
    done = re.search(r"^what to do +(.*)$", shown, re.MULTILINE)
    assert said is not None
    assert done is not None
    return said[1], done[1]


@pytest.mark.parametrize(
    ("content", "what_to_do"),
    [
        (b"", _FILE),
        (CUT, _FILE),
        (CUT + sse("{nonsense}"), _FILE),
        (CUT + sse('{"error":{"message":"no","type":"overloaded_error"}}'), _FILE),
        (_HTML, "look at how it was recorded"),
        (CUT.replace(b"\n", b"") * 2, "look at how it was recorded"),
        (bytes(range(256)), _NAME_IT),
        (_UNKNOWN, _NAME_IT),
        (sse("x", event="odd"), _NAME_IT),
        (sse("{nonsense}"), _FILE),
        (b'{"choices":' + b"[" * 300, _LIMIT),
    ],
)
def test_a_file_is_never_to_be_asked_again(content: bytes, what_to_do: str, shown: Shown) -> None:
    said, done = _rows(shown(content)[1])

    assert what_to_do == done
    assert not _PYTHON.search(said)
    assert "ask again" not in said


@pytest.mark.slow
def test_what_came_through_a_pipe_may_be_asked_again() -> None:
    """The command before the pipe may have asked a server."""
    done = run("inspect", "-", given=CUT)

    assert _AGAIN == _rows(done.stdout.decode())[1]


@pytest.mark.parametrize(
    ("answer", "what_to_do"),
    [
        (reply([(0.0, CUT)]), _AGAIN),
        (reply([(0.0, _HTML)]), "check the address, and any proxies on the way"),
        (reply([(0.0, _UNKNOWN)]), _NAME_IT),
        (reply(status=307, headers={"location": "/there"}), "ask at that address, if it is to be trusted"),
        (reply(status=401), "check the key and what it may do"),
        (reply(status=400), "change the request"),
        (reply(status=503, headers={"retry-after": "7"}), "ask in 7 seconds: it may help"),
    ],
)
def test_a_server_is_asked_otherwise(answer: Recording, what_to_do: str, shown: Shown) -> None:
    with serve_in_time(answer) as server:
        said, done = _rows(shown(f"{server.url}/x")[1])

    assert what_to_do == done
    assert not _PYTHON.search(said)


def test_calls_that_were_handed_out_are_named() -> None:
    error = StreamTruncated("it was cut")
    error.tool_calls_delivered = ("call_1", "call_2")

    assert "ask again, but mind the tool calls that were handed out: call_1, call_2" == advise_on_error(
        error, "request"
    )


@pytest.mark.parametrize(
    ("error", "what_to_do"),
    [
        (ProviderError("no credits", kind="unknown"), "the same request will hardly do better"),
        (ProviderError("no", kind="authentication"), "check the key and what it may do"),
        (ProviderError("no", kind="quota"), "check the account's credit and its limits"),
        (
            ProviderError("no", kind="context_length"),
            "shorten the request, or ask a model with a longer context",
        ),
        (
            StatusError("no", status=429, kind="rate_limited", retryable=False),
            "the same request will hardly do better",
        ),
        (ConnectError("no", stage="connect"), _AGAIN),
        (NotAStream("the body is odd", body="odd"), "check the address, and any proxies on the way"),
        (describe_unknown_body("unknown", "odd"), _NAME_IT),
        (describe_unknown_format([b'{"odd": 1}'], DEFAULT_LIMITS), _NAME_IT),
        (_redirected(), "ask at that address, if it is to be trusted"),
        (LimitExceeded(limit="line", value=80), _LIMIT),
    ],
)
def test_each_error_has_its_advice_however_its_message_is_worded(error: StreamError, what_to_do: str) -> None:
    """Errors are recognised by class and attributes; a hint for code is known wherever it stands."""
    assert what_to_do == advise_on_error(error, "request")

    error.args = ("other words",)
    if not isinstance(error, LimitExceeded):
        add_code_hint(error, ", and other advice")

    assert what_to_do == advise_on_error(error, "request")
    assert "other words" == describe_error(error)
    assert what_to_do == advise_on_error(pickle.loads(pickle.dumps(error)), "request")


def test_the_name_of_a_deadline_is_left_out() -> None:
    error = StreamStalled(
        "no byte came within 120 s (Deadlines.idle_bytes); what had arrived is in .partial",
        limit="idle_bytes",
    )

    assert "no byte came within 120 s" == describe_error(error)


def test_the_words_of_a_server_are_left_as_they_are() -> None:
    words = 'the parameter format="json" is unknown; ask again'

    assert words == describe_error(ProviderError(words))
    assert words == describe_error(StatusError(f"{words}; the server's explanation is in .body", status=400))


def test_a_format_that_takes_no_bytes_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["inspect", "--format", "pieces", str(RECORDINGS / "anthropic.sse")])
    assert "leave --format out to have it detected\n" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b": a comment\n\n", _HTML])
def test_an_answer_in_which_nothing_came_says_so(content: bytes, shown: Shown) -> None:
    """A heading with nothing below it would leave open whether there is more to come."""
    assert "\n\nmessage\n  nothing came\n\n" in shown(content)[1]


@pytest.mark.slow
def test_an_answer_that_came_whole_is_advised_to_be_streamed() -> None:
    whole = b'{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hi"}}]}'
    done = run("inspect", "-", given=whole)
    [advised] = re.findall(r"^what to do +(.*)$", done.stdout.decode(), re.MULTILINE)

    assert 0 == done.returncode
    assert advised.startswith('ask for a stream: with "stream": true in the body')
