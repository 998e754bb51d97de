"""Entry point for pytest: adds the options, and loads the plugin only if a project asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

PLUGIN = "tokenstream.testing.plugin"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add tokenstream's options to pytest, unless they were added before.

    This hook runs twice if pytest loads both this module, as the entry point of the package, and the plugin,
    which imports the hook for projects that run pytest without entry points.
    """
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
        "tokenstream_recordings", default="", help="the folder of recordings, seen from the project's root"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Load the plugin if the project asks for it and it is not loaded yet."""
    if config.getini("tokenstream") or config.getoption("--record-streams"):
        config.pluginmanager.import_plugin(PLUGIN)
