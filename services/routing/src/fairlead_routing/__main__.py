"""``python -m fairlead_routing``: one routing process."""

from fairlead_common.service import main

from fairlead_routing.app import wire
from fairlead_routing.settings import RoutingSettings

if __name__ == "__main__":
    main("routing", RoutingSettings, wire)
