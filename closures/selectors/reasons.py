"""History's reasons in the reader's words. Machines write fixed phrases and codes, people their own text.

A phrase that is not known is shown as it stands: it is somebody's own text.
"""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from accounts.selectors import actors
from closures.models import Blocker, IdentityCode, LedgerCommand
from closures.models.notices import NoticeChannel, NoticeKind
from closures.models.tickets import Reason

# The phrases that services give to `move` and `save_as`. A guard compares them with the services' source.
PHRASES = (
    gettext_noop("a newer version takes its place"),
    gettext_noop("far more matches than usual"),
    gettext_noop("its condition takes too long"),
    gettext_noop("the customer appeals"),
    gettext_noop("version written"),
    gettext_noop("a fresh read found money"),
    gettext_noop("accepted by the bureau"),
    gettext_noop("a newer code"),
    gettext_noop("a wrong code"),
    gettext_noop("all unbound"),
    gettext_noop("answer date"),
    gettext_noop("answered"),
    gettext_noop("blockers found"),
    gettext_noop("another was merged into it"),
    gettext_noop("canned reply in use again"),
    gettext_noop("canned reply out of use"),
    gettext_noop("canned reply written"),
    gettext_noop("changed"),
    gettext_noop("complaint answered"),
    gettext_noop("complaint assigned"),
    gettext_noop("complaint closed"),
    gettext_noop("complaint decided"),
    gettext_noop("complaint received"),
    gettext_noop("cured"),
    gettext_noop("evidence confirmed"),
    gettext_noop("evidence given"),
    gettext_noop("examined again"),
    gettext_noop("examined, the approval stands"),
    gettext_noop("extension approved"),
    gettext_noop("found"),
    gettext_noop("fresh ledger read"),
    gettext_noop("ground amended"),
    gettext_noop("handed over"),
    gettext_noop("letter"),
    gettext_noop("marked at the credit bureau"),
    gettext_noop("merged into another"),
    gettext_noop("new facts start a new clock"),
    gettext_noop("nothing blocks"),
    gettext_noop("nothing is owed either way"),
    gettext_noop("a newer calendar sets it earlier"),
    gettext_noop("its owner has left"),
    gettext_noop("the letter was printed"),
    gettext_noop("who asked has left"),
    gettext_noop("proved at the partner"),
    gettext_noop("proved by a one-time code"),
    gettext_noop("read back closed"),
    gettext_noop("review decided"),
    gettext_noop("review requested"),
    gettext_noop("named by the ledger"),
    gettext_noop("offset"),
    gettext_noop("paid by the customer"),
    gettext_noop("read back open"),
    gettext_noop("read back returned"),
    gettext_noop("spotless"),
    gettext_noop("still blocked"),
    gettext_noop("taken on"),
    gettext_noop("the approval is void"),
    gettext_noop("the clock runs no more"),
    gettext_noop("the complainant answered"),
    gettext_noop("the complainant was asked"),
    gettext_noop("the investigation begins"),
    gettext_noop("the credit report is corrected"),
    gettext_noop("the identity has changed"),
    gettext_noop("the last check found a new agreement"),
    gettext_noop("the last check found money"),
    gettext_noop("the notice of closing arrived"),
    gettext_noop("the partner has no API"),
    gettext_noop("the period is over"),
    gettext_noop("the right code"),
    gettext_noop("the status link was renewed"),
    gettext_noop("the ticket moved"),
    gettext_noop("the ticket moved on"),
    gettext_noop("the ticket was cancelled"),
    gettext_noop("time is over"),
    gettext_noop("unbinding begins"),
    gettext_noop("waived"),
    gettext_noop("within our scope"),
    gettext_noop("withdrawn by the complainant"),
    gettext_noop("withdrawn by the customer"),
    gettext_noop("closings not reported yet"),
    gettext_noop("collected on demand"),
    gettext_noop("counted"),
    gettext_noop("deletion asked for"),
    gettext_noop("erased and looked for again"),
    gettext_noop("handed in"),
    gettext_noop("kept, with reasons"),
    gettext_noop("nobody waits"),
    gettext_noop("nothing has to be kept"),
    gettext_noop("retention is over"),
    gettext_noop("department added"),
    gettext_noop("drafted"),
    gettext_noop("everybody accounted for"),
    gettext_noop("freeze asked"),
    gettext_noop("its campaign stands still"),
    gettext_noop("milestone added"),
    gettext_noop("no author"),
    gettext_noop("pilot started"),
    gettext_noop("plan edited"),
    gettext_noop("population by file"),
    gettext_noop("population frozen"),
    gettext_noop("reached"),
    gettext_noop("removed from the plan"),
    gettext_noop("the closings ended"),
    gettext_noop("waves started"),
)

