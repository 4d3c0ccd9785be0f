"""The bridge: a linear map from the new space into the old one.

It answers questions of the new model on the old column (Drift-Adapter, arXiv 2509.23471). It is
stored as bytes with a checksum; what cannot be verified is never used.
"""

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from ragkit.errors import BadVectors, DamagedContract, WrongDimension

VERSION = 1
_CHECKSUM_BYTES = hashlib.sha256().digest_size
_NUMBER = np.dtype("<f4")


@dataclass(frozen=True, eq=False)
class Bridge:
    """`method` tells how `matrix`, float32 of shape (new dimension, old dimension), was fitted on
    `pairs` rows."""

    method: str
    pairs: int
    matrix: np.ndarray

    def to_old(self, vector: np.ndarray) -> np.ndarray:
        """The unit vector, float32 of shape (old dimension,), for a vector of the new model, of
        shape (new dimension,) and any length.

        Raises WrongDimension for another shape, and BadVectors for a vector that is 0, not finite,
        or mapped to 0: it is near to nothing.
        """
        if np.shape(vector) != self.matrix.shape[:1]:
            raise WrongDimension(
                f"the bridge takes vectors of shape {self.matrix.shape[:1]}, got {np.shape(vector)}"
            )
        mapped = _unit(_unit(vector).astype(np.float32) @ self.matrix)
        return mapped.astype(np.float32)

    def to_bytes(self) -> bytes:
        """One line of JSON, the numbers row by row, and the SHA-256 of both."""
        header = {
            "version": VERSION, "method": self.method, "pairs": self.pairs,
            "shape": self.matrix.shape,
        }  # fmt: skip
        body = json.dumps(header).encode() + b"\n" + self.matrix.astype(_NUMBER).tobytes()
        return body + hashlib.sha256(body).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Bridge":
        """Raises DamagedContract when checksum, version, header or length is wrong."""
        body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
        if hashlib.sha256(body).digest() != checksum:
            raise DamagedContract(
                f"the checksum of a stored bridge of {len(data)} bytes is wrong: fit it again"
            )
        line, _, numbers = body.partition(b"\n")
        try:
            header = json.loads(line)
            version = header["version"]
            if version != VERSION:
                raise DamagedContract(
                    f"a stored bridge has version {version}, expected {VERSION}: fit it again, or "
                    "deploy the version of ragkit that wrote it"
                )
            matrix = np.frombuffer(numbers, _NUMBER).reshape(header["shape"]).astype(np.float32)
            bridge = cls(str(header["method"]), int(header["pairs"]), matrix)
        except (ValueError, TypeError, KeyError):
            raise DamagedContract("a stored bridge does not fit its header: fit it again") from None
        if matrix.ndim != 2 or not np.isfinite(matrix).all():
            raise DamagedContract("a stored bridge is no matrix of finite numbers: fit it again")
        return bridge


def _unit(vector: np.ndarray) -> np.ndarray:
    """In float64: the square of a small float32 would be 0."""
    wide = np.asarray(vector, np.float64)
    largest = np.abs(wide).max(initial=0.0)
    if not np.isfinite(largest) or largest == 0:
        raise BadVectors("the question's vector is 0 or not finite, or 0 in the old space")
    wide = wide / largest
    unit: np.ndarray = wide / np.linalg.norm(wide)
    return unit
