"""One row of every model, as little of it as its constraints ask for."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.utils import timezone

from accounts.actors import SHIPPED
from accounts.models import (
    ClosedAccountMovement,
    CreditAccount,
    CreditProduct,
    Lender,
    LenderRelationship,
    Regulation,
)
from accounts.tracking import save_as
from closures.models import (
    ApiCall,
    ApiClient,
    BackTest,
    BureauRecord,
    BureauReport,
    Campaign,
    CampaignDepartment,
    CampaignEntry,
    CampaignMember,
    CampaignMilestone,
    CannedReply,
    ClosureTicket,
    Complaint,
    ComplaintExtension,
    ComplaintPause,
    DeletionRequest,
    DestructionItem,
    DestructionList,
    DryRun,
    Hold,
    IdentityCode,
    LabelledOutcome,
    LedgerCommand,
    Notice,
    NoticeTemplate,
    PartnerCallback,
    PostClosureItem,
    Reversal,
    RiskAlert,
    RiskAppeal,
    RiskRule,
    RiskScan,
    UnbindTask,
    Webhook,
)
from tests.factories import a_customer, a_user, an_account, an_agreement, counter

NOW = timezone.now()
LATER = NOW + timedelta(seconds=1)


def a_ticket(account: CreditAccount | None = None, **fields: Any) -> ClosureTicket:
    row = ClosureTicket(
        number=f"CTY{next(counter)}", account=account or an_account(), reason="CUSTOMER_REQUEST",
        channel="AGENT", state_since=NOW, requested_at=NOW, **fields,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_task(**fields: Any) -> UnbindTask:
    ticket = a_ticket()
    row = UnbindTask(
        ticket=ticket,
        agreement=an_agreement(ticket.account),
        key=f"t{next(counter)}",
        state_since=NOW,
        **fields,
    )
    return save_as(row, actor=SHIPPED, reason="test")


def a_notice(**fields: Any) -> Notice:
    ticket = a_ticket()
    row = Notice(
        about=ticket.number, ticket=ticket,
        customer=ticket.account.customer, kind="RECEIVED", channel="EMAIL", language="en",
        template=NoticeTemplate.objects.first(), key=f"n{next(counter)}", state_since=NOW, **fields,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_regulation(**fields: Any) -> Regulation:
    row = Regulation(
        code="TEST", value="1", unit="years", source="x", certainty="OURS", valid_from=date(2026, 1, 1),
        proposed_by=a_user(), **fields,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_complaint(**fields: Any) -> Complaint:
    row = Complaint(
        number=f"CPY{next(counter)}", customer=a_customer(), kind="COMPLAINT", channel="APP", topic="FEES",
        state_since=NOW, received_on=date(2026, 2, 2), registered_at=NOW, clock_started_on=date(2026, 2, 2),
        due_on=date(2026, 2, 24), due_rule=Regulation.objects.get(code="COMPLAINT_SIMPLE"), **fields,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def an_extension(**fields: Any) -> ComplaintExtension:
    complaint = a_complaint()
    row = ComplaintExtension(
        complaint=complaint, clock=1, level="COMPLEX", from_due_on=complaint.due_on,
        from_rule=complaint.due_rule, to_due_on=date(2026, 3, 4), to_rule=complaint.due_rule,
        asked_by=a_user(), asked_at=NOW, **fields,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_pause() -> ComplaintPause:
    row = ComplaintPause(complaint=a_complaint(), started_on=date(2026, 2, 3))
    return save_as(row, actor=SHIPPED, reason="test")


def a_canned_reply() -> CannedReply:
    return save_as(CannedReply(title=f"T{next(counter)}", body="x"), actor=SHIPPED, reason="test")


def a_reversal(**fields: Any) -> Reversal:
    row = Reversal(
        number=f"RVY{next(counter)}", ticket=a_ticket(), source="OWN_FINDING", root_cause="PROCESS",
        ground="x", state_since=NOW, asked_by=a_user(), asked_at=NOW, **fields,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_granted_reversal(**fields: Any) -> Reversal:
    rule = Regulation.objects.get(code="BUREAU_CORRECTION")
    return a_reversal(
        approved_by=a_user(),
        new_account=an_account(),
        bureau_due_on=date(2026, 2, 24),
        bureau_rule=rule,
        **fields,
    )


def an_item(**fields: Any) -> PostClosureItem:
    values = {"kind": "REFUND", "direction": "TO_CUSTOMER", "amount": 1, "source": "LEDGER", **fields}
    row = PostClosureItem(
        number=f"PMY{next(counter)}", account=an_account(), external_ref=f"r{next(counter)}", occurred_at=NOW,
        found_at=NOW, state_since=NOW, **values,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_movement() -> ClosedAccountMovement:
    return ClosedAccountMovement.objects.create(
        account=an_account(), ledger_as_of=NOW, digest="d", recorded_at=NOW
    )


def a_deletion() -> DeletionRequest:
    row = DeletionRequest(
        number=f"DR{next(counter)}", customer=a_customer(), channel="AGENT", state_since=NOW,
        requested_at=NOW, answer_due_on=NOW.date(), answer_rule=Regulation.objects.get(code="ANSWER_DUE"),
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_destruction() -> DestructionList:
    row = DestructionList(number=f"DL{next(counter)}", state_since=NOW, as_of_on=NOW.date())
    return save_as(row, actor=SHIPPED, reason="test")


def a_destruction_item() -> DestructionItem:
    row = DestructionItem(
        listing=a_destruction(), customer=a_customer(), retain_until=NOW.date(), state_since=NOW
    )
    return save_as(row, actor=SHIPPED, reason="test")


def a_campaign(**fields: Any) -> Campaign:
    row = Campaign(
        number=f"CMY{next(counter)}", state_since=NOW, title="x", legal_basis="x", product=a_product(),
        effective_on=NOW.date(), wave_percents=[100], author=a_user(), **fields,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def an_approved_campaign(**fields: Any) -> Campaign:
    return a_campaign(
        approver=a_user(), approved_at=NOW, plan_hash="p", population_hash="q", state="APPROVED", **fields
    )


def a_member(**fields: Any) -> CampaignMember:
    return CampaignMember.objects.create(campaign=a_campaign(), account=an_account(), **fields)


def a_department() -> CampaignDepartment:
    row = CampaignDepartment(campaign=a_campaign(), department="x", owner=a_user(), duty="x")
    return save_as(row, actor=SHIPPED, reason="test")


def a_milestone() -> CampaignMilestone:
    row = CampaignMilestone(campaign=a_campaign(), title="x", due_on=NOW.date())
    return save_as(row, actor=SHIPPED, reason="test")


def an_entry() -> CampaignEntry:
    return CampaignEntry.objects.create(campaign=a_campaign(), account=an_account())


def a_dry_run() -> DryRun:
    return DryRun.objects.create(campaign=a_campaign(), made_at=NOW, total=2, included=1, excluded=1)


def a_report() -> BureauReport:
    row = BureauReport(number=f"BR{next(counter)}", from_on=NOW.date(), to_on=NOW.date(), state_since=NOW)
    return save_as(row, actor=SHIPPED, reason="test")


def a_record() -> BureauRecord:
    return BureauRecord.objects.create(report=a_report(), ticket=a_ticket())


def a_hold() -> Hold:
    row = Hold(ticket=a_ticket(), kind="LEGAL", ground="x", opened_at=NOW)
    return save_as(row, actor=SHIPPED, reason="test")


def a_code(**fields: Any) -> IdentityCode:
    ticket = a_ticket()
    row = IdentityCode(
        ticket=ticket, customer=ticket.account.customer, purpose="WITHDRAW", identity_version=1,
        key=f"i{next(counter)}", state_since=NOW, issued_at=NOW, expires_at=LATER, tries_allowed=5, **fields,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_command() -> LedgerCommand:
    row = LedgerCommand(account=an_account(), verb="FREEZE", key=f"c{next(counter)}", state_since=NOW)
    return save_as(row, actor=SHIPPED, reason="test")


def a_client() -> ApiClient:
    row = ApiClient(key_id=f"k{next(counter)}", name="x", state_since=NOW, rotated_at=NOW)
    return save_as(row, actor=SHIPPED, reason="test")


def a_call() -> ApiCall:
    return ApiCall.objects.create(
        client=a_client(), nonce="n", idempotency_key="key", received_at=NOW, expires_at=NOW
    )


def a_webhook() -> Webhook:
    row = Webhook(
        client=a_client(), ticket=a_ticket(), event_id=f"e{next(counter)}", kind="closure.closed",
        occurred_at=NOW, state_since=NOW,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_relationship() -> LenderRelationship:
    row = LenderRelationship(
        customer=a_customer(), lender=Lender.objects.first(), started_on=date(2024, 1, 1)
    )
    return save_as(row, actor=SHIPPED, reason="test")


def a_product() -> CreditProduct:
    return CreditProduct.objects.first()


def a_callback() -> PartnerCallback:
    return PartnerCallback.objects.create(
        partner="ALIPAY", event_id="e", kind="k", body_sealed="", received_at=NOW
    )


RULE = {
    "title": "T", "title_en": "T", "condition": "owed = 0", "action": "MONITOR", "severity": "LOW",
    "cap_per_run": 1, "cap_per_day": 1, "dedupe_window": timedelta(days=1), "sentence": "S",
    "sentence_en": "S", "state_since": NOW, "edited_at": NOW,
}  # fmt: skip


def a_rule(state: str = "DRAFT", **fields: Any) -> RiskRule:
    fields = {"edited_by": a_user(), "activated_by": a_user(), "activated_at": NOW, **fields}
    row = RiskRule(code=f"R{next(counter)}", **{**RULE, **fields})
    save_as(row, actor=SHIPPED, reason="test")
    row.backtest = BackTest.objects.create(rule=row, made_at=NOW, made_by=a_user())
    save_as(row, actor=SHIPPED, reason="test")
    RiskRule.objects.filter(pk=row.pk).update(state=state)  # a rule at work has its back-test
    return RiskRule.objects.get(pk=row.pk)


def a_scan(**fields: Any) -> RiskScan:
    return RiskScan.objects.create(rule=a_rule(), started_at=NOW, **fields)


def an_outcome() -> LabelledOutcome:
    return LabelledOutcome.objects.create(
        account=an_account(), labels="x", defaulted=True, as_of_on=NOW.date()
    )


def an_alert(**fields: Any) -> RiskAlert:
    rule = a_rule()
    row = RiskAlert(
        number=f"RAY{next(counter)}", rule=rule, code=rule.code, severity="LOW", account=an_account(),
        sentence="S", sentence_en="S", state_since=NOW, raised_at=NOW, last_seen_at=NOW, **fields,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def an_appeal(**fields: Any) -> RiskAppeal:
    row = RiskAppeal(
        number=f"APY{next(counter)}", alert=an_alert(), ground="x", raised_at=NOW, state_since=NOW, **fields
    )
    return save_as(row, actor=SHIPPED, reason="test")
