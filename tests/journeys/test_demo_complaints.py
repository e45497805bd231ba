"""The complaints that `make demo` leaves: as they say, in every state that the desk shows, and lawful."""

from __future__ import annotations

from django.utils import timezone

from closures.demo import complaints
from closures.demo.world import World
from closures.models import CannedReply, Complaint
from tests.closed_cases import look
from tests.factories import an_account


def test_the_desk_has_finished_and_running_cases_and_no_breach(world: World) -> None:
    for n in range(8):
        an_account(account_no=f"DA{n:07d}")
    complaints.leave(world)
    states = list(Complaint.objects.order_by("pk").values_list("state", flat=True))
    assert states == ["CLOSED"] * 3 + ["WITHDRAWN"] + ["INVESTIGATING"] * 3 + ["RECEIVED"]
    long = Complaint.objects.earliest("pk")
    assert (long.due_on.isoformat(), long.extensions.count()) == ("2026-04-03", 2)
    assert look(9, timezone.now()).violations == 0
    complaints.leave(world)
    assert (Complaint.objects.count(), CannedReply.objects.count()) == (8, 2), "safe to repeat"
