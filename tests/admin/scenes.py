"""Tickets as the console finds them, brought there by the services themselves; no ledger, no partner."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import localdate

from accounts import pii
from accounts.actors import Actor
from accounts.models import (
    ClosedAccountMovement,
    CreditAccount,
    Customer,
    CustomerIdentity,
    IdentityReveal,
    Lender,
    LenderRelationship,
    User,
)
from accounts.services import lines
from accounts.tracking import move, save_as
from closures.models import (
    BureauRecord,
    BureauReport,
    Campaign,
    ClosureTicket,
    Complaint,
    Hold,
    LedgerCommand,
    Notice,
    NoticeTemplate,
    PostClosureItem,
    Reversal,
    UnbindAttempt,
    UnbindTask,
)
from closures.services import (
    campaigns,
    complaints,
    evidence,
    examination,
    holds,
    intake,
    later_money,
    reporting,
    retention,
    reversal,
    review,
)
from tests import factories

MACHINE = Actor.job("assessment")
PERSON = {
    "name": "欧阳测试",
    "id_number": "11010119900307721X",
    "phone": "13800138000",
    "email": "ouyang@example.test",
    "birth_date": "1990-03-07",
}


def identified(customer: Customer, **fields: str) -> CustomerIdentity:
    """The customer's current identity, sealed as the import seals it."""
    values = {**PERSON, **fields}
    sealed = {
        f"{name}_sealed": pii.seal(value, subject=customer.customer_no, field=name)
        for name, value in values.items()
    }
    return CustomerIdentity.objects.create(
        customer=customer,
        id_number_index=pii.blind_index("id_number", values["id_number"]),
        phone_index=pii.blind_index("phone", values["phone"]),
        digest="",
        recorded_at=timezone.now() - timedelta(days=400),
        **sealed,
    )


def an_account(product: str = "HUABEI", **fields: Any) -> CreditAccount:
    fields.setdefault("ledger_as_of", timezone.now())
    account = factories.an_account(product, **fields)
    identified(account.customer)
    return account


def a_request(
    account: CreditAccount, *, by: User, reason: str = "CUSTOMER_REQUEST", now: datetime | None = None
) -> ClosureTicket:
    own = reason == "CUSTOMER_REQUEST"
    channel = {"CUSTOMER_REQUEST": "AGENT", "RISK_CONTROL": "RISK", "POLICY": "CAMPAIGN"}[reason]
    return intake.request_closure(
        account_id=account.pk,
        reason=reason,
        channel=channel,
        actor=Actor.staff(by),
        now=now or timezone.now(),
        ground="" if own else "rule R-7 fired three months in a row",
        identity_level="AGENT" if own else "NOT_NEEDED",
        accepted_disclosure=intake.disclosure_version(account.product) if own else "",
    ).ticket


def examined(ticket: ClosureTicket, *, now: datetime | None = None) -> ClosureTicket:
    """The assessment job has looked: BLOCKED or IN_REVIEW, as the rules say."""
    now = now or timezone.now()
    with transaction.atomic():
        ticket = ClosureTicket.objects.lock(ticket.pk)
        seen = examination.examine(ticket, now=now)
        name, why = ("block", "blockers found") if seen.blocked else ("send_to_review", "nothing blocks")
        return move(ticket, name, actor=MACHINE, reason=why, now=now)


def approved(ticket: ClosureTicket, *, by: User, now: datetime | None = None) -> ClosureTicket:
    return review.approve(
        ticket_id=ticket.pk,
        seen_hash=ticket.examined_hash,
        ground="nothing owed, identity checked",
        actor=Actor.staff(by),
        now=now or timezone.now(),
    )


def unbinding(ticket: ClosureTicket, *, now: datetime | None = None) -> ClosureTicket:
    """Cooling-off is over and every agreement has its task."""
    from closures.services import unbinding as service  # noqa: PLC0415

    now = now or timezone.now()
    with transaction.atomic():
        ticket = ClosureTicket.objects.lock(ticket.pk)
        ticket.period_ends_at = now - timedelta(seconds=1)
        save_as(ticket, actor=MACHINE, reason="the test's clock", now=now)
        move(ticket, "start_unbinding", actor=Actor.job("cooling_off"), reason="the period is over", now=now)
    service.start(now=now)
    return ClosureTicket.objects.get(pk=ticket.pk)


