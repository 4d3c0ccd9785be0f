import pytest

from ragkit.errors import ConfigError
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.rescued import questions
from ragkit.evaluation.rescued.questions import choose_questions
from tests.conftest import set_new
from tests.evaluation.rescued.conftest import PLACES


def test_judged_questions_are_taken(rescued, judged):
    unjudged = QuestionSet({**judged.texts, "q4": "tea"}, judged.qrels)
    assert choose_questions(rescued, unjudged) == judged


def test_of_many_the_same_few_are(rescued, judged, monkeypatch):
    monkeypatch.setattr(questions, "MAX_QUESTIONS", 2)
    first, second = choose_questions(rescued, judged), choose_questions(rescued, judged)
    assert first == second
    assert len(first.texts) == len(first.qrels) == 2


def test_judgements_of_another_table_are_refused(rescued):
    with pytest.raises(ConfigError, match="rows that do not exist"):
        choose_questions(rescued, QuestionSet({"q": "tea"}, {"q": {"nowhere": 1}}))


@pytest.mark.parametrize("given", [None, QuestionSet({"log-1": "tea"}, {}, counts={"log-1": 3})])
def test_without_judgements_they_are_words_of_rows(rescued, given):
    drawn = choose_questions(rescued, given)
    assert drawn.is_proxy
    assert len(drawn.texts) == len(PLACES)
    for row, question in drawn.texts.items():
        assert drawn.qrels[row] == {row: 1}
        assert set(question.split()) <= set(PLACES[int(row) - 1].lower().replace(".", "")
                                            .replace(",", "").split())  # fmt: skip


def test_a_row_that_has_its_vector_asks_nothing(rescued, new_embedder):
    set_new(rescued, new_embedder.embed_documents(PLACES[:10]))
    assert {int(row) for row in choose_questions(rescued, None).texts} == set(range(11, 61))
