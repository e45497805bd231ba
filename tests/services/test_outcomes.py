"""Known outcomes come from a file: every good line once, every other one listed, twice changes nothing."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from closures.models import LabelledOutcome
from tests import factories

pytestmark = pytest.mark.django_db


def take(path: Path, capsys: Any, **options: Any) -> dict[str, Any]:
    call_command(
        "import_outcomes", path, no_progress=True, json=True, rejects=path.parent / "rejects.csv", **options
    )
    return json.loads(capsys.readouterr().out)


def known() -> dict[str, bool]:
    return dict(LabelledOutcome.objects.values_list("account__account_no", "defaulted"))


def test_every_good_line_is_kept_and_every_other_one_listed(tmp_path: Path, capsys: Any) -> None:
    one, two = factories.an_account(), factories.an_account()
    lines = [
        "account_no,defaulted", f"{one.account_no},1", f"{two.account_no},0", f"{one.account_no},0",
        "NOBODY,1", f"{two.account_no},yes", ",1", "a,b,c",
    ]  # fmt: skip
    path = tmp_path / "set-2026.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    counts = take(path, capsys)
    assert (counts["imported"], counts["rejected"]) == (2, 5)
    assert known() == {one.account_no: True, two.account_no: False}
    assert set(LabelledOutcome.objects.values_list("labels", flat=True)) == {"set-2026"}
    with open(counts["rejects"], newline="") as file:
        reasons = {int(row["line"]): row["reason"] for row in csv.DictReader(file)}
    assert reasons == {
        4: "twice_in_this_file",
        5: "unknown_account",
        6: "not_0_or_1",
        7: "missing",
        8: "wrong_number_of_fields",
    }


def test_the_same_file_twice_changes_nothing_and_a_correction_changes_its_line(
    tmp_path: Path, capsys: Any
) -> None:
    one, two = factories.an_account(), factories.an_account()
    path = tmp_path / "known.csv.gz"

    def write(flag: int) -> None:
        with gzip.open(path, "wt") as file:
            file.write(f"account_no,defaulted\n{one.account_no},{flag}\n{two.account_no},0\n")

    write(0)
    assert take(path, capsys)["imported"] == 2
    assert take(path, capsys)["unchanged"] == 2
    write(1)
    counts = take(path, capsys)
    assert (counts["updated"], counts["unchanged"]) == (1, 1)
    assert known() == {one.account_no: True, two.account_no: False}
    assert take(path, capsys, labels="other")["imported"] == 2
    assert LabelledOutcome.objects.count() == 4


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", "account_no,defaulted\n".encode("utf-16"), b""])
def test_a_file_that_is_no_such_extract_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(CommandError):
        call_command("import_outcomes", path, no_progress=True)
    assert not LabelledOutcome.objects.exists()
