"""Every state × every transition, and every transition × every role, generated from the models.

The tables below are written by hand from the specification; the models are held against them, not the
other way round.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django_fsm import FSMField

from accounts.actors import SHIPPED, Actor, ActorKind
from accounts.models import (
    CreditAccount,
    CreditProduct,
    Customer,
    PartnerAgreement,
    Regulation,
    User,
)
from accounts.roles import Role
from accounts.tracking import NotPermitted, NotPossible, Rule, move, permitted, save_as
from closures.models import (
    ApiClient,
    BureauReport,
    Campaign,
    CampaignMember,
    CannedReply,
    ClosureTicket,
    Complaint,
    ComplaintExtension,
    DeletionRequest,
    DestructionItem,
    DestructionList,
    Hold,
    IdentityCode,
    LedgerCommand,
    Notice,
    NoticeTemplate,
    PostClosureItem,
    Reversal,
    RiskAlert,
    RiskAppeal,
    RiskRule,
    UnbindTask,
    Webhook,
)
from closures.models.tickets import Reason
from tests.factories import a_customer, a_user, an_account, an_agreement, counter
from tests.models import rows

pytestmark = pytest.mark.django_db

NOW = datetime.fromisoformat("2026-01-12T10:00:00+08:00")
JOB = Actor.job("test")

# --- Which state may follow which (SPEC §2, §3, §4, §5) -----------------------------------------------

OPEN_LINE = ("ACTIVE", "LOCKED", "FROZEN", "CLOSING")
EDGES: dict[type[models.Model], dict[str, str]] = {
    ClosureTicket: {
        "SUBMITTED": "BLOCKED IN_REVIEW NOTICE_PERIOD REJECTED WITHDRAWN CANCELLED",
        "BLOCKED": "IN_REVIEW NOTICE_PERIOD REJECTED WITHDRAWN CANCELLED",
        "IN_REVIEW": "BLOCKED NOTICE_PERIOD REJECTED WITHDRAWN CANCELLED",
        "NOTICE_PERIOD": "SETTLING UNBINDING IN_REVIEW WITHDRAWN CANCELLED",
        "SETTLING": "UNBINDING IN_REVIEW WITHDRAWN CANCELLED",
        "UNBINDING": "CLOSING SETTLING CANCELLED",
        "CLOSING": "CLOSED SETTLING UNBINDING CANCELLED",
        "CLOSED": "REVERSED",
        "REVERSED": "",
        "REJECTED": "",
        "WITHDRAWN": "",
        "CANCELLED": "",
    },
    UnbindTask: {
        "PENDING": "SENDING UNBOUND MANUAL CANCELLED",
        "SENDING": "CONFIRMING UNKNOWN PENDING DEAD",
        "CONFIRMING": "UNBOUND UNKNOWN PENDING DEAD",
        "UNKNOWN": "UNBOUND ABSENT PENDING DEAD",
        "DEAD": "PENDING MANUAL WAIVED CANCELLED",
        # Waived: our choice; without it two people would first have to declare it dead again.
        "MANUAL": "UNBOUND DEAD CANCELLED WAIVED",
        "UNBOUND": "",
        "ABSENT": "",
        "WAIVED": "",
        "CANCELLED": "",
    },
    Notice: {
        "PENDING": "SENDING CANCELLED",
        "SENDING": "SENT UNKNOWN FAILED PENDING",
        "UNKNOWN": "SENT DELIVERED PENDING",
        "SENT": "DELIVERED FAILED EXPIRED",
        "DELIVERED": "",
        "FAILED": "",
        "EXPIRED": "",
        "CANCELLED": "",
    },
    LedgerCommand: {
        "PENDING": "SENDING DEAD",
        "SENDING": "DONE UNKNOWN PENDING DEAD",
        "UNKNOWN": "DONE PENDING DEAD",
        "DEAD": "PENDING",
        "DONE": "",
    },
    Hold: {"OPEN": "LIFTED", "LIFTED": ""},
    Complaint: {
        "RECEIVED": "REGISTERED OUT_OF_SCOPE WITHDRAWN MERGED",
        "REGISTERED": "INVESTIGATING WITHDRAWN MERGED",
        "OUT_OF_SCOPE": "",
        "INVESTIGATING": "DECIDED WITHDRAWN MERGED",
        "DECIDED": "REPLIED",
        "REPLIED": "CLOSED REVIEW_REQUESTED",
        "CLOSED": "REVIEW_REQUESTED",
        "REVIEW_REQUESTED": "REVIEWED",
        # Our choice: a reviewed complaint is closed as well, which ends its hold and leaves the worklist.
        "REVIEWED": "CLOSED",
        "WITHDRAWN": "",
        "MERGED": "",
    },
    ComplaintExtension: {"ASKED": "APPROVED REFUSED LAPSED", "APPROVED": "", "REFUSED": "", "LAPSED": ""},
    CannedReply: {"ACTIVE": "RETIRED", "RETIRED": "ACTIVE"},
    Reversal: {"PROPOSED": "OPENING REJECTED", "OPENING": "DONE", "DONE": "", "REJECTED": ""},
    PostClosureItem: {
        "SUSPENSE": "PAYING RECEIVABLE OFFSET",
        "PAYING": "PAID_OUT",
        "RECEIVABLE": "SETTLED WRITTEN_OFF",
        "PAID_OUT": "",
        "SETTLED": "",
        "WRITTEN_OFF": "",
        "OFFSET": "",
    },
    DeletionRequest: {"RECEIVED": "ANSWERED", "ANSWERED": "ERASED", "ERASED": ""},
    DestructionList: {
        "DRAFT": "PROPOSED CANCELLED",
        "PROPOSED": "APPROVED CANCELLED",
        "APPROVED": "DONE CANCELLED",
        "DONE": "",
        "CANCELLED": "",
    },
    DestructionItem: {"WAITING": "ERASED SKIPPED", "ERASED": "", "SKIPPED": ""},
    BureauReport: {
        "PREPARED": "SUBMITTED",
        "SUBMITTED": "ACCEPTED REJECTED",
        "ACCEPTED": "CORRECTED",
        "REJECTED": "CORRECTED",
        "CORRECTED": "",
    },
    # Voided: back to DRAFT. Aborted also before it begins: our choice, else a bad draft stays for ever.
    Campaign: {
        "DRAFT": "APPROVED ABORTED",
        "APPROVED": "FROZEN DRAFT ABORTED",
        "FROZEN": "PILOT DRAFT ABORTED",
        "PILOT": "RUNNING PAUSED ABORTED",
        "RUNNING": "PAUSED COMPLETED ABORTED",
        "PAUSED": "PILOT RUNNING ABORTED",
        "COMPLETED": "",
        "ABORTED": "",
    },
    IdentityCode: {
        "PENDING": "SENDING VERIFIED USED_UP LAPSED CANCELLED",
        "SENDING": "SENT UNKNOWN PENDING FAILED VERIFIED USED_UP LAPSED CANCELLED",
        "UNKNOWN": "SENT PENDING VERIFIED USED_UP LAPSED CANCELLED",
        "SENT": "VERIFIED USED_UP LAPSED CANCELLED",
        "VERIFIED": "",
        "USED_UP": "",
        "LAPSED": "",
        "FAILED": "",
        "CANCELLED": "",
    },
    ApiClient: {"ACTIVE": "DISABLED", "DISABLED": "ACTIVE"},
    Webhook: {
        "PENDING": "SENDING DEAD",
        "SENDING": "DELIVERED PENDING DEAD",
        "DELIVERED": "",
        "DEAD": "PENDING",
    },
    User: {
        "INVITED": "ACTIVE LEFT",
        "ACTIVE": "SUSPENDED LEFT",
        "SUSPENDED": "ACTIVE LEFT",
        "LEFT": "",
    },
    Customer: {"ACTIVE": "RESTRICTED", "RESTRICTED": "ACTIVE ERASED", "ERASED": ""},
    CreditProduct: {
        "DRAFT": "OFFERED",
        "OFFERED": "SUSPENDED WITHDRAWN",
        "SUSPENDED": "OFFERED WITHDRAWN",
        "WITHDRAWN": "",
    },
    CreditAccount: {
        **{state: " ".join(OPEN_LINE) for state in OPEN_LINE[:3]},
        "CLOSING": " ".join((*OPEN_LINE, "CLOSED")),
        "CLOSED": "",
    },
    PartnerAgreement: {
        "BOUND": "UNBINDING UNBOUND LAPSED",
        "UNBINDING": "UNBOUND LAPSED BOUND",
        "UNBOUND": "",
        "LAPSED": "",
    },
    Regulation: {"PROPOSED": "IN_FORCE REJECTED", "IN_FORCE": "", "REJECTED": ""},
    RiskRule: {
        "DRAFT": "SHADOW RETIRED",
        "SHADOW": "ACTIVE RETIRED",
        "ACTIVE": "RETIRED",
        "RETIRED": "",
    },
    RiskAlert: {
        # PROPOSED at once: by a rule whose action says so.
        "NEW": "TRIAGED PROPOSED DISMISSED",
        "TRIAGED": "PROPOSED DISMISSED",
        "PROPOSED": "TICKETED DISMISSED",
        "TICKETED": "",
        "DISMISSED": "",
    },
    RiskAppeal: {"OPEN": "GRANTED DENIED", "GRANTED": "", "DENIED": ""},
}

# --- Who may move what (SPEC §7) ----------------------------------------------------------------------

MACHINE: frozenset[str] = frozenset()  # nobody on the staff: the job that owns the state
ANYBODY = frozenset(Role)  # a consequence: the service that causes it has checked the right
REVIEWERS = frozenset({Role.REVIEWER, Role.LEAD})
LENDERS_DECISIONS = frozenset({Role.LEAD})
RISK = frozenset({Role.RISK})
RISK_OR_LEAD = frozenset({Role.RISK, Role.LEAD})
RIGHTS: dict[type[models.Model], dict[str, frozenset[str]]] = {
    ClosureTicket: {
        **dict.fromkeys(
            (
                "block", "send_to_review", "pass_straight_through", "refuse_overdue", "return_to_review",
                "start_settling", "start_unbinding", "unbind_settled", "resume_unbinding", "settle_again",
                "start_closing", "close", "approve_by_campaign", "call_off",
            ),
            MACHINE,
        ),
        "approve": REVIEWERS,
        "reject": REVIEWERS,
        "withdraw": frozenset({Role.AGENT}),
        "cancel": REVIEWERS,
        "reverse": LENDERS_DECISIONS,
    },
    UnbindTask: {
        **dict.fromkeys(
            (
                "send", "hand_over", "await_confirmation", "lose_sight", "put_back", "prove", "find_absent",
                "give_up",
            ),
            MACHINE,
        ),
        **dict.fromkeys(("revive", "take_over", "abandon", "confirm"), frozenset({Role.OPERATOR})),
        "waive": frozenset({Role.LEAD}),
        "cancel": ANYBODY,
    },
    Notice: {
        **dict.fromkeys(
            ("send", "mark_sent", "lose_sight", "put_back", "arrive", "fail", "expire"), MACHINE
        ),
        "cancel": ANYBODY,
        "prove_arrival": REVIEWERS,
    },
    LedgerCommand: {
        **dict.fromkeys(("send", "finish", "lose_sight", "put_back", "give_up"), MACHINE),
        "revive": frozenset({Role.OPERATOR}),
    },
    Hold: {"lift": REVIEWERS, "end": ANYBODY},
    Complaint: {
        **dict.fromkeys(
            ("accept", "declare_out_of_scope", "investigate", "reply", "close", "request_review",
             "withdraw", "merge"),
            frozenset({Role.AGENT}),
        ),
        **dict.fromkeys(("decide", "decide_review"), REVIEWERS),
    },
    ComplaintExtension: {**dict.fromkeys(("approve", "refuse"), REVIEWERS), "lapse": ANYBODY},
    CannedReply: dict.fromkeys(("retire", "revive"), frozenset({Role.LEAD})),
    Reversal: {"approve": LENDERS_DECISIONS, "reject": LENDERS_DECISIONS, "finish": MACHINE},
    PostClosureItem: {
        **dict.fromkeys(("pay_out", "book", "settle"), REVIEWERS),
        "write_off": LENDERS_DECISIONS,
        "prove_paid": MACHINE,
        "offset": ANYBODY,
    },
    DeletionRequest: {"answer": REVIEWERS, "erase": MACHINE},
    DestructionList: {
        "propose": REVIEWERS,
        "approve": frozenset({Role.LEAD}),
        "cancel": REVIEWERS,
        "finish": MACHINE,
    },
    DestructionItem: {"erase": MACHINE, "skip": MACHINE, "take_off": REVIEWERS, "call_off": ANYBODY},
    BureauReport: dict.fromkeys(("submit", "accept", "reject", "correct"), REVIEWERS),
    Campaign: {
        **dict.fromkeys(
            ("approve", "freeze", "start_pilot", "start_waves", "resume_pilot", "resume_waves", "abort"),
            frozenset({Role.LEAD}),
        ),
        "pause": frozenset({Role.LEAD, Role.OPERATOR}),
        "void": ANYBODY,
        "complete": MACHINE,
    },
    IdentityCode: {
        **dict.fromkeys(("send", "mark_sent", "lose_sight", "put_back", "fail", "lapse"), MACHINE),
        **dict.fromkeys(("verify", "use_up", "cancel"), ANYBODY),
    },
    ApiClient: dict.fromkeys(("disable", "enable"), frozenset({Role.SECURITY})),
    Webhook: {
        **dict.fromkeys(("send", "arrive", "put_back", "give_up"), MACHINE),
        "revive": frozenset({Role.OPERATOR}),
    },
    User: dict.fromkeys(("activate", "suspend", "reinstate", "leave"), frozenset({Role.ADMINISTRATOR})),
    Customer: {"restrict": ANYBODY, "resume": ANYBODY, "erase": MACHINE},
    CreditProduct: dict.fromkeys(("offer", "suspend", "resume", "withdraw"), frozenset({Role.LEAD})),
    CreditAccount: dict.fromkeys(("thaw", "lock", "freeze", "start_closing", "close"), ANYBODY),
    PartnerAgreement: dict.fromkeys(("start_unbinding", "unbind", "lapse", "keep"), ANYBODY),
    Regulation: dict.fromkeys(("approve", "reject"), frozenset({Role.LEAD})),
    RiskRule: {
        **dict.fromkeys(("to_shadow", "retire"), RISK),
        "activate": RISK_OR_LEAD,
        "supersede": ANYBODY,
    },
    RiskAlert: {
        **dict.fromkeys(("triage", "propose", "ask_closing", "dismiss"), RISK),
        "propose_by_rule": MACHINE,
        "uphold_appeal": RISK_OR_LEAD,
    },
    RiskAppeal: dict.fromkeys(("grant", "deny"), RISK_OR_LEAD),
}  # fmt: skip
# Actors that are no staff may make a move that needs no permission, and these besides.
ALSO = {
    (ClosureTicket, "withdraw"): {ActorKind.CUSTOMER},
    (Complaint, "withdraw"): {ActorKind.CUSTOMER},
    (Complaint, "request_review"): {ActorKind.CUSTOMER},
    (User, "activate"): {ActorKind.SHIPPED},
    (Campaign, "pause"): {ActorKind.JOB},  # a guard-rail
}


# --- What the models say ------------------------------------------------------------------------------


def fsm_models() -> dict[type[models.Model], FSMField]:
    found = {}
    for label in ("accounts", "closures"):
        for model in apps.get_app_config(label).get_models():
            fields = [f for f in model._meta.concrete_fields if isinstance(f, FSMField)]
            if fields and not hasattr(model, "instance_type"):  # history copies the column, not the machine
                (found[model],) = fields
    return found


def transitions(model: type[models.Model]) -> list[Any]:
    return list(fsm_models()[model].get_all_transitions(model))


def edges(model: type[models.Model]) -> dict[tuple[str, str], str]:
    """(state, transition) → the state it leads to."""
    return {(str(t.source), t.name): str(t.target) for t in transitions(model)}


ALL_MODELS = sorted(EDGES, key=lambda model: model.__name__)
NAMED = [(model, name) for model in ALL_MODELS for name in RIGHTS[model]]


def words(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


def test_every_model_with_a_life_cycle_is_in_the_tables() -> None:
    assert set(fsm_models()) == set(EDGES) == set(RIGHTS)


@pytest.mark.parametrize("model", ALL_MODELS, ids=words)
def test_the_legal_edges_are_those_of_the_specification(model: type[models.Model]) -> None:
    states = {str(value) for value, _label in fsm_models()[model].choices}
    assert states == set(EDGES[model])
    written = {(source, target) for source, targets in EDGES[model].items() for target in targets.split()}
    assert {(source, target) for (source, _name), target in edges(model).items()} == written


@pytest.mark.parametrize("model", ALL_MODELS, ids=words)
def test_every_transition_is_in_the_table_of_rights(model: type[models.Model]) -> None:
    assert {t.name for t in transitions(model)} == set(RIGHTS[model])


@pytest.mark.parametrize("model", ALL_MODELS, ids=words)
def test_states_are_protected_and_can_be_read_again(model: type[models.Model]) -> None:
    """A protected field without FSMModelMixin cannot be refreshed; one that is not protected can be set."""
    field = fsm_models()[model]
    assert field.protected
    row = ROWS[model]()
    with pytest.raises(AttributeError):
        setattr(row, field.name, "X")
    row.refresh_from_db()


# --- Rows that satisfy every constraint in every state ------------------------------------------------


def a_ticket(**fields: Any) -> ClosureTicket:
    asked, decided, second = a_user(), a_user(), a_user()
    account = fields.pop("account", None) or an_account(line_state="CLOSING", ledger_as_of=NOW)
    row = ClosureTicket(
        **{
            "number": f"CTX{next(counter)}",
            "account": account,
            "reason": Reason.CUSTOMER_REQUEST,
            "channel": "AGENT",
            "state_since": NOW,
            "requested_at": NOW,
            "requested_by": asked,
            "decided_by": decided,
            "cancel_asked_by": asked,
            "cancelled_by": second,
            "period_ends_at": NOW,
            "examined_as_of": NOW,
            "policy": {"cooling_off_seconds": 60},
            **fields,
        }
    )
    return save_as(row, actor=SHIPPED, reason="test")


def a_task() -> UnbindTask:
    ticket = a_ticket()
    row = UnbindTask(
        ticket=ticket,
        agreement=an_agreement(ticket.account),
        key=f"k{next(counter)}",
        state_since=NOW,
        evidence_by=a_user(),
        waiver_asked_by=a_user(),
        waived_by=a_user(),
    )
    return save_as(row, actor=SHIPPED, reason="test")


def a_notice() -> Notice:
    ticket = a_ticket()
    row = Notice(
        about=ticket.number,
        ticket=ticket,
        customer=ticket.account.customer,
        kind="RECEIVED",
        channel="SMS",
        language="en",
        template=NoticeTemplate.objects.first(),
        key=f"k{next(counter)}",
        state_since=NOW,
        delivered_at=NOW,
    )
    return save_as(row, actor=SHIPPED, reason="test")


def a_command() -> LedgerCommand:
    row = LedgerCommand(account=an_account(), verb="FREEZE", key=f"k{next(counter)}", state_since=NOW)
    return save_as(row, actor=SHIPPED, reason="test")


def a_hold() -> Hold:
    row = Hold(ticket=a_ticket(), kind="LEGAL", ground="x", opened_at=NOW, lifted_at=NOW)
    return save_as(row, actor=SHIPPED, reason="test")


def a_reversal() -> Reversal:
    row = Reversal(
        number=f"RVX{next(counter)}", ticket=a_ticket(), source="OWN_FINDING", root_cause="PROCESS",
        ground="x", state_since=NOW, asked_by=a_user(), asked_at=NOW, approved_by=a_user(), approved_at=NOW,
        new_account=an_account(), bureau_due_on=date(2026, 2, 24),
        bureau_rule=Regulation.objects.get(code="BUREAU_CORRECTION"),
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_deletion_request() -> DeletionRequest:
    row = DeletionRequest(
        number=f"DR{next(counter)}", customer=a_customer(), channel="AGENT", state_since=NOW,
        requested_at=NOW, answer_due_on=NOW.date(), answered_at=NOW, answered_by=a_user(),
        answer_rule=Regulation.objects.get(code="ANSWER_DUE"),
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def an_item() -> PostClosureItem:
    """Constraints tie states to directions: see `put`."""
    account = an_account()
    row = PostClosureItem(
        number=f"PMX{next(counter)}", account=account, kind="REFUND", direction="TO_CUSTOMER", amount=1,
        source="LEDGER", external_ref=f"r{next(counter)}", occurred_at=NOW, found_at=NOW, state_since=NOW,
        proof="B-1", write_off_asked_by=a_user(), written_off_by=a_user(), paid_by=a_user(),
        command=a_command(),
    )  # fmt: skip
    save_as(row, actor=SHIPPED, reason="test")
    row.offset_with = row
    return save_as(row, actor=SHIPPED, reason="test")


def a_destruction() -> DestructionList:
    row = DestructionList(
        number=f"DL{next(counter)}", state_since=NOW, as_of_on=NOW.date(), proposed_by=a_user(),
        approved_by=a_user(), wait_rule=Regulation.objects.get(code="DESTRUCTION_WAIT"),
        wait_ends_on=NOW.date(),
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_destruction_item() -> DestructionItem:
    row = DestructionItem(
        listing=a_destruction(), customer=a_customer(), retain_until=NOW.date(), state_since=NOW,
        reason_code="X",
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_report() -> BureauReport:
    row = BureauReport(
        number=f"BR{next(counter)}", from_on=NOW.date(), to_on=NOW.date(), state_since=NOW, receipt_no="R",
        submitted_at=NOW, submitted_by=a_user(),
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_campaign() -> Campaign:
    row = Campaign(
        number=f"CMX{next(counter)}", state_since=NOW, title="x", legal_basis="x", effective_on=NOW.date(),
        product=CreditProduct.objects.get(code="HUABEI"), wave_percents=[100], author=a_user(),
        approver=a_user(), approved_at=NOW, plan_hash="p", population_hash="q", paused_from="PILOT",
        pause_code="X", ended_at=NOW,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_client() -> ApiClient:
    row = ApiClient(key_id=f"k{next(counter)}", name="x", state_since=NOW, rotated_at=NOW)
    return save_as(row, actor=SHIPPED, reason="test")


def a_webhook() -> Webhook:
    row = Webhook(
        client=a_client(), ticket=a_ticket(), event_id=f"e{next(counter)}", kind="closure.closed",
        occurred_at=NOW, state_since=NOW,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_code() -> IdentityCode:
    ticket = a_ticket()
    row = IdentityCode(
        ticket=ticket,
        customer=ticket.account.customer,
        purpose="PROVE_REQUEST",
        identity_version=1,
        key=f"k{next(counter)}",
        state_since=NOW,
        issued_at=NOW,
        expires_at=NOW,
        ended_at=NOW,
        tries=1,
        tries_allowed=5,
    )
    return save_as(row, actor=SHIPPED, reason="test")


def a_regulation() -> Regulation:
    row = Regulation(
        code="TEST", value="1", unit="years", source="x", certainty="OURS", valid_from=date(2026, 1, 1),
        proposed_by=a_user(),
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_complaint(**fields: Any) -> Complaint:
    row = Complaint(
        number=f"CPX{next(counter)}", customer=a_customer(), kind="COMPLAINT", channel="APP", topic="FEES",
        state_since=NOW, received_on=NOW.date(), registered_at=NOW, clock_started_on=NOW.date(),
        due_on=date(2026, 1, 27), due_rule=Regulation.objects.get(code="COMPLAINT_SIMPLE"),
        scope_reason="QUESTION", decided_by=a_user(), decided_at=NOW, outcome="NOT_UPHELD", remedy="NONE",
        reviewed_by=a_user(), review_outcome="NOT_UPHELD", ended_at=NOW, **fields,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def an_extension() -> ComplaintExtension:
    complaint = a_complaint()
    row = ComplaintExtension(
        complaint=complaint, clock=1, level="COMPLEX", from_due_on=complaint.due_on,
        from_rule=complaint.due_rule, to_due_on=date(2026, 2, 11), to_rule=complaint.due_rule,
        asked_by=a_user(), asked_at=NOW, approved_by=a_user(), told_at=NOW,
    )  # fmt: skip
    return save_as(row, actor=SHIPPED, reason="test")


def a_canned_reply() -> CannedReply:
    return save_as(CannedReply(title=f"T{next(counter)}", body="x"), actor=SHIPPED, reason="test")


def an_alert() -> RiskAlert:
    return rows.an_alert(
        decided_by=a_user(), ticket=a_ticket(), dismiss_code="PAID", ended_at=NOW, dismiss_text="x"
    )


ROWS: dict[type[models.Model], Callable[[], Any]] = {
    ClosureTicket: a_ticket,
    UnbindTask: a_task,
    Notice: a_notice,
    LedgerCommand: a_command,
    Hold: a_hold,
    Complaint: a_complaint,
    ComplaintExtension: an_extension,
    CannedReply: a_canned_reply,
    Reversal: a_reversal,
    PostClosureItem: an_item,
    DeletionRequest: a_deletion_request,
    DestructionList: a_destruction,
    DestructionItem: a_destruction_item,
    BureauReport: a_report,
    Campaign: a_campaign,
    IdentityCode: a_code,
    ApiClient: a_client,
    Webhook: a_webhook,
    User: a_user,
    Customer: a_customer,
    CreditProduct: lambda: CreditProduct.objects.get(code="HUABEI"),
    CreditAccount: lambda: an_account(closed_at=NOW),
    PartnerAgreement: lambda: an_agreement(an_account()),
    Regulation: a_regulation,
    RiskRule: rows.a_rule,
    RiskAlert: an_alert,
    RiskAppeal: lambda: rows.an_appeal(decided_by=a_user(), answer="x"),
}


def put(row: Any, state: str) -> Any:
    """The row in that state, as if it had come there."""
    field = fsm_models()[type(row)]
    also: dict[str, Any] = {}
    if isinstance(row, Regulation):
        also = {"approved_by": None if state == "PROPOSED" else a_user()}
    if isinstance(row, Complaint):
        also = {"merged_into": a_complaint() if state == "MERGED" else None}
    if isinstance(row, PostClosureItem):
        also = {
            "direction": "BY_CUSTOMER" if state in ("RECEIVABLE", "SETTLED", "WRITTEN_OFF") else "TO_CUSTOMER"
        }
    type(row)._base_manager.filter(pk=row.pk).update(**{field.name: state, **also})
    return type(row)._base_manager.get(pk=row.pk)


def stored(row: Any) -> tuple[Any, int]:
    values = type(row)._base_manager.filter(pk=row.pk).values().get()
    return values, row.history.count()


OF_A_COMPLAINT: dict[str, Callable[[], Any]] = {
    "outcome": lambda: "UPHELD",
    "remedy": lambda: "RECORDED",
    "compensation": lambda: Decimal("5.00"),
    "review_until": lambda: date(2026, 3, 2),
    "review_requested_on": lambda: date(2026, 2, 2),
    "review_due_on": lambda: date(2026, 3, 4),
    "review_rule": lambda: Regulation.objects.get(code="COMPLAINT_REVIEW_DECISION"),
}
FITTING: dict[str, Callable[[Any], Any]] = {
    "certificate": lambda row: {},
    "paused_from": lambda row: "PILOT",
    "author": lambda row: a_user(),
    "accepted": lambda row: {},
    "new_account": lambda row: an_account(),
    "bureau_due_on": lambda row: date(2026, 2, 24),
    "bureau_rule": lambda row: Regulation.objects.get(code="BUREAU_CORRECTION"),
    "command": lambda row: a_command(),
    "offset_with": lambda row: row,
    "backtest": lambda row: row.backtest,
    "ticket": lambda row: a_ticket(),
}


def arguments(row: Any, name: str) -> dict[str, Any]:
    """Something for every value that the transition takes."""
    given: dict[str, Any] = {}
    for parameter in inspect.signature(getattr(type(row), name)).parameters:
        if parameter.endswith("_by"):
            given[parameter] = a_user()
        elif parameter == "merged_into":
            given[parameter] = a_complaint()
        elif parameter == "handler":
            given[parameter] = a_user()
        elif parameter in OF_A_COMPLAINT:
            given[parameter] = OF_A_COMPLAINT[parameter]()
        elif parameter.endswith("_at"):
            given[parameter] = NOW
        elif parameter.endswith("_on"):
            given[parameter] = NOW.date()
        elif parameter.endswith("_rule"):
            given[parameter] = Regulation.objects.filter(shipped=True).first()
        elif parameter in ("end_codes", "changes", "kept"):
            given[parameter] = ["X"]
        elif parameter in FITTING:
            given[parameter] = FITTING[parameter](row)
        elif parameter in ("certificate", "proof"):
            given[parameter] = {}
        elif parameter != "self":
            given[parameter] = "X"
    return given


def whoever_may(row: Any, name: str) -> Actor:
    if permitted(row, name, JOB):
        return JOB
    return Actor.staff(a_user(is_superuser=True))


# --- State × transition -------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "name"), NAMED, ids=words)
def test_from_every_other_state_it_is_refused_and_nothing_changes(
    model: type[models.Model], name: str
) -> None:
    row = ROWS[model]()
    actor = whoever_may(row, name)
    for state in EDGES[model]:
        if (state, name) in edges(model):
            continue
        row = put(row, state)
        before = stored(row)
        with pytest.raises(NotPossible) as refusal:
            move(row, name, actor=actor, reason="x", now=NOW, **arguments(row, name))
        assert stored(row) == before, (state, name)
        assert getattr(row, fsm_models()[model].name) == state
        assert "{" not in refusal.value.message


@pytest.mark.parametrize(("model", "name"), NAMED, ids=words)
def test_from_its_own_states_it_leads_where_it_should_and_is_recorded(
    model: type[models.Model], name: str
) -> None:
    field = fsm_models()[model].name
    for (state, edge), target in edges(model).items():
        if edge != name:
            continue
        row = put(ROWS[model](), state)
        if name == "start_settling":
            type(row.account).objects.filter(pk=row.account_id).update(credit_balance=1)
        if name == "book":
            row.direction = "BY_CUSTOMER"
        actor, before = whoever_may(row, name), row.history.count()
        later = NOW + timedelta(hours=1)
        move(row, name, actor=actor, reason="because", now=later, **arguments(row, name))
        row = model._base_manager.get(pk=row.pk)
        assert getattr(row, field) == target
        newest = row.history.latest("history_id")
        assert row.history.count() == before + 1
        assert (newest.history_actor, newest.history_change_reason) == (str(actor), "because")
        assert (newest.history_date, getattr(newest, field)) == (later, target)
        if hasattr(row, "state_since"):
            assert row.state_since == later
        if isinstance(row, Regulation | CreditProduct):
            row._meta.model._base_manager.filter(pk=row.pk).update(**{field: state})


# --- Conditions ---------------------------------------------------------------------------------------

OWING = {"credit_balance": 1}
# The campaign that opened the ticket: paused, aborted before unbinding began, not yet in effect.
STANDING_STILL: list[dict[str, Any]] = [
    {"campaign": {"state": "PAUSED"}},
    {"campaign": {"state": "ABORTED"}},
    {"campaign": {"state": "RUNNING", "effective_on": NOW.date() + timedelta(days=1)}},
]
BREAKS: dict[str, list[dict[str, Any]]] = {
    # transition: what, changed on ticket ("t") or account ("a"), makes its condition false
    "start_unbinding": [
        {"t": {"period_ends_at": NOW + timedelta(hours=2)}},
        {"t": {"period_ends_at": None}},
        {"a": {"principal": 1}},
        {"a": OWING},
        {"a": {"ledger_as_of": NOW + timedelta(minutes=1)}},
        {"t": {"reason": "POLICY"}},  # nobody has told the customer
        {"hold": True},
        {"agreement": True},
        *STANDING_STILL,
    ],
    "start_settling": [
        {"t": {"period_ends_at": NOW + timedelta(hours=2)}, "a": OWING},
        {"a": {**OWING, "ledger_as_of": NOW + timedelta(minutes=1)}},
        {"a": OWING, "t": {"reason": "RISK_CONTROL"}},
        {"a": OWING, "hold": True},
        *[{"a": OWING, **still} for still in STANDING_STILL],
        {"a": OWING, "agreement": True},
        {},  # nothing is owed either way
    ],
    "unbind_settled": [
        {"a": OWING},
        {"a": {"pending_orders": 1}},
        {"hold": True},
        *STANDING_STILL,
        {"t": {"unbinding_started_at": NOW}},
    ],
    "resume_unbinding": [{"a": OWING}, {"hold": True}, *STANDING_STILL],
    "start_closing": [
        {"a": {"line_state": "FROZEN"}},
        {"hold": True},
        *STANDING_STILL,
        {"agreement": True},
        {"task": True},
        {"elsewhere": True},
    ],
    "return_to_review": [{"t": {"unbinding_started_at": NOW}}],
    "call_off": [{"t": {"unbinding_started_at": NOW}}],
    "withdraw": [{"t": {"unbinding_started_at": NOW}}, {"t": {"reason": "POLICY"}}],
}
CASES = [(name, n) for name, breaks in BREAKS.items() for n in range(len(breaks))]


def test_every_condition_is_broken_once() -> None:
    conditional = {
        t.name for m in ALL_MODELS for t in transitions(m) if any(isinstance(c, Rule) for c in t.conditions)
    }
    assert conditional == set(BREAKS)


@pytest.mark.parametrize(("name", "n"), CASES)
def test_a_condition_that_does_not_hold_stops_the_move(name: str, n: int) -> None:
    change = BREAKS[name][n]
    for (state, edge), _target in edges(ClosureTicket).items():
        if edge != name:
            continue
        row = a_ticket(**change.get("t", {}))
        CreditAccount.objects.filter(pk=row.account_id).update(**change.get("a", {}))
        if change.get("hold"):
            hold = Hold(ticket=row, kind="LEGAL", ground="x", opened_at=NOW)
            save_as(hold, actor=SHIPPED, reason="x")
        if change.get("agreement"):
            an_agreement(row.account)
        if campaign := change.get("campaign"):
            Campaign._base_manager.filter(pk=(made := a_campaign()).pk).update(**campaign)
            CampaignMember.objects.create(
                campaign=made, account=row.account, ticket=row, entry="OPENED", opened_at=NOW
            )
        if change.get("elsewhere"):
            an_agreement(row.account, state="UNBINDING")
        if change.get("task"):
            agreement = an_agreement(row.account, state="UNBOUND")
            task = UnbindTask(ticket=row, agreement=agreement, key="k", state_since=NOW, state="DEAD")
            save_as(task, actor=SHIPPED, reason="x")
        row = put(row, state)
        before = stored(row)
        with pytest.raises(NotPossible):
            move(row, name, actor=whoever_may(row, name), reason="x", now=NOW, **arguments(row, name))
        assert stored(row) == before


# --- Role × transition --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ALL_MODELS, ids=words)
def test_each_role_may_make_exactly_its_moves(model: type[models.Model]) -> None:
    row = ROWS[model]()
    people = {role: Actor.staff(a_user(role)) for role in Role}
    for name, roles in RIGHTS[model].items():
        assert {role for role, actor in people.items() if permitted(row, name, actor)} == roles, name
        assert permitted(row, name, Actor.staff(a_user())) == (roles == ANYBODY), name


def test_what_the_lender_wants_only_the_compliance_lead_decides() -> None:
    people = {role: Actor.staff(a_user(role)) for role in Role}
    for reason in (Reason.RISK_CONTROL, Reason.POLICY):
        row = a_ticket(reason=reason, notice_arrived_at=NOW)
        for name in ("approve", "reject"):
            allowed = {role for role, actor in people.items() if permitted(row, name, actor)}
            assert allowed == LENDERS_DECISIONS


@pytest.mark.parametrize("model", ALL_MODELS, ids=words)
def test_machines_and_strangers_make_no_move_that_needs_a_person(model: type[models.Model]) -> None:
    row = ROWS[model]()
    others = [JOB, SHIPPED, Actor.partner("ALIPAY"), Actor(kind=ActorKind.CUSTOMER, name="C1")]
    for name, roles in RIGHTS[model].items():
        for actor in others:
            wanted = roles in (MACHINE, ANYBODY) or actor.kind in ALSO.get((model, name), ())
            assert permitted(row, name, actor) == wanted, (name, actor)


@pytest.mark.parametrize(("model", "name"), NAMED, ids=words)
def test_without_the_right_the_move_is_refused_from_every_state(model: type[models.Model], name: str) -> None:
    """The permission comes first: nobody learns a row's state by trying."""
    if RIGHTS[model][name] == ANYBODY:
        return
    row, nobody = ROWS[model](), Actor.staff(a_user())
    for state in EDGES[model]:
        row = put(row, state)
        before = stored(row)
        with pytest.raises(NotPermitted):
            move(row, name, actor=nobody, reason="x", now=NOW, **arguments(row, name))
        assert stored(row) == before


def test_a_former_member_of_staff_has_no_rights() -> None:
    row, person = a_ticket(), a_user(Role.REVIEWER, Role.AGENT)
    person = put(person, "LEFT")
    for name in ("approve", "reject", "withdraw", "cancel"):
        assert not permitted(row, name, Actor.staff(person))
