"""The errors for HTTP responses with an error status, and for redirects, from their heads and bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.error_marks import add_advice, add_code_hint, add_sentence, mark_cause
from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import dict_of
from tokenstream._basics.url import find_address
from tokenstream._basics.visible import SecretMask
from tokenstream._basics.waits import reset_of, retry_after_of
from tokenstream._connection.head import LOWEST_ERROR_STATUS, ResponseHead, make_head, strip_secrets
from tokenstream._values.error_kinds import ERROR_KINDS, find_kind, is_final
from tokenstream.errors import LimitExceeded, NotAStream, ProtocolError, StatusError
from tokenstream.formats import _registry as registry
from tokenstream.formats._detect.payloads import name_of
from tokenstream.formats._kit.error_details import error_kind, read_repeated_headers
from tokenstream.formats._kit.errors import first_object, provider_error, text_error
from tokenstream.formats._kit.repeated import Wholeness
from tokenstream.framing import SSEParser
from tokenstream.framing._lines import BOM
from tokenstream.framing._sniff import sniff, title_of
from tokenstream.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import ErrorKind, ProviderError, StreamError
    from tokenstream.formats._base import Format
    from tokenstream.formats._registry import FormatChoice

_MAX_CHARACTERS = 200
"""The number of characters of a plain-text body, or of an address, that an error message contains."""
_NOT_MODIFIED = 304
_PAYMENT_REQUIRED, _TOO_MANY_REQUESTS, _LOWEST_SERVER_STATUS = 402, 429, 500
_PORTS = {"http": 80, "https": 443}
_SHOULD_RETRY = {"true": True, "false": False}


def status_error(status: int, headers: Mapping[str, str], body: bytes = b"") -> StatusError:
    return make_status_error(make_head(status, headers.items()), body, DEFAULT_LIMITS)


def make_redirect_error(head: ResponseHead, body: bytes, limits: Limits) -> StreamError:
    """Return the error for a redirect that was not followed, or for status 304."""
    target = head.headers.get("location")
    status = f"status {head.status} {head.reason}".rstrip()
    hint = place = ""
    if target is not None:
        place, same_origin = _target_of(head.url, target)
        message = f"the server redirects to {place} ({status}), which was not followed" + (
            " by default: use that address"
            if same_origin
            else ", because credentials must not reach another origin; use that address if it is intended"
        )
        # The hint is advice that applies only to code, not to the command line.
        hint = ", or set follow_redirects=True in the request" if same_origin else ""
    elif head.status == _NOT_MODIFIED:
        message = (
            f"the server answered with {status} and no body: remove If-None-Match or If-Modified-Since "
            "from the request's headers"
        )
    else:
        message = f"the server redirects ({status}) but does not say where to; check the address"
    error = NotAStream(message, body=str(body[: limits.tail], "utf-8", "replace"))
    error.request_id = head.request_id
    if target is not None:
        # The command line has advice of its own for this cause. A path may have a key.
        mark_cause(error, "redirect")
        add_sentence(error, message.replace(place, find_address(place).host or "an address"))
    return add_code_hint(error, hint)


def _target_of(url: str, location: str) -> tuple[str, bool]:
    """Return a redirect's target without secret parts, and True if it has the origin of the request."""
    try:
        from urllib.parse import urljoin, urlsplit

        target = urljoin(url, location)
        same_origin = _origin_of(urlsplit(target)) == _origin_of(urlsplit(url))
    except ValueError:
        return "an invalid address", False
    place = strip_secrets(target)
    return place if len(place) <= _MAX_CHARACTERS else f"{place[: _MAX_CHARACTERS - 1]}…", same_origin


