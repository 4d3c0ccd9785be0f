"""Rows and questions, tokens, and every fault of a service, by each SDK."""

import threading
import time

import numpy as np
import pytest

from ragkit.embedding.embedder import MeteredEmbedder, fit_vectors, validate_vectors
from ragkit.embedding.service import embedder as service_embedder
from ragkit.errors import (
    BadVectors,
    ModelBusy,
    ModelUnavailable,
    RowRefused,
    TextTooLong,
    WrongDimension,
)
from ragkit.migration.backfill.model_calls.embed import embed_texts
from tests.stand_ins.embeddings.service import KEY


class Meter:
    """Keeps what it is told."""

    def __init__(self):
        self.estimates, self.tokens, self.refusals = [], [], 0

    def before(self, tokens):
        self.estimates.append(tokens)

    def after(self, tokens):
        self.tokens.append(tokens)

    def busy(self):
        self.refusals += 1


def test_rows_and_questions_have_vectors_of_the_same_space(served):
    model = served.load()
    vectors = model.embed_documents(["tea in the garden", "a silent room", "wool"])
    assert vectors.shape == (3, model.model.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    question = model.embed_query("tea in the garden")
    assert question.shape == (model.model.dimension,)
    assert (vectors @ question).argmax() == 0
    alone = [model.embed_documents([text])[0] for text in ("a silent room", "wool")]
    np.testing.assert_allclose(vectors[1:], alone, atol=1e-6)


def test_fewer_dimensions_are_asked_for_and_have_unit_length(served):
    model = served.load("/256")
    vectors = model.embed_documents(["tea", "wool and more"])
    assert served.service.asked[-1].dimension == 256
    assert vectors.shape == (2, 256)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    whole = served.load().embed_documents(["tea", "wool and more"])
    assert served.service.asked[-1].dimension is None
    cut = whole[:, :256] / np.linalg.norm(whole[:, :256], axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, cut, atol=1e-5)


def test_a_service_that_ignores_the_dimension_is_cut(served):
    served.service.ignores_dimension = True
    if served.case.model == "voyage-4":
        served.service.dimension = 1024
    vectors = served.load("/256").embed_documents(["tea", "wool and more"])
    assert vectors.shape == (2, 256)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_tokens_that_the_service_counted_reach_the_meter(served):
    meter = Meter()
    model = served.load()
    assert isinstance(model, MeteredEmbedder)
    metered = model.with_meter(meter)
    metered.embed_documents(["tea in the garden", "a silent room"])
    metered.embed_query("tea")
    assert len(meter.estimates) == len(meter.tokens) == 2
    if served.case.model != "gemini-embedding-2":  # the Gemini API counts for its bill only
        assert meter.tokens == list(map(served.service.tokens, served.service.asked))
    assert all(tokens > 0 for tokens in meter.tokens)


def test_a_busy_service_says_how_long_it_wants_to_be_left_alone(served):
    served.service.faults, served.service.retry_after = [429], "7"
    meter = Meter()
    with pytest.raises(ModelBusy, match="429") as error:
        served.load().with_meter(meter).embed_documents(["tea"])
    assert error.value.wait_seconds == 7
    assert meter.refusals == 1
    assert meter.tokens == []


def test_the_backfill_waits_as_long_as_the_service_says(served):
    served.service.faults, served.service.retry_after = [429], "1"
    start = time.monotonic()
    result = embed_texts(served.load(), ["tea"], patience_seconds=20)
    assert list(result.vectors) == [0]
    assert 1 <= time.monotonic() - start < 5
    assert len(served.service.asked) == 2


def test_a_wait_beyond_the_patience_is_not_begun(served):
    served.service.faults, served.service.retry_after = [429] * 9, "3600"
    start = time.monotonic()
    with pytest.raises(ModelBusy):
        embed_texts(served.load(), ["tea"], patience_seconds=20)
    assert time.monotonic() - start < 5
    assert len(served.service.asked) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "the key is wrong"), (403, "rights"), (404, "retired: choose another")],
)
def test_a_key_that_is_wrong_and_a_model_that_is_gone_are_told_apart(served, status, message):
    served.service.faults = [status]
    with pytest.raises(ModelUnavailable, match=message) as error:
        served.load().embed_documents(["tea in the garden"])
    assert not isinstance(error.value, ModelBusy)
    assert len(served.service.asked) == 1
    if status != 404:
        assert served.case.key_env in str(error.value)


