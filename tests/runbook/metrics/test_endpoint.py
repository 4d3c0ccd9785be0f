"""The endpoint beside a database that is silent, slow or wrong, and how it starts and ends."""

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest
import yaml

from ragkit.errors import ConfigError
from ragkit.migration.plan import Plan
from ragkit.migration.schema.expansion import expand
from ragkit.runbook.metrics import endpoint
from ragkit.runbook.metrics.endpoint import SCRAPE_SECONDS, serving
from ragkit.runbook.runbook import Runbook
from tests import commands
from tests.conftest import changed, environment, free_port


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(endpoint, "SCRAPE_SECONDS", 1.0)


def test_a_silent_database_is_down_in_time_and_nothing_old_is_told(quick, scrape, proxy, caplog):
    assert scrape()["ragkit_up",] == 1
    proxy.talking.clear()
    for _ in range(2):
        start = time.monotonic()
        assert scrape() == {("ragkit_up",): 0}
        assert time.monotonic() - start < 2
    assert caplog.text.count("no answer within 1 s") == 1
    proxy.talking.set()
    deadline = time.monotonic() + 10
    while scrape()["ragkit_up",] == 0:
        assert time.monotonic() < deadline
    assert caplog.text.count("there again") == 1


def test_many_scrapes_of_a_silent_database_open_no_connections(quick, scrape, proxy, runbook):
    scrape()
    proxy.talking.clear()
    with ThreadPoolExecutor(8) as scrapers:
        found = [scrapers.submit(scrape) for _ in range(8)]
        assert all(each.result() == {("ragkit_up",): 0} for each in found)
    assert runbook.engine.pool.checkedout() <= 1


def test_a_database_that_is_away_is_no_reason_not_to_start(runbook, tmp_path):
    url = runbook.plan.database.url.replace(str(runbook.engine.url.port), str(free_port()))
    away = Runbook(changed(runbook.plan, {"database.url": url}), tmp_path)
    with serving([away], "127.0.0.1", 0) as address:
        assert "\nragkit_up{" in httpx.get(address).text
        assert "ragkit_rows" not in httpx.get(address).text


def test_a_lock_on_the_table_is_waited_for_no_longer_than_a_scrape(scrape, engine, migration):
    with engine.begin() as connection:
        connection.exec_driver_sql('lock table "Amenities" in access exclusive mode')
        start = time.monotonic()
        assert scrape()["ragkit_up",] == 0
        assert time.monotonic() - start < SCRAPE_SECONDS
    assert scrape()["ragkit_up",] == 1


def test_wrong_settings_are_told_at_the_start(runbook, tmp_path):
    wrong = Runbook(changed(runbook.plan, {"table.name": "nothing"}), tmp_path)
    with pytest.raises(Exception, match="there is no table"), serving([wrong], "127.0.0.1", 0):
        pass


def test_a_port_that_is_taken(runbook):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = rf"metrics at 127\.0\.0\.1:{port}: .*choose another --port"
        with pytest.raises(ConfigError, match=said), serving([runbook], "127.0.0.1", port):
            pass


def test_a_scrape_changes_nothing_and_tells_no_secret(scrape, engine, runbook, monkeypatch):
    before = tables(engine)
    scrape()
    assert tables(engine) == before
    with serving([runbook], "127.0.0.1", 0) as address:
        text = httpx.get(address).text
    assert 'old_model="wordllama-256"' in text
    for secret in ("postgresql", "retrieval-service", str(runbook.engine.url.port)):
        assert secret not in text


def tables(engine):
    with engine.connect() as connection:
        query = "select relname, relnamespace from pg_class order by 1, 2"
        return list(map(tuple, connection.exec_driver_sql(query)))


def test_two_migrations_of_one_database(runbook, engine, tmp_path):
    other = changed(runbook.plan, {"new.column": "another vector"})
    second = Runbook(other, tmp_path)
    with serving([runbook, second], "127.0.0.1", 0) as address:
        text = httpx.get(address).text
    second.engine.dispose()
    for plan in (runbook.plan, other):
        assert f'ragkit_up{{migration="{plan.migration_id}"}} 1.0' in text
    assert text.count("ragkit_workers{") == 1


@pytest.fixture
def start(runbook, engine, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(yaml.safe_dump(changed_url(runbook.plan).model_dump(by_alias=True)))
    with commands.starting(tmp_path, DATABASE_URL=str(runbook.plan.database.url)) as start:
        yield partial(start, "metrics", "--params", file, "--port", "0")


def changed_url(plan: Plan) -> Plan:
    return changed(plan, {"database.url": "env"})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_stopped(start, migration, proxy, number):
    expand(migration)
    process = start()
    line = process.stderr.readline()
    address = line.split()[2].rstrip(";")
    assert 'phase="expanded"} 1.0' in httpx.get(address).text
    proxy.talking.clear()
    sent = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - sent < 2
    assert (process.returncode, said) == (0, "")


def test_without_the_extra_it_says_what_to_install(start, tmp_path):
    (tmp_path / "prometheus_client.py").write_text(
        "raise ModuleNotFoundError('none', name='prometheus_client')"
    )
    path = f"{tmp_path}:{environment()['PYTHONPATH']}"
    done = commands.run("metrics", "--params", tmp_path / "p.yaml", code=1, PYTHONPATH=path)
    assert done.stderr == (
        "ConfigError: this needs the package 'prometheus_client': in the checkout: "
        "pip install '.[metrics]'\n"
    )
