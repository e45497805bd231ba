"""What the database itself refuses, whoever writes: superuser, shell, bulk, another program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from accounts.actors import SHIPPED
from accounts.models import (
    CreditAccount,
    CreditProduct,
    Customer,
    Lender,
    LenderRelationship,
    LineRestriction,
    Regulation,
)
from accounts.tracking import save_as
from closures.models import (
    ApiCall,
    ApiClient,
    ClosureTicket,
    Hold,
    LedgerCommand,
    Notice,
    NoticeTemplate,
    PartnerCallback,
    UnbindAttempt,
    UnbindTask,
    Webhook,
)
from tests.factories import a_customer, a_person, a_user, an_account, an_agreement, counter

pytestmark = pytest.mark.django_db

NOW = timezone.now()
LATER = NOW + timedelta(seconds=1)
PAST_REVIEW = ("NOTICE_PERIOD", "SETTLING", "UNBINDING", "CLOSING", "CLOSED")
OPEN = ("SUBMITTED", "BLOCKED", "IN_REVIEW", *PAST_REVIEW[:4])
MONEY = (
    "credit_limit", "principal", "interest", "fees", "unbilled", "refunds_in_flight", "disputed",
    "credit_balance",
)  # fmt: skip


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


def change(row: Any, **values: Any) -> None:
    type(row)._base_manager.filter(pk=row.pk).update(**values)


def twin(row: Any, **values: Any) -> None:
    """The same row once more, apart from its key and these values."""
    copy = type(row)._base_manager.get(pk=row.pk)
    copy.pk, copy._state.adding = None, True
    for name, value in values.items():
        copy.__dict__[name] = value  # states are protected from plain assignment
    models.Model.save_base(copy, raw=True, force_insert=True)


def breaches() -> Iterator[tuple[str, Callable[[], None]]]:
    """(constraint, an act that it must refuse), at least one for each."""
    one = a_user()
    for field in MONEY:
        yield f"account_{field}_not_negative", lambda f=field: change(an_account(), **{f: "-0.01"})
    yield "account_closed_has_its_day", lambda: change(an_account(), line_state="CLOSED")
    yield "account_one_open_per_product", lambda: twin(an_account(), account_no="TWIN")
    yield "agreement_bound_once", lambda: twin(an_agreement(an_account()))
    yield "agreement_bound_once", lambda: twin(an_agreement(an_account(), state="UNBINDING"))
    yield (
        "restriction_one_open_per_cause_and_reference",
        lambda: twin(
            save_as(
                LineRestriction(account=an_account(), cause="RISK", reference="R", since=NOW),
                actor=SHIPPED,
                reason="x",
            )
        ),
    )
    yield "customer_channel_has_its_day", lambda: change(a_customer(), notice_channel="INBOX")
    yield "identity_version", lambda: twin(a_person().identities.get(), superseded_at=NOW)
    yield "identity_current", lambda: twin(a_person().identities.get(), version=2)
    yield "relationship_one_open", lambda: twin(a_relationship())
    yield (
        "relationship_end_keeps_data",
        lambda: change(a_relationship(), ended_on=date(2026, 1, 1), retain_until=date(2026, 1, 1)),
    )
    yield "product_policy_periods_not_negative", lambda: change(a_product(), cooling_off=-timedelta(1))
    yield "product_policy_periods_not_negative", lambda: change(a_product(), notice_lead=-timedelta(1))
    yield "product_policy_periods_not_negative", lambda: change(a_product(), settle_window=-timedelta(1))
    yield "product_sampling_percent", lambda: change(a_product(), sampling_percent=101)
    yield "regulation_four_eyes", lambda: change(row := a_regulation(), approved_by=row.proposed_by)
    yield "regulation_four_eyes", lambda: change(a_regulation(), state="IN_FORCE")
    yield (
        "regulation_four_eyes",
        lambda: change(row := a_regulation(), state="IN_FORCE", approved_by=row.proposed_by),
    )
    yield "regulation_four_eyes", lambda: change(a_regulation(), proposed_by=None)
    yield (
        "regulation_one_in_force_per_day",
        lambda: twin(a_regulation(state="IN_FORCE", approved_by=a_user())),
    )
    rows = {
        "ticket": a_ticket,
        "task": a_task,
        "notice": a_notice,
        "command": a_command,
        "client": a_client,
        "webhook": a_webhook,
    }
    for name, row in rows.items():
        for state in ("DELETED", "", "pending"):
            yield f"{name}_state_is_legal", lambda r=row, s=state: change(r(), state=s)
    yield "hold_state_is_legal", lambda: change(a_hold(), state="DELETED", lifted_at=NOW)
    for state in OPEN:
        fields = {"decided_by": one} if state in PAST_REVIEW else {}
        yield (
            "ticket_one_open_per_account",
            lambda s=state, f=fields: twin(a_ticket(state=s, **f), number="TWIN", state="SUBMITTED"),
        )
    yield "ticket_requester_does_not_decide", lambda: change(a_ticket(requested_by=one), decided_by=one)
    yield "ticket_last_editor_does_not_decide", lambda: change(a_ticket(last_edited_by=one), decided_by=one)
    for state in PAST_REVIEW:
        yield "ticket_past_review_was_decided", lambda s=state: change(a_ticket(), state=s)
        yield (
            "ticket_adverse_needs_a_named_person",
            lambda s=state: change(a_ticket(), state=s, reason="POLICY", straight_through=True),
        )
    yield "ticket_notice_waiver_names_two", lambda: change(a_ticket(), notice_waived_by=one)
    yield (
        "ticket_notice_waiver_names_two",
        lambda: change(a_ticket(), notice_waived_by=one, notice_waiver_asked_by=one),
    )
    yield (
        "ticket_late_cancellation_names_two",
        lambda: change(a_ticket(), state="CANCELLED", unbinding_started_at=NOW, cancelled_by=one),
    )
    for told in ({}, {"notice_arrived_at": LATER}):
        yield (
            "ticket_adverse_waits_for_the_notice",
            lambda t=told: change(a_ticket(), reason="RISK_CONTROL", unbinding_started_at=NOW, **t),
        )
    yield "client_old_secret_has_an_end", lambda: change(a_client(), previous_secret_sealed="x")
    yield "client_may_call", lambda: change(a_client(), requests_per_minute=0)
    yield "call_nonce_once", lambda: twin(a_call(), idempotency_key=None)
    yield "call_key_once", lambda: twin(a_call(), nonce="other")
    yield "callback_once", lambda: twin(a_callback())
    yield (
        "hold_lifted_has_its_moment",
        lambda: change(a_hold(), state="LIFTED"),
    )
    yield "template_version", lambda: twin(NoticeTemplate.objects.first())
    yield "notice_one_per_rung", lambda: twin(a_notice(), key="TWIN")
    yield "notice_delivered_has_its_moment", lambda: change(a_notice(), channel="SMS", state="DELIVERED")
    yield "notice_email_is_never_arrival", lambda: change(a_notice(), state="DELIVERED", delivered_at=NOW)
    yield "task_one_per_generation", lambda: twin(a_task(), key="TWIN")
    yield "task_evidence_names_two_people", lambda: change(a_task(), confirmed_by=one)
    yield "task_evidence_names_two_people", lambda: change(a_task(), confirmed_by=one, evidence_by=one)
    yield "task_waiver_names_two_people", lambda: change(a_task(), waived_by=one)
    yield "task_waiver_names_two_people", lambda: change(a_task(), waived_by=one, waiver_asked_by=one)
    yield "task_waived_by_two", lambda: change(a_task(), state="WAIVED", waiver_asked_by=one)
    yield (
        "attempt_once_per_fence",
        lambda: twin(UnbindAttempt.objects.create(task=a_task(), verb="UNSIGN", fence=1, started_at=NOW)),
    )


def a_hold() -> Hold:
    row = Hold(ticket=a_ticket(), kind="LEGAL", ground="x", opened_at=NOW)
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


def declared() -> dict[str, models.BaseConstraint]:
    return {
        constraint.name: constraint
        for label in ("accounts", "closures")
        for model in apps.get_app_config(label).get_models()
        for constraint in model._meta.constraints
    }


def refusal_of(act: Callable[[], None]) -> str:
    try:
        with transaction.atomic():
            act()
    except IntegrityError as refusal:
        return str(refusal)
    return ""


def test_every_constraint_refuses_what_it_is_there_for() -> None:
    tried = set()
    for name, act in breaches():
        said = refusal_of(act)
        assert said, f"{name} lets something pass"
        constraint = declared()[name]
        if connection.vendor == "postgresql" or isinstance(constraint, models.CheckConstraint):
            assert name in said, (name, said)
        tried.add(name)
    assert tried == set(declared()), "a constraint without a breach here"


def test_a_relationship_does_not_end_without_the_day_its_data_is_kept_until() -> None:
    """A CHECK passes NULL: a retention day that is missing must be refused by name (SPEC §8, 10)."""
    assert refusal_of(lambda: change(a_relationship(), ended_on=date(2026, 1, 1)))


def test_what_is_legal_is_not_refused() -> None:
    """The same rows one step on the right side of the line."""
    one, two = a_user(), a_user()
    change(an_account(), **dict.fromkeys(MONEY, 0))
    account = an_account(closed_at=NOW)
    change(account, line_state="CLOSED")
    twin(account, account_no="NEW", line_state="ACTIVE")  # a new account after the closed one
    ended = a_ticket(state="WITHDRAWN")
    twin(ended, number="AGAIN", state="SUBMITTED")
    change(a_ticket(requested_by=one), decided_by=two, state="CLOSED")
    change(a_ticket(), straight_through=True, state="NOTICE_PERIOD")
    change(a_ticket(), notice_waived_by=one, notice_waiver_asked_by=two)
    change(a_ticket(), state="CANCELLED", cancelled_by=one)
    change(a_ticket(), state="CANCELLED", unbinding_started_at=NOW, cancelled_by=one, cancel_asked_by=two)
    change(a_ticket(decided_by=one), reason="POLICY", unbinding_started_at=NOW, notice_arrived_at=NOW)
    change(a_task(), state="WAIVED", waived_by=one, waiver_asked_by=two)
    change(a_task(), evidence_by=one, confirmed_by=two)
    twin(an_agreement(an_account(), state="UNBOUND"))
    assert Customer.objects.exists()
