"""What is read of a Patient: who they are, whether they live, how they are reached, where they are registered."""

from __future__ import annotations

from datetime import date

import pytest

from cohortium_plugins.importing import Severity

NHS = "https://fhir.nhs.uk/Id/nhs-number"
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
CORE = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-"
UPDATED = {"meta": {"lastUpdated": "2025-01-31T10:00:00+00:00"}}


def patient(**elements):
    return {"resourceType": "Patient", "id": "p", "birthDate": "1950-01-02"} | elements


def concept(code, system="https://example.org/any"):
    return {"coding": [{"system": system, "code": code}]}


def nhs(value, status=None, **more):
    extension = (
        [{"url": CORE + "NHSNumberVerificationStatus", "valueCodeableConcept": concept(status)}] if status else []
    )
    return {"system": NHS, "value": value, "extension": extension} | more


def notice(status, when=None):
    parts = [{"url": "deathNotificationStatus", "valueCodeableConcept": concept(status)}]
    parts += [{"url": "systemEffectiveDate", "valueDateTime": when}] if when else []
    return {"url": CORE + "DeathNotificationStatus", "extension": parts}


def organisation(number, code):
    return {"resourceType": "Organization", "id": number, "identifier": [{"system": ODS, "value": code}]}


@pytest.fixture
def read(stage_fhir):
    """Stage one patient: some columns of the patient's row, and what was said."""

    def read_one(columns, *resources, **options):
        staged = stage_fhir(list(resources), **options)
        (row,) = staged.rows("patients", *columns.split())
        return (*row, staged.reasons(Severity.WARNING))

    return read_one


@pytest.fixture
def read_all(stage_fhir):
    """Stage many patients at once, each given by its elements: some columns of each, in order."""

    def read_many(columns, cases):
        people = [patient(id=f"p{number:03}", **elements) for number, elements in enumerate(cases)]
        return stage_fhir(people).rows("patients", *columns.split())

    return read_many


NUMBERS = [
    ([nhs("9990000018", "01")], "9990000018", "01"),
    ([nhs("999 000 0018")], "9990000018", None),
    ([nhs("999-000-0018")], "9990000018", None),
    ([nhs("9990000026", "02"), nhs("9990000018", "01")], "9990000018", "01"),
    ([nhs("9990000026", use="old"), nhs("9990000018")], "9990000018", None),
    ([{"system": "urn:oid:2.16.840.1.113883.2.1.4.1", "value": "9990000018"}], "9990000018", None),
    ([{"system": "https://example.org/hospital", "value": "9990000018"}], None, None),
    ([nhs("9912003890", "01")], "9912003890", "01"),  # fails its check digit: the pipeline warns of it
    ([{"system": NHS}], None, None),
]


def test_nhs_number(read_all):
    found = read_all("nhs_number nhs_number_status", [{"identifier": identifiers} for identifiers, _, _ in NUMBERS])
    assert found == [(number, status) for _, number, status in NUMBERS]


def test_several_nhs_numbers_are_told(read):
    _, said = read("nhs_number", patient(identifier=[nhs("9990000018"), nhs("9990000026")]))
    assert "several NHS numbers: the verified or the first one was taken" in said


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([{"use": "usual", "family": "B"}, {"use": "official", "family": "A", "given": ["C", "D"], "prefix": ["Dr"]}],
         ("A", "C D", "Dr")),
        ([{"use": "old", "family": "B"}, {"family": "A"}], ("A", None, None)),
        ([{"use": "official", "family": "B", "period": {"end": "2001-01-01"}}, {"use": "usual", "family": "A"}],
         ("A", None, None)),
        ([{"text": "SMITH Jane"}], ("SMITH Jane", None, None)),
        ([], (None, None, None)),
    ],
)  # fmt: skip
def test_the_name_in_use(read, names, expected):
    assert read("family_name given_name title", patient(name=names))[:3] == expected


def test_sex(stage_fhir):
    sexes = {"male": "male", "female": "female", "other": "indeterminate", "unknown": None, "M": None}
    staged = stage_fhir([patient(id=gender, gender=gender) for gender in sexes])
    assert dict(staged.rows("patients", "local_id", "sex")) == sexes
    assert staged.reasons(Severity.WARNING).count("its gender is not one of FHIR's codes: left empty") == 1


