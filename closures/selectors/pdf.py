"""Pages in Chinese and English as PDF: letters, certificates, cases. The same facts give the same bytes.

The font is a full CJK one (setting CJK_FONT, Debian's fonts-noto-cjk by default), of which only the glyphs
used are embedded, so a page weighs some 20 kB. Where it is missing, `FontMissing` says so, and the caller
shows its page as HTML.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.enums import TableCellFillMode, TextMode, XPos, YPos
from fpdf.fonts import FontFace

from closures.errors import ClosureError

FAMILY = "cjk"
BODY, SMALL, TITLE, HEADING = 10.5, 8.5, 17, 12.5  # points
LINE = 1.55  # line height, times the size
BLUE, GREY, DARK, PALE = (29, 78, 216), (90, 98, 110), (17, 24, 39), (243, 244, 246)
UNPRINTABLE = "〓"  # what a Chinese printer sets where he lacks a character
MARGIN = 20  # mm
FIRST_IDEOGRAPH = 0x3400  # from here on a line may break between any two characters
BREAK = "\u200b"
NOT_FIRST = "，。、；：？！）》」』】〉”’%…— "  # of a line: 避头点
NOT_LAST = "（《「『【〈“‘ "  # of a line: 避尾点
AFTER = "，。、；：？！）》」』】〉”’"
UNDATED = datetime(2000, 1, 1, tzinfo=UTC)  # in the file's properties only; a PDF must name some moment


class FontMissing(ClosureError):
    """No font on this machine can print Chinese."""

    code = "font_missing"
    template = _("The font {font} is not installed, so no PDF can be made. Install fonts-noto-cjk.")


def letter(
    title: str,
    paragraphs: Iterable[str],
    rows: Iterable[tuple[str, str]] = (),
    footer: str = "",
    *,
    number: str = "",
    dated: datetime | None = None,
) -> bytes:
    """A letter as PDF: title, paragraphs, a table of (label, value) `rows`, and a line at each page's foot.

    `number` stands under the title; `dated` is the moment in the file's properties: never the
    clock's, so that the same text always gives the same bytes. Raises FontMissing.
    """
    sheet = Sheet(title=title, number=number, footer=footer, dated=dated)
    for paragraph in paragraphs:
        sheet.paragraph(paragraph)
    sheet.facts(rows)
    return sheet.bytes()


class Sheet:
    """A document being written from top to bottom. Raises FontMissing when it is begun."""

    def __init__(
        self, *, title: str, number: str = "", footer: str = "", dated: datetime | None = None
    ) -> None:
        path = font_file()
        self._known = characters(str(path), settings.CJK_FONT_NUMBER)
        self._page = _Page(self._fit(footer), dated=dated)
        self._page.add_font(FAMILY, "", path, collection_font_number=settings.CJK_FONT_NUMBER)
        fonts: Any = self._page.fonts
        self._font = fonts[FAMILY]
        self._font.cw[ord(BREAK)] = 0  # the font lacks it; what it lacks counts as wide
        self._page.set_title(self._fit(title))
        self._page.add_page()
        self._write(title, size=TITLE, bold=True)
        if number:
            self._write(number, size=BODY, colour=GREY)
        self._page.ln(4)

    def heading(self, text: str) -> None:
        self._page.ln(3)
        self._write(text, size=HEADING, colour=BLUE, bold=True)
        self._page.ln(1)

    def paragraph(self, text: str, *, small: bool = False, bold: bool = False) -> None:
        self._write(text, size=SMALL if small else BODY, bold=bold)
        self._page.ln(2)

    def facts(self, rows: Iterable[tuple[str, str]]) -> None:
        """Label and value, one pair a line."""
        rows = list(rows)
        if rows:
            self._table(rows, widths=(1, 3), headings=None)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int]) -> None:
        """A table whose headings are repeated on every page; `widths` are shares of the line."""
        self._table([headings, *rows], widths=widths, headings=headings)

    def bytes(self) -> bytes:
        """The finished document; nothing can be written any more."""
        try:
            return bytes(self._page.output())
        finally:
            self._font.close()  # the font's file stays open for as long as glyphs are drawn

    # Writing

    def _fit(self, text: str) -> str:
        return printable(text, self._known)

    def _write(
        self, text: str, *, size: float, colour: tuple[int, int, int] = DARK, bold: bool = False
    ) -> None:
        page = self._page
        page.set_font(FAMILY, size=size)
        page.set_text_color(*colour)
        with page.local_context(
            # One weight is embedded; a stroke of its own colour around each letter makes it bold.
            text_mode=TextMode.FILL_STROKE if bold else TextMode.FILL,
            line_width=size / 90,
            draw_color=colour,
        ):
            page.multi_cell(
                0,
                size * LINE / page.k,
                breakable(self._fit(text)),
                align="L",
                new_x=XPos.LMARGIN,
                new_y=YPos.NEXT,
            )

    def _table(
        self, rows: Sequence[Sequence[str]], *, widths: Sequence[int], headings: Sequence[str] | None
    ) -> None:
        page = self._page
        page.set_font(FAMILY, size=SMALL)
        page.set_text_color(*DARK)
        page.set_draw_color(209, 213, 219)
        with page.table(
            col_widths=tuple(widths),
            text_align="LEFT",
            borders_layout="HORIZONTAL_LINES",
            line_height=SMALL * LINE / page.k,
            padding=(0.8, 1.5),
            v_align="TOP",
            first_row_as_headings=headings is not None,
            headings_style=FontFace(emphasis="", color=GREY, fill_color=PALE),
            cell_fill_mode=TableCellFillMode.NONE,
        ) as table:
            for cells in rows:
                row = table.row()
                for cell in cells:
                    row.cell(breakable(self._fit(str(cell))))
        page.ln(2)


class _Page(FPDF):
    """A4 with a footer: whose paper it is, and which of how many pages."""

    def __init__(self, foot: str, *, dated: datetime | None) -> None:
        super().__init__(format="A4")
        self._foot = foot
        self.set_creation_date(dated or UNDATED)  # fpdf2 would take the clock's
        self.set_margin(MARGIN)
        self.set_auto_page_break(True, margin=MARGIN + 5)
        self.alias_nb_pages("{pages}")

    def footer(self) -> None:
        self.set_y(-MARGIN)
        self.set_font(FAMILY, size=SMALL - 0.5)
        self.set_text_color(*GREY)
        of = translate("page %(page)s of %(pages)s") % {"page": self.page_no(), "pages": "{pages}"}
        self.cell(0, 5, f"{self._foot}    {of}".strip(), align="C")


# --- The font ---------------------------------------------------------------------------------------


def font_file() -> Path:
    """The CJK font of this machine. Raises FontMissing."""
    path = Path(settings.CJK_FONT)
    if not path.is_file():
        raise FontMissing(font=path.name)
    return path


@functools.lru_cache(maxsize=2)
def characters(path: str, number: int) -> frozenset[int]:
    """The characters that the font can print."""
    with TTFont(path, fontNumber=number if path.endswith(".ttc") else -1, lazy=True) as font:
        return frozenset(font.getBestCmap())


def printable(text: str, known: frozenset[int]) -> str:
    """The text without what moves letters about (bidi marks, controls), 〓 for what the font lacks."""
    fitted = []
    for letter in unicodedata.normalize("NFC", text):
        if letter in "\n" or ord(letter) in known:
            fitted.append(letter)
        elif letter in "\t\r":
            fitted.append(" ")
        elif unicodedata.category(letter) not in ("Cc", "Cf", "Cs"):
            fitted.append(UNPRINTABLE)
    return "".join(letter for letter in fitted if unicodedata.bidirectional(letter) not in BIDI_MARKS)


BIDI_MARKS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def breakable(text: str) -> str:
    """The text with a break between any two Chinese characters, but none that strands punctuation.

    Words and numbers stay whole: without this a line of Chinese is one word, or every word may be torn.
    """
    pairs = zip(text, text[1:] + " ", strict=True)
    return "".join(
        f"{letter}{BREAK}"
        if (ord(letter) >= FIRST_IDEOGRAPH or ord(following) >= FIRST_IDEOGRAPH or letter in AFTER)
        and following not in NOT_FIRST
        and letter not in NOT_LAST
        else letter
        for letter, following in pairs
    )
