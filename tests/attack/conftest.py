"""The real function, behind a database that can fall silent; and the figures of an attack."""

from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

import httpx
import psutil
import pytest

from ragkit.deploy.vendor import build_source
from tests.conftest import ROLE, TEXTS, make_plan, make_table
from tests.function.serve import function_variables, serve_function
from tests.stand_ins import silent


@pytest.fixture(scope="package")
def proxy(server):
    with silent.serving(server.url().query["unix_sock"]) as proxy:
        yield proxy


@pytest.fixture(scope="package")
def client(tmp_path_factory, proxy, server) -> Iterator[httpx.Client]:
    """Of the function, which has answered once."""
    name = f"attacked_{uuid4().hex}"  # the package may be left and entered again
    server.create(name, owner=ROLE)
    engine = server.engine(ROLE, name)
    make_table(engine, make_plan({"table.name": "amenities"}), TEXTS)
    engine.dispose()
    host, port = proxy.address
    source = build_source(tmp_path_factory.mktemp("attacked") / "source")
    url = f"postgresql://{ROLE}@{host}:{port}/{name}"
    with serve_function(source, **function_variables(engine, DATABASE_URL=url)) as client:
        assert client.post("/", json={"name": "tea"}).status_code == 200
        yield client


@pytest.fixture
def memory(client):
    """A function that returns the bytes that the function's processes hold."""
    port = client.base_url.port

    def measure() -> int:
        held = 0
        for process in psutil.process_iter():
            with suppress(psutil.Error):  # it has just ended
                if f"--port={port}" in process.cmdline():
                    held += process.memory_info().rss
        return held

    return measure


@pytest.fixture
def report(record_property, request):
    """Prints a figure, and puts it into the test's record."""

    def print_figure(name: str, value: str) -> None:
        record_property(name, value)
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n{name}: {value}")

    return print_figure
