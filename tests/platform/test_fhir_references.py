"""Who is meant: every kind of reference, in any order, and what happens when nobody or too many are."""

from __future__ import annotations

import random

import pytest

from cohortium_plugins.importing import Severity, Unreadable

NHS = "https://fhir.nhs.uk/Id/nhs-number"
UUID = "6f1c2b34-0000-4000-8000-0123456789ab"
DANGLING = "dangling reference: the patient it names is not in the delivery"
AMBIGUOUS = "dangling reference: more than one patient in the delivery fits it"
NOBODY = "it names no patient"


def patient(number="p", nhs="9990000018", **elements):
    made = {"resourceType": "Patient", "id": number, "birthDate": "1950-01-02"}
    return made | {"identifier": [{"system": NHS, "value": nhs}]} | elements


def condition(subject, **elements):
    code = {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]}
    return {"resourceType": "Condition", "subject": subject, "code": code, "recordedDate": "2024-05-06"} | elements


def bundle(*entries, **elements):
    entries = [{"fullUrl": url, "resource": resource} for url, resource in entries]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries} | elements


CONTAINED = [{"resourceType": "Patient", "id": "who", "identifier": [{"system": NHS, "value": "999 000 0018"}]}]


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/p"},
        {"reference": "Patient/p/_history/4"},
        {"reference": "https://example.org/fhir/Patient/p"},
        {"reference": "https://example.org/fhir/Patient/p/_history/4"},
        {"reference": f"Patient?identifier={NHS}|9990000018"},
        {"reference": f"Patient?identifier={NHS.replace(':', '%3A')}%7C9990000018"},
        {"reference": f"https://example.org/fhir/Patient?identifier={NHS}|9990000018"},
        {"identifier": {"system": NHS, "value": "9990000018"}},
        {"type": "Patient", "identifier": {"system": "https://example.org/h", "value": "H 1"}},
        {"reference": "#who"},
    ],
)
def test_ways_to_name_a_patient_of_a_bulk_export(stage_fhir, subject):
    who = patient(
        identifier=[{"system": "https://example.org/h", "value": "H 1"}, {"system": NHS, "value": "9990000018"}]
    )
    staged = stage_fhir([condition(subject, contained=CONTAINED), who, patient("q", "9990000026")])
    assert staged.rows("events", "local_id") == [("p",)]
    assert staged.reasons() == []


@pytest.mark.parametrize(
    ("url", "subject"),
    [
        (f"urn:uuid:{UUID}", f"urn:uuid:{UUID}"),
        (f"urn:uuid:{UUID.upper()}", f"urn:uuid:{UUID}"),
        ("urn:oid:1.2.3", "urn:oid:1.2.3"),
        ("urn:uuid:any", "Patient/p"),
        ("https://example.org/fhir/Patient/p", "Patient/p"),
        ("https://example.org/fhir/Patient/p", "https://example.org/fhir/Patient/p"),
        ("https://example.org/fhir/Patient/p/_history/2", "https://example.org/fhir/Patient/p"),
        ("", "Patient/p"),
    ],
)
def test_ways_to_name_a_patient_of_a_bundle(stage_fhir, url, subject):
    about = ("https://example.org/fhir/Condition/c", condition({"reference": subject}))
    staged = stage_fhir({"b.json": bundle(about, (url, patient()))})
    assert staged.rows("events", "local_id") == [("p",)]


def test_a_uuid_that_is_an_id_elsewhere(stage_fhir):
    staged = stage_fhir([condition({"reference": f"urn:uuid:{UUID}"}), patient(UUID)])
    assert staged.rows("events", "local_id") == [(UUID,)]


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ({"reference": "Patient/other"}, DANGLING),
        ({"reference": "Group/p"}, DANGLING),
        ({"reference": f"urn:uuid:{UUID}"}, DANGLING),
        ({"identifier": {"system": NHS, "value": "9990000026"}}, DANGLING),
        ({"reference": "#nobody"}, NOBODY),
        ({"reference": "p"}, NOBODY),
        ({"reference": "Patient?name=Smith"}, NOBODY),
        ({"display": "A person"}, NOBODY),
        ({}, NOBODY),
        (None, NOBODY),
    ],
)
def test_a_reference_that_finds_nobody_is_rejected_with_its_place(stage_fhir, subject, reason):
    staged = stage_fhir([patient(), condition(subject)])
    assert staged.rows("events", "code") == []
    (finding,) = [each for each in staged.findings if each.severity is Severity.REJECTED]
    assert (finding.reason, finding.file, finding.line, finding.table) == (reason, "export.ndjson", 2, "events")


def test_urns_are_their_bundle_s_own(stage_fhir):
    def of(nhs):
        person = patient(nhs=nhs)
        del person["id"]
        return bundle(("urn:uuid:1", person), ("urn:uuid:2", condition({"reference": "urn:uuid:1"})))

    staged = stage_fhir({"a.json": of("9990000018"), "b.json": of("9990000026")})
    numbers = dict(staged.rows("patients", "local_id", "nhs_number"))
    found = [(numbers[local], file) for local, file in staged.rows("events", "local_id", "file")]
    assert found == [("9990000018", "a.json"), ("9990000026", "b.json")]


