"""The bulk door reads its batch and nothing more, and several at once do each thing once."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, models, transaction

from accounts.bulk import STATE, transition_many, update_many
from accounts.models import CreditAccount, PartnerAgreement
from closures.models import ClosureTicket
from tests.accounts.bulk_rows import CAPABLE, JOB, MAKERS, a_ticket, statements, unbind, who_may
from tests.factories import an_account, an_agreement
from tests.races import ON_POSTGRES, at_once, race

pytestmark = pytest.mark.django_db


def test_the_number_of_statements_does_not_grow_with_the_rows(now: datetime) -> None:
    account = an_account()
    few, many = ([an_agreement(account).pk for _ in range(n)] for n in (2, 40))

    def moving(pks: list[int]) -> int:
        return len(statements(lambda: unbind(pks, now)))

    def updating(pks: list[int]) -> int:
        rows = [{"pk": pk, "effect": "WARN"} for pk in pks]
        said = {"key": "pk", "fields": ["effect"], "actor": JOB, "reason": "", "now": now}
        return len(statements(lambda: update_many(PartnerAgreement, rows, **said)))

    assert updating(few) == updating(many)
    assert moving(few) == moving(many)


def plans(act: Callable[[], Any]) -> list[str]:
    """SQLite's plan of every statement that `act` runs, looked at just before it runs."""
    seen: list[str] = []

    def look(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("SELECT", "UPDATE", "INSERT")) and not many:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
                seen.append("\n".join(row[3] for row in cursor.fetchall()) + f"\n{sql}")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        act()
    return seen


def scanned(plan: str) -> set[str]:
    """The stored tables that a plan reads from end to end."""
    words = [line.split() for line in plan.splitlines()]
    return {word[1] for word in words if word[:1] == ["SCAN"] and len(word) > 1} - {
        "json_each",
        "g",
        "CONSTANT",
    }


