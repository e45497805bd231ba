"""Puts the shipped rows into a migrated database: after every migrate, creating only what is missing.

What compliance has changed is never overwritten, whatever a later release would ship in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import AppConfig
from django.apps.registry import Apps
from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.utils import timezone

from accounts.actors import SHIPPED
from accounts.bulk import create_many
from accounts.models import CreditProduct, Lender, Regulation, WorkCalendarDay
from accounts.shipped import calendar, roles
from accounts.shipped.lenders import lenders
from accounts.shipped.products import products
from accounts.shipped.regulations import regulations

REASON = "shipped with the product"
MODELS = (Lender, CreditProduct, Regulation, WorkCalendarDay)


def after_migrate(*, app_config: AppConfig, using: str, apps: Apps | None = None, **kwargs: Any) -> None:
    """Every shipped row exists, with history by SHIPPED, and every role holds its permissions.

    A receiver of post_migrate for all apps: rows come with `accounts`, roles with the last app that has
    permissions of theirs. Nothing happens on another database, nor while the tables are not those of
    today's models (a migrate backwards, or part of the way). Safe to repeat.
    """
    turn = app_config.label
    if turn not in ("accounts", roles.last_app()) or using != DEFAULT_DB_ALIAS or not up_to_date(apps):
        return
    with transaction.atomic():
        if turn == "accounts":
            install()
        if turn == roles.last_app():
            roles.apply_roles()


def up_to_date(state: Apps | None) -> bool:
    """Whether the database has been migrated to today's models; a flush does not say and always is."""
    return state is None or all(
        columns(state.all_models["accounts"].get(model._meta.model_name or "")) == columns(model)
        for tracked in MODELS
        for model in (tracked, tracked.history.model)  # type: ignore[attr-defined]
    )


def columns(model: type[models.Model] | None) -> set[str | None]:
    return {field.column for field in model._meta.concrete_fields} if model else set()


def install() -> None:
    """Every shipped row exists. Four short queries when all do."""
    by_code = {lender.code: lender for lender in Lender.objects.all()}
    for lender in create(row for row in lenders() if row.code not in by_code):
        by_code[lender.code] = lender
    codes = set(CreditProduct.objects.values_list("code", flat=True))
    create(row for row in products(by_code) if row.code not in codes)
    # A code with any row has been dealt with; a second one would compete with what compliance approved.
    codes = set(Regulation.objects.values_list("code", flat=True))
    create(row for row in regulations() if row.code not in codes)
    here = WorkCalendarDay.objects.filter(date__range=(calendar.FIRST_DAY, calendar.LAST_DAY))
    if here.count() < calendar.DAYS:
        dates = set(here.values_list("date", flat=True))
        create(row for row in calendar.days() if row.date not in dates)


def create(rows: Iterable[Any]) -> list[Any]:
    made = list(rows)
    create_many(made, actor=SHIPPED, reason=REASON, now=timezone.now())
    return made
