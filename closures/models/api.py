"""The institution's own apps: who may call, what was called, what was asked, what they were told.

No network and no signature is made here; a secret is sealed and leaves its row through `live_secrets` only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, transition

from accounts import pii
from accounts.tracking import QUEUE_FIELDS, Tracked, sets, tracked
from closures.models.queue import QueueQuerySet, QueueRow
from closures.models.tickets import ClosureTicket

MANAGE = "closures.manage_api_clients"
COUNTERS = ("window_at", "window_calls")
SECRETS = ("secret_sealed", "previous_secret_sealed")


class Scope(models.TextChoices):
    """What an app may do; a scope per purpose, none implies another."""

    PRODUCTS = "products:read", _("read products")
    ELIGIBILITY = "eligibility:read", _("ask what stands in the way")
    READ = "closures:read", _("read closings")
    WRITE = "closures:write", _("request and withdraw closings")
    COMPLAINTS_READ = "complaints:read", _("read complaints")
    COMPLAINTS_WRITE = "complaints:write", _("complain")


class ApiClient(Tracked):
    """应用接入: one app of the institution. Two secrets live while one replaces the other."""

    class State(models.TextChoices):
        ACTIVE = "ACTIVE", _("active")
        DISABLED = "DISABLED", _("disabled")

    key_id = models.CharField(_("key id"), max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=60)
    state = FSMField(_("state"), default=State.ACTIVE, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    scopes = models.JSONField(_("scopes"), default=list)
    requests_per_minute = models.PositiveIntegerField(_("requests per minute"), default=600)
    webhook_url = models.CharField(_("webhook address"), max_length=300, blank=True)
    secret_sealed = models.TextField()
    previous_secret_sealed = models.TextField(blank=True)
    previous_until = models.DateTimeField(_("old secret lives until"), null=True, blank=True)
    rotated_at = models.DateTimeField(_("secret made at"))
    # The rate limit's window: counted in one UPDATE, so that no two processes count past each other.
    window_at = models.DateTimeField(null=True, blank=True)
    window_calls = models.PositiveIntegerField(_("calls in this minute"), default=0)

    history = tracked(excluded=(*SECRETS, *COUNTERS))

    class Meta:
        verbose_name = _("API client")
        verbose_name_plural = _("API clients")
        permissions = [("manage_api_clients", _("Can make, rotate and disable API clients"))]
        constraints = [
            models.CheckConstraint(
                name="client_state_is_legal", condition=Q(state__in=["ACTIVE", "DISABLED"])
            ),
            models.CheckConstraint(
                name="client_old_secret_has_an_end",
                condition=Q(previous_secret_sealed="") | Q(previous_until__isnull=False),
            ),
            models.CheckConstraint(name="client_may_call", condition=Q(requests_per_minute__gte=1)),
        ]

    def __str__(self) -> str:
        return self.key_id

    # Transitions

    @transition(
        state,
        source=State.ACTIVE,
        target=State.DISABLED,
        permission=MANAGE,
        custom=sets(label=_("Disable the client")),
    )
    def disable(self) -> None: ...

    @transition(
        state,
        source=State.DISABLED,
        target=State.ACTIVE,
        permission=MANAGE,
        custom=sets(label=_("Enable the client")),
    )
    def enable(self) -> None: ...

    # Properties

    def live_secrets(self, *, now: datetime) -> list[bytes]:
        """The secrets that sign today, newest first. Raises `pii.Unreadable`."""
        secret = pii.reveal(self.secret_sealed, subject=self.key_id, field="secret")
        live = [secret.encode()]
        if self.previous_secret_sealed and self.previous_until and now < self.previous_until:
            old = pii.reveal(self.previous_secret_sealed, subject=self.key_id, field="previous_secret")
            live.append(old.encode())
        return live


pii.register_sealed(ApiClient, "secret", "key_id", customer_path=None)
pii.register_sealed(ApiClient, "previous_secret", "key_id", customer_path=None)


class ApiCall(models.Model):
    """One signed call: its nonce is spent, and under its idempotency key its answer is kept.

    The key stands on the call that did the work; repeats of it are calls of their own without one.
    """

    class State(models.TextChoices):
        IN_FLIGHT = "IN_FLIGHT", _("in flight")
        DONE = "DONE", _("done")

    client = models.ForeignKey(
        ApiClient, verbose_name=_("client"), on_delete=models.PROTECT, related_name="calls"
    )
    nonce = models.CharField(_("nonce"), max_length=64)
    operation = models.CharField(_("operation"), max_length=40, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.IN_FLIGHT)
    status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    code = models.CharField(_("refused with"), max_length=60, blank=True)
    idempotency_key = models.CharField(_("idempotency key"), max_length=60, null=True, blank=True)
    request_digest = models.CharField(max_length=64, blank=True)
    response_sealed = models.TextField(blank=True)
    replayed = models.BooleanField(_("answered again"), default=False)
    received_at = models.DateTimeField(_("received at"))
    lock_until = models.DateTimeField(_("in flight until"), null=True, blank=True)
    expires_at = models.DateTimeField(_("kept until"), db_index=True)

    class Meta:
        verbose_name = _("API call")
        verbose_name_plural = _("API calls")
        constraints = [
            models.UniqueConstraint(name="call_nonce_once", fields=["client", "nonce"]),
            models.UniqueConstraint(name="call_key_once", fields=["client", "idempotency_key"]),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.nonce}"


pii.register_sealed(ApiCall, "response", "nonce", customer_path=None)  # days old at most; a sweep deletes it


class AppRequest(models.Model):
    """应用请求: by which app a closing was asked for, how sure it was of the person, what it was told.

    `told_…` is how far its webhooks are written: they follow the ticket's own history, so that no path
    that moves a ticket can forget them (closures.services.webhooks).
    """

    class Assertion(models.TextChoices):
        ONE_FACTOR = "ONE_FACTOR", _("one factor")
        TWO_FACTORS = "TWO_FACTORS", _("two factors")
        FACE_COMPARED = "FACE_COMPARED", _("face compared")

    STRONG = (Assertion.TWO_FACTORS, Assertion.FACE_COMPARED)

    ticket = models.OneToOneField(
        ClosureTicket, verbose_name=_("ticket"), on_delete=models.PROTECT, related_name="app_request"
    )
    client = models.ForeignKey(
        ApiClient, verbose_name=_("client"), on_delete=models.PROTECT, related_name="requests"
    )
    assertion = models.CharField(_("identity asserted by"), max_length=20, choices=Assertion.choices)
    asserted_at = models.DateTimeField(_("asserted at"))
    received_at = models.DateTimeField(_("received at"))
    told_history_id = models.BigIntegerField(default=0)
    told_state = models.CharField(_("last told"), max_length=20, blank=True)
    told_since = models.DateTimeField(null=True, blank=True)
    over = models.BooleanField(_("nothing more to tell"), default=False)

    class Meta:
        verbose_name = _("request by an app")
        verbose_name_plural = _("requests by apps")
        indexes = [models.Index(name="app_request_open", fields=["ticket"], condition=Q(over=False))]

    def __str__(self) -> str:
        return f"{self.client_id}: {self.ticket_id}"

    @classmethod
    def behind(cls) -> Q:
        """Requests whose ticket has moved since the app was last told.

        Not “later than”: two workers' clocks may differ, and a moment that differs is a move.
        """
        unmoved = Q(ticket__state=F("told_state"), ticket__state_since=F("told_since"))
        return Q(told_since__isnull=True) | ~unmoved


class Webhook(Tracked, QueueRow):
    """事件推送: one event of one ticket for one app. Its id is the same however often it is sent."""

    class Kind(models.TextChoices):
        RECEIVED = "closure.received", _("request received")
        BLOCKED = "closure.blocked", _("blockers found")
        IN_REVIEW = "closure.in_review", _("with the reviewers")
        DECIDED = "closure.decided", _("approved")
        SETTLING = "closure.settling", _("waiting for settlement")
        UNBINDING = "closure.unbinding", _("agreements being ended")
        CLOSING = "closure.closing", _("account being closed")
        CLOSED = "closure.closed", _("account closed")
        REFUSED = "closure.refused", _("request refused")
        WITHDRAWN = "closure.withdrawn", _("request withdrawn")
        CANCELLED = "closure.cancelled", _("closing called off")
        REVERSED = "closure.reversed", _("closing reversed")

    class State(models.TextChoices):
        PENDING = "PENDING", _("pending")
        SENDING = "SENDING", _("sending")
        DELIVERED = "DELIVERED", _("delivered")
        DEAD = "DEAD", _("dead")

    OPEN = (State.PENDING, State.SENDING)
    CLAIMED_WITH = ("client",)

    client = models.ForeignKey(
        ApiClient, verbose_name=_("client"), on_delete=models.PROTECT, related_name="webhooks"
    )
    ticket = models.ForeignKey(
        ClosureTicket, verbose_name=_("ticket"), on_delete=models.PROTECT, related_name="webhooks"
    )
    event_id = models.CharField(_("event"), max_length=80, unique=True)
    kind = models.CharField(_("kind"), max_length=30, choices=Kind.choices)
    body = models.JSONField(_("content"), default=dict)  # ticket number, state, moment: nothing personal
    body_digest = models.CharField(max_length=64)
    occurred_at = models.DateTimeField(_("happened at"))
    state = FSMField(_("state"), default=State.PENDING, choices=State.choices, protected=True)
    state_since = models.DateTimeField(_("since"))
    reason_code = models.CharField(_("reason"), max_length=60, blank=True)

    objects = QueueQuerySet.as_manager()
    history = tracked(excluded=QUEUE_FIELDS)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        permissions = [("revive_webhook", _("Can send a dead webhook again"))]
        constraints = [
            models.CheckConstraint(
                name="webhook_state_is_legal",
                condition=Q(state__in=["PENDING", "SENDING", "DELIVERED", "DEAD"]),
            ),
        ]
        indexes = [
            models.Index(
                name="webhook_due", fields=["due_at"], condition=Q(state__in=["PENDING", "SENDING"])
            ),
        ]

    def __str__(self) -> str:
        return self.event_id

    # Transitions (the machine's alone, but for `revive`)

    @transition(state, source=State.PENDING, target=State.SENDING, custom=sets())
    def send(self) -> None: ...

    @transition(state, source=State.SENDING, target=State.DELIVERED, custom=sets(reason_code="", due_at=None))
    def arrive(self) -> None: ...

    @transition(state, source=State.SENDING, target=State.PENDING, custom=sets())
    def put_back(self, *, reason_code: str) -> None:
        self.reason_code = reason_code

    @transition(state, source=[State.PENDING, State.SENDING], target=State.DEAD, custom=sets(due_at=None))
    def give_up(self, *, reason_code: str) -> None:
        self.reason_code = reason_code

    @transition(
        state,
        source=State.DEAD,
        target=State.PENDING,
        permission="closures.revive_webhook",
        custom=sets(label=_("Send the webhook again")),
    )
    def revive(self) -> None: ...


def sealed_subject(call: ApiCall) -> dict[str, Any]:
    """What binds a call's kept answer to its row, for `pii.seal` and `pii.reveal`."""
    return {"subject": call.nonce, "field": "response"}
