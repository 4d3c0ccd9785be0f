"""What batch prediction is asked, and when an embedder has it."""

import logging

import pytest

from ragkit.embedding.batch.protocol import BatchingEmbedder, digest_of
from ragkit.embedding.load import load_embedder
from ragkit.errors import ModelBusy, ModelUnavailable
from tests.stand_ins.batches import vertex
from tests.stand_ins.embeddings.service import KEY

NAME = "text-embedding-005"


@pytest.fixture
def served():
    with vertex.serving() as pair:
        yield pair


def load(live, name=NAME, folder=vertex.FOLDER, project=KEY):
    env = {"VERTEX_ENDPOINT": live.address, "GCP_PROJECT_ID": project}
    return load_embedder(name, {name: {"batch_folder": folder}}, env)


def submit(batches, tmp_path):
    lines = tmp_path / "lines.jsonl"
    lines.write_text(batches.line(digest_of("tea"), "tea"), "utf-8")
    return batches.submit("ragkit-1-1", lines)


@pytest.mark.parametrize("name", [NAME, "gemini-embedding-001", "gemini-embedding-2"])
def test_a_model_has_batches_where_their_folder_is_known(served, name):
    live, _ = served
    assert isinstance(load(live, name), BatchingEmbedder)
    assert not isinstance(load(live, name, folder=""), BatchingEmbedder)


def test_a_retired_model_has_none(served):
    assert not isinstance(load(served[0], "textembedding-gecko@001"), BatchingEmbedder)


def test_files_of_a_job_are_in_a_folder_of_its_label(served, tmp_path):
    live, jobs = served
    batches = load(live).batches
    job = submit(batches, tmp_path)
    jobs.slow = 0
    while batches.look(job).state != "ended":
        pass
    (result,) = batches.collect(job)
    assert result.id == digest_of("tea")
    assert all(uri.startswith(f"{vertex.FOLDER}/ragkit-1-1/") for uri in live.storage.files)


@pytest.mark.parametrize(
    ("fault", "reason"), [("failed", "INTERNAL"), ("full", "RESOURCE_EXHAUSTED")]
)
def test_a_job_that_failed_says_by_which_code(served, tmp_path, fault, reason):
    live, jobs = served
    jobs.faults = [fault]
    batches = load(live).batches
    job = submit(batches, tmp_path)
    while (look := batches.look(job)).state != "ended":
        pass
    assert look.reason == f"failed: {reason}"


def test_nothing_is_submitted_whose_file_is_not_there(served, tmp_path):
    live, jobs = served
    live.storage.refuse = [403]
    with pytest.raises(ModelUnavailable, match="objectUser"):
        submit(load(live).batches, tmp_path)
    assert jobs.jobs == []


def test_a_service_that_cannot_be_reached_is_busy(tmp_path):
    with vertex.serving() as (live, _):
        batches = load(live).batches
    logging.getLogger("grpc").setLevel(logging.CRITICAL)
    with pytest.raises(ModelBusy):
        batches.look(f"projects/{KEY}/locations/us-central1/batchPredictionJobs/1")
