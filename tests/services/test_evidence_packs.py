"""An evidence pack holds the whole case, verifies offline, and one byte changed anywhere is refused."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import time
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accounts.tracking import NotPermitted, save_as
from closures.models import ClosureTicket, EvidencePack
from closures.selectors import evidence_pack, pdf
from closures.services import evidence, holds, reversal
from closures.services.evidence import packing, verify_pack
from tests.complaint_cases import WORDS, upheld
from tests.factories import a_person
from tests.stage import Stage, refused

SCRIPT = Path(verify_pack.__file__)
BOUND = (("ALIPAY", "PASSWORD_FREE", False), ("WECHAT", "WITHHOLDING", True))
MAY = {"reviewer", "lead", "auditor"}


def make(stage: Stage, ticket: ClosureTicket, *, by: str = "auditor", **given: Any) -> EvidencePack:
    given = {"language": "zh-hans", **given}
    return evidence.make_pack(ticket_id=ticket.pk, actor=stage.staff(by), now=stage.now, **given)


def files(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as packed:
        return {entry.filename: packed.read(entry) for entry in packed.infolist()}


def case(pack: EvidencePack) -> dict[str, Any]:
    return json.loads(files(pack.content)["case.json"])


def run(folder: Path, content: bytes, *more: str) -> subprocess.CompletedProcess[str]:
    """The script that lies in the pack, as a process of its own, on the pack."""
    path = folder / "pack.zip"
    path.write_bytes(content)
    return subprocess.run([sys.executable, "-I", SCRIPT, path, *more], capture_output=True, text=True)


def test_a_closed_case_is_packed_whole(stage: Stage, tmp_path: Path) -> None:
    ticket = stage.ticket("CLOSED", *BOUND)
    pack = make(stage, ticket)
    found = files(pack.content)
    assert set(found) == {
        "case.json", "case.pdf", "certificate.pdf", "manifest.json", "manifest.sha256", "verify_pack.py",
    }  # fmt: skip
    assert found["verify_pack.py"] == SCRIPT.read_bytes()
    assert found["case.pdf"].startswith(b"%PDF-") and found["certificate.pdf"].startswith(b"%PDF-")
    facts = case(pack)
    states = [row["state"] for row in facts["ticket_history"]]
    assert states[0] == "SUBMITTED" and states[-1] == "CLOSED"
    assert facts["ticket_history"][0]["by"] == str(stage.staff("agent"))
    assert {row["agreement_partner"] for row in facts["tasks"]} == {"ALIPAY", "WECHAT"}
    assert facts["attempts"] and facts["commands"] and facts["restrictions"] and facts["account"]
    assert facts["certificate"] == {"facts": ticket.certificate, "hash": ticket.certificate_hash}
    notice = facts["notices"][-1]
    assert notice["content_hash"] and notice["values"] and notice["template_version"] >= 1
    assert (pack.size, pack.made_by, pack.made_at) == (
        len(pack.content),
        stage.staff("auditor").user,
        stage.now,
    )
    done = run(tmp_path, pack.content, "--hash", pack.digest)
    assert done.returncode == 0 and pack.digest in done.stdout, done.stdout + done.stderr


def test_a_callback_is_named_in_the_pack_of_its_case(stage: Stage, run_all: Any) -> None:
    from accounts import pii  # noqa: PLC0415
    from closures.models import PartnerCallback  # noqa: PLC0415
    from closures.services import callbacks  # noqa: PLC0415

    ticket = stage.ticket("UNBINDING", BOUND[0])
    agreement = ticket.account.agreements.get()
    body = json.dumps({"agreement_no": agreement.agreement_no})
    PartnerCallback.objects.create(
        partner="ALIPAY", event_id="ev-7", kind="agreement.ended", received_at=stage.now, due_at=stage.now,
        body_sealed=pii.seal(body, subject="ev-7", field="body"),
    )  # fmt: skip
    callbacks.apply(clock=stage.clock)
    row = PartnerCallback.objects.get(event_id="ev-7")
    assert (row.about, row.customer) == (agreement.agreement_no, ticket.account.customer)
    assert [event["event_id"] for event in case(make(stage, ticket))["callbacks"]] == ["ev-7"]


def test_the_same_facts_give_the_same_bytes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = stage.ticket("CLOSED", BOUND[0])
    monkeypatch.setattr(packing, "new_number", lambda now, prefix: "EP1")
    gathered = packing._gather(ticket_id=ticket.pk, actor=stage.staff("auditor"), for_outside=False)
    pack = EvidencePack(
        number="EP1", ticket=ticket, made_by=stage.staff("auditor").user, made_at=stage.now, language="en"
    )
    first = packing.build(pack, gathered)
    time.sleep(1.1)  # a clock that got in would show
    assert packing.build(pack, gathered) == first


def test_one_byte_changed_anywhere_is_refused(stage: Stage) -> None:
    content = bytes(make(stage, stage.ticket("CLOSED", BOUND[0])).content)
    verify_pack.verify(content)
    dice = random.Random(7)
    near_the_end = range(len(content) - 700, len(content))  # the directory of the ZIP
    for place in {
        *dice.sample(range(len(content)), 120),
        *dice.sample(near_the_end, 60),
        0,
        len(content) - 1,
    }:
        forged = bytearray(content)
        forged[place] ^= 1 << dice.randrange(8)
        with pytest.raises((verify_pack.Refused, KeyError, TypeError, ValueError)):
            verify_pack.verify(bytes(forged))


def test_the_script_refuses_a_changed_an_added_and_a_missing_file(stage: Stage, tmp_path: Path) -> None:
    pack = make(stage, stage.ticket("BLOCKED"))
    found = files(pack.content)
    assert "certificate.pdf" not in found, "what is not closed has no certificate"
    forged = {**found, "case.json": found["case.json"].replace(b"BLOCKED", b"BLOCKEE", 1)}
    added = {**found, "note.txt": b"x"}
    missing = {name: content for name, content in found.items() if name != "case.pdf"}
    unsealed = {name: content for name, content in found.items() if name != "manifest.sha256"}
    for wrong, why in ((forged, "changed"), (added, "extra"), (missing, "missing"), (unsealed, "missing")):
        done = run(tmp_path, verify_pack.archive(wrong))
        assert done.returncode == 1 and f"REFUSED 未通过: {why}" in done.stdout, done.stdout
    for rubbish in (b"", b"PK", bytes(pack.content) + b"\n", bytes(pack.content)[:-30]):
        assert run(tmp_path, rubbish).returncode == 1
    other = run(tmp_path, pack.content, "--hash", "0" * 64)
    assert other.returncode == 1 and "another pack" in other.stdout


def test_a_whole_forgery_is_found_by_the_hash_the_institution_keeps(stage: Stage) -> None:
    pack = make(stage, stage.ticket("BLOCKED"))
    found = files(pack.content)
    del found["manifest.json"], found["manifest.sha256"]
    found["case.json"] = b"{}\n"
    listed = json.loads(files(pack.content)["manifest.json"])
    import hashlib  # noqa: PLC0415

    listed["files"] = [
        {"name": n, "size": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in sorted(found.items())
    ]
    manifest = json.dumps(listed).encode()
    forged = verify_pack.archive(
        {**found, "manifest.json": manifest, "manifest.sha256": verify_pack.seal_of(manifest)}
    )
    assert verify_pack.verify(forged)["pack"] == pack.number
    with pytest.raises(verify_pack.Refused):
        verify_pack.verify(forged, pack.digest)


def test_who_may_make_one(stage: Stage) -> None:
    ticket = stage.ticket("BLOCKED")
    for name in ("agent", "reviewer", "lead", "risk", "operator", "auditor", "admin"):
        if name in MAY:
            assert make(stage, ticket, by=name).number.startswith("EP")
        else:
            with refused(NotPermitted, ticket):
                make(stage, ticket, by=name)
    assert EvidencePack.objects.count() == len(MAY)


def test_a_silent_hold_is_only_in_the_pack_of_who_may_know_of_it(stage: Stage) -> None:
    ticket = stage.ticket("IN_REVIEW")
    holds.place(
        ticket_id=ticket.pk, kind="AML", ground="可疑交易 88", actor=stage.staff("reviewer"), now=stage.now
    )
    stage.assess()
    inside, outside = make(stage, ticket), make(stage, ticket, for_outside=True)
    assert (inside.with_silent_holds, outside.with_silent_holds) == (True, False)
    assert [row["kind"] for row in case(inside)["holds"]] == ["AML"]
    assert case(outside)["holds"] == [] == case(outside)["blockers"]
    for word in ("AML", "可疑交易", "反洗钱", "OPEN_HOLD"):
        assert word not in json.dumps(case(outside), ensure_ascii=False), word
        assert word.encode() not in bytes(outside.content)


def test_no_personal_data_gets_in(stage: Stage) -> None:
    known = {"name": "金丝雀某某", "phone": "19955566677", "id_number": "990000198811223344"}
    ticket = stage.request(stage.account(BOUND[0], customer=a_person(known=known)))
    stage.assess()
    stage.approve(ticket)
    stage.until(ticket, "CLOSED")
    content = bytes(make(stage, ticket).content).decode("utf-8", "replace")
    assert not [word for word in (*known.values(), "金*") if word in content]


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_without_a_font_the_pages_are_html_and_the_pack_verifies(
    stage: Stage, settings: Any, language: str
) -> None:
    settings.CJK_FONT = "/nowhere/font.ttc"
    with pytest.raises(pdf.FontMissing) as caught:
        pdf.letter("x", ["y"])
    assert "font.ttc" in caught.value.message
    pack = make(stage, stage.ticket("CLOSED"), language=language)
    found = files(pack.content)
    assert {"case.html", "certificate.html"} <= set(found) and "case.pdf" not in found
    assert pack.ticket.number in found["case.html"].decode()
    assert verify_pack.verify(bytes(pack.content))["hash"] == pack.digest


def test_a_case_of_400_events_is_packed_within_three_seconds(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED", *BOUND)
    row = stage.fresh(ticket)
    actor = stage.staff("reviewer")
    for n in range(400 - row.history.count()):
        row.ground = f"第 {n} 次修订，补充材料编号 {n * 7919}"
        save_as(row, actor=actor, reason=f"补充说明 {n}", now=stage.clock.skip())
    started = time.process_time()  # what others do on this machine is not counted
    pack = make(stage, ticket)
    took = time.process_time() - started
    assert len(case(pack)["ticket_history"]) >= 400
    assert took < 3, f"{took:.1f} s"
    assert pack.size < 1_000_000


def test_the_parts_of_a_case_are_named_in_a_fixed_order() -> None:
    assert list(evidence_pack.PARTS)[0] == "ticket_history"


def test_a_letter_prints_every_character_or_a_mark(tmp_path: Path) -> None:
    text = "𠮷田先生\u202e您好\u202c\x07 😀"
    known = pdf.characters(str(pdf.font_file()), 2)
    assert 0x20BB7 in known, "the font has the 4-byte character"
    assert pdf.printable(text, known) == "𠮷田先生您好 〓"
    first = pdf.letter("答复书", [text], [("编号", "CP1")], "保密", number="CP1")
    assert first.startswith(b"%PDF-") and len(first) < 60_000
    assert first == pdf.letter("答复书", [text], [("编号", "CP1")], "保密", number="CP1")


def test_what_followed_the_closing_is_in_the_pack(stage: Stage) -> None:
    ticket = stage.ticket("CLOSED", *BOUND)
    complaint = upheld(stage, ticket)
    proposed = reversal.propose(
        ticket_id=ticket.pk, source="COMPLAINT", complaint_number=complaint.number,
        root_cause="NOT_ASKED_FOR", ground="录音核查", compensation_amount=Decimal("50.00"),
        actor=stage.staff("reviewer2"), now=stage.now,
    )  # fmt: skip
    facts = case(make(stage, ticket))
    assert facts["complaints"][-1]["outcome"] == "UPHELD"
    assert facts["complaints"][-1]["due_rule_code"] == complaint.due_rule.code
    assert facts["complaints"][-1]["registered_by"] == complaint.registered_by.staff_no
    assert facts["reversals"][-1]["number"] == proposed.number
    assert facts["reversals"][-1]["compensation_amount"] == "50.00"
    assert WORDS not in json.dumps(facts, ensure_ascii=False), "what he wrote is his"
    assert {"identity_codes", "app_requests", "webhooks", "complaint_extensions", "later_money"} < set(facts)
