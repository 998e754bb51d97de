"""`inspect`: its output for people, and its exit status."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import CUT, RECORDINGS, SHORT, chat, posix, run
from tests.project import ROOT
from tests.support import registry
from tests.support.wire import DONE, sse
from tokenstream import Message, Stream, ToolCall, relay, testing
from tokenstream.cli import main
from tokenstream.errors import StreamTruncated
from tokenstream.events import (
    Event,
    Finish,
    Restarted,
    Resumed,
    TextDelta,
    ToolCallDone,
    ToolCallStart,
    ToolResult,
)
from tokenstream.message import TextPart
from tokenstream.testing import Arrival, Recording

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Shown, Told


@pytest.mark.slow
def test_a_file_gives_its_events_a_line_each_and_then_the_message() -> None:
    """Every event of the library has its line, in order, with seconds that never go back."""
    path = RECORDINGS / "anthropic.sse"
    done = run("inspect", str(path))
    events, _, summary = done.stdout.decode().partition("\n\nmessage\n")
    with Stream([path.read_bytes()]) as stream:
        expected = [type(event).__name__ for event in stream]
    seconds = [float(line.split()[0]) for line in events.splitlines()]

    assert (0, b"") == (done.returncode, done.stderr)
    assert expected == [line.split()[1] for line in events.splitlines()]
    assert seconds == sorted(seconds)
    for words in (stream.message.reasoning, stream.message.tool_calls[0].arguments_text, stream.message.text):
        assert words.replace("\n", "\n    ") in summary
    assert "\nending         complete\n" in summary
    assert '\nfinish reason  tool_calls (sent as "tool_use")\n' in summary
    assert "\ndepartures     none\n" in summary
    assert " ttft=" in summary


def test_what_departs_from_the_documents_is_listed(shown: Shown) -> None:
    status, text = shown(chat({"content": "Hi"}) + chat(finish_reason="stop"))

    assert 0 == status
    assert "\ndeparture      end_unmarked (form, done_missing=1, first in frame 2): the answer" in text


def test_the_fields_of_a_choice_are_shown_with_its_number(shown: Shown) -> None:
    choice = {"index": 1, "delta": {"content": "b"}, "content_filter_results": {"hate": 1}}
    _, text = shown(chat({"content": "a"}) + sse({"choices": [choice], "provider": "P"}) + DONE)
    events = text.partition("\n\nmessage")[0]
    lines = [line.split(maxsplit=2)[1:] for line in events.splitlines()]

    assert ["ProviderData", 'choice=1 content_filter_results={"hate":1}'] in lines
    assert ["ProviderData", 'provider="P"'] in lines


def test_a_field_of_the_answer_is_shown_as_a_field(shown: Shown) -> None:
    """OpenAI's `created` is nothing unknown to be afraid of."""
    _, text = shown(b"".join(testing.script().text("Hi").finish().chunks("openai-chat")))

    assert 'provider_data={"created":1767225600}' in text
    assert "Unknown" not in text


def test_an_error_comes_in_its_place_and_says_what_to_do(shown: Shown) -> None:
    status, text = shown(CUT + b"data: {")
    events = text.partition("\n\nmessage\n")[0].splitlines()

    assert 3 == status
    assert ["TextDelta", "StreamTruncated"] == [line.split()[1] for line in events][-2:]
    assert "\n  0 text (not complete)\n    Half an\n" in text
    assert "\nending         truncated\n" in text
    assert '\nits tail       "data: {"\n' in text
    assert 'kind="network" retryable=true' in text
    assert "\nwhat to do     look at what was recorded: a file has no other answer to give\n" in text


def test_no_control_character_of_the_server_reaches_the_terminal(shown: Shown) -> None:
    nasty = "a\x1b]0;title\x07b\x9b31mc\r\u202ed\u2028e\ud800"
    fields = {"delta": {"content": nasty, "odd": nasty}}
    payload = json.dumps({"choices": [fields], nasty: 1, "model": nasty}).encode()
    failure = json.dumps({"error": {"message": nasty, "type": nasty}}).encode()
    status, text = shown("--raw", b"data: " + payload + b"\n\ndata: " + failure + b"\n\n")

    assert 5 == status
    assert [] == [sign for sign in text if sign != "\n" and not sign.isprintable()]
    assert r'text="a\u001b]0;title\u0007b\u009b31mc\r\u202ed\u2028e' in text


