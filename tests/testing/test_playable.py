"""Choice of the answer to a request, for servers and mocks."""

from __future__ import annotations

import json
from email.message import Message
from typing import Any

import pytest

from tests.support.paths import PATHS
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import testing
from tokenstream.errors import MisuseError
from tokenstream.formats._detect.places import format_of_path
from tokenstream.testing import Recording, Request, all_formats, faults
from tokenstream.testing._serve.playable import Playable, Player, headers_of

HELLO = testing.script().text("Hello").finish("stop")
BYE = testing.script().text("Bye").finish("stop")
CHAT = "/v1/chat/completions"
HEARD = Recording.of([b'{"type": "session.created"}'], messages=True)


def _asked(path: str = CHAT, body: bytes = b"", *, upgrade: str | None = None) -> Request:
    message = Message()
    if upgrade is not None:
        message["Upgrade"] = upgrade
    return Request(method="POST", path=path, headers=message, body=body)


def _text(player: Player, path: str = CHAT) -> str:
    return player.recording(_asked(path)).stream().final().text


@in_one_test(("path", "format"), PATHS.items())
def test_a_path_tells_the_format(path: str, format: str) -> None:
    """Providers answer in one format at each of their paths."""
    assert format == format_of_path(path)
    assert format in {*all_formats, "openai-assistants"}


def test_a_path_that_tells_no_format_is_an_error() -> None:
    """A script can be sent in any: nobody guesses."""
    with pytest.raises(
        MisuseError, match=r"the path /text does not determine .* pass format=, one of openai-chat,"
    ):
        Player(HELLO).recording(_asked("/text?model=m"))


def test_a_script_is_sent_in_the_format_that_is_asked_for() -> None:
    """The path's own, unless `format` names another."""
    assert "openai-chat" == Player(HELLO).recording(_asked()).format
    assert HELLO.recording("text") == Player(HELLO, format="text").recording(_asked())


def test_a_recording_is_played_at_any_path() -> None:
    """It is in its format already."""
    recording = HELLO.recording("openai-chat")

    assert recording == Player(recording).recording(_asked("/anything"))


def test_several_are_played_one_for_each_request() -> None:
    """The first request gets the first."""
    player = Player([HELLO, BYE.recording("openai-chat")])

    assert ["Hello", "Bye"] == [_text(player), _text(player)]


def test_a_request_too_many_is_told_how_many_there_were() -> None:
    """No answer is given twice."""
    player = Player([HELLO, BYE])
    _text(player)
    _text(player)

    with pytest.raises(MisuseError, match=f"all 2 prepared answers have been given, and {CHAT} asks for one"):
        _text(player)


def test_a_mapping_plays_by_path() -> None:
    """Each path has its own, which may be several again; a query makes no difference."""
    player = Player({CHAT: [HELLO, BYE], "/other": HELLO.recording("text")})

    assert "Hello" == _text(player, f"{CHAT}?version=1")
    assert "Hello" == _text(player, "/other")
    assert "Bye" == _text(player)


def test_a_path_that_is_not_mapped_is_refused() -> None:
    """As a provider does it: status 404, and an error that says what there is."""
    refused = Player({CHAT: HELLO}).recording(_asked("/v1/models"))

    assert (404, "application/json") == (refused.status, refused.content_type)
    assert f"nothing is played at /v1/models, only at {CHAT}" == json.loads(refused.body)["error"]["message"]


def test_a_function_decides_by_the_request() -> None:
    """It sees the path, the headers and the body."""

    def choose(request: Request) -> testing.Script:
        return BYE if request.json["last"] else HELLO

    player = Player(choose)

    assert HELLO.recording() == player.recording(_asked(body=b'{"last": false}'))
    assert BYE.recording() == player.recording(_asked(body=b'{"last": true}'))


def test_a_request_without_a_body_has_no_json() -> None:
    assert _asked().json is None


