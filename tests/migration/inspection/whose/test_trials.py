import numpy as np
import pytest

from ragkit.errors import ModelBusy
from ragkit.migration.inspection.whose.candidates import Way, own_way
from ragkit.migration.inspection.whose.trials import try_first, try_way
from ragkit.migration.inspection.whose.vector_sample import VectorSample
from tests.conftest import TEXTS


@pytest.fixture
def sample(new_embedder):
    names = [text.partition(" is a ")[0] for text in TEXTS]
    texts = {"content": list(TEXTS), "name": names}
    return VectorSample(list("abcdef"), texts, new_embedder.embed_documents(TEXTS))


@pytest.fixture
def asked(new_embedder):
    """A way that keeps the texts of each call."""
    calls: list[list[str]] = []

    def embed(texts):
        calls.append(list(texts))
        return own_way(new_embedder).embed(texts)

    return Way("model", "", embed), calls


def test_all_templates_are_tried_in_one_call(sample, asked):
    way, calls = asked
    trials = {t.explanation.template: t for t in try_way(way, sample, sample.texts)}
    assert len(calls) == 1
    assert trials["content"].explanation.share == 1.0
    assert trials["content"].explanation.is_enough
    assert trials["name"].explanation.share < 1.0
    assert trials["content"].is_explained.all()


def test_blank_texts_are_not_sent_and_explain_nothing(sample, asked):
    way, calls = asked
    blank = {"content": ["", " ", *TEXTS[2:]]}
    (trial,) = try_way(way, sample, blank)
    assert calls == [TEXTS[2:]]
    assert trial.is_explained.tolist() == [False, False, True, True, True, True]


def test_what_explains_none_of_the_first_rows_is_not_sent_in_full(sample, asked):
    way, calls = asked
    wrong = {"wrong": ["nothing of the kind"] * 6}
    assert list(try_first(way, sample, wrong)) == []
    assert [len(call) for call in calls] == [3]
    assert [t.explanation.share for t in try_first(way, sample, {"content": list(TEXTS)})] == [1.0]


def test_a_model_that_does_not_answer_explains_nothing(sample):
    def busy(texts):
        raise ModelBusy("busy")

    assert list(try_way(Way("model", "", busy), sample, sample.texts)) == []


@pytest.mark.parametrize(
    ("change", "form"),
    [
        (lambda v: v, "as they are"),
        (lambda v: np.pad(v, ((0, 0), (0, 6))), "padded to 70 dimensions"),
        (lambda v: v[:, :40], "cut to 40 dimensions"),
        (lambda v: v[:, :60] / np.linalg.norm(v[:, :60], axis=1, keepdims=True),
         "cut to 60 dimensions, normalised to length 1"),
    ],
)  # fmt: skip
def test_what_was_done_to_the_vectors_is_said(sample, asked, change, form):
    stored = VectorSample(sample.keys, sample.texts, change(sample.vectors))
    trials = list(try_way(asked[0], stored, {"content": list(TEXTS)}))
    assert (trials[0].explanation.form, trials[0].explanation.share) == (form, 1.0)
