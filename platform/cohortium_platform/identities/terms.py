"""Search terms: keyed hashes of name words, of each word's first three letters, and of untrusted NHS numbers.

Here: how text is normalised and hashed. Not here: the table of terms. An NHS number that is trusted needs no term: its
keyed hash is the patient's pseudonym (`pseudonyms`).

A term is 64 bits of HMAC-SHA-256 under the tenant's search key: enough that no two words of a tenant meet by chance,
and nothing without the key. What kind of thing was hashed is part of it, so that a name is never found by a number.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable

from cohortium_platform.keys import TenantKeys

__all__ = ["START_LETTERS", "Terms", "name_words", "nhs_number_in"]

START_LETTERS = 3
_NHS_NUMBER = re.compile(r"[0-9]{10}")
_WORD = re.compile(r"[^\W_]+")
_INSIDE_WORD = re.compile(r"['\u2018\u2019\u02bc`.]")
_REMEMBERED = 2**18


def nhs_number_in(text: str) -> str | None:
    """The NHS number that a text is, with or without spaces or hyphens, or None. The check digit is not looked at."""
    digits = re.sub(r"[\s-]", "", text)
    return digits if _NHS_NUMBER.fullmatch(digits) else None


def name_words(text: str) -> list[str]:
    """Words of a name as they are compared: no case, accents or apostrophes; a hyphen parts words."""
    if text.isascii():
        return list(dict.fromkeys(_WORD.findall(_INSIDE_WORD.sub("", text).lower())))
    folded = unicodedata.normalize("NFKD", _INSIDE_WORD.sub("", text)).casefold()
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return list(dict.fromkeys(_WORD.findall(plain)))


class Terms:
    """Makes terms under one tenant's search key. Names recur, so those met before are remembered."""

    def __init__(self, keys: TenantKeys) -> None:
        self._hash: Callable[[bytes], bytes] = keys.search_hash
        self.of_name: Callable[[str], frozenset[int]] = functools.lru_cache(_REMEMBERED)(self._of_name)

    def nhs_number(self, digits: str) -> int:
        """The term of an NHS number of ten digits that is not what the patient's pseudonym was made of."""
        return self._term(b"nhs\0", digits)

    def word(self, word: str) -> int:
        """The term of a whole normalised word."""
        return self._term(b"word\0", word)

    def start(self, word: str) -> int:
        """The term of a normalised word's first three letters."""
        return self._term(b"start\0", word[:START_LETTERS])

    def _of_name(self, name: str) -> frozenset[int]:
        """All terms of a family name or of given names: words, and the first letters of those that have as many."""
        words = name_words(name)
        return frozenset(
            [self.word(word) for word in words] + [self.start(word) for word in words if len(word) >= START_LETTERS]
        )

    def _term(self, kind: bytes, text: str) -> int:
        return int.from_bytes(self._hash(kind + text.encode())[:8], "big", signed=True)
