"""What all tests share: limits on time, hypothesis profiles, the asynchronous backends."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import certifi
import pytest
import trustme
from hypothesis import HealthCheck, settings

from tests.docs.server import docs_server
from tests.support.logged import logging_to
from tokenstream.testing._serve import server as _server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest_plugins = [
    "tests.support.bound",
    "tests.support.forked",
    "tests.support.hanging",
    "tests.support.leftovers",
    "tests.support.missing",
    "tests.support.products",
    "tokenstream.testing.plugin",
]

# No deadlines: the machine may be busy, and pytest-timeout bounds each test.
# By default each law is tried on a few examples, the same each time. Slow tests and .ci/run
# try it in full: on other examples each time, but for CI, where what fails fails again here.
settings.register_profile("few", deadline=None, max_examples=10, derandomize=True, print_blob=True)
settings.register_profile("quick", settings.get_profile("few"), max_examples=5)
settings.register_profile(
    "full",
    settings.get_profile("few"),
    max_examples=40,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("full"), max_examples=2_000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "few")

# Some machines ask for no bytecode, with which all that tests start would compile the library again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PROFILES = {"quick": "quick", "slow": "full", "slow or hypothesis": "full"}
"""How often laws are tried with a choice of tests."""
_SLOW_SECONDS = 900

NOT_QUICK = (
    "tests/_pipeline/test_checkpoints.py::test_the_checkpoint_of_an_error_is_before_what_the_error_closed",
    "tests/_sources/test_boto3",
    "tests/_sources/test_cohere",
    "tests/_sources/test_google_genai",
    "tests/_sources/test_huggingface_hub",
    "tests/_sources/test_mistralai",
    "tests/_sources/test_ollama",
    "tests/_sources/test_openai",
    "tests/_sources/test_realtime",
    "tests/_sources/websockets/test_closing",
    "tests/browser/",
    "tests/cli/",
    "tests/compare/",
    "tests/cookbook/",
    "tests/detection/test_labels.py::test_no_payload_is_claimed_by_two_formats",
    "tests/docs/test_departures_doc",
    "tests/docs/test_first_mistakes.py::test_what_cannot_be_sent_is_named_by_its_place",
    "tests/docs/test_markdown_page",
    "tests/docs/test_testing_examples",
    "tests/faults/test_life_cycle",
    "tests/framing/test_bounds.py::test_a_long_payload_takes_three_times_its_size_at_most",
    "tests/partial_json/test_patch.py::test_patches_lead_to_each_draft",
    "tests/properties/test_patterns",
    "tests/reasoning_tags/test_laws.py::test_sync_and_async_are_the_same_at_every_cut",
    "tests/recovery/test_overlap_laws.py::test_every_chunking_of_a_reply_is_joined_alike",
    "tests/relay/test_memory_",
    "tests/relay/test_redis",
    "tests/relay/test_shutdown",
    "tests/site/",
    "tests/stages/markdown/inline/test_laws.py::test_previews_of_recorded_answers_are_right",
    "tests/stages/markdown/test_law",
    "tests/stages/markdown/test_previews.py::test_previews_of_recorded_answers_are_right",
    "tests/stages/test_redact.py::test_patterns_of_all_kinds_keep_the_law",
    "tests/stream/responses/test_of_openai",
    "tests/stream/test_deadlines",
    "tests/stream/test_first_call",
    "tests/stream/test_interrupted",
    "tests/stream/test_read_ahead",
    "tests/stream/test_session_silence",
    "tests/stream/test_shaping.py::test_an_asynchronous_loop_is_given_in_time_what_is_held",
    "tests/terminal/test_document.py::test_recorded_answers_are_what_they_are_at_once",
    "tests/terminal/test_resize",
    "tests/test_architecture",
    "tests/testing/sessions/test_any_input",
    "tests/testing/test_pytest_entry",
    "tests/testing/test_secrets.py::test_beginnings_of_keys_without_end_are_looked_through_quickly",
    "tests/turns/test_recorded_turns.py::test_responses_gets_every_item_back_as_it_sent_it",
)
"""Tests that start programs, import SDKs, wait for clocks, read the whole package, or just take long."""


def pytest_configure(config: pytest.Config) -> None:
    """Have Ctrl-C mean what it means at a terminal, also where tests run in the background.

    A shell starts what runs there with the signal ignored, and so would the
    programs be that tests start.

    The garbage collector rests while tests are collected: all that is made then
    is kept, and looking at it again and again takes as long as making it.

    With `-m quick`, laws are tried on five examples, and in full with `-m slow`, or with all laws beside.
    """
    profile = PROFILES.get(str(config.getoption("markexpr")))
    if profile and "HYPOTHESIS_PROFILE" not in os.environ:
        settings.load_profile(profile)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m quick`, do not even import modules without a quick test."""
    if config.getoption("markexpr") != "quick" or not collection_path.is_relative_to(config.rootpath):
        return None
    path = collection_path.relative_to(config.rootpath).as_posix()
    return f"{path}/".startswith(NOT_QUICK) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark quick tests and those of the cookbook, and give slow ones their own limit.

    Quick are the first row of each test's table, and what is marked so by hand, outside of `NOT_QUICK`.
    """
    seen = set[str]()
    for item in items:
        test = item.nodeid.partition("[")[0]
        slow = item.get_closest_marker("slow") or item.get_closest_marker("browser")
        if test not in seen and not slow and not test.startswith(NOT_QUICK):
            item.add_marker(pytest.mark.quick)
            seen.add(test)
        runs_recipe = test.startswith("tests/cookbook/") and not test.startswith("tests/cookbook/test_pages")
        if runs_recipe:
            item.add_marker(pytest.mark.cookbook)
        # A program of the cookbook that a test starts imports a whole framework.
        if (slow or runs_recipe) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SLOW_SECONDS))


def pytest_collection_finish() -> None:
    """Keep the garbage collector off what lives as long as the session.

    Thousands of tests and the modules of a dozen SDKs stop the program for a second
    whenever all of it is looked at, which is longer than the deadlines that tests wait for.
    """
    gc.enable()
    gc.freeze()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each test marked `anyio` under asyncio and under trio."""
    return request.param


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have clients read one certificate authority where they would read all of the world's.

    Those take each client more time than most answers do, and no test asks
    anybody but a server on loopback, which no authority knows.
    """
    file = str(tmp_path_factory.mktemp("trusted") / "one.pem")
    trustme.CA().cert_pem.write_to_path(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", file)
        patch.setattr(certifi, "where", lambda: file)
        yield


@pytest.fixture(scope="session", autouse=True)
def hurried_servers() -> Iterator[None]:
    """Have servers notice at once that they are to stop: hundreds are started here, and none stays idle."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_server, "_ACCEPT_SECONDS", 0.002)
        yield


@pytest.fixture(scope="module", autouse=True)
def light_heap() -> Iterator[None]:
    """Have the garbage collector look only at what the tests of a module make themselves.

    What other modules have loaded and left takes it a tenth of a second each time.
    """
    yield
    # What nobody closed warns here, in the last test of its own module.
    gc.collect()
    gc.freeze()


@pytest.fixture
def docs_namespace() -> Iterator[dict[str, Any]]:
    """Names that the code in the documents may use without defining them."""
    # A page sets the level of the log.
    with docs_server() as names, logging_to(logging.NullHandler(), logging.NOTSET):
        yield names


def pytest_unconfigure() -> None:
    """Fail with the threads' tracebacks when a thread of a test keeps the process from ending."""
    faulthandler.dump_traceback_later(60, exit=True, file=2)
