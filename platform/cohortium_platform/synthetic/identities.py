"""Names, NHS numbers, addresses and telephone numbers that belong to nobody.

Here: identifying columns. Not here: anything clinical.

- NHS numbers are of the test range 999 000 0000 to 999 999 9999, with a right check digit. That range holds 909,091
  numbers; beyond it the generator goes on downwards through 998, 997 and so on. Numbers issued begin with 3, 4, 6, 7.
- Telephone numbers are of the ranges that Ofcom keeps free for drama: 07700 900000-900999, 020 7946 0000-0999 and
  01632 960000-960999. Electronic addresses end in example.org.
- Postcodes use the area ZZ, small areas the numbers from E01900000 on; neither exists. Family names and streets are
  put together from syllables.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohortium_platform.synthetic.arrays import Codes, Flags, Index
from cohortium_platform.synthetic.options import Setting, SyntheticOptions
from cohortium_platform.synthetic.plan import Block, Stage, stream
from cohortium_platform.synthetic.population import FEMALE, MALE, People

__all__ = ["Identities", "make_identities", "next_of_kin", "nhs_numbers"]

_FIRST_PREFIX, _PER_GROUP = 999, 1_000_000
_WITHOUT, _INVALID = 0.012, 0.003
_MODULUS = 11
_HEADS = [
    "Ald", "Ash", "Beck", "Birch", "Black", "Brack", "Bram", "Bur", "Cald", "Carl", "Clay", "Cran", "Dar", "Den",
    "Dun", "East", "Ed", "Ell", "Fair", "Fen", "Gal", "Glen", "Gorse", "Hal", "Hart", "Haw", "Hex", "Hol", "Kel",
    "Kirk", "Lang", "Lin", "Mal", "Marl", "Mel", "Nor", "Oak", "Pem", "Quern", "Rad", "Raven", "Sel", "Shel", "Stan",
    "Tan", "Thorn", "Wal", "West", "Whit", "Wyn", "Yar",
]  # fmt: skip
_TAILS = [
    "bourne", "bridge", "brook", "bury", "by", "cliffe", "combe", "cote", "croft", "dale", "den", "field", "ford",
    "gate", "grove", "ham", "hope", "hurst", "ley", "low", "mere", "mond", "more", "ney", "ridge", "sby", "shaw",
    "stead", "stone", "stow", "thorpe", "ton", "twick", "wald", "ward", "well", "wick", "wood", "worth",
]  # fmt: skip
_WOMEN = [
    "Aisha", "Alice", "Amara", "Amelia", "Anna", "Beatrice", "Bridget", "Carol", "Chloe", "Claire", "Daisy",
    "Deborah", "Eleanor", "Emma", "Esther", "Fatima", "Grace", "Hannah", "Helen", "Ines", "Isla", "Jasmine", "Joan",
    "Joyce", "Karen", "Leila", "Lucy", "Margaret", "Maria", "Mei", "Nadia", "Naomi", "Nina", "Olivia", "Patricia",
    "Priya", "Rachel", "Rosa", "Ruth", "Sade", "Sarah", "Shanice", "Simran", "Sofia", "Susan", "Thandi", "Valerie",
    "Yasmin", "Zara", "Zofia",
]  # fmt: skip
_MEN = [
    "Adam", "Ahmed", "Alan", "Amir", "Anthony", "Arjun", "Arthur", "Ben", "Brian", "Callum", "Carlos", "Chidi",
    "Daniel", "David", "Dev", "Edward", "Emeka", "Farid", "Frank", "George", "Hamza", "Harry", "Hugh", "Ian", "Imran",
    "Jack", "James", "Jan", "John", "Joseph", "Kofi", "Kwame", "Leon", "Liam", "Luca", "Malik", "Mark", "Michael",
    "Musa", "Noah", "Oliver", "Omar", "Owen", "Paul", "Peter", "Raj", "Robert", "Samuel", "Thomas", "Wei",
]  # fmt: skip
_ROADS = ("Street", "Road", "Lane", "Avenue", "Close", "Gardens", "Terrace", "Way")
_TITLES = {FEMALE: ("Ms", "Mrs", "Miss", "Dr"), MALE: ("Mr", "Mr", "Mr", "Dr")}
_MOBILE, _HOME, _EMAIL = 0.8, 0.55, 0.45


@dataclass(frozen=True, slots=True, eq=False)
class Identities:
    """Identifying columns of a block's people; None where not recorded. `valid` says whose NHS number is right."""

    nhs_number: list[str | None]
    nhs_number_status: list[str | None]
    valid: Flags
    family_name: list[str]
    given_name: list[str]
    title: list[str]
    address: list[str]
    postcode: list[str]
    lsoa: list[str]
    telephone: list[str | None]
    mobile: list[str | None]
    email: list[str | None]


