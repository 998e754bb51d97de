"""`Tools`: descriptions from docstrings, and the schemas of structs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.support.tables import in_one_test
from tokenstream import Tools

if TYPE_CHECKING:
    import pytest


@in_one_test(
    "docstring, description",
    [
        ("Parameters of a city are looked up.", "Parameters of a city are looked up."),
        ("Look\nit up.\n\nSlowly.", "Look it up."),
        ("Look.\nArgs:\n    city: It.", "Look."),
        ("Look.\n:param city: It.\n:returns: It.", "Look."),
        ("Look.\nParameters\n----------\ncity\n    It.", "Look."),
        ("Parameters\n----------\ncity\n    It.", None),
        ("Args:\n    city: It.", None),
        (":param city: It.", None),
        ("  ", None),
    ],
)
def test_a_description_ends_where_a_section_begins(docstring: str, description: str | None) -> None:
    """Many write no empty line before it; what is said of parameters is not said of the tool."""

    def look(city: str) -> None: ...

    look.__doc__ = docstring

    assert description == Tools(look).to_anthropic()[0].get("description")


def test_docstrings_tell_parameters_where_griffe_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's, NumPy's and Sphinx's style; without the package they are left out, and nothing else."""

    def google(city: str, *days: int) -> None:
        """Look.

        Args:
            city (str): The city.
            *days: The days.
            nobody: Not there.
        """

    def numpy(city: str, *days: int) -> None:
        """Look.

        Parameters
        ----------
        city : str
            The city.
        days
            The days.
        """

    def sphinx(city: str, *days: int) -> None:
        """Look.

        :param str city: The city.
        :param days: The days.
        :returns: nothing
        """

    def nothing(city: str, *days: int) -> None:
        """Look.

        And look again.
        """

    def told(function: Callable[..., None]) -> list[str | None]:
        [tool] = Tools(tool=function).to_anthropic()
        assert "Look." == tool["description"]
        return [each.get("description") for each in tool["input_schema"]["properties"].values()]

    for function in (google, numpy, sphinx):
        assert ["The city.", "The days."] == told(function)
    assert [None, None] == told(nothing)
    monkeypatch.setitem(sys.modules, "griffe", None)
    assert [None, None] == told(google)
