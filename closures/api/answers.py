"""Which answers an operation may give, for the OpenAPI file."""

from __future__ import annotations

from typing import Any

from closures.api.schemas import ProblemOut

ALWAYS = (400, 401, 403, 422, 429)


def answers(schema: Any, *problems: int, created: bool = False) -> dict[int, Any]:
    """200 (and 201) with the schema; a problem for what any signed call may meet, and for `problems`."""
    good = {201: schema, 200: schema} if created else {200: schema}
    return good | dict.fromkeys(sorted({*ALWAYS, *problems}), ProblemOut)
