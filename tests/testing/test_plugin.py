"""The pytest plugin: streams as fixtures, comparisons that can be read, recordings made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testing.projects import HELLO, PLUGIN, Project, put
from tokenstream import testing
from tokenstream.events import TextDelta
from tokenstream.message import Message, TextPart
from tokenstream.testing import Recording, Seed, faults, plugin

# -- the fixtures ----------------------------------------------------------------


_TESTS = """
import pytest

from tokenstream.testing import faults

kept = []

@pytest.mark.recording("hello.sse", format="text")
def test_stream(token_stream):
    assert token_stream.final().text == "Hello"

@pytest.mark.recording("hello.sse", format="text")
def test_left_unread(token_stream):
    kept.append(token_stream)
    assert next(iter(token_stream.text)) == "Hello"

def test_is_closed_afterwards():
    assert kept[0].closed

@pytest.mark.recording("hello.sse", format="text", chunking=1, fault=faults.cut(at=9))
def test_replay(token_stream):
    assert "".join(token_stream.message.text for _ in [token_stream.stop()]) == ""

@pytest.mark.recording("hello.sse")
def test_recording(recording):
    assert (recording.name, recording.body) == ("hello", b"data: Hello\\n\\ndata: [DONE]\\n\\n")

@pytest.mark.anyio
@pytest.mark.recording("hello.sse", format="text")
async def test_async(async_token_stream):
    kept.append(async_token_stream)
    async for piece in async_token_stream.text:
        assert piece == "Hello"
        break

@pytest.mark.anyio
@pytest.mark.recording("hello.sse", format="text")
async def test_async_to_the_end(async_token_stream):
    assert (await async_token_stream.final()).text == "Hello"

def test_async_is_closed_afterwards():
    assert [stream.closed for stream in kept[1:]] == [True] * 2
"""


@pytest.mark.slow
def test_the_fixtures_are_streams_of_the_recording(project: Project) -> None:
    put(project.folder / "hello.sse")
    project.write(test_it=_TESTS)
    results = project.run(plugins=(PLUGIN, "anyio"))

    assert {} == results.told
    assert {"passed"} == set(results.outcomes.values())
    assert 10 == len(results.outcomes)


@pytest.mark.parametrize("place", ["suite/hello.sse", "suite/recordings/hello.sse", "kept/hello.sse"])
def test_a_recording_is_found_near_the_test(project: Project, place: str) -> None:
    put(project.folder / place)
    project.configure("tokenstream_recordings = kept")
    (project.folder / "suite").mkdir(exist_ok=True)
    (project.folder / "suite" / "test_it.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.recording('hello.sse', format='text')\n"
        "def test_it(token_stream):\n    assert token_stream.final().text == 'Hello'\n"
    )

    assert {"test_it": "passed"} == project.run().outcomes


def test_a_recording_that_a_test_is_parametrised_with_is_played(project: Project) -> None:
    """A `recording` of the test's own comes first: a recording, a script, or one of many."""
    project.write(
        test_it="""
import pytest
from tokenstream import testing

hello = testing.script().text("Hello").finish()

@pytest.mark.parametrize("recording", [hello, hello.recording("anthropic")])
def test_it(token_stream):
    assert token_stream.final().text == "Hello"
"""
    )

    assert {"test_it[text]": "passed", "test_it[script in anthropic]": "passed"} == project.run().outcomes


def test_what_is_missing_is_reported(project: Project) -> None:
    project.configure("tokenstream_recordings = kept")
    project.write_marked(
        "def test_no_marker(token_stream):\n    pass\n",
        test_no_name="",
        test_two_names='"a.sse", "b.sse"',
        test_no_file='"nowhere.sse"',
        test_not_recorded='"nowhere.sse", source=list',
    )
    told = project.run().told

    assert (
        "test_it.py::test_no_marker: it has no recording: "
        'write @pytest.mark.recording("answer.sse") above it' == told["test_no_marker"]
    )
    assert (
        "test_it.py::test_no_name: its marker `recording` takes one name: the recording's file; a Recording "
        'or a Script is given by @pytest.mark.parametrize("recording", […])' == told["test_no_name"]
    )
    assert "takes one name" in told["test_two_names"]
    assert [
        "test_it.py::test_no_file: its recording is in none of these places:",
        "  nowhere.sse",
        f"  {Path('recordings', 'nowhere.sse')}",
        f"  {Path('kept', 'nowhere.sse')}",
    ] == told["test_no_file"].splitlines()[:4]
    assert told["test_no_file"].endswith(
        "Put the file into one of them; or give the marker a source= that opens the live stream, and run "
        "pytest --record-streams"
    )
    assert told["test_not_recorded"].endswith("Put the file into one of them; or run pytest --record-streams")


