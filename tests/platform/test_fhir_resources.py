"""What becomes of each clinical resource: which never count, which day, which code, which value."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from cohortium_plugins.importing import Severity

SNOMED, DMD = "http://snomed.info/sct", "https://dmd.nhs.uk"
CORE = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-"
SUBJECT = {"reference": "Patient/p"}
DAY = date(2024, 5, 6)
PATIENT = {"resourceType": "Patient", "id": "p", "birthDate": "1950-01-02"}


def concept(*codes, system=SNOMED):
    return {"coding": [{"system": system, "code": str(code)} for code in codes]}


def condition(**elements):
    return {
        "resourceType": "Condition",
        "subject": SUBJECT,
        "code": concept(44054006),
        "recordedDate": "2024-05-06",
    } | elements


def observation(**elements):
    made = {"resourceType": "Observation", "status": "final", "subject": SUBJECT, "code": concept(27113001)}
    return made | {"effectiveDateTime": "2024-05-06"} | elements


def procedure(**elements):
    made = {"resourceType": "Procedure", "status": "completed", "subject": SUBJECT, "code": concept(401123009)}
    return made | {"performedDateTime": "2024-05-06"} | elements


def immunization(**elements):
    made = {"resourceType": "Immunization", "status": "completed", "patient": SUBJECT}
    return made | {"occurrenceDateTime": "2024-05-06", "vaccineCode": concept(40085011000001101, system=DMD)} | elements


def request(**elements):
    made = {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": SUBJECT}
    return made | {"authoredOn": "2024-05-06", "medicationCodeableConcept": concept(319740004, system=DMD)} | elements


def statement(**elements):
    made = {"resourceType": "MedicationStatement", "status": "active", "subject": SUBJECT}
    return made | {"effectiveDateTime": "2024-05-06", "medicationCodeableConcept": concept(319740004)} | elements


def encounter(**elements):
    made = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, "subject": SUBJECT}
    return made | {"period": {"start": "2024-05-06"}} | elements


@pytest.fixture
def events(stage_fhir):
    """Stage resources of one patient: day, code and value of their events, and what was rejected."""

    def stage(*resources):
        staged = stage_fhir([PATIENT, *resources])
        return staged.rows("events", "date", "code", "value"), staged.reasons()

    return stage


def without(resource, *elements):
    return {name: value for name, value in resource.items() if name not in elements}


NEVER = [
    (condition(verificationStatus=concept("refuted")), "a refuted diagnosis"),
    (condition(verificationStatus=concept("entered-in-error")), "entered in error"),
    (observation(status="entered-in-error"), "entered in error"),
    (observation(status="cancelled"), "cancelled or a draft"),
    (observation(status="registered"), "registered without a result"),
    (observation(valueBoolean=False), "stated to be false or absent"),
    (observation(valueCodeableConcept=concept(2667000)), "stated to be false or absent"),
    (procedure(status="not-done"), "stated as not done"),
    (procedure(status="entered-in-error"), "entered in error"),
    (procedure(status="preparation"), "planned and not begun"),
    (immunization(status="not-done"), "stated as not done"),
    (immunization(status="entered-in-error"), "entered in error"),
    (request(status="entered-in-error"), "entered in error"),
    (request(status="cancelled"), "cancelled or a draft"),
    (request(status="draft"), "cancelled or a draft"),
    (request(intent="proposal"), "neither an order nor a plan"),
    (request(intent="option"), "neither an order nor a plan"),
    (request(doNotPerform=True), "stated as not done"),
    (statement(status="entered-in-error"), "entered in error"),
    (statement(status="not-taken"), "stated as not taken"),
    (statement(status="intended"), "planned and not begun"),
    (encounter(status="cancelled"), "cancelled or a draft"),
    (encounter(status="entered-in-error"), "entered in error"),
    (encounter(status="planned"), "planned and not begun"),
]


def test_what_did_not_happen_never_becomes_a_row(stage_fhir):
    staged = stage_fhir([PATIENT, *(resource for resource, _ in NEVER)])
    assert [staged.rows(table, "date") for table in ("events", "medications", "consultations")] == [[], [], []]
    assert staged.reasons() == []
    expected = Counter(f"{words}, of type {resource['resourceType']}" for resource, words in NEVER)
    told = staged.reasons(Severity.WARNING)
    assert {f"{words}: {count}" for words, count in expected.items()} <= set(told)


KEPT = [
    condition(verificationStatus=concept("confirmed")),
    condition(clinicalStatus=concept("resolved")),
    observation(status="preliminary"),
    observation(status="unknown"),
    observation(valueBoolean=True),
    procedure(status="in-progress"),
]


def test_other_statuses_count(events):
    rows, rejected = events(*KEPT)
    assert [row[0] for row in rows] == [DAY] * len(KEPT)
    assert rejected == []


@pytest.mark.parametrize("status", ["unconfirmed", "provisional", "differential"])
def test_an_unconfirmed_diagnosis_is_kept_and_told(stage_fhir, status):
    staged = stage_fhir([PATIENT, condition(verificationStatus=concept(status))])
    assert staged.rows("events", "code") == [(44054006,)]
    assert "its diagnosis is not confirmed" in staged.reasons(Severity.WARNING)


OTHER_DAY = "2019-01-02"
DATED = [
    condition(onsetDateTime="2024-05-06", recordedDate=OTHER_DAY),
    condition(onsetPeriod={"start": "2024-05-06"}, recordedDate=OTHER_DAY),
    condition(onsetString="as a child"),
    condition(onsetAge={"value": 5}),
    condition(onsetDateTime="unknown"),
    without(condition(extension=[{
        "url": "http://hl7.org/fhir/StructureDefinition/condition-assertedDate", "valueDateTime": "2024-05-06"}]),
        "recordedDate"),
    without(observation(effectivePeriod={"start": "2024-05-06"}), "effectiveDateTime"),
    without(observation(effectivePeriod={"end": "2024-05-06"}), "effectiveDateTime"),
    without(observation(effectiveInstant="2024-05-05T23:30:00Z"), "effectiveDateTime"),
    without(observation(effectiveTiming={"event": ["2024-05-06"]}), "effectiveDateTime"),
    without(observation(issued="2024-05-06T01:00:00+01:00"), "effectiveDateTime"),
    without(procedure(performedPeriod={"start": "2024-05-06", "end": OTHER_DAY}), "performedDateTime"),
    without(immunization(occurrenceString="last year", recorded="2024-05-06"), "occurrenceDateTime"),
]  # fmt: skip


def test_the_day_of_an_event(events):
    rows, rejected = events(*DATED)
    assert {row[0] for row in rows} == {DAY}
    assert len(rows) == len(DATED)
    assert rejected == []


UNDATED = [
    without(condition(), "recordedDate"),
    without(observation(), "effectiveDateTime"),
    without(procedure(performedString="long ago"), "performedDateTime"),
    without(immunization(), "occurrenceDateTime"),
    without(request(), "authoredOn"),
    without(statement(), "effectiveDateTime"),
    without(encounter(), "period"),
]


def test_without_a_day_a_row_is_rejected(stage_fhir):
    staged = stage_fhir([PATIENT, *UNDATED])
    rejected = [each for each in staged.findings if each.severity is Severity.REJECTED]
    assert {each.reason for each in rejected} == {"no date"}
    assert {(each.file, each.line) for each in rejected} == {
        ("export.ndjson", 2 + number) for number in range(len(UNDATED))
    }


@pytest.mark.parametrize("resource", [condition(recordedDate="6 May"), condition(recordedDate="2023-02-30")])
def test_a_day_that_the_calendar_does_not_have_is_rejected(events, resource):
    assert events(resource) == ([], ["its date is not a FHIR date"])


@pytest.mark.parametrize(
    "resource",
    [condition(code={"text": "words"}), without(condition(), "code"), observation(code=concept("1234-5", system="http://loinc.org")),
     procedure(code=concept("X", system="urn:local")), request(medicationCodeableConcept={"text": "words"}),
     immunization(vaccineCode=concept("140", system="http://hl7.org/fhir/sid/cvx"))],
)  # fmt: skip
def test_without_a_snomed_ct_coding_a_row_is_rejected(stage_fhir, resource):
    staged = stage_fhir([PATIENT, resource])
    assert staged.reasons() == ["no SNOMED CT coding"]


@pytest.mark.parametrize(
    ("extension", "episode"),
    [
        ({"url": CORE + "ConditionEpisode", "valueCode": "new"}, "new"),
        ({"url": CORE + "ConditionEpisode", "valueCodeableConcept": concept("first", system="x")}, "first"),
        ({"url": CORE + "CodingSCTDescId", "valueCode": "new"}, None),
    ],
)
def test_episode_type(stage_fhir, extension, episode):
    assert stage_fhir([PATIENT, condition(extension=[extension])]).rows("events", "episode") == [(episode,)]


VALUES = [
    ({"valueQuantity": {"value": 80.5, "unit": "kg"}}, [(27113001, 80.5, "kg")]),
    ({"valueQuantity": {"value": 80, "code": "kg", "comparator": "<"}}, [(27113001, 80.0, "kg")]),
    ({"valueInteger": 7}, [(27113001, 7.0, None)]),
    ({"valueString": "7.5"}, [(27113001, 7.5, None)]),
    ({"valueString": "about seven"}, [(27113001, None, None)]),
    ({"valueCodeableConcept": concept(8517006)}, [(8517006, None, None), (27113001, None, None)]),
    ({"valueCodeableConcept": {"text": "words"}}, [(27113001, None, None)]),
    ({"valueCodeableConcept": concept(260385009)}, [(27113001, None, None), (260385009, None, None)]),
    ({"valueRange": {"low": {"value": 1}}}, [(27113001, None, None)]),
    ({}, [(27113001, None, None)]),
]


def test_values_of_an_observation(stage_fhir):
    staged = stage_fhir([PATIENT, *(observation(**value) for value, _ in VALUES)])
    assert staged.rows("events", "code", "value", "unit") == [row for _, rows in VALUES for row in rows]


def test_an_observation_whose_value_is_absent_is_rejected(events):
    absent = observation(dataAbsentReason=concept("asked-declined", system="x"))
    assert events(absent) == ([], ["its value is stated to be absent"])


def test_components_are_events_of_their_own(events):
    pressure = observation(
        code=concept(75367002),
        dataAbsentReason=concept("not-applicable", system="x"),
        component=[
            {"code": concept(271649006), "valueQuantity": {"value": 130}},
            {"code": concept(271650006), "dataAbsentReason": concept("error", system="x")},
            {"code": concept(8480, system="http://loinc.org"), "valueQuantity": {"value": 1}},
            {"code": concept(229819007), "valueCodeableConcept": concept(8517006)},
        ],
    )
    rows, rejected = events(pressure)
    assert rows == [(DAY, code, value) for code, value in [
        (8517006, None), (75367002, None), (229819007, None), (271649006, 130.0)]]  # fmt: skip
    assert sorted(rejected) == ["its value is stated to be absent", "no SNOMED CT coding"]


FLU, VACCINE = 955651000000100, 40085011000001101
GIVEN = {"url": CORE + "VaccinationProcedure", "valueCodeableConcept": concept(FLU)}


@pytest.mark.parametrize(
    ("elements", "events_", "medications"),
    [
        ({"extension": [GIVEN]}, [FLU, VACCINE], [VACCINE]),
        ({}, [VACCINE], [VACCINE]),
        ({"extension": [GIVEN], "vaccineCode": {"text": "words"}}, [FLU], []),
    ],
)
def test_a_vaccination_is_found_by_procedure_and_by_product(stage_fhir, elements, events_, medications):
    staged = stage_fhir([PATIENT, immunization(**elements)])
    assert [code for (code,) in staged.rows("events", "code")] == events_
    assert [code for (code,) in staged.rows("medications", "code")] == medications
    assert staged.reasons() == []


MEDICATION = {"resourceType": "Medication", "id": "m", "code": concept(319740004, system=DMD)}
BY_REFERENCE = without(request(), "medicationCodeableConcept")


@pytest.mark.parametrize(
    ("resources", "codes", "rejected"),
    [
        ([request()], [319740004], []),
        ([request(intent="plan")], [319740004], []),
        ([BY_REFERENCE | {"medicationReference": {"reference": "Medication/m"}}, MEDICATION], [319740004], []),
        ([BY_REFERENCE | {"medicationReference": {"reference": "#m"}, "contained": [MEDICATION]}], [319740004], []),
        ([BY_REFERENCE | {"medicationReference": {"reference": "Medication/m"}}], [],
         ["dangling reference: the medication it names is not in the delivery"]),
        ([BY_REFERENCE | {"medicationReference": {"reference": "#x"}}], [],
         ["dangling reference: the medication it names is not in the delivery"]),
        ([BY_REFERENCE | {"medicationReference": {"reference": "Medication/m"}}, without(MEDICATION, "code")], [],
         ["no SNOMED CT coding"]),
        ([BY_REFERENCE | {"medicationReference": {"display": "words"}}], [], ["no SNOMED CT coding"]),
        ([BY_REFERENCE], [], ["no SNOMED CT coding"]),
    ],
)  # fmt: skip
def test_where_a_medicine_s_code_comes_from(stage_fhir, resources, codes, rejected):
    staged = stage_fhir([PATIENT, *resources])
    assert [code for (code,) in staged.rows("medications", "code")] == codes
    assert staged.reasons() == rejected


def test_a_statement_counts_when_it_began_and_when_last_issued(stage_fhir):
    issued = {"url": CORE + "MedicationStatementLastIssueDate", "valueDateTime": "2024-12-02"}
    began = without(statement(effectivePeriod={"start": "2019-03"}), "effectiveDateTime")
    assert stage_fhir([PATIENT, began]).rows("medications", "date") == [(date(2019, 3, 1),)]
    assert stage_fhir([PATIENT, began | {"extension": [issued]}]).rows("medications", "date") == [
        (date(2019, 3, 1),),
        (date(2024, 12, 2),),
    ]
    never = without(statement(extension=[issued]), "effectiveDateTime")
    assert stage_fhir([PATIENT, never]).rows("medications", "date") == [(date(2024, 12, 2),)]


KINDS = [
    ({}, "face-to-face"),
    ({"class": {"code": "VR"}}, "remote"),
    ({"class": {"code": "VR"}, "type": [{"text": "Video consultation"}]}, "video"),
    ({"type": [{"coding": [{"system": SNOMED, "code": "185317003", "display": "Telephone encounter"}]}]}, "telephone"),
    ({"type": [{"text": "eConsult"}]}, "online"),
    ({"class": {"code": "HH"}}, "home-visit"),
    ({"class": {"code": "EMER"}, "type": [{"text": "telephone"}]}, "emergency"),
    ({"class": {"code": "IMP"}}, "inpatient"),
    ({"class": {"code": "local"}}, "other"),
    ({"class": None}, "other"),
    ({"class": None, "type": [{"text": "Telephone call to patient"}]}, "telephone"),
]


def test_the_kind_of_a_consultation(stage_fhir):
    staged = stage_fhir([PATIENT, *(encounter(**elements) for elements, _ in KINDS)])
    assert staged.rows("consultations", "date", "kind") == [(DAY, kind) for _, kind in KINDS]


@pytest.mark.parametrize(
    ("told_twice", "kept"),
    [
        ([condition(), observation(code=concept(44054006))], [(44054006, None, None)]),
        (
            [condition(extension=[{"url": CORE + "ConditionEpisode", "valueCode": "new"}]),
             observation(code=concept(44054006), valueInteger=5)],
            [(44054006, 5.0, "new")],
        ),
        ([condition(), observation(code=concept(44054006), effectiveDateTime="2024-05-07")],
         [(44054006, None, None), (44054006, None, None)]),
        ([condition(), observation(code=concept(73211009))], [(44054006, None, None), (73211009, None, None)]),
    ],
)  # fmt: skip
def test_a_fact_told_as_problem_and_as_observation_counts_once(stage_fhir, told_twice, kept):
    for given in (told_twice, told_twice[::-1]):
        staged = stage_fhir([PATIENT, *given])
        assert sorted(staged.rows("events", "code", "value", "episode")) == kept
        words = "the same fact was given as a problem and as an observation, and is kept once"
        assert (words in staged.reasons(Severity.WARNING)) == (len(kept) == 1)


def test_a_resource_that_is_not_shaped_as_r4_is_rejected_alone(events):
    crooked = [
        condition(code="words"),
        observation(component=7),
        procedure(code={"coding": {"a": 1}}),
        condition(subject=[]),
    ]
    rows, rejected = events(*crooked, condition())
    assert rows == [(DAY, 44054006, None)]
    assert rejected == ["it does not have the shape of FHIR R4"] * 3 + ["it names no patient"]
