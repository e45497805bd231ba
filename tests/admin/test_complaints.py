"""The complaint desk in the console: who sees what, what the list says first, what each button does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import RefusedAction, User
from closures.models import CannedReply, ClosureTicket, Complaint
from closures.services import complaints
from tests import factories
from tests.admin import scenes
from tests.admin.scenes import dialog_url, signed_in

pytestmark = pytest.mark.django_db

LIST = "admin:closures_complaint_changelist"


@pytest.fixture
def clerk() -> User:
    """An agent without a part in the closing."""
    return factories.a_user("agent")


@pytest.fixture
def complaint(in_review: ClosureTicket, clerk: User) -> Complaint:
    return scenes.a_complaint(in_review, by=clerk)


def page_of(client: Client, complaint: Complaint) -> str:
    answer = client.get(reverse("admin:closures_complaint_change", args=[complaint.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def fresh(complaint: Complaint) -> Complaint:
    return Complaint.objects.get(pk=complaint.pk)


def test_an_agent_registers_from_the_ticket_and_from_the_customer(
    in_review: ClosureTicket, clerk: User
) -> None:
    client = signed_in(clerk)
    said = {"kind": "COMPLAINT", "topic": "WRONG_CLOSING", "channel": "PHONE", "text": "不是我申请的"}
    answer = client.post(dialog_url(in_review, "complain"), said)
    assert answer.status_code == 302, answer.content.decode()
    first = Complaint.objects.get()
    assert (first.ticket, first.registered_by, first.hold is not None) == (in_review, clerk, True)
    customer = in_review.account.customer
    opened = client.get(dialog_url(customer, "complain")).content.decode()
    assert in_review.account.account_no in opened
    said |= {"topic": "SERVICE", "account_id": "", "about_staff": clerk.staff_no}
    assert client.post(dialog_url(customer, "complain"), said).status_code == 302
    second = Complaint.objects.latest("pk")
    assert (second.account, second.about_staff) == (None, clerk)
    assert (
        first.number
        in client.get(reverse("admin:accounts_customer_change", args=[customer.pk])).content.decode()
    )
    assert first.number in scenes.page(client, in_review)


def test_who_complains_is_found_by_an_exact_number_and_by_post(in_review: ClosureTicket, clerk: User) -> None:
    client, customer = signed_in(clerk), in_review.account.customer
    where = reverse("admin:complaint_new")
    for given in ({"customer_no": customer.customer_no}, {"phone": scenes.PERSON["phone"]}):
        answer = client.post(where, given)
        assert answer["Location"] == reverse("admin:accounts_customer_change", args=[customer.pk])
    for given in ({}, {"customer_no": "nobody"}):
        assert client.post(where, given).context["form"].errors


def test_the_page_shows_texts_clock_and_what_comes_next(complaint: Complaint, clerk: User) -> None:
    text = page_of(signed_in(clerk), complaint)
    for said in ("不是我申请的", "请提供截图", str(complaint.due_on), complaint.number, "Next move"):
        assert said in text, said
    assert scenes.PERSON["phone"] not in text


def test_who_is_complained_about_reads_no_text_and_has_no_button(in_review: ClosureTicket) -> None:
    about = factories.a_user("agent")
    row = scenes.a_complaint(in_review, by=factories.a_user("agent"), about_staff=about, topic="SERVICE")
    text = page_of(signed_in(about), row)
    assert "不是我申请的" not in text and "请提供截图" not in text
    assert dialog_url(row, "note") not in text
    scenes.answered(row)
    letter = reverse("admin:closures_complaint_letter", args=[row.pk])
    assert signed_in(about).get(letter).status_code == 404


def test_nobody_with_a_part_in_the_closing_is_offered_a_move_and_a_post_is_refused(
    complaint: Complaint, in_review: ClosureTicket
) -> None:
    asked = User.objects.get(pk=in_review.requested_by_id)
    client = signed_in(asked)
    assert dialog_url(complaint, "note") not in page_of(client, complaint)
    answer = client.post(dialog_url(complaint, "note"), {"text": "x"})
    assert 'data-code="recused"' in answer.content.decode()
    assert RefusedAction.objects.latest("pk").code == "recused"


def test_from_decision_to_close_by_dialogs(complaint: Complaint, clerk: User, reviewer: User) -> None:
    agent, decider = signed_in(clerk), signed_in(reviewer)
    extension = complaint.extensions.get()
    assert decider.post(dialog_url(extension, "approve"), {}).status_code == 302
    assert agent.post(dialog_url(complaint, "resume"), {"text": "已提供"}).status_code == 302
    bad = decider.post(dialog_url(complaint, "decide"), {"outcome": "UPHELD", "text": "x", "remedy": "NONE"})
    assert 'data-code="cause_missing"' in bad.content.decode()
    verdict = {"outcome": "NOT_UPHELD", "text": "依据充分", "remedy": "NONE"}
    assert decider.post(dialog_url(complaint, "decide"), verdict).status_code == 302
    opened = agent.get(dialog_url(complaint, "reply")).content.decode()
    assert "reply-preview" in opened and "hx-post" in opened
    wrong = agent.post(dialog_url(complaint, "reply"), {"text": "{{ phone }}"}).content.decode()
    assert "phone" in wrong and fresh(complaint).state == "DECIDED"
    assert agent.post(dialog_url(complaint, "reply"), {"text": "{{ number }} 已核实"}).status_code == 302
    letter = agent.get(reverse("admin:closures_complaint_letter", args=[complaint.pk])).content.decode()
    assert f"{complaint.number} 已核实" in letter
    assert agent.post(dialog_url(complaint, "close"), {}).status_code == 302
    assert fresh(complaint).state == "CLOSED"


def test_a_preview_is_rendered_by_the_server_and_changes_nothing(complaint: Complaint, clerk: User) -> None:
    client, reply = signed_in(clerk), CannedReply.objects.get()
    url = reverse("admin:closures_complaint_preview", args=[complaint.pk])
    box = client.get(url, {"canned": reply.pk}).content.decode()
    assert "投诉 {{ number }}" in box and 'id="id_text"' in box
    assert f"投诉 {complaint.number}" in client.post(url, {"text": reply.body}).content.decode()
    assert "&lt;b&gt;" in client.post(url, {"text": "<b>"}).content.decode()
    assert 'role="alert"' in client.post(url, {"text": "{{ secret }}"}).content.decode()
    for chosen in ("", "x", "999999999999999999", "-1"):
        assert client.get(url, {"canned": chosen}).status_code == 200
    assert complaint.texts.filter(kind="REPLY").count() == 0
    assert signed_in(factories.a_user("auditor")).get(url).status_code == 403


def test_the_list_shows_what_runs_with_breaches_ahead(in_review: ClosureTicket, clerk: User) -> None:
    now = timezone.now()
    ages = {"late": 40, "soon": 14, "later": 1}
    numbers = {}
    for name, days in ages.items():
        when = now - timedelta(days=days)
        numbers[name] = complaints.register(
            account_id=in_review.account_id, kind="COMPLAINT", channel="APP", topic="FEES", text="x",
            actor=Actor.staff(clerk), now=when,
        )  # fmt: skip
    gone = complaints.register(
        account_id=in_review.account_id, kind="COMPLAINT", channel="APP", topic="FEES", text="x",
        actor=Actor.staff(clerk), now=now,
    )  # fmt: skip
    complaints.withdraw(complaint_id=gone.pk, actor=Actor.staff(clerk), now=now)
    client = signed_in(clerk)
    shown = [row.number for row in client.get(reverse(LIST)).context["cl"].result_list]
    assert shown == [numbers[name].number for name in ages]
    near = [row.near for row in client.get(reverse(LIST)).context["cl"].result_list]
    assert near[0] == "late" and near[-1] == "later"
    for query, found in (
        ("show=ended", [gone.number]),
        ("due=late", [numbers["late"].number]),
        (f"q={gone.number}", [gone.number]),
        ("state__exact=WITHDRAWN", [gone.number]),
    ):
        rows = client.get(f"{reverse(LIST)}?{query}").context["cl"].result_list
        assert [row.number for row in rows] == found, query


def price(act: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert act().status_code == 200
    return len(queries)


def test_the_price_of_list_and_figures_does_not_grow_with_the_complaints(clerk: User) -> None:
    client, agent = signed_in(clerk), factories.a_user("agent")

    def more(n: int) -> None:
        for _ in range(n):
            ticket = scenes.examined(scenes.a_request(scenes.an_account(), by=agent))
            scenes.a_complaint(ticket, by=clerk)

    more(2)
    figures = reverse("admin:complaint_figures")
    before = price(lambda: client.get(reverse(LIST))), price(lambda: client.get(figures))
    more(4)
    assert (price(lambda: client.get(reverse(LIST))), price(lambda: client.get(figures))) == before
    row = Complaint.objects.earliest("pk")
    one = reverse("admin:closures_complaint_change", args=[row.pk])
    assert price(lambda: client.get(one)) <= 60


def test_the_figures_add_up(complaint: Complaint, clerk: User) -> None:
    scenes.answered(complaint)
    client = signed_in(clerk)
    found = client.get(reverse("admin:complaint_figures")).context["figures"]
    assert (found.all.total, found.all.open, found.all.upheld, found.all.late) == (1, 1, 0, 0)
    assert [(line.label, line.total) for line in found.by_topic] == [("closed or being closed wrongly", 1)]
    assert [line.total for line in found.by_product] == [1]
    for days in ("30", "365", "7", "x", "999999999999"):
        assert client.get(reverse("admin:complaint_figures"), {"days": days}).status_code == 200


def test_a_lead_writes_a_canned_reply_and_a_wrong_field_is_said(clerk: User) -> None:
    client = signed_in(factories.a_user("compliance_lead"))
    where = reverse("admin:canned_new")
    bad = client.post(where, {"title": "t", "body": "{{ phone }}"})
    assert bad.context["form"].errors and not CannedReply.objects.exists()
    assert client.post(where, {"title": "t", "body": "{{ number }}"}).status_code == 302
    reply = CannedReply.objects.get()
    edited = {"title": "t", "body": "{{ number }} {{ today }}"}
    assert client.post(dialog_url(reply, "edit"), edited).status_code == 302
    assert client.post(dialog_url(reply, "retire"), {}).status_code == 302
    assert CannedReply.objects.get().state == "RETIRED"


def test_worklists_name_what_waits_for_whom(complaint: Complaint, clerk: User, reviewer: User) -> None:
    def lists(user: User) -> dict[str, int]:
        context = signed_in(user).get("/admin/").context
        return {card["code"]: card["count"] for card in [*context["waiting"], *context["quiet"]]}

    mine, theirs = lists(clerk), lists(reviewer)
    assert mine["MY_COMPLAINTS"] == 1
    assert (theirs["COMPLAINTS_TO_DECIDE"], theirs["EXTENSIONS"], theirs["REVIEWS"]) == (1, 1, 0)
