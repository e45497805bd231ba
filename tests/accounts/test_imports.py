"""Accounts from an extract: what is kept, what is refused, and that neither is ever half done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils.dateparse import parse_datetime

from accounts import pii
from accounts.actors import SHIPPED
from accounts.imports.outcomes import Counts
from accounts.imports.reading import MAX_LINE_BYTES
from accounts.models import (
    ClosedAccountMovement,
    CreditAccount,
    Customer,
    CustomerIdentity,
    LenderRelationship,
)
from accounts.selectors.identities import find_customers, identity_of, same_id_number
from accounts.tracking import move, save_as
from tests.accounts.extracts import LEDGER_DATE, NEXT_DATE, Desk, account, id_number
from tests.factories import a_customer, an_account
from tests.races import at_once, race

pytestmark = pytest.mark.django_db

TRACKED = (Customer, LenderRelationship, CreditAccount)
LATER_DATE = "2026-11-22T18:00:00+08:00"


@pytest.fixture
def desk(tmp_path: Path, now: datetime) -> Desk:
    return Desk(tmp_path, now)


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every row the import may touch, history and all."""
    models = [CustomerIdentity, *TRACKED, *(model.history.model for model in TRACKED)]
    return {model._meta.label: list(model.objects.order_by("pk").values()) for model in models}


def the_account(n: int = 1) -> CreditAccount:
    return CreditAccount.objects.get(account_no=f"A{n:08d}")


# --- A new line ---------------------------------------------------------------------------------------


def test_a_new_line_becomes_customer_identity_relationship_and_account(desk: Desk) -> None:
    assert str(desk.accounts(account()).counts) == (
        "imported=1 updated=0 unchanged=0 stale=0 rejected=0 flagged=0 later_money=0"
    )
    row = the_account()
    assert (row.customer.customer_no, row.product.code, row.line_state) == ("C00000001", "HUABEI", "ACTIVE")
    assert (row.principal, row.interest, row.fees) == (Decimal("46990.00"), Decimal("1.20"), Decimal("60.00"))
    assert (row.instalments_remaining, row.days_past_due, row.arrears_months) == (6, 60, "2|2|0|0|0|0")
    assert row.ledger_as_of == parse_datetime(LEDGER_DATE)
    assert identity_of(row.customer).name == "𠮷*"
    assert list(find_customers(id_number=id_number(1))) == [row.customer]
    assert LenderRelationship.objects.get().lender == row.product.lender


def test_a_relationship_begins_on_the_day_the_ledger_date_has_here(desk: Desk) -> None:
    desk.accounts(account(ledger_as_of="2026-11-20T23:30:00+00:00"))
    assert LenderRelationship.objects.get().started_on == date(2026, 11, 21)


def test_an_imported_row_and_its_history_equal_those_of_a_single_save(desk: Desk, now: datetime) -> None:
    desk.accounts(account())
    imported = the_account()
    single = CreditAccount(**{f.attname: getattr(imported, f.attname) for f in CreditAccount._meta.fields})
    single.pk, single.account_no, single.customer = None, "A2", a_customer()
    run = imported.history.get()
    save_as(single, actor=SHIPPED, reason=run.history_change_reason, now=now)
    own = {"id", "account_no", "customer_id", "history_id", "history_actor"}
    rows = [
        {k: v for k, v in model.objects.filter(account_no=number).values().get().items() if k not in own}
        for model in (CreditAccount, CreditAccount.history.model)
        for number in ("A00000001", "A2")
    ]
    assert rows[0] == rows[1]
    assert rows[2] == rows[3]
    assert (run.history_actor, run.history_user, run.history_date) == ("job:import", None, now)


@pytest.mark.parametrize("model", TRACKED)
def test_every_new_row_has_exactly_one_true_history_row(model: Any, desk: Desk) -> None:
    desk.accounts(*[account(n) for n in range(1, 8)], batch_lines=3)
    for row in model.objects.all():
        (kept,) = row.history.values()
        assert kept["history_type"] == "+"
        assert {f: getattr(row, f) for f in kept if hasattr(row, f)} == {
            f: v for f, v in kept.items() if hasattr(row, f)
        }


