"""Elements of HTML, whose texts and attributes are escaped unless they are markup of this library."""

from __future__ import annotations

import html
from typing import TypeAlias

from tokenstream._basics.visible import one_line, several_lines


class Markup(str):
    """Markup that this library wrote; any other text is escaped."""

    __slots__ = ()


Child: TypeAlias = "str | None"
"""A text, which is escaped, or markup; None is left out."""
Attribute: TypeAlias = "str | float | None"
"""The value of an attribute; None leaves it out."""

_WITHOUT_END = frozenset({"meta"})


def escape(text: str) -> Markup:
    r"""Return the markup of a text between elements.

    Characters that are controls, invisible or change the direction of writing become JSON escapes.

    Example:
        >>> print(escape("<b>\x1b \u202e \ud800"))
        &lt;b&gt;\u001b \u202e \ud800
    """
    return Markup(html.escape(several_lines(text), quote=False))


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Return an element.

    Args:
        children: The element's content; text is escaped.
        attributes: The element's attributes; one that is None is left out. "_" in a name stands for "-", and
            a "_" at its end is dropped.

    Example:
        >>> print(element("p", "1 < 2", element("b", "!"), class_="note"))
        <p class="note">1 &lt; 2<b>!</b></p>
    """
    pairs = [
        f' {label.rstrip("_").replace("_", "-")}="{html.escape(one_line(_write(value)))}"'
        for label, value in attributes.items()
        if value is not None
    ]
    start = f"<{name}{''.join(pairs)}>"
    return Markup(start if name in _WITHOUT_END else f"{start}{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Return texts and markup, joined; text is escaped, and None is left out."""
    return Markup(
        "".join(
            [child if isinstance(child, Markup) else escape(child) for child in children if child is not None]
        )
    )


def preformatted(text: str) -> Markup:
    """Return a text with its line ends and spaces kept."""
    # A browser drops one line end at the start, so that a text that begins with one needs another.
    return element("pre", Markup("\n"), text)


def _write(value: str | float) -> str:
    """Return a value of an attribute: text, or a number with at most two digits after the point."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
