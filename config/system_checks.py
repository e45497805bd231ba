"""The rules of config.checks as Django's system checks, and the two that need the database.

`manage.py check --deploy --database default` runs them all; `migrate` runs those on the database too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Q
from django.utils.timezone import localdate

from accounts.models import CreditProduct
from accounts.selectors import regulations
from accounts.services.products import PERIODS
from config import checks

QUIET_HOURS = "QUIET_HOURS"


def present() -> dict[str, Any]:
    """The settings of this process as a mapping."""
    return {name: getattr(settings, name) for name in dir(settings) if name.isupper()}


@register(deploy=True)
def settings_are_fit(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """config.E001-E009 and E012."""
    return [Error(problem.message, id=problem.id) for problem in checks.problems(present())]


@register(Tags.database)
def policies_are_long_enough(
    app_configs: Any, databases: Sequence[str] | None, **kwargs: Any
) -> list[CheckMessage]:
    """config.E010: no product has a closing policy below the minimum of this place (SPEC §3)."""
    if not applies(databases):
        return []
    short = Q(*((f"{period}__lt", settings.POLICY_MINIMUM) for period in PERIODS), _connector=Q.OR)
    return [
        Error(
            f"Product {code} has a closing policy shorter than {settings.POLICY_MINIMUM}.", id="config.E010"
        )
        for code in CreditProduct.objects.filter(short).order_by("code").values_list("code", flat=True)
    ]


@register(Tags.database)
def quiet_hours_are_kept(
    app_configs: Any, databases: Sequence[str] | None, **kwargs: Any
) -> list[CheckMessage]:
    """config.E011: a range of quiet hours is in force (SPEC §5: the demo's is empty, production's is not)."""
    if not applies(databases):
        return []
    try:
        start, _end = regulations.local_hours(QUIET_HOURS, on=localdate())
    except (regulations.NoRegulation, ValueError):
        start = None
    return (
        [] if start else [Error(f"{QUIET_HOURS} is empty: nobody would be left in peace.", id="config.E011")]
    )


def applies(databases: Sequence[str] | None) -> bool:
    """Whether our rows are there to be checked: the database is asked about, migrated, and no demo."""
    if DEFAULT_DB_ALIAS not in (databases or ()) or not settings.POLICY_MINIMUM:
        return False
    tables = connections[DEFAULT_DB_ALIAS].introspection.table_names()
    return CreditProduct._meta.db_table in tables
