from collections.abc import Callable

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.index.recall import IndexMeasurement
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.evaluation.questions import QuestionSet
from ragkit.migration.verdict import Gate, Verdict
from tests.evaluation.example_evidence import make_comparison

ROWS = [str(n) for n in range(12)]
QUESTIONS = QuestionSet(
    texts={"q1": "tea <b>", "q2": "nap", "q3": "ski"}, qrels={"q1": {"0": 3}, "q2": {"1": 2}}
)


@pytest.fixture(autouse=True, scope="session")
def shell():
    """Without a shell, display() only prints."""
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.fixture
def shown() -> Callable[..., tuple[str, str]]:
    """A function that calls another one, and returns the HTML and the text that it displays."""

    def capture(call, *arguments) -> tuple[str, str]:
        with capture_output() as captured:
            call(*arguments)
        assert "Traceback" not in captured.stderr  # an output that fails is only printed
        data = [output.data for output in captured.outputs]
        html = " ".join(d.get("text/html", "") for d in data)
        return html, " ".join(d.get("text/plain", "") for d in data) + captured.stdout

    return capture


@pytest.fixture
def comparison() -> Comparison:
    """q1 loses its row, q2 finds it, q3 has no judgement."""
    old = {"q1": ROWS[:10], "q2": ROWS[2:12], "q3": ROWS[:10]}
    new = {"q1": ROWS[2:12], "q2": ROWS[:10], "q3": ROWS[1:11]}
    return make_comparison(QUESTIONS, old, new)


@pytest.fixture
def verdict() -> Verdict:
    gates = [Gate("a", "1", "≥ 1", True), Gate("b", "0", "≥ 1", False), Gate("c", "?", "≥ 1", None)]
    return Verdict.of(gates, {})


@pytest.fixture
def measurements() -> list[IndexMeasurement]:
    """The old column without an index, the new one with HNSW."""
    exact = Interval(1.0, 1.0, 1.0)
    rows, questions = {"n": 50, "queries": "rows"}, {"n": 300, "queries": "questions"}
    return [
        IndexMeasurement("old", "a", "exact", True, exact, p50_ms=30.0, p95_ms=40.0, **rows),
        IndexMeasurement("new", "b", "exact", False, exact, p50_ms=50.0, p95_ms=60.0, **questions),
        IndexMeasurement(
            "new", "b", "hnsw.ef_search = 10", False,
            recall=Interval(0.8, 0.7, 0.9), p50_ms=1.0, p95_ms=2.0, **questions,
        ),
        IndexMeasurement(
            "new", "b", "hnsw.ef_search = 40", True,
            recall=Interval(0.95, 0.9, 1.0), p50_ms=2.0, p95_ms=3.0, **questions,
        ),
    ]  # fmt: skip
