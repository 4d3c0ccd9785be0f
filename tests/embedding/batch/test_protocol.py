"""Each provider's batch API, as ragkit uses it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ragkit.embedding.batch.protocol import BatchingEmbedder, digest_of
from ragkit.embedding.embedder import fit_vectors
from ragkit.errors import BatchLost, ModelBusy, ModelUnavailable

TEXTS = {digest_of(text): text for text in (f"Place {n}: “wool” and\nmaps." for n in range(7))}


@pytest.fixture
def now():
    return datetime.now(UTC) - timedelta(minutes=1)


def submit(batches, tmp_path, label="ragkit-1-1"):
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(batches.line(id, text) for id, text in TEXTS.items()), "utf-8")
    return batches.submit(label, lines)


def ended(batches, job):
    while (look := batches.look(job)).state != "ended":
        pass
    return look


@pytest.mark.parametrize("dimension", ["", "/256"])
def test_a_job_answers_the_vectors_of_the_live_api(served, tmp_path, dimension):
    embedder = served.load(dimension)
    assert isinstance(embedder, BatchingEmbedder)
    job = submit(embedder.batches, tmp_path)
    assert embedder.batches.look(job).state == "running"
    assert ended(embedder.batches, job).reason == ""
    answers = {result.id: result for result in embedder.batches.collect(job)}
    live = embedder.embed_documents(list(TEXTS.values()))
    assert answers.keys() == TEXTS.keys()
    for vector, id in zip(live, TEXTS, strict=True):
        made = fit_vectors([answers[id].vector], 1, embedder.model)[0]
        np.testing.assert_allclose(made / np.linalg.norm(made), vector, atol=1e-6)
        assert answers[id].tokens > 0


def test_a_job_is_found_by_its_label_also_on_a_later_page(served, tmp_path, now):
    batches = served.load().batches
    jobs = [submit(batches, tmp_path, f"ragkit-{n}-1") for n in range(4)]
    assert [batches.find(f"ragkit-{n}-1", now) for n in range(4)] == jobs
    assert batches.find("ragkit-5-1", now) is None


@pytest.mark.parametrize(
    ("fault", "reason", "answers"),
    [("failed", "failed", 0), ("full", "failed", 0), ("expired", "expired", 3),
     ("cancelled", "cancelled", 3)],
)  # fmt: skip
def test_what_did_not_end_well_says_so_and_gives_what_it_has(
    served, tmp_path, fault, reason, answers
):
    served.jobs.faults = [fault]
    batches = served.load().batches
    job = submit(batches, tmp_path)
    look = ended(batches, job)
    assert look.reason.startswith(reason)
    # the Gemini API says it with a 429, when the job is submitted
    assert look.is_full is (fault == "full" and served.case.key_env != "GEMINI_API_KEY")
    assert sum(result.vector is not None for result in batches.collect(job)) == answers


@pytest.mark.parametrize(("fault", "refused"), [("partial", False), ("refused", True)])
def test_a_text_without_a_vector_is_told_from_one_that_is_refused(served, tmp_path, fault, refused):
    served.jobs.faults = [fault]
    batches = served.load().batches
    job = submit(batches, tmp_path)
    ended(batches, job)
    failed = [result for result in batches.collect(job) if result.vector is None]
    assert [result.is_refused for result in failed] == [refused, refused]
    assert all(result.error for result in failed)


def test_what_is_lost_is_told_from_what_passes(served, tmp_path):
    served.jobs.faults = ["lost", "lost file", "broken"]
    batches = served.load().batches
    lost, no_file, broken = (submit(batches, tmp_path) for _ in range(3))
    with pytest.raises(BatchLost):
        batches.look(lost)
    ended(batches, no_file)
    with pytest.raises(BatchLost):
        list(batches.collect(no_file))
    ended(batches, broken)
    with pytest.raises(ModelBusy, match="broke off"):
        list(batches.collect(broken))
    assert len(list(batches.collect(broken))) == len(TEXTS)


def test_a_wrong_key_is_neither_busy_nor_lost(served, tmp_path, now):
    batches = served.load(key="wrong-key").batches
    for call in (
        lambda: submit(batches, tmp_path), lambda: batches.find("x", now),
        lambda: batches.look(served.case.job),
    ):  # fmt: skip
        with pytest.raises(ModelUnavailable) as error:
            call()
        assert not isinstance(error.value, ModelBusy)
        assert "wrong-key" not in str(error.value)
        assert served.case.key_env in str(error.value)
