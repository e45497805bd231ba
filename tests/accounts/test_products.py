"""Compliance decides under which policy a product is closed; no policy is shorter than the place allows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from accounts.actors import Actor
from accounts.models import CreditProduct, RefusedAction
from accounts.roles import Role
from accounts.services import products
from accounts.tracking import NotPermitted, NotPossible
from tests.factories import staff

pytestmark = pytest.mark.django_db

POLICY = {
    "cooling_off": timedelta(days=7),
    "notice_lead": timedelta(days=30),
    "settle_window": timedelta(days=1),
    "straight_through": False,
    "sampling_percent": 100,
}


@pytest.fixture(autouse=True)
def a_day_at_least(settings: Settings) -> None:
    settings.POLICY_MINIMUM = timedelta(days=1)


@pytest.fixture
def product() -> CreditProduct:
    return CreditProduct.objects.get(code="HUABEI")


def edit(product: CreditProduct, actor: Actor, now: datetime, **changed: Any) -> CreditProduct:
    policy = {**POLICY, **changed}
    return products.edit_policy(product_id=product.pk, actor=actor, reason="our risk", now=now, **policy)


def test_an_edit_is_a_new_version_with_its_author(product: CreditProduct, now: datetime) -> None:
    lead = staff(Role.LEAD)
    edit(product, lead, now, cooling_off=timedelta(days=3), straight_through=True, sampling_percent=5)
    product.refresh_from_db()
    assert (product.cooling_off, product.straight_through, product.sampling_percent) == (
        timedelta(days=3),
        True,
        5,
    )
    assert product.version == 2
    newest = product.history.latest("history_id")
    assert (newest.version, newest.history_actor, newest.history_change_reason) == (2, str(lead), "our risk")


def test_the_same_policy_again_is_no_new_version(product: CreditProduct, now: datetime) -> None:
    edit(product, staff(Role.LEAD), now)
    product.refresh_from_db()
    assert product.version == 1 and product.history.count() == 1


@pytest.mark.parametrize("period", products.PERIODS)
def test_a_period_under_a_day_is_refused(period: str, product: CreditProduct, now: datetime) -> None:
    with pytest.raises(products.TooShort) as refused:
        edit(product, staff(Role.LEAD), now, **{period: timedelta(hours=23)})
    assert "1 day" in refused.value.message
    product.refresh_from_db()
    assert product.version == 1
    assert RefusedAction.objects.get().code == "too_short"
    edit(product, staff(Role.LEAD), now, **{period: timedelta(days=1)})


def test_the_demonstration_says_seconds_and_never_less_than_none(
    product: CreditProduct, now: datetime, settings: Settings
) -> None:
    settings.POLICY_MINIMUM = timedelta(0)
    assert edit(product, staff(Role.LEAD), now, cooling_off=timedelta(seconds=2)).version == 2
    with pytest.raises(products.TooShort):
        edit(product, staff(Role.LEAD), now, cooling_off=timedelta(seconds=-1))


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_share_beyond_all_is_refused(percent: int, product: CreditProduct, now: datetime) -> None:
    with pytest.raises(products.NotAPercentage):
        edit(product, staff(Role.LEAD), now, sampling_percent=percent)
    product.refresh_from_db()
    assert product.version == 1


@pytest.mark.parametrize("role", [r for r in Role if r is not Role.LEAD])
def test_only_a_compliance_lead_edits(role: Role, product: CreditProduct, now: datetime) -> None:
    with pytest.raises(NotPermitted):
        edit(product, staff(role), now, cooling_off=timedelta(days=2))
    with pytest.raises(NotPermitted):
        products.suspend(product_id=product.pk, actor=staff(role), reason="why", now=now)
    product.refresh_from_db()
    assert (product.version, product.state) == (1, "OFFERED")


def test_no_job_edits_a_policy(product: CreditProduct, now: datetime) -> None:
    with pytest.raises(NotPermitted):
        edit(product, Actor.job("tuner"), now, cooling_off=timedelta(days=2))


def test_a_product_leaves_the_market_for_a_while_or_for_good(product: CreditProduct, now: datetime) -> None:
    lead = staff(Role.LEAD)
    states = [
        act(product_id=product.pk, actor=lead, reason="why", now=now).state
        for act in (products.suspend, products.resume, products.withdraw)
    ]
    assert states == ["SUSPENDED", "OFFERED", "WITHDRAWN"]
    for act in (products.offer, products.suspend, products.resume, products.withdraw):
        with pytest.raises(NotPossible):
            act(product_id=product.pk, actor=lead, reason="why", now=now)
    assert product.history.count() == 4
