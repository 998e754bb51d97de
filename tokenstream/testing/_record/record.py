"""The function `record`, which records an answer while the application reads it."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from tokenstream._basics.members import name_defaults
from tokenstream.stream import AsyncStream, Stream
from tokenstream.testing._record.bodies import note_body
from tokenstream.testing._record.clients import is_client, note_answers, refuse_earlier
from tokenstream.testing._record.filters import compile_replacements
from tokenstream.testing._record.loops import note_loop
from tokenstream.testing._record.notes import Notes, Terms
from tokenstream.testing._record.processes import is_pipe, is_process, note_pipe, note_process
from tokenstream.testing._record.streams import note_stream
from tokenstream.testing._recordings.headers import check_named_headers
from tokenstream.testing._recordings.save import refuse_existing, refuse_extension

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from tokenstream.testing._record.filters import Filter, Replacements

SourceT = TypeVar("SourceT")


@name_defaults
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

    A response, or a stream that reads a response, is returned unchanged. The bytes that the
    application reads are recorded without their content coding, in the chunks in which they
    are read, with their times.

    An httpx or httpx2 client is returned unchanged, too, and each of its answers that has a
    body is recorded. If `path` is `name.rec`, the second answer goes to `name-2.rec`; if the
    name contains `{n}`, the answer's number replaces it.

    A process is returned unchanged, too; the lines that it prints are recorded as they are read from
    its `stdout`, and its exit code once it was waited for.

    For any other source that can be iterated, entered or awaited, an object is returned that
    behaves like the source.

    The file is written, whole or not at all, when the body has ended, broken or been closed.

    Only a few headers are recorded: the content type, the request's id, and headers about retries
    and rate limits.

    Args:
        source: A response (httpx, httpx2, requests, urllib3, http.client, aiohttp); an SDK stream
            that reads a response (openai, anthropic, mistralai, boto3); a `Stream` or
            `AsyncStream`; an httpx or httpx2 client, which may be passed to an SDK (openai,
            anthropic, google-genai, cohere, mistralai); a sync or async iterable of bytes or text;
            a context manager or an awaitable that returns any of these; a process, or its output.
        path: The file. With the extension `.rec` it contains the whole recording; with that of a
            body, such as `.sse`, only the body. A missing folder is created.
        overwrite: True to replace an existing file.
        replace: Maps regular expressions to replacements, which are applied to the head and to the body,
            even across chunk boundaries; None for no replacements.
        filter: Function that takes the body, after `replace`, and returns the body to write; None to
            write it unchanged.
        headers: Names of additional headers to keep.
        clock: Source of the times, in seconds.

    Raises:
        FileExistsError: The file exists, and `overwrite` is False.
        RecordingRefused: At the end of the body, if the recording contains something that looks
            like a secret.

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
        replacements=compile_replacements(replace),
        filter=filter,
        headers=check_named_headers(headers),
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
        refuse_existing(terms.path_of(1))
    notes = Notes(terms)
    if isinstance(source, Stream | AsyncStream):
        note_stream(source, notes)
        return source
    if is_process(source):
        note_process(source, notes)
        return source
    if is_pipe(source):
        return cast("SourceT", note_pipe(source, notes))
    # A source without a response is wrapped, and its loop is recorded.
    return source if note_body(source, notes) else cast("SourceT", note_loop(source, notes))
