"""One-time codes: six digits sent to the phone on file, by which a customer shows that it is he.

The digits themselves are kept nowhere in the open: a keyed hash on the row, and the sealed text until it is
sent. Being untracked, the text leaves no trace once it is deleted.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts import pii
from accounts.models import Customer
from accounts.tracking import EVERYBODY, NOW, QUEUE_FIELDS, Tracked, sets, tracked
from closures.models.queue import QueueQuerySet, QueueRow
from closures.models.tickets import ClosureTicket


class IdentityCode(Tracked, QueueRow):
    """验证码: one code for one purpose on one ticket, bound to one version of the customer's identity."""

    class State(models.TextChoices):
        PENDING = "PENDING", _("pending")
        SENDING = "SENDING", _("sending")
        UNKNOWN = "UNKNOWN", _("unknown")
        SENT = "SENT", _("sent")
        VERIFIED = "VERIFIED", _("verified")
        USED_UP = "USED_UP", _("tries used up")
        LAPSED = "LAPSED", _("expired")
        FAILED = "FAILED", _("failed")
        CANCELLED = "CANCELLED", _("void")

    class Purpose(models.TextChoices):
        PROVE_REQUEST = "PROVE_REQUEST", _("prove that the request is the customer's own")
        STATUS_DETAILS = "STATUS_DETAILS", _("see personal details on the status page")
        WITHDRAW = "WITHDRAW", _("withdraw the request")
        COMPLAIN = "COMPLAIN", _("complain, or go on with a complaint")

    MACHINE = (State.PENDING, State.SENDING, State.UNKNOWN)
    # The text may have arrived before we know that it did, so a code is good from the moment it exists.
    LIVE = (*MACHINE, State.SENT)
    CLAIMED_WITH = ("customer", "ticket")

    ticket = models.ForeignKey(
        ClosureTicket, verbose_name=_("ticket"), on_delete=models.PROTECT, related_name="identity_codes"
    )
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.PROTECT, related_name="identity_codes"
    )
    purpose = models.CharField(_("purpose"), max_length=16, choices=Purpose.choices)
    state = FSMField(_("state"), default=State.PENDING, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("asked for by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("empty: the customer himself"),
    )
    identity_version = models.PositiveIntegerField(_("identity version"))
    key = models.CharField(_("key"), max_length=80, unique=True)
    code_hash = models.CharField(max_length=64, blank=True)  # keyed, bound to `key`; blank once it is over
    issued_at = models.DateTimeField(_("issued at"))
    expires_at = models.DateTimeField(_("good until"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    tries_allowed = models.PositiveSmallIntegerField(_("tries allowed"))
    reason_code = models.CharField(_("reason"), max_length=60, blank=True)

    objects = QueueQuerySet.as_manager()
    history = tracked(excluded=(*QUEUE_FIELDS, "code_hash"))

    class Meta:
        verbose_name = _("one-time code")
        verbose_name_plural = _("one-time codes")
        constraints = [
            models.CheckConstraint(
                name="code_state_is_legal",
                condition=Q(
                    state__in=[
                        "PENDING",
                        "SENDING",
                        "UNKNOWN",
                        "SENT",
                        "VERIFIED",
                        "USED_UP",
                        "LAPSED",
                        "FAILED",
                        "CANCELLED",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="code_no_more_tries_than_allowed", condition=Q(tries__lte=F("tries_allowed"))
            ),
            models.CheckConstraint(
                name="code_verified_took_a_try",
                condition=~Q(state="VERIFIED") | Q(tries__gt=0, ended_at__isnull=False),
            ),
            models.UniqueConstraint(
                name="code_one_live_per_purpose",
                fields=["ticket", "purpose"],
                condition=Q(state__in=["PENDING", "SENDING", "UNKNOWN", "SENT"]),
            ),
        ]
        indexes = [
            models.Index(
                name="code_due",
                fields=["due_at"],
                condition=Q(state__in=["PENDING", "SENDING", "UNKNOWN", "SENT"]),
            ),
            models.Index(name="code_by_customer", fields=["customer", "issued_at"]),
        ]

    def __str__(self) -> str:
        return translate("one-time code %(number)s of ticket %(ticket)s") % {
            "number": self.pk,
            "ticket": self.ticket_id,
        }

    # Transitions

    @transition(state, source=State.PENDING, target=State.SENDING, custom=sets())
    def send(self) -> None: ...

    @transition(state, source=[State.SENDING, State.UNKNOWN], target=State.SENT, custom=sets())
    def mark_sent(self) -> None: ...

    @transition(state, source=State.SENDING, target=State.UNKNOWN, custom=sets())
    def lose_sight(self) -> None: ...

    @transition(state, source=[State.SENDING, State.UNKNOWN], target=State.PENDING, custom=sets())
    def put_back(self) -> None:
        """Nothing was sent; the same text goes out again under the same key."""

    @transition(
        state, source=State.SENDING, target=State.FAILED, custom=sets(ended_at=NOW, due_at=None, code_hash="")
    )
    def fail(self, *, reason_code: str) -> None:
        self.reason_code = reason_code

    @transition(
        state, source=list(LIVE), target=State.LAPSED, custom=sets(ended_at=NOW, due_at=None, code_hash="")
    )
    def lapse(self) -> None: ...

    @transition(
        state,
        source=list(LIVE),
        target=State.VERIFIED,
        custom=sets(also=EVERYBODY, ended_at=NOW, due_at=None, code_hash=""),
    )
    def verify(self) -> None:
        """The right digits came in time; the service has compared them."""

    @transition(
        state,
        source=list(LIVE),
        target=State.USED_UP,
        custom=sets(also=EVERYBODY, ended_at=NOW, due_at=None, code_hash=""),
    )
    def use_up(self) -> None:
        """The last try was wrong as well."""

    @transition(
        state,
        source=list(LIVE),
        target=State.CANCELLED,
        custom=sets(also=EVERYBODY, ended_at=NOW, due_at=None, code_hash=""),
    )
    def cancel(self, *, reason_code: str) -> None:
        """A newer code took its place, or the identity it was bound to has changed."""
        self.reason_code = reason_code


class IdentityCodeText(models.Model):
    """The message with the digits, sealed (bound to the code's key). Deleted once it is sent or over."""

    code = models.OneToOneField(IdentityCode, on_delete=models.PROTECT, related_name="body")
    text_sealed = models.TextField()

    class Meta:
        verbose_name = _("text of a one-time code")
        verbose_name_plural = _("texts of one-time codes")

    def __str__(self) -> str:
        return f"text of one-time code {self.code_id}"


pii.register_sealed(IdentityCodeText, "text", "code__key", customer_path="code__customer", row_goes=True)
