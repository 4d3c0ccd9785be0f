import pytest

from ragkit.evaluation.questions import QuestionSet
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.service import find_plan, start_rescue
from tests.conftest import changed, embedder_of, make_table

PLACES = [
    f"{name} is a place. {what} near gate {gate}, open {when}."
    for gate, (name, what, when) in enumerate(
        (f"{colour} {kind}", f"{goods} and {more}", hours)
        for colour in ("Amber", "Crimson", "Indigo", "Olive", "Scarlet")
        for kind, goods, more in (
            ("Harbour", "grilled fish", "chips"),
            ("Quill", "pens", "paper"),
            ("Loom", "wool jumpers", "scarves"),
            ("Orchard", "apples", "juice"),
            ("Lantern", "lamps", "candles"),
            ("Anvil", "tools", "nails"),
        )
        for hours in ("mornings", "late")
    )
]


@pytest.fixture
def new_embedder():
    return embedder_of("wordllama-64")


@pytest.fixture
def rescued(engine, plan, new_embedder) -> Migration:
    """Sixty rows, without a new vector, whose contract has a rescue."""
    plan = changed(plan, {"new.model": "wordllama-64", "evaluation.k": 10, "rescue.rerank": 20})
    make_table(engine, plan, PLACES)
    migration = Migration.open(plan, engine)
    start_rescue(migration, new_embedder)
    return migration


@pytest.fixture
def rescue_plan(rescued):
    return find_plan(rescued)


@pytest.fixture
def judged() -> QuestionSet:
    """Each word is in the rows that are right, and in no other."""
    texts = {"q1": "jumpers", "q2": "candles", "q3": "fish"}
    qrels = {
        name: {str(n): 1 for n, text in enumerate(PLACES, 1) if word in text}
        for name, word in texts.items()
    }
    return QuestionSet(texts, qrels)
