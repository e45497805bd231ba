"""What every installation starts with, and that migrate never undoes what compliance has done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.apps.registry import Apps
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet
from pytest_django import DjangoAssertNumQueries

from accounts.actors import SHIPPED
from accounts.models import CreditProduct, Lender, Regulation, WorkCalendarDay
from accounts.roles import Role
from accounts.selectors.regulations import UNITS
from accounts.shipped import after_migrate, install, regulations, roles
from accounts.tracking import save_as
from tests.factories import staff

pytestmark = pytest.mark.django_db

MODELS = (Lender, CreditProduct, Regulation, WorkCalendarDay)
# Source: State Council notice of 2025-11-04, as FACTS §5 gives it.
MOVED_TO_A_WEEKEND = ("2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10")
NUMBERS = {
    "ANSWER_DUE": ("15", "working_days"),
    "COMPLAINT_SIMPLE": ("15", "calendar_days"),
    "COMPLAINT_COMPLEX": ("30", "calendar_days"),
    "COMPLAINT_EXTENSION": ("30", "calendar_days"),
    "COMPLAINT_REVIEW_REQUEST": ("30", "calendar_days"),
    "COMPLAINT_REVIEW_DECISION": ("30", "calendar_days"),
    "COMPLAINT_TARGET": ("10", "working_days"),
    "BUREAU_DISPUTE": ("20", "calendar_days"),
    "BUREAU_CORRECTION": ("20", "calendar_days"),
    "RETENTION_YEARS": ("10", "years"),
    "DESTRUCTION_WAIT": ("30", "calendar_days"),
    "CREDIT_ADVERSE_YEARS": ("5", "years"),
    "PIA_YEARS": ("3", "years"),
    "POSTING_WINDOW": ("45", "calendar_days"),
    "DORMANT_MONTHS": ("18", "months"),
    "SLEEPING_SHARE": ("20", "percent"),
    "QUIET_HOURS": ("22:00-08:00", "local_time_range"),
    "NOTICE_CAP_PER_NUMBER_DAY": ("3", "times_per_day"),
}


def migrate_again() -> None:
    """The signal as `migrate` and `flush` send it, for each app in order."""
    for config in apps.get_app_configs():
        after_migrate(app_config=config, using=DEFAULT_DB_ALIAS)


def wipe(rows: QuerySet[Any]) -> None:
    """As if the rows had never been: deleting a tracked row as such has no actor, and is a defect."""
    rows._raw_delete(rows.db)


def written() -> dict[str, int]:
    return {model.__name__: model.history.count() for model in MODELS}


def test_four_products_are_offered_by_their_lenders() -> None:
    found = {
        product.code: (product.lender.legal_name, product.state) for product in CreditProduct.objects.all()
    }
    assert found == {
        "HUABEI": ("重庆蚂蚁消费金融有限公司", "OFFERED"),
        "JIEBEI": ("重庆蚂蚁消费金融有限公司", "OFFERED"),
        "WANGSHANGDAI": ("浙江网商银行股份有限公司", "OFFERED"),
        "BAITIAO": ("重庆京东盛际小额贷款有限公司", "OFFERED"),
    }


def test_a_shipped_policy_leaves_a_week_and_sends_every_request_to_a_person() -> None:
    for product in CreditProduct.objects.all():
        assert product.cooling_off == timedelta(days=7)
        assert product.notice_lead == timedelta(days=30)
        assert product.settle_window == timedelta(days=1)
        assert (product.straight_through, product.sampling_percent, product.version) == (False, 100, 1)


def texts(product: CreditProduct) -> Iterator[dict[str, Any]]:
    yield product.closing_path
    if product.softer_alternative:
        yield product.softer_alternative
    yield from product.effects
    yield from product.facts


def test_every_customer_text_has_both_languages_and_says_how_sure_it_is() -> None:
    for product in CreditProduct.objects.all():
        for text in texts(product):
            assert re.search("[一-鿿]", text["zh-hans"]), text
            assert text["en"] and not re.search("[一-鿿]", text["en"]), text
            assert text["certainty"] in {"C", "C-", "GK", "OURS"}, text
        assert all(fact["source"] for fact in product.facts)


def test_no_effect_promises_a_number() -> None:
    """How long until one may open it again is unknown (FACTS §1); nothing is said in days or years."""
    for product in CreditProduct.objects.all():
        codes = {effect["code"] for effect in product.effects}
        assert {"COUPONS_LOST", "REOPENING_IS_ASSESSED", "CREDIT_HISTORY_STAYS", "DATA_RESTRICTED"} <= codes
        assert not [e for e in product.effects if re.search(r"\d", e["zh-hans"] + e["en"])]


def test_the_legal_numbers_are_there_with_their_source() -> None:
    found = {
        row.code: (row.value, row.unit) for row in Regulation.objects.filter(shipped=True, state="IN_FORCE")
    }
    assert found == NUMBERS
    for row in Regulation.objects.all():
        UNITS[row.unit](row.value)
        assert row.source and row.certainty and row.title["zh-hans"] and row.title["en"]
        assert row.proposed_by_id is None and row.approved_by_id is None


def test_an_unconfirmed_number_is_marked_so() -> None:
    unsure = set(Regulation.objects.exclude(certainty="C").values_list("code", flat=True))
    assert unsure == {
        "ANSWER_DUE",
        "COMPLAINT_REVIEW_REQUEST",
        "COMPLAINT_REVIEW_DECISION",
        "BUREAU_CORRECTION",
        "COMPLAINT_TARGET",
        "POSTING_WINDOW",
        "DESTRUCTION_WAIT",
        "NOTICE_CAP_PER_NUMBER_DAY",
    }


def test_retention_counts_from_the_day_its_act_took_effect() -> None:
    assert Regulation.objects.get(code="RETENTION_YEARS").valid_from == date(2025, 1, 1)


def test_the_calendar_knows_every_day_of_four_years() -> None:
    days = WorkCalendarDay.objects.order_by("date")
    assert days.count() == 366 + 3 * 365
    assert (days.first().date, days.last().date) == (date(2024, 1, 1), date(2027, 12, 31))
    assert set(days.values_list("provisional", "calendar_version")) == {
        (False, "cn-2024.1"),
        (False, "cn-2025.1"),
        (False, "cn-2026.1"),
        (True, "cn-2027.0"),
    }


def test_days_moved_to_a_weekend_are_worked() -> None:
    worked = WorkCalendarDay.objects.filter(date__year=2026, date__week_day__in=(1, 7), is_working=True)
    assert sorted(map(str, worked.values_list("date", flat=True))) == list(MOVED_TO_A_WEEKEND)


def test_2027_is_monday_to_friday_without_the_thirteen_legal_days() -> None:
    days = {row.date: row for row in WorkCalendarDay.objects.filter(date__year=2027)}
    legal = {day for day, row in days.items() if "纪念日" in row.source}
    assert len(legal) == 13
    assert {
        date(2027, 2, 5),
        date(2027, 2, 8),
        date(2027, 4, 5),
        date(2027, 6, 9),
        date(2027, 9, 15),
    } <= legal
    for day, row in days.items():
        assert row.is_working == (day.weekday() < 5 and day not in legal), day


def test_every_shipped_row_has_one_history_row_by_the_product() -> None:
    for model in MODELS:
        rows = model.history.all()
        assert rows.count() == model.objects.count()
        assert set(rows.values_list("history_actor", "history_type")) == {(str(SHIPPED), "+")}
        newest, row = rows.latest("history_id"), model.objects.latest("pk")
        assert newest.id == row.pk and newest.history_change_reason


def test_migrating_again_writes_nothing(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    before = written()
    with django_assert_max_num_queries(11):  # seven reads, two transactions
        migrate_again()
    assert written() == before


def test_what_compliance_changed_survives_a_migrate() -> None:
    product = CreditProduct.objects.get(code="BAITIAO")
    product.cooling_off, product.effects, product.version = timedelta(days=3), [], 2
    save_as(product, actor=staff(Role.LEAD), reason="shorter")
    day = WorkCalendarDay.objects.get(date=date(2027, 2, 9))
    day.is_working, day.provisional = False, False
    save_as(day, actor=staff(Role.LEAD), reason="notice")
    before = written()

    migrate_again()

    product.refresh_from_db()
    day.refresh_from_db()
    assert (product.cooling_off, product.effects, product.version) == (timedelta(days=3), [], 2)
    assert (day.is_working, day.provisional) == (False, False)
    assert written() == before


def test_only_what_is_missing_is_made() -> None:
    wipe(WorkCalendarDay.objects.filter(date__in=[date(2026, 5, 9), date(2027, 1, 1)]))
    wipe(CreditProduct.objects.filter(code="JIEBEI"))
    others = set(CreditProduct.objects.values_list("pk", flat=True))

    migrate_again()

    assert CreditProduct.objects.count() == 4
    assert others < set(CreditProduct.objects.values_list("pk", flat=True))
    assert WorkCalendarDay.objects.get(date=date(2026, 5, 9)).is_working
    assert WorkCalendarDay.objects.count() == install.calendar.DAYS


def test_a_regulation_that_has_a_newer_value_is_not_shipped_again() -> None:
    wipe(Regulation.objects.filter(code="QUIET_HOURS"))
    emptied = next(row for row in regulations.regulations() if row.code == "QUIET_HOURS")
    emptied.value = ""
    save_as(emptied, actor=SHIPPED, reason="the demo's")

    migrate_again()

    assert Regulation.objects.get(code="QUIET_HOURS").value == ""


def test_a_database_that_is_not_migrated_all_the_way_is_left_alone() -> None:
    wipe(CreditProduct.objects.all())
    config = apps.get_app_config("accounts")
    after_migrate(app_config=config, using=DEFAULT_DB_ALIAS, apps=Apps())
    assert not CreditProduct.objects.exists()
    after_migrate(app_config=config, using="replica", apps=None)
    assert not CreditProduct.objects.exists()
    after_migrate(app_config=config, using=DEFAULT_DB_ALIAS, apps=apps)
    assert CreditProduct.objects.count() == 4


@pytest.mark.django_db(transaction=True)
def test_a_flush_leaves_the_shipped_rows(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    call_command("flush", interactive=False, verbosity=0)
    assert CreditProduct.objects.count() == 4
    assert WorkCalendarDay.history.count() == install.calendar.DAYS
    assert Group.objects.get(name=Role.AUDITOR).permissions.exists()


# --- Roles --------------------------------------------------------------------------------------------


def held(role: Role) -> set[str]:
    rows = Group.objects.get(name=role).permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows}


@pytest.mark.parametrize("role", list(Role))
def test_a_role_holds_exactly_what_the_table_says(role: Role) -> None:
    assert held(role) == roles.permissions_of(role)


def test_every_permission_the_table_names_exists() -> None:
    rows = Permission.objects.values_list("content_type__app_label", "codename")
    assert roles.named_permissions() <= {f"{app}.{codename}" for app, codename in rows}


def test_a_role_that_was_widened_or_narrowed_by_hand_is_put_right() -> None:
    agent = Group.objects.get(name=Role.AGENT)
    agent.permissions.set(Permission.objects.filter(codename__in=["manage_roles", "view_customer"]))
    Group.objects.get(name=Role.OPERATOR).delete()

    migrate_again()

    assert held(Role.AGENT) == roles.permissions_of(Role.AGENT)
    assert held(Role.OPERATOR) == roles.permissions_of(Role.OPERATOR)


def test_a_group_that_is_no_role_is_left_alone() -> None:
    other = Group.objects.create(name="canteen")
    other.permissions.set(Permission.objects.filter(codename="view_user"))
    migrate_again()
    assert other.permissions.count() == 1


def test_no_role_may_add_change_or_delete_rows_by_hand() -> None:
    for name in roles.named_permissions():
        assert not name.split(".")[1].startswith(("add_", "change_", "delete_")), name
