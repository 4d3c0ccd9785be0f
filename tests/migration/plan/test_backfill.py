import pytest

from ragkit.errors import PlanError
from ragkit.migration.plan.backfill import BackfillSection
from tests.plans import make_plan

SCHEDULER = "tcp://10.0.0.5:8786"
BATCH = {"mode": "batch"}


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"engine": "dask"}, "engine: dask needs backfill.address, such as tcp://"),
        ({"address": SCHEDULER}, "address is a Dask scheduler's: set backfill.engine: dask"),
        ({"engine": "dask", "address": "10.0.0.5:8786"}, "address"),
        ({"engine": "dask", "address": "tcp://user:word@10.0.0.5"}, "address"),
        ({"engine": "spark"}, "engine"),
        ({"workers": -1}, "workers"),
        ({**BATCH, "workers": 2}, "mode: batch needs no workers"),
        ({**BATCH, "engine": "dask", "address": SCHEDULER}, "mode: batch needs no workers"),
        ({"window": "22-6"}, "window"),
    ],
)
def test_what_does_not_fit_together_is_a_fault(values, fault):
    sections = {**make_plan().model_dump(by_alias=True), "backfill": values}
    with pytest.raises(PlanError, match=fault):
        type(make_plan()).of(sections)


@pytest.mark.parametrize(
    "values", [{}, {"workers": 4}, {"engine": "dask", "address": SCHEDULER, "workers": 3}]
)
def test_the_ways_to_fill(values):
    section = BackfillSection(**values)
    assert section.model_dump(exclude_unset=True) == values