@pytest.mark.skipif(ON_POSTGRES, reason="about SQLite's planner, which scanned the whole table per batch")
@pytest.mark.parametrize(("model", "name"), CAPABLE)
def test_a_move_reads_the_rows_of_its_batch_and_no_table_from_end_to_end(
    model: type[models.Model], name: str, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sorted(getattr(model, name)._django_fsm.transitions)[0]
    pks = [MAKERS[model](source, move=name).pk for _ in range(2)]
    actor = who_may(model, name)
    monkeypatch.setattr("accounts.bulk._keys", lambda *_: pks)
    rows = model._base_manager.all()
    seen = plans(lambda: transition_many(rows, getattr(model, name), actor=actor, reason="", now=now))
    assert len(seen) >= 2
    assert not [plan for plan in seen if scanned(plan)]


@pytest.mark.skipif(ON_POSTGRES, reason="about SQLite's planner")
@pytest.mark.parametrize("key", ["pk", "account_no"])
def test_an_update_reads_the_rows_of_its_batch_and_no_table_from_end_to_end(key: str, now: datetime) -> None:
    rows = [an_account() for _ in range(2)]
    given = [{"pk": row.pk, "account_no": row.account_no, "principal": 5} for row in rows]
    seen = plans(
        lambda: update_many(
            CreditAccount, given, key=key, fields=["principal"], actor=JOB, reason="", now=now
        )
    )
    assert len(seen) >= 3
    assert not [plan for plan in seen if scanned(plan)]


@race
def test_overlapping_sweeps_move_each_row_once_while_the_balances_change(
    now: datetime, settings: Any
) -> None:
    settings.BATCH_SIZE = 7
    tickets = [a_ticket("NOTICE_PERIOD") for _ in range(60)]
    found_waiting: list[int] = []

    copying = threading.Event()

    def sweep() -> Any:
        assert copying.wait(30)
        rows = ClosureTicket.objects.filter(state="NOTICE_PERIOD")
        return transition_many(rows, ClosureTicket.start_unbinding, actor=JOB, reason="over", now=now)

    def copy_ledger() -> None:
        # Every other account turns out to owe; from the far end, to meet the sweeps half-way.
        for ticket in reversed(tickets[::2]):
            with transaction.atomic():
                account = CreditAccount.objects.select_for_update().get(pk=ticket.account_id)
                waiting = ClosureTicket.objects.get(pk=ticket.pk).state == "NOTICE_PERIOD"
                given = [{"pk": account.pk, "principal": 100}]
                update_many(
                    CreditAccount, given, key="pk", fields=["principal"], actor=JOB, reason="copy", now=now
                )
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(0.003)")
                if waiting:
                    found_waiting.append(ticket.pk)
            copying.set()

    *sweeps, _ = at_once(sweep, sweep, sweep, copy_ledger)

    moved = [pk for done in sweeps for pk in done.moved]
    in_unbinding = set(ClosureTicket.objects.filter(state="UNBINDING").values_list("pk", flat=True))
    noted = ClosureTicket.history.filter(state="UNBINDING").values_list("id", flat=True)
    assert len(moved) == len(set(moved))
    assert sorted(moved) == sorted(noted) == sorted(in_unbinding)
    # Whoever owed before the move was made has not moved; everybody else has.
    assert in_unbinding == {ticket.pk for ticket in tickets} - set(found_waiting)
    assert found_waiting
    for done in sweeps:
        assert set(done.refused.values()) <= {STATE, "period over"}


@race
def test_the_same_extract_kept_three_times_at_once_is_noted_once(now: datetime, settings: Any) -> None:
    settings.BATCH_SIZE = 7
    rows = [an_account() for _ in range(40)]
    given = [{"account_no": row.account_no, "principal": row.pk} for row in rows]
    orders = (given, given[::-1], given[20:] + given[:20])

    def keep(order: list[dict[str, Any]]) -> Any:
        return update_many(
            CreditAccount, order, key="account_no", fields=["principal"], actor=JOB, reason="copy", now=now
        )

    done = at_once(*(lambda order=order: keep(order) for order in orders))

    changed = sorted(pk for one in done for pk in one.changed)
    assert changed == sorted(row.pk for row in rows)
    assert sorted(CreditAccount.history.filter(history_type="~").values_list("id", flat=True)) == changed


IN_A_PROCESS = """
import json, sys, django
django.setup()
from datetime import datetime
from django.conf import settings
from django.db import transaction
from accounts.actors import Actor
from accounts.bulk import transition_many, update_many
from accounts.models import CreditAccount
from closures.models import ClosureTicket
settings.BATCH_SIZE = 7
role, now = sys.argv[1], datetime.fromisoformat(sys.argv[2])
said = {"actor": Actor.job(role), "reason": role, "now": now}
print("ready", flush=True)
sys.stdin.readline()
done = []
if role == "sweep":
    rows = ClosureTicket.objects.filter(state="NOTICE_PERIOD")
    done = transition_many(rows, ClosureTicket.start_unbinding, **said).moved
else:
    for pk in sorted(ClosureTicket.objects.values_list("pk", flat=True), reverse=True)[::2]:
        with transaction.atomic():
            ticket = ClosureTicket.objects.get(pk=pk)
            row = [{"pk": ticket.account_id, "principal": 100}]
            update_many(CreditAccount, row, key="pk", fields=["principal"], **said)
            if ticket.state == "NOTICE_PERIOD":
                done.append(pk)
print(json.dumps(done))
"""


@pytest.mark.skipif(ON_POSTGRES, reason="the same race as above, between processes on one file")
@pytest.mark.django_db(transaction=True)
def test_overlapping_sweeps_of_several_processes_move_each_row_once(now: datetime, tmp_path: Path) -> None:
    tickets = {a_ticket("NOTICE_PERIOD").pk for _ in range(60)}
    file = tmp_path / "shared.sqlite3"
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(file)])
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{file}"}
    environment["DJANGO_SETTINGS_MODULE"] = os.environ.get("DJANGO_SETTINGS_MODULE", "config.settings.test")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", IN_A_PROCESS, role, now.isoformat()],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for role in ("sweep", "sweep", "sweep", "ledger")
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    *sweeps, owed_before = (json.loads(process.communicate(timeout=60)[0]) for process in processes)

    with closing(sqlite3.connect(file)) as shared:
        states = dict(shared.execute("SELECT id, state FROM closures_closureticket"))
        noted = shared.execute(
            "SELECT id FROM closures_historicalclosureticket WHERE state = 'UNBINDING'"
        ).fetchall()
    moved = [pk for done in sweeps for pk in done]
    assert len(moved) == len(set(moved))
    assert sorted(moved) == sorted(pk for (pk,) in noted)
    assert set(moved) == {pk for pk, state in states.items() if state == "UNBINDING"}
    assert set(moved) == tickets - set(owed_before)
