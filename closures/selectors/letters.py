"""The words of a notice: which template, which values, what text comes out. Reads only.

Values are codes, dates and amounts, so that a tracked notice holds no personal data; a silent hold never
gets in here (SPEC §3), and neither does what staff wrote for each other (grounds, remarks).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.template import Context, Engine
from django.utils import translation
from django.utils.timezone import localtime
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from accounts import pii
from accounts.models import CreditAccount, PartnerAgreement
from accounts.models.agreements import AgreementKind
from accounts.selectors import regulations
from accounts.selectors.regulations import NoRegulation
from closures.models import Blocker, ClosureTicket, Hold, Notice, NoticeTemplate, UnbindTask
from closures.models.notices import NoticeKind
from closures.selectors import status_links, texts

ENGINE = Engine(autoescape=False)  # plain text; the values are ours
BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n){2,}")  # what conditions that did not hold leave behind
PARTNERS = {
    "ALIPAY": _("Alipay"),
    "WECHAT": _("WeChat Pay"),
    "UNIONPAY": _("UnionPay"),
    "JD": _("JD Pay"),
}
DEBTS = ("principal", "interest", "fees", "unbilled")


@dataclass(frozen=True, kw_only=True)
class Letter:
    subject: str
    body: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.subject}\n\n{self.body}".encode()).hexdigest()


def template_for(*, kind: str, channel: str, language: str) -> NoticeTemplate:
    """The newest version of one text. Raises NoticeTemplate.DoesNotExist if none was shipped."""
    return NoticeTemplate.objects.filter(kind=kind, channel=channel, language=language).latest("version")


def fill(template: NoticeTemplate, values: dict[str, Any]) -> Letter:
    """The text with its values; `template_version` is the template's own."""
    context = Context({**values, "template_version": str(template.version)}, autoescape=False)
    body = ENGINE.from_string(template.body).render(context)
    return Letter(
        subject=" ".join(ENGINE.from_string(template.subject).render(context).split()),
        body=BLANK_LINES.sub("\n\n", body).strip(),
    )


def opened(notice: Notice) -> tuple[str, str]:
    """Subject and text of a notice, unsealed: for sending it, printing it, or showing it to its addressee.

    Raises `accounts.pii.Unreadable`, and NoticeBody.DoesNotExist once the text has been erased.
    """
    body = notice.body
    return (
        pii.reveal(body.subject_sealed, subject=notice.key, field="subject"),
        pii.reveal(body.text_sealed, subject=notice.key, field="text"),
    )


def values_for(
    *, ticket: ClosureTicket, kind: str, language: str, now: datetime, **more: Any
) -> dict[str, Any]:
    """JSON-ready values for a notice of this kind on any channel; `more` wins over what is found here.

    Amounts, dates and counts are texts, lists are lines in the customer's `language`; moments are China
    time, to the minute. What a kind does not say is not gathered.
    """
    account = ticket.account
    product = account.product
    with translation.override(language):
        found: dict[str, Any] = {
            "brand": product.brand if language == "zh-hans" else product.brand_en,
            "lender": product.lender.legal_name,
            "platform": product.platform,
            "account_tail": account.account_no[-4:],
            "ticket": ticket.number,
            "today": day(now),
            "moment": minute(now),
            "reason_code": str(ticket.reason),
            "status_link": status_links.url(ticket, now=now),
            "link_days": str(settings.STATUS_LINK_GOOD_FOR.days),
            "answer_due_on": ticket.answer_due_on.isoformat() if ticket.answer_due_on else "",
        }
        for gather in GATHERED.get(NoticeKind(kind), ()):
            found |= gather(ticket, language, now)
    return found | {key: value if isinstance(value, list) else str(value) for key, value in more.items()}


def day(moment: datetime) -> str:
    return localtime(moment).strftime("%Y-%m-%d")


def minute(moment: datetime) -> str:
    return localtime(moment).strftime("%Y-%m-%d %H:%M")


def blocker_lines(ticket: ClosureTicket) -> list[str]:
    """One line per open blocker that a customer may read, with its amount and its cure.

    A hold that cannot be shown to be harmless is left out, as in `eligibility.visible_to_customer`.
    """
    rows = ticket.blockers.filter(cured_at__isnull=True, severity=Blocker.Severity.BLOCK).order_by("pk")
    return [texts.blocker_line(row) for row in rows.select_related("hold") if may_be_read(row)]


def agreement_lines(ticket: ClosureTicket) -> list[str]:
    """One line per agreement that closing touches or leaves alone, with what becomes of it."""
    rows = ticket.blockers.filter(cured_at__isnull=True, agreement__isnull=False).order_by("pk")
    return [
        translate("%(agreement)s: %(cure)s")
        % {"agreement": agreement_name(row.agreement), "cure": texts.cure(row.cure)}
        for row in rows.select_related("agreement")
        if row.agreement is not None
    ]


