"""Credit accounts, our dated copy of the core ledger, and the restrictions on their lines."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts.models.customers import Customer
from accounts.models.products import CreditProduct
from accounts.tracking import EVERYBODY, Tracked, sets, tracked

ZERO = Decimal("0.00")


class Money(models.DecimalField):
    """Yuan with two decimals, never negative by constraint."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs = {"max_digits": 16, "decimal_places": 2, "default": ZERO, **kwargs}
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]


class CreditAccount(Tracked):
    """授信账户: balances as the core ledger had them at `ledger_as_of`."""

    class LineState(models.TextChoices):
        ACTIVE = "ACTIVE", _("active")
        LOCKED = "LOCKED", _("locked by the customer")
        FROZEN = "FROZEN", _("repay only")
        CLOSING = "CLOSING", _("closing")
        CLOSED = "CLOSED", _("closed")

    OWED_MONEY = ("principal", "interest", "fees", "unbilled", "refunds_in_flight", "disputed")
    OWED_COUNTS = ("instalments_remaining", "pending_orders")
    MONEY = ("credit_limit", *OWED_MONEY, "credit_balance")
    LEDGER_FIELDS = (*MONEY, *OWED_COUNTS, "days_past_due", "arrears_months")

    account_no = models.CharField(_("account number"), max_length=32, unique=True)
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.PROTECT, related_name="accounts"
    )
    product = models.ForeignKey(
        CreditProduct, verbose_name=_("product"), on_delete=models.PROTECT, related_name="accounts"
    )
    line_state = FSMField(_("line"), default=LineState.ACTIVE, choices=LineState.choices, protected=True)
    credit_limit = Money(_("credit limit"))
    principal = Money(_("principal"))
    interest = Money(_("interest"))
    fees = Money(_("fees"))
    unbilled = Money(_("unbilled"))
    instalments_remaining = models.PositiveIntegerField(_("instalments remaining"), default=0)
    pending_orders = models.PositiveIntegerField(_("pending orders"), default=0)
    refunds_in_flight = Money(_("refunds in flight"))
    disputed = Money(_("disputed"))
    credit_balance = Money(_("credit balance"))
    days_past_due = models.PositiveIntegerField(_("days past due"), default=0)
    arrears_months = models.CharField(
        _("arrears by month"),
        max_length=60,
        blank=True,
        help_text=_("months of delay, newest first, 2|1|0|…"),
    )
    ledger_as_of = models.DateTimeField(_("ledger as of"))
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    reopened_from = models.ForeignKey(
        "self",
        verbose_name=_("opened in place of"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reopened_as",
    )
    row_digest = models.CharField(max_length=64, blank=True)

    history = tracked(excluded=("ledger_as_of", "row_digest"))

    class Meta:
        verbose_name = _("credit account")
        verbose_name_plural = _("credit accounts")
        permissions = [("restrict_line", _("Can freeze and unfreeze a line"))]
        constraints = [
            models.UniqueConstraint(
                name="account_one_open_per_product",
                fields=["customer", "product"],
                condition=~Q(line_state="CLOSED"),
            ),
            *[
                models.CheckConstraint(
                    name=f"account_{field}_not_negative", condition=Q(**{f"{field}__gte": 0})
                )
                for field in (
                    "credit_limit",
                    "principal",
                    "interest",
                    "fees",
                    "unbilled",
                    "refunds_in_flight",
                    "disputed",
                    "credit_balance",
                )
            ],
            models.UniqueConstraint(
                name="account_reopened_once",
                fields=["reopened_from"],
                condition=Q(reopened_from__isnull=False),
            ),
            models.CheckConstraint(
                name="account_closed_has_its_day",
                condition=~Q(line_state="CLOSED") | Q(closed_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.account_no

    # Transitions (called by accounts.services.lines only, from the open restrictions)

    OPEN = [LineState.ACTIVE, LineState.LOCKED, LineState.FROZEN, LineState.CLOSING]

    @transition(line_state, source=OPEN, target=LineState.ACTIVE, custom=sets(also=EVERYBODY))
    def thaw(self) -> None: ...

    @transition(line_state, source=OPEN, target=LineState.LOCKED, custom=sets(also=EVERYBODY))
    def lock(self) -> None: ...

    @transition(line_state, source=OPEN, target=LineState.FROZEN, custom=sets(also=EVERYBODY))
    def freeze(self) -> None: ...

    @transition(line_state, source=OPEN, target=LineState.CLOSING, custom=sets(also=EVERYBODY))
    def start_closing(self) -> None: ...

    @transition(line_state, source=LineState.CLOSING, target=LineState.CLOSED, custom=sets(also=EVERYBODY))
    def close(self, *, closed_at: datetime) -> None:
        self.closed_at = closed_at

    # Properties

    @property
    def owed(self) -> Decimal:
        """Money the customer owes, billed or not; refunds and disputes are not debt."""
        return self.principal + self.interest + self.fees + self.unbilled

    @property
    def risk_tier(self) -> str:
        """Tier by days past due. Source: 金融资产风险分类办法 (FACTS L19)."""
        for limit, tier in ((360, "LOSS"), (270, "DOUBTFUL"), (90, "SUBSTANDARD"), (0, "SPECIAL_MENTION")):
            if self.days_past_due > limit:
                return tier
        return "NORMAL"


class RestrictionCause(models.TextChoices):
    CUSTOMER_LOCK = "CUSTOMER_LOCK", _("locked by the customer")
    COOLING_OFF = "COOLING_OFF", _("cooling-off")
    RISK = "RISK", _("risk control")
    POLICY = "POLICY", _("policy")
    JUDICIAL = "JUDICIAL", _("judicial")
    CLOSING = "CLOSING", _("closing under way")


class LineRestriction(Tracked):
    """One reason why a line is limited; lifting one never lifts another."""

    account = models.ForeignKey(
        CreditAccount, verbose_name=_("account"), on_delete=models.PROTECT, related_name="restrictions"
    )
    cause = models.CharField(_("cause"), max_length=20, choices=RestrictionCause.choices)
    reference = models.CharField(
        _("reference"), max_length=40, blank=True, help_text=_("ticket or order number")
    )
    since = models.DateTimeField(_("since"))
    until = models.DateTimeField(_("until"), null=True, blank=True)
    lifted_at = models.DateTimeField(_("lifted at"), null=True, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("line restriction")
        verbose_name_plural = _("line restrictions")
        constraints = [
            models.UniqueConstraint(
                name="restriction_one_open_per_cause_and_reference",
                fields=["account", "cause", "reference"],
                condition=Q(lifted_at__isnull=True),
            ),
        ]
        indexes = [
            models.Index(name="restriction_expiring", fields=["until"], condition=Q(lifted_at__isnull=True)),
        ]

    def __str__(self) -> str:
        text = translate("%(cause)s on account %(account)s")
        return text % {"cause": self.get_cause_display(), "account": self.account_id}


class ClosedAccountMovement(models.Model):
    """The core ledger shows money on an account that is closed here. Append-only; written by the import.

    The account itself stays as it was closed. Whoever follows such money up says so in `taken_at`.
    """

    account = models.ForeignKey(
        CreditAccount, verbose_name=_("account"), on_delete=models.PROTECT, related_name="movements"
    )
    ledger_as_of = models.DateTimeField(_("ledger as of"))
    owed_by_customer = Money(_("owed by the customer"))
    owed_to_customer = Money(_("owed to the customer"))
    digest = models.CharField(max_length=64)
    recorded_at = models.DateTimeField(_("recorded at"))
    taken_at = models.DateTimeField(_("followed up at"), null=True, blank=True)

    class Meta:
        verbose_name = _("movement on a closed account")
        verbose_name_plural = _("movements on closed accounts")
        constraints = [
            models.UniqueConstraint(name="movement_once", fields=["account", "digest"]),
            models.CheckConstraint(
                name="movement_not_negative",
                condition=Q(owed_by_customer__gte=0, owed_to_customer__gte=0),
            ),
        ]
        indexes = [
            models.Index(name="movement_to_take", fields=["ledger_as_of"], condition=Q(taken_at__isnull=True))
        ]

    def __str__(self) -> str:
        text = translate("account %(account)s as of %(moment)s")
        return text % {"account": self.account_id, "moment": self.ledger_as_of.isoformat()}
