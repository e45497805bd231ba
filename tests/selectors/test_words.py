"""Every reason that the machine writes into history, and every state, has words for a reader."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

import closures.services
from closures.models import ClosureTicket
from closures.rules.deliveries import NoticeWhy
from closures.rules.outcomes import DeadReason, Heard, Seen, Why
from closures.selectors import reasons, timeline
from closures.selectors.next_steps import MOVERS, Around, Mover, next_step

SERVICES = Path(closures.services.__file__).parent


def phrases_in_services() -> Iterator[tuple[str, str]]:
    for file in sorted(SERVICES.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.keyword)
                and node.arg == "reason"
                and isinstance(node.value, ast.Constant)
            ):
                yield file.name, node.value.value


def test_every_phrase_that_a_service_writes_is_known_and_can_be_translated() -> None:
    written = list(phrases_in_services())
    assert len(written) > 20
    assert [(file, phrase) for file, phrase in written if phrase not in reasons.PHRASES] == []


@pytest.mark.parametrize("codes", [Why, DeadReason, NoticeWhy, Heard, Seen])
def test_every_code_of_the_rules_has_words(codes: type) -> None:
    assert [code for code in codes if str(code) not in reasons.CODES] == []


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("attempt 3", "attempt 3"),
        ("REFUSED by LETTER", "refused, by registered letter"),
        ("PAY_OUT A17", "pay out the credit balance"),
        ("BOUND/NOT_FOUND", "bound / not found"),
        ("OUTSTANDING_PRINCIPAL", "outstanding principal"),
        ("ORDER_RUNNING", "ORDER_RUNNING"),  # a partner's own code
        ("the court's letter of 3 May", "the court's letter of 3 May"),  # a person's own words
        (None, ""),
    ],
)
def test_a_reason_is_told_in_words_and_a_persons_own_text_as_it_stands(written: str, told: str) -> None:
    from django.utils import translation  # noqa: PLC0415

    with translation.override("en"):
        assert reasons.why(written) == told


def test_every_state_has_a_next_move_and_every_mover_a_name() -> None:
    assert set(MOVERS) == set(Mover)
    for state in ClosureTicket.State:
        for reason in ("CUSTOMER_REQUEST", "POLICY"):
            ticket = ClosureTicket(state=state, reason=reason, period_ends_at=timezone.now())
            for around in (Around(), Around(held=True), Around(stuck=True), Around(blocks=False)):
                step = next_step(ticket, around=around)
                assert step.sentence
                assert step.whose


def test_a_silent_case_says_nothing_of_a_hold() -> None:
    ticket = ClosureTicket(state="BLOCKED", reason="CUSTOMER_REQUEST")
    step = next_step(ticket, around=Around(blocks=False, held=False))
    assert step.mover is Mover.MACHINE


def test_every_noun_of_the_timeline_has_a_name_and_its_states_labels() -> None:
    assert set(timeline.STATES) <= set(timeline.NOUNS)
    for noun, states in timeline.STATES.items():
        assert all(str(label).strip() for label in states.values()), noun
