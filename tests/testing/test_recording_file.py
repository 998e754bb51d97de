"""Recordings as values and as files: a lossless round trip, and errors about damaged files."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.effort import examples
from tests.support.tables import in_one_test
from tokenstream.errors import MisuseError
from tokenstream.testing import Arrival, Recording, RecordingInvalid


def saved(recording: Recording) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "answer.rec"
        recording.save(path)
        return path.read_bytes()


def loaded(file: bytes, name: str = "answer.rec") -> Recording:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(file)
        return Recording.load(path)


BYTES = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text("ab{}\\|+~=@# \t\r\n\x00\x85\u00a0\u2028é🌊", max_size=60).map(str.encode),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-~_", min_size=1, max_size=12)
CHUNKS = st.lists(
    st.tuples(st.floats(0, 1e9, allow_nan=False).map(lambda at: round(at, 6)), BYTES).map(
        lambda pair: Arrival(*pair)
    ),
    max_size=6,
).map(tuple)
RECORDINGS = st.builds(
    Recording,
    CHUNKS,
    name=st.just("answer"),
    status=st.integers(100, 999),
    headers=st.dictionaries(NAMES, TEXTS, max_size=3),
    format=st.none() | st.sampled_from(["openai-chat", "text"]),
    messages=st.booleans(),
    breaks=st.sampled_from([None, "close", "reset", "stall", "half"]),
    close_frame=st.none() | st.tuples(st.integers(1000, 4999), TEXTS),
    late=st.integers(0, 9),
    request=TEXTS,
    exit_code=st.none() | st.integers(-64, 0xFFFFFFFF),
)

WHOLE = Recording(
    (
        Arrival(0.4, b'data: {"text": "caf\xc3'),
        Arrival(0.4123456789, b'\xa9 \xf0\x9f\x8c\x8a"}\n\n'),
        Arrival(2, b"data: \ndata: a\\b\r\n\tx\ny \n"),
        Arrival(3, b""),
        Arrival(1234567.5, bytes(range(64))),
    ),
    name="answer",
    status=503,
    headers={"retry-after": "2", "content-type": "text/event-stream"},
    format="text",
    messages=True,
    breaks="reset",
    request="POST https://api.example.com/v1/chat",
)
FILE = r"""tokenstream-recording 1
request: POST https://api.example.com/v1/chat
status: 503
header content-type: text/event-stream
header retry-after: 2
format: text
messages: yes
ended: reset

