import pytest

from tests.stand_ins.gcloud import Cloud


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    """A recording gcloud on the PATH, and the Cloud Run that it changes."""
    with Cloud(tmp_path / "cloud").serving() as cloud:
        for name, value in cloud.env.items():
            monkeypatch.setenv(name, value)
        yield cloud