def dead(
    task: UnbindTask, *, reason_code: str = "ATTEMPTS_USED_UP", now: datetime | None = None
) -> UnbindTask:
    now = now or timezone.now()
    machine = Actor.job("unbinding")
    with transaction.atomic():
        task = UnbindTask.objects.select_for_update().get(pk=task.pk)
        UnbindAttempt.objects.create(
            task=task,
            verb="UNSIGN",
            fence=1,
            started_at=now,
            finished_at=now,
            heard="UNCLEAR",
            detail="timeout",
        )
        move(task, "send", actor=machine, reason="attempt 1", now=now)
        move(task, "lose_sight", actor=machine, reason="OUTCOME_UNKNOWN", now=now)
        task.release(due_at=None)
        return move(task, "give_up", actor=machine, reason=reason_code, now=now, reason_code=reason_code)


def dead_command(ticket: ClosureTicket, *, now: datetime | None = None) -> LedgerCommand:
    now = now or timezone.now()
    command = LedgerCommand(
        account=ticket.account,
        ticket=ticket,
        verb="FREEZE",
        state_since=now,
        key=f"ledger:{ticket.number}:x:9",
    )
    save_as(command, actor=Actor.job("ledger"), reason="FREEZE x", now=now)
    return move(
        command, "give_up", actor=Actor.job("ledger"), reason="REFUSED", now=now, reason_code="REFUSED"
    )


def held(ticket: ClosureTicket, *, kind: str, by: User, ground: str = "order 2026-17") -> Any:
    return holds.place(
        ticket_id=ticket.pk, kind=kind, ground=ground, actor=Actor.staff(by), now=timezone.now()
    )


def voided(ticket: ClosureTicket) -> None:
    """What was approved is no longer there; the ticket is back in review."""
    with transaction.atomic():
        row = ClosureTicket.objects.lock(ticket.pk)
        seen = examination.examine(row, now=timezone.now())
        assert examination.void_if_changed(row, seen, now=timezone.now())


def looked_again(ticket: ClosureTicket) -> None:
    with transaction.atomic():
        row = ClosureTicket.objects.lock(ticket.pk)
        examination.examine(row, now=timezone.now())
        save_as(row, actor=MACHINE, reason="examined again", now=timezone.now())


def closed(ticket: ClosureTicket, *, by: User) -> ClosureTicket:
    """The stuck task is proved, the hold lifted, the line closed, the certificate issued."""
    now, machine = timezone.now(), Actor.job("closing")
    for hold in ticket.holds.filter(state="OPEN"):
        holds.lift(hold_id=hold.pk, ground="cleared", actor=Actor.staff(by), now=now)
    for task in ticket.tasks.all():
        with transaction.atomic():
            move(task, "revive", actor=Actor.staff(factories.a_user("operator")), reason="again", now=now)
            move(task, "prove", actor=machine, reason="STATUS_ENDED", now=now)
            move(task.agreement, "unbind", actor=machine, reason="proved at the partner", now=now)
    with transaction.atomic():
        row = ClosureTicket.objects.lock(ticket.pk)
        move(row, "start_closing", actor=machine, reason="all unbound", now=now)
        lines.close(account_id=row.account_id, actor=machine, reason=f"closing {row.number}", now=now)
        facts = evidence.certificate_facts(row, now=now)
        return move(
            row,
            "close",
            actor=machine,
            reason="read back closed",
            now=now,
            certificate_no=facts["certificate_no"],
            certificate=facts,
            certificate_hash=evidence.fingerprint(facts),
        )


