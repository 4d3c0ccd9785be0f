"""Linear maps from one space into another: orthogonal Procrustes and ridge regression.

All vectors are unit vectors: `new` of shape (rows, new dimension), `old` of shape (rows, old
dimension). A map has shape (new dimension, old dimension); `new @ map` is near to `old`.
"""

from dataclasses import dataclass

import numpy as np


def procrustes(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """The orthogonal map that is nearest to `old` (Schönemann 1966).

    With different dimensions, that of the vectors padded with zeros, without the rows or columns
    of the padding. Directions that the rows do not fill are mapped to 0: a full orthogonal map,
    such as scipy.linalg.orthogonal_procrustes, would turn them somewhere, differently with each
    build of LAPACK.
    """
    (few_new, new_basis), (few_old, old_basis) = coordinates(new), coordinates(old)
    left, values, right = np.linalg.svd(few_new.T @ few_old, full_matrices=False)
    is_filled = values > values.max(initial=0.0) * max(new.shape) * np.finfo(np.float64).eps
    mapped: np.ndarray = (new_basis @ left[:, is_filled]) @ (right[is_filled] @ old_basis.T)
    return mapped


@dataclass(frozen=True)
class RidgePath:
    """Ridge regression (Hoerl and Kennard 1970) of `old` on `new`, by one decomposition for all
    penalties."""

    directions: np.ndarray
    values: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, new: np.ndarray, old: np.ndarray) -> "RidgePath":
        left, values, right = np.linalg.svd(new, full_matrices=False)
        return cls(right.T, values, left.T @ old)

    def at(self, penalty: float) -> np.ndarray:
        """The map that has the smallest squared error plus `penalty` times its squared norm."""
        mapped: np.ndarray = self.directions @ self._shrunk(penalty)
        return mapped

    def apply(self, new: np.ndarray, penalty: float) -> np.ndarray:
        """`new` mapped, without the map itself, which would take longer."""
        mapped: np.ndarray = (new @ self.directions) @ self._shrunk(penalty)
        return mapped

    def _shrunk(self, penalty: float) -> np.ndarray:
        shrunk: np.ndarray = (self.values / (self.values**2 + penalty))[:, None] * self.targets
        return shrunk


def ridge(new: np.ndarray, old: np.ndarray, penalty: float) -> np.ndarray:
    """The map of RidgePath at a penalty above 0."""
    return RidgePath.of(new, old).at(penalty)


def coordinates(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same rows in an orthonormal basis of their span, of shape (rows, n), and that basis, of
    shape (dimension, n): `vectors` is the first times the second, transposed.

    Both kinds of map turn with the bases, and a map of n dimensions is fitted faster.
    """
    rows, dimension = vectors.shape
    if rows >= dimension:
        return vectors, np.eye(dimension)
    basis, turned = np.linalg.qr(vectors.T)
    return turned.T, basis
