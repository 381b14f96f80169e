"""How an address names a patient: by 22 letters that mean nothing without the tenant's key.

A `patient_id` is a pseudonym that records, results and exports share. In an address it would lie in histories and logs
of browsers and proxies, and whoever read both could put them together; so an address holds the pseudonym enciphered.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from cohortium_platform.errors import NotFound
from cohortium_platform.keys import TenantKeys

__all__ = ["PatientReferences"]

_HALF = 8


class PatientReferences:
    """Makes and reads the references of one tenant.

    One AES block holds the pseudonym and eight zero bytes, by which a made-up reference is known. For a single block,
    all of them different, the plain mode is the right one.
    """

    def __init__(self, keys: TenantKeys) -> None:
        self._cipher = Cipher(AES(keys.search_hash(b"patient references")[:16]), ECB())  # noqa: S305 - see above

    def write(self, patient_id: int) -> str:
        """The reference of a patient."""
        encryptor = self._cipher.encryptor()
        block = encryptor.update(patient_id.to_bytes(_HALF, "big") + bytes(_HALF)) + encryptor.finalize()
        return base64.urlsafe_b64encode(block).rstrip(b"=").decode()

    def read(self, reference: str) -> int:
        """The patient of a reference. Raises `NotFound` for anything that this tenant did not write."""
        decryptor = self._cipher.decryptor()
        try:
            block = base64.urlsafe_b64decode(reference + "==")
            plain = decryptor.update(block) + decryptor.finalize()
        except (ValueError, binascii.Error) as wrong:
            raise NotFound("There is no such page.", "Go back to the list.") from wrong
        if len(plain) != 2 * _HALF or plain[_HALF:] != bytes(_HALF) or self.write(_id(plain)) != reference:
            raise NotFound("There is no such page.", "Go back to the list.")
        return _id(plain)


def _id(plain: bytes) -> int:
    return int.from_bytes(plain[:_HALF], "big")