def nhs_numbers(first: int, count: int, span: int) -> Codes:
    """Give valid test NHS numbers, the first `count` of `span` candidates from place `first` on.

    Raises:
        ValueError: too few candidates have a check digit.
    """
    place = np.arange(first, first + span, dtype=np.int64)
    stem = (_FIRST_PREFIX - place // _PER_GROUP) * _PER_GROUP + place % _PER_GROUP
    weighed = sum((stem // 10 ** (8 - digit)) % 10 * (10 - digit) for digit in range(9))
    check = (_MODULUS - weighed % _MODULUS) % _MODULUS
    numbers = (stem * 10 + check)[check < 10]
    if len(numbers) < count:
        raise ValueError(f"Only {len(numbers)} of {span} candidates are valid NHS numbers, {count} are needed")
    return np.asarray(numbers[:count], dtype=np.int64)


def _numbers(rng: np.random.Generator, block: Block) -> tuple[list[str | None], list[str | None], Flags]:
    """Give NHS numbers: most right and verified, some missing, a few with a wrong check digit."""
    number = rng.permutation(nhs_numbers(block.nhs_from, block.size, block.nhs_span))
    draw = rng.random(block.size)
    missing, wrong = draw < _WITHOUT, (draw >= _WITHOUT) & (draw < _WITHOUT + _INVALID)
    number = np.where(wrong, number - number % 10 + (number + 1) % 10, number)
    verified = np.where(rng.random(block.size) < 0.97, "01", "02")
    text = [None if gone else str(value) for value, gone in zip(number.tolist(), missing.tolist(), strict=True)]
    status = [None if gone else str(value) for value, gone in zip(verified.tolist(), missing.tolist(), strict=True)]
    return text, status, ~(missing | wrong)


def _one(rng: np.random.Generator, words: list[str], size: int) -> list[str]:
    return [words[place] for place in rng.integers(0, len(words), size).tolist()]


def _family_names(rng: np.random.Generator, size: int) -> list[str]:
    return [head + tail for head, tail in zip(_one(rng, _HEADS, size), _one(rng, _TAILS, size), strict=True)]


def _given_names(rng: np.random.Generator, people: People) -> tuple[list[str], list[str]]:
    """Give first names and titles that go with the recorded sex."""
    men, women = _one(rng, _MEN, people.size), _one(rng, _WOMEN, people.size)
    sex, place = people.sex.tolist(), rng.integers(0, 4, people.size).tolist()
    given = [man if code == MALE else woman for man, woman, code in zip(men, women, sex, strict=True)]
    return given, [_TITLES.get(code, ("Mx",) * 4)[number] for code, number in zip(sex, place, strict=True)]


def _maybe(rng: np.random.Generator, made: list[str], share: float) -> list[str | None]:
    kept = (rng.random(len(made)) < share).tolist()
    return [text if keep else None for text, keep in zip(made, kept, strict=True)]


def _some_of_a_thousand(rng: np.random.Generator, pattern: str, size: int) -> list[str]:
    return [pattern.format(number) for number in rng.integers(0, 1000, size).tolist()]


def make_identities(options: SyntheticOptions, block: Block, people: People) -> Identities:
    """Make the identifying columns of a block."""
    rng = stream(options, block.number, Stage.IDENTITY)
    size, practice = people.size, options.practices[block.home]
    number, status, valid = _numbers(rng, block)
    given, title = _given_names(rng, people)
    family = _family_names(rng, size)
    streets = zip(
        rng.integers(1, 180, size).tolist(), _family_names(rng, size), _one(rng, list(_ROADS), size), strict=True
    )
    outward, inward, area = (rng.integers(0, top, size).tolist() for top in (90, 10, 400))
    letters = _one(rng, [one + two for one in "ABDEFGHJ" for two in "LNPQRSTU"], size)
    district = sum(map(ord, practice.place)) % 97 * 1000
    home = "020 7946 0{:03d}" if practice.setting is Setting.URBAN else "01632 960{:03d}"
    return Identities(
        nhs_number=number,
        nhs_number_status=status,
        valid=valid,
        family_name=family,
        given_name=given,
        title=title,
        address=[f"{house} {street} {road}, {practice.place}" for house, street, road in streets],
        postcode=[f"ZZ{one + 1} {two}{three}" for one, two, three in zip(outward, inward, letters, strict=True)],
        lsoa=[f"E019{district + number:05d}" for number in area],
        telephone=_maybe(rng, _some_of_a_thousand(rng, home, size), _HOME),
        mobile=_maybe(rng, _some_of_a_thousand(rng, "07700 900{:03d}", size), _MOBILE),
        email=_maybe(
            rng, [f"{one.lower()}.{two.lower()}@example.org" for one, two in zip(given, family, strict=True)], _EMAIL
        ),
    )


def next_of_kin(rng: np.random.Generator, family: list[str], person: Index) -> tuple[list[str], list[str]]:
    """Give names and telephone numbers of the next of kin of some people; most share the family name."""
    names = _one(rng, [*_WOMEN, *_MEN], len(person))
    own, other = rng.random(len(person)) < 0.6, _family_names(rng, len(person))
    shared = [family[place] for place in person.tolist()]
    full = [
        f"{name} {mine if same else theirs}"
        for name, mine, theirs, same in zip(names, shared, other, own.tolist(), strict=True)
    ]
    return full, _some_of_a_thousand(rng, "07700 900{:03d}", len(person))