def test_no_personal_value_is_stored_in_the_clear(desk: Desk) -> None:
    desk.accounts(account())
    stored = repr(everything())
    for column in ("name", "id_number", "phone", "email", "birth_date"):
        assert account()[column] not in stored


def test_a_second_product_of_one_customer_shares_customer_and_identity(desk: Desk) -> None:
    second = account(1, account_no="A00000002", product_code="JIEBEI")
    assert desk.accounts(account(1), second).counts.imported == 2
    assert (Customer.objects.count(), CustomerIdentity.objects.count()) == (1, 1)
    assert CreditAccount.objects.count() == 2


# --- Again, newer, older --------------------------------------------------------------------------------


def test_the_same_file_twice_changes_nothing_and_writes_no_history(desk: Desk, now: datetime) -> None:
    rows = [account(n) for n in range(1, 8)] + [account(1, account_no="A9", product_code="JIEBEI")]
    desk.accounts(*rows)
    before = everything()
    summary = desk.accounts(*rows, now=now + timedelta(days=1), batch_lines=3)
    assert (summary.counts.unchanged, summary.counts.imported + summary.counts.updated) == (8, 0)
    assert everything() == before


def test_another_spelling_of_the_same_amounts_changes_nothing_that_history_keeps(desk: Desk) -> None:
    desk.accounts(account(interest="0.00"))
    assert desk.accounts(account(interest="-0.00", fees="60")).counts.unchanged == 1
    assert the_account().history.count() == 1


def test_a_newer_extract_updates_with_one_history_row(desk: Desk) -> None:
    desk.accounts(account(1), account(2))
    newer = [account(1, principal="1.00", ledger_as_of=NEXT_DATE), account(2, ledger_as_of=NEXT_DATE)]
    summary = desk.accounts(*newer)
    assert (summary.counts.updated, summary.counts.unchanged) == (1, 1)
    assert the_account(1).principal == Decimal("1.00")
    assert list(the_account(1).history.values_list("history_type", "principal")) == [
        ("~", Decimal("1.00")),
        ("+", Decimal("46990.00")),
    ]
    assert [n for n in (1, 2) if the_account(n).ledger_as_of != parse_datetime(NEXT_DATE)] == []
    assert the_account(2).history.count() == 1  # a newer ledger date alone is no event
    assert desk.accounts(*newer).counts.unchanged == 2


def test_a_corrected_extract_of_the_same_ledger_date_updates(desk: Desk) -> None:
    desk.accounts(account())
    assert desk.accounts(account(principal="1.00")).counts.updated == 1
    assert the_account().principal == Decimal("1.00")


def test_an_older_extract_never_overwrites_newer_data(desk: Desk) -> None:
    desk.accounts(account(ledger_as_of=NEXT_DATE))
    before = everything()
    summary = desk.accounts(account(principal="1.00", name="另一人"))
    assert (summary.counts.stale, summary.counts.updated) == (1, 0)
    assert everything() == before


def test_an_update_never_touches_the_line_state(desk: Desk, now: datetime) -> None:
    desk.accounts(account())
    move(the_account(), "freeze", actor=SHIPPED, reason="risk", now=now)
    desk.accounts(account(principal="1.00", ledger_as_of=NEXT_DATE))
    assert (the_account().line_state, the_account().principal) == ("FROZEN", Decimal("1.00"))


# --- Identities -----------------------------------------------------------------------------------------


def test_a_changed_identity_is_a_new_version_and_the_old_one_stays(desk: Desk, now: datetime) -> None:
    desk.accounts(account())
    later = now + timedelta(days=1)
    summary = desk.accounts(account(phone="19911111111", ledger_as_of=NEXT_DATE), now=later)
    assert summary.counts.updated == 1
    versions = CustomerIdentity.objects.order_by("version").values_list("version", "superseded_at")
    assert list(versions) == [(1, later), (2, None)]
    assert find_customers(phone="19911111111").exists()
    assert not find_customers(phone="19900000001").exists()
    assert the_account().history.count() == 1


