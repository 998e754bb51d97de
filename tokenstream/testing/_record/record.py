"""The function `record`, which records an answer, those of a client, or a program's, while they are read."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakKeyDictionary

from tokenstream.stream import AsyncStream, Stream
from tokenstream.stream._tap.wrappers import response_of
from tokenstream.testing._record.filters import Filter, Replacements, compile_replacements
from tokenstream.testing._record.loops import note_httpx, note_loop, note_stream
from tokenstream.testing._record.notes import Notes, Terms
from tokenstream.testing._record.pipes import is_pipe, is_process, note_pipe, note_process
from tokenstream.testing._recordings.files import refuse_existing, refuse_extension
from tokenstream.testing._recordings.secrets import check_named_headers

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from tokenstream._basics.loose import FromHTTPX


_CLIENT_MEMBERS = ("build_request", "event_hooks", "send")


def refuse_earlier(terms: Terms) -> None:
    """Raise if the folder contains files with the names that this client's recordings will have."""
    # The first file may have no number. In the pattern of the others, a character that no file name
    # contains stands for the number.
    any_number = re.escape(terms.path_of("\0").name).replace("\0", "[0-9]+")
    own_name = re.compile(rf"{re.escape(terms.path_of(1).name)}|{any_number}")
    folder = terms.path.parent
    earlier = (
        sorted(path for path in folder.iterdir() if own_name.fullmatch(path.name)) if folder.is_dir() else []
    )
    if earlier:
        raise FileExistsError(f"there is a file {earlier[0]} already: pass overwrite=True to replace it")


def note_answers(client: FromHTTPX, terms: Terms) -> None:
    """Record every answer of a client, timed from its request, by hooks that run before the client's own."""
    started_at: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def note_request(request: object) -> None:
        started_at[request] = terms.clock()

    def note_response(response: FromHTTPX) -> None:
        # The body is read later; nothing is written if it is empty.
        note_httpx(response, Notes(terms, started_at=started_at.get(response.request), keep_empty=False))

    async def note_request_async(request: object) -> None:
        note_request(request)

    async def note_response_async(response: FromHTTPX) -> None:
        note_response(response)

    is_async = hasattr(client, "aclose")
    own_hooks = client.event_hooks
    client.event_hooks = {
        **own_hooks,
        "request": [note_request_async if is_async else note_request, *own_hooks.get("request", ())],
        "response": [note_response_async if is_async else note_response, *own_hooks.get("response", ())],
    }


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

    A `Stream`, a response of httpx or httpx2, or an SDK's stream that reads one, is returned
    unchanged. The bytes that the application reads are recorded without their content coding, in
    the chunks in which they are read, with their times. For any other response, and for what has
    to be entered or awaited, record the `Stream` around it: `record(Stream(source), path)`.

    An httpx or httpx2 client is returned unchanged, too, and each of its answers that has a
    body is recorded. If `path` is `name.rec`, the second answer goes to `name-2.rec`; if the
    name contains `{n}`, the answer's number replaces it.

    A process is returned unchanged, too; the lines that it prints are recorded as they are read from
    its `stdout`, and its exit code once it was waited for.

    For an iterable of bytes, an object is returned that behaves like it.

    The file is written, whole or not at all, when the body has ended, broken or been closed.

    Only a few headers are recorded: the content type, the request's id, and headers about retries
    and rate limits.

    Args:
        source: A `Stream` or `AsyncStream`, around any source; a response of httpx or httpx2; an
            SDK stream that reads one (openai, anthropic, mistralai); an httpx or httpx2 client,
            which may be passed to an SDK (openai, anthropic, google-genai, cohere, mistralai); a
            sync or async iterable of bytes or text; a process, or its output.
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
        RecordingInvalid: At the end of the body, if the recording contains something that looks
            like a secret.

    Example:
        >>> import tempfile
        >>> from tokenstream.testing import Recording
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for chunk in record([b"data: Hel\n\n", b"data: lo\n\n"], f"{folder}/a.rec"):
        ...         pass
        ...     Recording.load(f"{folder}/a.rec").chunks()
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
    # A client of httpx or httpx2 is recognised by its members.
    if isinstance(getattr(source, "event_hooks", None), dict) and all(
        hasattr(source, name) for name in _CLIENT_MEMBERS
    ):
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
    response = response_of(source)
    if response is not None:
        note_httpx(response, notes)
        return source
    return cast("SourceT", note_loop(source, notes))
