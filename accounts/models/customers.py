"""Customers, their sealed identities, and the lenders they have a relationship with."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts import pii
from accounts.tracking import EVERYBODY, Tracked, sets, tracked


class Customer(Tracked):
    """客户: known by `customer_no`. Holds no personal data (SPEC invariant 12)."""

    class Standing(models.TextChoices):
        ACTIVE = "ACTIVE", _("active")
        RESTRICTED = "RESTRICTED", _("storage only")
        ERASED = "ERASED", _("erased")

    class NoticeChannel(models.TextChoices):
        NONE = "", _("none agreed")
        INBOX = "INBOX", _("inbox")

    customer_no = models.CharField(_("customer number"), max_length=32, unique=True)
    standing = FSMField(_("standing"), default=Standing.ACTIVE, choices=Standing.choices, protected=True)
    deceased_on = models.DateField(_("deceased on"), null=True, blank=True)
    merged_into = models.ForeignKey(
        "self", verbose_name=_("merged into"), null=True, blank=True, on_delete=models.PROTECT
    )
    notice_channel = models.CharField(
        _("agreed notice channel"), max_length=10, choices=NoticeChannel.choices, blank=True, default=""
    )
    notice_channel_agreed_on = models.DateField(_("agreed on"), null=True, blank=True)
    synthetic = models.BooleanField(
        _("synthetic"), default=False, help_text=_("made for drills, never a person")
    )

    history = tracked()

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        permissions = [
            ("reveal_identity", _("Can reveal a customer's identity, with a reason")),
            ("list_restricted", _("Can list customers whose data is only stored")),
        ]
        constraints = [
            models.CheckConstraint(
                name="customer_channel_has_its_day",
                condition=Q(notice_channel="") | Q(notice_channel_agreed_on__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.customer_no

    # Transitions

    @transition(standing, source=Standing.ACTIVE, target=Standing.RESTRICTED, custom=sets(also=EVERYBODY))
    def restrict(self) -> None:
        """The last lender relationship has ended; data is stored, nothing else (PIPL 47)."""

    @transition(standing, source=Standing.RESTRICTED, target=Standing.ACTIVE, custom=sets(also=EVERYBODY))
    def resume(self) -> None:
        """A new lender relationship has begun."""

    @transition(standing, source=Standing.RESTRICTED, target=Standing.ERASED, custom=sets())
    def erase(self) -> None:
        """The identity rows are gone; the numbers stay."""


class CustomerIdentity(models.Model):
    """身份信息: one immutable version of who the customer is, every field sealed (accounts.pii).

    Not tracked by history: erasing deletes these rows and nothing remains. A seal is bound to
    customer_no and field; the indexes are keyed hashes for exact search.
    """

    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.PROTECT, related_name="identities"
    )
    version = models.PositiveIntegerField(_("version"), default=1)
    name_sealed = models.TextField(_("name"))
    id_number_sealed = models.TextField(_("ID number"))
    phone_sealed = models.TextField(_("phone"), blank=True)
    email_sealed = models.TextField(_("e-mail"), blank=True)
    birth_date_sealed = models.TextField(_("birth date"), blank=True)
    id_number_index = models.CharField(max_length=64)
    phone_index = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)
    recorded_at = models.DateTimeField(_("recorded at"))
    superseded_at = models.DateTimeField(_("superseded at"), null=True, blank=True)

    SEALED = ("name", "id_number", "phone", "email", "birth_date")

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        constraints = [
            models.UniqueConstraint(name="identity_version", fields=["customer", "version"]),
            models.UniqueConstraint(
                name="identity_current", fields=["customer"], condition=Q(superseded_at__isnull=True)
            ),
        ]
        # Only the current version is searched; not `db_index`, whose second index for LIKE nothing uses.
        indexes = [
            models.Index(
                name=f"identity_by_{field}",
                fields=[f"{field}_index"],
                condition=Q(superseded_at__isnull=True),
            )
            for field in ("id_number", "phone")
        ]

    def __str__(self) -> str:
        text = translate("identity %(version)s of customer %(customer)s")
        return text % {"version": self.version, "customer": self.customer_id}


for _sealed in CustomerIdentity.SEALED:
    pii.register_sealed(
        CustomerIdentity, _sealed, "customer__customer_no", customer_path="customer", row_goes=True
    )


class IdentityReveal(models.Model):
    """Who saw a customer's identity unmasked, when and why. Append-only; `accounts.services.identities`."""

    at = models.DateTimeField(_("at"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("member of staff"),
        on_delete=models.PROTECT,
        related_name="reveals",
    )
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.PROTECT, related_name="reveals"
    )
    reason = models.CharField(_("reason"), max_length=500)

    class Meta:
        verbose_name = _("revealed identity")
        verbose_name_plural = _("revealed identities")
        indexes = [models.Index(name="reveal_by_user_and_hour", fields=["user", "at"])]

    def __str__(self) -> str:
        text = translate("customer %(customer)s revealed to user %(user)s")
        return text % {"customer": self.customer_id, "user": self.user_id}


class Lender(Tracked):
    """放款机构: the legal person who lends. A brand is not a lender."""

    class Kind(models.TextChoices):
        CONSUMER_FINANCE = "CONSUMER_FINANCE", _("consumer-finance company")
        BANK = "BANK", _("bank")
        MICRO_LOAN = "MICRO_LOAN", _("micro-loan company")

    code = models.CharField(_("code"), max_length=30, unique=True)
    legal_name = models.CharField(_("legal name"), max_length=120)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    certainty = models.CharField(_("how sure"), max_length=4, blank=True)
    source = models.CharField(_("source"), max_length=200, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("lender")
        verbose_name_plural = _("lenders")

    def __str__(self) -> str:
        return self.legal_name


class LenderRelationship(Tracked):
    """The time a customer has been with a lender; the retention clock starts at its end."""

    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.PROTECT, related_name="relationships"
    )
    lender = models.ForeignKey(
        Lender, verbose_name=_("lender"), on_delete=models.PROTECT, related_name="relationships"
    )
    started_on = models.DateField(_("started on"))
    ended_on = models.DateField(_("ended on"), null=True, blank=True)
    retain_until = models.DateField(_("retain until"), null=True, blank=True)

    history = tracked()

    class Meta:
        verbose_name = _("lender relationship")
        verbose_name_plural = _("lender relationships")
        constraints = [
            models.UniqueConstraint(
                name="relationship_one_open",
                fields=["customer", "lender"],
                condition=Q(ended_on__isnull=True),
            ),
            models.CheckConstraint(
                name="relationship_end_keeps_data",
                # A CHECK passes NULL: an end without its retention day has to be named.
                condition=Q(ended_on__isnull=True, retain_until__isnull=True)
                | Q(
                    ended_on__isnull=False,
                    retain_until__isnull=False,
                    retain_until__gt=models.F("ended_on"),
                ),
            ),
        ]

    def __str__(self) -> str:
        text = translate("customer %(customer)s with lender %(lender)s since %(day)s")
        return text % {"customer": self.customer_id, "lender": self.lender_id, "day": self.started_on}
