"""Laws of the case page: what a reader may know, what the timeline tells, how little is asked."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone, translation

from accounts.actors import Actor
from accounts.models import IdentityReveal, User
from closures.models import ClosureTicket, Hold
from closures.selectors import casefile, timeline
from closures.services import rescue, review
from tests import factories
from tests.admin import scenes
from tests.admin.scenes import dialog_url, page, signed_in

pytestmark = pytest.mark.django_db


def approval(ticket: ClosureTicket) -> dict[str, str]:
    return {"ground": "nothing owed", "seen_hash": ticket.examined_hash}


# --- What a reader may know ---------------------------------------------------------------------------

SECRET = "STR-77"


@pytest.fixture
def silently_held(in_review: ClosureTicket, reviewer: User) -> ClosureTicket:
    """An approval voided by a silent hold: in review again, then blocked by it."""
    ticket = scenes.approved(in_review, by=reviewer)
    hold = scenes.held(ticket, kind="AML", by=reviewer, ground=SECRET)
    scenes.voided(ticket)
    ticket = scenes.examined(ticket)
    assert ticket.state == "BLOCKED"
    assert ticket.blockers.filter(hold=hold).exists()
    return ticket


BETRAYAL = (SECRET, "anti-money-laundering", "AML", "open hold", "a new hold")


def test_a_silent_hold_shows_nowhere_to_whoever_lacks_the_right(
    silently_held: ClosureTicket, agent: User
) -> None:
    client, hold = signed_in(agent), silently_held.holds.get()
    blocker = silently_held.blockers.get(hold=hold)
    stem = "admin:closures_"
    pages = [
        reverse(f"{stem}closureticket_change", args=[silently_held.pk]),
        reverse(f"{stem}closureticket_history", args=[silently_held.pk]),
        reverse(f"{stem}closureticket_changelist"),
        reverse(f"{stem}hold_changelist"),
        *[
            reverse(f"{stem}closureticket_simple_history", args=[silently_held.pk, version])
            for version in silently_held.history.values_list("history_id", flat=True)
        ],
        dialog_url(silently_held, "hold"),
    ]
    for url in pages:
        answer = client.get(url)
        assert answer.status_code == 200, url
        text = answer.content.decode()
        assert [word for word in BETRAYAL if word in text] == [], url
    for url in (
        reverse(f"{stem}hold_change", args=[hold.pk]),
        reverse(f"{stem}hold_history", args=[hold.pk]),
        reverse(f"{stem}hold_simple_history", args=[hold.pk, hold.history.get().history_id]),
        reverse(f"{stem}blocker_change", args=[blocker.pk]),
        reverse(f"{stem}blocker_history", args=[blocker.pk]),
        reverse(f"{stem}hold_lift", args=[hold.pk]),
    ):
        assert client.get(url).status_code in (302, 404), (
            url
        )  # Django sends a missing row's page to the index
    assert client.get(reverse(f"{stem}hold_changelist") + "?kind=AML").context["cl"].result_count == 0
    posted = client.post(dialog_url(silently_held, "hold"), {"kind": "AML", "ground": "x"})
    assert "errors" in posted.content.decode()
    assert Hold.objects.count() == 1


def test_a_silent_hold_shows_to_whoever_has_the_right(silently_held: ClosureTicket, reviewer: User) -> None:
    text = page(signed_in(reviewer), silently_held)
    assert SECRET in text
    assert "anti-money-laundering" in text
    assert "a new hold" in text
    assert dialog_url(silently_held.holds.get(), "lift") in text


def test_no_page_shows_a_customer_unmasked(stuck: ClosureTicket) -> None:
    client = signed_in(factories.a_user("reviewer", "compliance_lead", "operator"))
    task = stuck.tasks.get()
    for url in (
        reverse("admin:closures_closureticket_change", args=[stuck.pk]),
        reverse("admin:closures_closureticket_history", args=[stuck.pk]),
        reverse("admin:closures_unbindtask_change", args=[task.pk]),
        *[reverse("admin:closures_notice_change", args=[n.pk]) for n in stuck.notices.all()],
    ):
        text = client.get(url).content.decode()
        assert [value for value in scenes.PERSON.values() if value in text] == [], url


def test_an_operator_sees_the_machine_and_no_customer(stuck: ClosureTicket) -> None:
    client, task = signed_in(factories.a_user("operator")), stuck.tasks.get()
    customer = stuck.account.customer
    for url in (
        reverse("admin:closures_unbindtask_changelist"),
        reverse("admin:closures_unbindtask_change", args=[task.pk]),
        reverse("admin:closures_unbindtask_history", args=[task.pk]),
        reverse("admin:closures_unbindattempt_changelist"),
        reverse("admin:closures_ledgercommand_changelist"),
        reverse("admin:closures_ledgercommand_change", args=[stuck.commands.last().pk]),
        reverse("admin:closures_sweep_changelist"),
    ):
        answer = client.get(url)
        assert answer.status_code == 200, url
        text = answer.content.decode()
        for known in (customer.customer_no, stuck.account.account_no, "/closureticket/", "/customer/"):
            assert known not in text, (url, known)
    for name in ("closureticket", "hold", "blocker", "notice"):
        assert client.get(reverse(f"admin:closures_{name}_changelist")).status_code == 403


def test_showing_an_identity_is_a_post_with_a_reason_and_a_record(
    in_review: ClosureTicket, reviewer: User, agent: User
) -> None:
    url = dialog_url(in_review, "reveal")
    client = signed_in(reviewer)
    assert scenes.PERSON["id_number"] not in client.get(url + "?reason=x").content.decode()
    assert scenes.PERSON["id_number"] not in client.post(url, {"reason": " "}).content.decode()
    assert not IdentityReveal.objects.exists()
    answer = client.post(url, {"reason": "caller to be checked"})
    assert scenes.PERSON["id_number"] in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert IdentityReveal.objects.get().user == reviewer
    assert signed_in(agent).post(url, {"reason": "curious"}).status_code == 403
    assert "caller to be checked" in page(client, in_review)  # who looked is part of the case


# --- The page and its questions -----------------------------------------------------------------------


def test_the_page_asks_a_bounded_number_of_questions(
    stuck: ClosureTicket, django_assert_max_num_queries: Any
) -> None:
    client = signed_in(factories.a_user("reviewer", "compliance_lead"))
    page(client, stuck)
    with django_assert_max_num_queries(25):
        page(client, stuck)
    for n in range(8):
        scenes.held(stuck, kind="LEGAL", by=factories.a_user("reviewer"), ground=f"letter {n}")
    with django_assert_max_num_queries(25):
        page(client, stuck)


def test_the_timeline_tells_who_did_what_when_and_why(
    stuck: ClosureTicket, agent: User, reviewer: User
) -> None:
    with translation.override("en"):
        told = timeline.of_ticket(stuck, user=reviewer)
    assert [e.at for e in told] == sorted((e.at for e in told), reverse=True)
    ticket = [e for e in reversed(told) if e.noun == "ticket"]
    assert (ticket[0].state, ticket[0].who) == ("SUBMITTED", f"{agent.name} {agent.staff_no}")
    decided = next(e for e in ticket if e.state == "NOTICE_PERIOD")
    assert (decided.before, decided.why) == ("IN_REVIEW", "nothing owed, identity checked")
    assert decided.who == f"{reviewer.name} {reviewer.staff_no}"
    assert {e.noun for e in told} >= {
        *("ticket", "blocker", "hold", "task", "attempt", "agreement", "command", "notice"),
        *("restriction", "account"),
    }
    dead = next(e for e in told if e.noun == "task" and e.state == "DEAD")
    assert (dead.before, dead.why) == ("UNKNOWN", "every attempt is used up")


def test_the_same_look_every_day_is_one_line(in_review: ClosureTicket, reviewer: User) -> None:
    for _n in range(5):
        scenes.looked_again(in_review)
    told = [e for e in timeline.of_ticket(in_review, user=reviewer) if e.times > 1]
    assert [(e.noun, e.times) for e in told] == [("ticket", 5)]


def test_the_timeline_is_cut_and_its_questions_are_few(
    in_review: ClosureTicket,
    reviewer: User,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Any,
) -> None:
    monkeypatch.setattr(timeline, "LIMIT", 3)
    user = User.objects.get(pk=reviewer.pk)
    with django_assert_max_num_queries(4):  # two of them the user's rights
        assert len(timeline.of_ticket(in_review, user=user)) == 3


def test_money_is_told_with_two_decimals_on_every_database(agent: User, reviewer: User) -> None:
    account = scenes.an_account(principal="1200.10", interest="0.20", unbilled="0.10")
    ticket = scenes.examined(scenes.a_request(account, by=agent))
    told = timeline.of_ticket(ticket, user=reviewer)
    assert any(e.what == "outstanding principal 1,200.10" for e in told) or any(
        e.what.endswith(" 1,200.10") for e in told
    )
    lines = casefile.blocker_lines(ticket, silent=True)
    assert "¥1,200.10" in [line.much for line in lines]


def test_refusals_are_told_to_whoever_may_read_them(agent: User, reviewer: User) -> None:
    both = factories.a_user("agent", "reviewer")
    ticket = scenes.examined(scenes.a_request(scenes.an_account(), by=both))
    signed_in(both).post(dialog_url(ticket, "approve"), approval(ticket))
    lead = factories.a_user("compliance_lead")
    assert "same_reviewer" in [e.what for e in timeline.of_ticket(ticket, user=lead)]
    assert "same_reviewer" not in [e.what for e in timeline.of_ticket(ticket, user=reviewer)]


def test_the_certificate_is_shown_with_a_hash_that_is_checked(stuck: ClosureTicket, reviewer: User) -> None:
    url = reverse("admin:closures_closureticket_certificate", args=[stuck.pk])
    client = signed_in(reviewer)
    assert client.get(url).status_code == 404
    closed = scenes.closed(stuck, by=factories.a_user("reviewer"))
    text = client.get(url).content.decode()
    assert closed.certificate_no in text
    assert closed.certificate_hash in text
    assert "no longer match" not in text
    scenes.tampered(closed)
    assert "no longer match" in client.get(url).content.decode()
    assert signed_in(factories.a_user("operator")).get(url).status_code == 403


def test_the_answer_date_turns_red_two_working_days_before(in_review: ClosureTicket, reviewer: User) -> None:
    stem = reverse("admin:closures_closureticket_changelist")
    client = signed_in(reviewer)
    assert client.get(stem).context["cl"].result_list[0].due_soon is False
    scenes.due_today(in_review)
    answer = client.get(stem + "?due=soon")
    assert answer.context["cl"].result_list[0].due_soon is True


def test_the_list_says_whose_move_it_is(stuck: ClosureTicket, reviewer: User) -> None:
    text = signed_in(reviewer).get(reverse("admin:closures_closureticket_changelist")).content.decode()
    assert "operator: The machine has given up on one step" in text


def test_a_letter_needs_its_tracking_number(in_review: ClosureTicket, reviewer: User) -> None:
    notice = scenes.letter_sent(in_review)
    client = signed_in(reviewer)
    assert dialog_url(notice, "prove_arrival") in page(client, in_review)
    assert "errors" in client.post(dialog_url(notice, "prove_arrival"), {"proof": " "}).content.decode()
    assert client.post(dialog_url(notice, "prove_arrival"), {"proof": "EMS 9931"}).status_code == 302
    notice.refresh_from_db()
    assert (notice.state, notice.proof) == ("DELIVERED", "EMS 9931")


def test_what_cannot_be_expected_is_not_dressed_up_as_a_refusal(
    in_review: ClosureTicket, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(reviewer)
    client.raise_request_exception = False
    monkeypatch.setattr(review.restrictions, "lift_for", lambda *a, **k: 1 / 0)
    assert client.post(dialog_url(in_review, "reject"), {"ground": "no"}).status_code == 500
    in_review.refresh_from_db()
    assert in_review.state == "IN_REVIEW"


def test_waivers_and_evidence_stay_with_their_people(stuck: ClosureTicket) -> None:
    lead = factories.a_user("compliance_lead")
    rescue.ask_waiver(
        task_id=stuck.tasks.get().pk, ground="order runs", actor=Actor.staff(lead), now=timezone.now()
    )
    shown = page(signed_in(lead), stuck)
    assert dialog_url(stuck.tasks.get(), "grant_waiver") not in shown
    assert lead.name in shown
