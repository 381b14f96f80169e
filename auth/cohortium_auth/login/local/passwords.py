"""Passwords: what one must be like, and how it is kept. Not here: whose it is (`service`).

Rules as in OWASP ASVS 2.1: at least twelve characters, any characters, no composition rules, none that people commonly
choose. Kept as Argon2id with the parameters that OWASP recommends for servers (19 MiB, two passes).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from argon2.low_level import Type

from cohortium_platform.errors import BadInput

__all__ = ["LEAST_LENGTH", "check_password", "hash_password", "is_password", "needs_hashing_anew"]

LEAST_LENGTH = 12
_MOST_LENGTH = 128
_LEAST_DIFFERENT = 5
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
_LIKE_LETTERS = str.maketrans("013457@$!", "oieastasi")


def check_password(password: str, *names: str) -> None:
    """See that a password may be chosen by somebody with these names. Raises `BadInput` saying what to change."""
    plain = _normal(password)
    if len(plain) < LEAST_LENGTH:
        raise BadInput(f"The password is shorter than {LEAST_LENGTH} characters.", "Use three or four random words.")
    if len(plain) > _MOST_LENGTH:
        raise BadInput(f"The password is longer than {_MOST_LENGTH} characters.", "Use a shorter one.")
    if len(set(plain)) < _LEAST_DIFFERENT or _is_common(plain):
        raise BadInput("The password is one that many people choose.", "Use three or four random words.")
    words = [word for name in names for word in re.findall(r"\w{4,}", name.casefold())]
    if any(word in plain.casefold() for word in words):
        raise BadInput("The password holds a part of the name.", "Use three or four random words.")


def hash_password(password: str) -> str:
    """How a password is kept."""
    return _HASHER.hash(_normal(password))


def is_password(password: str, kept: str | None) -> bool:
    """Whether a password is the one that is kept. Without one it takes as long, and is not."""
    try:
        return _HASHER.verify(kept or _nobodys(), _normal(password)[:_MOST_LENGTH]) and kept is not None
    except VerificationError:
        return False


def needs_hashing_anew(kept: str) -> bool:
    """Whether a password is kept with parameters of former times."""
    return _HASHER.check_needs_rehash(kept)


@cache
def _nobodys() -> str:
    return hash_password("the password of no account")


def _normal(password: str) -> str:
    """The same password however a keyboard composes its letters."""
    return unicodedata.normalize("NFKC", password)


@cache
def _common() -> frozenset[str]:
    text = files("cohortium_auth.login.local").joinpath("common_passwords.txt").read_text()
    return frozenset(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _is_common(password: str) -> bool:
    """Whether it is a common password, or common words in a row, with digits and signs round it or for its letters."""
    folded = password.casefold()
    bare = {re.sub(r"[^a-z]", "", folded), re.sub(r"[^a-z]", "", folded.translate(_LIKE_LETTERS))}
    letters = {re.sub(r"[^a-z]+$|^[^a-z]+", "", folded).translate(_LIKE_LETTERS)}
    digits = re.sub(r"\D", "", folded)
    if digits == folded and (digits in "01234567890123456789" * 7 or digits in "98765432109876543210" * 7):
        return True
    return any(_made_of_common(word) for word in {folded, *bare, *letters} if word)


def _made_of_common(text: str) -> bool:
    """Whether common words alone, in a row, make it up."""
    reached = {0}
    for end in range(1, len(text) + 1):
        if any(text[start:end] in _common() for start in reached if start < end):
            reached.add(end)
    return len(text) in reached
