import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ragkit.errors import BadVectors, ContractError, DamagedContract, WrongDimension
from ragkit.retrieval.rescue.candidates.bridge import VERSION, Bridge

numbers = st.floats(-1e6, 1e6, width=32)
large_numbers = st.floats(-(2.0**100), 2.0**100, width=32)
shapes = st.tuples(st.integers(1, 6), st.integers(1, 6))
bridges = st.builds(
    Bridge,
    st.text(max_size=12),
    st.integers(0, 10**6),
    shapes.flatmap(lambda shape: arrays(np.float32, shape, elements=numbers)),
)
SMALL = Bridge("ridge 0.1", 120, np.arange(6, dtype=np.float32).reshape(2, 3))


def signed(header: dict, numbers: bytes) -> bytes:
    """With a right checksum, whatever it says."""
    body = json.dumps(header).encode() + b"\n" + numbers
    return body + hashlib.sha256(body).digest()


@given(bridges)
def test_what_was_stored_is_read(bridge):
    read = Bridge.from_bytes(bridge.to_bytes())
    assert (read.method, read.pairs) == (bridge.method, bridge.pairs)
    assert read.matrix.dtype == np.float32
    np.testing.assert_array_equal(read.matrix, bridge.matrix)


@given(bridges, st.data())
@settings(max_examples=300)
def test_any_changed_byte_is_refused(bridge, data):
    stored = bytearray(bridge.to_bytes())
    place = data.draw(st.integers(0, len(stored) - 1))
    stored[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedContract, match="checksum"):
        Bridge.from_bytes(bytes(stored))


@given(st.integers(0, len(SMALL.to_bytes()) - 1))
def test_a_cut_one_is_refused(length):
    with pytest.raises(
        DamagedContract, match=rf"{length} bytes.*checksum|checksum.*{length} bytes"
    ):
        Bridge.from_bytes(SMALL.to_bytes()[:length])


def test_another_version_is_refused_by_its_number():
    header = {"version": VERSION + 1, "method": "m", "pairs": 1, "shape": [1, 1]}
    with pytest.raises(DamagedContract, match=rf"version {VERSION + 1}, expected {VERSION}"):
        Bridge.from_bytes(signed(header, bytes(4)))


@pytest.mark.parametrize(
    ("change", "numbers"),
    [
        ({"shape": [2, 1]}, bytes(4)),
        ({"shape": [4]}, bytes(16)),
        ({"shape": "wide"}, bytes(4)),
        ({"pairs": None}, bytes(4)),
        ({}, bytes(5)),
        ({}, np.array([np.nan], np.float32).tobytes()),
    ],
)
def test_a_header_that_does_not_fit_is_refused(change, numbers):
    header = {"version": VERSION, "method": "m", "pairs": 1, "shape": [1, 1]}
    Bridge.from_bytes(signed(header, bytes(4)))
    with pytest.raises(DamagedContract, match="fit it again"):
        Bridge.from_bytes(signed(header | change, numbers))


@pytest.mark.parametrize("body", [b"", b"[]\n", b"no json\n", b"7\n", b"{}\n", b"\xff\n"])
def test_what_is_no_bridge_is_refused(body):
    with pytest.raises(DamagedContract):
        Bridge.from_bytes(body + hashlib.sha256(body).digest())


def test_it_is_an_error_of_the_contract():
    assert issubclass(DamagedContract, ContractError)


@given(arrays(np.float32, 5, elements=large_numbers), st.integers(1, 7))
def test_a_question_becomes_a_unit_vector_of_the_old_dimension(vector, dimension):
    matrix = np.random.default_rng(0).normal(size=(5, dimension)).astype(np.float32)
    bridge = Bridge("procrustes", 30, matrix)
    if not vector.any():
        with pytest.raises(BadVectors, match="0 or not finite"):
            bridge.to_old(vector)
        return
    mapped = bridge.to_old(vector)
    assert (mapped.shape, mapped.dtype) == ((dimension,), np.float32)
    assert np.linalg.norm(mapped) == pytest.approx(1, abs=1e-5)
    expected = vector.astype(float) @ matrix
    assert mapped @ expected == pytest.approx(np.linalg.norm(expected), rel=1e-4)


def test_a_vector_that_is_mapped_to_nothing_is_refused():
    bridge = Bridge("procrustes", 30, np.array([[1, 0], [0, 0]], np.float32))
    with pytest.raises(BadVectors, match="0 in the old space"):
        bridge.to_old(np.array([0, 1], np.float32))
    with pytest.raises(BadVectors, match="not finite"):
        bridge.to_old(np.array([np.nan, 1], np.float32))


def test_a_vector_of_another_dimension_is_refused():
    with pytest.raises(WrongDimension, match=r"shape \(2,\), got \(3,\)"):
        SMALL.to_old(np.ones(3, np.float32))
