"""One-dimensional arrays in the binary format of PostgreSQL's array_recv, for `round_trip.ask`."""

import struct
from collections.abc import Sequence

import numpy as np

TEXT_OID, UUID_OID = 25, 2950
"""Of PostgreSQL's own types: pg_type.dat."""


def encode_array(oid: int, items: Sequence[bytes]) -> bytes:
    """Of elements of the type `oid`, each in its binary format; none of them is NULL."""
    parts = [struct.pack("!iiiii", 1, 0, oid, len(items), 1)]
    for item in items:
        parts += (struct.pack("!i", len(item)), item)
    return b"".join(parts)


def encode_vectors(oid: int, vectors: np.ndarray) -> bytes:
    """Of shape (rows, dimension), as an array of pgvector's vector, whose type is `oid`; see its
    vector_recv."""
    rows, dimension = vectors.shape
    head = struct.pack("!ihh", 4 + 4 * dimension, dimension, 0)
    items = np.empty((rows, len(head) + 4 * dimension), np.uint8)
    items[:, : len(head)] = np.frombuffer(head, np.uint8)
    items[:, len(head) :] = vectors.astype(">f4").view(np.uint8).reshape(rows, -1)
    return struct.pack("!iiiii", 1, 0, oid, rows, 1) + items.tobytes()
