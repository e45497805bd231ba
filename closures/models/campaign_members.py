"""Whom a campaign is about: what a dry run counted, the accounts a file names, and the frozen population.

None of it is tracked: rows here are written once by set, and what becomes of a member is told by his ticket.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _

from accounts.models import CreditAccount
from closures.models.campaigns import Campaign
from closures.models.ledger import LedgerCommand
from closures.models.people import by_staff
from closures.models.tickets import ClosureTicket
from closures.models.unbinding import UnbindTask

Ticket = ClosureTicket.State
STOPPED_LINE = (CreditAccount.LineState.FROZEN, CreditAccount.LineState.CLOSING)


class ExclusionReason(models.TextChoices):
    """Why an account of the population is left alone. The order is the one in which they are looked at."""

    CLOSED = "CLOSED", _("closed already")
    WRONG_PRODUCT = "WRONG_PRODUCT", _("another product")
    DECEASED = "DECEASED", _("the customer has died")
    OPEN_TICKET = "OPEN_TICKET", _("a closing is under way")
    OTHER_CAMPAIGN = "OTHER_CAMPAIGN", _("in another campaign")
    JUDICIAL = "JUDICIAL", _("frozen by a court")
    COMPLAINT = "COMPLAINT", _("an open complaint")
    # Holds of every kind, and customers merged or restricted: one reason, so that none of them shows.
    SET_ASIDE = "SET_ASIDE", _("set aside to be dealt with one by one")
    DEBT = "DEBT", _("money is owed")
    CHANGED = "CHANGED", _("not to be opened any more")
    ABORTED = "ABORTED", _("the campaign was aborted first")


class MemberState(models.TextChoices):
    """Where a member stands; derived from his ticket, kept nowhere."""

    PENDING = "PENDING", _("not opened yet")
    UNDER_WAY = "UNDER_WAY", _("under way")
    UNKNOWN = "UNKNOWN", _("fate unknown")
    CLOSED = "CLOSED", _("closed")
    SETTLING = "SETTLING", _("settling, line frozen")
    FAILED = "FAILED", _("not closed")
    EXCLUDED = "EXCLUDED", _("excluded")


class MemberQuerySet(models.QuerySet[Any]):
    def standing(self) -> MemberQuerySet:
        """Each member with `standing`, a MemberState: exactly one for each, so that the parts add up.

        Source: SPEC §6: done when CLOSED, or SETTLING with the line frozen; a closing that was rejected,
        withdrawn, cancelled or reversed has failed.
        """
        lost = Exists(
            UnbindTask.objects.filter(ticket=OuterRef("ticket"), state=UnbindTask.State.UNKNOWN)
        ) | Exists(LedgerCommand.objects.filter(ticket=OuterRef("ticket"), state=LedgerCommand.State.UNKNOWN))
        failed = (Ticket.REJECTED, Ticket.WITHDRAWN, Ticket.CANCELLED, Ticket.REVERSED)
        return self.annotate(
            standing=Case(
                When(entry=CampaignMember.Entry.EXCLUDED, then=Value(MemberState.EXCLUDED)),
                When(entry=CampaignMember.Entry.PENDING, then=Value(MemberState.PENDING)),
                When(ticket__state=Ticket.CLOSED, then=Value(MemberState.CLOSED)),
                When(ticket__state__in=failed, then=Value(MemberState.FAILED)),
                When(Q(lost), then=Value(MemberState.UNKNOWN)),
                When(
                    ticket__state=Ticket.SETTLING,
                    account__line_state__in=STOPPED_LINE,
                    then=Value(MemberState.SETTLING),
                ),
                default=Value(MemberState.UNDER_WAY),
                output_field=models.CharField(),
            )
        )


class CampaignMember(models.Model):
    """One account of a frozen population."""

    class Entry(models.TextChoices):
        PENDING = "PENDING", _("not opened yet")
        OPENED = "OPENED", _("opened")
        EXCLUDED = "EXCLUDED", _("excluded")

    campaign = models.ForeignKey(
        Campaign, verbose_name=_("campaign"), on_delete=models.PROTECT, related_name="members"
    )
    account = models.ForeignKey(
        CreditAccount, verbose_name=_("account"), on_delete=models.PROTECT, related_name="campaign_members"
    )
    wave = models.PositiveSmallIntegerField(_("wave"), default=0)  # 0 is the pilot
    entry = models.CharField(_("opening"), max_length=8, choices=Entry.choices, default=Entry.PENDING)
    reason_code = models.CharField(
        _("reason"), max_length=20, choices=ExclusionReason.choices, blank=True, default=""
    )
    ticket = models.OneToOneField(
        ClosureTicket,
        verbose_name=_("ticket"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="campaign_member",
    )
    facts_hash = models.CharField(_("hash of the facts at the freeze"), max_length=64, blank=True)
    opened_at = models.DateTimeField(_("ticket opened at"), null=True, blank=True)
    live = models.BooleanField(_("in a live campaign"), default=True)

    objects = MemberQuerySet.as_manager()

    class Meta:
        verbose_name = _("campaign member")
        verbose_name_plural = _("campaign members")
        constraints = [
            models.UniqueConstraint(name="member_once_per_campaign", fields=["campaign", "account"]),
            models.UniqueConstraint(
                name="member_in_one_live_campaign", fields=["account"], condition=Q(live=True)
            ),
            models.CheckConstraint(
                name="member_opened_has_its_ticket",
                condition=~Q(entry="OPENED") | Q(ticket__isnull=False, opened_at__isnull=False),
            ),
            models.CheckConstraint(
                name="member_excluded_says_why",
                condition=~Q(entry="EXCLUDED") | ~Q(reason_code="") & Q(live=False),
            ),
        ]
        indexes = [
            models.Index(
                name="member_waiting", fields=["campaign", "wave", "id"], condition=Q(entry="PENDING")
            ),
            models.Index(name="member_opened", fields=["campaign", "opened_at"], condition=Q(entry="OPENED")),
        ]

    def __str__(self) -> str:
        text = translate("account %(account)s in campaign %(campaign)s")
        return text % {"account": self.account_id, "campaign": self.campaign_id}


class CampaignEntry(models.Model):
    """An account that the plan's file names; kept until the next file takes its place."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="entries")
    account = models.ForeignKey(CreditAccount, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name = _("account in a campaign's file")
        verbose_name_plural = _("accounts in campaigns' files")
        constraints = [models.UniqueConstraint(name="entry_once", fields=["campaign", "account"])]

    def __str__(self) -> str:
        return f"{self.campaign_id}/{self.account_id}"


class DryRun(models.Model):
    """What a plan would meet if it began now; it changed nothing but this row."""

    campaign = models.ForeignKey(
        Campaign, verbose_name=_("campaign"), on_delete=models.PROTECT, related_name="dry_runs"
    )
    made_by = by_staff(_("made by"))
    made_at = models.DateTimeField(_("made at"))
    plan_hash = models.CharField(_("hash of the plan"), max_length=64)
    population_hash = models.CharField(_("hash of the population"), max_length=64)
    total = models.PositiveIntegerField(_("population"))
    included = models.PositiveIntegerField(_("to be closed"))
    excluded = models.PositiveIntegerField(_("excluded"))
    exclusions = models.JSONField(_("excluded, by reason"), default=dict)
    forecast = models.JSONField(_("forecast"), default=dict)

    class Meta:
        verbose_name = _("dry run")
        verbose_name_plural = _("dry runs")
        constraints = [
            models.CheckConstraint(name="dry_run_adds_up", condition=Q(total=F("included") + F("excluded")))
        ]
        indexes = [models.Index(name="dry_run_newest", fields=["campaign", "-id"])]

    def __str__(self) -> str:
        return translate("dry run %(number)s") % {"number": self.pk}
