"""Seals, blind indexes and masks: what may be read where, and what never may."""

from __future__ import annotations

import base64
import os

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from accounts import pii

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


def a_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@given(value=TEXTS)
def test_what_was_sealed_for_a_row_and_field_reads_the_same_there(value: str) -> None:
    assert pii.reveal(pii.seal(value, subject="C1", field="name"), subject="C1", field="name") == value


def test_a_seal_cannot_be_moved_to_another_row_or_field() -> None:
    sealed = pii.seal("张三", subject="C1", field="name")
    with pytest.raises(pii.Unreadable):
        pii.reveal(sealed, subject="C2", field="name")
    with pytest.raises(pii.Unreadable):
        pii.reveal(sealed, subject="C1", field="email")


def test_any_changed_character_makes_a_seal_unreadable() -> None:
    sealed = pii.seal("990000200210210010", subject="C1", field="id_number")
    for at in range(len(sealed) - 1):  # not the last: its unused bits mean nothing in base64
        for other in "A.é=":
            if sealed[at] != other:
                with pytest.raises(pii.Unreadable):
                    pii.reveal(sealed[:at] + other + sealed[at + 1 :], subject="C1", field="id_number")


@pytest.mark.parametrize("sealed", ["local", "local.", "nokey.AAAA", "local.AAAA", "local.!!!!", "张三"])
def test_what_is_no_seal_is_unreadable_and_not_an_error(sealed: str) -> None:
    with pytest.raises(pii.Unreadable) as refused:
        pii.reveal(sealed, subject="C1", field="name")
    assert "C1" in refused.value.message


def test_the_refusal_does_not_repeat_the_seal() -> None:
    with pytest.raises(pii.Unreadable) as refused:
        pii.reveal("local.c2VjcmV0", subject="C1", field="name")
    assert "c2VjcmV0" not in refused.value.message


def test_one_value_sealed_twice_looks_different() -> None:
    assert len({pii.seal("张三", subject="C1", field="name") for _ in range(50)}) == 50


def test_the_first_key_seals_and_all_of_them_open(settings) -> None:
    old, new = f"k1:{a_key()}", f"k2:{a_key()}"
    settings.FIELD_KEYS = old
    sealed = pii.seal("张三", subject="C1", field="name")
    settings.FIELD_KEYS = f"{new},{old}"
    assert pii.reveal(sealed, subject="C1", field="name") == "张三"
    assert not pii.is_current(sealed)
    assert pii.seal("张三", subject="C1", field="name").startswith("k2.")
    settings.FIELD_KEYS = new
    with pytest.raises(pii.Unreadable):
        pii.reveal(sealed, subject="C1", field="name")


@pytest.mark.parametrize(
    "keys",
    ["", " , ", "k1", "k1:short", f"k1:{a_key()},k1:{a_key()}", "k1:not base64!", f"K1:{a_key()}"],
    ids=["none", "blanks", "no key", "short", "twice", "not base64", "upper case"],
)
def test_without_proper_keys_nothing_is_sealed(settings, keys: str) -> None:
    settings.FIELD_KEYS = keys
    with pytest.raises(ImproperlyConfigured):
        pii.seal("张三", subject="C1", field="name")


@pytest.mark.parametrize("key", ["", "c2hvcnQ=", "%%%"])
def test_without_a_proper_index_key_nothing_is_indexed(settings, key: str) -> None:
    settings.INDEX_KEY = key
    with pytest.raises(ImproperlyConfigured):
        pii.blind_index("phone", "19900000001")


@pytest.mark.parametrize(
    ("field", "spellings"),
    [
        ("id_number", ["99000019891117004X", " 99000019891117004x ", "990000 19891117 004X"]),
        ("id_number", ["99000019891117004X", "９９0000198911170０4Ｘ"]),
        ("phone", ["19900000001", "199-0000-0001", "+86 199 0000 0001", "１9900000001"]),
    ],
)
def test_every_spelling_of_a_number_has_one_index(field: str, spellings: list[str]) -> None:
    assert len({pii.blind_index(field, spelling) for spelling in spellings}) == 1


def test_an_index_is_keyed_and_differs_between_fields(settings) -> None:
    first = pii.blind_index("phone", "990000198911170041")
    assert len(first) == 64
    assert first != pii.blind_index("id_number", "990000198911170041")
    settings.INDEX_KEY = a_key()
    assert first != pii.blind_index("phone", "990000198911170041")


def test_nothing_has_no_index() -> None:
    assert pii.blind_index("phone", " ") == ""


@given(st.lists(TEXTS, min_size=1, max_size=4), st.lists(TEXTS, min_size=1, max_size=4))
def test_two_rows_have_one_digest_only_when_they_are_equal(one: list[str], other: list[str]) -> None:
    assert (pii.row_digest(one) == pii.row_digest(other)) == (one == other)


def test_where_a_field_ends_changes_the_digest() -> None:
    assert pii.row_digest(["ab", "c"]) != pii.row_digest(["a", "bc"])


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("name", "张三", "张*"),
        ("name", "欧阳振华", "欧***"),
        ("name", "𠮷野家", "𠮷**"),
        ("name", "张", "*"),
        ("id_number", "990000200210210010", "990***********0010"),
        ("id_number", "9900010", "*******"),
        ("phone", "19900000001", "199****0001"),
        ("phone", "1990", "****"),
        ("email", "c00000001@example.com", "c***@example.com"),
        ("email", "nobody", "***"),
        ("birth_date", "2002-10-21", "****-**-**"),
        ("anything", "secret", "***"),
        ("name", "", ""),
    ],
)
def test_a_mask_shows_no_more_than_this(field: str, value: str, shown: str) -> None:
    assert pii.mask(field, value) == shown
