"""Canned replies: written by the lead, filled for one complaint, and able to say nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.tracking import NotPermitted, NotPossible
from closures.models import CannedReply
from closures.selectors import canned as reading
from closures.selectors.canned import FIELDS, UnknownField
from closures.services.complaints import canned
from closures.services.complaints.canned import TitleTaken
from closures.services.complaints.desk import TextMissing
from tests.complaint_cases import RECEIVED, decided, investigating
from tests.stage import Stage, refused, written


def write(stage: Stage, *, by: str = "lead", **given: Any) -> CannedReply:
    given = {"title": "不成立", "body": "投诉 {{ number }} 已核查。", **given}
    return canned.write(actor=stage.staff(by), now=stage.now, **given)


def test_a_canned_reply_is_written_edited_and_taken_out_of_use(stage: Stage) -> None:
    reply = write(stage)
    assert (reply.version, reply.state) == (1, "ACTIVE")
    given = {"reply_id": reply.pk, "actor": stage.staff("lead"), "now": stage.now}
    reply = canned.edit(title="不成立", body="改写", **given)
    assert (reply.version, reply.body, reply.history.count()) == (2, "改写", 2)
    assert canned.retire(**given).state == "RETIRED"
    with refused(NotPossible, reply):
        canned.retire(**given)
    reply = canned.revive(**given)
    assert written(reply) == (str(stage.staff("lead")), "canned reply in use again")


@pytest.mark.parametrize("by", ["agent", "reviewer", "auditor"])
def test_only_the_lead_writes_them(stage: Stage, by: str) -> None:
    with refused(NotPermitted):
        write(stage, by=by)
    reply = write(stage)
    with refused(NotPermitted, reply):
        canned.retire(reply_id=reply.pk, actor=stage.staff(by), now=stage.now)


BAD = [
    "{{ customer }}",
    "{{ number|upper }}",
    "{{ complaint.customer.identities }}",
    "{% debug %}",
    "{% include 'x' %}",
    "{# note #}",
    "{{ }}",
    "{{ number",
    "number }}",
    "{% if %}",
    "{{ number }} {{ _state }}",
]


@pytest.mark.parametrize("body", BAD)
def test_a_text_has_only_the_fields_of_the_list(stage: Stage, body: str) -> None:
    with refused(UnknownField):
        write(stage, body=body)
    assert not CannedReply.objects.exists()


def test_nothing_empty_and_no_title_twice(stage: Stage) -> None:
    write(stage)
    with refused(TitleTaken):
        write(stage)
    with refused(TextMissing):
        write(stage, title="x", body=" ")


def test_every_field_is_filled_and_nothing_is_escaped_or_run(stage: Stage) -> None:
    stage.clock.now = RECEIVED
    complaint = decided(stage, investigating(stage))
    text = "；".join(f"{name}={{{{ {name} }}}}" for name in FIELDS) + "<b>&"
    filled = reading.fill(text, complaint, now=stage.now)
    assert f"number={complaint.number}；received_on=2026-02-02；due_on=2026-02-24" in filled
    assert "outcome=投诉不成立" in filled and "brand=花呗" in filled
    assert filled.endswith("<b>&") and "{{" not in filled
    assert type(filled) is str, "plain text, never markup that calls itself safe"


def test_those_that_fit_are_offered_the_closest_first(stage: Stage) -> None:
    complaint = decided(stage)
    write(stage, title="通用")
    write(stage, title="息费", topic="FEES")
    write(stage, title="息费不成立", topic="FEES", outcome="NOT_UPHELD")
    write(stage, title="成立", outcome="UPHELD")
    write(stage, title="隐私", topic="PRIVACY")
    retired = write(stage, title="旧")
    canned.retire(reply_id=retired.pk, actor=stage.staff("lead"), now=stage.now)
    assert [reply.title for reply in reading.offered(complaint)] == ["息费不成立", "息费", "通用"]
