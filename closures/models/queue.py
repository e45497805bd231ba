"""Rows that are work: when they are due, who has claimed them, and how often that was tried.

These columns are left out of history (accounts.tracking.QUEUE_FIELDS) and may be `update()`d.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Self

from billiard.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

logger = logging.getLogger(__name__)


class QueueQuerySet(models.QuerySet[Any]):
    def due(self, now: datetime) -> Self:
        """Work whose time has come and which nobody holds."""
        free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
        return self.filter(free, due_at__lte=now)

    def claim(self, *, now: datetime, limit: int) -> list[Any]:
        """Take up to `limit` due rows for one worker; nobody else gets them before the lease lapses.

        One short transaction of its own, committed before the caller does anything with the rows. Each row
        comes back with its `fence` and `attempts` one higher and a `lease_token`; whoever settles it must
        still find both (`held`).
        """
        token = uuid.uuid4().hex
        lease = now + timedelta(seconds=settings.LEASE_SECONDS)
        with transaction.atomic():
            due = self.due(now).order_by("due_at", "pk")
            if connection.features.has_select_for_update_skip_locked:
                due = due.select_for_update(skip_locked=True, of=("self",))
            keys = list(due.values_list("pk", flat=True)[:limit])
            rows = self.model._default_manager.filter(pk__in=keys)
            rows.update(
                lease_token=token, lease_until=lease, fence=F("fence") + 1, attempts=F("attempts") + 1
            )
            if self.model.CLAIMED_WITH:
                rows = rows.select_related(*self.model.CLAIMED_WITH)
            return list(rows.order_by("due_at", "pk"))

    def drain(
        self,
        *,
        clock: Callable[[], datetime],
        handle: Callable[[Any], None],
        chunk: int = 4,
        budget: timedelta | None = None,
    ) -> int:
        """Claim due rows a few at a time and handle each, until none is due or the time is used up.

        Returns how many were handled. Rows claimed and not begun are given back; a row whose handling raises
        keeps its lease until it lapses, so one poisonous row delays nobody.
        """
        budget = settings.DRAIN_BUDGET if budget is None else budget
        started, handled = clock(), 0
        while rows := self.claim(now=clock(), limit=chunk):
            for position, row in enumerate(rows):
                if clock() - started > budget:
                    self._give_back(rows[position:])
                    return handled
                try:
                    handle(row)
                except SoftTimeLimitExceeded:
                    raise
                except Exception:  # a drain is a task's edge: the other rows must not wait for this one
                    logger.exception("%s failed", row)
                handled += 1
        return handled

    def _give_back(self, rows: list[Any]) -> None:
        for row in rows:
            mine = self.model._default_manager.filter(pk=row.pk, lease_token=row.lease_token)
            mine.update(lease_token="", lease_until=None, attempts=F("attempts") - 1)


class QueueRow(models.Model):
    CLAIMED_WITH: tuple[str, ...] = ()  # relations that never change and that handling a row needs

    due_at = models.DateTimeField(_("due at"), null=True, blank=True)
    lease_until = models.DateTimeField(_("claimed until"), null=True, blank=True)
    lease_token = models.CharField(max_length=32, blank=True, default="")
    fence = models.PositiveIntegerField(_("fence"), default=0)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)

    class Meta:
        abstract = True

    def held(self, claimed: QueueRow) -> bool:
        """Whether the worker that claimed the row as `claimed` still holds it."""
        return self.lease_token == claimed.lease_token and self.fence == claimed.fence

    def release(self, *, due_at: datetime | None) -> None:
        """Give the row back, to be looked at again at `due_at` (None: never by itself). Not saved."""
        self.lease_token, self.lease_until, self.due_at = "", None, due_at
