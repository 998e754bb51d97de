"""Makes text of others safe to show: escapes control characters, and hides the secrets of a request."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, cast

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


def _escape_found(found: re.Match[str]) -> str:
    r"""Return the JSON escape of the character that was found, such as `\u001b`."""
    return json.dumps(found[0])[1:-1]


def one_line(text: str) -> str:
    r"""Return `text` on one line, with JSON escapes for invisible and control characters.

    Example:
        >>> print(one_line("a\x1b[31m\nb"))
        a\u001b[31m\nb
    """
    return _ESCAPED_IN_LINES.sub(_escape_found, text)


def several_lines(text: str) -> str:
    r"""Return `text` escaped as by `one_line`, except that line ends, tabs and joiners are kept.

    Example:
        >>> print(several_lines("a\x1b[31m\nb"))
        a\u001b[31m
        b
    """
    return _ESCAPED_IN_TEXTS.sub(_escape_found, text)


_MEDIA = {b"\x89PNG": "image/png", b"\xff\xd8": "image/jpeg", b"GIF8": "image/gif", b"OggS": "audio/ogg"}
"""Maps the first bytes of media to their type."""
_ENCODED = re.compile(r"(?s)(?=.{200})(?:data:([^;,]*)|(?:iVBORw|/9j/|R0lGOD|T2dnU|UklGR)[\w+/-]{60})")
"""Matches a long data URL, and a picture or a sound in base64."""


class _Shown(str):
    """Prints without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def show_media(value: object, kind: str | None = None) -> object:
    """Return a value for a repr: media print as their type and size, also encoded and inside of JSON.

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
    elif isinstance(value, str) and (found := _ENCODED.match(value)):
        size, kind = len(value) * 3 // 4, found[1] or "media"
    else:
        return value
    return _Shown(f"<{kind}, {f'{size / 1e6:.1f} MB' if size >= 1e5 else f'{size:,} bytes'}>")


KEYS: dict[str, tuple[str, str]] = {
    "a key of Anthropic": (r"sk-ant-", r"[\w-]{20,}"),
    # DeepSeek, OpenRouter, Moonshot and others have such keys, too. Text without a digit is no key, but
    # words with hyphens.
    "a key of OpenAI, or of an API like theirs": (r"sk-", r"(?!ant-)(?=[A-Za-z_-]{0,99}[0-9])[\w-]{20,}"),
    "a key of Google": (r"AIza", r"[\w-]{35}(?![\w-])"),
    "a token of Google": (r"ya29\.", r"[\w-]{20,}"),
    "a client secret of Google": (r"GOCSPX-", r"[\w-]{20,}"),
    "an access key of AWS": (r"A(?:KIA|SIA)", r"[A-Z0-9]{16}(?!\w)"),
    "a key of Amazon Bedrock": (r"ABSK", r"[A-Za-z0-9+/=]{60,}"),
    "a short key of Amazon Bedrock": (r"bedrock-api-key-", r"[A-Za-z0-9+/=]{40,}"),
    "a token of GitHub": (r"gh[pousr]_", r"[A-Za-z0-9]{36,}"),
    "a fine-grained token of GitHub": (r"github_pat_", r"\w{22,}"),
    "a token of GitLab": (r"glpat-", r"[\w-]{20,}"),
    "a token of Slack": (r"x(?:ox[abeoprs]|app)-", r"[A-Za-z0-9-]{10,}"),
    "a token of Hugging Face": (r"hf_", r"[A-Za-z0-9]{30,}(?!\w)"),
    "a key of Groq": (r"gsk_", r"[A-Za-z0-9]{40,}"),
    "a key of xAI": (r"xai-", r"[A-Za-z0-9]{40,}"),
    "a key of Perplexity": (r"pplx-", r"[A-Za-z0-9]{40,}"),
    "a key of NVIDIA": (r"nvapi-", r"[\w-]{40,}"),
    "a key of Cerebras": (r"csk-", r"[A-Za-z0-9]{40,}"),
    "a key of Fireworks": (r"fw_", r"[A-Za-z0-9]{22,}(?!\w)"),
    "a token of Replicate": (r"r8_", r"[A-Za-z0-9]{37}(?!\w)"),
    "a key of Stripe": (r"[sr]k_(?:live|test)_", r"[A-Za-z0-9]{20,}"),
    "a key of LangSmith": (r"lsv2_", r"[a-z]{2}_[0-9a-f]{32}"),
    "a token in a header": (
        r"(?i:bearer)",
        r"\s{1,4}(?:(?=[A-Za-z._~+/-]*[0-9])[\w.~+/-]{20,}=*|[A-Za-z]{20,}(?![\w-]))",
    ),
    "a JSON Web Token": (r"eyJ", r"(?<!-eyJ)[\w-]{8,}+\.[\w-]{8,}+\.[\w-]{8,}"),
}
"""Maps each kind of key to the two parts of its pattern: the fixed beginning, and the rest."""
_MOST_OF_TEXT = 200
"""The maximum number of characters of another code's exception in a message."""
_MOST_SHOWN = 100
"""The maximum number of exceptions that are shown of a chain or a group."""
_MIN_SECRET = 4
_TELLING_LENGTH = 8
"""A beginning of a secret that is at least this long is hidden, too, since a message may cut it off."""
_SCHEMES = {"basic", "bearer", "digest", "token"}


class SecretMask:
    """Hides secrets in texts, such as the error message of a provider.

    Example:
        >>> SecretMask(["Bearer sk-0123456"]).mask_text("the key sk-0123456 is wrong")
        'the key *** is wrong'
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        words = {word for secret in secrets for word in secret.split()}
        # The secrets are hidden in JSON and in code, too, where characters may be escaped.
        words |= {form(word)[1:-1] for word in words for form in (json.dumps, repr)}
        # Short words, and the name of a scheme such as "Bearer", are not secrets.
        secret_words = (word for word in words if len(word) >= _MIN_SECRET and word.lower() not in _SCHEMES)
        self._words = sorted(secret_words, key=len, reverse=True)

    def mask_text(self, text: str) -> str:
        """Return a text with "***" in place of each secret, and of each long beginning of one."""
        for word in self._words:
            shortest = min(len(word), _TELLING_LENGTH)
            if word[:shortest] in text:
                # The longest beginning first, so that nothing of the secret is left after it.
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

    # -- exceptions of other code ----------------------------------------------------------------

    def text_of(self, error: BaseException) -> str:
        return self._mask_keys(str_of(error))

    def describe(self, error: BaseException) -> str:
        """Return the class name of an exception and the first line of its text, without secrets."""
        line = one_line(self.text_of(error).strip().partition("\n")[0][:_MOST_OF_TEXT])
        return f"{type(error).__name__}: {line}" if line else type(error).__name__

    def mask_error(self, error: BaseException) -> BaseException:
        """Return the exception to show as a cause: itself, if none of its text is hidden.

        Otherwise, it is a stand-in of the same type name, with the masked text and the same traceback; and so
        are its causes and members. The exception itself is never changed.
        """
        return cast("BaseException", self._show(error, {}))

    def _show(self, error: Any, known: dict[int, Any]) -> Any:  # noqa: ANN401 - an exception, or None
        """Return an exception or its stand-in; `known` has those so far, by the ids of their originals."""
        if error is None or id(error) in known:
            return known.get(id(error))
        if len(known) == _MOST_SHOWN:
            return Exception("…")
        # Causes in a circle end where they begin.
        known[id(error)] = None
        given = getattr(error, "__notes__", None)
        notes = [*map(str_of, given)] if is_list(given) else []
        members: Any = getattr(error, "exceptions", ()) if issubclass(type(error), BaseExceptionGroup) else ()
        # A traceback shows no context that is suppressed.
        context = None if error.__suppress_context__ else error.__context__
        related = [*members, error.__cause__, context]
        shown = [self._show(each, known) for each in related]
        texts = [str_of(error.args), *notes]
        is_hidden = self.text_of(error) != str_of(error) or [*map(self._mask_keys, texts)] != texts
        if not is_hidden and [*map(id, shown)] == [*map(id, related)]:
            known[id(error)] = error
            return error
        base = BaseExceptionGroup if members else Exception
        make: Any = type(type(error).__name__, (base,), {"__module__": type(error).__module__})
        *members, cause, context = shown
        text = self._mask_keys(error.message) if members else self.text_of(error)
        stand_in = known[id(error)] = make(text, members) if members else make(text)
        for note in notes:
            stand_in.add_note(self._mask_keys(note))
        stand_in.__cause__, stand_in.__context__ = cause, context
        stand_in.__suppress_context__ = error.__suppress_context__
        return stand_in.with_traceback(error.__traceback__)

    def _mask_keys(self, text: str) -> str:
        """Return a text without secrets, and without what has the shape of a key."""
        return _find_keys().sub("***", self.mask_text(text))


@cache
def _find_keys() -> re.Pattern[str]:
    """Return a pattern of keys, which is compiled only for an exception."""
    return re.compile("|".join([rf"(?<!\w){start}{rest}" for start, rest in KEYS.values()]))


def str_of(value: object) -> str:
    """Return an object as text; "" if its `__str__` fails."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - an exception still counts if its `__str__` fails
        return ""
