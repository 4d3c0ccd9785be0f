import pytest

from tests.conftest import ROLE
from tests.stand_ins import cloud_sql, credentials

CANARY = "canary-password"


@pytest.fixture
def instance(database, tmp_path, monkeypatch):
    """A Cloud SQL instance in front of the test's database, with credentials for it."""
    with (
        credentials.serving(tmp_path / "key.json") as env,
        cloud_sql.serving(database.query["unix_sock"]) as instance,
    ):
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        instance.settings |= {"DB_USER": ROLE, "DB_NAME": database.database, "DB_PASS": CANARY}
        yield instance
