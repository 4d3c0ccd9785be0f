"""The real Cloud SQL connector against the stand-in on loopback: TLS, certificates, errors."""

import datetime
import re
import time

import pytest
import sqlalchemy as sa

from ragkit.database import engine_from, plain_errors
from ragkit.errors import ConfigError, DatabaseUnavailable
from ragkit.migration import backfill, schema
from ragkit.migration.subject import Migration
from tests.conftest import ROLE, make_table
from tests.integration.test_backfill import check_vectors
from tests.stand_ins import cloud_sql, credentials, secret_manager

CANARY = "canary-password"


@pytest.fixture
def instance(database, tmp_path, monkeypatch):
    with (
        credentials.serving(tmp_path / "key.json") as env,
        cloud_sql.serving(database.query["unix_sock"]) as found,
    ):
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        found.settings |= {"DB_USER": ROLE, "DB_NAME": database.database, "DB_PASS": CANARY}
        yield found


@pytest.fixture
def cloud(instance):
    engine = engine_from(instance.settings, refresh="lazy")
    yield engine
    engine.dispose()


def ask(engine):
    with plain_errors("asking"), engine.connect() as connection:
        return connection.scalar(sa.text("select current_user"))


@pytest.mark.parametrize("kind", ["PUBLIC", "PRIVATE", "PSC"])
def test_each_kind_of_address(instance, kind):
    instance.kinds = (kind,)
    engine = engine_from({**instance.settings, "IP_TYPE": kind}, refresh="lazy")
    assert ask(engine) == ROLE
    assert instance.certificates == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("changes", "refuse", "says"),
    [
        ({"INSTANCE_CONNECTION_NAME": "acme:us-central1:other"}, None, "no such instance"),
        ({"INSTANCE_CONNECTION_NAME": "acme:europe-west1:jss"}, None, "another region"),
        ({"IP_TYPE": "PUBLIC"}, None, "no address of the kind PUBLIC"),
        ({}, 403, "roles/cloudsql.client"),
        ({"DB_NAME": "nowhere"}, None, "check DB_NAME"),
        ({"DB_USER": "nobody knows"}, None, "check DB_USER"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(instance, changes, refuse, says):
    instance.refuse = refuse
    engine = engine_from({**instance.settings, **changes}, refresh="lazy")
    with pytest.raises(DatabaseUnavailable, match=re.escape(says)) as error:
        ask(engine)
    assert CANARY not in repr(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"INSTANCE_CONNECTION_NAME": "jss"}, "project:region:instance"),
     ({"IP_TYPE": "VPN"}, "PUBLIC, PRIVATE, PSC")],
)  # fmt: skip
def test_what_can_be_seen_at_once_is_said_at_once(instance, changes, says):
    with pytest.raises(ConfigError, match=says):
        engine_from({**instance.settings, **changes})


def test_iam_authentication_sends_no_password(instance):
    settings = {**instance.settings, "DB_IAM_AUTH": "true"}
    engine = engine_from(settings, refresh="lazy")
    assert ask(engine) == ROLE
    assert instance.tokens == [credentials.TOKEN]
    engine.dispose()


def test_no_credentials(instance, tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(DatabaseUnavailable, match="no Google credentials here"):
        ask(engine_from(instance.settings, refresh="lazy"))


def test_expired_credentials(instance, tmp_path, monkeypatch):
    """A key of a service account that Google no longer knows."""
    with credentials.serving(tmp_path / "gone.json", refuse=True) as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(DatabaseUnavailable, match="credentials are expired"):
            ask(engine_from(instance.settings, refresh="lazy"))


def test_a_backfill_outlives_expired_certificates_and_a_restarted_proxy(
    instance, cloud, engine, plan, new_embedder
):
    make_table(engine, plan, [f"Place {n} is a shop. Wool." for n in range(60)])
    instance.lifetime = datetime.timedelta(seconds=3)
    migration = Migration.open(plan, cloud)
    schema.expand(migration)
    steps = []
    for number, step in enumerate(backfill.fill(migration, new_embedder)):
        steps.append(step)
        if number == 3:
            time.sleep(3.1)  # the certificate runs out, and the connections are cut
            instance.drop()
    assert steps[-1].done == 60
    assert instance.certificates >= 3
    check_vectors(migration, new_embedder)


def test_a_network_that_is_far_is_no_reason_to_write_row_by_row(
    instance, cloud, engine, plan, new_embedder
):
    make_table(engine, plan, [f"Place {n} is a shop. Wool." for n in range(100)])
    migration = Migration.open(plan.model_copy(update={"batch_size": 50}), cloud)
    schema.expand(migration)
    instance.delay = 0.02
    cloud.dispose()
    steps = list(backfill.fill(migration, new_embedder))
    assert steps[-1].done == 100
    assert len(steps) < 25  # and not a hundred


class TestSecretManager:
    NAME = "projects/acme/secrets/jss-password"

    @pytest.fixture
    def named(self, instance):
        settings = {k: v for k, v in instance.settings.items() if k != "DB_PASS"}
        with secret_manager.serving({f"{self.NAME}/versions/latest": CANARY}) as address:
            yield {**settings, "SECRET_MANAGER_ENDPOINT": address}

    def test_the_password_is_read_where_it_lies(self, named):
        engine = engine_from({**named, "DB_PASS_SECRET": self.NAME}, refresh="lazy")
        assert ask(engine) == ROLE
        engine.dispose()

    def test_a_short_name_is_one_of_the_project(self, named):
        settings = {**named, "DB_PASS_SECRET": "jss-password", "GCP_PROJECT_ID": "acme"}
        engine = engine_from(settings, refresh="lazy")
        assert ask(engine) == ROLE
        engine.dispose()

    def test_one_that_is_not_there(self, named):
        engine = engine_from({**named, "DB_PASS_SECRET": f"{self.NAME}-2"}, refresh="lazy")
        with pytest.raises(ConfigError, match="secretmanager"):
            ask(engine)

    def test_a_short_name_needs_the_project(self, named):
        engine = engine_from({**named, "DB_PASS_SECRET": "jss-password"}, refresh="lazy")
        with pytest.raises(ConfigError, match="GCP_PROJECT_ID"):
            ask(engine)
