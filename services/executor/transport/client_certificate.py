"""Client certificates: what a connection presents of itself in TLS."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate chain and its private key, as PEM that is known to fit together.

    `expires` is when the certificate ends, in seconds of Unix time. `fingerprint` tells certificates with their keys
    apart and reveals nothing of the key.
    """

    chain: bytes
    key: bytes = field(repr=False)
    expires: float
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", hashlib.sha256(self.chain + b"\0" + self.key).hexdigest())