# A phrase of which a part is a number or somebody's own text.
PATTERNS = (
    (re.compile(r"attempt (?P<n>\d+)"), _("attempt %(n)s")),
    (re.compile(r"closing (?P<number>CT\w+) ended"), _("closing %(number)s ended")),
    (re.compile(r"closing (?P<number>CT\w+)"), _("closing %(number)s")),
    (re.compile(r"reversal (?P<number>RV\w+)"), _("reversal %(number)s")),
    (re.compile(r"write-off asked: (?P<text>.*)", re.S), _("write-off asked: %(text)s")),
    (re.compile(r"campaign (?P<number>CM\w+)"), _("campaign %(number)s")),
    (re.compile(r"campaign (?P<number>CM\w+) aborted"), _("campaign %(number)s was aborted")),
    (re.compile(r"as approved with campaign (?P<number>CM\w+)"), _("as approved with campaign %(number)s")),
    (re.compile(r"guard-rail UNBIND_FAILURES"), _("guard-rail: unbinding failures")),
    (re.compile(r"guard-rail UNDELIVERED"), _("guard-rail: undelivered notices")),
    (re.compile(r"guard-rail COMPLAINTS"), _("guard-rail: complaints")),
    (re.compile(r"approval void: EDITED"), _("approval void: the plan was edited")),
    (re.compile(r"approval void: POPULATION"), _("approval void: the population has changed")),
    (re.compile(r"not frozen: (?P<code>\w+)"), _("not frozen: %(code)s")),
    (re.compile(r"risk rule (?P<rule>[\w-]+ v\d+)"), _("risk rule %(rule)s")),
    (re.compile(r"list (?P<number>DL\w+)"), _("list %(number)s")),
    (re.compile(r"cancellation asked: (?P<text>.*)", re.S), _("cancellation asked: %(text)s")),
    (re.compile(r"notice waiver asked: (?P<text>.*)", re.S), _("notice waiver asked: %(text)s")),
    (re.compile(r"notice waived: (?P<text>.*)", re.S), _("notice waived: %(text)s")),
    (re.compile(r"waiver asked: (?P<text>.*)", re.S), _("waiver asked: %(text)s")),
)

