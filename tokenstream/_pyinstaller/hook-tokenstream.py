"""Hook for PyInstaller: an analysis of imports misses modules that are imported by name when first used."""

# ruff: noqa: N999 - PyInstaller looks for this name
from pathlib import Path
from pkgutil import walk_packages

import tokenstream

_FOLDER = Path(tokenstream.__file__).parent
_UNUSED = ("tokenstream._pyinstaller", "tokenstream.testing._pytest", "tokenstream.testing.plugin")

modules = [module.name for module in walk_packages([str(_FOLDER)], "tokenstream.")]
hiddenimports = [name for name in modules if not name.startswith(_UNUSED)]
files = [path for path in _FOLDER.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}]
datas = [(str(path), str(path.parent.relative_to(_FOLDER.parent))) for path in files]
