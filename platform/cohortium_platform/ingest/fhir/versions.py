"""Which FHIR this is: R4 (4.0 or 4.3) is read, every other release is refused by what only it has.

Here: the marks of DSTU2, STU3 and R5 on resources, and the names of R4's resource types. Not here: what is read from a
resource. What a mark proves was taken from the published resource definitions of the releases.
"""

from __future__ import annotations

from functools import lru_cache

from cohortium_platform.ingest.fhir.values import Json

__all__ = ["ADVICE", "R4_TYPES", "OtherRelease", "check_release"]

ADVICE = {
    "DSTU2": "Ask the sender for an FHIR R4 export.",
    "STU3": "Ask the sender for an FHIR R4 (UK Core) export; CareConnect and GP Connect STU3 records are not read.",
    "R5": "Ask the sender for an FHIR R4 export.",
}


class OtherRelease(Exception):  # noqa: N818 - caught where file and line are known, and turned into `Unreadable`
    """A resource is of another FHIR release."""

    def __init__(self, release: str) -> None:
        self.release = release
        super().__init__(f"FHIR {release}, not R4")


_ELEMENTS: dict[str, dict[str, tuple[str, ...]]] = {
    "Patient": {"STU3": ("animal",), "DSTU2": ("careProvider",)},
    "Condition": {
        "STU3": ("assertedDate", "context"),
        "DSTU2": ("dateRecorded", "patient", "notes"),
        "R5": ("participant",),
    },
    "Observation": {
        "STU3": ("context", "comment", "related"),
        "DSTU2": ("comments",),
        "R5": ("triggeredBy", "bodyStructure", "instantiatesCanonical", "instantiatesReference"),
    },
    "Procedure": {
        "STU3": ("notDone", "notDoneReason", "context", "definition"),
        "DSTU2": ("notPerformed", "reasonNotPerformed"),
        "R5": ("occurrenceDateTime", "occurrencePeriod", "occurrenceString", "reportedBoolean", "reportedReference"),
    },
    "Immunization": {
        "STU3": ("notGiven", "explanation", "vaccinationProtocol", "date", "practitioner"),
        "DSTU2": ("wasNotGiven",),
        "R5": ("administeredProduct", "informationSource"),
    },
    "MedicationRequest": {
        "STU3": ("context", "definition"),
        "R5": ("medication", "renderedDosageInstruction", "effectiveDosePeriod"),
    },
    "MedicationStatement": {
        "STU3": ("taken", "reasonNotTaken"),
        "DSTU2": ("wasNotTaken", "reasonForUseCodeableConcept"),
        "R5": ("medication", "adherence", "renderedDosageInstruction"),
    },
    "Medication": {"STU3": ("isBrand", "isOverTheCounter", "package"), "R5": ("totalVolume", "definition")},
    "Encounter": {
        "STU3": ("incomingReferral",),
        "DSTU2": ("patient", "indication"),
        "R5": ("actualPeriod", "admission", "plannedStartDate", "virtualService", "subjectStatus"),
    },
}
"""Elements that R4's resource of this type does not have and another release's has."""

_FOREIGN = {kind: frozenset().union(*releases.values()) for kind, releases in _ELEMENTS.items()}

_TYPES = {
    "DSTU2": ("DiagnosticOrder", "MedicationOrder", "DeviceUseRequest", "Order", "OrderResponse", "Conformance"),
    "STU3": (
        "ProcedureRequest", "ReferralRequest", "BodySite", "DataElement", "DeviceComponent", "EligibilityRequest",
        "EligibilityResponse", "ExpansionProfile", "ImagingManifest", "ProcessRequest", "ProcessResponse", "Sequence",
        "ServiceDefinition",
    ),
    "R5": (
        "ActorDefinition", "ArtifactAssessment", "BiologicallyDerivedProductDispense", "ConditionDefinition",
        "DeviceAssociation", "DeviceDispense", "DeviceUsage", "EncounterHistory", "FormularyItem", "GenomicStudy",
        "ImagingSelection", "InventoryItem", "InventoryReport", "Permission", "Requirements", "TestPlan", "Transport",
    ),
}  # fmt: skip
"""Resource types that R4 does not have and another release has."""

