"""Ctrl-C, the interpreter's exit, and a fork, each with a stream that is open."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest

from tests.project import ROOT
from tests.stream.blocked import PATIENCE, SILENT, TEXT, TEXTS, Opener, alone, every_opener, opened
from tests.stream.bodies import ANSWER
from tests.stream.test_closing_sync import is_left
from tests.support.loopback import LAST_CHUNK, Loopback, Script, chunked, chunked_head, http_chunk
from tests.support.raised import misuse
from tests.support.sampling import sampled
from tests.support.timing import at_rest, tried_again
from tokenstream import connect
from tokenstream.errors import StreamInterrupted

pytestmark = pytest.mark.not_quick


def press_ctrl_c() -> None:
    """Send the signal once the main thread waits, from a thread that is gone soon after."""
    at_rest(threading.main_thread())
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class Key:
    """Presses Ctrl-C in a moment when it is started."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def start(self) -> None:
        self.threads.append(threading.Thread(target=press_ctrl_c))
        self.threads[-1].start()


@pytest.fixture
def key() -> Iterator[Key]:
    key = Key()
    yield key
    for thread in key.threads:
        thread.join()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@every_opener
@tried_again
def test_ctrl_c_while_bytes_are_waited_for(opener: Opener, tls: bool, key: Key) -> None:
    tls = tls and opener is not alone
    with Loopback(SILENT["chunked"], tls=tls) as server, opened(opener, server.url) as stream:
        texts = []
        with pytest.raises(KeyboardInterrupt), stream:
            for text in stream.text:
                texts.append(text)
                if len(texts) == 2:
                    key.start()
        since = time.monotonic()

        assert texts == TEXTS
        is_left(server.connection(), since)
        assert (stream.message.text, stream.message.ending) == (TEXT, "stopped")


def test_ctrl_c_outside_a_block_never_looks_like_the_end(key: Key) -> None:
    with Loopback(SILENT["chunked"]) as server, opened(alone, server.url) as stream:
        texts = []
        with pytest.raises(KeyboardInterrupt):
            for text in stream.text:
                texts.append(text)
                if len(texts) == 2:
                    key.start()
        with pytest.raises(StreamInterrupted, match="broken off") as caught:
            list(stream.text)

        assert server.connection().closed_within(PATIENCE)
        assert caught.value.partial.text == TEXT
        assert stream.message.ending == "truncated"
        assert stream.closed


def test_ctrl_c_while_the_response_is_waited_for(key: Key) -> None:
    with Loopback([threading.Event()]) as server, opened(alone, server.url) as stream:
        key.start()
        with pytest.raises(KeyboardInterrupt):
            next(stream)
        with pytest.raises(StreamInterrupted, match="broken off"):
            next(stream)

        assert server.connection().closed_within(PATIENCE)
        assert len(server.requests) == 1


def test_ctrl_c_while_a_block_is_entered_closes(key: Key) -> None:
    """A block that was not entered is never left, so nobody else would close it."""
    with Loopback([threading.Event()]) as server:
        stream = connect(server.url)
        key.start()
        with pytest.raises(KeyboardInterrupt), stream:
            pytest.fail("it was entered")

        assert stream.closed
        assert stream.message.ending == "stopped"
        assert server.connection().closed_within(PATIENCE)
        with misuse("closed", match="before anything was read"):
            stream.final()


# -- the interpreter's exit ----------------------------------------------------------


def run(script: str, *arguments: str, expected: int = 0) -> str:
    # An exit that waits for a read that never ends lasts longer than this.
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert done.returncode == expected, done.stderr
    assert done.stderr == ""
    return done.stdout


EXITS = {
    "held by a module": """
        stream = connect(sys.argv[1])
        print(next(stream.text))
    """,
    "held by a cycle": """
        client = httpx.Client(trust_env=False)
        stream = Stream(client.send(client.build_request("POST", sys.argv[1]), stream=True))
        print(next(stream.text))
        cycle = [stream]
        cycle.append(cycle)
        gc.disable()
        del client, stream, cycle
    """,
    "read by a daemon thread": """
        stream = connect(sys.argv[1])
        came = threading.Event()
        def read():
            for text in stream.text:
                print(text)
                came.set()
        threading.Thread(target=read, daemon=True).start()
        came.wait()
    """,
    "left in with": """
        with connect(sys.argv[1]) as stream:
            print(next(stream.text))
            sys.exit()
    """,
}


@pytest.mark.slow
@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")) and sys.version_info < (3, 14),
    reason="CPython 3.13 without a GIL crashes at its exit with any httpx.Client.stream() that is open",
)
@pytest.mark.parametrize("script", sampled(list(EXITS.values()), one_in=3), ids=EXITS)
def test_an_open_stream_does_not_keep_the_interpreter_from_exiting(script: str) -> None:
    start = "import gc, sys, threading, warnings\nimport httpx\nfrom tokenstream import Stream, connect\n"
    quiet = "warnings.simplefilter('ignore', ResourceWarning)\n"
    with Loopback(SILENT["chunked"]) as server:
        printed = run(start + quiet + textwrap.dedent(script), server.url)

        assert printed.split() == ["Let"] or printed.split() == ["Let", "me"]
        assert server.connection().closed_within(PATIENCE)


@pytest.mark.slow
def test_a_stream_may_be_read_while_the_interpreter_exits() -> None:
    """No thread can be started there any more, and none is needed."""
    script = """
        import atexit, sys
        from tokenstream import connect
        stream = connect(sys.argv[1])
        next(stream)
        atexit.register(lambda: print(stream.final().text))
    """
    with Loopback(chunked(ANSWER)) as server:
        assert run(script, server.url) == "Let me see.\n"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork, which this system has not")
def test_a_child_process_that_exits_leaves_the_stream_to_its_parent() -> None:
    """What a fork has copied is closed in the child alone."""
    script = """
        import os, sys, warnings
        from tokenstream import connect
        warnings.simplefilter("ignore", DeprecationWarning)
        with connect(sys.argv[1]) as stream:
            print(next(stream.text))
            sys.stdout.flush()
            child = os.fork()
            if not child:
                sys.exit()
            assert os.waitpid(child, 0)[1] == 0
            print(stream.final().text)
    """
    script_of_server: Script = [
        chunked_head(),
        *map(http_chunk, ANSWER[:3]),
        0.1,
        *map(http_chunk, ANSWER[3:]),
        LAST_CHUNK,
    ]
    with Loopback(script_of_server) as server:
        assert run(script, server.url).split("\n") == ["Let ", "Let me see.", ""]
