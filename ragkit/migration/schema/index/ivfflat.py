"""The number of lists of an IVFFlat index, and the memory that pgvector wants for them."""

from math import isqrt

ROWS_PER_LIST, LINEAR_ROWS = 1000, 1_000_000
"""rows / 1000 up to a million rows, above it their square root: pgvector's README."""
MAX_LISTS = 32_768
"""pgvector's IVFFLAT_MAX_LISTS."""
SAMPLES_PER_LIST, MIN_SAMPLES = 50, 10_000
HEADER_BYTES = 8
"""Of a vector."""


def advised_lists(rows: int) -> int:
    lists = round(rows / ROWS_PER_LIST) if rows <= LINEAR_ROWS else isqrt(rows)
    return min(max(1, lists), MAX_LISTS)


def fitting_lists(rows: int, vector_bytes: int, memory_bytes: int) -> int:
    """As many as advised, or as many as `memory_bytes` suffices for: pgvector refuses more. At
    least one."""
    low, high = 1, advised_lists(rows)
    while low < high:
        middle = (low + high + 1) // 2
        if build_bytes(middle, rows, vector_bytes) <= memory_bytes:
            low = middle
        else:
            high = middle - 1
    return low


def build_bytes(lists: int, rows: int, vector_bytes: int) -> int:
    """What pgvector's k-means (ElkanKmeans in ivfkmeans.c) asks maintenance_work_mem for: the
    samples, the centres, and a distance from each sample, and from each centre, to each centre."""
    room = max(SAMPLES_PER_LIST * lists, MIN_SAMPLES)
    samples = min(rows, room)
    vector = vector_bytes + HEADER_BYTES
    return (
        vector * room
        + lists * (2 * vector + 2 * vector_bytes)  # old and new centres, and their sums
        + 4 * (2 * samples + samples * lists + 3 * lists + lists * lists)
    )
