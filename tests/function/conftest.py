"""The function's source as `make vendor` builds it, in a folder for each test file."""

import pytest

from ragkit.deploy.vendor import build_source


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return build_source(tmp_path_factory.mktemp("function") / "source")
