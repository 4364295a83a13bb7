"""``python -m fairlead_comparison``: one comparison process."""

from fairlead_common.service import main

from fairlead_comparison.app import wire
from fairlead_comparison.settings import ComparisonSettings

if __name__ == "__main__":
    main("comparison", ComparisonSettings, wire)
