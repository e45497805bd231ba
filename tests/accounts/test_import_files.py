"""Files as they come: compressed, marked, spoilt, cut off; and the commands that read them."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
from datetime import datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from accounts.actors import SHIPPED
from accounts.imports.accounts import AccountImport
from accounts.imports.agreements import AgreementImport
from accounts.imports.reading import WrongEncoding, WrongHeader
from accounts.imports.rows import ACCOUNT_COLUMNS
from accounts.models import CreditAccount, Customer, PartnerAgreement
from accounts.tracking import move
from tests.accounts.extracts import Desk, account, agreement, raw, written

pytestmark = pytest.mark.django_db

REAL = Path(settings.BASE_DIR).parent / "shared" / "data"
HEADER = ",".join(ACCOUNT_COLUMNS)


@pytest.fixture
def desk(tmp_path: Path, now: datetime) -> Desk:
    return Desk(tmp_path, now)


def line(n: int, **changes: str) -> str:
    return ",".join(account(n, **changes).values())


def content(*lines: str, header: str = HEADER, end: str = "\r\n") -> bytes:
    return (end.join([header, *lines]) + end).encode()


# --- Forms a good file may have ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain.csv", "packed.csv.gz"])
def test_plain_and_compressed_files_are_told_apart_by_their_content(name: str, desk: Desk) -> None:
    path = written(desk.folder / name, [account(1)])
    assert desk.keep(AccountImport, path.rename(desk.folder / "unnamed")).counts.imported == 1


@pytest.mark.parametrize(
    "data",
    [
        content(line(1), end="\n"),
        b"\xef\xbb\xbf" + content(line(1)),
        content(line(1)).rstrip(),
        content("", line(1), "", "  "),
        content(",".join(f'"{value}"' for value in account(1).values())),
        content(",".join(reversed(account(1).values())), header=",".join(reversed(ACCOUNT_COLUMNS))),
    ],
    ids=["lf", "bom", "no end of line", "blank lines", "quoted", "other order"],
)
def test_a_good_file_may_look_like_this(data: bytes, desk: Desk) -> None:
    summary = desk.keep(AccountImport, raw(desk.folder / "a.csv", data))
    assert (summary.counts.imported, summary.counts.rejected) == (1, 0)


def test_a_header_alone_is_a_file_with_nothing_in_it(desk: Desk) -> None:
    summary = desk.keep(AccountImport, raw(desk.folder / "a.csv", content()))
    assert set(summary.counts.as_dict().values()) == {0}


# --- Files that are refused whole ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "customer_no"),
        (content(line(1), header=HEADER.replace("phone,", "")), "phone"),
        (content(line(1), header=HEADER + ",phone"), "phone"),
        (content(line(1), header=HEADER + ",nickname"), "1"),
        (content(line(1), header=HEADER.replace("phone", "name")), "name"),
        (line(1).encode(), "customer_no"),
        (b"\x00" * 100, "customer_no"),
    ],
    ids=["empty", "missing", "twice", "unknown", "renamed", "no header", "zeros"],
)
def test_a_file_with_another_header_is_refused_with_the_difference(
    data: bytes, said: str, desk: Desk
) -> None:
    with pytest.raises(WrongHeader) as refused:
        desk.keep(AccountImport, raw(desk.folder / "a.csv", data))
    assert said in refused.value.message
    assert "𠮷田" not in refused.value.message
    assert not Customer.objects.exists()


@pytest.mark.parametrize(
    ("encoding", "said"), [("gb18030", "GBK"), ("utf-16", "UTF-16"), ("shift_jis", "GBK")], ids=str
)
def test_a_file_of_another_encoding_is_refused_by_name(encoding: str, said: str, desk: Desk) -> None:
    data = content(*[line(n, name="田中") for n in range(1, 30)]).decode().encode(encoding)
    with pytest.raises(WrongEncoding) as refused:
        desk.keep(AccountImport, raw(desk.folder / "a.csv", data))
    assert said in refused.value.message
    assert not Customer.objects.exists()


# --- Lines that are refused alone ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line(2).encode("gb18030"), "not_utf8"),
        (line(2, name='"田').encode(), "broken_quoting"),
        (line(2, name='"田"中').encode(), "broken_quoting"),
        (line(2).encode() + b",", "wrong_number_of_fields"),
        (line(2).encode()[:-80], "wrong_number_of_fields"),
        (b"\x1f\x8b\x08", "not_utf8"),
    ],
)
def test_a_broken_line_costs_itself_and_not_its_neighbours(bad: bytes, reason: str, desk: Desk) -> None:
    before, after = content(line(1)), b"".join(line(n).encode() + b"\r\n" for n in range(3, 6))
    summary = desk.keep(AccountImport, raw(desk.folder / "a.csv", before + bad + b"\r\n" + after))
    assert desk.remarks == [(3, "", reason)]
    assert summary.counts.imported == 4


def test_a_file_cut_off_keeps_its_whole_batches_and_says_so(desk: Desk) -> None:
    packed = gzip.compress(content(*[line(n) for n in range(1, 500)]), compresslevel=0)
    path = desk.folder / "cut.csv.gz"
    path.write_bytes(packed[: len(packed) // 2])
    summary = desk.keep(AccountImport, path, batch_lines=100)
    assert summary.damaged
    assert "cut.csv.gz" in summary.damaged.message
    assert summary.counts.imported == CreditAccount.objects.count() == 200
    path.write_bytes(packed)
    assert str(desk.keep(AccountImport, path).counts).startswith("imported=299 updated=0 unchanged=200 ")


@pytest.mark.parametrize("damage", ["checksum", "middle"])
def test_a_compressed_file_with_a_wrong_byte_is_damaged(damage: str, desk: Desk) -> None:
    packed = bytearray(gzip.compress(content(*[line(n) for n in range(1, 200)])))
    packed[-5 if damage == "checksum" else len(packed) // 2] ^= 0xFF
    path = desk.folder / "spoilt.csv.gz"
    path.write_bytes(packed)
    assert desk.keep(AccountImport, path, batch_lines=50).damaged


# --- Agreements ---------------------------------------------------------------------------------------------


def test_agreements_are_kept_with_the_effect_of_their_kind(desk: Desk) -> None:
    desk.accounts(account(1))
    summary = desk.agreements(agreement(1), agreement(1, agreement_no="W1", kind="WEALTH_LINK"))
    assert summary.counts.imported == 2
    rows = PartnerAgreement.objects.values_list("agreement_no", "effect", "state", "repayment_depends")
    assert sorted(rows) == [("AL0000000001", "UNBIND", "BOUND", True), ("W1", "WARN", "BOUND", True)]
    kept = PartnerAgreement.history.get(agreement_no="W1")
    assert (kept.history_type, kept.history_actor, kept.effect) == ("+", "job:import", "WARN")


def test_agreements_twice_change_nothing(desk: Desk) -> None:
    desk.accounts(account(1))
    rows = [agreement(1), agreement(1, agreement_no="W1", signed_on="")]
    desk.agreements(*rows)
    before = list(PartnerAgreement.history.values())
    assert desk.agreements(*rows).counts.unchanged == 2
    assert list(PartnerAgreement.history.values()) == before


def test_a_corrected_agreement_is_updated_with_history_while_it_is_bound(desk: Desk) -> None:
    desk.accounts(account(1))
    desk.agreements(agreement(1))
    assert desk.agreements(agreement(1, kind="WEALTH_LINK", signed_on="2022-01-01")).counts.updated == 1
    row = PartnerAgreement.objects.get()
    assert (row.kind, row.effect, str(row.signed_on)) == ("WEALTH_LINK", "WARN", "2022-01-01")
    assert [h.kind for h in row.history.all()] == ["WEALTH_LINK", "WITHHOLDING"]


@pytest.mark.parametrize("steps", [["start_unbinding"], ["unbind"], ["lapse"]])
def test_an_agreement_that_is_on_its_way_out_is_left_alone(
    steps: list[str], desk: Desk, now: datetime
) -> None:
    desk.accounts(account(1))
    desk.agreements(agreement(1))
    for step in steps:
        move(PartnerAgreement.objects.get(), step, actor=SHIPPED, reason="test", now=now)
    state = PartnerAgreement.objects.get().state
    assert desk.agreements(agreement(1, signed_on="2022-01-01")).counts.unchanged == 1
    row = PartnerAgreement.objects.get()
    assert (row.state, str(row.signed_on)) == (state, "2021-11-03")


def test_agreements_that_cannot_be_kept_are_listed(desk: Desk) -> None:
    desk.accounts(account(1), account(2))
    summary = desk.agreements(
        agreement(1), agreement(9), agreement(1), agreement(2, agreement_no="AL0000000001"),
        agreement(2, kind="MAGAZINE"), agreement(2, agreement_no="new"),
    )  # fmt: skip
    assert desk.remarks == [
        (3, "account_no", "unknown_account"),
        (4, "agreement_no", "twice_in_this_file"),
        (5, "agreement_no", "twice_in_this_file"),
        (6, "kind", "unknown_kind"),
    ]
    assert (summary.counts.imported, summary.counts.rejected) == (2, 4)
    desk.agreements(agreement(2, agreement_no="AL0000000001"))
    assert desk.remarks == [(2, "agreement_no", "belongs_to_another_account")]


# --- The commands -------------------------------------------------------------------------------------------


def run(command: str, path: Path, **options: object) -> str:
    out = io.StringIO()
    call_command(command, str(path), stdout=out, **options)
    return out.getvalue()


def test_the_commands_print_one_line_of_counts(desk: Desk) -> None:
    path = written(desk.folder / "a.csv", [account(1)])
    assert (
        run("import_accounts", path)
        == "imported=1 updated=0 unchanged=0 stale=0 rejected=0 flagged=0 later_money=0\n"
    )


def test_the_commands_say_where_the_rejects_are(desk: Desk) -> None:
    path, listed = written(desk.folder / "a.csv", [account(1, name="")]), desk.folder / "bad" / "r.csv"
    told = json.loads(run("import_accounts", path, rejects=listed, json=True))
    assert (told["rejected"], told["rejects"]) == (1, str(listed))
    assert next(csv.DictReader(listed.read_text(encoding="utf-8").splitlines()))["column"] == "name"


def test_a_terminal_is_not_needed_for_a_progress_bar_that_was_asked_for(desk: Desk, capsys) -> None:
    path = written(desk.folder / "a.csv", [account(1)])
    run("import_accounts", path)
    assert capsys.readouterr().err == ""
    run("import_accounts", path, progress=True)
    assert "100%" in capsys.readouterr().err


def test_an_unusable_file_ends_the_command_with_an_error(desk: Desk) -> None:
    packed = gzip.compress(content(*[line(n) for n in range(1, 50)]))
    for path, said in [
        (desk.folder / "none.csv", "none.csv"),
        (desk.folder, desk.folder.name),
        (raw(desk.folder / "empty.csv", b""), "empty.csv"),
        (Path(desk.folder / "cut.gz"), "cut.gz"),
    ]:
        if path.suffix == ".gz":
            path.write_bytes(packed[:-20])
        with pytest.raises(CommandError, match=said):
            run("import_accounts", path)


# --- The real thing -----------------------------------------------------------------------------------------


def first_lines(name: str, count: int, folder: Path) -> Path:
    source = REAL / name
    if not source.exists():
        pytest.skip(f"{name} is not here")
    with gzip.open(source, "rb") as lines:
        return raw(folder / name, b"".join(itertools.islice(lines, count + 1)))


def test_five_hundred_real_accounts_and_their_agreements_go_in_once(desk: Desk) -> None:
    accounts = first_lines("accounts-20k.csv.gz", 500, desk.folder)
    agreements = first_lines("agreements-20k.csv.gz", 1000, desk.folder)
    assert desk.keep(AccountImport, accounts).counts.imported == CreditAccount.objects.count() == 500
    first = desk.keep(AgreementImport, agreements)
    assert first.counts.imported == PartnerAgreement.objects.count() > 900
    assert desk.keep(AccountImport, accounts).counts.unchanged == 500
    assert desk.keep(AgreementImport, agreements).counts.unchanged == first.counts.imported
    assert CreditAccount.history.count() == 500
