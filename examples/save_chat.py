"""Keep a conversation in SQLite: run it again, and the model knows what was said.

Set OPENAI_API_KEY; OPENAI_BASE_URL asks another server of the same format.
"""

import json
import os
import sqlite3
import sys

from tokenstream import StreamError, connect

base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}
question = {
    "role": "user",
    "content": " ".join(sys.argv[1:]) or "What did I ask you before?",
}

database = sqlite3.connect("chat.db")
database.execute("CREATE TABLE IF NOT EXISTS turns (id INTEGER PRIMARY KEY, turn TEXT)")
turns = [
    json.loads(turn)
    for (turn,) in database.execute("SELECT turn FROM turns ORDER BY id")
]

ask = {"model": "gpt-5.5", "messages": [*turns, question], "stream": True}
stream = connect(f"{base}/chat/completions", json=ask, headers=headers)
try:
    with stream:
        for piece in stream.text:
            print(piece, end="", flush=True)
except StreamError as error:
    print(f"\n[{error.message}]")
if stream.message.text:  # half an answer is kept, too
    said = [question, stream.message.to_openai_chat(drop="incomplete")]
    database.executemany(
        "INSERT INTO turns (turn) VALUES (?)", [[json.dumps(turn)] for turn in said]
    )
    database.commit()
database.close()