def _origin_of(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def make_status_error(
    head: ResponseHead, body: bytes, limits: Limits, expected: Format | None = None
) -> StatusError:
    """Return the error for an error status, with the details from the head and the body so far.

    The format that the caller expects may know the provider's errors better.
    """
    text = str(body, "utf-8", "replace")
    if head.keys:
        text = SecretMask(head.keys).mask_text(text)
        body = text.encode()
    reported, payload = _find_error(body, limits)
    words = _words_of(text) if reported is None else ""
    kind, retryable = _classify(head, reported, expected)
    retry_after = _find_asked_wait(head, reported, payload)
    advice = _advice(head.status, kind, retry_after, retryable=retryable)
    error = StatusError(
        f"the server answered with {f'status {head.status} {head.reason}'.rstrip()}"
        f"{_describe_body(text, reported, words)}; {advice}",
        status=head.status,
        code=reported.code if reported is not None else None,
        type=(reported.type if reported is not None else None) or _aws_exception_of(head),
        body=text[: limits.tail],
        kind=kind,
        retryable=retryable,
        retry_after=retry_after,
    )
    error.request_id = (reported.request_id if reported is not None else None) or head.request_id
    error.provider_message = words or None if reported is None else reported.provider_message
    return add_advice(error, advice)


def _classify(
    head: ResponseHead, reported: ProviderError | None, expected: Format | None
) -> tuple[ErrorKind, bool | None]:
    """Return the kind of the error for an error status, and True if a retry may help, or False.

    The second value is None if the kind decides that.
    """
    kind = find_kind(head.status)
    retryable: bool | None = False if is_final(head.status) else None
    exception = _aws_exception_of(head)
    exception_kind, exception_retryable = ("unknown", None) if exception is None else error_kind(exception)
    # The format's own table and the name of an AWS exception are more specific than the status.
    if reported is not None and expected is not None and expected.reader.classify_error(expected, reported):
        kind, retryable = reported.kind, reported.retryable
    elif head.status == _PAYMENT_REQUIRED and retry_after_of(head.headers, head.received_at) is not None:
        # OpenRouter asks to wait if the credit suffices, but not for all requests at the same time.
        kind = "rate_limited"
    elif reported is not None and ERROR_KINDS[reported.kind].is_specific:
        kind, retryable = reported.kind, None
    elif exception_kind != "unknown":
        kind, retryable = exception_kind, exception_retryable
    elif reported is not None and reported.kind != "unknown" and kind in ("unknown", "rate_limited"):
        # Only for a status that says little: any other status takes precedence over the words in the body.
        # The report may rule out a retry (429 may also mean a used-up quota); otherwise the kind decides.
        retryable = None if reported.retryable else False
        # Gateways send 429 with a body such as "Internal server error": it is a limit nevertheless.
        stays_limit = kind == "rate_limited" and ERROR_KINDS[reported.kind].is_outage
        kind = kind if stays_limit else reported.kind
    if ERROR_KINDS[kind].is_specific:
        # The same request fails again at the same provider, whatever a proxy in between says of its status.
        return kind, None
    # The server's explicit word takes precedence over everything else.
    return kind, _SHOULD_RETRY.get(head.headers.get("x-should-retry", ""), retryable)


def _find_asked_wait(head: ResponseHead, reported: ProviderError | None, payload: JsonObject) -> float | None:
    """Return the seconds to wait that a server asks for in its headers or body; None if it does not ask."""
    wait = retry_after_of(head.headers, head.received_at)
    if wait is None and reported is not None:
        wait = reported.retry_after
    rate_limited = head.status == _TOO_MANY_REQUESTS
    if wait is None and (rate_limited or head.status >= _LOWEST_SERVER_STATUS):
        # Otherwise, the time at which a used-up rate limit resets. A gateway's body may repeat the
        # provider's headers, but the date comes from the gateway.
        repeated = {"date": head.headers.get("date", ""), **read_repeated_headers(dict_of(payload, "error"))}
        for headers in (head.headers, repeated):
            wait = reset_of(headers, head.received_at, limited=rate_limited) if wait is None else wait
    return wait


def _aws_exception_of(head: ResponseHead) -> str | None:
    """Return the name of AWS's exception, which only the head contains; None if there is none."""
    return head.headers.get("x-amzn-errortype", "").partition(":")[0] or None


def _describe_body(text: str, reported: ProviderError | None, words: str) -> str:
    """Return the part of the error's message that describes the body; "" if there is none."""
    if reported is not None:
        return f"; {reported.message}"
    if _is_page(text):
        title = title_of(text)
        return f"; its body is a web page titled {title!r}" if title else "; its body is a web page"
    return f"; its body says: {words}" if words else ""


def _is_page(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n")[:1] == "<"


def _words_of(text: str) -> str:
    """Return the words of a body that is bare text; "" for any other body."""
    words = " ".join(text[: 2 * _MAX_CHARACTERS].split())
    # Bodies that are not text, or are JSON that may repeat the request, appear only in `.body`.
    if not words or _is_page(text) or not words.isprintable() or words[:1] in "{[":
        return ""
    return words if len(words) <= _MAX_CHARACTERS else f"{words[: _MAX_CHARACTERS - 1]}…"


def _advice(status: int, kind: ErrorKind, retry_after: float | None, *, retryable: bool | None) -> str:
    """Return advice on an error status for the end of the error's message; None lets the kind decide."""
    if retryable is False and is_final(status):
        return "asking again will not help: check the address, and any proxy in between"
    row = ERROR_KINDS[kind]
    may_help = row.retryable if retryable is None else retryable
    if may_help and retry_after is not None:
        return f"ask again in {retry_after:g} s"
    if not may_help and row.advice == "ask again later":
        # The usual advice for the kind of error would be wrong here.
        row = ERROR_KINDS["quota"]
    if status == 404 and not row.is_specific:
        return "check the address and the model's name"
    return row.advice or "the server's explanation is in .body"


def _find_error(body: bytes, limits: Limits) -> tuple[ProviderError | None, JsonObject]:
    """Return the provider's error in an error body, and the JSON object in which it was found.

    If there is no error, the result is None and an empty object.
    """
    # With the event name "error", `provider_error` takes any object for an error: the status says it is one.
    data = _decode_object(body, limits)
    if data is not None:
        return provider_error(data, "error"), data
    if sniff(body, content_type=None, over=True) != "sse":
        return None, {}
    # Some servers send an error status with an event stream; the added blank line ends a cut last event.
    for event in SSEParser(limits=limits).feed(body + b"\n\n"):
        data = _decode_object(event.payload, limits)
        if data is not None:
            return provider_error(data, "error"), data
        if name_of(event) == "error":
            return text_error(event.payload), {}
    return None, {}


def _decode_object(payload: bytes, limits: Limits) -> JsonObject | None:
    """Return the JSON object in a payload, or the first object of an array in it; None if there is none."""
    try:
        return first_object(decode(payload.removeprefix(BOM), limits))
    except (ProtocolError, LimitExceeded):
        return None


_MAX_BODY_BYTES = 64 * 1024
"""The number of bytes of an error body that are read."""


class ErrorBody:
    """Reads the body of a response with an error status, of which no connection gets anything.

    Args:
        limits: `Limits.tail` bounds the part of the body that the error keeps.
        expected: The format that the caller expects for the answer; None if unknown.

    Example:
        >>> from tokenstream._connection.head import ResponseHead
        >>> body = ErrorBody(ResponseHead(status=429))
        >>> body.feed(b'{"error": "slow down"}')
        >>> body.document.whole, body.end().kind
        (True, 'rate_limited')
    """

    def __init__(
        self, head: ResponseHead, *, limits: Limits = DEFAULT_LIMITS, expected: FormatChoice = None
    ) -> None:
        self._head, self._limits, self._expected = head, limits, expected
        self._body = bytearray()
        self.document = Wholeness()
        """Detects that the body is one whole JSON document, after which nothing follows."""
        self.error: StreamError | None = None
        """The error that the body describes; None before its end, or the limit, was reached."""

    def feed(self, piece: bytes) -> None:
        """Collect a piece of the body; at a limit, the body ends, and `error` is set."""
        piece = piece[: max(0, _MAX_BODY_BYTES - len(self._body))]
        self._body.extend(piece)
        # latin-1 suffices: JSON's punctuation is ASCII, whose bytes occur in no other UTF-8 character.
        self.document.add(str(piece.removeprefix(BOM), "latin-1"))
        if len(self._body) >= _MAX_BODY_BYTES:
            self.end()

    def end(self) -> StreamError:
        """End the body, and return the error that it describes."""
        if self.error is None:
            head, body, limits = self._head, bytes(self._body), self._limits
            if head.status < LOWEST_ERROR_STATUS:
                self.error = make_redirect_error(head, body, limits)
            else:
                # The format that the caller expects may know the provider's errors better.
                expected = self._expected
                named = None if expected is None else registry.create(expected, limits=limits)
                self.error = make_status_error(head, body, limits, named)
        return self.error
