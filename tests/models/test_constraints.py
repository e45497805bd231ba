"""What the database itself refuses, whoever writes: superuser, shell, bulk, another program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction

from accounts.actors import SHIPPED
from accounts.models import (
    Customer,
    LineRestriction,
    Regulation,
)
from accounts.tracking import save_as
from closures.models import (
    NoticeTemplate,
    RiskSwitch,
    UnbindAttempt,
)
from tests.factories import a_customer, a_person, a_user, an_account, an_agreement
from tests.models.rows import (
    NOW,
    a_call,
    a_callback,
    a_campaign,
    a_canned_reply,
    a_client,
    a_code,
    a_command,
    a_complaint,
    a_deletion,
    a_department,
    a_destruction,
    a_destruction_item,
    a_dry_run,
    a_granted_reversal,
    a_hold,
    a_member,
    a_milestone,
    a_movement,
    a_notice,
    a_pause,
    a_product,
    a_record,
    a_regulation,
    a_relationship,
    a_report,
    a_reversal,
    a_rule,
    a_scan,
    a_task,
    a_ticket,
    a_webhook,
    an_alert,
    an_appeal,
    an_approved_campaign,
    an_entry,
    an_extension,
    an_item,
    an_outcome,
)

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(seconds=1)
PAST_REVIEW = ("NOTICE_PERIOD", "SETTLING", "UNBINDING", "CLOSING", "CLOSED", "REVERSED")
OPEN = ("SUBMITTED", "BLOCKED", "IN_REVIEW", *PAST_REVIEW[:4])
MONEY = (
    "credit_limit", "principal", "interest", "fees", "unbilled", "refunds_in_flight", "disputed",
    "credit_balance",
)  # fmt: skip


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
    rows = {"ticket": a_ticket, "task": a_task, "notice": a_notice, "command": a_command}
    rows |= {"deletion": a_deletion, "destruction": a_destruction, "item": a_destruction_item}
    rows |= {"bureau": a_report, "code": a_code, "client": a_client, "webhook": a_webhook}
    # PostgreSQL names one broken constraint of several: these keep the others.
    kept: dict[str, dict[str, Any]] = {
        "deletion": {"answered_at": NOW, "answered_by": one},
        "bureau": {"submitted_at": NOW, "submitted_by": one, "receipt_no": "R"},
    }
    for name, row in rows.items():
        others = kept.get(name, {})
        for state in ("DELETED", "", "pending"):
            yield f"{name}_state_is_legal", lambda r=row, s=state, o=others: change(r(), state=s, **o)
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
    yield "code_no_more_tries_than_allowed", lambda: change(a_code(), tries=6)
    yield "code_verified_took_a_try", lambda: change(a_code(), state="VERIFIED", ended_at=NOW)
    yield "code_verified_took_a_try", lambda: change(a_code(), state="VERIFIED", tries=1)
    for state in ("PENDING", "SENDING", "UNKNOWN", "SENT"):
        yield "code_one_live_per_purpose", lambda s=state: twin(a_code(state=s), key="TWIN", state="SENT")
    yield "client_old_secret_has_an_end", lambda: change(a_client(), previous_secret_sealed="x")
    yield "client_may_call", lambda: change(a_client(), requests_per_minute=0)
    yield "call_nonce_once", lambda: twin(a_call(), idempotency_key=None)
    yield "call_key_once", lambda: twin(a_call(), nonce="other")
    yield "callback_once", lambda: twin(a_callback())
    yield from breaches_after_closing()
    yield "deletion_one_waiting_per_customer", lambda: twin(a_deletion(), number="TWIN")
    yield "deletion_answer_names_who_and_when", lambda: change(a_deletion(), state="ANSWERED")
    yield (
        "deletion_answer_names_who_and_when",
        lambda: change(a_deletion(), state="ANSWERED", answered_at=NOW),
    )
    yield "destruction_proposal_names_its_person", lambda: change(a_destruction(), state="PROPOSED")
    yield "destruction_names_two_people", lambda: change(a_destruction(), approved_by=one)
    yield "destruction_names_two_people", lambda: change(a_destruction(), proposed_by=one, approved_by=one)
    waited = {"proposed_by": one, "approved_by": a_user(), "wait_ends_on": NOW.date()}
    waited["wait_rule"] = Regulation.objects.get(code="DESTRUCTION_WAIT")
    for state in ("APPROVED", "DONE"):
        for missing in ("approved_by", "wait_ends_on", "wait_rule"):
            values = {name: value for name, value in waited.items() if name != missing}
            yield (
                "destruction_approved_by_two_after_a_wait",
                lambda s=state, v=values: change(a_destruction(), state=s, **v),
            )
    yield "item_one_waiting_per_customer", lambda: twin(a_destruction_item(), listing_id=a_destruction().pk)
    yield "item_once_per_list", lambda: twin(a_destruction_item(), state="ERASED")
    yield "item_left_alone_says_why", lambda: change(a_destruction_item(), state="SKIPPED")
    for state in ("SUBMITTED", "ACCEPTED", "REJECTED", "CORRECTED"):
        yield "bureau_handed_in_has_its_receipt", lambda s=state: change(a_report(), state=s)
        yield (
            "bureau_handed_in_has_its_receipt",
            lambda s=state: change(a_report(), state=s, submitted_at=NOW, submitted_by=one),
        )
        yield (
            "bureau_handed_in_has_its_receipt",
            lambda s=state: change(a_report(), state=s, submitted_at=NOW, receipt_no="R"),
        )
    yield "bureau_record_once_per_report", lambda: twin(a_record(), current=False)
    yield "bureau_record_current_once", lambda: twin(a_record(), report_id=a_report().pk)
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
    yield from breaches_of_complaints(one)
    yield from breaches_of_campaigns(one)
    yield from breaches_of_risk(one)


def breaches_of_risk(one: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    yield "ticket_demand_is_whole", lambda: change(a_ticket(), demanded_on=NOW.date())
    yield "ticket_demand_is_whole", lambda: change(a_ticket(), demand_until=NOW.date())
    day = NOW.date()
    yield (
        "ticket_demand_is_whole",
        lambda: change(a_ticket(), demanded_on=day, demand_until=day - timedelta(days=1)),
    )
    yield "rule_state_is_legal", lambda: change(a_rule(), state="DELETED")
    yield "rule_version_once", lambda: twin(a_rule())
    for state in ("ACTIVE", "SHADOW"):
        yield f"rule_one_{state.lower()}_per_code", lambda s=state: twin(a_rule(state=s), version=2)
    yield "rule_activation_names_two_people", lambda: change(a_rule(), activated_by=one, edited_by=one)
    yield "rule_activation_names_two_people", lambda: change(a_rule(), edited_by=None)
    for missing in ("activated_by", "activated_at", "backtest"):
        yield (
            "rule_active_was_tested_and_activated",
            lambda m=missing: change(a_rule(), state="ACTIVE", **{m: None}),
        )
    yield "rule_freeze_has_its_length", lambda: change(a_rule(), action="FREEZE")
    yield "rule_caps_are_caps", lambda: change(a_rule(), cap_per_run=0)
    yield "rule_caps_are_caps", lambda: change(a_rule(), cap_per_day=0)
    yield "rule_stop_says_why", lambda: change(a_rule(), stopped_at=NOW)
    yield "rule_stop_says_why", lambda: change(a_rule(), stop_code="DRIFT")
    yield (
        "rule_stop_by_hand_names_its_person",
        lambda: change(a_rule(), stopped_at=NOW, stop_code="BY_HAND"),
    )
    yield "switch_is_one", lambda: twin(RiskSwitch.objects.get(), id=2)
    for said in ({}, {"changed_by": one}, {"changed_by": one, "changed_at": NOW}, {"ground": "x"}):
        yield (
            "switch_stop_names_its_person",
            lambda s=said: change(RiskSwitch.objects.get(), stopped=True, **s),
        )
    yield "scan_one_running_per_rule", lambda: twin(a_scan())
    yield "scan_ended_has_its_moment", lambda: change(a_scan(), outcome="DONE")
    yield "scan_ended_has_its_moment", lambda: change(a_scan(), finished_at=NOW)
    for what in ("alerted", "folded", "frozen"):
        yield (
            "scan_in_shadow_does_nothing",
            lambda w=what: change(a_scan(), shadow=True, cap=9, **{w: 1}),
        )
    yield "scan_keeps_its_cap", lambda: change(a_scan(), cap=1, alerted=2)
    yield "outcome_once_per_set", lambda: twin(an_outcome())
    yield "alert_state_is_legal", lambda: change(an_alert(), state="DELETED", ended_at=NOW)
    for state in ("NEW", "TRIAGED", "PROPOSED"):
        yield (
            "alert_one_unended_per_account_and_rule",
            lambda s=state: twin(an_alert(state=s), number="TWIN", state="NEW"),
        )
    yield "alert_proposer_does_not_decide", lambda: change(an_alert(), proposed_by=one, decided_by=one)
    yield "alert_ticket_needs_a_named_person", lambda: change(an_alert(), state="TICKETED", ended_at=NOW)
    yield (
        "alert_ticket_needs_a_named_person",
        lambda: change(an_alert(), state="TICKETED", ended_at=NOW, decided_by=one),
    )
    yield (
        "alert_ticket_needs_a_named_person",
        lambda: change(an_alert(), state="TICKETED", ended_at=NOW, ticket=a_ticket()),
    )
    yield "alert_dismissal_says_why", lambda: change(an_alert(), state="DISMISSED", ended_at=NOW)
    for state, also in (
        ("DISMISSED", {"dismiss_code": "PAID"}),
        ("TICKETED", {"decided_by": one, "ticket": a_ticket()}),
    ):
        yield "alert_ended_has_its_moment", lambda s=state, a=also: change(an_alert(), state=s, **a)
    yield "appeal_state_is_legal", lambda: change(an_appeal(), state="X", decided_by=one, answer="x")
    yield "appeal_one_open_per_alert", lambda: twin(an_appeal(), number="TWIN")
    for state in ("GRANTED", "DENIED"):
        for also in ({}, {"decided_by": one}, {"answer": "x"}):
            yield "appeal_decision_is_whole", lambda s=state, a=also: change(an_appeal(), state=s, **a)
    yield "appeal_enterer_does_not_decide", lambda: change(an_appeal(), entered_by=one, decided_by=one)


def breaches_of_complaints(one: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    decision = {"decided_by": a_user(), "decided_at": NOW, "outcome": "NOT_UPHELD", "remedy": "NONE"}
    yield "complaint_state_is_legal", lambda: change(a_complaint(), state="DELETED")
    for field, name in (("handler", "handled"), ("decided_by", "decided"), ("reviewed_by", "reviewed")):
        yield (
            f"complaint_not_{name}_by_who_is_complained_about",
            lambda f=field: change(a_complaint(), about_staff=one, **{f: one}),
        )
    yield "complaint_handler_does_not_decide", lambda: change(a_complaint(), handler=one, decided_by=one)
    yield "complaint_handler_does_not_review", lambda: change(a_complaint(), handler=one, reviewed_by=one)
    yield "complaint_decider_does_not_review", lambda: change(a_complaint(), decided_by=one, reviewed_by=one)
    for state in ("DECIDED", "REPLIED", "CLOSED", "REVIEW_REQUESTED", "REVIEWED"):
        whole = {**decision, "state": state, "ended_at": NOW, "reviewed_by": a_user(),
                 "review_outcome": "NOT_UPHELD"}  # fmt: skip
        for missing, nothing in (("decided_by", None), ("decided_at", None), ("outcome", ""), ("remedy", "")):
            yield (
                "complaint_decision_is_whole",
                lambda w=whole, m=missing, n=nothing: change(a_complaint(), **{**w, m: n}),
            )
    for missing in ({"reviewed_by": None, "review_outcome": "UPHELD"}, {"reviewed_by": one}):
        yield (
            "complaint_review_is_whole",
            lambda m=missing: change(a_complaint(), **{**decision, **m, "state": "REVIEWED"}),
        )
    for word in ("UPHELD", "PARTLY_UPHELD"):
        for missing in ({"root_cause": ""}, {"remedy": "NONE"}, {"remedy": ""}):
            put_right = {"root_cause": "WRONG_FACTS", "remedy": "REVERSAL", **missing}
            for field, name in (("outcome", ""), ("review_outcome", "_by_review")):
                yield (
                    f"complaint_wrong_closing_is_put_right{name}",
                    lambda p=put_right, f=field, w=word: change(
                        a_complaint(), topic="WRONG_CLOSING", **{**p, f: w}
                    ),
                )
    yield "complaint_compensation_not_negative", lambda: change(a_complaint(), compensation="-0.01")
    for state, also in (
        ("OUT_OF_SCOPE", {"scope_reason": "QUESTION"}),
        ("WITHDRAWN", {}),
        ("CLOSED", decision),
        ("MERGED", {"merged_into": a_complaint()}),
    ):
        yield (
            "complaint_ended_has_its_moment",
            lambda s=state, a=also: change(a_complaint(), **{**a, "state": s}),
        )
    yield (
        "complaint_out_of_scope_says_why",
        lambda: change(a_complaint(), state="OUT_OF_SCOPE", ended_at=NOW),
    )
    yield "complaint_merged_into_another", lambda: change(a_complaint(), state="MERGED", ended_at=NOW)
    yield "complaint_merged_into_another", lambda: change(a_complaint(), merged_into=a_complaint())
    yield (
        "complaint_merged_into_another",
        lambda: change(row := a_complaint(), state="MERGED", ended_at=NOW, merged_into=row),
    )
    yield (
        "complaint_due_after_its_start",
        lambda: change(row := a_complaint(), due_on=row.clock_started_on),
    )
    yield (
        "complaint_bureau_dispute_is_marked",
        lambda: change(a_complaint(), **decision, kind="BUREAU_DISPUTE", state="DECIDED"),
    )
    yield "extension_state_is_legal", lambda: change(an_extension(), state="DELETED")
    yield (
        "extension_names_two_people",
        lambda: change(row := an_extension(), approved_by=row.asked_by),
    )
    for missing in ({"approved_by": a_user()}, {"told_at": NOW}):
        yield (
            "extension_approved_and_told",
            lambda m=missing: change(an_extension(), state="APPROVED", **m),
        )
    yield "extension_gives_time", lambda: change(row := an_extension(), to_due_on=row.from_due_on)
    yield "extension_one_asked", lambda: twin(an_extension())
    yield (
        "extension_level_once",
        lambda: twin(an_extension(state="APPROVED", approved_by=a_user(), told_at=NOW)),
    )
    yield "pause_one_open", lambda: twin(a_pause())
    yield "pause_ends_after_it_began", lambda: change(a_pause(), ended_on=date(2026, 1, 1))
    yield "canned_reply_state_is_legal", lambda: change(a_canned_reply(), state="DELETED")


def breaches_of_campaigns(one: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    yield "campaign_state_is_legal", lambda: change(an_approved_campaign(), state="DELETED")
    yield "campaign_author_does_not_approve", lambda: change(row := a_campaign(), approver=row.author)
    yield "campaign_author_does_not_approve", lambda: change(an_approved_campaign(), author=None)
    yield (
        "campaign_drafter_does_not_approve",
        lambda: change(row := an_approved_campaign(), drafted_by=row.approver),
    )
    for state in ("APPROVED", "FROZEN", "PILOT", "RUNNING", "PAUSED", "COMPLETED"):
        also = {"state": state, "ended_at": NOW, "paused_from": "PILOT", "pause_code": "X"}
        for missing, nothing in (
            ("approver", None), ("approved_at", None), ("plan_hash", ""), ("population_hash", ""),
        ):  # fmt: skip
            yield (
                "campaign_approved_by_a_person",
                lambda a=also, m=missing, n=nothing: change(an_approved_campaign(), **{**a, m: n}),
            )
    for missing in ({"paused_from": "DRAFT", "pause_code": "X"}, {"paused_from": "PILOT"}):
        yield (
            "campaign_paused_says_from_where",
            lambda m=missing: change(an_approved_campaign(), state="PAUSED", **m),
        )
    for state in ("COMPLETED", "ABORTED"):
        yield "campaign_ended_has_its_moment", lambda s=state: change(an_approved_campaign(), state=s)
    for field in ("max_unbind_failures", "max_undelivered", "max_complaints", "pilot_percent"):
        yield "campaign_percentages", lambda f=field: change(a_campaign(), **{f: 101})
    yield "campaign_percentages", lambda: change(a_campaign(), pilot_percent=0)
    yield "campaign_opens_some_a_day", lambda: change(a_campaign(), daily_cap=0)
    yield "campaign_opens_some_a_day", lambda: change(a_campaign(), minimum_sample=0)
    yield "campaign_department_once", lambda: twin(a_department())
    yield "milestone_reached_names_a_person", lambda: change(a_milestone(), done_at=NOW)
    yield "member_once_per_campaign", lambda: twin(a_member(), live=False)
    yield "member_in_one_live_campaign", lambda: twin(a_member(), campaign_id=a_campaign().pk)
    yield "member_opened_has_its_ticket", lambda: change(a_member(), entry="OPENED", opened_at=NOW)
    yield "member_opened_has_its_ticket", lambda: change(a_member(), entry="OPENED", ticket=a_ticket())
    yield "member_excluded_says_why", lambda: change(a_member(), entry="EXCLUDED", live=False)
    yield "member_excluded_says_why", lambda: change(a_member(), entry="EXCLUDED", reason_code="DEBT")
    yield "entry_once", lambda: twin(an_entry())
    yield "dry_run_adds_up", lambda: change(a_dry_run(), included=2)


def breaches_after_closing() -> Iterator[tuple[str, Callable[[], None]]]:
    """Of reversals, of later money, and of what the import leaves for it."""
    one, two = a_user(), a_user()
    for state in ("DELETED", "", "proposed"):
        yield "reversal_state_is_legal", lambda s=state: change(a_reversal(), state=s)
        yield "later_money_state_is_legal", lambda s=state: change(an_item(), state=s)
    for state in ("PROPOSED", "OPENING", "DONE"):
        yield (
            "reversal_one_per_ticket",
            lambda s=state: twin(
                a_granted_reversal(state=s), number="TWIN", new_account_id=None, state="PROPOSED"
            ),
        )
    yield "reversal_names_two_people", lambda: change(a_granted_reversal(), state="OPENING", approved_by=None)
    yield "reversal_names_two_people", lambda: change(a_granted_reversal(), asked_by=None)
    yield (
        "reversal_names_two_people",
        lambda: change(row := a_granted_reversal(), approved_by=row.asked_by),
    )
    for missing in ("new_account", "bureau_due_on", "bureau_rule"):
        yield (
            "reversal_granted_has_account_and_clock",
            lambda m=missing: change(a_granted_reversal(state="DONE"), **{m: None}),
        )
    yield "reversal_complaint_is_named", lambda: change(a_reversal(), source="COMPLAINT")
    yield "reversal_complaint_is_named", lambda: change(a_reversal(), complaint_number="CP1")
    yield "reversal_compensation_not_negative", lambda: change(a_reversal(), compensation_amount="-0.01")
    yield "reversal_correction_has_its_proof", lambda: change(a_reversal(), bureau_corrected_at=NOW)
    yield (
        "reversal_correction_has_its_proof",
        lambda: change(a_reversal(), bureau_corrected_at=NOW, bureau_corrected_by=one),
    )
    yield "later_money_once", lambda: twin(an_item(), number="TWIN")
    yield "later_money_is_some", lambda: change(an_item(), amount=0)
    for state in ("PAYING", "PAID_OUT"):
        yield "later_money_only_his_is_paid_out", lambda s=state: change(an_item(), state=s)
        yield (
            "later_money_only_his_is_paid_out",
            lambda s=state: change(
                an_item(direction="BY_CUSTOMER"), state=s, paid_by=one, command=a_command()
            ),
        )
    for state in ("RECEIVABLE", "SETTLED", "WRITTEN_OFF"):
        yield (
            "later_money_only_debt_is_booked",
            lambda s=state: change(an_item(proof="x", write_off_asked_by=one, written_off_by=two), state=s),
        )
    yield (
        "later_money_settled_has_its_proof",
        lambda: change(an_item(direction="BY_CUSTOMER"), state="SETTLED"),
    )
    debt = {"direction": "BY_CUSTOMER"}
    for named in ({}, {"written_off_by": one}, {"written_off_by": one, "write_off_asked_by": one}):
        yield (
            "later_money_write_off_names_two",
            lambda n=named: change(an_item(**debt), state="WRITTEN_OFF", **n),
        )
    yield "later_money_offset_has_its_other", lambda: change(an_item(), state="OFFSET")
    yield "movement_once", lambda: twin(a_movement())
    for side in ("owed_to_customer", "owed_by_customer"):
        yield "movement_not_negative", lambda s=side: change(a_movement(), **{s: "-0.01"})
    yield (
        "account_reopened_once",
        lambda: twin(an_account(reopened_from=an_account()), account_no="TWIN", customer_id=a_customer().pk),
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
    put_right = {"root_cause": "WRONG_FACTS", "remedy": "RECORDED", "decided_by": one, "decided_at": NOW}
    change(a_complaint(handler=two), topic="WRONG_CLOSING", state="DECIDED", outcome="UPHELD", **put_right)
    change(an_extension(), state="APPROVED", approved_by=one, told_at=NOW)
    twin(an_agreement(an_account(), state="UNBOUND"))
    a_reversal(state="REJECTED")
    change(a_granted_reversal(), state="DONE")
    change(an_item(), state="PAID_OUT", paid_by=one, command=a_command())
    change(an_item(direction="BY_CUSTOMER"), state="WRITTEN_OFF", written_off_by=one, write_off_asked_by=two)
    ended = a_code(state="USED_UP", tries=5)
    twin(ended, key="NEXT", state="PENDING")
    assert Customer.objects.exists()
