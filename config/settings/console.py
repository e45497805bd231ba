"""How the console looks and where its menu leads. What a person may open is decided by permissions alone.

The menu follows the work, not the tables: who opens a page has a job to do. An entry shows when the person
may read what is behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

FORMAT_MODULE_PATH = ["config.formats"]
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600  # seconds: the language one has chosen outlives the browser
# Our model calls it staff_no, the sign-in form calls it username: without this axes counts for nobody.
AXES_USERNAME_FORM_FIELD = "username"
AXES_LOCKOUT_CALLABLE = "accounts.admin.site.locked_out"


def holds(*permissions: str) -> Callable[[HttpRequest], bool]:
    """Shows an entry to people with any of these permissions."""
    return lambda request: any(request.user.has_perm(permission) for permission in permissions)


def listing(model: str, title: Any, icon: str) -> dict[str, Any]:
    """The menu entry of one noun (`app.model`), for people who may read it."""
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": holds(f"{app}.view_{name}"),
    }


def guarded(model: str, title: Any, icon: str) -> dict[str, Any]:
    """A page of an installed app, for those who run or guard the system (accounts.admin.security)."""
    entry = listing(model, title, icon)
    return {**entry, "permission": holds("accounts.manage_staff", "accounts.manage_roles")}


NAVIGATION = [
    {
        "title": _("Work"),
        "items": [
            {"title": _("Home"), "icon": "home", "link": reverse_lazy("admin:index")},
            {
                "title": _("New request"),
                "icon": "add_task",
                "link": reverse_lazy("admin:intake"),
                "permission": holds("closures.request_closure"),
            },
            listing("closures.closureticket", _("Closure tickets"), "assignment"),
            listing("closures.blocker", _("Blockers"), "block"),
            listing("closures.hold", _("Holds"), "front_hand"),
            listing("closures.notice", _("Notices"), "mail"),
            listing("closures.reversal", _("Reversals"), "settings_backup_restore"),
            listing("closures.postclosureitem", _("Money after closing"), "payments"),
        ],
    },
    {
        "title": _("Complaints"),
        "separator": True,
        "items": [
            {
                "title": _("New complaint"),
                "icon": "add_comment",
                "link": reverse_lazy("admin:complaint_new"),
                "permission": holds("closures.register_complaint"),
            },
            listing("closures.complaint", _("Complaints"), "sentiment_dissatisfied"),
            listing("closures.complaintextension", _("Extensions"), "more_time"),
            listing("closures.complaintpause", _("Waits for complainants"), "hourglass_empty"),
            listing("closures.cannedreply", _("Canned replies"), "quickreply"),
            {
                "title": _("Complaint figures"),
                "icon": "bar_chart",
                "link": reverse_lazy("admin:complaint_figures"),
                "permission": holds("closures.view_complaint"),
            },
            listing("closures.identitycode", _("One-time codes"), "pin"),
            listing("closures.apprequest", _("Requests by apps"), "phone_iphone"),
        ],
    },
    {
        "title": _("Risk control"),
        "separator": True,
        "items": [
            listing("closures.riskalert", _("Risk alerts"), "warning"),
            listing("closures.riskappeal", _("Appeals"), "record_voice_over"),
            listing("closures.riskrule", _("Risk rules"), "rule"),
            {
                "title": _("New risk rule"),
                "icon": "add",
                "link": reverse_lazy("admin:risk_rule_new"),
                "permission": holds("closures.edit_risk_rule"),
            },
            listing("closures.riskscan", _("Risk scans"), "radar"),
            listing("closures.backtest", _("Back-tests"), "science"),
            listing("closures.riskswitch", _("Switch of all rules"), "front_hand"),
        ],
    },
    {
        "title": _("Campaigns"),
        "separator": True,
        "items": [
            {
                "title": _("New campaign"),
                "icon": "add_circle",
                "link": reverse_lazy("admin:campaign_new"),
                "permission": holds("closures.draft_campaign"),
            },
            listing("closures.campaign", _("Campaigns"), "campaign"),
            listing("closures.campaignmember", _("Members of campaigns"), "groups"),
        ],
    },
    {
        "title": _("Customers"),
        "separator": True,
        "items": [
            listing("accounts.customer", _("Customers"), "person"),
            listing("accounts.customeridentity", _("Identities"), "badge"),
            listing("accounts.creditaccount", _("Credit accounts"), "account_balance_wallet"),
            listing("accounts.linerestriction", _("Line restrictions"), "lock"),
            listing("accounts.closedaccountmovement", _("Movements on closed accounts"), "sync_problem"),
            listing("accounts.partneragreement", _("Partner agreements"), "link"),
            listing("accounts.lenderrelationship", _("Lender relationships"), "handshake"),
        ],
    },
    {
        "title": _("Evidence and retention"),
        "separator": True,
        "items": [
            listing("closures.evidencepack", _("Evidence packs"), "folder_zip"),
            listing("closures.deletionrequest", _("Deletion requests"), "delete"),
            listing("closures.destructionlist", _("Destruction lists"), "delete_forever"),
            {
                "title": _("Propose a destruction"),
                "icon": "how_to_reg",
                "link": reverse_lazy("admin:destruction_propose"),
                "permission": holds("closures.propose_destruction"),
            },
            listing("closures.destructionitem", _("Customers to be erased"), "group_remove"),
            listing("closures.bureaureport", _("Bureau reports"), "outbox"),
            listing("closures.bureaurecord", _("Bureau records"), "receipt_long"),
        ],
    },
    {
        "title": _("Products and law"),
        "separator": True,
        "items": [
            listing("accounts.creditproduct", _("Credit products"), "credit_card"),
            listing("accounts.lender", _("Lenders"), "account_balance"),
            listing("accounts.regulation", _("Regulations"), "gavel"),
            listing("accounts.workcalendarday", _("Work calendar"), "calendar_month"),
            listing("closures.noticetemplate", _("Notice templates"), "draft"),
        ],
    },
    {
        "title": _("Machine"),
        "separator": True,
        "items": [
            listing("closures.unbindtask", _("Unbinding tasks"), "link_off"),
            listing("closures.unbindattempt", _("Attempts"), "sync_alt"),
            listing("closures.ledgercommand", _("Ledger commands"), "terminal"),
            listing("closures.partnercallback", _("Partner callbacks"), "call_received"),
            listing("closures.apiclient", _("API clients"), "key"),
            listing("closures.apicall", _("API calls"), "api"),
            listing("closures.webhook", _("Webhooks"), "webhook"),
            listing("closures.sweep", _("Sweeps"), "autorenew"),
            listing("closures.invariantcheck", _("Invariant checks"), "verified"),
        ],
    },
    {
        "title": _("Staff and audit"),
        "separator": True,
        "items": [
            listing("accounts.user", _("Staff"), "groups"),
            listing("accounts.refusedaction", _("Refused actions"), "do_not_disturb_on"),
            listing("accounts.identityreveal", _("Revealed identities"), "visibility"),
            guarded("otp_totp.totpdevice", _("Second factors"), "phonelink_lock"),
            guarded("axes.accessattempt", _("Lock-outs"), "lock_clock"),
            guarded("axes.accessfailurelog", _("Failed sign-ins"), "gpp_bad"),
        ],
    },
]

UNFOLD = {
    "SITE_TITLE": _("Credit closing desk"),
    "SITE_HEADER": _("Credit closing desk"),
    "SITE_URL": None,
    "SITE_SYMBOL": "task_alt",
    "SHOW_LANGUAGES": True,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "DASHBOARD_CALLBACK": "closures.admin.home.dashboard",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("console/favicon.svg")}
    ],
    "STYLES": [lambda request: static("console/console.css")],
    # Names of pages only: searching rows from here would go round the rule that a person is found by an
    # exact number, and costs a scan of every table.
    "COMMAND": {"search_models": False, "show_history": False},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": NAVIGATION,
    },
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.604)",
            "100": "oklch(93.2% .032 255.585)",
            "200": "oklch(88.2% .059 254.128)",
            "300": "oklch(80.9% .105 251.813)",
            "400": "oklch(70.7% .165 254.624)",
            "500": "oklch(62.3% .214 259.815)",
            "600": "oklch(54.6% .245 262.881)",
            "700": "oklch(48.8% .243 264.376)",
            "800": "oklch(42.4% .199 265.638)",
            "900": "oklch(37.9% .146 265.522)",
            "950": "oklch(28.2% .091 267.935)",
        },
    },
}
