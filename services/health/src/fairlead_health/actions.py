"""What failover did by itself about each provider, to be told with its alerts."""

import asyncio
import logging
from functools import partial

from fairlead_common.bus.reading import read_last
from fairlead_common.events.alerts import ActionTaken
from fairlead_common.events.failover import FailoverSwitched
from fairlead_common.service import retrying
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError

from fairlead_health.domain.raising import Action

logger = logging.getLogger(__name__)

SUBJECT = f"{FailoverSwitched.subject_prefix}.>"


class Actions:
    """The last switch away from each provider."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.latest: dict[str, Action] = {}

    async def follow(self) -> None:
        """Hear of switches, for ever; first of those before."""
        await self._client.subscribe(SUBJECT, cb=self._hear)
        for message in await retrying(
            "reading the switches", partial(read_last, self._client, "FAILOVER", SUBJECT)
        ):
            await self._hear(message)
        await asyncio.Event().wait()

    async def _hear(self, message: Msg) -> None:
        try:
            event = FailoverSwitched.model_validate_json(message.data)
        except ValidationError:
            logger.warning("a switch on %s cannot be read", message.subject)
            return
        taken = ActionTaken(
            action="failover",
            from_target=event.from_target,
            to_target=event.to_target,
            reason=event.cause,
            version=event.version,
        )
        provider, at = event.from_target.partition("/")[0], event.occurred_at.timestamp()
        known = self.latest.get(provider)
        if known is None or known.at <= at:
            self.latest[provider] = Action(at, taken)
