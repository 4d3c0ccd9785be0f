import pytest

from ragkit import checkout
from ragkit.checkout import child_path, find_root, require_checkout
from ragkit.errors import ConfigError
from tests.conftest import ROOT


def make_checkout(folder):
    (folder / "notebooks").mkdir(parents=True)
    (folder / "notebooks" / "01_inspect.ipynb").touch()
    return folder


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The package outside of a checkout, as pip installs it."""
    monkeypatch.setattr(checkout, "PACKAGE", tmp_path / "site-packages" / "ragkit")


def test_the_checkout_of_the_package_comes_first(tmp_path):
    assert find_root(make_checkout(tmp_path / "other")) == ROOT


def test_an_installed_package_finds_the_nearest_checkout_above(tmp_path, installed):
    make_checkout(tmp_path / "outer")
    inner = make_checkout(tmp_path / "outer" / "inner")
    start = inner / "notebooks" / "deep"
    start.mkdir()
    assert find_root(start) == inner
    assert find_root(inner) == inner


def test_somebody_elses_notebooks_are_no_checkout(tmp_path, installed):
    outer = make_checkout(tmp_path / "outer")
    (outer / "inner" / "notebooks").mkdir(parents=True)
    (outer / "inner" / "params").mkdir()
    assert find_root(outer / "inner") == outer


def test_without_a_checkout_the_start_is_the_root(tmp_path, installed):
    assert find_root(tmp_path) == tmp_path


def test_notebooks_need_a_checkout(tmp_path, monkeypatch):
    require_checkout()
    monkeypatch.setattr(checkout, "ROOT", tmp_path)
    with pytest.raises(ConfigError, match="is no checkout"):
        require_checkout()


def test_a_child_process_keeps_ones_own_python_path():
    assert child_path({}) == str(ROOT)
    assert child_path({"PYTHONPATH": "/mine:/other"}) == f"{ROOT}:/mine:/other"
