"""Class shifts: how a clip's scores changed.

Takes a judge's scores before and after, float32 [classes] in [0, 1], and gives ranks, distances and outcomes. A target
is one class, or several that count as one (`augment.targets.policies.Aim`); the dream went toward or away from it.

Conventions: rank 1 is the top; equal scores share the better rank. Success among the top k means that the target was
not there before and is there after (away from a class: the reverse). A clip whose target was there before is skipped,
neither success nor failure, as in TextAttack's results (Morris et al., EMNLP 2020). So originals evaluated against
themselves have no success, whatever their targets.

Sources: Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37 (1991).
"""

from __future__ import annotations

import numpy as np

from augment.targets.policies import Aim

SUCCESS, FAILED, SKIPPED = "success", "failed", "skipped"

TOP = 5
"""How many top classes a row keeps, before and after."""


def top_classes(scores: np.ndarray, count: int = TOP) -> list[int]:
    """Return the indices of the highest scores, best first; equal ones in the order of the classes."""
    return [int(index) for index in np.argsort(-scores, kind="stable")[:count]]


def result(aim: Aim, before: np.ndarray, after: np.ndarray, top: int) -> str | None:
    """Return success, failed or skipped among the `top` classes, from scores [classes] before and after.

    None if the judge has no more classes than that: every target is among them.
    """
    if top >= len(before):
        return None
    was, is_ = (aim.rank(scores) <= top for scores in (before, after))
    if aim.away:
        was, is_ = not was, not is_
    return SKIPPED if was else SUCCESS if is_ else FAILED


def js_divergence(before: np.ndarray, after: np.ndarray) -> float:
    """Return the Jensen-Shannon divergence in bits, in [0, 1].

    JS(p, q) = H((p + q) / 2) − (H(p) + H(q)) / 2, with p and q the scores divided by their sum: scores of independent
    classes (sigmoids) are no distribution. Scores that are all 0 count as uniform.
    """
    p, q = (_distribution(scores) for scores in (before, after))
    middle = (p + q) / 2
    return float(np.clip(_entropy(middle) - (_entropy(p) + _entropy(q)) / 2, 0.0, 1.0))


def cosine_distance(before: np.ndarray, after: np.ndarray) -> float:
    """Return 1 − cos of the angle between two embeddings [n], in [0, 2]; 0 if both are zero, 1 if one is."""
    first, second = np.asarray(before, np.float64), np.asarray(after, np.float64)
    norms = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    if not all(norms):
        return float(any(norms))
    return float(np.clip(np.sum(np.square(first / norms[0] - second / norms[1])) / 2, 0.0, 2.0))


def _distribution(scores: np.ndarray) -> np.ndarray:
    values = np.asarray(scores, np.float64)
    total = values.sum()
    return values / total if total > 0 else np.full(len(values), 1 / len(values))


def _entropy(p: np.ndarray) -> float:
    some = p[p > 0]
    return float(-np.sum(some * np.log2(some)))
