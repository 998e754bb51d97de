"""Ask about a picture or a PDF: python picture.py FILE.

Set OPENAI_API_KEY; OPENAI_BASE_URL asks another server of the same format.
"""

import base64
import mimetypes
import os
import sys
from pathlib import Path
from typing import Any

from tokenstream import connect

BASE = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
HEADERS = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}


def part_of(path: Path) -> dict[str, Any]:
    """Return a file as a part of a question."""
    kind, _ = mimetypes.guess_type(path.name, strict=False)
    data = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    if kind == "application/pdf":
        return {"type": "file", "file": {"filename": path.name, "file_data": data}}
    return {"type": "image_url", "image_url": {"url": data}}


def describe(path: Path) -> None:
    """Print what the model sees."""
    content = [
        {"type": "text", "text": "What is this, in one sentence?"},
        part_of(path),
    ]
    ask = {
        "model": "gpt-5.5",
        "messages": [{"role": "user", "content": content}],
        "stream": True,
    }
    with connect(f"{BASE}/chat/completions", json=ask, headers=HEADERS) as stream:
        for piece in stream.text:
            print(piece, end="", flush=True)
    print()


if __name__ == "__main__":
    describe(Path(sys.argv[1]))