@ 0.4
~ data: {"text": "caf\xc3
@ 0.412346
~ \xa9 🌊"}\n
|
@ 2
~ data: \n
~ data: a\\b\r\n
~ \tx\n
~ y \n
@ 3
@ 1234567.5
= AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4
= OTo7PD0+Pw==
"""


def rounded(recording: Recording) -> Recording:
    return recording.replaced(
        arrivals=tuple(Arrival(round(at, 6), data) for at, data in recording.arrivals),
        headers={name.lower(): value for name, value in recording.headers.items()},
    )


# -- nothing is lost -------------------------------------------------------


@pytest.mark.slow
@given(RECORDINGS)
@examples(200)
def test_what_is_written_is_read_again(recording: Recording) -> None:
    assert recording == loaded(saved(recording))


@given(RECORDINGS)
@examples(50)
def test_an_editor_that_changes_line_endings_and_blanks_changes_nothing(recording: Recording) -> None:
    """CRLF, blanks stripped from the ends of lines, a mark of byte order and no last newline are all one."""
    lines = saved(recording).split(b"\n")
    stripped = b"\r\n".join(line.rstrip(b" \t") for line in lines).removesuffix(b"\r\n")

    assert recording == loaded(b"\xef\xbb\xbf" + stripped)


@pytest.mark.slow
@given(RECORDINGS)
@examples(100)
def test_the_file_is_text_that_any_editor_shows(recording: Recording) -> None:
    lines = saved(recording).decode().split("\n")

    assert [] == [
        line for line in lines if line != line.strip() or len(line.splitlines()) > 1 or "\t" in line
    ]


@pytest.mark.slow
@given(RECORDINGS)
@examples(50)
def test_writing_again_gives_the_same_file(recording: Recording) -> None:
    again = loaded(saved(recording))
    other_way_round = again.replaced(headers=dict(reversed(list(again.headers.items()))))

    assert saved(recording) == saved(other_way_round)


def test_times_are_kept_to_the_microsecond() -> None:
    """A clock's digits beyond that differ between machines."""
    assert rounded(WHOLE) == loaded(saved(WHOLE))


# -- what it says ----------------------------------------------------------


def test_the_file_reads_as_the_document_shows() -> None:
    assert FILE == saved(WHOLE).decode()


def test_an_answer_without_a_head_is_as_short_as_can_be() -> None:
    """Only the status is always written."""
    assert b"tokenstream-recording 1\nstatus: 200\n\n@ 0\n+ Hello\n" == saved(Recording.of([b"Hello"]))


def test_one_changed_word_changes_one_line() -> None:
    """A difference in version control shows what differs."""
    before = Recording.of([b"data: a\n\n", b"data: b\n\n", b"data: c\n\n"])
    after = Recording.of([b"data: a\n\n", b"data: other\n\n", b"data: c\n\n"])
    lines = zip(saved(before).split(b"\n"), saved(after).split(b"\n"), strict=True)

    assert [(b"| data: b", b"| data: other")] == [pair for pair in lines if pair[0] != pair[1]]


def test_a_name_with_capitals_is_written_in_lower_case() -> None:
    """Headers have no case, and one spelling makes the smaller difference."""
    assert b"\nheader x-mine: A\n" in saved(Recording.of([b""], headers={"X-Mine": "A"}))


@pytest.mark.parametrize(
    "recording, named",
    [
        (Recording((Arrival(-1.0, b""),)), "seconds from 0"),
        (Recording((Arrival(float("nan"), b""),)), "seconds from 0"),
        (Recording((Arrival(float("inf"), b""),)), "seconds from 0"),
        (Recording(status=7), "status"),
        (Recording(headers={"a b": ""}), "header"),
    ],
)
def test_what_has_no_place_in_a_file_is_not_written(recording: Recording, named: str) -> None:
    """A time, a status or a name that none can be is the calling code's mistake."""
    with pytest.raises(MisuseError, match=named):
        saved(recording)


# -- a person's edits ------------------------------------------------------


def edited(*lines: str) -> Recording:
    return loaded("\n".join(lines).encode())


@in_one_test(
    "lines, chunks",
    [
        (["", "@ 0", "| data: mine", "|"], [b"data: mine\n\n"]),
        (["", "@ 0", "+ a", "+ b", "|"], [b"ab\n"]),
        (["", "@ 0", "~", "=", "+"], [b""]),
        (["", "@ 0", r"~ \x41\\\t\r\n"], [b"A\\\t\r\n"]),
        (["", "@ 0", "|   two more blanks"], [b"  two more blanks\n"]),
        (["", "@ 0", "| tab\there"], [b"tab\there\n"]),
        (["", "", "# the first", "@ 0  ", "+ a", "", "# the second", "@ 1", "+ b", ""], [b"a", b"b"]),
        (["", "@ 0", "= SGVsbG8=  "], [b"Hello"]),
        (["status: 200"], []),
        ([], []),
    ],
)
def test_a_file_written_by_hand_is_read(lines: list[str], chunks: list[bytes]) -> None:
    """Comments and empty lines between the chunks say nothing, and empty marks hold nothing."""
    assert chunks == edited("tokenstream-recording 1", *lines).chunks()


def test_a_head_written_by_hand_is_read() -> None:
    """Blanks around a value, comments and names of nothing that this version knows are passed over."""
    found = edited(
        "tokenstream-recording 1 ",
        "# made up",
        "Request:  POST https://api.example.com/v1 ",
        "invented-later: 7",
        "invented-later: 8",
        r"header X-Odd:~ \x20é\n",
        "header x-none:",
        "messages: no",
        "ended: stall",
        "",
    )

    assert (
        Recording(
            name="answer",
            headers={"x-odd": " é\n", "x-none": ""},
            breaks="stall",
            request="POST https://api.example.com/v1",
        )
        == found
    )


def test_its_first_line_tells_a_recording() -> None:
    for file in (FILE.encode(), b"\xef\xbb\xbf" + FILE.encode()):
        assert rounded(WHOLE) == loaded(file, "answer.txt")
    assert b"data: Hello\n\n" == loaded(b"data: Hello\n\n", "answer.txt").body


# -- damage ----------------------------------------------------------------

HEAD = "tokenstream-recording 1\n"


@in_one_test(
    "file, line, words",
    [
        ("", 1, 'begins with the line "tokenstream-recording 1"'),
        ("data: Hello\n\n", 1, "name a bare body by what it is"),
        ("tokenstream-recording one\n", 1, "begins with the line"),
        ("tokenstream-recording 0\n", 1, "begins with the line"),
        ("tokenstream-recording 2\n\n@ 0\n", 1, "version 2 .* update tokenstream"),
        (f"{HEAD}status 200\n", 2, "not a line of the head"),
        (f"{HEAD}status: 200\n@ 0\n", 3, "an empty line is between"),
        (f"{HEAD}status: fine\n", 2, "three digits"),
        (f"{HEAD}ended: well\n", 2, "close, reset, stall"),
        (f"{HEAD}messages: maybe\n", 2, "yes, no"),
        (f"{HEAD}status: 200\n\n", None, ""),
        (f"{HEAD}status: 200\nstatus: 500\n", 3, "status is given twice, first in line 2"),
        (f"{HEAD}header a: 1\nheader A: 2\n", 3, "header a is given twice, first in line 2"),
        (f"{HEAD}header a:~ \\q\n", 2, "backslash"),
        (f"{HEAD}\n| early\n@ 0\n", 3, "missing above it"),
        (f"{HEAD}\n@ soon\n", 3, "none of the marks"),
        (f"{HEAD}\n@ -1\n", 3, "none of the marks"),
        (f"{HEAD}\n@ 1e9\n", 3, "none of the marks"),
        (f"{HEAD}\n@ 0\n|data\n", 4, "none of the marks"),
        (f"{HEAD}\n@ 0\n| a\ndata: b\n", 5, "none of the marks"),
        (f"{HEAD}\n@ 0\n~ \\x4\n", 4, r"\\xNN"),
        (f"{HEAD}\n@ 0\n~ end \\\n", 4, r"\\xNN"),
        (f"{HEAD}\n@ 0\n= SGVsbG8\n", 4, "not base64"),
        (f"{HEAD}\n@ 0\n= é\n", 4, "not base64"),
    ],
)
def test_a_damaged_file_says_what_is_wrong_and_where(file: str, line: int | None, words: str) -> None:
    if line is None:
        assert () == loaded(file.encode()).arrivals
        return
    with pytest.raises(RecordingInvalid, match=words) as raised:
        loaded(file.encode())

    assert line == raised.value.line
    assert "answer.rec" == Path(raised.value.path or "").name
    assert f"answer.rec, line {line}: " in str(raised.value)


@pytest.mark.parametrize(
    "data, line", [(f"{HEAD}\n@ 0\n".encode() + b"| caf\xe9\n", 4), (FILE.encode("utf-16"), 1)]
)
def test_a_file_in_another_encoding_says_so(data: bytes, line: int) -> None:
    """Bytes that are no UTF-8 have no meaning here, and the line tells which editor to look at."""
    with pytest.raises(RecordingInvalid, match="save the file in that encoding") as raised:
        loaded(data)

    assert line == raised.value.line


@given(data=st.data(), recording=RECORDINGS)
@examples(100)
def test_any_damage_is_an_error_of_ours_or_none(data: Any, recording: Recording) -> None:
    file = bytearray(saved(recording))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(file) - 1))
        file[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        if not file:
            break
    try:
        read = loaded(bytes(file)).name
    except RecordingInvalid as error:
        read = "answer" if error.line is not None else "nowhere"

    assert "answer" == read


@pytest.mark.slow
def test_a_line_of_megabytes_costs_no_more_than_its_bytes() -> None:
    """An image in one event, or a file of blanks, is read and written in the time that its size asks for."""
    bodies = [b"data: " + b"x" * 1_000_000 + b"\n\n", b" " * 1_000_000 + b"\n", b"\n" * 50_000]
    recording = Recording.of(bodies, name="answer")
    begun = time.perf_counter()

    assert recording == loaded(saved(recording))
    assert time.perf_counter() - begun < 6


@in_one_test(
    ("chunks", "said"),
    [
        (b"data: x", r"a list of chunks, .* a single bytes: Recording\.of\(\[body\]\)"),
        (bytearray(b"x"), "a list of chunks, .* a single bytearray"),
        ("data: x", "a list of chunks, .* a single str"),
        (["data: Hello\n\n"], "chunks of bytes, .* not of str"),
        ([5], "chunks of bytes, .* not of int"),
    ],
)
def test_chunks_are_bytes(chunks: Any, said: str) -> None:
    with pytest.raises(MisuseError, match=f"a recording is made of {said}"):
        Recording.of(chunks)


def test_what_is_done_to_the_chunks_later_changes_no_recording() -> None:
    chunk = bytearray(b"data: Hello\n\n")
    headers = {"content-type": "text/event-stream"}
    recording = Recording.of([chunk], headers=headers)
    chunk.clear()
    headers.clear()

    assert (Arrival(0.0, b"data: Hello\n\n"),) == recording.arrivals
    assert "text/event-stream" == recording.content_type


def test_a_recording_is_shown_by_its_name_and_size() -> None:
    """The bytes of a recording may be private, and are many."""
    assert "<Recording abc: 1 chunks, 1,000 bytes>" == repr(Recording.of([b"x" * 1000], name="abc"))


def test_headers_are_found_however_they_are_written() -> None:
    recording = Recording.of([b"data: Hello\n\n"], headers={"Content-Type": "text/event-stream"})

    assert "text/event-stream" == recording.content_type
    assert {"content-type": "text/event-stream"} == recording.headers
