import pytest

from ragkit.errors import SandboxError
from ragkit.sandbox.folders import Folders


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SandboxError, match="cannot write"):
        Folders.at(tmp_path / "file" / "home")
