"""Recordings are made anew where `--record-streams` asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testing.projects import HELLO, PLUGIN, Project, put


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")


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


@pytest.mark.slow
def test_recordings_are_made_anew_where_that_is_asked_for(project: Project) -> None:
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
    marker, body = (
        '"hello.sse", source="nothing", format="text"',
        'assert token_stream.final().text == "Hello"',
    )
    project.write_marked(body=body, test_it=marker)

    assert {"test_it": "passed"} == project.run().outcomes


def test_a_new_recording_lies_in_the_folder_of_the_project(project: Project) -> None:
    project.configure("tokenstream_recordings = kept/streams")
    source = 'source=lambda: [b"data: Hi\\n\\ndata: [DONE]\\n\\n"]'
    body = 'assert token_stream.final().text == "Hi"'
    project.write_marked(body=body, test_it=f'"new.sse", {source}, format="text"')

    assert {"test_it": "passed"} == project.run("--record-streams").outcomes
    assert (project.folder / "kept" / "streams" / "new.sse").is_file()


@pytest.mark.slow
def test_what_cannot_be_recorded_is_reported(project: Project) -> None:
    """A marker without `source=` fails, and a live stream that fails leaves the file as it was."""
    put(project.folder / "hello.sse")
    project.write_marked(
        test_no_source='"hello.sse", format="text"',
        test_cut='"hello.sse", source=lambda: [b"data: Hel"], format="text"',
    )
    told = project.run("--record-streams").told

    assert (
        "its recording cannot be made anew: give its marker `recording` a source=" in told["test_no_source"]
    )
    assert "StreamTruncated" in told["test_cut"]
    assert HELLO.body == (project.folder / "hello.sse").read_bytes()
    assert ["hello.sse", "pytest.ini", "test_it.py"] == _names_in(project.folder)


def test_what_is_no_source_is_reported(project: Project) -> None:
    """A value that is no function, what cannot be recorded, and what belongs to another event loop."""
    response = """
import httpx

async def pieces():
    yield b""

@pytest.fixture
def response():
    return httpx.Response(200, content=pieces())
"""
    project.write_marked(
        response,
        test_no_function='"a.rec", source=3',
        test_no_stream='"b.rec", source=lambda: 3',
        test_of_another_loop='"c.rec", source="response"',
    )
    told = project.run("--record-streams").told
    begin = "what the source= of its marker `recording` opens cannot be recorded: "

    assert (
        "test_it.py::test_no_function: the source= of its marker `recording` is a function, "
        "or the name of a fixture" == told["test_no_function"]
    )
    assert f"{begin}int cannot be recorded" in told["test_no_stream"]
    assert f"{begin}the response is asynchronous" in told["test_of_another_loop"]
    assert told["test_of_another_loop"].endswith(
        "A source is a function that opens the live stream, async or not, or the name of a fixture that "
        "gives one"
    )


def test_what_is_not_to_be_written_is_taken_out(project: Project) -> None:
    """`replace=` and `filter=` of the marker are those of `record`, and nothing of a replay."""
    project.write(
        test_it="""
import pytest

SECRET = b"sk-proj-" + b"a1B2c3D4" * 6

@pytest.mark.recording(
    "a.sse", source=lambda: [b"data: " + SECRET + b"\\n\\ndata: [DONE]\\n\\n"], format="text",
    replace={"sk-proj-[0-9A-Za-z]+": "key"}, filter=lambda body: body.replace(b"key", b"no key"),
)
def test_it(token_stream):
    assert token_stream.final().text == "no key"
"""
    )

    assert {} == project.run("--record-streams").told
    assert {} == project.run().told
