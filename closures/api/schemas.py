"""The API's words: what may be sent, what is answered. Every text has its form, every amount two decimals."""

from datetime import datetime
from typing import Annotated, Any

from ninja import Schema
from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field

from closures.models.api import AppRequest
from closures.models.complaint_terms import Topic

Number = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$", examples=["HB20240001"])]
TicketNumber = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,20}$", examples=["CT26010112345678"])]


def _two_decimals(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else f"{value:.2f}"


Money = Annotated[str, BeforeValidator(_two_decimals), Field(examples=["1200.00"])]


class Strict(Schema):
    model_config = ConfigDict(extra="forbid")


class Named(Strict):
    """The customer and the account that he calls his; they must belong together."""

    customer_no: Number
    account_no: Number


class IdentityIn(Strict):
    level: AppRequest.Assertion
    asserted_at: AwareDatetime


class ClosureIn(Named):
    identity: IdentityIn
    accepted_disclosure: Annotated[
        str,
        Field(
            pattern=r"^[^\x00-\x1f\x7f]{1,60}$",
            description="disclosure_version of the product, as the customer saw and accepted it",
        ),
    ]


class ProductOut(Schema):
    code: str
    state: str
    brand: str
    lender: str
    platform: str
    closing_path: str
    effects: list[str]
    softer_alternative: str
    agreement_version: str
    disclosure_version: str
    cooling_off_seconds: int


class ProductsOut(Schema):
    products: list[ProductOut]


class ItemOut(Schema):
    code: str
    label: str
    severity: str = Field(description="BLOCK, SETTLE, UNBIND or WARN")
    amount: Money | None
    count: int | None
    cure: str


class LinkedItemOut(Schema):
    name: str
    severity: str
    ends: bool
    cure: str


class EligibilityOut(Schema):
    brand: str
    lender: str
    account_tail: str
    line: str
    open_ticket: str
    may_request: bool
    ready: bool
    disclosure_version: str
    blockers: list[ItemOut]
    linked: list[LinkedItemOut]
    stays: list[str]
    figures_as_of: datetime


class StepOut(Schema):
    code: str
    label: str
    standing: str = Field(description="done, now, ahead or skipped")
    at: datetime | None


class ObstacleOut(Schema):
    code: str
    label: str
    amount: Money | None
    count: int | None
    cure: str


class LinkedOut(Schema):
    name: str
    ends: bool
    ended: bool


class ClosureOut(Schema):
    """A closing in the customer's words."""

    number: str
    state: str
    headline: str
    sentence: str
    reason: str
    brand: str
    lender: str
    account_tail: str
    requested_at: datetime
    answer_due_on: str
    period_ends_at: datetime | None
    steps: list[StepOut]
    obstacles: list[ObstacleOut]
    linked: list[LinkedOut]
    owed: Money
    credit_balance: Money
    figures_as_of: datetime
    effects: list[str]
    may_withdraw: bool
    certificate_no: str


class BriefOut(Schema):
    number: str
    state: str
    headline: str
    requested_at: datetime
    state_since: datetime


class ClosuresOut(Schema):
    closures: list[BriefOut]


class ComplaintIn(Named):
    ticket: TicketNumber | None = Field(None, description="The closing that it is about, if it is about one")
    topic: Topic
    text: Annotated[
        str,
        Field(
            pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]{1,2000}$",
            description="What happened, in the customer's own words, with what he would like to be done",
        ),
    ]


class ComplaintOut(Schema):
    """A complaint in the customer's words."""

    number: str
    ticket: str
    topic: str
    state: str
    headline: str
    sentence: str
    received_on: str
    due_on: str = Field(description="The day by which the next answer is due; empty when none is")
    holds_closing: bool
    outcome: str = Field(description="UPHELD, PARTLY_UPHELD or NOT_UPHELD, once the customer was answered")
    outcome_label: str
    review_until: str = Field(description="Until when a review may be asked for; empty when it may not")
    may_withdraw: bool


class FieldErrorOut(Schema):
    field: str
    code: str


class ProblemOut(Schema):
    """RFC 9457."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    open_ticket: str | None = None
    disclosure_version: str | None = None
    errors: list[FieldErrorOut] | None = None
