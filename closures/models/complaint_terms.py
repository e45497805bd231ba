"""The words of a complaint: its kinds, ways in, topics, causes and remedies; what must be true of its row.

Which states may follow which is in `complaints`; here is what a reader picks from a list, and the CHECKs.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class Kind(models.TextChoices):
    COMPLAINT = "COMPLAINT", _("complaint")
    BUREAU_DISPUTE = "BUREAU_DISPUTE", _("credit-bureau dispute")


class Channel(models.TextChoices):
    """By which way it came to us; several of them bring a number and a deadline of a regulator's."""

    APP = "APP", _("app")
    STATUS_PAGE = "STATUS_PAGE", _("status page")
    PHONE = "PHONE", _("telephone")
    BRANCH = "BRANCH", _("branch")
    LETTER = "LETTER", _("letter or visit")
    HOTLINE_12378 = "HOTLINE_12378", _("hotline 12378")
    REGULATOR = "REGULATOR", _("passed on by a regulator")
    CREDIT_BUREAU = "CREDIT_BUREAU", _("credit bureau")
    MEDIA = "MEDIA", _("media")


class Topic(models.TextChoices):
    WRONG_CLOSING = "WRONG_CLOSING", _("closed or being closed wrongly")
    NOTICE_NOT_RECEIVED = "NOTICE_NOT_RECEIVED", _("notice not received")
    REFUSED_CLOSING = "REFUSED_CLOSING", _("closing refused")
    WANTS_CLOSING = "WANTS_CLOSING", _("wants the account closed")
    SLOW_CLOSING = "SLOW_CLOSING", _("closing takes too long")
    UNBINDING = "UNBINDING", _("third-party agreements")
    CREDIT_RECORD = "CREDIT_RECORD", _("credit record")
    PRIVACY = "PRIVACY", _("personal information")
    FEES = "FEES", _("interest and fees")
    SERVICE = "SERVICE", _("service and conduct")
    OTHER = "OTHER", _("something else")


# Topics that say "this closing must not happen"; the others ask for a closing, or for something beside it.
DISPUTES_CLOSING = (Topic.WRONG_CLOSING, Topic.NOTICE_NOT_RECEIVED)


class ScopeReason(models.TextChoices):
    """Why a complaint is not ours to handle; each is told to the complainant."""

    NONE = "", _("within our scope")
    NOT_OUR_PRODUCT = "NOT_OUR_PRODUCT", _("not about a product of ours")
    QUESTION = "QUESTION", _("a question, not a complaint")
    BEFORE_COURT = "BEFORE_COURT", _("before a court or in arbitration")
    ALREADY_DECIDED = "ALREADY_DECIDED", _("decided before, without new facts")
    NOT_ENTITLED = "NOT_ENTITLED", _("the complainant has no standing")


class Outcome(models.TextChoices):
    UPHELD = "UPHELD", _("upheld")
    PARTLY_UPHELD = "PARTLY_UPHELD", _("partly upheld")
    NOT_UPHELD = "NOT_UPHELD", _("not upheld")


UPHELD = (Outcome.UPHELD, Outcome.PARTLY_UPHELD)


class RootCause(models.TextChoices):
    WRONG_PERSON = "WRONG_PERSON", _("wrong person or account")
    WRONG_FACTS = "WRONG_FACTS", _("decided on wrong or old data")
    WRONG_RULE = "WRONG_RULE", _("a rule or policy was wrong")
    HUMAN_ERROR = "HUMAN_ERROR", _("mistake of a member of staff")
    NOTICE_FAILED = "NOTICE_FAILED", _("the notice failed")
    SYSTEM_FAULT = "SYSTEM_FAULT", _("fault of our systems")
    PARTNER_FAULT = "PARTNER_FAULT", _("fault of a partner")
    UNCLEAR_TEXT = "UNCLEAR_TEXT", _("terms or wording not clear")
    NO_FAULT = "NO_FAULT", _("no fault found")


class Remedy(models.TextChoices):
    NONE = "NONE", _("no remedy")
    RECORDED = "RECORDED", _("another remedy, recorded")
    REVERSAL = "REVERSAL", _("reversal of the closing")


STATES = [
    "RECEIVED",
    "REGISTERED",
    "OUT_OF_SCOPE",
    "INVESTIGATING",
    "DECIDED",
    "REPLIED",
    "CLOSED",
    "REVIEW_REQUESTED",
    "REVIEWED",
    "WITHDRAWN",
    "MERGED",
]
AFTER_DECISION = ["DECIDED", "REPLIED", "CLOSED", "REVIEW_REQUESTED", "REVIEWED"]
ENDED = ["OUT_OF_SCOPE", "CLOSED", "WITHDRAWN", "MERGED"]


def apart(first: str, second: str) -> Q:
    """Two different people, or one of them is nobody. A CHECK passes NULL: every branch names it."""
    both = {f"{first}__isnull": False, f"{second}__isnull": False}
    nobody = Q(**{f"{first}__isnull": True}) | Q(**{f"{second}__isnull": True})
    return nobody | (Q(**both) & ~Q(**{first: F(second)}))


def put_right(outcome: str) -> Q:
    """A wrong closing that is upheld by this column has its cause and a remedy. Source: SPEC §6."""
    remedied = Q(remedy__in=["RECORDED", "REVERSAL"]) & ~Q(root_cause="")
    return ~Q(topic="WRONG_CLOSING") | ~Q(**{f"{outcome}__in": ["UPHELD", "PARTLY_UPHELD"]}) | remedied


def check(name: str, condition: Q) -> models.CheckConstraint:
    return models.CheckConstraint(name=f"complaint_{name}", condition=condition)


# A review may take a remedy away that the decision gave, so the decision is held to it until then.
CONSTRAINTS: list[models.BaseConstraint] = [
    check("state_is_legal", Q(state__in=STATES)),
    check("not_handled_by_who_is_complained_about", apart("about_staff", "handler")),
    check("not_decided_by_who_is_complained_about", apart("about_staff", "decided_by")),
    check("not_reviewed_by_who_is_complained_about", apart("about_staff", "reviewed_by")),
    check("handler_does_not_decide", apart("handler", "decided_by")),
    check("handler_does_not_review", apart("handler", "reviewed_by")),
    check("decider_does_not_review", apart("decided_by", "reviewed_by")),
    check(
        "decision_is_whole",
        ~Q(state__in=AFTER_DECISION)
        | (Q(decided_by__isnull=False, decided_at__isnull=False) & ~Q(outcome="") & ~Q(remedy="")),
    ),
    check("review_is_whole", ~Q(state="REVIEWED") | (Q(reviewed_by__isnull=False) & ~Q(review_outcome=""))),
    check("wrong_closing_is_put_right", ~Q(review_outcome="") | put_right("outcome")),
    check("wrong_closing_is_put_right_by_review", put_right("review_outcome")),
    check("compensation_not_negative", Q(compensation__gte=0)),
    check("ended_has_its_moment", ~Q(state__in=ENDED) | Q(ended_at__isnull=False)),
    check("out_of_scope_says_why", ~Q(state="OUT_OF_SCOPE") | ~Q(scope_reason="")),
    check(
        "merged_into_another",
        Q(merged_into__isnull=True) & ~Q(state="MERGED")
        | Q(merged_into__isnull=False, state="MERGED") & ~Q(merged_into=F("id")),
    ),
    check("due_after_its_start", Q(due_on__gt=F("clock_started_on"))),
    check(
        "bureau_dispute_is_marked",
        ~Q(kind="BUREAU_DISPUTE") | ~Q(state__in=AFTER_DECISION) | Q(marked_on__isnull=False),
    ),
]
