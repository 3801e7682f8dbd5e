"""Builds the report of a job: an unverified Comprehensive 3D or Comprehensive SR, TID 1500 (PS3.3 A.35.13, C.17)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode

from orchestrator.dicom.objects import concepts as own
from orchestrator.dicom.objects import provenance
from orchestrator.dicom.objects.identity import CHARACTER_SET
from orchestrator.dicom.objects.provenance import Clock, DerivedUids
from orchestrator.dicom.objects.references import evidence, reference, reference_to, restore_classes
from orchestrator.dicom.result.grid_result import GridResult
from orchestrator.dicom.seg.segmentation import tracking_id
from orchestrator.dicom.sr.image_library import library_headers
from orchestrator.dicom.sr.measurement_groups import Group, placed_groups, series_groups, unplaced_groups
from orchestrator.dicom.sr.text_report import count_of_images, map_items, text_report, unverified_statement
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
    grid_results: Sequence[GridResult],
    *,
    model: ModelDescription,
    clock: Clock,
    uids: DerivedUids,
    comprehensive_3d: bool = True,
) -> Dataset:
    """Return the SR of a job, complete except for check and storage.

    With at least one place it is an Imaging Measurement Report (126000, DCM; TID 1500). Otherwise the root has a
    local title, because viewers show a measurement report without 2-D coordinates as a black field.
    """
    document_class = sr.Comprehensive3DSR if comprehensive_3d else sr.ComprehensiveSR
    source = grid_results[0].source
    root = _content(grid_results, model, uids)
    document: Dataset = document_class(
        evidence=evidence(_references(grid_results)),
        content=_without_children(root),
        series_instance_uid=uids.of("SR", "series"),
        series_number=provenance.series_number(model, "SR"),
        sop_instance_uid=uids.of("SR"),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        specific_character_set=CHARACTER_SET,
        series_description=provenance.series_description(model, "SR", source.grid.count.views),
    )
    frames = [frame for each in grid_results for frame in each.source.grid.frames]
    restore_classes(document, {frame.sop_uid: frame.sop_class for frame in frames})
    for module in (root, source.modules, provenance.equipment(model)):
        document.update(module)
    document.ContentQualification = provenance.qualification(model, source.header.get("ContentQualification") or "")
    document.ContributingEquipmentSequence = [provenance.contribution(model, clock)]
    name_coding_schemes(document)
    provenance.stamp(document, clock, uids, "SR")
    return document


def algorithm(grid_results: Iterable[GridResult], model: ModelDescription) -> sr.AlgorithmIdentification:
    """Return the algorithm identification (TID 4019) with parameters, digest of the weights and notes of the run."""
    parameters = {**model.parameters, "weights_sha256": model.digest}
    for grid_result in grid_results:
        parameters |= {tracking_id(grid_result.source, key): note for key, note in grid_result.result.notes.items()}
    return sr.AlgorithmIdentification(
        name=provenance.clean_text(model.name),
        version=provenance.clean_text(model.version) or "unknown",
        parameters=[f"{key} = {value}" for key, value in parameters.items() if value],
        family=codes.DCM.ArtificialIntelligence,
        manufacturer=provenance.clean_text(model.manufacturer) or None,
    )


def name_coding_schemes(document: Dataset) -> None:
    """Add Coding Scheme Identification (PS3.3 C.12.1) for the local schemes that a document uses."""
    schemes: set[str] = set()
    document.walk(lambda _, each: schemes.add(each.value) if each.keyword == "CodingSchemeDesignator" else None)
    local_schemes = sorted(scheme for scheme in schemes if scheme.startswith("99"))
    if local_schemes:
        document.CodingSchemeIdentificationSequence = [_coding_scheme(scheme) for scheme in local_schemes]


def _coding_scheme(designator: str) -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator = designator
    if designator == provenance.OWN_SCHEME:
        item.CodingSchemeName = "Concepts of radiology-orchestrator"
        item.CodingSchemeResponsibleOrganization = provenance.HOST
    return item


def _content(grid_results: Sequence[GridResult], model: ModelDescription, uids: DerivedUids) -> Dataset:
    context = sr.ObservationContext(observer_device_context=observer(model))
    identification = algorithm(grid_results, model)
    if not any(grid_result.has_place for grid_result in grid_results):
        return text_report(grid_results, context, identification)
    return _measurement_report(grid_results, context, identification, uids)


def _without_children(root: Dataset) -> Dataset:
    """Return the root without its content: highdicom would spend most of its time to copy and parse it again."""
    copy = Dataset()
    copy.update({element.tag: element for element in root if element.keyword != "ContentSequence"})
    copy.ContentSequence = []
    return copy


def _measurement_report(
    grid_results: Sequence[GridResult],
    context: sr.ObservationContext,
    identification: sr.AlgorithmIdentification,
    uids: DerivedUids,
) -> Dataset:
    """Return the root of TID 1500: groups with a place under Imaging Measurements, the others beside it.

    Viewers draw Imaging Measurements. OHIF draws none of them if one has no place.
    """
    placed_items = _most_urgent_first(placed_groups(each, identification, uids) for each in grid_results)
    series_items = [group for grid_result in grid_results for group in series_groups(grid_result, identification, uids)]
    unplaced_items = _most_urgent_first(unplaced_groups(each, identification, uids) for each in grid_results)
    root: Dataset = sr.MeasurementReport(
        observation_context=context,
        procedure_reported=_PROCEDURES.get(str(grid_results[0].source.header.get("Modality")), _ANY_PROCEDURE),
        imaging_measurements=placed_items,
        title=codes.cid7021.ImagingMeasurementReport,
        referenced_images=library_headers(grid_results, [*placed_items, *unplaced_items]),
    )[0]
    first_container = next(at for at, item in enumerate(root.ContentSequence) if item.ValueType == "CONTAINER")
    root.ContentSequence.insert(first_container, unverified_statement())
    root.ContentSequence.extend(_container(codes.DCM.DerivedImagingMeasurements, series_items))
    root.ContentSequence.extend(_container(own.QUALITATIVE_EVALUATIONS, unplaced_items))
    root.ContentSequence.append(count_of_images(grid_results))
    for grid_result in grid_results:
        if grid_result.empty_labels:
            text = f"Looked for and not found: {', '.join(grid_result.empty_labels)}"
            root.ContentSequence.append(sr.TextContentItem(codes.DCM.Comment, text, sr.RelationshipTypeValues.CONTAINS))
        root.ContentSequence.extend(map_items(grid_result))
    return root


def _most_urgent_first(groups: Iterable[Iterable[tuple[int, Group]]]) -> list[Group]:
    return [group for _, group in sorted(chain.from_iterable(groups), key=itemgetter(0))]


def _container(name: PydicomCode, groups: Sequence[Group]) -> Iterator[sr.ContainerContentItem]:
    """Yield a container with these groups, nothing without groups; TID 1500 is extensible."""
    if groups:
        part = sr.ContainerContentItem(name=name, relationship_type=sr.RelationshipTypeValues.CONTAINS)
        part.ContentSequence = sr.ContentSequence([item for group in groups for item in group])
        yield part


def observer(model: ModelDescription) -> sr.ObserverContext:
    """Return the device observer (TID 1004); its UID is the same for all jobs of a model version."""
    equipment = provenance.equipment(model)
    return sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=provenance.device_uid(model),
            name=equipment.ManufacturerModelName,
            manufacturer_name=equipment.Manufacturer,
            model_name=equipment.ManufacturerModelName,
            serial_number=equipment.DeviceSerialNumber,
        ),
    )


def _references(grid_results: Iterable[GridResult]) -> Iterator[Dataset]:
    """Yield a reference to every image that the model read, every SEG and every map."""
    for grid_result in grid_results:
        source, study_uid = grid_result.source, grid_result.source.modules.StudyInstanceUID
        for image in source.instances:
            yield reference(study_uid, source.series_uid, image.sop_class, image.sop_uid)
        if grid_result.seg is not None:
            yield reference_to(grid_result.seg)
        yield from map(reference_to, grid_result.maps)
