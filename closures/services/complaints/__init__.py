"""The complaint desk: one matter of one customer, from receipt to reply, review and end (SPEC §6).

`receiving` takes it in, `handling` works on it, `extending` gives it more time, `deciding` decides, replies
and closes, `reviewing` decides again, `ending` takes it back or merges it, `canned` keeps replies ready.
Closing itself is touched in one way only: by a hold on the ticket that a complaint disputes.
"""

from closures.services.complaints import canned
from closures.services.complaints.deciding import close, decide, reply
from closures.services.complaints.ending import merge, withdraw
from closures.services.complaints.extending import approve_extension, ask_extension, refuse_extension
from closures.services.complaints.handling import (
    add_new_facts,
    answer_bureau_mark,
    assign,
    investigate,
    note,
    resume,
    wait_for_customer,
)
from closures.services.complaints.receiving import accept, complain, declare_out_of_scope, register
from closures.services.complaints.reviewing import decide_review, request_review

__all__ = [
    "accept",
    "add_new_facts",
    "answer_bureau_mark",
    "approve_extension",
    "ask_extension",
    "assign",
    "canned",
    "close",
    "complain",
    "decide",
    "decide_review",
    "declare_out_of_scope",
    "investigate",
    "merge",
    "note",
    "refuse_extension",
    "register",
    "reply",
    "request_review",
    "resume",
    "wait_for_customer",
    "withdraw",
]
