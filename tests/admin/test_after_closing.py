"""The console after a closing: who is offered what, what is shown, and that four eyes stay four."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone, translation

from accounts.models import CreditAccount, User
from accounts.roles import Role
from closures.models import ClosureTicket, LedgerCommand, PostClosureItem, Reversal
from closures.selectors import after_closing, timeline, worklists
from tests import factories
from tests.admin import scenes
from tests.admin.scenes import dialog_url, page, signed_in

pytestmark = pytest.mark.django_db

PROPOSAL = {
    "source": "OWN_FINDING", "root_cause": "NOT_ASKED_FOR", "ground": "call recording",
    "complaint_number": "", "compensation_amount": "50.00",
}  # fmt: skip


@pytest.fixture
def closed(agent: User, reviewer: User) -> ClosureTicket:
    return scenes.closed_ticket(by=agent, decided_by=reviewer)


def buttons(client: Any, row: Any) -> set[str]:
    """The names of the dialogs that the row's own page offers."""
    opts = row._meta
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk])
    shown = client.get(url).content.decode()
    noun = {"reversal": ("approve", "reject", "correct_bureau")}.get(
        opts.model_name, ("pay_out", "book", "settle", "ask_write_off", "write_off", "take_on")
    )
    return {name for name in noun if dialog_url(row, name) in shown}


# --- Reversal -----------------------------------------------------------------------------------------


def test_a_reversal_is_proposed_on_the_ticket_and_approved_by_another(closed: ClosureTicket) -> None:
    proposer, lead = factories.a_user(Role.REVIEWER), factories.a_user(Role.LEAD)
    url = dialog_url(closed, "propose_reversal")
    assert url in page(signed_in(proposer), closed)
    assert signed_in(proposer).post(url, PROPOSAL).status_code == 302
    row = Reversal.objects.get()
    assert (row.asked_by, row.state, str(row.compensation_amount)) == (proposer, "PROPOSED", "50.00")
    assert row.number in page(signed_in(lead), closed)
    assert buttons(signed_in(lead), row) == {"approve", "reject"}
    answer = signed_in(lead).post(dialog_url(row, "approve"), {"ground": "true"}, follow=True)
    row.refresh_from_db()
    assert (row.state, row.approved_by) == ("OPENING", lead)
    assert row.number in answer.content.decode()
    assert ClosureTicket.objects.get(pk=closed.pk).state == "REVERSED"
    assert CreditAccount.objects.filter(reopened_from=closed.account).count() == 1


def test_who_had_a_part_is_offered_nothing_and_refused_all_the_same(
    closed: ClosureTicket, reviewer: User
) -> None:
    client = signed_in(reviewer)
    url = dialog_url(closed, "propose_reversal")
    assert url not in page(client, closed)
    assert "You had a part in this closing" in client.post(url, PROPOSAL).content.decode()
    assert not Reversal.objects.exists()


def test_the_proposer_is_not_offered_the_decision(closed: ClosureTicket) -> None:
    lead = factories.a_user(Role.LEAD)
    row = scenes.proposal(closed, by=lead)
    assert buttons(signed_in(lead), row) == set()
    answer = signed_in(lead).post(dialog_url(row, "approve"), {"ground": "x"}).content.decode()
    assert "somebody else has to decide" in answer
    row.refresh_from_db()
    assert row.state == "PROPOSED"


@pytest.mark.parametrize("role", [Role.AGENT, Role.RISK, Role.AUDITOR])
def test_other_roles_read_and_are_offered_nothing(closed: ClosureTicket, role: Role) -> None:
    row, item = scenes.proposal(closed, by=factories.a_user(Role.REVIEWER)), scenes.posting(closed)
    client = signed_in(factories.a_user(role))
    assert buttons(client, row) == buttons(client, item) == set()
    for subject, name in ((row, "approve"), (row, "correct_bureau"), (item, "pay_out"), (item, "write_off")):
        assert client.post(dialog_url(subject, name), {"ground": "x", "proof": "x"}).status_code == 403


def test_the_correction_of_the_credit_report_is_recorded_with_its_proof(closed: ClosureTicket) -> None:
    row = scenes.proposal(closed, by=factories.a_user(Role.REVIEWER))
    lead = signed_in(factories.a_user(Role.LEAD))
    assert "correct_bureau" not in buttons(lead, row)
    lead.post(dialog_url(row, "approve"), {"ground": "true"})
    assert buttons(lead, row) == {"correct_bureau"}
    assert lead.post(dialog_url(row, "correct_bureau"), {"proof": "ZX-1"}).status_code == 302
    row.refresh_from_db()
    assert row.bureau_proof == "ZX-1" and buttons(lead, row) == set()


def test_the_list_says_until_when(closed: ClosureTicket) -> None:
    row = scenes.proposal(closed, by=factories.a_user(Role.REVIEWER))
    lead = signed_in(factories.a_user(Role.LEAD))
    lead.post(dialog_url(row, "approve"), {"ground": "true"})
    row.refresh_from_db()
    shown = lead.get(reverse("admin:closures_reversal_changelist"), {"bureau": "open"}).content.decode()
    assert row.number in shown and row.bureau_due_on.isoformat() in shown
    gone = lead.get(reverse("admin:closures_reversal_changelist"), {"bureau": "done"}).content.decode()
    assert row.number not in gone


# --- Money --------------------------------------------------------------------------------------------


