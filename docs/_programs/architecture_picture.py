"""Draw the rooms of the library and what they import: writes architecture.svg in docs/pictures.

Run it after imports between rooms, or a room's docstring, have changed:

    python docs/_programs/architecture_picture.py

Rooms are the modules and packages of `tokenstream`; helpers whose names begin with an
underscore are left out, but for the connection and the pipeline. Each stands above all that it imports, and
an arrow that follows from others is left out. What reaches upwards is listed in
pyproject.toml, and is not drawn. It needs grimp, which the extra `test` installs.
"""

from __future__ import annotations

import ast
import re
import runpy
import textwrap
import tomllib
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import escape

import grimp

PICTURE = Path(__file__).parents[1] / "pictures" / "architecture.svg"
_ROOT = Path(__file__).parents[2]
_SHOWN = {"_connection", "_pipeline", "_request"}
_WIDTH, _HEIGHT = 196, 74
_BESIDE, _ABOVE = 22, 44
_MARGIN = 18
_LETTERS = 33
_LINES = 3
_STYLE: str = runpy.run_path(str(Path(__file__).with_name("colours.py")))["in_both"](
    "text{font-family:system-ui,sans-serif;fill:#1f2937}"
    ".name{font-weight:600;font-size:14px}.told{font-size:10px;fill:#4b5563}"
    "rect{fill:#f8fafc;stroke:#64748b;rx:6}rect.loop{fill:#fef3c7;stroke:#b45309}"
    "path{fill:none;stroke:#94a3b8;stroke-width:1.2}svg{background:#fff}"
)


def rooms() -> dict[str, str]:
    """Return the rooms by name, each with the first line of its docstring."""
    found: dict[str, str] = {}
    spec = find_spec("tokenstream")
    if spec is None or spec.origin is None:
        raise SystemExit("tokenstream is not installed: pip install -e .")
    for path in sorted(Path(spec.origin).parent.iterdir()):
        module = path / "__init__.py" if path.is_dir() else path
        if module.suffix == ".py" and module.exists() and (path.stem[0] != "_" or path.stem in _SHOWN):
            docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
            found[path.stem] = docstring.partition("\n")[0].replace("`", "").rstrip(".")
    return found


def imports(names: dict[str, str]) -> dict[str, set[str]]:
    """Return which rooms below it each room reaches, directly or through helpers."""
    layers = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (order,) = (c["layers"] for c in layers["tool"]["importlinter"]["contracts"] if c["id"] == "layers")
    named = re.compile(r"tokenstream\.(\w+)")
    place = {name: row for row, layer in enumerate(order) for name in named.findall(layer)}
    graph = grimp.build_graph("tokenstream", cache_dir=None)
    below: dict[str, set[str]] = {room: set() for room in place}
    for module in graph.modules:
        room = [*module.split("."), ""][1]
        for imported in graph.find_modules_directly_imported_by(module):
            other = [*imported.split("."), ""][1]
            if place.get(room, len(order)) < place.get(other, 0):
                below[room].add(other)
    reached: dict[str, set[str]] = {}
    for room in sorted(place, key=lambda room: -place[room]):
        reached[room] = below[room].union(*(reached[other] for other in below[room]))
    return {room: reached[room] & names.keys() for room in names}


def rows(reached: dict[str, set[str]]) -> list[list[str]]:
    """Return the rooms in rows, the lowest first: each just above the highest of those that it reaches."""
    height: dict[str, int] = {}
    for room in sorted(reached, key=lambda room: len(reached[room])):
        height[room] = max((height[other] + 1 for other in reached[room]), default=0)
    found: list[list[str]] = [[] for _ in range(max(height.values()) + 1)]
    where: dict[str, float] = {}
    for row, level in enumerate(found):
        level += [room for room in sorted(reached) if height[room] == row]
        arrows = arrows_of(reached)
        level.sort(key=lambda room: (_middle(where, arrows[room]), room))
        for index, room in enumerate(level):
            where[room] = (index + 0.5) / len(level)
    return found


def _middle(where: dict[str, float], rooms: set[str]) -> float:
    return sum(where[room] for room in rooms) / len(rooms) if rooms else 0.5


def arrows_of(reached: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the arrows of each room that do not follow from others."""
    return {
        room: {other for other in others if not any(other in reached[between] for between in others)}
        for room, others in reached.items()
    }


def picture() -> str:
    """Return the picture, as SVG."""
    names = rooms()
    reached = imports(names)
    levels = rows(reached)
    width = max(len(level) for level in levels) * (_WIDTH + _BESIDE) - _BESIDE + 2 * _MARGIN
    height = len(levels) * (_HEIGHT + _ABOVE) - _ABOVE + 2 * _MARGIN
    at: dict[str, tuple[int, int]] = {}
    for row, level in enumerate(levels):
        left = (width - len(level) * (_WIDTH + _BESIDE) + _BESIDE) // 2
        for index, room in enumerate(level):
            top = height - _MARGIN - _HEIGHT - row * (_HEIGHT + _ABOVE)
            at[room] = (left + index * (_WIDTH + _BESIDE), top)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">',
        "<title>The rooms of tokenstream: each imports what stands below it</title>",
        f"<style>{_STYLE}</style>",
    ]
    for room, others in sorted(arrows_of(reached).items()):
        x, y = at[room][0] + _WIDTH // 2, at[room][1] + _HEIGHT
        for other in sorted(others):
            to_x, to_y = at[other][0] + _WIDTH // 2, at[other][1]
            bend = (y + to_y) // 2
            lines.append(f'<path d="M{x} {y}C{x} {bend} {to_x} {bend} {to_x} {to_y}"/>')
    for room, told in sorted(names.items()):
        x, y = at[room]
        kind = ' class="loop"' if room == "stream" else ""
        lines.append(f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}"{kind}/>')
        lines.append(f'<text class="name" x="{x + 10}" y="{y + 20}">{escape(room)}</text>')
        for number, line in enumerate(textwrap.wrap(told, _LETTERS, max_lines=_LINES, placeholder=" …")):
            lines.append(f'<text class="told" x="{x + 10}" y="{y + 37 + 13 * number}">{escape(line)}</text>')
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
