"""Recognisers for the start of blocks, in a whole line or in the part of it that has arrived."""

from __future__ import annotations

import re

MORE_NEEDED = -1
"""Returned by a recogniser that needs more of the line."""

BLANKS = " \t"
CODE_INDENT = 4
"""The fewest columns by which code is indented."""

_LEAD = re.compile(r"[ \t>*+\-0-9.)]*")
_HASHES = re.compile(r"#+")
_BACKTICKS = re.compile(r"`+")
_TILDES = re.compile(r"~+")
_HTML_RAW = re.compile(r"<(script|pre|style|textarea)(?=\s|>|\Z)", re.IGNORECASE | re.ASCII)
_HTML_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*)")
_HTML_BLOCK_END = re.compile(r"\s|/?>|\Z")
_TAG = re.compile(
    r"<[A-Za-z][A-Za-z0-9-]*"
    r"(?:(?>\s+[a-zA-Z_:][a-zA-Z0-9:._-]*(?:\s*=\s*(?:[^\"'=<>`\x00-\x20]+|'[^']*'|\"[^\"]*\"))?))*+"
    r"\s*/?>|</[A-Za-z][A-Za-z0-9-]*\s*>"
)
_NAMES = """
    address article aside base basefont blockquote body caption center col colgroup dd details dialog dir div
    dl dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html iframe
    legend li link main menu menuitem nav noframes ol optgroup option p param search section summary table
    tbody td tfoot th thead title tr track ul
"""
BLOCK_NAMES = frozenset(_NAMES.split())
HTML_ENDS = {
    1: re.compile(r"</(?:script|pre|style|textarea)>", re.IGNORECASE | re.ASCII),
    2: re.compile(r"-->"),
    3: re.compile(r"\?>"),
    4: re.compile(r">"),
    5: re.compile(r"\]\]>"),
}
"""The ends of HTML blocks that may contain blank lines, by the kinds of HTML blocks in CommonMark."""


def expand_tabs(line: str) -> str:
    """Return a line with the tabs among its leading blanks and markers expanded to spaces."""
    if "\t" not in line:
        return line
    match = _LEAD.match(line)
    size = match.end() if match else 0
    leading = line[:size]
    return leading.expandtabs(4) + line[size:] if "\t" in leading else line


def find_heading_level(text: str, position: int, *, complete: bool) -> int:
    """Return the level of the heading that begins at a position; 0 if none does, MORE_NEEDED if undecided."""
    match = _HASHES.match(text, position)
    if match is None:
        return 0
    end = match.end()
    count = end - position
    if count > 6:
        return 0
    if end == len(text):
        return count if complete else MORE_NEEDED
    return count if text[end] in BLANKS else 0


def find_fence_length(text: str, position: int, *, complete: bool) -> int:
    """Return the length of the fence that opens at a position; 0 if none does, MORE_NEEDED if undecided."""
    mark = text[position]
    match = (_BACKTICKS if mark == "`" else _TILDES).match(text, position)
    end = match.end() if match else position
    if end - position < 3:
        return MORE_NEEDED if end == len(text) and not complete else 0
    if mark == "`" and "`" in text[end:]:
        # Inline code with three or more backticks.
        return 0
    # The rest of the line may still contain a backtick, or more marks.
    return end - position if complete else MORE_NEEDED


def find_html_kind(text: str, position: int, *, complete: bool, would_interrupt: bool) -> int:
    """Return the kind (1 to 7 in CommonMark) of an HTML block's beginning; 0 for none, or MORE_NEEDED."""
    # The longest beginning that is looked for, `<![CDATA[`, has nine characters.
    start = text[position : position + 9]
    if start.startswith("<!"):
        return _find_declaration_kind(start, complete=complete)
    if start.startswith("<?"):
        # A processing instruction.
        return 3
    name = _HTML_NAME.match(text, position)
    if name is None:
        return MORE_NEEDED if start in {"<", "</"} and not complete else 0
    if name.end() == len(text) and not complete:
        return MORE_NEEDED
    if _HTML_RAW.match(text, position):
        # A script and the like, which may contain blank lines.
        return 1
    if name[1].lower() in BLOCK_NAMES and _HTML_BLOCK_END.match(text, name.end()):
        return 6
    if not complete and text[name.end() :] == "/":
        # The slash may be that of "/>".
        return MORE_NEEDED
    return 0 if would_interrupt else _find_lone_tag_kind(text, position, name.end(), complete=complete)


def _find_declaration_kind(start: str, *, complete: bool) -> int:
    """Return the kind of HTML that `<!` begins: comment (2), declaration (4), CDATA (5), 0 or MORE_NEEDED."""
    if start.startswith("<!--"):
        return 2
    if start == "<![CDATA[":
        return 5
    if len(start) > 2 and start[2].isascii() and start[2].isalpha():
        return 4
    if not complete and ("<!--".startswith(start) or "<![CDATA[".startswith(start)):
        return MORE_NEEDED
    return 0


def _find_lone_tag_kind(text: str, position: int, name_end: int, *, complete: bool) -> int:
    """Return 7, a kind of HTML block, if a tag is alone on its line; otherwise 0, or MORE_NEEDED."""
    # After its name, a tag ends, or goes on with white space or a slash.
    if name_end < len(text) and not (text[name_end] in "/>" or text[name_end].isspace()):
        return 0
    match = _TAG.match(text, position)
    if match is None:
        return 0 if complete else MORE_NEEDED
    if text[match.end() :].strip():
        return 0
    return 7 if complete else MORE_NEEDED
