"""Ask a thousand questions, for at most $2: python batch.py questions.txt 2.00."""

import asyncio
import json
import os
import sys
from pathlib import Path

import httpx

from tokenstream import OutputIncomplete, Purse, Retry, StreamError, aconnect

URL = (
    f"{os.environ.get('OPENAI_BASE_URL', 'https://api.openai.com/v1')}/chat/completions"
)
HEADERS = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}
OPTIONS = {"model": "gpt-5-mini", "max_completion_tokens": 2_000, "stream": True}
COUNTED = {"stream_options": {"include_usage": True}}
AT_ONCE = asyncio.Semaphore(100)
LIMITS, TIMEOUT = httpx.Limits(max_connections=100), httpx.Timeout(None, connect=10)
Row = dict[str, object]


async def ask(question: str, client: httpx.AsyncClient, retry: Retry) -> Row:
    """Return the answer to a question, or the error and what had arrived before it."""
    messages = [{"role": "user", "content": question}]
    request = {**OPTIONS, **COUNTED, "messages": messages}
    stream = aconnect(URL, json=request, client=client, retry=retry)
    row: Row = {"question": question}
    try:
        async with AT_ONCE, stream:
            message = await stream.final()
    except (StreamError, OutputIncomplete) as error:
        return row | {"error": error.message, "partial": error.partial.text}
    return row | {"answer": message.text, "finish": message.finish_reason}


def read_open(questions: Path, answered: Path) -> list[str]:
    """Return the questions without an answer; drop a last one that is half written."""
    written = answered.read_bytes() if answered.exists() else b""
    rows = written[: written.rfind(b"\n") + 1]
    if rows != written:
        os.truncate(answered, len(rows))
    known = {json.loads(row)["question"] for row in rows.splitlines() if row.strip()}
    lines = questions.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and line not in known]


async def ask_all(questions: Path, most: float | None) -> None:
    """Ask the questions that have no answer yet."""
    answered = questions.with_suffix(".answers.jsonl")
    to_ask = read_open(questions, answered)
    file = questions.with_suffix(".purse")
    purse = None if most is None else Purse(most=most, file=file)
    retry = Retry(attempts=4, most=purse)
    failed = questions.with_suffix(".failures.jsonl")
    client = httpx.AsyncClient(headers=HEADERS, limits=LIMITS, timeout=TIMEOUT)
    async with client:
        with answered.open("a") as answers, failed.open("w") as failures:

            async def write(question: str) -> None:
                row = await ask(question, client, retry)
                file = failures if "error" in row else answers
                print(json.dumps(row), file=file, flush=True)

            await asyncio.gather(*map(write, to_ask))


if __name__ == "__main__":
    most = float(sys.argv[2]) if len(sys.argv) > 2 else None
    asyncio.run(ask_all(Path(sys.argv[1]), most))
