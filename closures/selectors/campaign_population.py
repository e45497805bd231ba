"""Whom a campaign's plan means, and who of them is left alone and why: by set, without a look at a name."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Case, CharField, Exists, OuterRef, Q, QuerySet, Value, When

from accounts.models import CreditAccount, Customer, LineRestriction, PartnerAgreement, RestrictionCause
from closures.models import Campaign, CampaignMember, ClosureTicket, Complaint, Hold
from closures.models.campaign_members import ExclusionReason
from closures.rules import campaigns
from closures.rules.codes import AgreementEffect, AgreementKind
from closures.rules.eligibility import AgreementFact
from closures.selectors import facts, rule_language

CHUNK = 5_000  # rows read at a time


@dataclass(kw_only=True)
class Population:
    """Everybody the plan means, in the order of the accounts: (account, account number, why left alone)."""

    rows: list[tuple[int, str, str]] = field(default_factory=list)
    exclusions: Counter[str] = field(default_factory=Counter)
    hash: str = ""

    @property
    def total(self) -> int:
        return len(self.rows)

    @property
    def excluded(self) -> int:
        return self.exclusions.total()

    @property
    def included(self) -> int:
        return self.total - self.excluded


def meant(campaign: Campaign, *, now: datetime) -> QuerySet[CreditAccount]:
    """The accounts that the plan means, whoever of them is left alone later. Raises ConditionRefused."""
    if campaign.source == Campaign.Source.FILE:
        return CreditAccount.objects.filter(pk__in=campaign.entries.values("account"))
    found = rule_language.read(campaign.population).accounts(now=now)
    return found.filter(product=campaign.product_id)


def judged(rows: QuerySet[CreditAccount], campaign: Campaign) -> QuerySet[Any]:
    """The accounts with `left_alone`, an ExclusionReason or "": the first that applies.

    # Note [No reason betrays a silent hold]
    Holds of every kind but a court's share one reason with customers who are merged or restricted, and a
    hold on an open ticket reads as the open ticket: whoever compares lists learns of no silent hold.
    """
    tickets = ClosureTicket.objects.filter(account=OuterRef("pk"))
    holds = Hold.objects.filter(ticket__account=OuterRef("pk"), state=Hold.State.OPEN)
    elsewhere = CampaignMember.objects.filter(account=OuterRef("pk"), live=True).exclude(campaign=campaign)
    frozen = LineRestriction.objects.filter(
        account=OuterRef("pk"), lifted_at__isnull=True, cause=RestrictionCause.JUDICIAL
    )
    complaints = Complaint.objects.filter(customer=OuterRef("customer"), state__in=Complaint.UNANSWERED)
    apart = ~Q(customer__standing=Customer.Standing.ACTIVE) | Q(customer__merged_into__isnull=False)
    reasons = [
        (Q(line_state=CreditAccount.LineState.CLOSED), ExclusionReason.CLOSED),
        (~Q(product=campaign.product_id), ExclusionReason.WRONG_PRODUCT),
        (Q(customer__deceased_on__isnull=False), ExclusionReason.DECEASED),
        (Q(Exists(tickets.filter(state__in=ClosureTicket.OPEN))), ExclusionReason.OPEN_TICKET),
        (Q(Exists(elsewhere)), ExclusionReason.OTHER_CAMPAIGN),
        (Q(Exists(holds.filter(kind=Hold.Kind.JUDICIAL))) | Q(Exists(frozen)), ExclusionReason.JUDICIAL),
        (Q(Exists(complaints)), ExclusionReason.COMPLAINT),
        (Q(Exists(holds)) | apart, ExclusionReason.SET_ASIDE),
    ]
    if campaign.excludes_debt:
        owes = Q(instalments_remaining__gt=0)
        for column in ("principal", "interest", "fees", "unbilled"):
            owes |= Q(**{f"{column}__gt": 0})
        reasons.append((owes, ExclusionReason.DEBT))
    return rows.annotate(
        left_alone=Case(
            *[When(condition, then=Value(str(reason))) for condition, reason in reasons],
            default=Value(""),
            output_field=CharField(),
        )
    )


def take(campaign: Campaign, *, now: datetime) -> Population:
    """The population as it is at this moment, within the time a condition may take; changes nothing.

    Its hash says who is meant and who of them is left alone why; balances move by the hour and are not in
    it: each member's facts are looked at again before anything happens to him.
    Raises: ConditionRefused, ConditionTooSlow.
    """
    population, hashed = Population(), hashlib.sha256()
    add = hashed.update
    with rule_language.bounded():
        rows = judged(meant(campaign, now=now), campaign).order_by("pk")
        told = rows.values_list("pk", "account_no", "left_alone")
        for pk, account_no, reason in told.iterator(chunk_size=CHUNK):
            population.rows.append((pk, account_no, reason))
            add(f"{account_no}\x1f{reason}\n".encode())
            if reason:
                population.exclusions[reason] += 1
    population.hash = hashed.hexdigest()
    return population


def facts_hashes(account_ids: Sequence[int], *, now: datetime) -> dict[int, str]:
    """The hash of the facts of each account, as `rules.campaigns.facts_hash` gives it. Three queries."""
    agreements: dict[int, list[AgreementFact]] = defaultdict(list)
    live = PartnerAgreement.objects.filter(account__in=account_ids, state__in=facts.LIVE_AGREEMENT)
    columns = ("pk", "account_id", "kind", "effect", "repayment_depends")
    for pk, account, kind, effect, depends in live.order_by("pk").values_list(*columns):
        agreements[account].append(
            AgreementFact(
                id=pk,
                kind=AgreementKind(kind),
                effect=AgreementEffect(effect),
                repayment_depends=depends,
                label="",
            )  # fmt: skip
        )
    return {
        account.pk: campaigns.facts_hash(
            account=facts.account_facts(account, now=now, other_lines=0), agreements=agreements[account.pk]
        )
        for account in CreditAccount.objects.filter(pk__in=account_ids)
    }


def left_alone(account_ids: Iterable[int], campaign: Campaign) -> dict[int, str]:
    """Those of the accounts that are to be left alone now, each with its reason."""
    rows = judged(CreditAccount.objects.filter(pk__in=list(account_ids)), campaign).exclude(left_alone="")
    return dict(rows.values_list("pk", "left_alone"))