def test_two_changes_in_one_batch_make_one_new_version_the_later(desk: Desk) -> None:
    second = {"account_no": "A2", "product_code": "JIEBEI"}
    desk.accounts(account(1), account(1, **second))
    desk.accounts(
        account(1, name="甲", ledger_as_of=NEXT_DATE),
        account(1, name="乙", ledger_as_of=LATER_DATE, **second),
    )
    current = CustomerIdentity.objects.get(superseded_at=None)
    assert current.version == 2
    assert pii.reveal(current.name_sealed, subject="C00000001", field="name") == "乙"


def test_two_accounts_that_name_two_people_on_one_ledger_date_contradict(desk: Desk) -> None:
    rows = [account(1), account(1, account_no="A2", product_code="JIEBEI", name="另一人")]
    for _ in range(2):  # and again each time the file is read
        assert desk.accounts(*rows).counts.rejected == 1
        assert desk.remarks == [(3, "customer_no", "identity_differs_from_other_account")]
    assert CreditAccount.objects.count() == CustomerIdentity.objects.count() == 1


def test_an_older_account_does_not_bring_back_an_older_identity(desk: Desk) -> None:
    desk.accounts(account(1, ledger_as_of=NEXT_DATE))
    assert desk.accounts(account(1, account_no="A2", product_code="JIEBEI", name="旧名")).counts.imported == 1
    assert CustomerIdentity.objects.count() == 1


def test_one_id_number_on_two_customers_is_flagged_and_kept(desk: Desk) -> None:
    summary = desk.accounts(account(1), account(2, id_number=id_number(1)), account(3))
    assert (summary.counts.imported, summary.counts.flagged) == (3, 1)
    assert desk.remarks == [(3, "id_number", "kept_same_id_number")]
    assert desk.accounts(account(4, id_number=id_number(1))).counts.flagged == 1
    first = Customer.objects.get(customer_no="C00000001")
    assert [c.customer_no for c in same_id_number(first)] == ["C00000002", "C00000004"]


# --- Refused lines --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "text"),
    [("principal", "-1.00"), ("birth_date", "1989-02-30"), ("name", "a\x00b"), ("product_code", "NONE"),
     ("interest", "NaN"), ("fees", "1e5"), ("id_number", "990000198911170040")],
)  # fmt: skip
def test_a_bad_line_is_listed_and_nothing_of_it_is_kept(column: str, text: str, desk: Desk) -> None:
    summary = desk.accounts(account(1), account(2, **{column: text}), account(3))
    assert (summary.counts.imported, summary.counts.rejected) == (2, 1)
    assert [(line, name) for line, name, _ in desk.remarks] == [(3, column)]
    assert not Customer.objects.filter(customer_no="C00000002").exists()
    assert CustomerIdentity.objects.count() == LenderRelationship.objects.count() == 2


def test_a_line_with_three_problems_counts_once_and_lists_three(desk: Desk) -> None:
    assert desk.accounts(account(principal="", fees="x", name="")).counts.rejected == 1
    assert [column for _, column, _ in desk.remarks] == ["fees", "name", "principal"]


def test_the_rejects_file_never_repeats_a_value(desk: Desk) -> None:
    secret = "990000198911170040"
    desk.accounts(account(1, id_number=secret, email="who is this"), account(2, birth_date="1970-01-01"))
    listed = (desk.folder / "rejects.csv").read_text(encoding="utf-8")
    assert listed.startswith("line,column,reason,message\n") or listed.startswith(
        "line,column,reason,message\r\n"
    )
    for value in (secret, "who is this", "1970-01-01", "𠮷田", "19900000001"):
        assert value not in listed


def test_without_a_remark_there_is_no_rejects_file(desk: Desk) -> None:
    desk.accounts(account())
    assert not (desk.folder / "rejects.csv").exists()


@pytest.mark.parametrize("batch_lines", [100, 2, 1])
def test_the_same_account_twice_in_a_file_keeps_the_first(batch_lines: int, desk: Desk) -> None:
    rows = [account(1), account(2), account(3), account(1, principal="1.00")]
    for _ in range(2):
        desk.accounts(*rows, batch_lines=batch_lines)
        assert desk.remarks == [(5, "account_no", "twice_in_this_file")]
        assert the_account(1).principal == Decimal("46990.00")


def test_a_good_line_after_a_bad_one_of_the_same_account_is_kept(desk: Desk) -> None:
    assert desk.accounts(account(1, fees="x"), account(1)).counts.imported == 1