def test_ethnic_category(read_all):
    letters = {"A": "A", "S": "S", "Z": "Z", "99": None, "I": None, "1A": None, "": None}
    extensions = [{"url": CORE + "EthnicCategory", "valueCodeableConcept": concept(code)} for code in letters]
    assert read_all("ethnicity", [{"extension": [each]} for each in extensions]) == [
        (each,) for each in letters.values()
    ]


DEATHS = [
    ({}, None),
    ({"deceasedBoolean": False}, None),
    ({"deceasedDateTime": "2024-05-06T07:08:09Z"}, "2024-05-06"),
    ({"deceasedDateTime": "2024-05"}, "2024-05-01"),
    ({"deceasedDateTime": "2024-05-06", "extension": [notice("2", "2024-05-20")]}, "2024-05-06"),
    ({"deceasedDateTime": "2024-05-06", "extension": [notice("U", "2024-05-20")]}, None),
    ({"deceasedBoolean": True, "extension": [notice("U")]}, None),
    ({"extension": [notice("U", "2024-05-20")]}, None),
    ({"extension": [notice("1", "2024-05-20")]}, "2024-05-20"),
    ({"deceasedBoolean": True, "extension": [notice("2", "2024-05-20")]}, "2024-05-20"),
    ({"extension": [notice("1", "2024-05-20"), notice("U", "2024-06-20")]}, None),
    ({"extension": [notice("U", "2024-05-20"), notice("2", "2024-06-20")]}, "2024-06-20"),
    ({"deceasedBoolean": False, "extension": [notice("2", "2024-06-20")]}, None),
    ({"deceasedBoolean": True} | UPDATED, "2025-01-31"),
    ({"deceasedDateTime": "who knows"} | UPDATED, "2025-01-31"),
]


def test_death(read_all):
    assert read_all("date_of_death", [elements for elements, _ in DEATHS]) == [(died,) for _, died in DEATHS]


def test_a_death_without_any_date_is_that_of_the_extract(stage_fhir):
    staged = stage_fhir([patient(deceasedBoolean=True)], records_to=date(2025, 2, 3))
    assert staged.rows("patients", "date_of_death") == [("2025-02-03",)]
    assert any(reason.startswith("a death without a date") for reason in staged.reasons(Severity.WARNING))


def test_how_a_patient_is_reached(read):
    found = read(
        "telephone mobile email address postcode",
        patient(
            telecom=[
                {"system": "phone", "value": "1", "use": "work"},
                {"system": "phone", "value": "2", "use": "home"},
                {"system": "phone", "value": "3", "use": "mobile", "rank": 2},
                {"system": "sms", "value": "4", "rank": 1},
                {"system": "email", "value": "e@example.org"},
                {"system": "email", "value": "old@example.org", "use": "old"},
                {"system": "fax", "value": "5"},
                {"system": "phone"},
            ],
            address=[
                {"use": "work", "line": ["Office"], "postalCode": "ZZ1 1ZZ"},
                {"use": "home", "line": ["1 Lane", "Ham"], "city": "Town", "postalCode": "ZZ2 2ZZ"},
            ],
        ),
    )
    assert found[:5] == ("2", "4", "e@example.org", "1 Lane, Ham, Town", "ZZ2 2ZZ")


def test_the_next_of_kin_with_the_day_recorded(stage_fhir, fhir_fixtures):
    staged = stage_fhir(fhir_fixtures / "bulk")
    contacts = staged.rows("contacts", "local_id", "date", "kind", "relationship", "name", "value")
    assert contacts == [("pat-ada", "2020-07-08", "next-of-kin", "N", "Mr Bob Testwell", "07700 900002")]
    assert staged.rows("patients", "telephone", "contact_recorded")[0] == ("01632 960001", "2025-02-03")


