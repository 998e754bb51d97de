"""Which reader finds the one document in a text: right, refused or wrong, for ours and the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from tests.compare.benchmarks.contenders import found
from tests.compare.benchmarks.tables import Table
from tests.compare.benchmarks.texts_with_json import TEXTS, Order
from tests.compare.conformance.baml import read_by_baml
from tests.compare.conformance.packages import NodePackages, PythonPackages
from tests.compare.conformance.reader import Attempt
from tokenstream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compare.benchmarks.texts_with_json import TextWithJSON
    from tests.compare.benchmarks.timing import Plan

_NODE_FOLDER = Path("../conformance-node")
"""The folder of npm's packages, as docs/reports/conformance.md installs them."""
OURS = {"tokenstream": None, 'tokenstream, document="matching"': "matching"}
"""Our two ways to read a text that may hold several documents: the names, and the choices of a document."""


# -- the readers ---------------------------------------------------------------------


def read_by_us(case: TextWithJSON, choice: Any, size: int = 0) -> Any:
    """Return the value that our `result` has for a text, as plain data.

    Args:
        case: The text.
        choice: The document to read if there are several, or None.
        size: The length of the pieces; 0 for a single one.
    """
    step = size or len(case.text)
    pieces = [case.text[start : start + step] for start in range(0, len(case.text), step)]
    value = Stream(pieces, format="pieces").result(case.type, lenient=True, document=choice)
    return _plain(case, value)


def _plain(case: TextWithJSON, value: Any) -> Any:
    return TypeAdapter(case.type).dump_python(value)


def _json_repair(case: TextWithJSON) -> Any:
    return _plain(case, TypeAdapter(case.type).validate_python(found("json_repair").loads(case.text)))


def _instructor(case: TextWithJSON) -> Any:
    text = found("instructor.v2.core.json").extract_json_from_codeblock(case.text)
    return _plain(case, TypeAdapter(case.type).validate_json(text))


_ORDER_IN_BAML = """\
class Order {
  dish string
  count int
  notes string[]
}
"""
_KINDS_IN_BAML = {Order: "Order", list[Order]: "Order[]", list[int]: "int[]"}


def _baml(case: TextWithJSON) -> Any:
    return _plain(case, read_by_baml(case.text, _KINDS_IN_BAML[case.type], _ORDER_IN_BAML, Order=Order))


@dataclass(frozen=True)
class _InPython(PythonPackages):
    """A reader that runs in this process."""

    read: Callable[[TextWithJSON], Any] = _json_repair

    def values(self, cases: list[TextWithJSON]) -> list[Any]:
        """Return the values of all texts, as plain data; None for those that it refuses."""
        told: list[Any] = []
        for case in cases:
            value = None
            with Attempt():
                value = self.read(case)
            told.append(value)
        return told


@dataclass(frozen=True)
class _InNode(NodePackages):
    """The AI SDK, in Node."""

    def values(self, cases: list[TextWithJSON]) -> list[Any]:
        """Return the values of all texts, as plain data; None for those that it refuses."""
        jobs = [{"text": case.text, "type": "order"} for case in cases]
        script = Path(__file__).with_name("node_objects.mjs")
        told: list[Any] = self.ask_script(script, {"jobs": jobs}, timeout=60)
        return told


_OTHERS: list[_InPython | _InNode] = [
    _InPython(
        "json_repair",
        how="`json_repair.loads`",
        packages=("json_repair",),
        modules=("json_repair",),
        read=_json_repair,
    ),
    _InPython(
        "instructor",
        how="`extract_json_from_codeblock`",
        packages=("instructor",),
        modules=("instructor",),
        read=_instructor,
    ),
    _InPython("BAML", how="`parse_llm_response`", packages=("baml-py",), modules=("baml_py",), read=_baml),
    _InNode("AI SDK", how="`Output.object`", packages=("ai", "zod"), folder=_NODE_FOLDER),
]


# -- the table -----------------------------------------------------------------------


def verdict(case: TextWithJSON, value: Any) -> str:
    """Return if a value is right, or else refused or wrong; None stands for a text that was refused."""
    if value == case.value:
        return "right"
    return "refused" if value is None else "wrong"


def _row(name: str, cases: list[TextWithJSON], values: list[Any]) -> list[str]:
    told = Counter(verdict(case, value) for case, value in zip(cases, values, strict=True))
    return [name, str(len(cases)), *(str(told[word]) for word in ("right", "refused", "wrong"))]


def beside_json(plan: Plan) -> list[Table]:  # noqa: ARG001 - every section takes the plan
    """Return a table of the readers that are installed; the AI SDK is asked for objects only."""
    rows = []
    for name, choice in OURS.items():
        ours = _InPython(name, how="", packages=(), modules=(), read=partial(read_by_us, choice=choice))
        rows.append(_row(name, TEXTS, ours.values(TEXTS)))
    for other in _OTHERS:
        cases = TEXTS if isinstance(other, _InPython) else [case for case in TEXTS if case.type is Order]
        if other.installed():
            rows.append(
                _row(f"{other.name} {next(iter(other.versions().values()))}", cases, other.values(cases))
            )
    return [Table("one document among other text", ["reader", "texts", "right", "refused", "wrong"], rows)]
