"""The roles of SPEC §7: which group may do what. The table below is the whole truth; migrate applies it.

A permission is `app.codename`. `view` stands for reading every registered model of both apps.
"""

from __future__ import annotations

from enum import StrEnum

from django.utils.translation import gettext_lazy as _


class Role(StrEnum):
    """The name of the group is the value; its label is translated."""

    AGENT = "agent"
    REVIEWER = "reviewer"
    LEAD = "compliance_lead"
    RISK = "risk_officer"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"
    SECURITY = "security_officer"


LABELS = {
    Role.AGENT: _("Customer-service agent"),
    Role.REVIEWER: _("Compliance reviewer"),
    Role.LEAD: _("Compliance lead"),
    Role.RISK: _("Risk officer"),
    Role.OPERATOR: _("Operator"),
    Role.AUDITOR: _("Auditor"),
    Role.ADMINISTRATOR: _("System administrator"),
    Role.SECURITY: _("Security officer"),
}

BUSINESS_ROLES = frozenset({Role.AGENT, Role.REVIEWER, Role.LEAD, Role.RISK, Role.OPERATOR})

# Models whose rows show a customer or his money; the operator reads none of them.
CUSTOMER_MODELS = ("accounts.customer", "accounts.customeridentity", "accounts.lenderrelationship")
PRODUCT_MODELS = (
    "accounts.lender",
    "accounts.creditproduct",
    "accounts.regulation",
    "accounts.workcalendarday",
)
ACCOUNT_MODELS = (
    "accounts.creditaccount",
    "accounts.linerestriction",
    "accounts.partneragreement",
    "accounts.closedaccountmovement",
)
CASE_MODELS = (
    "closures.closureticket",
    "closures.blocker",
    "closures.hold",
    "closures.unbindtask",
    "closures.unbindattempt",
    "closures.ledgercommand",
    "closures.notice",
    "closures.reversal",
    "closures.postclosureitem",
    "closures.identitycode",
    "closures.apprequest",
)
COMPLAINT_MODELS = (
    "closures.complaint",
    "closures.complaintextension",
    "closures.complaintpause",
    "closures.cannedreply",
)
CAMPAIGN_MODELS = ("closures.campaign", "closures.campaignmember")
API_MODELS = ("closures.apiclient", "closures.apicall", "closures.webhook")
MACHINE_MODELS = (
    "closures.unbindtask",
    "closures.unbindattempt",
    "closures.ledgercommand",
    "closures.sweep",
    "closures.partnercallback",
    "closures.invariantcheck",
)
# What comes after a closing: evidence, kept and destroyed data, what the bureau is told.
KEEPING_MODELS = (
    "closures.evidencepack",
    "closures.deletionrequest",
    "closures.destructionlist",
    "closures.destructionitem",
    "closures.bureaureport",
    "closures.bureaurecord",
)
# What rules say and found without naming an account, and what was found about accounts.
RULE_MODELS = ("closures.riskrule", "closures.riskscan", "closures.riskswitch")
ALERT_MODELS = ("closures.riskalert", "closures.riskappeal")
RISK_MODELS = (*RULE_MODELS, "closures.backtest", *ALERT_MODELS)
STAFF_MODELS = ("accounts.user", "accounts.refusedaction", "accounts.identityreveal")

VIEWS: dict[Role, tuple[str, ...]] = {
    Role.AGENT: CUSTOMER_MODELS
    + PRODUCT_MODELS
    + ACCOUNT_MODELS
    + CASE_MODELS
    + COMPLAINT_MODELS
    + ALERT_MODELS
    + ("closures.deletionrequest",),
    Role.REVIEWER: CUSTOMER_MODELS
    + PRODUCT_MODELS
    + ACCOUNT_MODELS
    + CASE_MODELS
    + COMPLAINT_MODELS
    + ALERT_MODELS
    + KEEPING_MODELS,
    Role.LEAD: CUSTOMER_MODELS
    + PRODUCT_MODELS
    + ACCOUNT_MODELS
    + CASE_MODELS
    + COMPLAINT_MODELS
    + KEEPING_MODELS
    + CAMPAIGN_MODELS
    + RISK_MODELS
    + ("closures.noticetemplate", "closures.invariantcheck", "accounts.refusedaction"),
    Role.RISK: CUSTOMER_MODELS
    + PRODUCT_MODELS
    + ACCOUNT_MODELS
    + CASE_MODELS
    + CAMPAIGN_MODELS
    + RISK_MODELS,
    Role.OPERATOR: MACHINE_MODELS
    + API_MODELS
    + RULE_MODELS
    + ("accounts.creditproduct", "accounts.workcalendarday", "closures.noticetemplate", "closures.campaign"),
    Role.AUDITOR: CUSTOMER_MODELS
    + PRODUCT_MODELS
    + ACCOUNT_MODELS
    + CASE_MODELS
    + COMPLAINT_MODELS
    + KEEPING_MODELS
    + CAMPAIGN_MODELS
    + RISK_MODELS
    + MACHINE_MODELS
    + API_MODELS
    + STAFF_MODELS
    + ("closures.noticetemplate",),
    Role.ADMINISTRATOR: ("accounts.user", "accounts.workcalendarday"),
    Role.SECURITY: STAFF_MODELS + ("closures.apiclient",),
}

