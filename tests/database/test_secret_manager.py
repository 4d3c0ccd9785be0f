import pytest
import sqlalchemy as sa

from ragkit.database.engine import engine_from_env
from ragkit.database.translate import translate_errors
from ragkit.errors import ConfigError
from tests.conftest import ROLE
from tests.database.conftest import CANARY
from tests.stand_ins import secret_manager

SECRET = "projects/acme/secrets/jss-password"


@pytest.fixture
def settings(instance):
    """Without a password, which is in Secret Manager."""
    without_password = {k: v for k, v in instance.settings.items() if k != "DB_PASS"}
    with secret_manager.serving({f"{SECRET}/versions/latest": CANARY}) as address:
        yield {**without_password, "SECRET_MANAGER_ENDPOINT": address}


def current_user(settings):
    engine = engine_from_env(settings, refresh="lazy")
    try:
        with translate_errors("asking"), engine.connect() as connection:
            return connection.scalar(sa.text("select current_user"))
    finally:
        engine.dispose()


def test_the_password_is_read_from_secret_manager(settings):
    assert current_user({**settings, "DB_PASS_SECRET": SECRET}) == ROLE


def test_a_short_secret_name_belongs_to_the_project(settings):
    named = {**settings, "DB_PASS_SECRET": "jss-password", "GCP_PROJECT_ID": "acme"}
    assert current_user(named) == ROLE


def test_a_secret_that_does_not_exist_is_a_configuration_error(settings):
    with pytest.raises(ConfigError, match="secretmanager"):
        current_user({**settings, "DB_PASS_SECRET": f"{SECRET}-2"})


def test_a_short_secret_name_without_a_project_is_a_configuration_error(settings):
    with pytest.raises(ConfigError, match="GCP_PROJECT_ID"):
        current_user({**settings, "DB_PASS_SECRET": "jss-password"})
