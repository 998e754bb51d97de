"""Ask a model of OpenAI, and print its answer as it arrives.

Set OPENAI_API_KEY; OPENAI_BASE_URL asks another server of the same format.
"""

import os

from tokenstream import connect

base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}
ask = {"model": "gpt-5.5",
       "messages": [{"role": "user", "content": "Why is the sky blue?"}],
       "stream": True}

with connect(f"{base}/chat/completions", json=ask, headers=headers) as stream:
    for piece in stream.text:
        print(piece, end="", flush=True)
