"""Formats by name: ours, and those that other distributions bring along."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast, get_args

import pytest

from tests.support import registry, wire
from tests.support.reading import read
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import MisuseError, NotAStream
from tokenstream.formats import Format, FormatName
from tokenstream.limits import Limits
from tokenstream.testing import script

ACME = """
from typing import Any, ClassVar

from tokenstream.formats import Format

class Acme(Format):
    name: ClassVar[str] = "acme"

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
        if payload.get("acme") == "hello":
            return None
        return "acme" in payload

    def read(self, payload: dict[str, Any], event: str) -> None:
        self.parts.write(0, "text", payload.get("acme") or "")
        if payload.get("over"):
            self.parts.finish(0, "stop", "over")
            self.conclude()
"""
ANSWER = wire.sse({"acme": "Hi"}) + wire.sse({"acme": "!", "over": True})


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install a distribution, as pip would: a module, and metadata that name its entry points."""
    modules: list[str] = []

    def installed(code: str, target: str, *, name: str = "acme", distribution: str = "acme-stream") -> None:
        module = target.partition(":")[0]
        modules.append(module)
        (tmp_path / f"{module}.py").write_text(code, "utf-8")
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n", "utf-8"
        )
        (info / "entry_points.txt").write_text(f"[tokenstream.formats]\n{name} = {target}\n", "utf-8")
        registry.forget_installed()

    monkeypatch.syspath_prepend(str(tmp_path))
    yield installed
    for module in modules:
        sys.modules.pop(module, None)
    monkeypatch.undo()
    registry.forget_installed()


def test_the_names_for_type_checkers_are_those_of_the_registry() -> None:
    """Editors offer every format and every alias, and no other name."""
    aliases = {name for name in get_args(FormatName) if registry.load(name).name != name}

    assert {"mistral"} == aliases
    assert {*registry.names(), *aliases} == set(get_args(FormatName))


def test_a_format_is_given_as_a_name_a_class_or_an_object() -> None:
    """A class means an object of it without options."""
    body = script().text("Hi").finish().chunks("openai-chat")
    kind = registry.load("openai-chat")
    given: list[Any] = ["openai-chat", kind, kind()]

    assert ["Hi"] * 3 == [Stream(body, format=each).final().text for each in given]
    for wrong in (int, object(), 1):
        with pytest.raises(MisuseError, match="is not a format"):
            Stream([b""], format=cast("Any", wrong))


def test_an_installed_format_is_found_by_its_name(install: Callable[..., None]) -> None:
    install(ACME, "acme_one:Acme")

    with Stream([ANSWER], format=cast("Any", "acme")) as stream:
        assert ("Hi!", "acme") == (stream.final().text, stream.format)


def test_an_installed_format_is_detected(install: Callable[..., None]) -> None:
    """Where no built-in format knows the payload; it may leave it to a later one, too."""
    install(ACME, "acme_two:Acme")
    hello = wire.sse({"acme": "hello"})

    for body, text in ((ANSWER, "Hi!"), (hello + ANSWER, "helloHi!")):
        reading = read([body])
        assert (None, "acme", text) == (reading.error, reading.format, reading.text())


def test_an_object_of_a_format_that_is_not_installed_reads_whole_documents() -> None:
    scope: dict[str, Any] = {}
    exec(ACME, scope)
    reading = read([b'{"acme": "Hi", "over": true}'], format=scope["Acme"]())

    assert ("Hi", None, "acme") == (reading.text(), reading.error, reading.format)


def test_the_built_in_formats_come_first(install: Callable[..., None]) -> None:
    """An installed format cannot take their streams, nor their names."""
    greedy = ACME.replace('return "acme" in payload', "return True")
    install(greedy, "acme_three:Acme", name="openai-chat")
    body = wire.chat({"content": "Hi"}) + wire.chat({}, "stop") + wire.DONE

    assert "openai-chat" == read([body]).format
    with Stream([body], format="openai-chat") as stream:
        assert "Hi" == stream.final().text


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("Acme = object", "is not a subclass of"),
        ("Acme = object()", "is not a subclass of"),
        ("", "cannot be imported .* AttributeError"),
        ("raise RuntimeError('no')", "cannot be imported .* RuntimeError"),
        ("import not_there_at_all", "cannot be imported .* ModuleNotFoundError"),
        (ACME.replace('"acme"\n', '"other"\n', 1), "calls itself 'other'"),
        (ACME.replace('    name: ClassVar[str] = "acme"\n', ""), "calls itself None"),
        (ACME.replace("def read(", "def read_it("), "lacks read"),
    ],
    ids=["class", "object", "empty", "raises", "missing", "other name", "no name", "abstract"],
)
def test_a_broken_format_is_named_with_its_distribution(
    install: Callable[..., None], code: str, says: str
) -> None:
    install(code, "acme_four:Acme")

    with pytest.raises(MisuseError, match=f"the format 'acme' of the distribution 'acme-stream'.*{says}"):
        Stream([], format=cast("Any", "acme"))
    assert isinstance(read([ANSWER]).error, NotAStream)
    assert "Hi" == read([wire.chat({"content": "Hi"}) + wire.DONE]).text()


def test_a_format_that_fails_to_recognise_recognises_nothing(install: Callable[..., None]) -> None:
    install(ACME.replace('payload.get("acme") ==', "payload.acme =="), "acme_five:Acme")
    install(ACME.replace('"acme"', '"bcme"'), "acme_six:Acme", name="bcme", distribution="bcme-stream")
    reading = read([wire.sse({"bcme": "Hi", "over": True})])

    assert (None, "bcme", "Hi") == (reading.error, reading.format, reading.text())


def test_an_unknown_name_lists_installed_formats_too(install: Callable[..., None]) -> None:
    install(ACME, "acme_seven:Acme")

    with pytest.raises(MisuseError, match=r"openai-chat.*acme"):
        Stream([], format=cast("Any", "nothing-like-it"))


def test_the_first_of_two_installed_formats_of_one_name_counts(install: Callable[..., None]) -> None:
    install(ACME, "acme_eight:Acme")
    install(ACME, "acme_nine:Acme", distribution="bcme-stream")

    assert registry.load("acme").__module__ in {"acme_eight", "acme_nine"}
    assert 1 == registry.installed_names().count("acme")


def test_a_format_that_derives_from_nothing_is_refused_as_an_object() -> None:
    """`format=` takes a name, or an object that can be made anew for each connection."""
    thing: Any = object()
    with pytest.raises(MisuseError, match="is not a format"):
        registry.create(thing, limits=Limits())


@pytest.mark.slow
def test_installed_formats_are_searched_only_when_ours_do_not_do() -> None:
    """Searching costs milliseconds: no stream of a built-in format pays for it."""
    program = """
    from importlib import metadata
    from tokenstream import Stream
    metadata.entry_points = None
    body = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hi"}}]}\\n\\n'
    assert Stream([body + b"data: [DONE]\\n\\n"]).final().text == "Hi"
    print("fine")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False
    )

    assert ("fine\n", "") == (done.stdout, done.stderr)


@in_one_test("name", registry.names())
def test_every_format_of_ours_is_what_is_asked_of_others(name: str) -> None:
    """A class that derives from `Format`, calls itself by its name, and lacks nothing."""
    known = registry.load(name)

    assert issubclass(known, Format)
    assert (name, frozenset()) == (known.name, known.__abstractmethods__)