def test_a_refund_is_paid_out_by_one_click_and_never_booked(closed: ClosureTicket) -> None:
    item = scenes.posting(closed)
    client = signed_in(factories.a_user(Role.REVIEWER))
    assert buttons(client, item) == {"pay_out", "take_on"}
    assert item.number in page(client, closed)
    assert client.post(dialog_url(item, "pay_out"), {"ground": "his"}).status_code == 302
    item.refresh_from_db()
    assert (item.state, item.owner) == ("PAYING", item.paid_by)
    assert LedgerCommand.objects.get(verb="RETURN").reference == item.number


def test_a_debt_is_booked_and_written_off_by_two(closed: ClosureTicket) -> None:
    item = scenes.posting(closed, kind="CORRECTION", direction="BY_CUSTOMER")
    one, two = (signed_in(factories.a_user(Role.LEAD)) for _ in range(2))
    assert buttons(one, item) == {"book", "take_on"}
    one.post(dialog_url(item, "book"), {"ground": "late fee"})
    assert buttons(one, item) == {"settle", "ask_write_off"}
    one.post(dialog_url(item, "ask_write_off"), {"ground": "small"})
    assert "write_off" not in buttons(one, item) and "write_off" in buttons(two, item)
    two.post(dialog_url(item, "write_off"), {"ground": "agreed"})
    item.refresh_from_db()
    assert item.state == "WRITTEN_OFF" and buttons(two, item) == set()


def test_the_list_is_by_age_and_shows_the_owner(closed: ClosureTicket) -> None:
    first, second = scenes.posting(closed, ref="a"), scenes.posting(closed, ref="b")
    client = signed_in(factories.a_user(Role.LEAD))
    client.post(dialog_url(second, "take_on"), {})
    client.get("/admin/")  # the message of what was just done is read there
    shown = client.get(reverse("admin:closures_postclosureitem_changelist"), {"open": "yes"})
    text = shown.content.decode()
    assert text.index(first.number) < text.index(second.number)
    second.refresh_from_db()
    assert second.owner is not None and second.owner.name in text


def test_the_certificate_keeps_its_hash_and_lists_what_came_later(closed: ClosureTicket) -> None:
    client = signed_in(factories.a_user(Role.LEAD))
    url = reverse("admin:closures_closureticket_certificate", args=[closed.pk])
    assert "Addendum" not in client.get(url).content.decode()
    item, certified = scenes.posting(closed), closed.certificate_hash
    shown = client.get(url).content.decode()
    assert "Addendum" in shown and item.number in shown and certified in shown
    assert "no longer match" not in shown and "reversed later" not in shown
    row = scenes.proposal(closed, by=factories.a_user(Role.REVIEWER))
    client.post(dialog_url(row, "approve"), {"ground": "true"})
    assert "reversed later" in client.get(url).content.decode()


# --- Home, timeline, sentences ------------------------------------------------------------------------


def test_the_home_page_shows_each_his_work(closed: ClosureTicket, reviewer: User) -> None:
    proposer, lead = factories.a_user(Role.LEAD), factories.a_user(Role.LEAD)
    row, item = scenes.proposal(closed, by=proposer), scenes.posting(closed)

    def work(user: User) -> dict[str, list[Any]]:
        user = User.objects.get(pk=user.pk)
        return {found.code: found.rows for found in worklists.lists_for(user, now=timezone.now())}

    assert work(lead)["REVERSALS"] == [row] and work(proposer)["REVERSALS"] == []
    assert work(reviewer)["LATER_MONEY"] == work(lead)["LATER_MONEY"] == [item]
    assert "REVERSALS" not in work(reviewer)
    signed_in(lead).post(dialog_url(row, "approve"), {"ground": "true"})
    assert [r.pk for r in work(reviewer)["BUREAU_CORRECTIONS"]] == [row.pk]
    home = signed_in(lead).get("/admin/").content.decode()
    assert row.number in home and item.number in home


def test_the_timeline_tells_of_both(closed: ClosureTicket) -> None:
    lead = factories.a_user(Role.LEAD)
    row, item = scenes.proposal(closed, by=factories.a_user(Role.REVIEWER)), scenes.posting(closed)
    signed_in(lead).post(dialog_url(row, "approve"), {"ground": "true"})
    with translation.override("en"):
        told = timeline.of_ticket(closed, user=User.objects.get(pk=lead.pk))
    assert [e.state for e in reversed(told) if e.noun == "reversal"] == ["PROPOSED", "OPENING"]
    (money,) = [e for e in told if e.noun == "money"]
    assert (money.what, money.state, money.row_id) == ("refund 66.00", "SUSPENSE", item.pk)
    assert next(e for e in told if e.noun == "ticket").state == "REVERSED"


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_state_says_what_comes_next(language: str) -> None:
    with translation.override(language):
        said = set()
        for state in PostClosureItem.State.values:
            for direction in PostClosureItem.Direction.values:
                said.add(after_closing.money_next(PostClosureItem(direction=direction, state=state)))
        for state in Reversal.State.values:
            said.add(after_closing.reversal_next(Reversal(state=state)))
    assert all(said) and len(said) >= 11


def test_the_pages_ask_a_bounded_number_of_questions(
    closed: ClosureTicket, django_assert_max_num_queries: Any
) -> None:
    client = signed_in(factories.a_user(Role.LEAD))
    scenes.proposal(closed, by=factories.a_user(Role.REVIEWER))
    for n in range(6):
        scenes.posting(closed, ref=f"r{n}")
    page(client, closed)
    with django_assert_max_num_queries(38):
        page(client, closed)
    for name in ("reversal", "postclosureitem"):
        with django_assert_max_num_queries(12):
            client.get(reverse(f"admin:closures_{name}_changelist"))
