"""Hook for PyInstaller: an analysis of imports misses modules that are imported by name when first used."""

# ruff: noqa: N999 - PyInstaller looks for this name

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

_UNUSED = ("tokenstream._pyinstaller", "tokenstream.testing._pytest", "tokenstream.testing.plugin")

hiddenimports = collect_submodules("tokenstream", filter=lambda name: not name.startswith(_UNUSED))
datas = collect_data_files("tokenstream", excludes=["**/*.py"])