def test_no_error_holds_the_key_or_a_text(served):
    """The stand-in repeats both in its errors."""
    wrong = "sk-canary-wrong"
    for status in (400, 401, 403, 404, 429, 500):
        served.service.faults = [status]
        for key in (KEY, wrong):
            with pytest.raises((ModelUnavailable, RowRefused)) as error:
                served.load(key=key).embed_documents(["a canary text"])
            said = f"{error.value!r} {error.value.__cause__!r}"
            assert "canary" not in said


def test_without_a_key_the_variable_is_named(served):
    with pytest.raises(ModelUnavailable, match=rf"{served.case.key_env}_SECRET"):
        served.load(key="")


def test_the_providers_key_is_never_sent_to_a_server_of_the_params_file(served, monkeypatch):
    """Nor by an SDK that looks into the environment itself."""
    for name in (served.case.key_env, "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, KEY)
    with pytest.raises(ModelUnavailable, match="401"):
        served.load(key_env="").embed_documents(["tea"])


def test_a_server_fault_passes(served):
    served.service.faults = [500, 503]
    result = embed_texts(served.load(), ["tea"], patience_seconds=20)
    assert list(result.vectors) == [0]


@pytest.mark.parametrize("fault", ["hang", "dribble"])
def test_a_silent_service_is_given_up(served, fault, monkeypatch):
    monkeypatch.setattr(service_embedder, "CALL_SECONDS", 0.4)
    served.service.faults = [fault]
    start = time.monotonic()
    with pytest.raises(ModelBusy, match="no answer in time"):
        served.load().embed_documents(["tea"])
    assert time.monotonic() - start < 3


def test_a_service_that_cannot_be_reached_passes(served):
    model = served.load(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ModelBusy, match="cannot be reached"):
        model.embed_documents(["tea"])


def test_fewer_vectors_than_texts_are_refused(served):
    served.service.faults = ["fewer"]
    with pytest.raises(BadVectors, match=r"\(1, \d+\), expected \(2, "):
        served.load().embed_documents(["tea", "wool"])
    served.service.faults = ["fewer"]
    with pytest.raises(BadVectors):
        served.load().embed_documents(["tea"])
    result = embed_texts(served.load(), ["tea", "wool"], patience_seconds=20)
    assert sorted(result.vectors) == [0, 1]


def test_another_dimension_stops_the_run(served):
    served.service.faults = ["shape"] * 9
    for name in ("", "/256"):
        with pytest.raises(WrongDimension):
            embed_texts(served.load(name), ["tea", "wool"], patience_seconds=20)


def test_values_that_are_no_numbers_are_refused(served):
    served.service.faults = ["nan"]
    with pytest.raises(BadVectors, match="NaN"):
        served.load().embed_documents(["tea"])


def test_a_vector_of_zeros_is_refused(served):
    """A search by cosine would never find its row."""
    for name in ("", "/256"):
        served.service.faults = ["zeros"]
        with pytest.raises(BadVectors, match=r"all 0|zeros"):
            served.load(name).embed_documents(["tea", "wool"])


def test_half_an_answer_passes(served):
    served.service.faults = ["broken"]
    with pytest.raises(ModelBusy):
        served.load().embed_documents(["tea"])


def test_a_page_in_place_of_an_answer_is_told(served):
    """Of a server whose API is elsewhere, or of a proxy."""
    served.service.faults = ["page"]
    with pytest.raises(ModelUnavailable, match="base_url") as error:
        served.load().embed_documents(["tea"])
    assert "client failed" not in str(error.value)


def test_no_key_is_sent_to_where_a_redirect_leads(served):
    with served.case.serving(key="") as other:
        served.service.faults, served.service.leads_to = ["redirect"], other.address
        if served.case.model == "voyage-4":  # its SDK follows, without the key
            served.load().embed_documents(["tea"])
        else:
            with pytest.raises(ModelUnavailable, match=r"status 307; .*base_url"):
                served.load().embed_documents(["tea"])
            assert other.asked == []
        assert not any(other.keys)


@pytest.mark.parametrize("key", ["sk-canary\nmore", "sk-canary more", "sk-\u201ccanary\u201d"])
def test_a_key_that_cannot_be_sent_is_told_before_anything_is(served, key):
    """Of two lines, or with the quotation marks of a word processor."""
    with pytest.raises(ModelUnavailable, match=f"{served.case.key_env}.*cannot be sent") as error:
        served.load(key=key)
    assert "canary" not in f"{error.value!r} {error.value.__cause__!r}"
    assert served.service.asked == []


@pytest.mark.parametrize(
    ("status", "message"), [(402, "credit"), (405, "base_url"), (404, "base_url")]
)
def test_what_helps_is_told(served, status, message):
    served.service.faults = [status]
    with pytest.raises(ModelUnavailable, match=message) as error:
        served.load().embed_documents(["tea"])
    assert "try again" not in str(error.value)


def test_a_server_without_tls_is_told(served):
    address = served.service.address.replace("http:", "https:")
    with pytest.raises(ModelUnavailable, match=r"TLS.*base_url") as error:
        served.load(base_url=f"{address}{served.case.path}").embed_documents(["tea"])
    assert not isinstance(error.value, ModelBusy)


@pytest.mark.parametrize(
    "env",
    [{"HTTPS_PROXY": "foo://user:canary@127.0.0.1:9"},
     {"HTTPS_PROXY": "socks5://user:canary@127.0.0.1:9"}, {"SSL_CERT_FILE": "/nowhere"}],
)  # fmt: skip
def test_a_client_that_cannot_be_made_says_where_to_look(served, env, monkeypatch):
    if served.case.model == "voyage-4":
        pytest.skip("its SDK looks at them when it asks")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ModelUnavailable, match=r"proxy.*SSL_CERT_FILE") as error:
        served.load()
    assert "canary" not in f"{error.value!r} {error.value.__cause__!r}"


