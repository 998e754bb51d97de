"""Ask Claude twice about a long text, cached the second time: python caching.py FILE.

Set ANTHROPIC_API_KEY; ANTHROPIC_BASE_URL asks another server of the same format.
"""

import os
import sys
from pathlib import Path

from tokenstream import connect

BASE = os.environ.get("ANTHROPIC_BASE_URL", "https://api.anthropic.com")
HEADERS = {
    "x-api-key": os.environ.get("ANTHROPIC_API_KEY", ""),
    "anthropic-version": "2023-06-01",
}


def ask(text: str, question: str) -> None:
    """Print an answer, and how much of the text came from the cache."""
    # The prompt up to this mark is kept for five minutes; what changes comes after it.
    system = [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]
    messages = [{"role": "user", "content": question}]
    request = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 500,
        "system": system,
        "messages": messages,
    }
    with connect(
        f"{BASE}/v1/messages", json={**request, "stream": True}, headers=HEADERS
    ) as stream:
        for piece in stream.text:
            print(piece, end="", flush=True)
    usage = stream.message.usage
    print(
        f"\n[{usage.input_tokens} new, {usage.cached_tokens} cached,"
        f" {usage.cache_write_tokens} written]"
    )


if __name__ == "__main__":
    document = Path(sys.argv[1]).read_text(encoding="utf-8")
    for question in ("What is this text about?", "Whom does it concern?"):
        ask(document, question)
