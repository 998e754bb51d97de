"""`inspect --html`: the page that shows an answer, whatever the answer says."""

from __future__ import annotations

import html
import os
import subprocess
import sys
import threading
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import CHAT, CUT, RECORDINGS, SHORT, chat, run
from tests.cli.hostile import HOSTILE, hostile
from tests.support.wire import DONE, sse
from tokenstream import testing
from tokenstream.cli import main
from tokenstream.testing import Arrival, Recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_VOID = {"meta"}
_KEY = "sk-proj-" + "a1B2" * 8


class _Elements(HTMLParser):
    """The elements of a page, with their attributes but for those that describe, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


def elements(page: str) -> _Elements:
    found = _Elements(page)
    assert found.open == []
    return found


@pytest.fixture
def page(tmp_path: Path) -> Callable[..., str]:
    """Write the page of a body or a recording, and return it."""

    def written(answer: bytes | Recording, status: int = 0, *options: str) -> str:
        source = tmp_path / ("answer.sse" if isinstance(answer, bytes) else "answer.rec")
        if isinstance(answer, bytes):
            source.write_bytes(answer)
        else:
            answer.save(source, overwrite=True)
        target = tmp_path / "page.html"
        assert status == main(["inspect", str(source), "--html", str(target), *options])
        return target.read_text("utf-8")

    return written


def timed(*arrivals: tuple[float, bytes], **fields: Any) -> Recording:
    return Recording(tuple(Arrival(at, data) for at, data in arrivals), **fields)


# -- the command line ---------------------------------------------------------


@pytest.mark.parametrize("order", ["SH P", "H P S", "H S P"])
def test_the_names_may_be_given_in_any_order(
    order: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is the name with the extension of a page, so that no order replaces the answer."""
    source, target = tmp_path / "answer.sse", tmp_path / "page.html"
    source.write_bytes(SHORT)
    words = {"S": str(source), "P": str(target), "H": "--html"}

    assert 0 == main(["inspect", *[words[letter] for letter in order if letter != " "]])
    assert source.read_bytes() == SHORT
    assert target.read_text("utf-8").startswith("<!doctype html>\n")
    assert capsys.readouterr().out == f"{target}: 5 events, complete\n"


def test_the_exit_status_tells_the_ending(page: Callable[..., str]) -> None:
    assert "truncated" in page(CUT, 3)
    assert "failed" in page(CUT + sse({"error": {"message": "no"}}), 5)


def test_only_a_page_of_its_own_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any other file stays, and so does the answer if its page has no name of a page."""
    source, target = tmp_path / "answer.sse", tmp_path / "page.html"
    source.write_bytes(SHORT)
    target.write_text("<!doctype html>\n<p>mine")

    assert 1 == main(["inspect", str(source), "--html", str(target)])
    assert "page.html is there already" in capsys.readouterr().err
    assert 2 == main(["inspect", str(source), "--html", str(tmp_path / "answer.txt")])
    assert "end it with .html" in capsys.readouterr().err
    assert 1 == main(["inspect", str(source), "--html", str(tmp_path / "missing" / "page.html")])
    assert "cannot be written: No such file" in capsys.readouterr().err
    assert ["answer.sse", "page.html"] == sorted(path.name for path in tmp_path.iterdir())

    target.unlink()
    for _ in range(2):
        assert 0 == main(["inspect", str(source), "--html", str(target)])


def test_a_page_and_lines_for_programs_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["inspect", "--json", "--html", "page.html", "-"])

    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.slow
def test_the_page_is_imported_only_when_asked_for() -> None:
    """Its modules load no earlier than the option."""
    program = "import sys, tokenstream.cli; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "tokenstream.cli._html" not in modules.stdout.split()


# -- what it shows ------------------------------------------------------------


def test_a_page_shows_the_answer_and_its_course(page: Callable[..., str]) -> None:
    """Heading, message, gaps, stalls, departures, events with payloads, and the command."""
    recording = timed(
        (0.5, chat({"role": "assistant", "content": "Half "})),
        (1.5, b": still there\n\n"),
        (4.0, chat({"content": "an answer"})),
        (4.25, chat({}, finish_reason="stop")),
        headers={"content-type": "text/event-stream"},
    )
    shown = elements(page(recording))
    classes = [dict(attributes).get("class") for _, attributes in shown.found]

    assert "openai-chat complete" in shown.text
    assert "finish reasonstop" in shown.text
    assert "p503." in shown.text
    assert "max3.500 s" in shown.text
    assert "stalls1" in shown.text
    assert "3.500 s, from chunk 1 at 0.500 s to chunk 3" in shown.text
    assert "done_missing" in shown.text
    assert "done_missing=1" in shown.text
    assert "\nHalf an answer" in shown.text
    assert (
        '{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"an answer"}'
        in shown.text
    )
    assert "python -m tokenstream inspect answer.rec --html page.html" in shown.text
    assert {"stall", "bar nothing", "bar content", "bar other"} <= set(classes)


def test_a_page_says_what_it_contains(page: Callable[..., str]) -> None:
    """At its top, before the answer."""
    shown = elements(page(SHORT)).text

    assert shown.index("Before you share this page") < shown.index("Time line")
    assert "all its events with their payloads" in shown


def test_a_file_without_times_has_its_frames_in_order(page: Callable[..., str]) -> None:
    """No gap and no time is made up."""
    shown = elements(page(CHAT)).text

    assert "The file has no times and no chunks: its " in shown
    assert "gaps and all metrics in seconds are unknown" in shown
    assert "ttft" not in shown


def test_an_error_is_shown_with_what_is_kept(page: Callable[..., str]) -> None:
    """Its class, its kind, what to do, its tail; and the last row of the events is the error."""
    shown = elements(page(CUT + b"data: {", 3)).text

    assert "The answer was truncated" in shown
    assert "StreamTruncated: the input ended" in shown
    assert '"data: {"' in shown
    assert 'kind="network" retryable=true' in shown
    assert "what is keptparts: 1, complete: 0; 7 characters of text" in shown


def test_a_long_silence_leaves_room_for_the_rest(page: Callable[..., str]) -> None:
    """It is drawn shorter, and said to be."""
    recording = timed(
        (0.1, chat({"content": "a"})), (0.2, chat({"content": "b"})), (0.3, b"data: {"), breaks="stall"
    )
    written = page(recording, 3)
    places = [float(dict(found)["x"] or 0) for tag, found in elements(written).found if tag == "rect"]

    assert "Silences longer than 2.0 s are drawn shorter." in written
    assert "120.100 s, from chunk 2" in written
    assert max(place for place in places if place < 1_190) > 100


def test_what_is_no_answer_has_a_page_too(page: Callable[..., str]) -> None:
    """An empty file, a proxy's page, bytes."""
    assert "No byte arrived." in page(b"", 3)
    assert "&lt;title&gt;" not in page(b"<html><title>502</title></html>", 5).partition("<body>")[0]
    assert "NotAStream" in page(bytes(range(256)), 5)


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*.sse")), ids=lambda path: path.stem)
def test_every_recording_has_a_page(path: Path, page: Callable[..., str]) -> None:
    """Whose elements are closed in order."""
    elements(page(path.read_bytes()))


