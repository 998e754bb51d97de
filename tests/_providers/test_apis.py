"""The records of the APIs: their names are those of the type checkers, and they load nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest

from tests.support import encoders, registry
from tests.support.tables import in_one_test
from tokenstream import Message
from tokenstream._providers.apis import ScriptFormat, all_apis, api_named
from tokenstream.formats import FormatName
from tokenstream.relay import ProtocolName
from tokenstream.turns import ToolResults


def test_the_names_are_those_that_type_checkers_know() -> None:
    """`format=`, a relay's protocol, and the format of a script."""
    assert {*get_args(FormatName)} == {api.name for api in all_apis() if api.takes_name}
    assert 13 == len(get_args(ProtocolName))
    scripted = {name for names in get_args(ScriptFormat) for name in get_args(names)}
    assert {api.name for api in all_apis() if api.writer is not None} == scripted
    assert len(all_apis()) == len({api.name for api in all_apis()})


@in_one_test("api", all_apis(), ids=lambda api: api.name)
def test_what_a_record_names_exists(api: object) -> None:
    record = api_named(getattr(api, "name", ""))
    assert record is api
    assert record is not None
    read_with = record.name if record.reader is not None else record.dialect_of
    if read_with is not None:
        assert read_with == registry.load(read_with).name
    if record.writer is not None:
        assert encoders.load(record.name).__module__.startswith("tokenstream.relay._encoders.")
    if record.turn is not None:
        assert callable(getattr(Message, record.turn))
        assert callable(getattr(ToolResults, record.turn))


@pytest.mark.slow
def test_the_records_load_no_reader_and_no_writer() -> None:
    """The records are read at every import of the package, the modules of an API once it is used."""
    program = (
        "import sys, tokenstream._providers.apis; "
        "print(*[m for m in sys.modules if m.startswith('tokenstream')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    loaded = set(done.stdout.split())
    assert not [name for name in loaded if "_wire" in name or "_encoders" in name]
