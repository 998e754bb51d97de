"""Report broken answers to Sentry with their origin: host, model, request id.

Needs sentry-sdk. Set SENTRY_DSN and OPENAI_API_KEY; OPENAI_BASE_URL asks another server
of the same format.
"""

import logging
import os
import sys

import sentry_sdk
from sentry_sdk.integrations.logging import LoggingIntegration

from tokenstream import StreamError, connect

BASE = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
HEADERS = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}

sentry_sdk.init(
    # A relay logs a WARNING for a broken answer; by default, Sentry ignores those.
    integrations=[LoggingIntegration(event_level=logging.WARNING)],
    # Local variables have questions, answers and keys.
    include_local_variables=False,
)


def answer(question: str) -> str:
    """Return the whole answer; report one that breaks off, and raise its error."""
    ask = {
        "model": "gpt-5.5",
        "messages": [{"role": "user", "content": question}],
        "stream": True,
    }
    try:
        with connect(f"{BASE}/chat/completions", json=ask, headers=HEADERS) as stream:
            return stream.final().text
    except StreamError as error:
        with sentry_sdk.new_scope() as scope:
            origin = error.origin
            scope.set_tags(
                {
                    "llm.kind": error.kind,
                    "llm.host": origin.host,
                    "llm.model": origin.model,
                }
            )
            scope.capture_exception(error)
        raise


if __name__ == "__main__":
    try:
        print(answer(" ".join(sys.argv[1:]) or "Why is the sky blue?"))
    except StreamError as error:
        sys.exit(f"{error.partial.text}\n{error.message}")
