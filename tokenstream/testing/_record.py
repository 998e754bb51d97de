"""`record`: the file of a recording, beside whatever reads the answer."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from tokenstream.stream import AsyncStream, Stream
from tokenstream.testing._record_bodies import note_body
from tokenstream.testing._record_clients import is_client, note_answers, refuse_earlier
from tokenstream.testing._record_filters import compiled
from tokenstream.testing._record_loops import note_loop, note_stream
from tokenstream.testing._record_notes import Notes, Terms
from tokenstream.testing._save import refuse_existing, refuse_extension
from tokenstream.testing._secrets import named_headers

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from tokenstream.testing._record_filters import Filter, Replacements

__all__ = ["record"]

SourceT = TypeVar("SourceT")


def record(
    source: SourceT,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    replace: Replacements | None = None,
    filter: Filter | None = None,  # noqa: A002 - the word that says it
    headers: Iterable[str] = (),
    clock: Callable[[], float] = time.monotonic,
) -> SourceT:
    r"""Record an answer into a file while the application reads it.

    Where a response or a stream stands on bytes that can be reached, it is returned as it
    is, and whatever is read of it is noted: the bytes without their content coding, in the
    chunks in which they were read, and when. Of a client of httpx or httpx2 every answer
    that has a body is recorded: the second into `name-2.rec`, or where `{n}` stands in the
    name. Anything else that can be looped over, entered or awaited is returned as something
    that behaves as it does. The file is written, whole or not at all, when the body has
    ended, broken or been closed.

    Of the headers only those that matter are kept: the content type, what names the
    request, and what says when to ask again.

    Args:
        source: A response of httpx, httpx2, requests, urllib3, http.client or aiohttp; a
            stream of an SDK that stands on one (openai, anthropic, mistralai, boto3); a
            `Stream` or `AsyncStream`; a client of httpx or httpx2, also as the client that
            an SDK is given (openai, anthropic, google-genai, cohere, mistralai); an
            (async) iterable of bytes or text; a context manager or an awaitable of these.
        path: Where to, ending in `.rec`; or in `.sse` or the like for the body alone. A
            missing folder is made.
        overwrite: Whether a file that is there already may be replaced.
        replace: What stands for what, by regular expression, in the body, also across the
            borders of chunks, and in the head.
        filter: Takes the body, after `replace`, and returns the one that is written.
        headers: Names of headers to keep besides.
        clock: Where the time comes from, in seconds.

    Raises:
        FileExistsError: There is such a file already, and `overwrite` is False.
        RecordingRefused: At the end of the body: it holds what looks like a secret.

    Example:
        >>> import tempfile
        >>> from tokenstream.testing import Recording
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for chunk in record([b"data: Hel\n\n", b"data: lo\n\n"], f"{folder}/answer.rec"):
        ...         pass
        ...     Recording.load(f"{folder}/answer.rec").chunks()
        [b'data: Hel\n\n', b'data: lo\n\n']
    """
    terms = Terms(
        path=Path(path),
        overwrite=overwrite,
        replacements=compiled(replace),
        filter=filter,
        headers=named_headers(headers),
        clock=clock,
        numbers=itertools.count(1),
    )
    refuse_extension(terms.path)
    if is_client(source):
        if not overwrite:
            refuse_earlier(terms)
        note_answers(source, terms)
        return source
    if not overwrite:
        refuse_existing(terms.place(1))
    notes = Notes(terms)
    if isinstance(source, Stream | AsyncStream):
        note_stream(source, notes)
        return source
    return source if note_body(source, notes) else cast("SourceT", note_loop(source, notes))
