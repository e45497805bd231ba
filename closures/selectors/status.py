"""A ticket in the customer's words: where it stands, what blocks and how to cure it, what comes next.

For the status page, the API and letters. Nothing internal gets in here: no grounds, no staff, no silent
hold, no partner's raw words. Texts are in the active language.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.timezone import localtime
from django.utils.translation import get_language
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from closures.models import Blocker, ClosureTicket, UnbindTask
from closures.models.tickets import Reason
from closures.selectors import letters, texts

State = ClosureTicket.State
DONE, NOW, AHEAD, SKIPPED = "done", "now", "ahead", "skipped"

# The way of a closing as a customer sees it, and the states in which he is at each step.
STEPS: tuple[tuple[str, object, tuple[str, ...]], ...] = (
    ("RECEIVED", _("Request received"), (State.SUBMITTED,)),
    ("CHECKED", _("Account checked"), (State.BLOCKED,)),
    ("DECIDED", _("Request decided"), (State.IN_REVIEW,)),
    ("WAITED", _("Time to think it over"), (State.NOTICE_PERIOD,)),
    ("SETTLED", _("Nothing owed either way"), (State.SETTLING,)),
    ("UNBOUND", _("Linked agreements ended"), (State.UNBINDING,)),
    ("CLOSED", _("Account closed"), (State.CLOSING, State.CLOSED, State.REVERSED)),
)
# What a step is called where the lender wants the closing.
LENDERS_WORDS: dict[str, object] = {"RECEIVED": _("Case opened"), "WAITED": _("Notice period")}
ENDED_EARLY = (State.REJECTED, State.WITHDRAWN, State.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class Step:
    code: str
    label: str
    standing: str  # done, now, ahead, skipped
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """One thing that stands in the way, and who does what so that it goes away."""

    code: str
    label: str
    amount: Decimal | None
    count: int | None
    cure: str


@dataclass(frozen=True, kw_only=True)
class Linked:
    """One agreement with a partner: enough to know it, not enough to use it."""

    name: str
    ends: bool  # ended by us; otherwise it stays
    ended: bool


@dataclass(frozen=True, kw_only=True)
class Status:
    number: str
    state: str
    headline: str
    sentence: str
    reason: str
    brand: str
    lender: str
    account_tail: str
    requested_at: datetime
    answer_due_on: str
    period_ends_at: datetime | None
    steps: tuple[Step, ...]
    obstacles: tuple[Obstacle, ...]
    linked: tuple[Linked, ...]
    other_lines: int  # credit lines with other lenders, which stay open
    owed: Decimal
    credit_balance: Decimal
    figures_as_of: datetime
    effects: tuple[str, ...]
    may_withdraw: bool
    certificate_no: str

    @property
    def ended_early(self) -> bool:
        return self.state in ENDED_EARLY


def of_ticket(ticket: ClosureTicket) -> Status:
    """The ticket as its customer may see it. At most five queries; `account__product__lender` selected."""
    account, language = ticket.account, get_language() or "zh-hans"
    product = account.product
    rows = list(ticket.blockers.filter(cured_at__isnull=True).order_by("pk").select_related("hold"))
    obstacles = tuple(_obstacles(ticket, rows))
    return Status(
        number=ticket.number,
        state=ticket.state,
        headline=str(HEADLINES[ticket.state]),
        sentence=sentence(ticket, obstacles=len(obstacles)),
        reason=str(texts.REASONS_FOR_CUSTOMER[Reason(ticket.reason)]),
        brand=brand(ticket),
        lender=product.lender.legal_name,
        account_tail=account.account_no[-4:],
        requested_at=ticket.requested_at,
        answer_due_on=ticket.answer_due_on.isoformat() if ticket.answer_due_on else "",
        period_ends_at=ticket.period_ends_at,
        steps=tuple(_steps(ticket)),
        obstacles=obstacles,
        linked=tuple(_linked(ticket, rows)),
        other_lines=sum(row.count or 0 for row in rows if row.code == Blocker.Code.OTHER_LENDER_LINE),
        owed=account.owed,
        credit_balance=account.credit_balance,
        figures_as_of=account.ledger_as_of,
        effects=tuple(texts.plain(effect, language) for effect in product.effects),
        may_withdraw=may_withdraw(ticket),
        certificate_no=ticket.certificate_no or "",
    )


def brand(ticket: ClosureTicket) -> str:
    """The product's name in the active language."""
    product = ticket.account.product
    return product.brand if (get_language() or "zh-hans").startswith("zh") else product.brand_en


def may_withdraw(ticket: ClosureTicket) -> bool:
    """The customer's own request, and nothing irreversible has begun. Source: SPEC §3."""
    begun = ticket.unbinding_started_at is not None
    return ticket.is_open and ticket.is_customers_own and not begun


def _obstacles(ticket: ClosureTicket, rows: Iterable[Blocker]) -> Iterable[Obstacle]:
    """What stands in the way of an open case, or stood in the way of a refused one."""
    if not ticket.is_open and ticket.state != State.REJECTED:
        return
    for row in rows:
        if row.severity == Blocker.Severity.BLOCK and letters.may_be_read(row):
            yield Obstacle(
                code=row.code,
                label=row.get_code_display(),
                amount=row.amount,
                count=row.count,
                cure=texts.cure(row.cure),
            )


