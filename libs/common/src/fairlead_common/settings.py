"""What every process of Fairlead is told by its environment, read once at start.

Every field is an environment variable ``FAIRLEAD_<FIELD>``; an unknown one is an error, because configuration that
is accepted and does nothing is worse than none.
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from pydantic import AnyUrl, BaseModel, ConfigDict, Field, SecretStr, ValidationError

PREFIX = "FAIRLEAD_"


class SettingsError(Exception):
    """The environment is wrong; the message names the variable and what was expected."""


class Settings(BaseModel):
    """Common to all processes; a service adds its own fields in its ``settings.py``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    nats_url: SecretStr = SecretStr("nats://127.0.0.1:4222")
    """May carry user and password; never logged."""
    postgres_dsn: SecretStr | None = None
    """``postgresql://user:password@host:port/database``."""
    providers_file: Path | None = None
    """YAML file of providers; None = the built-in providers whose API keys are in the environment."""
    data_dir: Path = Path(".fairlead/run")
    """Private folder of this process: disk snapshots, spools."""
    http_host: str = "127.0.0.1"
    """Address to listen on; in a container ``0.0.0.0``."""
    http_port: int = Field(default=0, ge=0, le=65535)
    """/livez, /readyz and /metrics; on the edge also its public API. 0 = any free port."""
    instance: str = Field(default="local", pattern=r"^[A-Za-z0-9_-]{1,63}$")
    """Name of this replica."""
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """Of the JSON lines on standard error."""
    otlp_endpoint: AnyUrl | None = None
    """OTLP/HTTP collector for traces; None = traces are made and propagated, but not exported."""
    dashboard_url: AnyUrl | None = None
    """Where people look; linked from alerts."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read ``FAIRLEAD_*``.

        Raises:
            SettingsError: a variable is unknown or has an unusable value.
        """
        given = {k.removeprefix(PREFIX).lower(): v for k, v in environ.items() if k.startswith(PREFIX)}
        try:
            return cls(**given)  # type: ignore[arg-type]  # pydantic parses the strings
        except ValidationError as error:
            raise SettingsError(_explain(cls, error)) from None


def _explain(cls: type[Settings], error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        field = str(problem["loc"][0])
        variable = PREFIX + field.upper()
        if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
            near = difflib.get_close_matches(field, cls.model_fields, n=3)
            meant = f"did you mean {_variables(near)}? " if near else ""
            known = _variables(cls.model_fields)
            lines.append(
                f"{variable} is not a setting of this process; {meant}unset it, or use one of: {known}"
            )
        else:
            inside = "".join(f".{each}" for each in problem["loc"][1:])
            lines.append(f"{variable}{inside}: {problem['msg']}")
    return "; ".join(lines)


def _variables(fields: Iterable[str]) -> str:
    return ", ".join(PREFIX + field.upper() for field in fields)