@pytest.mark.slow
def test_standard_input_is_noted_while_it_arrives(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    done = run("inspect", "-", "--html", str(target), given=CHAT)
    shown = elements(target.read_text("utf-8")).text

    assert (0, b"") == (done.returncode, done.stderr)
    assert "by the time of their arrival" in shown


@pytest.mark.skipif(os.name != "posix", reason="makes a named pipe")
def test_a_pipe_with_a_name_is_read_once(tmp_path: Path) -> None:
    """As the shell's `<(…)`, which cannot be opened again."""
    source, target = tmp_path / "pipe", tmp_path / "page.html"
    os.mkfifo(source)
    writer = threading.Thread(target=source.write_bytes, args=(SHORT,))
    writer.start()

    assert 0 == main(["inspect", str(source), "--html", str(target)])
    writer.join()
    assert "by the time of their arrival" in target.read_text("utf-8")


def test_no_connection_has_a_page(tmp_path: Path) -> None:
    """Which says so, and that nothing is kept."""
    target = tmp_path / "page.html"

    assert 5 == main(["inspect", "http://127.0.0.1:9/", "--html", str(target)])
    shown = elements(target.read_text("utf-8")).text
    assert "ConnectError" in shown
    assert "nothing: no part of an answer had arrived" in shown


def test_a_server_is_asked_and_its_head_shown(tmp_path: Path) -> None:
    """Without the query of its address, and without the request's headers."""
    target = tmp_path / "page.html"
    with testing.serve(testing.script().text("Hello").finish()) as server:
        url = f"{server.url}/v1/chat/completions"
        arguments = ["inspect", f"{url}?q=private", "-d", "{}", "-H", "X-A: b", "--html", str(target)]
        assert 0 == main(arguments)
    written = target.read_text("utf-8")

    assert url in written
    assert "private" not in written
    assert "X-A" not in written
    assert "status</dt><dd>200" in written


# -- text is text -------------------------------------------------------------


def _without_texts(found: _Elements) -> list[tuple[str, list[str]]]:
    return [(tag, [name for name, _ in attributes]) for tag, attributes in found.found]


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_makes_an_element(text: str, page: Callable[..., str]) -> None:
    """The page has the elements and attributes of the page of a harmless answer, one by one."""
    # Half a pair is a departure, too.
    harmless = page(hostile("harm \ud800 less" if "\ud800" in text else "harmless"), 5)
    written = page(hostile(text), 5)
    shown = elements(written)

    assert _without_texts(elements(harmless)) == _without_texts(shown)
    assert text in html.unescape(written) or not text.isprintable()
    assert [] == [sign for sign in written if sign != "\n" and not sign.isprintable()]
    assert not any(name.startswith("on") for _, attributes in shown.found for name, _ in attributes)


def test_names_of_files_are_text(tmp_path: Path) -> None:
    """The command shows them, without their folder."""
    source = tmp_path / "<img src=x onerror=alert(1)>.sse"
    source.write_bytes(SHORT)
    target = tmp_path / "<b>.html"
    assert 0 == main(["inspect", str(source), "--html", str(target)])
    found = elements(target.read_text("utf-8"))

    assert {"img", "b"}.isdisjoint({tag for tag, _ in found.found})
    assert "<img src=x onerror=alert(1)>.sse" in found.text
    assert str(tmp_path) not in found.text


def test_a_page_asks_for_nothing_and_runs_nothing(page: Callable[..., str]) -> None:
    """No script, no link, no address in an attribute or the style sheet; a policy says so to the browser."""
    written = page(CHAT)
    found = elements(written).found

    assert {"script", "link", "img", "iframe", "a", "object"}.isdisjoint({tag for tag, _ in found})
    assert not any(name in {"src", "href", "style"} for _, attributes in found for name, _ in attributes)
    assert "url(" not in written
    assert "@import" not in written
    assert "default-src &#x27;none&#x27;" in written


# -- secrets ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recording", "place"),
    [
        (Recording.of([chat({"content": "my key is <first><second>"}), DONE]), "of the body"),
        (
            Recording.of([chat({"content": "<first>"}), chat({"content": "<second>"}), DONE]),
            "over several events",
        ),
        (Recording.of([SHORT], request="POST https://example.com/<first><second>"), "of the request line"),
    ],
)
def test_a_secret_is_refused(
    recording: Recording, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `record` refuses it: with its kind and place, and without a page."""
    source, target = tmp_path / "answer.rec", tmp_path / "page.html"
    recording.save(source)
    # A recording with a key is not saved: the two halves of one are written into it by hand.
    text = source.read_text("utf-8").replace("<first>", _KEY[:12]).replace("<second>", _KEY[12:])
    source.write_text(text, "utf-8")

    assert 1 == main(["inspect", str(source), "--html", str(target)])
    complaint = capsys.readouterr().err
    assert "something that looks like a key of OpenAI, or of an API like theirs is " in complaint
    assert place in complaint
    assert _KEY[12:] not in complaint
    assert not target.exists()


def test_headers_that_carry_secrets_are_not_shown(tmp_path: Path) -> None:
    """A cookie of a recording by hand is left out rather than refused."""
    source, target = tmp_path / "answer.rec", tmp_path / "page.html"
    Recording.of([SHORT], headers={"x-mine": "1"}).save(source)
    cookie = "header set-cookie: session=abcdef0123456789abcdef"
    source.write_text(source.read_text("utf-8").replace("header x-mine: 1", cookie), "utf-8")

    assert 0 == main(["inspect", str(source), "--html", str(target)])
    assert "abcdef0123456789" not in target.read_text("utf-8")


def test_a_header_of_the_request_that_comes_back_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some servers repeat the key in their errors; a key of no known kind is found as well."""
    monkeypatch.setenv("EXAMPLE_KEY", "plain-words-only")
    target = tmp_path / "page.html"
    with testing.serve(testing.script().text("the key plain-words-only is wrong").finish()) as server:
        arguments = ["inspect", f"{server.url}/v1/chat/completions", "-d", "{}", "--html", str(target)]
        assert 1 == main([*arguments, "--header-env", "X-Api-Key=EXAMPLE_KEY"])

    complaint = capsys.readouterr().err
    assert "looks like a header of the request" in complaint
    assert "plain-words-only" not in complaint
    assert not target.exists()


# -- bounds -------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("count", [1_000, 10_000])
def test_a_page_has_a_bounded_size(count: int, page: Callable[..., str]) -> None:
    """It says how many events it left out, and shows those at the start and at the end."""
    body = chat({"content": "first"}) + chat({"content": "<&>"}) * count + chat({"content": "last"})
    written = page(body + chat(finish_reason="stop") + DONE)
    shown = elements(written).text

    assert len(written) < 1_500_000
    assert f"{count + 6:,} events" in shown
    assert f"{count - 494:,} events left out, 201 to {count - 294:,}" in shown
    assert f"This page leaves out {count - 494:,} of them" in shown
    assert '"first"' in shown
    assert '"last"' in shown


@pytest.mark.slow
def test_long_texts_and_payloads_are_cut(page: Callable[..., str]) -> None:
    """With the number of characters that were left out."""
    pieces = [chat({"content": "<" * 190_000}), *[chat({"content": "&" * 2_500})] * 160]
    written = page(b"".join(pieces), 3)

    assert len(written) < 3_000_000
    assert "… and 390,000 more characters" in written
    assert "payload left out" in written


def test_an_interrupted_reading_has_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the answer, and the page shows what had arrived."""
    from tokenstream.cli import _input

    class Pieces(_input.FilePieces):
        def __next__(self) -> bytes:
            if self.read_once:
                raise KeyboardInterrupt
            self.read_once = True
            return CUT

        read_once = False

    monkeypatch.setattr(_input, "FilePieces", Pieces)
    monkeypatch.setattr(_input, "open_standard_input", lambda _: None)
    target = tmp_path / "page.html"

    assert 4 == main(["inspect", "-", "--html", str(target)])
    assert "The reading was stopped" in target.read_text("utf-8")
