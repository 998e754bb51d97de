"""What pytest loads wherever this library is installed: options, and nothing else until a project asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["PLUGIN", "pytest_addoption", "pytest_configure"]

PLUGIN = "tokenstream.testing.plugin"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, once: the plugin itself adds them, too, where this module is not loaded."""
    group = parser.getgroup("tokenstream", "streamed answers (tokenstream)")
    if group.options:
        return
    group.addoption(
        "--record-streams",
        action="store_true",
        default=False,
        help="read the live streams that `source=` of the marker `recording` opens, and record them anew",
    )
    parser.addini(
        "tokenstream",
        type="bool",
        default=False,
        help="true for the fixtures, the marker and the comparisons of tokenstream",
    )
    parser.addini(
        "tokenstream_recordings",
        default="",
        help="the folder of recordings, seen from the project's root",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Load the plugin where the project asks for it; what is loaded already stays as it is."""
    if config.getini("tokenstream") or config.getoption("--record-streams"):
        config.pluginmanager.import_plugin(PLUGIN)