def test_an_account_that_belongs_to_another_customer_is_refused(desk: Desk) -> None:
    desk.accounts(account(1))
    before = everything()
    desk.accounts(account(2, account_no="A00000001", ledger_as_of=NEXT_DATE))
    assert desk.remarks == [(2, "account_no", "belongs_to_another_customer")]
    assert everything() == before


def test_an_account_that_changes_its_product_is_refused(desk: Desk) -> None:
    desk.accounts(account(1))
    desk.accounts(account(1, product_code="JIEBEI", ledger_as_of=NEXT_DATE))
    assert desk.remarks == [(2, "product_code", "belongs_to_another_product")]


@pytest.mark.parametrize("together", [True, False])
def test_a_second_open_account_of_one_product_is_refused_and_the_batch_goes_on(
    together: bool, desk: Desk
) -> None:
    first, rest = [account(1)], [account(1, account_no="A2"), account(3)]
    if not together:
        desk.accounts(*first)
        first = []
    desk.accounts(*first, *rest)
    assert [reason for _, _, reason in desk.remarks] == ["second_open_account_of_this_product"]
    assert sorted(CreditAccount.objects.values_list("account_no", flat=True)) == ["A00000001", "A00000003"]


def close(row: CreditAccount, now: datetime) -> None:
    move(row, "start_closing", actor=SHIPPED, reason="test", now=now)
    move(row, "close", actor=SHIPPED, reason="test", now=now, closed_at=now)


def test_a_new_account_may_follow_a_closed_one_of_the_same_product(desk: Desk, now: datetime) -> None:
    desk.accounts(account(1))
    close(the_account(1), now)
    assert desk.accounts(account(1, account_no="A2")).counts.imported == 1


NOTHING = dict.fromkeys(("principal", "interest", "fees"), "0.00") | {"instalments_remaining": "0"}


def test_a_closed_account_stays_as_it_was_and_money_on_it_is_kept_apart(desk: Desk, now: datetime) -> None:
    desk.accounts(account(1))
    close(the_account(1), now)
    before = everything()
    assert desk.accounts(account(1, **NOTHING, ledger_as_of=NEXT_DATE)).counts.unchanged == 1
    assert not ClosedAccountMovement.objects.exists()
    moved = account(1, **{**NOTHING, "principal": "3.00", "fees": "0.50"}, credit_balance="66.00")
    moved["ledger_as_of"] = NEXT_DATE
    counts = desk.accounts(moved).counts
    assert (counts.later_money, counts.rejected, counts.updated, counts.flagged) == (1, 0, 0, 1)
    assert desk.remarks == [(2, "account_no", "kept_money_on_a_closed_account")]
    row = ClosedAccountMovement.objects.get()
    assert (row.owed_by_customer, row.owed_to_customer) == (Decimal("3.50"), Decimal("66.00"))
    assert (row.account, row.ledger_as_of, row.recorded_at, row.taken_at) == (
        the_account(1), parse_datetime(NEXT_DATE), now, None,
    )  # fmt: skip
    assert everything() == before


def test_the_same_money_on_a_closed_account_is_written_down_once(desk: Desk, now: datetime) -> None:
    desk.accounts(account(1), account(2))
    close(the_account(1), now)
    close(the_account(2), now)
    one, two = (account(n, **NOTHING, credit_balance="66.00", ledger_as_of=NEXT_DATE) for n in (1, 2))
    assert desk.accounts(one, two).counts.later_money == 2
    again = desk.accounts(one, two).counts
    assert (again.later_money, again.unchanged, again.flagged) == (0, 2, 0)
    assert ClosedAccountMovement.objects.count() == 2


def test_that_the_money_has_gone_again_is_written_down_too(desk: Desk, now: datetime) -> None:
    desk.accounts(account(1))
    close(the_account(1), now)
    desk.accounts(account(1, **NOTHING, credit_balance="66.00", ledger_as_of=NEXT_DATE))
    gone = account(1, **NOTHING, ledger_as_of=LATER_DATE)
    assert desk.accounts(gone).counts.later_money == 1
    assert desk.accounts(gone).counts.unchanged == 1
    found = ClosedAccountMovement.objects.order_by("pk").values_list("owed_to_customer", flat=True)
    assert list(found) == [Decimal("66.00"), Decimal("0.00")]