def agreement_name(agreement: PartnerAgreement) -> str:
    return named(agreement.kind, agreement.partner, agreement.agreement_no)


# --- What each kind says beyond what is common to all --------------------------------------------------


def _effects(ticket: ClosureTicket, language: str, now: datetime) -> dict[str, Any]:
    return {
        "effects": [texts.plain(effect, language) for effect in ticket.account.product.effects],
        "disclosure_version": ticket.disclosure_version,
        "identity_needed": ticket.identity_level == ClosureTicket.IdentityLevel.NONE,
    }


def _obstacles(ticket: ClosureTicket, language: str, now: datetime) -> dict[str, Any]:
    return {
        "items": blocker_lines(ticket),
        "identity_not_proved": "IDENTITY_NOT_PROVED" in ticket.end_codes,
    }


def _balances(ticket: ClosureTicket, language: str, now: datetime) -> dict[str, Any]:
    account = ticket.account
    return {
        "figures_as_of": minute(account.ledger_as_of),
        "owed": f"{account.owed:,.2f}",
        "debts": _debt_lines(account),
        "credit_balance": f"{account.credit_balance:,.2f}",
        "days_past_due": str(account.days_past_due),
    }


def _linked(ticket: ClosureTicket, language: str, now: datetime) -> dict[str, Any]:
    return {"agreements": agreement_lines(ticket)}


def _retention(ticket: ClosureTicket, language: str, now: datetime) -> dict[str, Any]:
    try:
        years = str(regulations.number("RETENTION_YEARS", on=localtime(now).date()))
    except NoRegulation:  # the text then says "as long as the law requires"; a letter never stops a closing
        years = ""
    return {"retention_years": years}


def _unfinished(ticket: ClosureTicket, language: str, now: datetime) -> dict[str, Any]:
    waiting = ticket.tasks.exclude(state__in=(*UnbindTask.DONE, UnbindTask.State.CANCELLED))
    tasks = waiting.select_related("agreement").order_by("pk")
    return {"pending": [agreement_name(task.agreement) for task in tasks]}


def _certified(ticket: ClosureTicket, language: str, now: datetime) -> dict[str, Any]:
    certified = ticket.certificate.get("agreements", [])
    gone = [row for row in certified if row["result"] != UnbindTask.State.WAIVED]
    kept = ticket.account.agreements.filter(state=PartnerAgreement.State.BOUND).order_by("pk")
    return {
        "closed_at": minute(ticket.ended_at or now),
        "certificate_no": ticket.certificate_no or "",
        "certificate_hash": ticket.certificate_hash,
        "paid_out": bool(ticket.certificate.get("paid_out")),
        "ended": [named(row["kind"], row["partner"], row["agreement_no"]) for row in gone],
        "kept": [agreement_name(row) for row in kept],
    }


GATHERED: dict[NoticeKind, tuple[Callable[[ClosureTicket, str, datetime], dict[str, Any]], ...]] = {
    NoticeKind.RECEIVED: (_effects,),
    NoticeKind.BLOCKERS_FOUND: (_obstacles, _balances),
    NoticeKind.REFUSED: (_obstacles, _balances),
    NoticeKind.NOTICE_OF_CLOSING: (_balances, _linked, _retention),
    NoticeKind.COOLING_OFF_STARTED: (_balances, _linked, _retention),
    NoticeKind.UNBINDING_DELAYED: (_unfinished,),
    NoticeKind.CLOSED: (_certified, _retention),
    NoticeKind.REVERSED: (_certified,),
}


def may_be_read(row: Blocker) -> bool:
    """Whether the customer may know of this blocker: a silent hold's he may not."""
    if row.code == Blocker.Code.OPEN_HOLD:
        return row.hold is not None and row.hold.kind not in Hold.SILENT
    return True


def _debt_lines(account: CreditAccount) -> list[str]:
    """What is owed, part by part: “principal 1,200.00 yuan”."""
    lines = [
        translate("%(label)s %(amount)s yuan") % {"label": _label(field), "amount": f"{amount:,.2f}"}
        for field in DEBTS
        if (amount := getattr(account, field))
    ]
    if account.instalments_remaining:
        count = {"label": _label("instalments_remaining"), "count": account.instalments_remaining}
        lines.append(translate("%(label)s (%(count)s)") % count)
    return lines


def _label(field: str) -> str:
    return str(CreditAccount._meta.get_field(field).verbose_name)  # type: ignore[union-attr]


def named(kind: str, partner: str, agreement_no: str) -> str:
    """“automatic repayment, Alipay (no. …0101)”: enough to know it, not enough to use it."""
    return translate("%(kind)s, %(partner)s (no. …%(tail)s)") % {
        "kind": AgreementKind(kind).label,
        "partner": PARTNERS.get(partner, partner),
        "tail": agreement_no[-4:],
    }
