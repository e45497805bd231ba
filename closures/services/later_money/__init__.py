"""Money that turns up after an account was closed: kept in suspense, paid out or booked (SPEC §8, 6).

The account stays CLOSED and its balances stay zero; the money lives in `PostClosureItem` alone.
"""

from closures.services.later_money.finding import take_movements, take_posting
from closures.services.later_money.settling import (
    Ended,
    NotReceivable,
    ProofOfPaymentMissing,
    SameAsker,
    WriteOffNotAsked,
    WrongDirection,
    ask_write_off,
    book_receivable,
    pay_out,
    prove,
    run,
    settle_receivable,
    take_on,
    write_off,
)

__all__ = [
    "Ended",
    "NotReceivable",
    "ProofOfPaymentMissing",
    "SameAsker",
    "WriteOffNotAsked",
    "WrongDirection",
    "ask_write_off",
    "book_receivable",
    "pay_out",
    "prove",
    "run",
    "settle_receivable",
    "take_movements",
    "take_on",
    "take_posting",
    "write_off",
]