def test_contacts_beside_the_best_of_their_kind(stage_fhir):
    telecom = [
        {"system": "phone", "value": "1", "use": "home"},
        {"system": "phone", "value": "2", "period": {"start": "2020-02"}},
    ]
    address = [{"line": ["A"], "use": "home"}, {"text": "B"}]
    staged = stage_fhir([patient(telecom=telecom, address=address)])
    assert staged.rows("contacts", "date", "kind", "value") == [
        (None, "address", "B"),
        ("2020-02-01", "telephone", "2"),
    ]


GP = {"reference": "Organization/o"}


PRACTICES = [
    {"generalPractitioner": [GP]},
    {"generalPractitioner": [{"reference": "Practitioner/x"}, GP]},
    {"generalPractitioner": [{"reference": "Organization?identifier=" + ODS + "|Y99901"}]},
    {"generalPractitioner": [{"reference": "https://any.example.org/fhir/Organization/o"}]},
    {"generalPractitioner": [{"identifier": {"system": ODS, "value": " y99901 "}}]},
    {"generalPractitioner": [{"reference": "#gp"}], "contained": [organisation("gp", "Y99901")]},
    {"managingOrganization": GP},
    {"generalPractitioner": [{"reference": "Practitioner/x"}], "managingOrganization": GP},
    {"generalPractitioner": [GP], "managingOrganization": {"identifier": {"system": ODS, "value": "RXX"}}},
    {"generalPractitioner": [GP, {"identifier": {"system": ODS, "value": "Y99902"}}]},
]


def test_the_practice(stage_fhir):
    people = [patient(id=str(number), **elements) for number, elements in enumerate(PRACTICES)]
    staged = stage_fhir([*people, organisation("o", "Y99901")])
    assert staged.rows("patients", "practice") == [("Y99901",)] * len(PRACTICES)
    expected = [("Y99901", None, None)] * len(PRACTICES)
    assert staged.rows("registrations", "practice", "start_date", "end_date") == expected


def test_registrations_with_their_periods(stage_fhir):
    def at(code, **period):
        return {"type": "Organization", "identifier": {"system": ODS, "value": code, "period": period}}

    practitioners = [at("Y99902", start="2001-02-03", end="2010-01-01"), at("Y99901", start="2010-01-02"), at("Y99909")]
    staged = stage_fhir([patient(generalPractitioner=practitioners)])
    assert staged.rows("registrations", "practice", "start_date", "end_date") == [("Y99901", "2010-01-02", None)]
    assert staged.rows("patients", "practice") == [("Y99901",)]
    assert staged.reasons(Severity.WARNING) == [
        "an earlier registration with another practice, whose own records tell of it: 1"
    ]


def test_someone_who_left(stage_fhir):
    left = {"identifier": {"system": ODS, "value": "Y99901", "period": {"start": "2001-02-03", "end": "2020-01-01"}}}
    staged = stage_fhir([patient(generalPractitioner=[left])])
    assert staged.rows("registrations", "practice", "start_date", "end_date") == [
        ("Y99901", "2001-02-03", "2020-01-01")
    ]


@pytest.mark.parametrize(
    ("resources", "is_told"),
    [
        ([patient()], False),
        ([patient(generalPractitioner=[GP])], True),
        ([patient(generalPractitioner=[GP]), {"resourceType": "Organization", "id": "o"}], True),
    ],
)
def test_a_practice_that_is_not_found_is_left_to_the_loader(stage_fhir, resources, is_told):
    staged = stage_fhir(resources)
    assert staged.rows("registrations", "practice", "start_date") == [(None, None)]
    words = "the general practice it names is not in the delivery or has no ODS code"
    assert (words in staged.reasons(Severity.WARNING)) == is_told


def test_a_patient_without_id_is_known_by_an_identifier(stage_fhir):
    twice = patient(identifier=[{"system": "https://example.org/h", "value": "H1"}])
    del twice["id"]
    assert stage_fhir([twice, twice]).rows("patients", "local_id") == [("Patient?https://example.org/h|H1",)]


def test_a_replaced_patient_is_told(read):
    link = {"type": "replaced-by", "other": {"reference": "Patient/q"}}
    _, said = read("local_id", patient(link=[link]))
    assert "the patient is stated to be replaced by another, and was loaded as it stands" in said
