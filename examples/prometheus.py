"""Count answers for Prometheus by host, ending and error, and time their first tokens.

Needs prometheus-client. Set OPENAI_API_KEY; OPENAI_BASE_URL asks another server of the
same format. Questions are lines of the standard input; the figures are at
http://localhost:9464/metrics.
"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram, start_http_server

from tokenstream import Stream, StreamError, connect

BASE = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
HEADERS = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}
ANSWERS = Counter(
    "llm_answers", "Answers by how they ended.", ["host", "ending", "kind"]
)
FIRST_TOKEN = Histogram(
    "llm_first_token_seconds", "Seconds to the first token.", ["host"]
)


@contextmanager
def counted(stream: Stream) -> Generator[Stream]:
    """Open and close a stream as its own context does, and count it when it ends."""
    kind = ""
    try:
        with stream:
            yield stream
    except StreamError as error:
        kind = error.kind
        raise
    finally:
        host = stream.origin.host or ""
        ANSWERS.labels(host, stream.message.ending, kind).inc()
        if stream.metrics.ttft is not None:
            FIRST_TOKEN.labels(host).observe(stream.metrics.ttft)


def answer(question: str) -> None:
    """Print the answer to a question."""
    ask = {
        "model": "gpt-5.5",
        "messages": [{"role": "user", "content": question}],
        "stream": True,
    }
    try:
        with counted(
            connect(f"{BASE}/chat/completions", json=ask, headers=HEADERS)
        ) as stream:
            for piece in stream.text:
                print(piece, end="", flush=True)
        print()
    except StreamError as error:
        print(f"\n[{error.message}]")


if __name__ == "__main__":
    start_http_server(9464)
    for line in sys.stdin:
        answer(line)