def test_a_urn_of_another_bundle_is_found_when_only_one_has_it(stage_fhir):
    one = bundle(("urn:uuid:1", patient()))
    two = bundle(("urn:uuid:2", condition({"reference": "urn:uuid:1"})))
    assert stage_fhir({"a.json": two, "b.json": one}).rows("events", "local_id") == [("p",)]


def test_two_servers_may_use_one_id_for_two_people(stage_fhir):
    def of(server, nhs):
        base = f"https://{server}.example.org/fhir/"
        return bundle(
            (base + "Patient/1", patient("1", nhs)), (base + "Condition/1", condition({"reference": "Patient/1"}))
        )

    staged = stage_fhir({"a.json": of("a", "9990000018"), "b.json": of("b", "9990000026")})
    numbers = dict(staged.rows("patients", "local_id", "nhs_number"))
    assert len(numbers) == 2
    found = [(numbers[local], file) for local, file in staged.rows("events", "local_id", "file")]
    assert found == [("9990000018", "a.json"), ("9990000026", "b.json")]
    loose = stage_fhir(
        {
            "a.json": of("a", "9990000018"),
            "b.json": of("b", "9990000026"),
            "c.ndjson": [condition({"reference": "Patient/1"})],
        }
    )
    assert loose.reasons() == [AMBIGUOUS]


def test_an_identifier_of_two_people_finds_neither_unless_it_is_the_nhs_number(stage_fhir):
    shared = [{"system": "https://example.org/h", "value": "H1"}, {"system": NHS, "value": "9990000018"}]
    people = [patient("p", identifier=shared), patient("q", identifier=shared)]
    by_hospital = condition({"identifier": shared[0]})
    by_nhs = condition({"identifier": shared[1]})
    staged = stage_fhir([*people, by_hospital, by_nhs])
    assert staged.reasons() == [AMBIGUOUS]
    assert staged.rows("events", "local_id") == [("p",)]


def at(when):
    return {"meta": {"lastUpdated": when}}


def test_the_newest_version_counts_wherever_it_stands(stage_fhir):
    old = condition({"reference": "Patient/p"}, id="c", recordedDate="2020-01-01", **at("2024-01-01T00:30:00+01:00"))
    new = condition({"reference": "Patient/p"}, id="c", recordedDate="2021-01-01", **at("2024-01-01T00:00:00Z"))
    for given in ([old, new], [new, old]):
        staged = stage_fhir([patient(), *given])
        assert [day.year for (day,) in staged.rows("events", "date")] == [2021]
        assert "given again in a newer version: 1" in staged.reasons(Severity.WARNING)


def test_without_dates_the_last_counts(stage_fhir):
    first = condition({"reference": "Patient/p"}, id="c", recordedDate="2020-01-01")
    last = condition({"reference": "Patient/p"}, id="c", recordedDate="2021-01-01")
    staged = stage_fhir({"a.ndjson": [patient(), first], "b.ndjson": [last]})
    assert [day.year for (day,) in staged.rows("events", "date")] == [2021]


def test_an_older_version_does_not_outlive_a_correction(stage_fhir):
    error = {"verificationStatus": {"coding": [{"code": "entered-in-error"}]}}
    old = condition({"reference": "Patient/p"}, id="c", **at("2024-01-01T00:00:00Z"))
    for new in (old | error | at("2024-02-01T00:00:00Z"), old | {"code": {}} | at("2024-02-01T00:00:00Z")):
        assert stage_fhir([patient(), new, old]).rows("events", "code") == []


def test_the_newest_patient_counts(stage_fhir):
    old = patient(birthDate="1950-01-02", **at("2024-01-01T00:00:00Z"))
    new = patient(birthDate="1951-01-02", **at("2024-02-01T00:00:00Z"))
    staged = stage_fhir([new, old, condition({"reference": "Patient/p"})])
    assert staged.rows("patients", "date_of_birth") == [("1951-01-02",)]
    assert len(staged.rows("registrations", "practice")) == 1
    assert len(staged.rows("events", "code")) == 1


def test_a_corrected_nhs_number_is_told(stage_fhir):
    old = patient(nhs="9990000018", **at("2024-01-01T00:00:00Z"))
    new = patient(nhs="9990000026", **at("2024-02-01T00:00:00Z"))
    staged = stage_fhir([new, old])
    assert staged.rows("patients", "nhs_number") == [("9990000026",)]
    assert "given again with another NHS number: the newest was taken" in staged.reasons(Severity.WARNING)


def test_one_id_for_two_people_is_refused(stage_fhir):
    with pytest.raises(Unreadable) as refused:
        stage_fhir({"a.ndjson": [patient(nhs="9990000018")], "b.ndjson": [patient("x"), patient(nhs="9990000026")]})
    assert str(refused.value).startswith(
        "b.ndjson, line 2: one patient id stands for two NHS numbers, and nothing says which is newer. Give every"
    )


def test_any_order_of_resources(stage_fhir):
    draw = random.Random(7)  # noqa: S311 - an order, not a secret
    given = [patient(str(number), f"99900000{number}") for number in range(10, 30)]
    given += [condition({"reference": f"Patient/{10 + number % 20}"}, id=f"c{number}") for number in range(100)]
    draw.shuffle(given)
    staged = stage_fhir({f"{part}.ndjson": given[part::7] for part in range(7)})
    assert len(staged.rows("events", "local_id")) == 100
    assert staged.reasons() == []
