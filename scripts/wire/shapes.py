"""The official packages' unions by their `type`, and what pydantic found wrong, in a line."""

from __future__ import annotations

import typing
from typing import Any

from pydantic import ValidationError


def by_type(union: Any) -> dict[str, Any]:
    """The model of each `type` that a union of models (annotated or not) tells apart."""
    found: dict[str, Any] = {}
    inner = typing.get_args(union)[0] if typing.get_origin(union) is typing.Annotated else union
    for model in typing.get_args(inner):
        for word in typing.get_args(model.model_fields["type"].annotation):
            found[word] = model
    return found


def fault_of(error: ValidationError, most: int = 3) -> str:
    faults = error.errors(include_url=False, include_input=True)
    said = [f"{'.'.join(map(str, each['loc']))}: {each['msg']} ({each['input']!r:.60})" for each in faults[:most]]
    more = f" and {len(faults) - most} more" if len(faults) > most else ""
    return f"{error.title}: {'; '.join(said)}{more}"
