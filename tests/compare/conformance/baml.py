"""BAML's parser, which is asked without a model."""

from __future__ import annotations

import types
from functools import cache
from typing import Any

from tests.compare.conformance.reader import found

_CLIENT = """\
client<llm> Nobody {
  provider openai
  options {
    model "none"
    api_key "none"
  }
}
"""


def read_by_baml(text: str, kind: str, declarations: str, **classes: type) -> Any:
    """Return the value that BAML finds in a text.

    Args:
        text: The text.
        kind: The type of the value, in BAML's words.
        declarations: The declarations of the types that `kind` names.
        **classes: The classes of the values, by their names in BAML.
    """
    runtime, made = _runtime(kind, declarations), types.ModuleType("classes")
    vars(made).update(classes)
    context = runtime.create_context_manager()
    return runtime.parse_llm_response("Read", text, made, made, made, False, context, None, None, {})


@cache
def _runtime(kind: str, declarations: str) -> Any:
    function = f'function Read() -> {kind} {{\n  client Nobody\n  prompt #"none"#\n}}\n'
    source = {"main.baml": _CLIENT + declarations + function}
    return found("baml_py").BamlRuntime.from_files("baml_src", source, {})
