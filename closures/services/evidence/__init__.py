"""What remains of a closing that can be shown: the certificate, and the pack with everything around it."""

from closures.services.evidence.certifying import certificate_facts, certificate_no, fingerprint
from closures.services.evidence.packing import make_pack

__all__ = ["certificate_facts", "certificate_no", "fingerprint", "make_pack"]
