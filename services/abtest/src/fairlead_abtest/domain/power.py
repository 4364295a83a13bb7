"""The power of t tests: how likely a test of some size finds a difference that is there."""

import math

from fairlead_abtest.domain.distributions import noncentral_t_cdf, t_quantile


def two_sample_power(effect_in_sd: float, units_per_arm: int, alpha: float) -> float:
    """Power of the two-sided two-sample t test for a true difference of that many standard deviations."""
    df, shift = 2 * units_per_arm - 2, effect_in_sd * math.sqrt(units_per_arm / 2)
    cut = t_quantile(1 - alpha / 2, df)
    return 1 - noncentral_t_cdf(cut, df, shift) + noncentral_t_cdf(-cut, df, shift)


def paired_power(effect_in_sd: float, units: int, alpha: float) -> float:
    """Power of the two-sided paired t test for a true mean of that many standard deviations of the differences."""
    df, shift = units - 1, effect_in_sd * math.sqrt(units)
    cut = t_quantile(1 - alpha / 2, df)
    return 1 - noncentral_t_cdf(cut, df, shift) + noncentral_t_cdf(-cut, df, shift)