_OTHER_TYPES = {kind: release for release, kinds in _TYPES.items() for kind in kinds}

R4_TYPES = frozenset(
    """
    Account ActivityDefinition AdministrableProductDefinition AdverseEvent AllergyIntolerance Appointment
    AppointmentResponse AuditEvent Basic Binary BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement
    CarePlan CareTeam CatalogEntry ChargeItem ChargeItemDefinition Citation Claim ClaimResponse ClinicalImpression
    ClinicalUseDefinition CodeSystem Communication CommunicationRequest CompartmentDefinition Composition ConceptMap
    Condition Consent Contract Coverage CoverageEligibilityRequest CoverageEligibilityResponse DetectedIssue Device
    DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference
    EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest EnrollmentResponse EpisodeOfCare EventDefinition
    Evidence EvidenceReport EvidenceVariable ExampleScenario ExplanationOfBenefit FamilyMemberHistory Flag Goal
    GraphDefinition Group GuidanceResponse HealthcareService ImagingStudy Immunization ImmunizationEvaluation
    ImmunizationRecommendation ImplementationGuide Ingredient InsurancePlan Invoice Library Linkage List Location
    ManufacturedItemDefinition Measure MeasureReport Media Medication MedicationAdministration MedicationDispense
    MedicationKnowledge MedicationRequest MedicationStatement MedicinalProduct MedicinalProductAuthorization
    MedicinalProductContraindication MedicinalProductDefinition MedicinalProductIndication MedicinalProductIngredient
    MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged
    MedicinalProductPharmaceutical MedicinalProductUndesirableEffect MessageDefinition MessageHeader MolecularSequence
    NamingSystem NutritionOrder NutritionProduct Observation ObservationDefinition OperationDefinition
    OperationOutcome Organization OrganizationAffiliation PackagedProductDefinition Parameters Patient PaymentNotice
    PaymentReconciliation Person PlanDefinition Practitioner PractitionerRole Procedure Provenance Questionnaire
    QuestionnaireResponse RegulatedAuthorization RelatedPerson RequestGroup ResearchDefinition
    ResearchElementDefinition ResearchStudy ResearchSubject RiskAssessment RiskEvidenceSynthesis Schedule
    SearchParameter ServiceRequest Slot Specimen SpecimenDefinition StructureDefinition StructureMap Subscription
    SubscriptionStatus SubscriptionTopic Substance SubstanceDefinition SubstanceNucleicAcid SubstancePolymer
    SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification SupplyDelivery
    SupplyRequest Task TerminologyCapabilities TestReport TestScript ValueSet VerificationResult VisionPrescription
    """.split()  # noqa: SIM905 - a list of 160 names reads best as a paragraph
)
"""Resource types of R4 and R4B. Only these names are ever shown: any other text is the sender's own."""

_NOTHING: frozenset[str] = frozenset()


def check_release(kind: str, resource: Json) -> None:
    """Raise `OtherRelease` when the resource carries a mark of another release."""
    if not _FOREIGN.get(kind, _NOTHING).isdisjoint(resource):
        raise OtherRelease(
            next(release for release, marks in _ELEMENTS[kind].items() if not resource.keys().isdisjoint(marks))
        )
    meta = resource.get("meta")
    if meta is not None:
        for profile in meta.get("profile") or ():
            if release := _release_of_profile(profile):
                raise OtherRelease(release)
    if kind in _OTHER_TYPES:
        raise OtherRelease(_OTHER_TYPES[kind])
    if "fhirVersion" in resource and (release := _release_of_number(str(resource["fhirVersion"]))):
        raise OtherRelease(release)


@lru_cache(maxsize=4_096)
def _release_of_profile(profile: str) -> str | None:
    if "CareConnect" in profile or "/STU3/" in profile or "hl7.org/fhir/3.0/" in profile:
        return "STU3"
    if "/DSTU2/" in profile or "fhir.nhs.net/StructureDefinition/" in profile:
        return "DSTU2"
    if "hl7.org/fhir/5.0/" in profile:
        return "R5"
    return None


def _release_of_number(version: str) -> str | None:
    major = version.partition(".")[0]
    return {"0": "DSTU2", "1": "DSTU2", "3": "STU3", "5": "R5", "6": "R5"}.get(major)
