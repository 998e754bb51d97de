"""OpenTelemetry metrics and spans for answers, with the names of the GenAI conventions.

Importing this module does not import OpenTelemetry; the extra `otel` installs the API.
"""

from __future__ import annotations

from tokenstream.otel._observe import observe

__all__ = ["observe"]