def _linked(ticket: ClosureTicket, rows: Iterable[Blocker]) -> Iterable[Linked]:
    tasks = {task.agreement_id: task for task in ticket.tasks.all()}
    wanted = {row.agreement_id for row in rows if row.agreement_id} | set(tasks)
    for agreement in ticket.account.agreements.filter(pk__in=wanted).order_by("pk"):
        task = tasks.get(agreement.pk)
        waived = task is not None and task.state in (UnbindTask.State.WAIVED, UnbindTask.State.CANCELLED)
        yield Linked(
            name=letters.agreement_name(agreement),
            ends=agreement.effect != "WARN" and not (waived or (task is None and not ticket.is_open)),
            ended=task is not None and task.state in (UnbindTask.State.UNBOUND, UnbindTask.State.ABSENT),
        )


def _steps(ticket: ClosureTicket) -> Iterable[Step]:
    """Each step with the moment its state was first entered, by history; one never entered is skipped."""
    entered: dict[str, datetime] = {}
    for state, at in ticket.history.order_by("history_id").values_list("state", "history_date"):
        entered.setdefault(state, at)
    reached = max((n for n, (_c, _l, states) in enumerate(STEPS) if entered.keys() & set(states)), default=0)
    current = next((n for n, (_c, _l, states) in enumerate(STEPS) if ticket.state in states), None)
    for n, (code, label, states) in enumerate(STEPS):
        at = next((entered[state] for state in reversed(states) if state in entered), None)
        if n == current and ticket.state not in ClosureTicket.WAS_CLOSED:
            standing = NOW
        elif at is not None and (current is None or n <= current):
            standing = DONE
        elif current is not None and n < current:
            standing = DONE if code in ("CHECKED", "DECIDED", "SETTLED") else SKIPPED
        else:
            standing = SKIPPED if current is None and n > reached else AHEAD
        words = label if ticket.is_customers_own else LENDERS_WORDS.get(code, label)
        yield Step(code=code, label=str(words), standing=standing, at=at)


# --- Sentences ----------------------------------------------------------------------------------------

HEADLINES: dict[str, object] = {
    State.SUBMITTED: _("We are checking your account"),
    State.BLOCKED: _("Something has to be settled first"),
    State.IN_REVIEW: _("Your case is being decided"),
    State.NOTICE_PERIOD: _("The waiting time is running"),
    State.SETTLING: _("Waiting until nothing is owed"),
    State.UNBINDING: _("Linked agreements are being ended"),
    State.CLOSING: _("The account is being closed"),
    State.CLOSED: _("The account is closed"),
    State.REVERSED: _("The closing was reversed"),
    State.REJECTED: _("The request was refused"),
    State.WITHDRAWN: _("The request was withdrawn"),
    State.CANCELLED: _("The closing was called off"),
}


def sentence(ticket: ClosureTicket, *, obstacles: int) -> str:
    """What the customer waits for or may do now, and what comes next."""
    held = {"day": ticket.answer_due_on, "moment": _minute(ticket.period_ends_at), "count": obstacles}
    return _phrase(ticket, obstacles=obstacles) % held


def _phrase(ticket: ClosureTicket, *, obstacles: int) -> str:
    own = ticket.is_customers_own
    match ticket.state:
        case State.SUBMITTED if ticket.identity_level == ClosureTicket.IdentityLevel.NONE:
            return translate("Please prove your identity by %(day)s; without it the request is refused.")
        case State.SUBMITTED:
            return translate("This takes a few minutes. We tell you what we find.")
        case State.BLOCKED if obstacles and own:
            return translate(
                "%(count)s item(s) below stand in the way. Settle them by %(day)s; then it goes on by itself."
            )
        case State.BLOCKED | State.IN_REVIEW if own:
            return translate("A member of our staff looks at your case. You have our answer by %(day)s.")
        case State.BLOCKED | State.IN_REVIEW:
            return translate("A member of our staff looks at the case. We tell you what is decided.")
        case State.NOTICE_PERIOD if own:
            return translate("You can still change your mind until %(moment)s. Then the closing begins.")
        case State.NOTICE_PERIOD if ticket.period_ends_at:
            return translate("You may object until %(moment)s. Then the closing begins.")
        case State.NOTICE_PERIOD:
            return translate(
                "We have to tell you first. The waiting time begins when our notice reaches you."
            )
        case State.SETTLING:
            return translate(
                "The line is closed to new use. Terms and instalments stay as agreed until all is repaid."
            )
        case State.UNBINDING:
            return translate("We end the agreements with the partners and have each one confirmed.")
        case State.CLOSING:
            return translate("The last step is under way. You receive a certificate.")
        case State.REVERSED:
            return translate(
                "The closing was wrong. A new account takes the old one's place; agreements with partners "
                "are yours to sign again."
            )
        case State.CLOSED:
            return translate("Nothing is left for you to do. Keep the certificate.")
        case State.REJECTED:
            return translate("The account goes on as before. You may ask again at any time, or complain.")
        case State.WITHDRAWN:
            return translate("The account goes on as before. You may ask again at any time.")
    return translate("The account goes on as before.")


def _minute(moment: datetime | None) -> str:
    return localtime(moment).strftime("%Y-%m-%d %H:%M") if moment else ""
