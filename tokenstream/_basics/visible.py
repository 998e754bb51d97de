"""Makes text of others safe to show: escapes control characters, and hides the secrets of a request."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import is_dict, is_list

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._basics.loose import Json

# Control characters, half surrogates, line separators, and characters that are invisible
# or change the writing direction: a terminal would obey them, or a reader would miss them.
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
)
# Escaped only in a single line: joiners and tags belong to emoji and words, tabs and line ends to texts.
_ESCAPED_IN_LINES = re.compile(f"[{_HIDDEN}\t\n\u200c\u200d\U000e0000-\U000e007f]")
_ESCAPED_IN_TEXTS = re.compile(f"[{_HIDDEN}]")


def _escape(found: re.Match[str]) -> str:
    r"""Return the JSON escape of the character that was found, such as `\u001b`."""
    return json.dumps(found[0])[1:-1]


def one_line(text: str) -> str:
    r"""Return `text` on one line, with JSON escapes for invisible and control characters.

    Example:
        >>> print(one_line("a\x1b[31m\nb"))
        a\u001b[31m\nb
    """
    return _ESCAPED_IN_LINES.sub(_escape, text)


def several_lines(text: str) -> str:
    r"""Return `text` escaped as by `one_line`, except that line ends, tabs and joiners are kept.

    Example:
        >>> print(several_lines("a\x1b[31m\nb"))
        a\u001b[31m
        b
    """
    return _ESCAPED_IN_TEXTS.sub(_escape, text)


_MEDIA = {b"\x89PNG": "image/png", b"\xff\xd8": "image/jpeg", b"GIF8": "image/gif", b"OggS": "audio/ogg"}
"""Maps the first bytes of media to their type."""
_LONGEST_URL = 200
"""The longest data URL that is printed, in characters."""


class _Shown(str):
    """Prints without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def show_media(value: object, kind: str | None = None) -> object:
    """Return a value for a repr: bytes and data URLs print as their type and size, also inside of JSON.

    Example:
        >>> show_media(bytes(1_300_000), "image/png"), show_media([b"GIF87a", "text"])
        (<image/png, 1.3 MB>, [<image/gif, 6 bytes>, 'text'])
    """
    if is_dict(value):
        return {name: show_media(each) for name, each in value.items()}
    if is_list(value):
        return [show_media(each) for each in value]
    if isinstance(value, bytes):
        size = len(value)
        kind = kind or next((each for start, each in _MEDIA.items() if value.startswith(start)), "media")
    elif isinstance(value, str) and value.startswith("data:") and len(value) > _LONGEST_URL:
        size, kind = len(value) * 3 // 4, re.split("[;,]", value[5:_LONGEST_URL])[0]
    else:
        return value
    return _Shown(f"<{kind}, {f'{size / 1e6:.1f} MB' if size >= 1e5 else f'{size:,} bytes'}>")


_MIN_SECRET = 4
_TELLING_LENGTH = 8
"""A beginning of a secret that is at least this long is hidden, too, since a message may cut it off."""
_SCHEMES = {"basic", "bearer", "digest", "token"}


class SecretMask:
    """Hides secrets in texts, such as the error message of a provider.

    Args:
        secrets: Values of headers of the request.

    Example:
        >>> SecretMask(["Bearer sk-0123456"]).mask_text("the key sk-0123456 is wrong")
        'the key *** is wrong'
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        words = {word for secret in secrets for word in secret.split()}
        # The secrets are hidden in JSON, too, where characters may be escaped.
        words |= {json.dumps(word)[1:-1] for word in words}
        # Short words, and the name of a scheme such as "Bearer", are not secrets.
        secret_words = (word for word in words if len(word) >= _MIN_SECRET and word.lower() not in _SCHEMES)
        self._words = sorted(secret_words, key=len, reverse=True)

    def mask_text(self, text: str) -> str:
        """Return a text with "***" in place of each secret, and of each long beginning of one."""
        for word in self._words:
            shortest = min(len(word), _TELLING_LENGTH)
            if word[:shortest] in text:
                # The longest beginning first, so that nothing of the secret is left behind it.
                for length in range(len(word), shortest - 1, -1):
                    text = text.replace(word[:length], "***")
        return text

    def mask_json(self, value: object) -> Json:
        """Return a JSON value with the secrets in its strings hidden; names and numbers stay unchanged."""
        if isinstance(value, str):
            return self.mask_text(value)
        if is_dict(value):
            return {name: self.mask_json(inner) for name, inner in value.items()}
        return [self.mask_json(inner) for inner in value] if is_list(value) else value
