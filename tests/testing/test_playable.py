"""Choice of the answer to a request, for servers and mocks."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.paths import PATHS
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Stream, testing
from tokenstream.errors import MisuseError
from tokenstream.testing import Recording, Request, Transport, all_formats, faults

HELLO = testing.script().text("Hello").finish("stop")
BYE = testing.script().text("Bye").finish("stop")
CHAT = "/v1/chat/completions"
HEARD = Recording.of([b'{"type": "session.created"}'], messages=True)


def _ask(
    played: Transport, path: str = CHAT, body: bytes = b"", *, upgrade: str | None = None
) -> httpx.Response:
    """Return what a client is answered with, who is not on any network."""
    headers = {} if upgrade is None else {"Upgrade": upgrade}
    with httpx.Client(transport=played) as client:
        return client.post(f"http://made.up{path}", content=body, headers=headers)


def _text(played: Transport, path: str = CHAT) -> str:
    return Stream(_ask(played, path)).final().text


@in_one_test(("path", "format"), [(path, format) for path, format in PATHS.items() if format in all_formats])
def test_a_path_tells_the_format(path: str, format: str) -> None:
    """Providers answer in one format at each of their paths."""
    is_socket = HELLO.recording(format).messages
    answer = _ask(testing.transport(HELLO), path, upgrade="websocket" if is_socket else None)

    assert HELLO.recording(format).body == answer.content


def test_a_path_that_tells_no_format_is_an_error() -> None:
    """A script can be sent in any: nobody guesses."""
    with pytest.raises(
        MisuseError, match=r"the path /text does not determine .* pass format=, one of openai-chat,"
    ):
        _ask(testing.transport(HELLO), "/text?model=m")


def test_a_script_is_sent_in_the_format_that_is_asked_for() -> None:
    assert HELLO.recording("openai-chat").body == _ask(testing.transport(HELLO)).content
    assert HELLO.recording("text").body == _ask(testing.transport(HELLO, format="text")).content


def test_a_recording_is_played_at_any_path() -> None:
    recording = HELLO.recording("openai-chat")

    assert recording.body == _ask(testing.transport(recording), "/anything").content


def test_several_are_played_one_for_each_request() -> None:
    player = testing.transport([HELLO, BYE.recording("openai-chat")])

    assert ["Hello", "Bye"] == [_text(player), _text(player)]


def test_a_request_too_many_is_told_how_many_there_were() -> None:
    """No answer is given twice."""
    player = testing.transport([HELLO, BYE])
    _text(player)
    _text(player)

    with pytest.raises(MisuseError, match=f"all 2 prepared answers have been given, and {CHAT} asks for one"):
        _text(player)


def test_a_mapping_plays_by_path() -> None:
    player = testing.transport({CHAT: [HELLO, BYE], "/other": HELLO.recording("text")})

    assert "Hello" == _text(player, f"{CHAT}?version=1")
    assert "Hello" == _text(player, "/other")
    assert "Bye" == _text(player)


def test_a_path_that_is_not_mapped_is_refused() -> None:
    refused = _ask(testing.transport({CHAT: HELLO}), "/v1/models")

    assert (404, "application/json") == (refused.status_code, refused.headers["content-type"])
    assert f"nothing is played at /v1/models, only at {CHAT}" == refused.json()["error"]["message"]


def test_a_function_decides_by_the_request() -> None:
    def choose(request: Request) -> testing.Script:
        return BYE if request.json["last"] else HELLO

    player = testing.transport(choose)

    assert HELLO.recording().body == _ask(player, body=b'{"last": false}').content
    assert BYE.recording().body == _ask(player, body=b'{"last": true}').content


def test_a_request_without_a_body_has_no_json() -> None:
    player = testing.transport(HELLO)
    _ask(player)

    assert [None] == [request.json for request in player.requests]


def test_a_function_returns_what_can_be_played() -> None:
    """One answer, which has no state of its own."""
    several: Any = lambda _: [HELLO]  # noqa: E731 - no such function is right

    with pytest.raises(MisuseError, match="returned a list: it returns a Recording or a script"):
        _ask(testing.transport(several))


@pytest.mark.parametrize("what", [None, "data: Hello\n\n", sse("Hello"), 7])
def test_what_cannot_be_played_is_refused_at_once(what: Any) -> None:
    """The error is raised where `what` is passed, not at the first request."""
    with pytest.raises(MisuseError, match=f"a {type(what).__name__} cannot be played: pass a Recording"):
        testing.transport(what)


def test_a_format_that_does_not_exist_is_refused_at_once() -> None:
    with pytest.raises(MisuseError, match="the format 'open-ai' cannot be written"):
        testing.transport(HELLO, format="open-ai")


@pytest.mark.parametrize("wrong", [{"pace": "fast"}, {"chunking": "words"}, {"fault": [faults.cut]}])
def test_what_cannot_be_done_to_an_answer_is_refused_at_once(wrong: Any) -> None:
    """The mistake is in the call, and not in the request that comes later."""
    with pytest.raises(MisuseError):
        testing.transport(HELLO, **wrong)


def test_faults_from_an_iterator_come_with_each_answer() -> None:
    player = testing.transport(HELLO, fault=iter([faults.reset()]))

    for _ in range(2):
        with pytest.raises(httpx.ReadError):
            _ask(player)


def test_pace_and_borders_are_those_asked_for() -> None:
    slow = testing.script().text("a").silence(3).text("b").finish()
    player = testing.transport(slow, pace=2.0, chunking="whole")
    with httpx.Client(transport=player).stream("POST", f"http://made.up{CHAT}") as response:
        [chunk] = response.iter_raw()

    assert (1.5, b"".join(slow.chunks("openai-chat"))) == (player.clock(), chunk)


def test_messages_stay_whole() -> None:
    """A message of a WebSocket has no chunks."""
    player = testing.transport(HEARD, chunking="bytes")
    headers = {"Upgrade": "websocket"}
    with httpx.Client(transport=player).stream("GET", "http://made.up/", headers=headers) as response:
        assert HEARD.chunks() == list(response.iter_raw())


@pytest.mark.parametrize(
    ("what", "upgrade", "told"),
    [
        (HEARD, None, "messages are played at .*: connect to ws://"),
        (HELLO, "WebSocket", "an HTTP answer is played"),
    ],
)
def test_a_websocket_is_distinguished_from_a_request(what: Any, upgrade: str | None, told: str) -> None:
    with pytest.raises(MisuseError, match=told):
        _ask(testing.transport(what), upgrade=upgrade)


def test_a_refusal_is_no_websocket() -> None:
    """A handshake is refused with a status and a body."""
    refused = HEARD.replaced(status=401, messages=False)
    for each in (refused, refused.replaced(messages=True)):
        answer = _ask(testing.transport(each), upgrade="websocket")

        assert (401, HEARD.body) == (answer.status_code, answer.content)


def test_headers_of_another_connection_are_not_sent() -> None:
    """The framing of the body is decided anew."""
    recording = Recording(
        headers={"content-length": "3", "x-request-id": "req_1", "content-type": "text/plain"}
    )
    answer = _ask(testing.transport(recording))

    assert {"x-request-id": "req_1", "content-type": "text/plain"} == dict(answer.headers)


@pytest.mark.parametrize("text", ["caf\u00e9", "a\r\nb: c", "a\x00", "\u2028"])
def test_a_header_that_cannot_be_sent_is_named(text: str) -> None:
    """The client would meet a broken connection, or a header that nobody wrote."""
    with pytest.raises(MisuseError, match="the recording's header x-name cannot be sent"):
        _ask(testing.transport(Recording(headers={"x-fine": "a\tb~", "x-name": text})))


@pytest.mark.parametrize("format", ["openai-chat", None, "mine"])
def test_a_body_without_a_type_has_that_of_its_format(format: str | None) -> None:
    """An event stream, where the format is not known."""
    answer = _ask(testing.transport(Recording(format=format)))

    assert {"content-type": "text/event-stream; charset=utf-8"} == dict(answer.headers)
