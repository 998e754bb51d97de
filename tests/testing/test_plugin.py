"""The pytest plugin: streams as fixtures, comparisons that can be read, recordings made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testing.projects import HELLO, PLUGIN, Project, project_in, put
from tokenstream import testing
from tokenstream.events import TextDelta
from tokenstream.message import Message, TextPart
from tokenstream.testing import Recording, Seed, faults, plugin
from tokenstream.testing._own_loop import run_apart


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return project_in(tmp_path, monkeypatch)


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")


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

@pytest.mark.recording("hello.sse", format="text", chunking=1, fault=faults.cut(at=9), pings=True)
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


def test_the_fixtures_are_streams_of_the_recording(project: Project) -> None:
    """Plain and asynchronous, replayed as the marker says, and closed after the test."""
    put(project.folder / "hello.sse")
    project.write(test_it=_TESTS)
    results = project.run(plugins=(PLUGIN, "anyio"))

    assert {} == results.told
    assert {"passed"} == set(results.outcomes.values())
    assert 10 == len(results.outcomes)


@pytest.mark.parametrize("place", ["suite/hello.sse", "suite/recordings/hello.sse", "kept/hello.sse"])
def test_a_recording_is_found_near_the_test(project: Project, place: str) -> None:
    """Beside it, in recordings/ there, or in the folder that the configuration names."""
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


def test_what_is_missing_is_told(project: Project) -> None:
    """Without a marker, with a wrong one, and without the file: what to write, and where it looked."""
    project.configure("tokenstream_recordings = kept")
    project.write(
        test_it="""
import pytest

def test_no_marker(token_stream):
    pass

@pytest.mark.recording
def test_no_name(token_stream):
    pass

@pytest.mark.recording("a.sse", "b.sse")
def test_two_names(token_stream):
    pass

@pytest.mark.recording("nowhere.sse")
def test_no_file(token_stream):
    pass
"""
    )
    told = project.run().told

    assert (
        "test_it.py::test_no_marker: it has no recording: "
        'write @pytest.mark.recording("answer.sse") above it' == told["test_no_marker"]
    )
    assert (
        "test_it.py::test_no_name: its marker `recording` takes one name: the recording's file"
        == (told["test_no_name"])
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


def test_a_place_outside_of_the_project_is_told_as_it_is(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An absolute path is looked for there alone."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "nowhere.sse"
    project.write(
        test_it=f"""
import pytest

@pytest.mark.recording({str(elsewhere)!r})
def test_it(recording):
    pass
"""
    )

    assert str(elsewhere) == project.run().told["test_it"].splitlines()[1].strip()


# -- recordings made anew ----------------------------------------------------------


_LIVE = """
import pytest
from tokenstream import testing, AsyncStream, Stream

opened = []
hello = testing.script().text("Hello again").finish().recording("text")

def live():
    opened.append("live")
    return iter(hello.chunks())

async def alive():
    return hello.astream()

async def chunks():
    for chunk in hello.chunks():
        yield chunk

@pytest.fixture
def client():
    return live

@pytest.fixture
def answer():
    return hello.stream()

@pytest.mark.recording("one.rec", source=live, format="text")
def test_function(token_stream):
    assert token_stream.final().text == "Hello again"

@pytest.mark.recording("one.rec", source=live, format="text")
def test_again(token_stream):
    assert token_stream.final().text == "Hello again"

def test_once():
    assert opened == ["live"]

@pytest.mark.recording("two.sse", source="client", format="text")
def test_fixture(token_stream):
    assert token_stream.final().text == "Hello again"

@pytest.mark.recording("three.sse", source="answer", format="text")
def test_fixture_that_is_the_stream(token_stream):
    assert token_stream.final().text == "Hello again"

@pytest.mark.anyio
@pytest.mark.recording("four.sse", source=chunks, format="text")
async def test_async(async_token_stream):
    assert (await async_token_stream.final()).text == "Hello again"

@pytest.mark.recording("five.sse", source=alive, format="text")
def test_coroutine_function(token_stream):
    assert token_stream.final().text == "Hello again"

@pytest.mark.recording("six.sse", source=hello.astream, format="text")
def test_async_stream(token_stream):
    assert token_stream.final().text == "Hello again"
"""


def test_recordings_are_made_anew_where_that_is_asked_for(project: Project) -> None:
    """Each once: what `source=` opens is read to its end, written where the file lay, and replayed."""
    put(project.folder / "two.sse")
    project.write(test_it=_LIVE)
    results = project.run("--record-streams", plugins=(PLUGIN, "anyio"))
    folder = project.folder / "recordings"

    assert {} == results.told
    assert ["five.sse", "four.sse", "one.rec", "six.sse", "three.sse"] == _names_in(folder)
    assert b" again" in (project.folder / "two.sse").read_bytes()


def test_without_the_option_nothing_is_opened(project: Project) -> None:
    """A test that is replayed needs no network, and no key."""
    put(project.folder / "hello.sse")
    project.write(
        test_it="""
import pytest

@pytest.mark.recording("hello.sse", source="nothing", format="text")
def test_it(token_stream):
    assert token_stream.final().text == "Hello"
"""
    )

    assert {"test_it": "passed"} == project.run().outcomes


def test_a_new_recording_lies_in_the_folder_of_the_project(project: Project) -> None:
    """Where the configuration names one."""
    project.configure("tokenstream_recordings = kept/streams")
    project.write(
        test_it="""
import pytest

@pytest.mark.recording("new.sse", source=lambda: [b"data: Hi\\n\\ndata: [DONE]\\n\\n"], format="text")
def test_it(token_stream):
    assert token_stream.final().text == "Hi"
"""
    )

    assert {"test_it": "passed"} == project.run("--record-streams").outcomes
    assert (project.folder / "kept" / "streams" / "new.sse").is_file()


def test_what_cannot_be_recorded_is_told(project: Project) -> None:
    """A marker without `source=` fails, and a live stream that fails leaves the file as it was."""
    put(project.folder / "hello.sse")
    project.write(
        test_it="""
import pytest

@pytest.mark.recording("hello.sse", format="text")
def test_no_source(token_stream):
    pass

@pytest.mark.recording("hello.sse", source=lambda: [b"data: Hel"], format="text")
def test_cut(token_stream):
    pass
"""
    )
    told = project.run("--record-streams").told

    assert (
        "its recording cannot be made anew: give its marker `recording` a source=" in told["test_no_source"]
    )
    assert "StreamTruncated" in told["test_cut"]
    assert HELLO.body == (project.folder / "hello.sse").read_bytes()
    assert ["hello.sse", "pytest.ini", "test_it.py"] == _names_in(project.folder)


# -- what a failed comparison says -----------------------------------------------


def test_a_comparison_that_fails_says_what_differs(project: Project) -> None:
    """Messages and events are compared field by field in the report of a failed test."""
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
    """Messages, events, recordings, and bodies of event streams."""
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
    """What it shows of other values, and of other operators, stays as it is."""
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


def test_a_function_is_run_in_an_event_loop_of_its_own() -> None:
    """Also where a loop runs in this thread already; what it raises is raised here."""

    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_apart(fails)
