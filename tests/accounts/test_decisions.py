"""Every refusal is on record, once, however decisions call each other."""

from __future__ import annotations

import pytest

from accounts.actors import Actor
from accounts.decisions import decision
from accounts.errors import Refusal
from accounts.models import RefusedAction
from tests.factories import a_customer

pytestmark = pytest.mark.django_db(transaction=True)
ACTOR = Actor.job("test")


class No(Refusal):
    code = "no"
    template = "No."


@decision
def inner(*, actor: Actor) -> None:
    a_customer()
    raise No


@decision
def outer(*, actor: Actor) -> None:
    inner(actor=actor)


@decision
def forgiving(*, actor: Actor) -> None:
    try:
        inner(actor=actor)
    except No:
        return


def test_a_refusal_inside_another_decision_is_recorded_once_and_undoes_both() -> None:
    with pytest.raises(No):
        outer(actor=ACTOR)

    assert list(RefusedAction.objects.values_list("code", "actor")) == [("no", "job:test")]


def test_what_an_outer_decision_takes_in_its_stride_is_no_refusal() -> None:
    forgiving(actor=ACTOR)

    assert not RefusedAction.objects.exists()


def test_the_next_decision_on_this_thread_records_again() -> None:
    for _ in range(2):
        with pytest.raises(No):
            inner(actor=ACTOR)

    assert RefusedAction.objects.count() == 2