def test_a_long_piece_is_cut_in_its_line_and_whole_in_the_message(shown: Shown) -> None:
    piece = "0123456789" * 500
    status, text = shown(chat({"content": piece}) + SHORT)

    assert 0 == status
    assert f'text="{piece[:100]}" and 4,900 more\n' in text
    assert 1 == text.count(piece)


def test_events_of_answers_that_go_on_have_their_lines(shown: Shown) -> None:
    given_up = Message(parts=(TextPart(text="Half an"),))
    error = StreamTruncated("the input ended")
    events: list[Event] = [
        TextDelta("Half an"),
        Restarted(given_up, error),
        TextDelta("An"),
        Resumed(dropped=3),
    ]
    status, text = shown(b"".join(relay.encode([*events, Finish("stop")])))
    (restarted,) = [line for line in text.splitlines() if "Restarted" in line]
    (resumed,) = [line for line in text.splitlines() if "Resumed" in line]

    assert 0 == status
    assert '"text":"Half an"' in restarted
    assert "the answer ended before it was whole" in restarted
    assert "dropped=3" in resumed


@pytest.mark.parametrize("protocol", ["tokenstream", "ui-message", "ag-ui"])
def test_the_result_of_a_tool_has_its_line(protocol: Any, shown: Shown) -> None:
    call = ToolCall(id="c", name="now", complete=True)
    events: list[Event] = [ToolCallStart("c", "now"), ToolCallDone(call), ToolResult("c", {"hour": 12})]
    events.append(Finish("stop"))
    _, text = shown("--format", protocol, b"".join(relay.encode(events, protocol)))
    (line,) = [each for each in text.splitlines() if "ToolResult " in each]

    assert "ToolResult" == line.split()[1]
    assert 'id="c" output={"hour":12}' in line


def test_what_has_no_name_is_never_cut(shown: Shown) -> None:
    """An unknown event is in no message, so that its line has all of it."""
    odd = json.dumps({"type": "odd", "value": "x" * 5_000})
    start = b'data: {"type":"message_start","message":{"id":"m"}}\n\ndata: '
    status, text = shown("--format", "anthropic", start + odd.encode() + b"\n\n")

    assert 3 == status
    assert "x" * 5_000 in text


def test_a_recording_has_the_times_of_its_chunks(tmp_path: Path, inspected: Told) -> None:
    path = tmp_path / "answer.rec"
    arrivals = (Arrival(0.5, chat({"content": "Half"})), Arrival(40.25, chat({"content": " an"})))
    Recording(arrivals, breaks="reset").save(path)
    status, lines = inspected(path)
    named_otherwise = tmp_path / "answer.txt"
    named_otherwise.write_bytes(path.read_bytes())

    assert (3, 40.25) == (status, lines[-1]["t"])
    assert lines[-1]["metrics"]["gap_max"] == 39.75
    assert inspected(named_otherwise) == (status, lines)
    path.write_text("tokenstream-recording 1\nnonsense\n")
    assert 1 == main(["inspect", str(path)])


@pytest.mark.parametrize(
    ("format", "event", "status", "text"),
    [
        ("gemini-live", 1, 3, ""),
        ("gemini-live", 3, 3, "ab"),
        ("gemini-live", 5, 0, "abc"),
        ("openai-realtime", 1, 3, ""),
    ],
)
def test_a_websocket_that_stalls_between_answers_is_shown_like_any_other(
    format: str, event: int, status: int, text: str, tmp_path: Path, inspected: Told, shown: Shown
) -> None:
    """The usual deadlines do not count there, but something ends the reading, and all that came is shown."""
    path = tmp_path / "answer.rec"
    answer = testing.script().text("a", "b", "c").finish().recording(format)
    answer.with_fault(testing.faults.stall(event=event)).save(path)
    found, lines = inspected(path)

    assert (status, text) == (found, "".join(line.get("text", "") for line in lines[:-1]))
    assert ("complete" if status == 0 else "truncated") == lines[-1]["ending"]
    found, lines = shown(path)
    assert status == found
    assert "\nending  " in lines


