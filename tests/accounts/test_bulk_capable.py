"""Which transitions may go through the bulk door: those that a set of rows can make as one row does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.db import models, transaction
from django_fsm import RETURN_VALUE
from django_fsm import transition as fsm_transition
from django_fsm.signals import post_transition

from accounts.bulk import NotBulkable, bulk_transition, has_empty_body, transition_many
from accounts.models import CreditAccount, Customer, PartnerAgreement, Regulation
from accounts.tracking import NotPossible, move, sets
from closures.models import ClosureTicket, UnbindTask
from tests.accounts.bulk_rows import JOB, unbind
from tests.factories import an_account, an_agreement

pytestmark = pytest.mark.django_db


def test_a_listener_to_the_signal_would_be_passed_over_so_the_door_is_shut(now: datetime) -> None:
    def listen(**kwargs: Any) -> None: ...

    post_transition.connect(listen, sender=PartnerAgreement)
    try:
        with pytest.raises(NotBulkable, match="listener"):
            unbind([], now)
    finally:
        post_transition.disconnect(listen, sender=PartnerAgreement)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (CreditAccount, "close"),  # takes a value
        (Regulation, "approve"),
        (ClosureTicket, "approve"),  # asks its permission per row
        (UnbindTask, "revive"),  # sets a field in its body
        (ClosureTicket, "save"),
    ],
)
def test_transitions_that_need_each_row_are_not_bulkable(
    model: type[models.Model], name: str, now: datetime
) -> None:
    with pytest.raises(NotBulkable):
        transition_many(model._base_manager.all(), getattr(model, name), actor=JOB, reason="", now=now)


def test_a_transition_of_another_model_is_refused(now: datetime) -> None:
    with pytest.raises(NotBulkable):
        transition_many(Customer.objects.all(), CreditAccount.freeze, actor=JOB, reason="", now=now)


SOURCE_FIELD = PartnerAgreement._meta.get_field("state")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"target": RETURN_VALUE("BOUND")}, "static target"),
        ({"target": None}, "static target"),
        ({"conditions": [lambda row: True]}, "no Rule"),
        ({"permission": lambda row, user: True}, "each row"),
        ({"custom": sets(state="BOUND")}, "field of its own"),
        ({"custom": sets(effekt="WARN")}, "field of its own"),
    ],
)
def test_what_makes_a_transition_bulk_capable_is_checked(
    changed: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for found in PartnerAgreement.unbind._django_fsm.transitions.values():
        for part, value in changed.items():
            monkeypatch.setattr(found, part, value)
    with pytest.raises(NotBulkable, match=why):
        bulk_transition(PartnerAgreement, PartnerAgreement.unbind)


def test_two_targets_under_one_name_are_not_bulkable(monkeypatch: pytest.MonkeyPatch) -> None:
    found = PartnerAgreement.unbind._django_fsm.transitions["BOUND"]
    monkeypatch.setattr(found, "target", "LAPSED")
    with pytest.raises(NotBulkable, match="more than one target"):
        bulk_transition(PartnerAgreement, PartnerAgreement.unbind)


@pytest.mark.parametrize("wild", ["*", "+"])
def test_wild_sources_mean_what_they_mean_to_the_single_path(
    wild: str, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsm = PartnerAgreement.unbind._django_fsm
    monkeypatch.setattr(fsm, "transitions", {wild: fsm.transitions["BOUND"]})
    rows = [an_agreement(an_account(), state=state) for state in ("LAPSED", "UNBOUND")]
    possible = []
    for row in rows:
        point = transaction.savepoint()
        try:
            move(row, "unbind", actor=JOB, reason="", now=now)
        except NotPossible:
            continue
        possible.append(row.pk)
        transaction.savepoint_rollback(point)
    assert unbind([row.pk for row in rows], now).moved == possible


def bodies() -> Iterator[tuple[Any, bool]]:
    def dots(self): ...

    def text(self):
        """Only words."""

    def passes(self):
        """Words."""
        pass

    def returns(self):
        return None

    def typed(self: Any) -> None:
        """Words."""

    for empty in (dots, text, passes, returns, typed):
        yield empty, True

    def answers(self):
        return "STATE"

    def assigns(self):
        self.effect = "WARN"

    def calls(self):
        print()

    def raises(self):
        raise ValueError

    def takes(self, value): ...

    def takes_named(self, *, value): ...

    def takes_optional(self, *, value=None): ...

    def takes_all(self, *args): ...

    def takes_all_named(self, **kwargs): ...

    def loops(self):
        for _ in self.things:
            pass

    def looks(self):
        self.look  # noqa: B018 - a property may do anything

    def generates(self):
        yield

    async def waits(self): ...

    for full in (
        answers, assigns, calls, raises, takes, takes_named, takes_optional, takes_all, takes_all_named,
        loops, looks, generates, waits, print, int, type("Callable", (), {"__call__": dots})(),
    ):  # fmt: skip
        yield full, False


@pytest.mark.parametrize(
    ("function", "empty"), list(bodies()), ids=lambda value: getattr(value, "__name__", type(value).__name__)
)
def test_an_empty_body_is_told_from_one_that_does_something(function: Any, empty: bool) -> None:
    assert has_empty_body(function) is empty


def test_a_decorator_under_the_transition_counts_as_a_body() -> None:
    def noting(function: Any) -> Any:
        def wrapped(self: Any) -> Any:
            self.noted = True
            return function(self)

        return wrapped

    class Thing:
        @fsm_transition(SOURCE_FIELD, source="A", target="B")
        @noting
        def go(self) -> None: ...

    assert not has_empty_body(Thing.go._django_fsm.transitions["A"].method)