def test_what_a_marker_asks_for_in_vain_is_reported(project: Project) -> None:
    """The error is one sentence, not a traceback through the library."""
    put(project.folder / "hello.sse")
    (project.folder / "bad.rec").write_text("hello")
    project.write_marked(test_misspelt='"hello.sse", chunkin=1', test_damaged='"bad.rec"')
    lines = '"hello.sse", chunking="lines"'
    project.write_marked(module="test_async", uses="async_token_stream", test_no_chunking=lines)
    told = project.run().told
    begin = "its marker `recording` has an invalid option: "

    assert f"test_it.py::test_misspelt: {begin}Stream.__init__() got an unexpected" in told["test_misspelt"]
    assert f"test_async.py::test_no_chunking: {begin}chunking='lines' is invalid" in told["test_no_chunking"]
    assert told["test_damaged"].startswith("test_it.py::test_damaged: its recording cannot be read: ")
    assert "bad.rec, line 1: " in told["test_damaged"]
    assert [1, 1, 1] == [len(each.splitlines()) for each in told.values()]


@pytest.mark.slow
def test_what_fails_without_a_marker_is_no_fault_of_a_marker(project: Project) -> None:
    """A recording that a test is parametrised with may be none: that error comes out."""
    project.write(
        test_it="""
import pytest

@pytest.mark.parametrize("recording", [7])
def test_it(token_stream):
    pass
"""
    )

    assert "MisuseError: a int cannot be replayed" in project.run().told["test_it[7]"]


def test_a_place_outside_of_the_project_is_reported_as_it_is(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An absolute path is looked for there alone."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "nowhere.sse"
    project.write_marked(uses="recording", test_it=repr(str(elsewhere)))

    assert str(elsewhere) == project.run().told["test_it"].splitlines()[1].strip()


# -- what a failed comparison says -----------------------------------------------


@pytest.mark.slow
def test_a_comparison_that_fails_says_what_differs(project: Project) -> None:
    project.write(
        test_it="""
from tokenstream.message import Message

def test_it():
    assert Message(id="a", ending="complete") == Message(id="a", ending="truncated")
"""
    )
    told = project.run().told["test_it"]

    assert "assert Message == Message" in told
    assert "ending: left 'complete', right 'truncated'" in told


@pytest.mark.parametrize(
    "left, right",
    [
        (Message(), Message(parts=(TextPart(text="Hi"),))),
        ([TextDelta("a")], [TextDelta("b")]),
        ({"a": Message()}, {"a": Message(id="b")}),
        (HELLO, Recording()),
        (b"data: a\n\n", b""),
        (b"", b"data: a\n\n"),
    ],
)
def test_what_speaks_of_answers_is_compared(left: object, right: object) -> None:
    told = plugin.pytest_assertrepr_compare("==", left, right)

    assert told is not None
    assert f"{type(left).__name__} == {type(right).__name__}" == told[0]


@pytest.mark.parametrize(
    "op, left, right",
    [
        ("!=", Message(), Message()),
        ("==", [1], [2]),
        ("==", b"a", b"b"),
        ("==", Message(), None),
        ("==", Message(), Message()),
    ],
)
def test_other_comparisons_are_left_to_pytest(op: str, left: object, right: object) -> None:
    assert plugin.pytest_assertrepr_compare(op, left, right) is None


@pytest.mark.parametrize(
    "value, name",
    [
        (HELLO, "script in text"),
        (faults.cut(at=17) | faults.crlf(), "cut(at=17) | crlf()"),
        (Seed(7), "seed7"),
        (testing.script().reasoning("hm").text("a").tool_call("now").text("b"), "reasoning+text+tool_call"),
        (testing.script(), "silence"),
        (7, None),
        ("text", None),
    ],
)
def test_parameters_have_the_names_of_what_they_are(value: object, name: str | None) -> None:
    """Recordings, faults, seeds and scripts; what else there is, pytest names as ever."""
    assert name == plugin.pytest_make_parametrize_id(value)
