"""What all tests share: limits on time, hypothesis profiles, the asynchronous backends."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
import trustme
from hypothesis import HealthCheck, settings

from tests.docs.server import docs_server
from tests.support.logged import logging_to
from tokenstream.testing._serve import server as _server

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

_NOT_QUICK = re.compile(r"^pytestmark = (?:\[[^\]]*?|.*)\bnot_quick\b", re.MULTILINE)


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
    """With `-m quick`, import no module that is marked `not_quick`, nor a folder by its conftest."""
    path = collection_path / "conftest.py" if collection_path.is_dir() else collection_path
    if config.getoption("markexpr") != "quick" or path.suffix != ".py" or not path.is_file():
        return None
    return bool(_NOT_QUICK.search(path.read_text(encoding="utf-8"))) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark quick tests and those of the cookbook, and give slow ones their own limit.

    Quick are the first row of each test's table, and what is marked so by hand, unless it is `not_quick`.
    """
    seen = set[str]()
    for item in items:
        test = item.nodeid.partition("[")[0]
        slow = item.get_closest_marker("slow") or item.get_closest_marker("browser")
        if test not in seen and not slow and not item.get_closest_marker("not_quick"):
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
