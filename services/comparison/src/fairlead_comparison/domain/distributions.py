"""The few distribution functions that the intervals need, typed."""

from statistics import NormalDist

from scipy.special import bdtr, bdtrik, stdtr, stdtrit  # type: ignore[import-untyped]

_NORMAL = NormalDist()


def normal_quantile(p: float) -> float:
    """z with P(Z <= z) = ``p``."""
    return _NORMAL.inv_cdf(p)


def normal_two_sided(z: float) -> float:
    """P(|Z| >= |z|)."""
    return 2 * _NORMAL.cdf(-abs(z))


def t_quantile(p: float, degrees: float) -> float:
    """t with P(T <= t) = ``p``; ``degrees`` of freedom need not be whole."""
    return float(stdtrit(degrees, p))


def t_two_sided(t: float, degrees: float) -> float:
    """P(|T| >= |t|)."""
    return float(2 * stdtr(degrees, -abs(t)))


def binomial_at_most(k: int, n: int, q: float) -> float:
    """P(X <= ``k``) for X ~ Binomial(``n``, ``q``); 0 below 0, 1 from ``n`` on."""
    if k < 0:
        return 0.0
    return 1.0 if k >= n else float(bdtr(k, n, q))


def binomial_quantile(p: float, n: int, q: float) -> int:
    """Smallest k with P(X <= k) >= ``p`` for X ~ Binomial(``n``, ``q``)."""
    guess = float(bdtrik(p, n, q))
    k = 0 if guess != guess else max(0, min(n, round(guess)))  # bdtrik is NaN where even k = 0 is enough
    while k > 0 and binomial_at_most(k - 1, n, q) >= p:
        k -= 1
    while binomial_at_most(k, n, q) < p:
        k += 1
    return k
