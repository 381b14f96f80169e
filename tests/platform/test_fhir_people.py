"""What is read of a Patient: who they are, whether they live, how they are reached, where they are registered."""

from __future__ import annotations

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
    extension = [{"url": CORE + "NHSNumberVerificationStatus", "valueCodeableConcept": concept(status)}] if status else []
    return {"system": NHS, "value": value, "extension": extension} | more


def notice(status, when=None):
    parts = [{"url": "deathNotificationStatus", "valueCodeableConcept": concept(status)}]
    parts += [{"url": "systemEffectiveDate", "valueDateTime": when}] if when else []
    return {"url": CORE + "DeathNotificationStatus", "extension": parts}


def organisation(number, code):
    return {"resourceType": "Organization", "id": number, "identifier": [{"system": ODS, "value": code}]}


@pytest.fixture
def read(stage_fhir):
    """Stage one patient and give some columns of the patient's row, and what was said."""

    def read_one(columns, *resources, **options):
        staged = stage_fhir(list(resources), **options)
        (row,) = staged.rows("patients", *columns.split())
        return (*row, staged.reasons(Severity.WARNING)) if len(row) > 1 else (row[0], staged.reasons(Severity.WARNING))

    return read_one


@pytest.mark.parametrize(
    ("identifiers", "number", "status"),
    [
        ([nhs("9990000018", "01")], "9990000018", "01"),
        ([nhs("999 000 0018")], "9990000018", None),
        ([nhs("999-000-0018")], "9990000018", None),
        ([nhs("9990000026", "02"), nhs("9990000018", "01")], "9990000018", "01"),
        ([nhs("9990000026", use="old"), nhs("9990000018")], "9990000018", None),
        ([{"system": "urn:oid:2.16.840.1.113883.2.1.4.1", "value": "9990000018"}], "9990000018", None),
        ([{"system": "https://example.org/hospital", "value": "9990000018"}], None, None),
        ([nhs("9912003890", "01")], "9912003890", "01"),  # fails its check digit: the pipeline warns of it
        ([{"system": NHS}], None, None),
    ],
)
def test_nhs_number(read, identifiers, number, status):
    found = read("nhs_number nhs_number_status", patient(identifier=identifiers))
    assert found[:2] == (number, status)


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


@pytest.mark.parametrize(
    ("gender", "sex"),
    [("male", "male"), ("female", "female"), ("other", "indeterminate"), ("unknown", None), (None, None), ("M", None)],
)
def test_sex(read, gender, sex):
    found, said = read("sex", patient(gender=gender))
    assert found == sex
    assert ("its gender is not one of FHIR's codes: left empty" in said) == (gender == "M")


@pytest.mark.parametrize(
    ("code", "letter"), [("A", "A"), ("S", "S"), ("Z", "Z"), ("99", None), ("I", None), ("1A", None), ("", None)]
)
def test_ethnic_category(read, code, letter):
    extension = {"url": CORE + "EthnicCategory", "valueCodeableConcept": concept(code)}
    assert read("ethnicity", patient(extension=[extension]))[0] == letter


@pytest.mark.parametrize(
    ("elements", "died"),
    [
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
    ],
)
def test_death(read, elements, died):
    assert read("date_of_death", patient(**elements))[0] == died


def test_a_death_without_any_date_is_that_of_the_extract(stage_fhir):
    from datetime import date

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


def test_contacts_of_every_kind_with_the_day_they_hold_from(stage_fhir, fhir_fixtures):
    staged = stage_fhir(fhir_fixtures / "bulk")
    contacts = staged.rows("contacts", "local_id", "date", "kind", "relationship", "name", "value")
    assert contacts == [
        ("pat-ada", "2025-02-03", "address", None, None, "1 Example Street, Littleham, Exampletown"),
        ("pat-ada", "2025-02-03", "email", None, None, "ada@example.org"),
        ("pat-ada", "2021-05-06", "mobile", None, None, "07700 900001"),
        ("pat-ada", "2020-07-08", "next-of-kin", "N", "Mr Bob Testwell", "07700 900002"),
        ("pat-ada", "2025-02-03", "telephone", None, None, "01632 960001"),
    ]
    kin = "next_of_kin_name", "next_of_kin_relationship", "next_of_kin_telephone"
    assert staged.rows("patients", *kin)[0] == ("Mr Bob Testwell", "N", "07700 900002")
    assert staged.rows("patients", "contact_recorded")[0] == ("2025-02-03",)


GP = {"reference": "Organization/o"}


@pytest.mark.parametrize(
    "elements",
    [
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
    ],
)
def test_the_practice(stage_fhir, elements):
    staged = stage_fhir([patient(**elements), organisation("o", "Y99901")])
    assert staged.rows("patients", "practice") == [("Y99901",)]
    assert staged.rows("registrations", "practice", "start_date", "end_date") == [("Y99901", "1950-01-02", None)]


def test_registrations_with_their_periods(stage_fhir):
    def at(code, **period):
        return {"type": "Organization", "identifier": {"system": ODS, "value": code, "period": period}}

    practitioners = [at("Y99902", start="2001-02-03", end="2010-01-01"), at("Y99901", start="2010-01-02"), at("Y99909")]
    staged = stage_fhir([patient(generalPractitioner=practitioners)])
    assert staged.rows("registrations", "practice", "start_date", "end_date") == [
        ("Y99902", "2001-02-03", "2010-01-01"),
        ("Y99901", "2010-01-02", None),
    ]
    assert staged.rows("patients", "practice") == [("Y99901",)]
    assert not staged.findings


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
    assert staged.rows("registrations", "practice", "start_date") == [(None, "1950-01-02")]
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
