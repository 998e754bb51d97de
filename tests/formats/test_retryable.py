"""Which errors are worth asking again after: each row of the tables on the pages."""

from __future__ import annotations

import re
import socket
from typing import Any, ClassVar

import httpx
import pytest

from tests._sources.faults import error_of_opening
from tests.project import ROOT
from tests.support import registry
from tests.support.error_frames import ERRORS, exception, words_of
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import (
    ConnectError,
    LimitExceeded,
    MisuseError,
    NotAStream,
    ProtocolError,
    ProviderError,
    StatusError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.formats import Format, custom
from tokenstream.testing import Recording

_PAGE = (ROOT / "docs" / "guides" / "errors.md").read_text(encoding="utf-8")
_STATUSES = re.compile(r"^\| status \| (?P<again>[^|]*) \| (?P<final>[^|]*) \|$", re.MULTILINE)


def error_of(format: Format, frame: Any) -> StreamError:
    format.feed(frame)
    format.end()
    assert format.error is not None
    return format.error


def _frame(name: str, word: str) -> Any:
    with_word = ERRORS[name].with_word
    assert with_word is not None
    return with_word(word)


@in_one_test(
    "name, word, retryable",
    [(name, word, again) for name in ERRORS for word, again in words_of(name).items()],
)
def test_a_word_of_a_provider_tells_whether_a_retry_may_help(name: str, word: str, retryable: bool) -> None:
    """Each word of the table in docs/reports/error-words.md, in an error as that format sends it."""
    error = error_of(registry.load(name)(), _frame(name, word))

    assert isinstance(error, ProviderError)
    assert retryable == error.retryable


@in_one_test("name", registry.names())
def test_a_format_whose_errors_have_words_has_some_in_the_table(name: str) -> None:
    errors = ERRORS.get(name)

    assert bool(words_of(name)) == (errors is not None and errors.with_word is not None)


def _statuses() -> list[tuple[int, bool]]:
    row = _STATUSES.search(_PAGE)
    assert row is not None
    cells = ((True, row["again"]), (False, row["final"]))
    return [(int(word), again) for again, cell in cells for word in re.findall(r"\b[0-9]{3}\b", cell)]


def _refused(status: int) -> StatusError:
    """Return the error for an answer with a status and nothing else."""
    with pytest.raises(StatusError) as caught:
        Recording.of([], status=status).stream().final()
    return caught.value


@in_one_test("status, retryable", _statuses())
def test_the_page_says_which_statuses_are_worth_asking_again_after(status: int, retryable: bool) -> None:
    assert retryable == _refused(status).retryable


@in_one_test(
    "name, frame, kind, retryable",
    [
        ("openai-chat", {"error": {"message": "m", "type": "server_error"}}, "server", True),
        ("openai-chat", {"error": {"message": "m", "type": "e", "code": 502}}, "server", True),
        ("openai-chat", {"error": {"message": "m", "code": 501}}, "server", False),
        ("openai-responses", _frame("openai-responses", "bio_policy"), "invalid_request", False),
        ("anthropic", _frame("anthropic", "conflict_error"), "server", True),
        ("gemini", {"error": {"code": 500, "message": "m", "status": "DATA_LOSS"}}, "invalid_request", False),
        ("ollama", {"error": "m"}, "unknown", False),
        ("cohere", _frame("cohere", "ERROR"), "server", True),
        ("bedrock-converse", exception("throttlingException"), "rate_limited", True),
        ("bedrock-converse", {"modelStreamErrorException": {"message": "m"}}, "server", True),
        ("ui-message", {"type": "error", "errorText": "m"}, "unknown", False),
        ("ag-ui", {"type": "RUN_ERROR", "message": "m", "code": "c"}, "unknown", False),
        ("gemini-interactions", _frame("gemini-interactions", "quota_exceeded"), "quota", False),
    ],
)
def test_an_error_frame_tells_whose_problem_it_is(name: str, frame: Any, kind: str, retryable: bool) -> None:
    error = error_of(registry.load(name)(), frame)

    assert (kind, retryable) == (error.kind, error.retryable)


class Parrot(Format):
    """A format of one's own, whose server has words of its own."""

    __slots__ = ()

    name: ClassVar[str] = "parrot"
    retryable: ClassVar = {"moulting": True, "server_extinct": False, "asleep": True}

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:  # noqa: ARG003 - it is named
        return False

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Take one error of its own making."""
        self.error = ProviderError("m", code="asleep", kind="rate_limited", retryable=False)


@pytest.mark.parametrize(
    "payload, kind, retryable",
    [
        ({"error": {"code": "moulting", "message": "m"}}, "server", True),
        ({"error": {"type": "moulting", "message": "invalid"}}, "server", True),
        ({"error": {"code": "server_extinct", "type": "moulting"}}, "invalid_request", False),
        ({"error": {"code": "server_error"}}, "server", True),
        ({"error": {"message": "moulting"}}, "unknown", False),
        ({"words": ""}, "rate_limited", True),
    ],
)
def test_a_format_of_ones_own_says_which_words_are_worth_asking_again_after(
    payload: dict[str, Any], kind: str, retryable: bool
) -> None:
    error = error_of(Parrot(), payload)

    assert (kind, retryable) == (error.kind, error.retryable)


@pytest.mark.parametrize(
    "status, code, headers, kind, retryable",
    [
        (400, "moulting", {}, "server", True),
        (503, "server_extinct", {}, "invalid_request", False),
        (500, "server_extinct", {}, "invalid_request", False),
        (500, "server_error", {}, "server", True),
        (400, "moulting", {"x-should-retry": "false"}, "server", False),
    ],
)
def test_a_format_that_is_named_is_asked_about_refusals_too(
    status: int, code: str, headers: dict[str, str], kind: str, retryable: bool
) -> None:
    response = httpx.Response(status, headers=headers, json={"error": {"code": code, "message": "m"}})
    with pytest.raises(StatusError) as caught:
        Stream(response, format=Parrot()).final()

    assert (kind, retryable) == (caught.value.kind, caught.value.retryable)


def test_a_mapping_says_which_words_are_worth_asking_again_after() -> None:
    mapped = custom(text="t", error="oops", retryable={"moulting": True})
    bodies = [
        b'data: {"oops": {"code": "moulting"}}\n\n',
        b'data: {"t": "a"}\n\n{"error":{"code":"moulting"}}\n',
    ]
    errors: list[bool] = []
    for body in bodies:
        with pytest.raises(ProviderError) as caught:
            Stream([body], format=mapped).final()
        errors.append(caught.value.retryable)

    assert [True, True] == errors


@pytest.mark.parametrize("retryable", [{"busy": "yes"}, {"busy": 1}, ["busy"], "busy"])
def test_a_mapping_refuses_what_is_no_answer_to_that(retryable: Any) -> None:
    with pytest.raises(MisuseError, match="retryable"):
        custom(text="t", retryable=retryable)


def _unreachable(message: str, cause: Exception | None = None) -> StreamError | MisuseError:
    error = httpx.ConnectError(message)
    error.__cause__ = cause
    return error_of_opening(error)


@in_one_test(
    "error, retryable",
    [
        (_unreachable("refused"), True),
        (_unreachable("m", socket.gaierror(socket.EAI_NONAME, "m")), False),
        (_unreachable("m", socket.gaierror(socket.EAI_AGAIN, "m")), True),
        (_unreachable("[SSL: CERTIFICATE_VERIFY_FAILED] m"), False),
        (_unreachable("[SSL: WRONG_VERSION_NUMBER] m"), False),
        (error_of_opening(httpx.ConnectTimeout("m")), True),
        (error_of_opening(httpx.ReadTimeout("m")), True),
        (error_of_opening(httpx.TooManyRedirects("m")), False),
        (ConnectError("m", stage="head"), True),
        (NotAStream("m"), False),
        (StreamInterrupted("m"), True),
        (StreamTruncated("m"), True),
        (StreamStalled("m", limit="idle_bytes"), True),
        (ProtocolError("m"), False),
        (LimitExceeded(limit="event", value=1), False),
    ],
)
def test_what_is_no_answer_is_asked_for_again_where_that_can_help(
    error: StreamError | MisuseError, retryable: bool
) -> None:
    """What breaks on the way may hold next time; what the world is like stays."""
    assert isinstance(error, StreamError)
    assert retryable == error.retryable
