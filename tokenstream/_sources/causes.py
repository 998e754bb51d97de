"""Exceptions of other libraries: their class names, their causes, and messages that quote nothing.

Exceptions are recognised by the names of their classes, so that no other library is imported.
"""

from __future__ import annotations

import re

_TRANSPORT_ERRORS = frozenset(
    {
        "TransportError",
        "HTTPException",
        "HTTPError",
        "ClientError",
        "ConnectionError",
        "APIConnectionError",
        "InvalidHandshake",
    }
)
"""Base classes of the transport errors of httpx, http.client, urllib3, aiohttp, requests and SDKs."""
_TIMEOUTS = frozenset({"TimeoutException", "TimeoutError", "Timeout", "APITimeoutError"})
CONNECT_ERRORS = frozenset(
    {
        "ClientConnectorError",
        "ConnectError",
        "ConnectTimeout",
        "ConnectTimeoutError",
        "ConnectionTimeoutError",
        "NewConnectionError",
        "PoolTimeout",
        "ProxyError",
    }
)
"""Exceptions that are raised before there is a connection."""
_MAX_CAUSES = 8
"""Largest number of exceptions in a chain of causes that are examined."""
_QUOTED = re.compile(r"(?<!<class )[bB]?(['\"`]).*\1", re.DOTALL)


def class_names(error: BaseException) -> set[str]:
    """Return the names of an exception's class and its base classes."""
    return {kind.__name__ for kind in type(error).__mro__}


def chain_class_names(error: BaseException) -> set[str]:
    """Return the names of the classes of an exception and of its causes, with their base classes."""
    return {name for each in cause_chain(error) for name in class_names(each)}


def cause_chain(error: BaseException) -> list[BaseException]:
    """Return an exception and its causes, the innermost last."""
    chain = [error]
    while len(chain) < _MAX_CAUSES:
        cause = chain[-1].__cause__ or chain[-1].__context__
        if cause is None:
            break
        chain.append(cause)
    return chain


def is_transport(error: BaseException) -> bool:
    """Return True for an exception of a transport library, or of the operating system."""
    return isinstance(error, OSError) or bool(class_names(error) & _TRANSPORT_ERRORS)


def is_timeout(error: BaseException) -> bool:
    """Return True if an exception is a timeout, or a transport error that wraps a timeout.

    An exception in `__context__` does not count, because it need not be the cause.
    """
    cause: object = error
    for _ in range(_MAX_CAUSES):
        if not isinstance(cause, BaseException):
            return False
        if class_names(cause) & _TIMEOUTS:
            return True
        if not is_transport(cause):
            return False
        # requests passes the inner exception as an argument of its own, instead of setting the cause.
        cause = cause.__cause__ or next(iter(cause.args), None)
    return False


def describe_chain(error: BaseException) -> list[str]:
    """Return the description of an exception, then those of its causes that concern the connection."""
    causes = [cause for cause in cause_chain(error)[1:] if is_connection(cause) and message_of(cause)]
    return [describe(each) for each in (error, *causes)]


def is_connection(error: BaseException) -> bool:
    """Return True for an exception that concerns the connection: a transport error, or a timeout."""
    return is_transport(error) or bool(class_names(error) & (CONNECT_ERRORS | _TIMEOUTS))


def message_of(error: BaseException) -> str:
    """Return the message of an exception; "" if its `__str__` fails."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the error still counts if its `__str__` fails
        return ""


def describe(error: BaseException) -> str:
    """Return the class name of an exception, with the message if the exception concerns the connection.

    The messages of other exceptions may contain a part of the payload: those of pydantic, for
    example, quote the invalid value.
    """
    # The message of http.client's BadStatusLine is left out, too, since it quotes the server's line.
    quotes_server = not isinstance(error, OSError) and "BadStatusLine" in class_names(error)
    has_safe_message = is_connection(error) and not quotes_server
    message = without_quotes(message_of(error)) if has_safe_message else ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def without_quotes(message: str, harmless: frozenset[str] = frozenset()) -> str:
    """Return an exception's message with "…" in place of quoted text, which may contain a secret.

    The messages of some libraries quote a header with a key, or a part of the payload.

    Args:
        harmless: Words that stay even if they are quoted.
    """
    return _QUOTED.sub(lambda quote: quote[0] if quote[0].strip("'\"`") in harmless else "…", message)
