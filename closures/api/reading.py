"""What may be asked before a closing: the products with their effects, and what stands in the way."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from closures.api.answers import answers
from closures.api.named import the_account
from closures.api.schemas import EligibilityOut, Named, ProductsOut
from closures.api.signed import Signed
from closures.models.api import Scope
from closures.selectors import apps
from closures.services import intake

router = Router(tags=["before"])


@router.get("/products", auth=Signed(Scope.PRODUCTS, "products"), response=answers(ProductsOut))
def products(request: HttpRequest) -> Any:
    """Every product with the effects of closing, the softer alternative and the version to be accepted."""
    listed = [
        vars(product) | {"disclosure_version": intake.disclosure_version(row)}
        for row, product in apps.products()
    ]
    return {"products": listed}


@router.post(
    "/eligibility",
    auth=Signed(Scope.ELIGIBILITY, "eligibility"),
    response=answers(EligibilityOut, 404, 413, 415),
)
def eligibility(request: HttpRequest, named: Named) -> Any:
    """Everything that stands in the way with amount and cure, what is linked, what stays. Writes nothing."""
    account = the_account(named.customer_no, named.account_no)
    seen = apps.preview(account, policy=intake.policy_of(account.product), now=timezone.now())
    version = intake.disclosure_version(account.product)
    return vars(seen) | {"blockers": seen.items, "disclosure_version": version}
