"""What the customer is told: the templates, each message on its rung, and the sealed text (SPEC §5)."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts import pii
from accounts.models import Customer
from accounts.tracking import EVERYBODY, QUEUE_FIELDS, Tracked, sets, tracked
from closures.models.queue import QueueQuerySet, QueueRow
from closures.models.tickets import ClosureTicket


class NoticeKind(models.TextChoices):
    RECEIVED = "RECEIVED", _("request received")
    BLOCKERS_FOUND = "BLOCKERS_FOUND", _("blockers found")
    REFUSED = "REFUSED", _("refused")
    NOTICE_OF_CLOSING = "NOTICE_OF_CLOSING", _("notice of closing")
    COOLING_OFF_STARTED = "COOLING_OFF_STARTED", _("cooling-off started")
    WITHDRAWN = "WITHDRAWN", _("withdrawn")
    UNBINDING_DELAYED = "UNBINDING_DELAYED", _("unbinding delayed")
    CLOSED = "CLOSED", _("closed, with certificate")
    COMPLAINT_ACKNOWLEDGED = "COMPLAINT_ACKNOWLEDGED", _("complaint received")
    COMPLAINT_EXTENDED = "COMPLAINT_EXTENDED", _("complaint needs more time")
    COMPLAINT_DECIDED = "COMPLAINT_DECIDED", _("complaint decided")
    REVERSED = "REVERSED", _("closing reversed")
    DATA_RETENTION_ANSWER = "DATA_RETENTION_ANSWER", _("answer on keeping data")


class NoticeChannel(models.TextChoices):
    INBOX = "INBOX", _("inbox")
    SMS = "SMS", _("text message")
    EMAIL = "EMAIL", _("e-mail")
    LETTER = "LETTER", _("registered letter")


class NoticeTemplate(models.Model):
    """One version of one text; versions are never edited, a new text is a new version."""

    kind = models.CharField(_("kind"), max_length=24, choices=NoticeKind.choices)
    channel = models.CharField(_("channel"), max_length=8, choices=NoticeChannel.choices)
    language = models.CharField(_("language"), max_length=10)
    version = models.PositiveIntegerField(_("version"))
    subject = models.CharField(_("subject"), max_length=120, blank=True)
    body = models.TextField(_("text"))
    digest = models.CharField(max_length=64)
    recorded_at = models.DateTimeField(_("recorded at"), auto_now_add=True)

    class Meta:
        verbose_name = _("notice template")
        verbose_name_plural = _("notice templates")
        constraints = [
            models.UniqueConstraint(
                name="template_version", fields=["kind", "channel", "language", "version"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}/{self.get_channel_display()}.{self.language} v{self.version}"


class Notice(Tracked, QueueRow):
    """通知: one message on one rung. Sent is not delivered, queued is not sent."""

    class State(models.TextChoices):
        PENDING = "PENDING", _("pending")
        SENDING = "SENDING", _("sending")
        UNKNOWN = "UNKNOWN", _("unknown")
        SENT = "SENT", _("sent")
        DELIVERED = "DELIVERED", _("delivered")
        FAILED = "FAILED", _("failed")
        EXPIRED = "EXPIRED", _("no receipt in time")
        CANCELLED = "CANCELLED", _("cancelled")

    MACHINE = (State.PENDING, State.SENDING, State.UNKNOWN, State.SENT)
    CLAIMED_WITH = ("customer", "body")

    # The number of what it is about: a ticket, a complaint, a deletion request.
    about = models.CharField(_("about"), max_length=24)
    ticket = models.ForeignKey(
        ClosureTicket,
        verbose_name=_("ticket"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="notices",
    )
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), on_delete=models.PROTECT, related_name="notices"
    )
    kind = models.CharField(_("kind"), max_length=24, choices=NoticeKind.choices)
    channel = models.CharField(_("channel"), max_length=8, choices=NoticeChannel.choices)
    round = models.PositiveSmallIntegerField(_("round"), default=1)
    courtesy = models.BooleanField(_("courtesy copy"), default=False)
    asks_money = models.BooleanField(_("asks for money"), default=False)
    language = models.CharField(_("language"), max_length=10)
    template = models.ForeignKey(
        NoticeTemplate, verbose_name=_("template"), on_delete=models.PROTECT, related_name="+"
    )
    values = models.JSONField(_("values"), default=dict)
    content_hash = models.CharField(_("content hash"), max_length=64)
    key = models.CharField(_("key"), max_length=80, unique=True)
    state = FSMField(_("state"), default=State.PENDING, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)
    provider_id = models.CharField(_("provider's number"), max_length=80, blank=True)
    proof = models.CharField(_("proof of arrival"), max_length=80, blank=True)
    reason_code = models.CharField(_("reason"), max_length=60, blank=True)

    objects = QueueQuerySet.as_manager()
    history = tracked(excluded=QUEUE_FIELDS)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        permissions = [("enter_letter_proof", _("Can enter the proof of a registered letter"))]
        constraints = [
            models.CheckConstraint(
                name="notice_state_is_legal",
                condition=Q(
                    state__in=[
                        "PENDING",
                        "SENDING",
                        "UNKNOWN",
                        "SENT",
                        "DELIVERED",
                        "FAILED",
                        "EXPIRED",
                        "CANCELLED",
                    ]
                ),
            ),
            models.UniqueConstraint(name="notice_one_per_rung", fields=["about", "kind", "round", "channel"]),
            models.CheckConstraint(
                name="notice_delivered_has_its_moment",
                condition=~Q(state="DELIVERED") | Q(delivered_at__isnull=False),
            ),
            models.CheckConstraint(
                name="notice_email_is_never_arrival", condition=~Q(state="DELIVERED", channel="EMAIL")
            ),
        ]
        indexes = [
            models.Index(
                name="notice_due",
                fields=["due_at"],
                condition=Q(state__in=["PENDING", "SENDING", "UNKNOWN", "SENT"]),
            ),
        ]

    def __str__(self) -> str:
        return translate("notice %(key)s") % {"key": self.key}

    # Transitions

    @transition(state, source=State.PENDING, target=State.SENDING, custom=sets())
    def send(self) -> None: ...

    @transition(state, source=State.PENDING, target=State.CANCELLED, custom=sets(also=EVERYBODY, due_at=None))
    def cancel(self) -> None:
        """Its ticket has moved on."""

    @transition(state, source=[State.SENDING, State.UNKNOWN], target=State.SENT)
    def mark_sent(self, *, sent_at: datetime, provider_id: str = "") -> None:
        self.sent_at, self.provider_id = sent_at, provider_id

    @transition(state, source=State.SENDING, target=State.UNKNOWN, custom=sets())
    def lose_sight(self) -> None: ...

    @transition(state, source=[State.SENDING, State.UNKNOWN], target=State.PENDING, custom=sets())
    def put_back(self) -> None:
        """Nothing was sent; the rung is kept."""

    @transition(state, source=[State.UNKNOWN, State.SENT], target=State.DELIVERED)
    def arrive(self, *, delivered_at: datetime) -> None:
        self.delivered_at = delivered_at
        self.sent_at = self.sent_at or delivered_at

    @transition(
        state,
        source=State.SENT,
        target=State.DELIVERED,
        permission="closures.enter_letter_proof",
        custom=sets(label=_("Enter the proof of arrival")),
    )
    def prove_arrival(self, *, delivered_at: datetime, proof: str) -> None:
        """A registered letter: a person enters the tracking proof."""
        self.delivered_at, self.proof = delivered_at, proof

    @transition(state, source=[State.SENDING, State.SENT], target=State.FAILED)
    def fail(self, *, reason_code: str) -> None:
        self.reason_code = reason_code

    @transition(state, source=State.SENT, target=State.EXPIRED, custom=sets(due_at=None))
    def expire(self) -> None:
        """No receipt in time; the next rung takes over."""


class NoticeBody(models.Model):
    """The filled text, sealed (bound to the notice's key). Untracked: erasing deletes it."""

    notice = models.OneToOneField(Notice, on_delete=models.PROTECT, related_name="body")
    subject_sealed = models.TextField(blank=True)
    text_sealed = models.TextField()

    class Meta:
        verbose_name = _("notice text")
        verbose_name_plural = _("notice texts")

    def __str__(self) -> str:
        return f"text of notice {self.notice_id}"


for _sealed in ("subject", "text"):
    pii.register_sealed(NoticeBody, _sealed, "notice__key", customer_path="notice__customer", row_goes=True)
