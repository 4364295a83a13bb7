"""``python -m fairlead_abtest``: one abtest process."""

from fairlead_common.service import main

from fairlead_abtest.app import wire
from fairlead_abtest.settings import AbtestSettings

if __name__ == "__main__":
    main("abtest", AbtestSettings, wire)
