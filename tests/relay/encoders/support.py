"""Formats and providers whose encoders are tested."""

from __future__ import annotations

import pytest

from tokenstream.testing import all_formats

each_format = pytest.mark.parametrize("format", all_formats)
PROVIDERS = [format for format in all_formats if format != "tokenstream"]
"""Formats that have no word for what only our own events tell."""

each_provider = pytest.mark.parametrize("format", PROVIDERS)
