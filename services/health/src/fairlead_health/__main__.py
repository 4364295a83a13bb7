"""``python -m fairlead_health``: one health process."""

from fairlead_common.service import main

from fairlead_health.app import wire
from fairlead_health.settings import HealthSettings

if __name__ == "__main__":
    main("health", HealthSettings, wire)
