"""The function's source as `make vendor` builds it, in a folder of each test file's own."""

import pytest

from ragkit.app.vendor import build


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return build(tmp_path_factory.mktemp("function") / "source")