def test_what_is_under_way_on_a_closed_account_is_not_kept(desk: Desk, now: datetime) -> None:
    desk.accounts(account(1))
    close(the_account(1), now)
    before = everything()
    for open_end in ({"refunds_in_flight": "9.00"}, {"pending_orders": "1"}, {"disputed": "1.00"}):
        row = account(1, **{**NOTHING, **open_end}, ledger_as_of=NEXT_DATE)
        assert desk.accounts(row).counts.rejected == 1
        assert desk.remarks == [(2, "account_no", "money_on_a_closed_account")]
    assert everything() == before and not ClosedAccountMovement.objects.exists()


def test_a_customer_whose_data_was_erased_does_not_come_back(desk: Desk, now: datetime) -> None:
    gone = a_customer(customer_no="C00000001")
    for step in ("restrict", "erase"):
        move(gone, step, actor=SHIPPED, reason="test", now=now)
    desk.accounts(account(1))
    assert desk.remarks == [(2, "customer_no", "customer_erased")]
    assert not CustomerIdentity.objects.exists()


def test_a_customer_who_was_let_go_resumes_with_a_new_account(desk: Desk, now: datetime) -> None:
    back = a_customer(customer_no="C00000001")
    move(back, "restrict", actor=SHIPPED, reason="test", now=now)
    desk.accounts(account(1))
    assert Customer.objects.get().standing == Customer.Standing.ACTIVE
    assert Customer.history.latest("history_id").history_actor == "job:import"
    assert LenderRelationship.objects.count() == 1


def test_what_the_database_refuses_costs_that_line_alone(desk: Desk, now: datetime) -> None:
    # A customer with an identity that is no longer current: version 1 exists, which judging cannot see.
    odd = a_customer(customer_no="C00000005")
    CustomerIdentity.objects.create(customer=odd, version=1, digest="", recorded_at=now, superseded_at=now)
    summary = desk.accounts(*[account(n) for n in range(1, 9)])
    assert (summary.counts.imported, summary.counts.rejected) == (7, 1)
    assert desk.remarks == [(6, "", "refused_by_the_database")]
    assert not CreditAccount.objects.filter(customer=odd).exists()


def test_rows_made_by_hand_are_neighbours_and_not_obstacles(desk: Desk) -> None:
    by_hand = an_account()
    assert desk.accounts(account(1), account(2)).counts.imported == 2
    assert an_account().pk > the_account(2).pk > by_hand.pk


# --- Long lines -------------------------------------------------------------------------------------------


def test_a_field_of_ten_megabytes_is_one_rejected_line(desk: Desk) -> None:
    summary = desk.accounts(account(1), account(2, name="x" * 10_000_000), account(3))
    assert (summary.counts.imported, summary.counts.rejected) == (2, 1)
    assert desk.remarks == [(3, "", "line_too_long")]


def test_a_line_of_exactly_the_limit_is_still_one_line(desk: Desk) -> None:
    for spare in range(-3, 4):
        desk.accounts(account(1, name="x" * (MAX_LINE_BYTES - 215 + spare)), account(2))
        assert [line for line, *_ in desk.remarks] == [2]
    assert the_account(2)


# --- Two at once ------------------------------------------------------------------------------------------


@race
def test_two_imports_of_one_file_at_once_keep_every_row_once(tmp_path: Path, now: datetime) -> None:
    rows = [account(n) for n in range(1, 61)]

    def run(folder: str) -> Counts:
        (tmp_path / folder).mkdir()
        return Desk(tmp_path / folder, now).accounts(*rows, batch_lines=7).counts

    one, other = at_once(lambda: run("one"), lambda: run("other"))
    assert one.imported + other.imported == one.unchanged + other.unchanged == 60
    assert one.rejected + other.rejected == 0
    assert (
        CreditAccount.objects.count()
        == CreditAccount.history.count()
        == CustomerIdentity.objects.count()
        == 60
    )


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Warnings are errors, a file left open is a warning: collected here, it fails the right test."""
    import gc  # noqa: PLC0415

    yield
    gc.collect()
