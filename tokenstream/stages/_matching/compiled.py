"""Types of compiled patterns and matches, of `re` or of `regex`; only type checkers import this module."""

from __future__ import annotations

import re
from typing import TypeAlias

import regex

AnyPattern: TypeAlias = re.Pattern[str] | regex.Pattern[str]
AnyMatch: TypeAlias = re.Match[str] | regex.Match[str]
