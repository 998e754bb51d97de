"""A store of calls in SQLite, as an application would write it: with only the methods that are required."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from tokenstream.call_store import CallState, CallStore


class SQLiteCallStore(CallStore):
    """Remembers calls in a table of a database file."""

    def __init__(self, path: Path, *, lease: float = 600.0) -> None:
        self.lease = lease
        self.database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS calls (key PRIMARY KEY, token, status, result, until)"
        )

    def begin(self, key: str, lease: float, *, token: str, again: bool = False) -> CallState:
        with self.database:
            row = (key, token, time.time() + lease)
            self.database.execute("INSERT OR IGNORE INTO calls VALUES (?, ?, 'running', NULL, ?)", row)
            [(owner,)] = self.database.execute("SELECT token FROM calls WHERE key = ?", (key,))
        state = self.look(key)
        return CallState("new") if owner == token and state.status == "running" else state

    def look(self, key: str) -> CallState:
        for status, result, until in self.database.execute(
            "SELECT status, result, until FROM calls WHERE key = ?", (key,)
        ):
            is_over = status == "running" and until <= time.time()
            return CallState("unknown" if is_over else status, result)
        return CallState("new")

    def finish(self, key: str, result: str | None, *, token: str, failed: bool = False) -> None:
        row = ("failed" if failed else "done", result, key, token)
        self.database.execute("UPDATE calls SET status = ?, result = ? WHERE key = ? AND token = ?", row)

    def forget(self, key: str) -> bool:
        return bool(self.database.execute("DELETE FROM calls WHERE key = ?", (key,)).rowcount)
