"""The credit products: whose they are, how they are closed, and under which policy."""

from __future__ import annotations

from datetime import timedelta

from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django_fsm import FSMField, transition

from accounts.models.customers import Lender
from accounts.tracking import Tracked, sets, tracked

EDIT = "accounts.edit_product"


class CreditProduct(Tracked):
    """信贷产品: brand, lender, closing path, effects, closing policy. A ticket pins the policy at intake."""

    class State(models.TextChoices):
        DRAFT = "DRAFT", _("draft")
        OFFERED = "OFFERED", _("offered")
        SUSPENDED = "SUSPENDED", _("suspended")
        WITHDRAWN = "WITHDRAWN", pgettext_lazy("product", "withdrawn")

    class Kind(models.TextChoices):
        CONSUMER_PAY = "CONSUMER_PAY", _("consumer credit payment")
        CASH_LOAN = "CASH_LOAN", _("consumer cash loan")
        BUSINESS_LOAN = "BUSINESS_LOAN", _("business loan")

    code = models.CharField(_("code"), max_length=30, unique=True)
    brand = models.CharField(_("brand"), max_length=40)
    brand_en = models.CharField(_("brand in English"), max_length=40)
    lender = models.ForeignKey(
        Lender, verbose_name=_("lender"), on_delete=models.PROTECT, related_name="products"
    )
    platform = models.CharField(_("platform"), max_length=60)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    state = FSMField(_("state"), default=State.DRAFT, choices=State.choices, protected=True)
    # Texts a customer reads: {"zh-hans": …, "en": …}; lists hold one such pair per line.
    closing_path = models.JSONField(_("closing path"), default=dict)
    softer_alternative = models.JSONField(_("softer alternative"), default=dict, blank=True)
    effects = models.JSONField(
        _("effects of closing"), default=list, help_text=_("what the customer gives up; one line each")
    )
    facts = models.JSONField(
        _("facts and how sure they are"),
        default=list,
        blank=True,
        help_text=_("each with its label: C confirmed, C- weak source, GK general knowledge"),
    )
    agreement_version = models.CharField(_("agreement version"), max_length=40)
    version = models.PositiveIntegerField(_("version"), default=1)
    # Closing policy: durations, never hours of the day.
    cooling_off = models.DurationField(_("cooling-off"), default=timedelta(days=7))
    notice_lead = models.DurationField(_("notice lead"), default=timedelta(days=30))
    settle_window = models.DurationField(_("partner settle window"), default=timedelta(days=1))
    straight_through = models.BooleanField(_("spotless requests go straight through"), default=False)
    sampling_percent = models.PositiveSmallIntegerField(
        _("sampled for review, %"), default=100, validators=[MaxValueValidator(100)]
    )

    history = tracked()

    class Meta:
        verbose_name = _("credit product")
        verbose_name_plural = _("credit products")
        permissions = [("edit_product", _("Can edit products and their closing policy"))]
        constraints = [
            models.CheckConstraint(
                name="product_policy_periods_not_negative",
                condition=models.Q(cooling_off__gte=timedelta(0))
                & models.Q(notice_lead__gte=timedelta(0))
                & models.Q(settle_window__gte=timedelta(0)),
            ),
            models.CheckConstraint(
                name="product_sampling_percent", condition=models.Q(sampling_percent__lte=100)
            ),
        ]

    def __str__(self) -> str:
        return self.code

    # Transitions

    @transition(
        state, source=State.DRAFT, target=State.OFFERED, permission=EDIT, custom=sets(label=_("Offer"))
    )
    def offer(self) -> None: ...

    @transition(
        state, source=State.OFFERED, target=State.SUSPENDED, permission=EDIT, custom=sets(label=_("Suspend"))
    )
    def suspend(self) -> None: ...

    @transition(
        state,
        source=State.SUSPENDED,
        target=State.OFFERED,
        permission=EDIT,
        custom=sets(label=_("Offer again")),
    )
    def resume(self) -> None: ...

    @transition(
        state,
        source=[State.OFFERED, State.SUSPENDED],
        target=State.WITHDRAWN,
        permission=EDIT,
        custom=sets(label=_("Withdraw from the market")),
    )
    def withdraw(self) -> None: ...

    # Properties

    def text(self, field: str, language: str) -> str:
        """One of the customer texts in `language`, else in Chinese."""
        texts = getattr(self, field)
        return texts.get(language) or texts.get("zh-hans", "")