def closed_ticket(*, by: User, decided_by: User) -> ClosureTicket:
    """A closing from end to end, on an account without agreements."""
    ticket = unbinding(approved(examined(a_request(an_account("BAITIAO"), by=by)), by=decided_by))
    lines.restrict(
        account_id=ticket.account_id, cause="CLOSING", reference=ticket.number, actor=MACHINE, reason="x",
        now=timezone.now(),
    )  # fmt: skip
    return closed(ticket, by=decided_by)


def posting(ticket: ClosureTicket, **fields: Any) -> PostClosureItem:
    """The ledger has told of money on the closed account."""
    now = timezone.now()
    told = {
        "ref": f"R-{ticket.number}", "kind": "REFUND", "amount": Decimal("66.00"), "direction": "TO_CUSTOMER",
        "takes_back": "", "occurred_at": now, **fields,
    }  # fmt: skip
    with transaction.atomic():
        assert later_money.take_posting(account_no=ticket.account.account_no, now=now, **told) == "NEW"
    return PostClosureItem.objects.latest("pk")


def proposal(ticket: ClosureTicket, *, by: User) -> Reversal:
    return reversal.propose(
        ticket_id=ticket.pk, source="OWN_FINDING", root_cause="NOT_ASKED_FOR", ground="call recording",
        compensation_amount=Decimal("50.00"), actor=Actor.staff(by), now=timezone.now(),
    )  # fmt: skip


def after_closing(agent: User) -> ClosureTicket:
    """A closed ticket whose reversal is proposed, with a refund in suspense and what the import saw."""
    ticket = closed_ticket(by=agent, decided_by=factories.a_user("reviewer"))
    proposal(ticket, by=factories.a_user("reviewer"))
    posting(ticket)
    ClosedAccountMovement.objects.create(
        account=ticket.account, ledger_as_of=timezone.now(), digest="d", recorded_at=timezone.now()
    )
    return ticket


def tampered(ticket: ClosureTicket) -> None:
    """Somebody with the database in hand changes what was certified."""
    row = ClosureTicket.objects.get(pk=ticket.pk)
    row.certificate = {**row.certificate, "owed": "1.00"}
    save_as(row, actor=MACHINE, reason="tampered")


def due_today(ticket: ClosureTicket) -> None:
    row = ClosureTicket.objects.get(pk=ticket.pk)
    row.answer_due_on = timezone.localdate()
    save_as(row, actor=MACHINE, reason="the test's clock")


def letter_sent(ticket: ClosureTicket) -> Notice:
    """A registered letter is on its way."""
    now, machine = timezone.now(), Actor.job("notices")
    notice = Notice(
        about=ticket.number,
        ticket=ticket,
        customer=ticket.account.customer,
        kind="REFUSED",
        channel="LETTER",
        language="zh-hans",
        template=NoticeTemplate.objects.filter(channel="LETTER").first(),
        key=f"notice:{ticket.number}:refused:1:letter",
        state_since=now,
    )
    save_as(notice, actor=machine, reason="REFUSED by LETTER", now=now)
    move(notice, "send", actor=machine, reason="attempt 1", now=now)
    return move(notice, "mark_sent", actor=machine, reason="handed over", now=now, sent_at=now)


# --- Complaints ---------------------------------------------------------------------------------------


def a_complaint(ticket: ClosureTicket, *, by: User, **given: Any) -> Complaint:
    """Under investigation, waiting for the complainant, an extension asked for; a canned reply is ready."""
    actor, now = Actor.staff(by), timezone.now()
    given = {
        "kind": "COMPLAINT",
        "channel": "PHONE",
        "topic": "WRONG_CLOSING",
        "text": "不是我申请的",
        **given,
    }
    complaint = complaints.register(ticket_id=ticket.pk, actor=actor, now=now, **given)
    on_it = {"complaint_id": complaint.pk, "actor": actor, "now": now}
    complaints.accept(**on_it)
    complaints.investigate(**on_it)
    complaints.wait_for_customer(text="请提供截图", **on_it)
    complaints.ask_extension(level="COMPLEX", ground="waiting for the partner", **on_it)
    lead = Actor.staff(factories.a_user("compliance_lead"))
    title = f"reply {complaint.number}"
    complaints.canned.write(title=title, body="投诉 {{ number }}：{{ outcome }}", actor=lead, now=now)
    return Complaint.objects.get(pk=complaint.pk)


