"""Every state, kind and code that a person may meet has a label, in English and in Chinese."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.utils import translation
from django_fsm import FSMField

from closures.models import Blocker, Hold, PostClosureItem
from closures.models.tickets import Reason
from closures.rules import codes
from closures.rules.deliveries import CommandState, NoticeState
from closures.rules.later_money import MoneyKind
from closures.rules.outcomes import TaskState
from closures.selectors.texts import CURES, REASONS_FOR_CUSTOMER

OURS = [
    m
    for m in apps.get_models()
    if m._meta.app_label in ("accounts", "closures") and not hasattr(m, "instance_type")
]
CHOICES = [
    (model, field)
    for model in OURS
    for field in model._meta.concrete_fields
    if getattr(field, "choices", None)
]
FSM = [(model, field) for model, field in CHOICES if isinstance(field, FSMField)]


def name(pair: tuple[type[models.Model], models.Field[Any, Any]]) -> str:
    return f"{pair[0].__name__}.{pair[1].name}"


@pytest.mark.parametrize("pair", CHOICES, ids=name)
def test_every_choice_has_a_label_of_its_own_in_both_languages(pair: Any) -> None:
    for language in ("en", "zh-hans"):
        with translation.override(language):
            labels = {value: str(label) for value, label in pair[1].choices}
        assert all(labels.values()) or "" in labels
        assert len(set(labels.values())) == len(labels), "two choices that read the same"
        for value, label in labels.items():
            assert not re.fullmatch(r"[A-Z][A-Z_]+", label), f"{value} shows raw"
            if language == "zh-hans" and label:
                assert re.search(r"[一-鿿]", label), f"{value} has no Chinese"


def test_every_state_field_knows_its_states() -> None:
    fields = [f for m in OURS for f in m._meta.concrete_fields if isinstance(f, FSMField)]
    assert len(fields) == len(FSM) and all(f.choices for f in fields)


@pytest.mark.parametrize("pair", FSM, ids=name)
def test_states_are_upper_case_and_no_transition_leads_elsewhere(pair: Any) -> None:
    model, field = pair
    states = {str(value) for value, _ in field.choices}
    assert all(re.fullmatch(r"[A-Z_]+", state) for state in states)
    reached = {str(t.target) for t in field.get_all_transitions(model)} | {
        str(t.source) for t in field.get_all_transitions(model)
    }
    assert reached <= states and str(field.default) in states


def test_rules_and_models_speak_of_the_same_things() -> None:
    """Rules are pure and cannot import the models: their words are held together here."""
    from closures.models import LedgerCommand, Notice, UnbindTask  # noqa: PLC0415

    assert {str(s) for s in TaskState} == set(UnbindTask.State.values)
    assert {str(s) for s in NoticeState} == set(Notice.State.values)
    assert {str(s) for s in CommandState} == set(LedgerCommand.State.values)
    assert {str(s) for s in MoneyKind} == set(PostClosureItem.Kind.values)
    assert {str(s) for s in codes.BlockerCode} == set(Blocker.Code.values)
    assert {str(s) for s in codes.Severity} == set(Blocker.Severity.values)
    assert {str(s) for s in codes.HoldKind} == set(Hold.Kind.values)
    assert {str(s) for s in codes.SILENT_HOLDS} == {str(s) for s in Hold.SILENT}
    assert {str(s) for s in codes.Reason} == {str(s) for s in Reason}


def test_every_cure_and_every_reason_has_its_sentence() -> None:
    assert set(CURES) == set(codes.CureCode)
    assert set(REASONS_FOR_CUSTOMER) == set(Reason)
