"""Every tracked model keeps the same kind of history, and none of it is personal."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import models

from accounts.tracking import QUEUE_FIELDS, Tracked, TrackedHistory, excluded_fields
from closures.models.queue import QueueRow

OURS = [model for model in apps.get_models() if model._meta.app_label in ("accounts", "closures")]
TRACKED = [model for model in OURS if issubclass(model, Tracked)]
PERSONAL = ("phone", "email", "id_number", "birth", "address")


@pytest.mark.parametrize("model", TRACKED, ids=lambda model: model.__name__)
def test_history_has_wide_ids_and_an_actor(model: type[models.Model]) -> None:
    history = model.history.model
    assert issubclass(history, TrackedHistory)
    assert isinstance(history._meta.get_field("history_id"), models.BigAutoField)
    assert isinstance(history._meta.get_field("history_change_reason"), models.TextField)


@pytest.mark.parametrize("model", TRACKED, ids=lambda model: model.__name__)
def test_queue_columns_stay_out_of_history(model: type[models.Model]) -> None:
    if issubclass(model, QueueRow):
        assert set(QUEUE_FIELDS) <= set(excluded_fields(model))
    names = {field.name for field in model.history.model._meta.get_fields()}
    assert names.isdisjoint(excluded_fields(model))


@pytest.mark.parametrize("model", TRACKED, ids=lambda model: model.__name__)
def test_no_tracked_model_has_a_place_for_personal_data(model: type[models.Model]) -> None:
    names = [field.name for field in model._meta.get_fields() if isinstance(field, models.Field)]
    assert [name for name in names if any(word in name for word in PERSONAL)] == []


def test_everything_with_a_state_is_tracked() -> None:
    untracked = [m.__name__ for m in OURS if hasattr(m, "_get_FIELD_display") and m not in TRACKED
                 and any(type(f).__name__ == "FSMField" for f in m._meta.get_fields())
                 and not issubclass(m, TrackedHistory)]  # fmt: skip
    assert untracked == []
