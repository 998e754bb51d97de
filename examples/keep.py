"""Print an answer as it arrives; if the connection breaks, say why, and what is kept.

Set OPENAI_API_KEY; OPENAI_BASE_URL asks another server of the same format.
"""

import os

from tokenstream import StreamError, connect

base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}
question = {"role": "user", "content": "Why is the sky blue?"}
request = {"model": "gpt-5.5", "messages": [question], "stream": True}

try:
    with connect(f"{base}/chat/completions", json=request, headers=headers) as stream:
        for piece in stream.text:
            print(piece, end="", flush=True)
    print(f"\n{stream.message.ending}")
except StreamError as error:
    print(
        f"\n{error.message}\n"
        f"kept: {len(error.partial.text)} characters; retryable: {error.retryable}"
    )
