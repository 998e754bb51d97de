"""The list of .github/adding-a-format.md for a format of this repository."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import new_format
from tests.new_format import main, missing
from tests.project import ROOT
from tests.support import registry
from tests.support.tables import in_one_test
from tokenstream._providers.apis import APIRecord
from tokenstream.formats import _wire

_ERRORS = {"its errors in ERRORS of tests/support/error_frames.py"}
_EXCEPTIONS = {
    # No provider's: their tests and pages have other names, and they have no errors to show.
    "tokenstream": {"tests/formats/test_tokenstream.py, or a folder tests/formats/tokenstream/"},
    "text": {
        "tests/formats/test_text.py, or a folder tests/formats/text/",
        "recordings with their expected messages under tests/recordings/text/",
        *_ERRORS,
    },
    "pieces": {"recordings with their expected messages under tests/recordings/pieces/", *_ERRORS},
    # Its sessions need no writer: none of our servers speaks with two voices at once.
    "openai-live": {"a writer in that record: an encoder in tokenstream/relay/_encoders/"},
    # Their errors are those of other formats.
    "langchain": _ERRORS,
    "llamaindex": _ERRORS,
}
"""What a format lacks on purpose."""


@pytest.mark.slow
@in_one_test("name", registry.names())
def test_every_format_has_all_its_places(name: str) -> None:
    """A format is added everywhere at once, or the list says what is missing."""
    assert _EXCEPTIONS.get(name, set()) == set(missing(name))


def test_a_format_that_was_only_begun_lacks_every_place_of_the_table() -> None:
    """The page's table and the command name the same places."""
    page = (ROOT / ".github" / "adding-a-format.md").read_text(encoding="utf-8")
    rows = page.partition("| place | what it has |")[2].partition("\n\n")[0].splitlines()[2:]

    assert len(rows) == len(missing("nobodys-format"))


@pytest.mark.parametrize(
    "source, said",
    [
        ("class Parrot:\n    pass\n", None),
        ("", "AttributeError: module 'tokenstream.formats._wire.wire_of_parrot' has no attribute 'Parrot'"),
        ("class Parrot(:", "SyntaxError: invalid syntax"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("Parrot = Format", "NameError: name 'Format' is not defined"),
    ],
)
def test_a_class_that_cannot_be_loaded_is_reported_with_the_reason(
    source: str,
    said: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A newcomer runs the command while the class is half written."""
    (tmp_path / "wire_of_parrot.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(_wire, "__path__", [*_wire.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{_wire.__name__}.wire_of_parrot", raising=False)
    monkeypatch.setattr(new_format, "api_named", lambda name: APIRecord(name, "wire_of_parrot.Parrot"))

    assert main(["nobodys-format"]) == 1

    lines = [line for line in capsys.readouterr().out.splitlines() if "the class of that reader" in line]
    assert bool(lines) == (said is not None)
    assert said is None or said in lines[0]


@pytest.mark.parametrize("words", [[], ["Parrot"], ["--help"], ["par/rot"]])
def test_a_command_without_a_name_says_how_it_is_used(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Names of formats have small letters, digits and hyphens."""
    assert main(words) == 2

    assert "python -m tests.new_format NAME" in capsys.readouterr().out
