"""``python -m fairlead_routing``: one routing process."""

from fairlead_common.service import main
from fairlead_common.settings import Settings

from fairlead_routing.app import wire

if __name__ == "__main__":
    main("routing", Settings, wire)
