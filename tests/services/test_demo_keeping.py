"""What the demo leaves of evidence and retention is there, and leaving it twice leaves it once."""

from __future__ import annotations

from django.utils import timezone

from closures.demo import keeping
from closures.demo.stories import clean_closing
from closures.demo.world import World
from closures.models import DeletionRequest, DestructionList, EvidencePack
from closures.services import invariants
from closures.services.evidence import verify_pack


def test_the_demo_leaves_a_pack_an_answer_and_a_list_that_waits(world: World) -> None:
    clean_closing("HUABEI")(world)
    for _ in range(2):
        keeping.leave(world)
    pack = EvidencePack.objects.get()
    assert verify_pack.verify(bytes(pack.content), pack.digest)
    assert DeletionRequest.objects.get().state == "ANSWERED"
    row = DestructionList.objects.get()
    assert (row.state, row.population) == ("PROPOSED", 2)
    (result,) = invariants.run(now=timezone.now(), only=[10])
    assert result.violations == 0 and result.examined >= 2