def test_a_function_returns_what_can_be_played() -> None:
    """One answer, which has no state of its own."""
    several: Any = lambda _: [HELLO]  # noqa: E731 - no such function is right

    with pytest.raises(MisuseError, match="returned a list: it returns a Recording or a script"):
        Player(several).recording(_asked())


@pytest.mark.parametrize("what", [None, "data: Hello\n\n", sse("Hello"), 7])
def test_what_cannot_be_played_is_refused_at_once(what: Any) -> None:
    """The error is raised where `what` is passed, not at the first request."""
    with pytest.raises(MisuseError, match=f"a {type(what).__name__} cannot be played: pass a Recording"):
        Player(what)


def test_a_format_that_does_not_exist_is_refused_at_once() -> None:
    """The names are those of `testing.all_formats`."""
    with pytest.raises(MisuseError, match="the format 'open-ai' cannot be written"):
        Player(HELLO, format="open-ai")


@pytest.mark.parametrize("wrong", [{"pace": "fast"}, {"chunking": "words"}, {"fault": [faults.cut]}])
def test_what_cannot_be_done_to_an_answer_is_refused_at_once(wrong: Any) -> None:
    """The mistake is in the call, and not in the request that comes later."""
    with pytest.raises(MisuseError):
        Player(HELLO, **wrong)


def test_faults_from_an_iterator_come_with_each_answer() -> None:
    """The second request gets the same faults."""
    player = Player(HELLO, fault=iter([faults.reset()]))

    assert ["reset", "reset"] == [player.recording(_asked()).breaks for _ in range(2)]


def test_pace_and_borders_are_those_asked_for() -> None:
    """They hold for each answer."""
    slow = testing.script().text("a").pause(3).text("b").finish()
    player = Player(slow, pace=2.0, chunking="whole")

    [arrival] = player.recording(_asked()).arrivals
    assert (1.5, b"".join(slow.chunks("openai-chat"))) == arrival


def test_messages_stay_whole() -> None:
    """A message of a WebSocket has no chunks."""
    heard = Player(HEARD, chunking="bytes").recording(_asked(upgrade="websocket"))

    assert HEARD.chunks() == heard.chunks()


@pytest.mark.parametrize(
    ("what", "upgrade", "told"),
    [
        (HEARD, None, "messages are played at .*: connect to ws://"),
        (HELLO, "WebSocket", "an HTTP answer is played"),
    ],
)
def test_a_websocket_is_told_from_a_request(what: Playable, upgrade: str | None, told: str) -> None:
    """A WebSocket's messages cannot answer an HTTP request, nor the reverse."""
    with pytest.raises(MisuseError, match=told):
        Player(what).recording(_asked(upgrade=upgrade))


def test_a_refusal_is_no_websocket() -> None:
    """A handshake is refused with a status and a body."""
    refused = HEARD.replaced(status=401, messages=False)
    asked = _asked(upgrade="websocket")

    assert refused == Player(refused).recording(asked)
    assert refused == Player(refused.replaced(messages=True)).recording(asked)


def test_headers_of_another_connection_are_not_sent() -> None:
    """The framing of the body is decided anew."""
    recording = Recording(
        headers={"content-length": "3", "x-request-id": "req_1", "content-type": "text/plain"}
    )

    assert {"x-request-id": "req_1", "content-type": "text/plain"} == headers_of(recording)


@pytest.mark.parametrize("text", ["caf\u00e9", "a\r\nb: c", "a\x00", "\u2028"])
def test_a_header_that_cannot_be_sent_is_named(text: str) -> None:
    """Otherwise the client would meet a broken connection, or a header that nobody wrote."""
    with pytest.raises(MisuseError, match="the recording's header x-name cannot be sent"):
        headers_of(Recording(headers={"x-fine": "a\tb~", "x-name": text}))


@pytest.mark.parametrize("format", ["openai-chat", None, "mine"])
def test_a_body_without_a_type_has_that_of_its_format(format: str | None) -> None:
    """An event stream, where the format is not known."""
    assert {"content-type": "text/event-stream; charset=utf-8"} == headers_of(Recording(format=format))
