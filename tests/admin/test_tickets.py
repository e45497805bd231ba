"""Laws of the case page's buttons: who is offered what, and that opening one changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.models import RefusedAction, User
from accounts.roles import Role
from closures.models import ClosureTicket
from tests import factories
from tests.admin import scenes
from tests.admin.scenes import dialog_url, everything, page, signed_in

pytestmark = pytest.mark.django_db


def approval(ticket: ClosureTicket, **fields: str) -> dict[str, str]:
    return {"ground": "nothing owed", "seen_hash": ticket.examined_hash, **fields}


# --- Who is offered what ------------------------------------------------------------------------------

OFFERED = {
    Role.AGENT: {"withdraw", "hold", "complain", "status_link", "renew_link"},
    Role.REVIEWER: {"approve", "reject", "hold", "cancel", "reveal", "pack"},
    Role.LEAD: {"approve", "reject", "hold", "cancel", "reveal", "pack"},
    Role.RISK: {"hold"},
    Role.AUDITOR: {"pack"},
}


@pytest.mark.parametrize("role", Role)
def test_a_role_is_offered_its_own_moves_and_the_rest_is_forbidden(
    role: Role, in_review: ClosureTicket, rf: Any
) -> None:
    user = factories.a_user(role)
    client = signed_in(user)
    if role not in OFFERED:
        url = reverse("admin:closures_closureticket_change", args=[in_review.pk])
        assert client.get(url).status_code == 403
    noun = admin.site.get_model_admin(ClosureTicket)
    request = rf.get("/")
    request.user = user
    offered = {dialog.name for dialog in noun.offered_dialogs(request, in_review)}
    assert offered == OFFERED.get(role, set())
    before = everything()
    for dialog in noun.all_dialogs():
        answer = client.post(dialog_url(in_review, dialog.name), {})
        permitted = role in OFFERED and dialog.permits(in_review, user)
        if dialog.name not in ("withdraw", "pack"):  # their forms may be empty: a post is the move
            assert answer.status_code == (200 if permitted else 403), dialog.name
    if role is not Role.AGENT:
        assert everything() == before


def test_what_a_right_forbids_is_on_record(in_review: ClosureTicket, agent: User) -> None:
    answer = signed_in(agent).post(dialog_url(in_review, "approve"), {"ground": "please"})
    assert answer.status_code == 403
    refused = RefusedAction.objects.get()
    assert (refused.code, refused.actor) == ("not_permitted", f"staff:{agent.staff_no}")
    assert refused.subject == {"ticket_id": in_review.pk}


def test_opening_any_dialog_changes_nothing(stuck: ClosureTicket, in_review: ClosureTicket) -> None:
    roles = ("agent", "reviewer", "compliance_lead", "risk_officer", "operator")
    client = signed_in(factories.a_user(*roles))
    before, opened = everything(), 0
    rows = (stuck, stuck.tasks.get(), stuck.holds.get(), stuck.commands.last(), stuck.notices.first())
    for row in rows:
        for dialog in admin.site.get_model_admin(type(row)).all_dialogs():
            answer = client.get(dialog_url(row, dialog.name))
            opened += answer.status_code == 200
            assert answer.status_code in (200, 403)
    assert opened >= 15
    assert everything() == before
    assert not RefusedAction.objects.exists()


def test_a_post_without_a_csrf_token_is_refused(in_review: ClosureTicket, reviewer: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(reviewer)
    answer = client.post(dialog_url(in_review, "reject"), {"ground": "no"})
    assert answer.status_code == 403
    in_review.refresh_from_db()
    assert in_review.state == "IN_REVIEW"


# --- Deciding -----------------------------------------------------------------------------------------


def test_an_approval_goes_back_to_the_page_with_what_comes_next(
    in_review: ClosureTicket, reviewer: User
) -> None:
    client = signed_in(reviewer)
    here = reverse("admin:closures_closureticket_change", args=[in_review.pk])
    answer = client.post(
        dialog_url(in_review, "approve"),
        approval(in_review),
        headers={"HX-Request": "true", "HX-Current-URL": f"http://testserver{here}"},
    )
    assert answer.status_code == 200
    assert answer["HX-Redirect"] == here
    in_review.refresh_from_db()
    assert (in_review.state, in_review.decided_by) == ("NOTICE_PERIOD", reviewer)
    shown = page(client, in_review)
    assert f"Ticket {in_review.number} is approved." in shown
    assert "Cooling-off until" in shown
    assert "successfully" not in shown.lower()


def test_nobody_is_offered_or_allowed_the_approval_of_his_own_request() -> None:
    both = factories.a_user("agent", "reviewer")
    ticket = scenes.examined(scenes.a_request(scenes.an_account(), by=both))
    client = signed_in(both)
    shown = page(client, ticket)
    assert dialog_url(ticket, "approve") not in shown
    assert "somebody else has to decide" in shown
    before = everything()
    for name in ("approve", "reject"):
        answer = client.post(dialog_url(ticket, name), approval(ticket))
        assert answer.status_code == 200
        assert 'data-code="same_reviewer"' in answer.content.decode()
    assert everything() == before
    assert RefusedAction.objects.filter(code="same_reviewer").count() == 2


def test_facts_that_changed_after_the_look_are_not_approved(in_review: ClosureTicket, reviewer: User) -> None:
    answer = signed_in(reviewer).post(
        dialog_url(in_review, "approve"), approval(in_review, seen_hash="0" * 64)
    )
    assert 'data-code="stale_review"' in answer.content.decode()
    in_review.refresh_from_db()
    assert in_review.state == "IN_REVIEW"


def test_a_decision_without_a_reason_is_a_form_error(in_review: ClosureTicket, reviewer: User) -> None:
    for ground in ("", "   "):
        answer = signed_in(reviewer).post(dialog_url(in_review, "reject"), {"ground": ground})
        assert answer.status_code == 200
        assert "errors" in answer.content.decode()
    in_review.refresh_from_db()
    assert in_review.state == "IN_REVIEW"


def test_a_button_of_an_old_page_says_what_has_happened(in_review: ClosureTicket, reviewer: User) -> None:
    scenes.approved(in_review, by=reviewer)
    other = factories.a_user("reviewer")
    opened = signed_in(other).get(dialog_url(in_review, "approve")).content.decode()
    assert 'data-code="not_possible_now"' in opened
    posted = signed_in(other).post(dialog_url(in_review, "approve"), approval(in_review)).content.decode()
    assert 'data-code="already_decided"' in posted


def test_a_late_cancellation_takes_two(stuck: ClosureTicket, reviewer: User) -> None:
    first = signed_in(reviewer)
    answer = first.post(dialog_url(stuck, "cancel"), {"ground": "wrong account"})
    assert 'data-code="needs_second_person"' in answer.content.decode()
    assert first.post(dialog_url(stuck, "ask_cancellation"), {"ground": "wrong account"}).status_code == 302
    answer = first.post(dialog_url(stuck, "cancel"), {"ground": "wrong account"})
    assert 'data-code="needs_second_person"' in answer.content.decode()
    second = signed_in(factories.a_user("compliance_lead"))
    assert dialog_url(stuck, "cancel") in page(second, stuck)
    assert second.post(dialog_url(stuck, "cancel"), {"ground": "agreed"}).status_code == 302
    stuck.refresh_from_db()
    assert stuck.state == "CANCELLED"


def test_a_task_is_taken_over_evidenced_and_confirmed_by_two(stuck: ClosureTicket) -> None:
    task = stuck.tasks.get()
    first, second = (signed_in(factories.a_user("operator")) for _n in range(2))
    assert first.post(dialog_url(task, "take_over"), {"ground": "phone"}).status_code == 302
    assert first.post(dialog_url(task, "give_evidence"), {"evidence": "mail 8812"}).status_code == 302
    own = first.post(dialog_url(task, "confirm_evidence"), {"ground": "seen"}).content.decode()
    assert 'data-code="needs_second_person"' in own
    blind = second.post(dialog_url(task, "confirm_evidence"), {"ground": "seen"}).content.decode()
    assert 'data-code="evidence_changed"' in blind
    seen = {"ground": "seen", "seen_evidence": "mail 8812"}
    assert second.post(dialog_url(task, "confirm_evidence"), seen).status_code == 302
    task.refresh_from_db()
    assert task.state == "UNBOUND"


def test_a_dead_task_and_a_dead_command_are_tried_again(stuck: ClosureTicket) -> None:
    operator = signed_in(factories.a_user("operator"))
    command = stuck.commands.get(state="DEAD")
    assert (
        operator.post(dialog_url(stuck.tasks.get(), "revive"), {"ground": "partner is up"}).status_code == 302
    )
    assert operator.post(dialog_url(command, "revive"), {"ground": "ledger is up"}).status_code == 302
    command.refresh_from_db()
    assert (stuck.tasks.get().state, command.state) == ("PENDING", "PENDING")


def test_a_waiver_takes_two_leads(stuck: ClosureTicket) -> None:
    task = stuck.tasks.get()
    first, second = (signed_in(factories.a_user("compliance_lead")) for _n in range(2))
    assert first.post(dialog_url(task, "ask_waiver"), {"ground": "order runs"}).status_code == 302
    own = first.post(dialog_url(task, "grant_waiver"), {"ground": "order runs"}).content.decode()
    assert 'data-code="needs_second_person"' in own
    assert second.post(dialog_url(task, "grant_waiver"), {"ground": "agreed"}).status_code == 302
    task.refresh_from_db()
    assert task.state == "WAIVED"
