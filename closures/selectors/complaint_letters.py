"""The words about a complaint: values of its notices, and all that its printed reply states. Reads only.

Values are codes, dates, amounts and our own labels, so that a tracked notice holds no personal data; what
the complainant and we wrote is revealed in `reply_facts` alone, for a page that is shown and not kept.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.utils import translation
from django.utils.translation import get_language
from django.utils.translation import gettext as translate

from accounts import pii
from accounts.models import CreditAccount
from closures.models import Complaint, ComplaintText, Hold
from closures.rules.deadlines import china_date
from closures.selectors.letters import day, minute


def values_for(complaint: Complaint, *, language: str, now: datetime, **more: Any) -> dict[str, Any]:
    """JSON-ready values for a notice or a reply about this complaint; `more` wins over what is found here."""
    with translation.override(language):
        found = {
            **_about_whom(complaint, language),
            **_about_what(complaint),
            "today": day(now),
            "moment": minute(now),
        }
    return found | {
        key: value if isinstance(value, bool | list) else str(value) for key, value in more.items()
    }


def _about_whom(complaint: Complaint, language: str) -> dict[str, Any]:
    """Who answers, and for which product. A complaint without an account is answered by his lender."""
    account = complaint.account
    accounts = CreditAccount.objects.select_related("product__lender")
    speaker = account or accounts.filter(customer=complaint.customer_id).order_by("-pk").first()
    if speaker is None:
        ours = translate("Complaint desk")
        return {"lender": ours, "platform": ours, "brand": "", "account_tail": ""}
    product = speaker.product
    chinese = language == "zh-hans"
    return {
        "lender": product.lender.legal_name,
        "platform": product.platform,
        "brand": (product.brand if chinese else product.brand_en) if account else "",
        "account_tail": account.account_no[-4:] if account else "",
    }


def _about_what(complaint: Complaint) -> dict[str, Any]:
    hold = complaint.hold
    ticket = complaint.ticket
    decided = complaint.reviewed_at or complaint.decided_at
    return {
        "complaint": complaint.number,
        "ticket": ticket.number if ticket else "",
        "bureau": complaint.kind == Complaint.Kind.BUREAU_DISPUTE,
        "topic": str(complaint.get_topic_display()),
        "received_on": _day(complaint.received_on),
        "due_on": _day(complaint.due_on),
        "held": hold is not None and hold.state == Hold.State.OPEN,
        "out_of_scope": str(complaint.get_scope_reason_display()) if complaint.scope_reason else "",
        "outcome_code": str(complaint.final_outcome),
        "outcome": _label(Complaint.Outcome, complaint.final_outcome),
        "reviewed": bool(complaint.review_outcome),
        "decided_on": _day(china_date(moment=decided)) if decided else "",
        "remedy_code": str(complaint.remedy),
        "remedy": _label(Complaint.Remedy, complaint.remedy),
        "compensation": f"{complaint.compensation:,.2f}" if complaint.compensation else "",
        "review_until": _day(complaint.review_until),
        "marked_on": _day(complaint.marked_on),
    }


def reply_facts(complaint: Complaint, *, now: datetime) -> dict[str, Any] | None:
    """All that the printed reply states, in the active language, its sealed text revealed; None before it.

    The newest word counts: the decision of a review, where there was one, stands above the reply.
    Raises: pii.Unreadable.
    """
    reply = complaint.texts.filter(kind=ComplaintText.Kind.REPLY).order_by("-pk").first()
    if reply is None or complaint.replied_at is None:
        return None
    review = None
    if complaint.review_outcome:
        review = complaint.texts.filter(kind=ComplaintText.Kind.REVIEW_DECISION).order_by("-pk").first()
    language = "zh-hans" if (get_language() or "").startswith("zh") else "en"
    return {
        **values_for(complaint, language=language, now=now),
        "customer_no": complaint.customer.customer_no,
        "replied_at": minute(complaint.replied_at),
        "reply": opened(reply),
        "reviewed_at": minute(complaint.reviewed_at) if complaint.reviewed_at else "",
        "review": opened(review) if review else "",
    }


def opened(text: ComplaintText) -> str:
    """What was written, as it was typed. Raises pii.Unreadable."""
    return pii.reveal(text.text_sealed, subject=text.key, field="text")


def _day(value: date | None) -> str:
    return value.isoformat() if value else ""


def _label(choices: Any, value: str) -> str:
    return str(choices(value).label) if value else ""