def test_each_choice_has_its_message(inspected: Told) -> None:
    """The verdict is that of the choice that ended worst."""
    other = chat({"content": "Other"}, index=1)
    status, lines = inspected(chat({"content": "One"}) + other + chat(finish_reason="stop"))

    assert (3, "truncated") == (status, lines[-1]["ending"])
    assert ["complete", "truncated"] == [
        message["ending"] for message in (lines[-1]["message"], *lines[-1]["other_choices"])
    ]


def test_payloads_are_shown_when_asked_for(shown: Shown) -> None:
    _, text = shown("--raw", SHORT)

    assert 'raw             {"object":"chat.completion.chunk","choices":[{"index":0' in text


@pytest.mark.parametrize(
    ("content", "status", "ending"),
    [
        (SHORT, 0, "complete"),
        (chat({"content": "Hi"}) + chat(finish_reason="length") + DONE, 0, "complete"),
        (CUT, 3, "truncated"),
        (b"", 3, "truncated"),
        (CUT + sse('{"error":{"message":"no"}}'), 5, "failed"),
        (CUT + sse("{nonsense}"), 5, "failed"),
        (b"<html><title>502 Bad Gateway</title></html>", 5, "failed"),
        (bytes(range(256)), 5, "failed"),
    ],
)
def test_the_exit_status_tells_the_ending(content: bytes, status: int, ending: str, inspected: Told) -> None:
    """A script need not read the output."""
    found, lines = inspected(content)

    assert (status, ending) == (found, lines[-1]["ending"])


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["nothere.sse"], 1, "nothere.sse cannot be read: No such file or directory"),
        ([str(ROOT)], 1, f"{ROOT} cannot be read: Is a directory"),
        (["a\0b"], 1, "is not the name of a file: embedded null byte"),
        (["--format", "nothere", __file__], 2, "there is no format 'nothere'; the formats are "),
        (["-d", "{}", __file__], 2, "a method, headers and data belong to a request, and "),
        (["-H", "A: b", "-"], 2, "a method, headers and data belong to a request, and '-' is no "),
        (["http://127.0.0.1:9/", "-d", "{"], 2, "the data is not JSON (Expecting property name"),
        (["http://127.0.0.1:9/", "-d", "[" * 100_000], 2, "the data is not JSON (maximum recursion depth"),
        (["http://127.0.0.1:9/", "-d", "@nothere"], 1, "nothere cannot be read: No such file"),
        (["http://127.0.0.1:port/"], 2, "the request cannot be made: "),
        ([""], 2, "no source is given: give a file, an http or https URL, or -"),
        (
            ["localhost:8000/x"],
            1,
            "; for a server, write http://localhost:8000/x or https://localhost:8000/x",
        ),
        (["api.example.com/v1"], 1, "; for a server, write http://api.example.com/v1 or https://"),
        (["[::1]:8000"], 1, "; for a server, write http://[::1]:8000 or "),
        (
            ["recordings.d/nothere.sse"],
            1,
            "recordings.d/nothere.sse cannot be read: No such file or directory\n",
        ),
        (["ftp://example.com/x"], 1, "; of URLs only those of http and https can be asked"),
    ],
)
@posix
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], status: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = main(["inspect", *arguments])
    shown = capsys.readouterr()

    assert (status, "", 1) == (found, shown.out, shown.err.count("\n"))
    assert shown.err.startswith("python -m tokenstream: error: ")
    assert complaint in shown.err


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("nonsense", "'nonsense' is not a header: write 'Name: value'"),
        *((f"{name}: x", f"{name!r} is not a header's name: ") for name in ("Ünï", "a b", "x\ny")),
    ],
)
def test_what_is_no_header_is_explained(
    header: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["inspect", "http://127.0.0.1:9/", "-H", header])

    assert 2 == caught.value.code
    assert complaint in capsys.readouterr().err


def test_the_help_lists_the_formats_and_the_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    """Each format that bytes may be in can be named as it stands there."""
    with pytest.raises(SystemExit):
        main(["inspect", "--help"])
    shown = capsys.readouterr().out

    listed = re.findall(r" formats: (.*?) exit status: ", " ".join(shown.split()))

    for status in (0, 1, 2, 3, 4, 5, 130, 141):
        assert re.search(rf"^  {status} ", shown, re.MULTILINE)
    assert [set(registry.names()) - {"pieces"}] == [set(names.split(", ")) for names in listed]
