"""The version of the installed distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__: str = version("llm-tokenstream")
except PackageNotFoundError:
    # A copy of the package inside another project has no metadata.
    __version__ = "0+unknown"