RIGHTS: dict[Role, tuple[str, ...]] = {
    Role.AGENT: (
        "closures.request_closure",
        "closures.withdraw_closure",
        "closures.place_hold",
        "closures.search_customer",
        "closures.register_complaint",
        "closures.handle_complaint",
        "closures.request_deletion",
        "closures.raise_risk_appeal",
    ),
    Role.REVIEWER: (
        "closures.make_evidence_pack",
        "closures.answer_deletion",
        "closures.propose_destruction",
        "closures.report_to_bureau",
        "accounts.list_restricted",
        "closures.decide_closure",
        "closures.place_hold",
        "closures.lift_hold",
        "closures.cancel_closure",
        "closures.see_silent_holds",
        "closures.search_customer",
        "accounts.reveal_identity",
        "closures.enter_letter_proof",
        "closures.decide_complaint",
        "closures.propose_reversal",
        "closures.correct_bureau",
        "closures.settle_later_money",
    ),
    Role.LEAD: (
        "closures.make_evidence_pack",
        "closures.answer_deletion",
        "closures.propose_destruction",
        "closures.approve_destruction",
        "closures.report_to_bureau",
        "accounts.list_restricted",
        "closures.decide_closure",
        "closures.decide_adverse_closure",
        "closures.request_policy_closure",
        "closures.draft_campaign",
        "closures.approve_campaign",
        "closures.run_campaign",
        "closures.pause_campaign",
        "closures.place_hold",
        "closures.lift_hold",
        "closures.cancel_closure",
        "closures.waive",
        "closures.see_silent_holds",
        "closures.search_customer",
        "closures.enter_letter_proof",
        "closures.propose_reversal",
        "closures.approve_reversal",
        "closures.correct_bureau",
        "closures.settle_later_money",
        "closures.write_off_later_money",
        "accounts.reveal_identity",
        "closures.decide_complaint",
        "closures.extend_complaint",
        "closures.edit_canned_reply",
        "closures.activate_risk_rule",
        "closures.stop_risk_rules",
        "closures.release_risk_rules",
        "closures.decide_risk_appeal",
        "accounts.edit_product",
        "accounts.edit_regulation",
        "accounts.edit_calendar",
    ),
    Role.RISK: (
        "closures.request_risk_closure",
        "closures.edit_risk_rule",
        "closures.activate_risk_rule",
        "closures.stop_risk_rules",
        "closures.release_risk_rules",
        "closures.handle_risk_alert",
        "closures.decide_risk_appeal",
        "closures.place_hold",
        "closures.see_silent_holds",
        "closures.search_customer",
        "accounts.restrict_line",
    ),
    Role.OPERATOR: (
        "closures.revive_task",
        "closures.give_evidence",
        "closures.confirm_evidence",
        "closures.run_sweep",
        "closures.pause_campaign",
        "closures.revive_webhook",
        "closures.stop_risk_rules",
    ),
    Role.AUDITOR: (
        "closures.see_silent_holds",
        "closures.make_evidence_pack",  # a copy of what he may read; nothing of the case changes
        "accounts.list_restricted",
    ),
    Role.ADMINISTRATOR: ("accounts.manage_staff", "accounts.edit_calendar"),
    Role.SECURITY: ("accounts.manage_roles", "closures.manage_api_clients"),
}