def test_a_text_that_it_does_not_take_is_refused_and_the_others_get_vectors(served):
    result = embed_texts(served.load(), ["tea", "", "wool"], patience_seconds=20)
    assert (sorted(result.vectors), list(result.refused)) == ([0, 2], [1])
    with pytest.raises(TextTooLong):
        served.load().embed_query("")


def test_a_question_is_asked_again_within_its_deadline(served, monkeypatch):
    served.service.faults, served.service.retry_after = [429, 500], "0.3"
    assert served.load().embed_query("tea").shape == (served.load().model.dimension,)
    monkeypatch.setattr(service_embedder, "QUESTION_SECONDS", 1.0)
    served.service.faults, served.service.retry_after = [429] * 50, "60"
    start = time.monotonic()
    with pytest.raises(ModelBusy):
        served.load().embed_query("tea")
    assert time.monotonic() - start < 1


def test_requests_hold_no_more_texts_than_the_model_takes(served):
    model = served.load(max_texts=3)
    texts = [f"text {n}" for n in range(7)]
    vectors = model.embed_documents(texts)
    assert [len(asked.texts) for asked in served.service.asked] == [3, 3, 1]
    np.testing.assert_allclose(vectors[6], model.embed_documents(texts[6:])[0], atol=1e-6)


def test_threads_share_an_embedder(served):
    model, found = served.load(), {}

    def embed(n):
        found[n] = model.embed_documents([f"text {n}", "tea"])

    threads = [threading.Thread(target=embed, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(6):
        np.testing.assert_allclose(found[n], model.embed_documents([f"text {n}", "tea"]), atol=1e-6)


def test_a_vector_whose_first_dimensions_are_zero_cannot_be_cut(served):
    model = served.load("/256").model
    whole = np.zeros((1, model.whole), np.float32)
    whole[0, -1] = 1
    with pytest.raises(BadVectors, match="first dimensions are all 0"):
        fit_vectors(whole, 1, model)
    assert validate_vectors(np.ones((1, 256)), 1, model).shape == (1, 256)
