"""The rules in force: what somebody has put, or else those that Fairlead brings along.

The database has the record; the bucket ``alerting`` has a copy, so that a replica that starts while the database is away
judges by the rules of the others.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml
from fairlead_common.bus.rpc import Empty, RpcError
from fairlead_common.operations import alert_rules as ops
from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.aio.client import Client
from pydantic import ValidationError
from sqlalchemy import RowMapping

from fairlead_health.alert_store import AlertStore
from fairlead_health.domain.rules import RULE, Rules, read

logger = logging.getLogger(__name__)

SECTION: Final = "rules"


@cache
def built_in() -> Rules:
    """Version 0: ``rules.yaml`` of this package."""
    stored = files("fairlead_health").joinpath("rules.yaml").read_text(encoding="utf-8")
    return tuple(RULE.validate_python(each) for each in yaml.safe_load(stored)["rules"])


DEFAULTS: Final = ops.Rules(version=0, set_by=None, set_at=None, note="what Fairlead brings along", rules=[])


class RuleBook:
    """What this replica judges by."""

    def __init__(self, client: Client, store: AlertStore) -> None:
        self._store = store
        self._bucket = SnapshotPublisher(client, "alerting")
        self.version = 0
        self.rules = built_in()

    async def recall(self) -> None:
        """Take over what the bus has.

        Raises:
            nats.errors.Error, OSError: the bus does not answer.
        """
        found = await self._bucket.read(SECTION)
        if found is not None:
            self._take(ops.Rules.model_validate_json(found[1]))

    async def refresh(self, version: int | None) -> None:
        """Take over what the database has, and copy it to the bus; for the holder of the lease, again and again.

        Args:
            version: that the database has now; None = nobody has ever put any.
        """
        if version is None or version == self.version or (row := await self._store.config(SECTION)) is None:
            return
        try:
            rules = in_force(row)
        except ValidationError as error:
            logger.error(
                "version %d of the rules cannot be read; keeping the former: %s", row["version"], error
            )
            return
        await self._bucket.put(SECTION, rules)
        self._take(rules)

    def _take(self, rules: ops.Rules) -> None:
        self.version, self.rules = rules.version, tuple(rules.rules)
        logger.info("judging by version %d of the rules", self.version)


class RulesApi:
    """One method per operation."""

    def __init__(
        self, store: AlertStore, providers: tuple[str, ...], settle: Callable[[], Awaitable[None]]
    ) -> None:
        self._store = store
        self._providers = providers
        self._settle = settle

    async def rules(self, request: Empty) -> ops.Rules:
        """Those in force."""
        return in_force(await self._store.config(SECTION))

    async def put_rules(self, request: ops.RulesIn) -> ops.Rules:
        """Put others in the place of all that are there; the holder of the lease judges by them from now on."""
        rules, problems = read(request.rules, self._providers)
        if problems:
            text = "; ".join(f"{each.where}: {each.message}" for each in problems)
            raise RpcError(422, "invalid_rules", text)
        content: list[dict[str, Any]] = [rule.model_dump(mode="json") for rule in rules]
        row = await self._store.put_config(SECTION, content, request.replaces, request.by, request.note)
        if row is None:
            raise RpcError(
                409,
                "other_version",
                f"version {request.replaces} is not in force any more; read the rules again",
            )
        await self._settle()
        return in_force(row)

    async def check_rules(self, request: ops.RulesIn) -> ops.Checked:
        """What would be refused; nothing is stored."""
        return ops.Checked(problems=read(request.rules, self._providers)[1])

    async def rule_versions(self, request: Empty) -> ops.Versions:
        """Newest first."""
        return ops.Versions(versions=await self._store.versions(SECTION))


def in_force(row: RowMapping | None) -> ops.Rules:
    """A stored version, or what Fairlead brings along when there is none."""
    if row is None:
        return DEFAULTS.model_copy(update={"rules": list(built_in())})
    return ops.Rules.model_validate({**row, "rules": row["content"]})
