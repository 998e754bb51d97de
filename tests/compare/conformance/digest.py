"""What tells one set of cases from another, so that old results are not taken for new ones."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest_of(cases: Any) -> str:
    text = json.dumps(cases, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
