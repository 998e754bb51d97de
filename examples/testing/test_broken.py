import httpx
from app import ask_and_keep

from tokenstream import testing
from tokenstream.testing import faults


def test_what_had_come_is_shown() -> None:
    answer = testing.script().text("The capital of ", "Norway").finish()

    with httpx.Client(
        transport=testing.transport(answer, fault=faults.reset(event=3))
    ) as client:
        assert (
            ask_and_keep(client, "Capital?")
            == "The capital of Norway … (connection lost)"
        )
