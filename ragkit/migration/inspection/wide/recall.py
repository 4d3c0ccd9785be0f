"""What a cheaper search finds of the nearest rows, among a sample of vectors of shape (rows,
dimension), each of which is a question to the others."""

import numpy as np

ROWS_A_NEIGHBOUR = 20
"""Of the sample: among fewer, a share of all rows would be near to everything."""


def fitting_k(rows: int, k: int) -> int:
    """How many nearest rows of so small a sample mean anything: at most `k`; 0 for none."""
    return min(k, rows // ROWS_A_NEIGHBOUR)


def nearness(vectors: np.ndarray, distance: str) -> np.ndarray:
    """Of each row to each, of shape (rows, rows): greater is nearer, and no row is near itself.
    `distance` is one of the plan's."""
    wide = vectors.astype(np.float64)
    if distance == "cosine":
        wide = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    near: np.ndarray = wide @ wide.T
    if distance == "l2":
        squares = (wide**2).sum(axis=1)
        near = 2 * near - squares[:, None] - squares[None, :]
    np.fill_diagonal(near, -np.inf)
    return near


def shared(near: np.ndarray, other: np.ndarray, k: int, candidates: int) -> float:
    """The mean share of the k rows nearest by `near` among the first `candidates` by `other`."""
    wanted, found = _first(near, k), _first(other, candidates)
    shares = [np.isin(row, hits).mean() for row, hits in zip(wanted, found, strict=True)]
    return float(np.mean(shares))


def of_shorter(vectors: np.ndarray, dimension: int, distance: str, k: int) -> float:
    """With the first `dimension` values of each, as a model of the Matryoshka kind cuts them."""
    short = nearness(vectors[:, :dimension], distance)
    return shared(nearness(vectors, distance), short, k, k)


def of_bits(vectors: np.ndarray, distance: str, k: int, oversampling: int) -> float:
    """With candidates by their signs, ranked by the vectors."""
    signs = np.where(vectors > 0, 1.0, -1.0)  # their product falls as the Hamming distance grows
    return shared(
        nearness(vectors, distance), nearness(signs, "inner_product"), k, k * oversampling
    )


def _first(near: np.ndarray, count: int) -> np.ndarray:
    order: np.ndarray = np.argsort(-near, axis=1, kind="stable")[:, :count]
    return order
