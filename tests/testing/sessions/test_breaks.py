"""Faults of the sockets over which the test server holds sessions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.timing import PATIENCE
from tests.testing.sessions.support import (
    HELLO,
    LIVE,
    PATHS,
    REALTIME,
    RESPONSES,
    exceptions,
    open_client,
    opened,
)
from tokenstream import Stream, testing
from tokenstream.errors import MisuseError, StreamInterrupted
from tokenstream.testing import Recording, faults

FORMATS = pytest.mark.parametrize("format", ["openai-responses", "openai-realtime"])


def played(format: str, fault: testing.faults.Fault, turns: int = 1) -> tuple[list[Any], Any]:
    """Return the messages that a client gets before its connection ends, and the error with which it ends."""
    answers = [HELLO] * (turns - 1) + [HELLO.recording(format).with_fault(fault)]
    messages: list[Any] = []
    with testing.serve(answers, sessions=True) as server, open_client(server, PATHS[format]) as client:
        for _ in range(turns - 1):
            client.send("response.create")
            client.until("response.done" if format == "openai-realtime" else "response.completed")
        client.send("response.create")
        with pytest.raises(exceptions.ConnectionClosed) as caught:
            while True:
                messages.append(client.recv())
        [exchange] = server.exchanges
        assert exchange.over.wait(PATIENCE)
        assert exchange.outcome == "cut"
    return messages, caught.value


@FORMATS
@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4429])
def test_the_server_closes_the_connection_with_a_code(format: str, code: int) -> None:
    messages, error = played(format, faults.close(event=3, code=code, reason="Restarting"), turns=2)

    # The Realtime API has said `session.created` before.
    assert len(messages) == (2 if format == "openai-realtime" else 3)
    assert (error.rcvd.code, error.rcvd.reason) == (code, "Restarting")


@FORMATS
def test_the_server_closes_the_connection_in_place_of_an_answer(format: str) -> None:
    messages, error = played(format, faults.close(event=0, code=1011))

    assert (messages, error.rcvd.code) == ([], 1011)


@FORMATS
@pytest.mark.parametrize("fault", [faults.close(event=-1, code=1001), faults.close(event=-1)], ids=str)
def test_the_server_closes_an_idle_connection(format: str, fault: testing.faults.Fault) -> None:
    """The answer before it is complete."""
    messages, error = played(format, fault)

    assert messages[-1]["response"]["status"] == "completed"
    assert (error.rcvd is not None) is ("code" in str(fault))


@FORMATS
@pytest.mark.parametrize("fault", [faults.close(event=3), faults.reset(event=3)], ids=str)
def test_the_connection_breaks_without_a_closing_frame(format: str, fault: testing.faults.Fault) -> None:
    """Clients report the code 1006 then."""
    messages, error = played(format, fault)

    assert (len(messages) >= 2, error.rcvd) == (True, None)


@FORMATS
def test_the_connection_breaks_inside_a_message(format: str) -> None:
    whole, _ = played(format, faults.close(event=5))
    messages, error = played(format, faults.half_frame(event=5))

    assert ([each["type"] for each in messages], error.rcvd) == ([each["type"] for each in whole[:-1]], None)


def test_a_realtime_session_that_is_too_old_is_closed() -> None:
    messages, error = played("openai-realtime", faults.connection_limit(event=2))

    assert (messages[-1]["error"]["code"], error.rcvd.code) == ("session_expired", 1001)


def test_silence_lasts_until_the_client_leaves() -> None:
    """The server still hears what it sends."""
    stalled = HELLO.recording("openai-responses").with_fault(faults.stall(event=3))
    with testing.serve(stalled, sessions=True) as server:
        with open_client(server, RESPONSES) as client:
            client.send("response.create")
            for _ in range(3):
                client.recv()
            client.send("response.create", number=2)
        [exchange] = server.exchanges
        assert exchange.over.wait(PATIENCE)

    assert (exchange.outcome, len(exchange.received)) == ("abandoned", 2)


def test_an_answer_that_is_cut_short_leaves_the_connection_open() -> None:
    short = HELLO.recording("openai-realtime").with_fault(faults.cut(event=6))
    with opened(REALTIME, [short, HELLO]) as client:
        client.send("response.create")
        client.until("response.output_text.delta")
        client.send("response.create")
        assert client.until("response.done")[-1]["response"]["status"] == "completed"


def test_a_session_goes_on_over_another_connection() -> None:
    """The answers that are left are played there."""
    broken = HELLO.recording("openai-realtime").with_fault(faults.close(event=3, code=1012))
    again = testing.script().text("Again").finish()
    with testing.serve([broken, again], sessions=True) as server:
        with open_client(server, REALTIME) as client:
            client.send("response.create")
            with pytest.raises(StreamInterrupted, match="1012"), Stream(client.socket) as stream:
                stream.final()
        with open_client(server, REALTIME) as client:
            client.send("response.create")
            done = client.until("response.done")[-1]["response"]

    assert done["output"][0]["content"][0]["text"] == "Again"


def test_the_server_stops_in_the_middle_of_a_session() -> None:
    stalled = HELLO.recording("gemini-live").with_fault(faults.stall(event=2))
    with testing.serve([stalled], sessions=True) as server, open_client(server, LIVE) as client:
        client.send(setup={})
        client.send(clientContent={"turnComplete": True})
        client.until_content("modelTurn")
        server.stop()
        with pytest.raises(exceptions.ConnectionClosed):
            client.recv()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda: faults.close(code=1006), "leave code= out"),
        (lambda: faults.close(code=1005), "cannot be sent"),
        (lambda: faults.close(code=999), "cannot be sent"),
        (lambda: faults.close(reason="Bye"), "pass code="),
        (lambda: faults.close(code=1011, reason="x" * 124), "123 bytes"),
        (lambda: faults.late(-1), "whole number"),
        (lambda: faults.late(True), "whole number"),
        (faults.go_away, "gemini-live"),
        (lambda: faults.half_frame(event=99), "does not exist"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(fault: Any, said: str) -> None:
    with pytest.raises(MisuseError, match=said):
        HELLO.recording("openai-realtime").with_fault(fault())


@pytest.mark.parametrize("fault", [faults.half_frame(), faults.connection_limit()], ids=str)
def test_a_fault_of_sessions_needs_a_format_that_has_them(fault: testing.faults.Fault) -> None:
    with pytest.raises(MisuseError, match="openai-realtime"):
        HELLO.recording("anthropic").with_fault(fault)


def test_a_recording_replays_its_closing_frame_without_a_server() -> None:
    """With code 1000 or 1001 the input ends properly, with others it breaks off."""
    whole = HELLO.recording("openai-realtime")
    for code, breaks in ((1000, False), (1011, True)):
        stream = whole.stream(fault=faults.close(event=7, code=code))
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the class is asserted below
            stream.final()
        assert isinstance(caught.value, StreamInterrupted) is breaks
    with pytest.raises(StreamInterrupted) as interrupted:
        whole.stream(fault=faults.half_frame(event=7)).final()
    assert interrupted.value.partial.text == "Hel"


@pytest.mark.slow
def test_a_plain_server_breaks_inside_a_message_too(tmp_path: Any) -> None:
    broken = HELLO.recording("openai-realtime").with_fault(faults.half_frame(event=3))
    closed = HELLO.recording("openai-realtime").with_fault(faults.close(event=3, code=1013, reason="Later"))
    for number, each in enumerate((broken, closed)):
        each.save(tmp_path / f"{number}.rec")
    answers = [Recording.load(tmp_path / f"{number}.rec") for number in range(2)]
    codes: list[int | None] = []
    with testing.serve(answers) as server:
        for _ in answers:
            with open_client(server, REALTIME) as client:
                client.send("response.create")
                with pytest.raises(exceptions.ConnectionClosed) as caught:
                    while True:
                        client.recv()
                codes.append(caught.value.rcvd and caught.value.rcvd.code)

    assert codes == [None, 1013]