# Codes of the rules (outcomes, deliveries) and of partners.
CODES: dict[str, Any] = {
    "ACCEPTED_IS_A_CLAIM": _("accepted; only the partner's status will prove it"),
    "OUTCOME_UNKNOWN": _("no clear answer: it is asked about before anything is sent again"),
    "NOTHING_WAS_SENT": _("nothing was sent; tried again later"),
    "REFUSED": _("definitely refused"),
    "STATUS_ENDED": _("the partner's status says ended"),
    "GONE_BY_TWO_KEYS": _("gone by number and by account, while the canary is found"),
    "NEVER_SEEN_BOUND": _("never seen bound, and not found by two keys"),
    "STILL_BOUND_MAY_YET_END": _("still bound, but may yet end: asked again"),
    "STILL_BOUND_SEND_AGAIN": _("still bound after the settle window: sent again with the same key"),
    "NO_PROOF_YET": _("no proof yet: asked again"),
    "CALLBACK_ENDED": _("the partner's callback says ended"),
    "CALLBACK_TO_BE_CHECKED": _("the partner's callback is checked by asking"),
    "RECORDED_ONLY": _("recorded only"),
    "ATTEMPTS_USED_UP": _("every attempt is used up"),
    "TRUTH_CANNOT_BE_HAD": _("the partner's answers contradict each other"),
    "TICKET_MOVED_ON": _("the ticket has moved on; nothing was sent"),
    "NOT_POSSIBLE_BY_HAND": _("not possible by hand"),
    "HANDED_OVER": _("handed over"),
    "ARRIVED": _("arrived"),
    "PROVIDER_DOES_NOT_KNOW_IT": _("the provider does not know it: sent again"),
    "PERHAPS_SENT": _("perhaps sent"),
    "NOT_DELIVERED": _("not delivered"),
    "NO_RECEIPT_YET": _("no receipt yet"),
    "NO_RECEIPT_IN_TIME": _("no receipt in time"),
    "NO_ARRIVAL_TO_PROVE": _("sent; its arrival need not be proved"),
    "NO_ADDRESS": _("no address is known"),
    "IDENTITY_NOT_PROVED": _("identity not proved"),
    # why somebody's data is kept
    "IN_USE": _("his data is in use"),
    "NO_RELATIONSHIP": _("no relationship is on file, so no day can be told"),
    "RELATIONSHIP_GOES_ON": _("a relationship goes on"),
    "RETENTION_RUNS": _("a retention period still runs"),
    "ACCOUNT_OPEN": _("an account is open"),
    "CASE_OPEN": _("a closing is under way"),
    "COMPLAINT_OPEN": _("a complaint is open"),
    "REVERSAL_OPEN": _("a reversal is under way or the credit report waits for its correction"),
    "MONEY_OPEN": _("money that came after the closing has not found its end"),
    "CALL_UNDER_WAY": _("a call to a partner or the ledger has no clear end yet"),
    "NOTICE_ON_ITS_WAY": _("a notice is on its way"),
    "REQUEST_UNANSWERED": _("a deletion request waits for its answer"),
    "TAKEN_OFF": _("taken off the list by a person"),
    "LIST_CALLED_OFF": _("the list was called off"),
    "NEWER_CODE": _("a newer code took its place"),
    "IDENTITY_CHANGED": _("the identity on file has changed"),
    # why an app has not taken an event
    "CLIENT_DISABLED": _("the client is disabled or has no address"),
    "HTTP_410": _("the receiver wants no more events"),
    "NOT_ALLOWED": _("the address is not on the allow-list"),
    "NOT_HTTPS": _("the address is not https"),
    "NOT_A_URL": _("the address is no address"),
    # what became of a callback
    "NO_TASK": _("it ended an agreement that we have no task for"),
    "SIGNED_AGAIN": _("signed again after we had ended it"),
    "NO_NOTICE": _("it names no notice of ours"),
    "UNKNOWN_EVENT": _("an event of an unknown kind"),
    "NEW": _("new: in suspense"),
    "NAMED": _("an extract had shown it before"),
    "REPEATED": _("a repeat: counted, nothing else"),
    "NOT_CLOSED": _("the account is not closed; its balance shows it"),
    "NO_ACCOUNT": _("it names no account of ours"),
    "REF_REUSED": _("its number was used for something else"),
    # what was heard from a partner
    "ACCEPTED": _("accepted"),
    "UNCLEAR": _("no clear answer"),
    "UNREACHABLE": _("not reached"),
    "NOT_FOUND": _("not found"),
    "ALREADY_ENDED": _("already ended"),
    "BOUND": _("bound"),
    "ENDED": _("ended"),
    "UNREADABLE": _("not readable"),
}
LABELS = {
    str(value): label
    for value, label in (
        *Reason.choices,
        *Blocker.Code.choices,
        *IdentityCode.Purpose.choices,
        *LedgerCommand.Verb.choices,
    )
}
BY_CHANNEL = re.compile(rf"({'|'.join(NoticeKind.values)}) by ({'|'.join(NoticeChannel.values)})")
VERB = re.compile(rf"({'|'.join(LedgerCommand.Verb.values)}) \S+")


def why(reason: str | None) -> str:
    """A reason as history holds it, in the active language."""
    text = (reason or "").strip()
    if not text:
        return ""
    if text in PHRASES:
        return translate(text)
    for pattern, template in PATTERNS:
        if found := pattern.fullmatch(text):
            return str(template) % found.groupdict()
    if found := BY_CHANNEL.fullmatch(text):
        kind, channel = NoticeKind(found[1]).label, NoticeChannel(found[2]).label
        return translate("%(kind)s, by %(channel)s") % {"kind": kind, "channel": channel}
    if found := VERB.fullmatch(text):
        return str(LedgerCommand.Verb(found[1]).label)
    return heard(actors.why(text))


def heard(codes: str) -> str:
    """What a partner was heard to say: codes of the rules, several of them joined by a stroke."""
    parts = codes.split("/") if re.fullmatch(r"[A-Z_]+(/[A-Z_]+)*", codes) else [codes]
    return " / ".join(code(part) for part in parts)


def code(value: str) -> str:
    """One code as a phrase; a partner's own code stays what it is."""
    return str(CODES.get(value) or LABELS.get(value) or value)
