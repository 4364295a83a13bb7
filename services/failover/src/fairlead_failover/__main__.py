"""``python -m fairlead_failover``: one failover process."""

from fairlead_common.service import main

from fairlead_failover.app import wire
from fairlead_failover.settings import FailoverSettings

if __name__ == "__main__":
    main("failover", FailoverSettings, wire)
