"""A word of the operator counts for one step."""

import pytest

from ragkit.errors import DeployError
from ragkit.migration import phases
from ragkit.migration.serving.confirmation import require_confirmation, serving_model
from tests.conftest import NEW, OLD, with_plan


def said(migration, text):
    return with_plan(migration, {"app.target": "none", "app.confirmed": text})


def test_the_ledger_says_what_serves(filled):
    assert serving_model(filled) == OLD
    filled.record(phases.CUT_OVER)
    assert serving_model(filled) == NEW
    filled.record(phases.ROLLED_BACK)
    assert serving_model(filled) == OLD


def test_a_text_counts_once(filled):
    with pytest.raises(DeployError, match=r'none: do it by hand, .*app\.confirmed="who did it'):
        require_confirmation(said(filled, ""), "do it")
    assert require_confirmation(said(filled, "Ana, 14:00"), "do it") == "Ana, 14:00"
    filled.record(phases.CUT_OVER, confirmed="Ana, 14:00")
    with pytest.raises(
        DeployError, match=r"was recorded at .* for 'cut over': do it by hand, then"
    ):
        require_confirmation(said(filled, "Ana, 14:00"), "do it")
    assert require_confirmation(said(filled, "Ana, 15:00"), "do it") == "Ana, 15:00"
