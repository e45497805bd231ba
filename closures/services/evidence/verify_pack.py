#!/usr/bin/env python3
"""Checks an evidence pack offline: python3 verify_pack.py EP….zip [--hash HASH]

核验证据包，无需联网。 Every file is compared with manifest.json; a file that was changed, added or taken away
is refused, and so is any other byte of the ZIP. The hash of manifest.json is the pack's hash. Without --hash
this shows that the pack is whole; with the hash that the institution keeps (its console, its letter) it
shows that it is the pack that was made. Take this script from the institution rather than from the pack.

Python 3.9 or later, standard library only. Exit code 0: passed, 1: refused.
"""

import argparse
import hashlib
import io
import json
import sys
import zipfile
from typing import Any

MANIFEST, SEAL = "manifest.json", "manifest.sha256"
EARLIEST = (1980, 1, 1, 0, 0, 0)  # a ZIP knows no earlier moment; ours names none
LARGEST = 200 * 1024 * 1024  # bytes; a pack is far smaller, and a ZIP bomb is not read


class Refused(Exception):
    """The pack is not what was made."""


def archive(files: dict[str, bytes]) -> bytes:
    """The one ZIP that these files make: sorted, not compressed, without dates, so that it can be remade."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=EARLIEST)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, files[name])
    return out.getvalue()


def seal_of(manifest: bytes) -> bytes:
    """The line that keeps the manifest's hash beside it."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def verify(packed: bytes, expected: str = "") -> dict[str, Any]:
    """The manifest of a pack that is whole. Raises Refused with the first thing that is wrong."""
    files = unpacked(packed)
    for name in (MANIFEST, SEAL):
        if name not in files:
            raise Refused(f"missing file 缺少文件: {name}")
    manifest, seal = files.pop(MANIFEST), files.pop(SEAL)
    digest = hashlib.sha256(manifest).hexdigest()
    if seal != seal_of(manifest):
        raise Refused(f"changed file 文件被改动: {MANIFEST}")
    listed = {entry["name"]: entry for entry in json.loads(manifest)["files"]}
    for name in sorted(listed.keys() - files.keys()):
        raise Refused(f"missing file 缺少文件: {name}")
    for name in sorted(files.keys() - listed.keys()):
        raise Refused(f"extra file 多出文件: {name}")
    for name, content in sorted(files.items()):
        same = hashlib.sha256(content).hexdigest() == listed[name]["sha256"]
        if not same or len(content) != listed[name]["size"]:
            raise Refused(f"changed file 文件被改动: {name}")
    if archive({**files, MANIFEST: manifest, SEAL: seal}) != packed:
        raise Refused("changed bytes between the files 压缩包结构被改动")
    if expected and expected.strip().lower() != digest:
        raise Refused(f"another pack 不是同一份证据包: {digest}")
    found = json.loads(manifest)
    found["hash"] = digest
    return dict(found)


def unpacked(packed: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archived:
            entries = archived.infolist()
            if len({entry.filename for entry in entries}) < len(entries):
                raise Refused("a file is there twice 文件重复")
            if sum(entry.file_size for entry in entries) > LARGEST:
                raise Refused("too large 过大")
            return {entry.filename: archived.read(entry) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise Refused(f"not a readable ZIP 无法读取: {error}") from error


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks an evidence pack offline 离线核验证据包")
    parser.add_argument("pack", help="the ZIP 证据包文件")
    parser.add_argument("--hash", default="", help="the hash the institution keeps 机构留存的哈希值")
    given = parser.parse_args()
    try:
        with open(given.pack, "rb") as file:
            found = verify(file.read(), given.hash)
    except (Refused, OSError, KeyError, TypeError, ValueError) as refusal:
        print(f"REFUSED 未通过: {refusal}")
        return 1
    print(f"PASSED 通过: {found['pack']} · {found['ticket']} · {found['made_at']} · {found['made_by']}")
    for entry in found["files"]:
        print(f"  {entry['sha256']}  {entry['size']:>9}  {entry['name']}")
    print(f"hash 哈希值: {found['hash']}")
    if not given.hash:
        print("Compare this hash with the one the institution keeps. 请与机构留存的哈希值比对。")
    return 0


if __name__ == "__main__":
    sys.exit(main())
