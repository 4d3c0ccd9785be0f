"""The folder of Cloud Storage that a job's files are in."""

import pytest

from ragkit.embedding.batch import folder
from ragkit.embedding.batch.folder import Folder
from ragkit.embedding.catalogue import find_model
from ragkit.errors import BatchLost, ModelBusy, ModelUnavailable
from tests.stand_ins.batches import vertex


@pytest.fixture
def live():
    with vertex.serving() as (live, _):
        yield live


def open_folder(live, uri=vertex.FOLDER):
    model = find_model("text-embedding-005", {"text-embedding-005": {"batch_folder": uri}})
    return Folder(model, "p", {"VERTEX_ENDPOINT": live.address}, None)


def test_a_file_is_uploaded_listed_and_downloaded(live, tmp_path):
    (tmp_path / "in").write_text("“tea”\n", "utf-8")
    opened = open_folder(live, f"{vertex.FOLDER}/")
    for name in ("a/2.jsonl", "a/1.jsonl", "ab/1.jsonl", "a/stats"):
        assert opened.upload(tmp_path / "in", name) == f"{vertex.FOLDER}/{name}"
    found = opened.files(f"{vertex.FOLDER}/a")
    assert [blob.name for blob in found] == ["ragkit/a/1.jsonl", "ragkit/a/2.jsonl"]
    opened.download(found[0], tmp_path / "out")
    assert (tmp_path / "out").read_text("utf-8") == "“tea”\n"


def test_a_bucket_that_is_not_there_is_told_from_a_file_that_is_gone(live, tmp_path):
    (tmp_path / "in").write_text("a\n")
    with pytest.raises(ModelUnavailable, match=r"gs://other/x: there is no such bucket: set"):
        open_folder(live, "gs://other/x").upload(tmp_path / "in", "1.jsonl")
    opened = open_folder(live)
    opened.upload(tmp_path / "in", "a/1.jsonl")
    (blob,) = opened.files(f"{vertex.FOLDER}/a")
    live.storage.files.clear()
    with pytest.raises(BatchLost):
        opened.download(blob, tmp_path / "out")


def test_a_refusal_says_which_role_is_missing(live, tmp_path):
    (tmp_path / "in").write_text("a\n")
    live.storage.refuse = [403]
    with pytest.raises(ModelUnavailable, match=r"roles/storage.objectUser.* service agent") as told:
        open_folder(live).upload(tmp_path / "in", "1.jsonl")
    assert not isinstance(told.value, ModelBusy)


def test_credentials_that_do_not_work_are_told(live, tmp_path):
    (tmp_path / "in").write_text("a\n")
    live.storage.refuse = [401]
    with pytest.raises(ModelUnavailable, match="gcloud auth application-default login"):
        open_folder(live).upload(tmp_path / "in", "1.jsonl")


def test_a_storage_that_cannot_be_reached_is_busy_within_the_deadline(monkeypatch, tmp_path):
    monkeypatch.setattr(folder, "TRANSFER_SECONDS", 0.5)
    (tmp_path / "in").write_text("a\n")
    with vertex.serving() as (live, _):
        opened = open_folder(live)
    with pytest.raises(ModelBusy):
        opened.upload(tmp_path / "in", "1.jsonl")
