"""The SR of a job: Comprehensive 3D (or Comprehensive) SR, TID 1500, unverified (PS3.3 A.35.13, C.17)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode

from orchestrator.dicom.objects import concepts as own
from orchestrator.dicom.objects import provenance
from orchestrator.dicom.objects.identity import CHARACTER_SET
from orchestrator.dicom.objects.provenance import Clock, Uids
from orchestrator.dicom.objects.references import evidence, reference, reference_to
from orchestrator.dicom.result.grid_result import Answer
from orchestrator.dicom.seg.segmentation import tracking_id
from orchestrator.dicom.sr.image_library import library_headers
from orchestrator.dicom.sr.measurement_groups import Group, placed_groups, placeless_groups, series_groups
from orchestrator.dicom.sr.without_place import map_items, statement
from orchestrator.domain.model import ModelDescription

_PROCEDURES: dict[str, PydicomCode] = {
    "CT": codes.cid100.CTUnspecifiedBodyRegion,
    "MR": codes.cid100.MRIUnspecifiedBodyRegion,
    "PT": codes.cid100.PETUnspecifiedBodyRegion,
    "NM": codes.cid100.NMUnspecifiedBodyRegion,
    **dict.fromkeys(("CR", "DX", "RF"), codes.cid100.XRUnspecifiedBodyRegion),
}
_ANY_PROCEDURE: PydicomCode = codes.cid100.ImagingProcedure


def report(
    answers: Sequence[Answer], *, model: ModelDescription, clock: Clock, uids: Uids, comprehensive_3d: bool = True
) -> Dataset:
    """Return the SR of a job, complete but for being checked and stored.

    Findings with a place make an Imaging Measurement Report (126000, DCM; TID 1500); where none has one,
    the root has a local title, since a viewer shows such a report without 2-D coordinates as a black field.
    """
    write = sr.Comprehensive3DSR if comprehensive_3d else sr.ComprehensiveSR
    source = answers[0].source
    root = _content(answers, model, uids)
    document: Dataset = write(
        evidence=evidence(_references(answers)),
        content=_without_children(root),
        series_instance_uid=uids.of("SR", "series"),
        series_number=provenance.series_number(model, "SR"),
        sop_instance_uid=uids.of("SR"),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        specific_character_set=CHARACTER_SET,
        series_description=provenance.series_description(model, "SR"),
    )
    for module in (root, source.modules, provenance.equipment(model)):
        document.update(module)
    document.ContentQualification = provenance.qualification(model, source.header.get("ContentQualification") or "")
    document.ContributingEquipmentSequence = [provenance.contribution(model, clock)]
    name_coding_schemes(document)
    provenance.stamp(document, clock, uids, "SR")
    return document


def algorithm(answers: Iterable[Answer], model: ModelDescription) -> sr.AlgorithmIdentification:
    """Return TID 4019: which algorithm, with its parameters, weights digest and the notes of the run."""
    parameters = {**model.parameters, "weights_sha256": model.digest}
    for answer in answers:
        parameters |= {tracking_id(answer.source, key): note for key, note in answer.result.notes.items()}
    return sr.AlgorithmIdentification(
        name=provenance.text_of(model.name),
        version=provenance.text_of(model.version) or "unknown",
        parameters=[f"{key} = {value}" for key, value in parameters.items() if value],
        family=codes.DCM.ArtificialIntelligence,
        manufacturer=provenance.text_of(model.manufacturer) or None,
    )


def name_coding_schemes(document: Dataset) -> None:
    """Add Coding Scheme Identification (PS3.3 C.12.1) for the local schemes that a document uses."""
    found: set[str] = set()
    document.walk(lambda _, element: found.add(element.value) if element.keyword == "CodingSchemeDesignator" else None)
    local = sorted(scheme for scheme in found if scheme.startswith("99"))
    if local:
        document.CodingSchemeIdentificationSequence = [_coding_scheme(scheme) for scheme in local]


def _coding_scheme(designator: str) -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator = designator
    if designator == provenance.OWN_SCHEME:
        item.CodingSchemeName = "Concepts of radiology-orchestrator"
        item.CodingSchemeResponsibleOrganization = provenance.HOST
    return item


def _content(answers: Sequence[Answer], model: ModelDescription, uids: Uids) -> Dataset:
    context = sr.ObservationContext(observer_device_context=observer(model))
    identification = algorithm(answers, model)
    if not any(answer.has_place for answer in answers):
        return statement(answers, context, identification)
    return _measurement_report(answers, context, identification, uids)


def _without_children(root: Dataset) -> Dataset:
    """Return the root alone: highdicom copies and parses again all it is given, which is most of its time."""
    bare = Dataset()
    bare.update({element.tag: element for element in root if element.keyword != "ContentSequence"})
    bare.ContentSequence = []
    return bare


def _measurement_report(
    answers: Sequence[Answer], context: sr.ObservationContext, identification: sr.AlgorithmIdentification, uids: Uids
) -> Dataset:
    """Return the root of TID 1500: what has a place under Imaging Measurements, the rest beside it.

    Viewers draw Imaging Measurements: OHIF stops at the first group there that has no place and draws none.
    """
    measured: list[Group] = [group for answer in answers for group in placed_groups(answer, identification, uids)]
    derived = [group for answer in answers for group in series_groups(answer, identification, uids)]
    evaluated = [group for answer in answers for group in placeless_groups(answer, identification, uids)]
    root: Dataset = sr.MeasurementReport(
        observation_context=context,
        procedure_reported=_procedure(answers[0].source.header),
        imaging_measurements=measured,
        title=codes.cid7021.ImagingMeasurementReport,
        referenced_images=library_headers(answers, [*measured, *evaluated]),
    )[0]
    root.ContentSequence.extend(_container(codes.DCM.DerivedImagingMeasurements, derived))
    root.ContentSequence.extend(_container(own.QUALITATIVE_EVALUATIONS, evaluated))
    for answer in answers:
        if answer.empty_labels:
            text = f"Looked for and not found: {', '.join(answer.empty_labels)}"
            root.ContentSequence.append(sr.TextContentItem(codes.DCM.Comment, text, sr.RelationshipTypeValues.CONTAINS))
        root.ContentSequence.extend(map_items(answer))
    return root


def _container(name: PydicomCode, held: Sequence[Group]) -> Iterator[sr.ContainerContentItem]:
    """Yield a part of TID 1500 that holds these groups, nothing where there are none; the template is extensible."""
    if held:
        part = sr.ContainerContentItem(name=name, relationship_type=sr.RelationshipTypeValues.CONTAINS)
        part.ContentSequence = sr.ContentSequence([item for group in held for item in group])
        yield part


def observer(model: ModelDescription) -> sr.ObserverContext:
    """Return the device that observed (TID 1004); its UID is stable for a version of the model."""
    made = provenance.equipment(model)
    return sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=provenance.device_uid(model),
            name=made.ManufacturerModelName,
            manufacturer_name=made.Manufacturer,
            model_name=made.ManufacturerModelName,
            serial_number=made.DeviceSerialNumber,
        ),
    )


def _procedure(header: Dataset) -> PydicomCode:
    return _PROCEDURES.get(str(header.get("Modality")), _ANY_PROCEDURE)


def _references(answers: Iterable[Answer]) -> Iterator[Dataset]:
    """Yield every image that was read, every SEG and every map."""
    for answer in answers:
        source, study_uid = answer.source, answer.source.modules.StudyInstanceUID
        for image in source.instances:
            yield reference(study_uid, source.series_uid, image.sop_class, image.sop_uid)
        if answer.seg is not None:
            yield reference_to(answer.seg)
        yield from map(reference_to, answer.maps)
