"""The real Cloud SQL connector against the stand-in on loopback: TLS, certificates, errors."""

import datetime
import re
import time

import pytest
import sqlalchemy as sa

from ragkit.database.engine import engine_from_env
from ragkit.database.translate import translate_errors
from ragkit.errors import ConfigError
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from tests.conftest import ROLE, changed, make_table
from tests.database.conftest import CANARY
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins import credentials


@pytest.fixture
def cloud_engine(instance):
    engine = engine_from_env(instance.settings, refresh="lazy")
    yield engine
    engine.dispose()


def current_user(engine):
    with translate_errors("asking"), engine.connect() as connection:
        return connection.scalar(sa.text("select current_user"))


@pytest.mark.parametrize("kind", ["PUBLIC", "PRIVATE", "PSC"])
def test_each_kind_of_address_connects(instance, kind):
    instance.kinds = (kind,)
    engine = engine_from_env({**instance.settings, "IP_TYPE": kind}, refresh="lazy")
    assert current_user(engine) == ROLE
    assert instance.certificates == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("changes", "refuse", "message"),
    [
        ({"INSTANCE_CONNECTION_NAME": "acme:us-central1:other"}, None, "no such instance"),
        ({"INSTANCE_CONNECTION_NAME": "acme:europe-west1:jss"}, None, "another region"),
        ({"IP_TYPE": "PUBLIC"}, None, "has no PUBLIC address"),
        ({}, 403, "roles/cloudsql.client"),
        ({"DB_NAME": "nowhere"}, None, "no such database"),
        ({"DB_USER": "nobody knows"}, None, "may not log in"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line_and_not_retried(instance, changes, refuse, message):
    instance.refuse = refuse
    engine = engine_from_env({**instance.settings, **changes}, refresh="lazy")
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        current_user(engine)
    assert CANARY not in repr(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"INSTANCE_CONNECTION_NAME": "jss"}, "project:region:instance"),
     ({"IP_TYPE": "VPN"}, "PUBLIC, PRIVATE, PSC")],
)  # fmt: skip
def test_a_malformed_setting_is_refused_before_any_connection(instance, changes, message):
    with pytest.raises(ConfigError, match=message):
        engine_from_env({**instance.settings, **changes})


def test_iam_authentication_sends_no_password(instance):
    settings = {**instance.settings, "DB_IAM_AUTH": "true"}
    engine = engine_from_env(settings, refresh="lazy")
    assert current_user(engine) == ROLE
    assert instance.tokens == [credentials.TOKEN]
    engine.dispose()


def test_missing_credentials_are_an_error_that_says_so(instance, tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(ConfigError, match="no Google credentials here"):
        current_user(engine_from_env(instance.settings, refresh="lazy"))


def test_expired_credentials_are_an_error_that_says_so(instance, tmp_path, monkeypatch):
    """A key of a deleted service account."""
    with credentials.serving(tmp_path / "deleted.json", refuse=True) as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ConfigError, match="credentials are expired"):
            current_user(engine_from_env(instance.settings, refresh="lazy"))


def test_a_backfill_outlives_expired_certificates_and_a_restarted_proxy(
    instance, cloud_engine, engine, plan, new_embedder
):
    make_table(engine, plan, [f"Place {n} is a shop. Wool." for n in range(60)])
    instance.lifetime = datetime.timedelta(seconds=3)
    migration = Migration.open(plan, cloud_engine)
    expand(migration)
    steps = []
    for number, step in enumerate(run_backfill(migration, new_embedder)):
        steps.append(step)
        if number == 3:
            time.sleep(3.1)  # the certificate expires
            instance.drop()
    assert steps[-1].done == 60
    assert instance.certificates >= 3
    check_vectors(migration, new_embedder)


def test_a_backfill_over_a_slow_network_still_writes_several_rows_at_once(
    instance, cloud_engine, engine, plan, new_embedder
):
    make_table(engine, plan, [f"Place {n} is a shop. Wool." for n in range(100)])
    migration = Migration.open(changed(plan, {"backfill.batch_size": 50}), cloud_engine)
    expand(migration)
    instance.delay = 0.02
    cloud_engine.dispose()
    steps = list(run_backfill(migration, new_embedder))
    assert steps[-1].done == 100
    assert len(steps) < 25  # row by row it would be a hundred
