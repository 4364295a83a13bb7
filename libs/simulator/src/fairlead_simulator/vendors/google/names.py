"""Names of fields: the Gemini API takes camel and snake case alike, the simulator works with camel case.

Names that are data stay as they are: those of functions' arguments and results, of labels, and of a schema's properties.
"""

import re
from typing import Any

UNDERSCORE = re.compile(r"_([a-z0-9])")
DATA = frozenset(["args", "response", "labels", "enum", "const", "default", "example"])
SCHEMAS = frozenset(["parametersJsonSchema", "parameters", "responseJsonSchema", "responseSchema"])
NAMED = frozenset(["properties", "$defs", "defs"])


def camel(name: str) -> str:
    """``top_p`` and ``topP`` as ``topP``."""
    return UNDERSCORE.sub(lambda match: match[1].upper(), name) if "_" in name else name


def snake(name: str) -> str:
    """``topP`` as ``top_p``, as error messages name it."""
    return re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)


def camel_fields(value: Any) -> Any:
    """``value`` with its field names in camel case."""
    if isinstance(value, list):
        return [camel_fields(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, each in value.items():
        new = camel(name)
        found[new] = each if new in DATA else _schema(each) if new in SCHEMAS else camel_fields(each)
    return found


def _schema(value: Any) -> Any:
    if isinstance(value, list):
        return [_schema(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, each in value.items():
        new = camel(name)
        if new in NAMED and isinstance(each, dict):
            found[new] = {key: _schema(inner) for key, inner in each.items()}
        else:
            found[new] = each if new in DATA else _schema(each)
    return found