def decided(complaint: Complaint) -> Complaint:
    lead = Actor.staff(factories.a_user("compliance_lead"))
    return complaints.decide(
        complaint_id=complaint.pk, outcome="NOT_UPHELD", text="理由", actor=lead, now=timezone.now()
    )


def answered(complaint: Complaint, *, text: str = "已核实，答复如下。") -> Complaint:
    handler = decided(complaint).handler
    assert handler is not None
    return complaints.reply(
        complaint_id=complaint.pk, text=text, actor=Actor.staff(handler), now=timezone.now()
    )


def former_customer(*, until: date) -> Customer:
    """Only stored, and his data may go on `until`."""
    customer = factories.a_person(standing="RESTRICTED")
    row = LenderRelationship(
        customer=customer,
        lender=Lender.objects.first(),
        started_on=until.replace(year=until.year - 12),
        ended_on=until.replace(year=until.year - 10, day=1),
        retain_until=until,
    )
    save_as(row, actor=MACHINE, reason="test")
    return customer


def kept_and_destroyed(ticket: ClosureTicket, *, by: User, now: datetime) -> None:
    """A pack, a request for deletion, a proposed list with its customer, and a file for the bureau."""
    actor = Actor.staff(by)
    evidence.make_pack(ticket_id=ticket.pk, language="en", actor=actor, now=now)
    agent = Actor.staff(factories.a_user("agent"))
    retention.request_deletion(customer_id=ticket.account.customer_id, channel="AGENT", actor=agent, now=now)
    former_customer(until=timezone.localdate(now))
    retention.propose_new(actor=actor, now=now)
    values = dict.fromkeys(reporting.COLUMNS, "x")
    digest = hashlib.sha256(reporting.as_csv([values])).hexdigest()
    today = timezone.localdate(now)
    report = BureauReport(
        number="BR1", from_on=today, to_on=today, state_since=now, lines=1, content_hash=digest
    )
    save_as(report, actor=MACHINE, reason="test")
    BureauRecord.objects.create(report=report, ticket=ticket, values=values)


# --- Looking ---------------------------------------------------------------------------------------


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return client


def page(client: Client, ticket: ClosureTicket) -> str:
    answer = client.get(reverse("admin:closures_closureticket_change", args=[ticket.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def dialog_url(row: Any, name: str) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])


def everything() -> dict[str, Any]:
    """What the database holds that a click could change."""
    return {
        model.__name__: list(model.objects.order_by("pk").values())
        for model in (ClosureTicket, Hold, UnbindTask, Notice, LedgerCommand, IdentityReveal)
    } | {"history": ClosureTicket.history.count() + Hold.history.count() + UnbindTask.history.count()}


def a_campaign(*, by: User, now: datetime, second: User | None = None, members: int = 2) -> Campaign:
    """A campaign whose pilot is under way: run dry, approved by another lead, frozen, one member open."""
    rows = [an_account("BAITIAO") for _ in range(members)]
    lead, other = Actor.staff(by), Actor.staff(second or factories.a_user("compliance_lead"))
    campaign = campaigns.draft(
        title="白条停办", legal_basis="业务调整决定，合同第九条", product=rows[0].product,
        population='product = "BAITIAO"', effective_on=localdate(now), wave_percents=[100],
        actor=lead, now=now,
    )  # fmt: skip
    dry = campaigns.dry_run(campaign_id=campaign.pk, actor=lead, now=now)
    campaigns.approve(
        campaign_id=campaign.pk, seen_plan=dry.plan_hash, seen_population=dry.population_hash,
        ground="依据充分", actor=other, now=now,
    )  # fmt: skip
    campaigns.freeze(campaign_id=campaign.pk, actor=lead, now=now)
    campaigns.start_pilot(campaign_id=campaign.pk, actor=lead, now=now)
    campaigns.run(clock=lambda: now)
    campaign.refresh_from_db()
    return campaign
