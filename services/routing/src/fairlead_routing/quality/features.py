"""Numbers from the words of a prompt: hashed TF-IDF of words and pairs of words, reduced to a few dimensions.

Offline and without a language model. The reduction is a truncated singular value decomposition (latent semantic
analysis, Deerwester et al. 1990) of the training prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fairlead_common.decisions.clusters import BUCKETS, features
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from scipy.sparse.linalg import svds  # type: ignore[import-untyped]

from fairlead_routing.quality.evaluation import Floats

DIMENSIONS = 64


def hashed(prompts: Sequence[str]) -> csr_matrix:
    """Counts, damped by a logarithm, of words and pairs of words: prompts x ``BUCKETS``."""
    rows, columns, values = [], [], []
    for row, prompt in enumerate(prompts):
        for bucket, value in features(prompt).items():
            rows.append(row)
            columns.append(bucket)
            values.append(value)
    return csr_matrix((values, (rows, columns)), shape=(len(prompts), BUCKETS))


@dataclass(frozen=True, slots=True)
class Space:
    """The reduced space of some training prompts."""

    idf: Floats
    axes: Floats
    """``BUCKETS`` x dimensions."""

    @classmethod
    def of(cls, counts: csr_matrix) -> "Space":
        """Fitted to hashed counts of at least one prompt."""
        frequency = np.asarray((counts > 0).sum(axis=0)).ravel()
        idf = np.log((1 + counts.shape[0]) / (1 + frequency)) + 1
        words = weighted(counts, idf)
        dimensions = min(DIMENSIONS, counts.shape[0] - 1)
        if dimensions < 1:
            return cls(idf, np.zeros((BUCKETS, 1)))
        start = np.ones(min(words.shape))
        axes = svds(words, k=dimensions, v0=start, return_singular_vectors="vh")[2]
        return cls(idf, np.ascontiguousarray(axes.T))

    def place(self, counts: csr_matrix) -> Floats:
        """Rows of unit length: prompts x dimensions."""
        found = np.asarray(weighted(counts, self.idf) @ self.axes)
        placed: Floats = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
        return placed


def weighted(counts: csr_matrix, idf: Floats) -> csr_matrix:
    """Counts times the inverse frequency, rows of unit length."""
    found = counts.multiply(idf).tocsr()
    length = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).ravel())
    return found.multiply(1 / np.maximum(length, 1e-9)[:, None]).tocsr()
