"""Public names that go away still work, and say what to use in their place."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from tests.public_names import MOVED
from tests.support.tables import in_one_test
from tokenstream import TextDelta, relay, testing


@in_one_test("module", MOVED)
def test_a_name_that_has_moved_is_the_same_and_says_where_it_is_now(module: str) -> None:
    """The warning points at the line that imports it."""
    home, names = MOVED[module]
    for name in names:
        with pytest.warns(DeprecationWarning, match=f"import {name} from {home}$") as caught:
            old = getattr(import_module(module), name)

        assert getattr(import_module(home), name) is old
        assert [__file__] == [warning.filename for warning in caught]


def test_a_name_that_a_module_never_had_is_an_attribute_error() -> None:
    """As in any other module."""
    with pytest.raises(AttributeError):
        import_module("tokenstream.decoder").Nothing  # noqa: B018 - read for the error


def test_connect_stays_a_function_after_its_old_module_was_imported() -> None:
    """The module and the function have the same name."""
    program = "import tokenstream, tokenstream.connect; print(callable(tokenstream.connect))"
    command = [sys.executable, "-W", "error", "-c", program]

    assert "True\n" == subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "write", [relay.encode, testing.script().text("Hi").finish().chunks], ids=["relay", "script"]
)
def test_writing_assistants_says_what_to_write_in_its_place(write: Any) -> None:
    """The API has ended; answers of servers that still speak it are read as before."""
    arguments: list[Any] = [[TextDelta("Hi")]] if write is relay.encode else []
    with pytest.warns(DeprecationWarning, match="take 'openai-responses' or 'tokenstream'") as caught:
        list(write(*arguments, "openai-assistants"))

    assert [__file__] == [warning.filename for warning in caught]
