import os

import pytest

from ragkit.embedding.load import load_embedder
from ragkit.errors import ConfigError
from tests.conftest import ROOT


@pytest.mark.parametrize("path", ["os:system", "builtins:eval", "subprocess:Popen", "sys:exit"])
def test_the_standard_library_is_no_plug_in(path):
    with pytest.raises(ConfigError, match="may not be loaded from"):
        load_embedder(path)


def test_a_module_in_the_current_folder_is_not_run_unless_its_folder_is_allowed(
    tmp_path, monkeypatch
):
    source = (ROOT / "tests" / "stand_ins" / "letters.py").read_text()
    (tmp_path / "planted_model.py").write_text(f"{source}\nopen('ran', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"'planted_model' may not be loaded.*a params file is"):
        load_embedder("planted_model:Letters")
    assert not (tmp_path / "ran").exists()
    monkeypatch.setenv("RAGKIT_PLUGIN_PATH", f"/nowhere{os.pathsep}{tmp_path}")
    assert load_embedder("planted_model:Letters").model.dimension == 64
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("source", ["def :", "raise RuntimeError('sk-canary')"])
def test_a_module_that_fails_is_told_without_its_words(source, tmp_path, monkeypatch):
    (tmp_path / "failing_module.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("RAGKIT_PLUGIN_PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"failing_module:X.*(Syntax|Runtime)Error") as error:
        load_embedder("failing_module:X")
    assert "canary" not in f"{error.value!r} {error.value.__cause__!r}"
