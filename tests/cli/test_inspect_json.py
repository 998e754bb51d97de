"""`inspect --json`: a stream for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import CUT, RECORDINGS, SHORT, chat, run
from tests.project import ROOT
from tests.support.sampling import sampled
from tests.support.wire import sse
from tokenstream import Message, Stream, relay

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Shown, Told

_FOLDERS = (ROOT / "tests" / "recordings").glob("*/*.sse")
# The documents of some native routes leave out the finish reason, which is a departure from the format.
_OWN = sorted(path for path in _FOLDERS if path.parent.name != "native-routes")
_WHOLE = [path for path in [*_OWN, *sorted(RECORDINGS.glob("*.sse"))] if path.stem != "openai-chat-cut"]
_AUDIO = chat({"audio": {"id": "a", "data": "+//7AA==", "transcript": "hum"}}) + SHORT


@pytest.mark.parametrize(
    "path", sampled(_WHOLE, one_in=4), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_json_is_what_a_relay_sends_and_the_message(path: Path, inspected: Told) -> None:
    status, (*lines, last) = inspected(path)
    with Stream([path.read_bytes()]) as stream:
        sent = [*relay.payloads(stream, "ndjson")]

    assert (0, "complete") == (status, last["ending"])
    assert sent == lines
    assert stream.message == Message.model_validate_json(json.dumps(last["message"]))
    assert (stream.format, None) == (last["format"], last["error"])
    assert stream.departures.details == {
        name: count for each in last["departures"].values() for name, count in each["details"].items()
    }
    assert stream.metrics.output_tokens == last["metrics"]["output_tokens"]


@pytest.mark.parametrize("name", ["text.sse", "openai-chat-cut.sse"])
def test_json_can_be_read_again(shown: Shown, name: str) -> None:
    """What was printed is an answer like the one that was read, also if it broke off."""
    status, printed = shown("--json", RECORDINGS / name)
    status_again, printed_again = shown("--json", printed.encode())
    (*lines, last), (*again, last_again) = printed.splitlines(), printed_again.splitlines()

    assert (status, lines) == (status_again, again)
    assert json.loads(last)["message"]["parts"] == json.loads(last_again)["message"]["parts"]
    assert {} == json.loads(last_again)["departures"]


@pytest.mark.slow
def test_json_is_ascii_and_survives_whatever_a_server_sends() -> None:
    """Any program can read the output, whatever the locale, also half a surrogate pair, and bytes."""
    payload = sse('{"choices":[{"delta":{"content":"é","odd":"\\ud800"}}],"model":"m"}')
    done = run("inspect", "--json", "--raw", "-", given=payload + SHORT)
    lines = [json.loads(line) for line in done.stdout.decode("ascii").splitlines()]

    assert 0 == done.returncode
    assert "\u00e9Hi" == lines[-1]["message"]["parts"][0]["text"]
    assert "\ud800" == next(line["data"] for line in lines if line.get("name") == "odd")
    assert "m" == lines[0]["raw"]["model"]


def test_bytes_are_base64(inspected: Told) -> None:
    _, lines = inspected(_AUDIO)
    (part,) = [
        part
        for part in Message.model_validate_json(json.dumps(lines[-1]["message"])).parts
        if part.kind == "media"
    ]

    assert b"\xfb\xff\xfb\x00" == part.data
    assert "+//7AA==" in [line.get("data") for line in lines]


def test_bytes_are_counted_where_people_read(shown: Shown) -> None:
    _, text = shown(_AUDIO)

    assert "data=4 bytes (--json has them)" in text
    assert "\n    hum\n" in text


def test_json_tells_the_error_with_all_that_it_carries(inspected: Told) -> None:
    failure = sse('{"error":{"message":"overloaded","type":"overloaded_error"}}')
    status, lines = inspected(CUT + failure)
    error = lines[-1]["error"]

    assert (5, "failed") == (status, lines[-1]["ending"])
    assert ("ProviderError", "overloaded", True) == (error["class"], error["kind"], error["retryable"])
    assert ("overloaded_error", [], "Half an") == (
        error["type"],
        error["tool_calls_delivered"],
        lines[-1]["message"]["parts"][0]["text"],
    )


def test_a_format_can_be_forced(inspected: Told) -> None:
    """Input that would be detected as JSON is then bare text."""
    status, lines = inspected("--format", "text", SHORT)

    assert (0, "text") == (status, lines[-1]["format"])
    assert lines[-1]["message"]["parts"][0]["text"].startswith('{"object"')
