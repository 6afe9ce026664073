"""Reads structured reports with highdicom and prints what it finds, as JSON by file name.

    python read_sr.py FOLDER
"""
import json
import pathlib
import sys
import warnings

import highdicom.sr
import pydicom

warnings.simplefilter("error")


def read(path):
    document = highdicom.sr.Comprehensive3DSR.from_dataset(pydicom.dcmread(path))
    report = document.content
    (observer,) = report.get_observer_contexts()
    (group,) = report.get_image_measurement_groups()
    (image,) = group.source_images
    frames = image.referenced_frame_numbers
    evaluations = report[0].ContentSequence[-1]
    evidence = document.CurrentRequestedProcedureEvidenceSequence[0]
    return {
        "verification": document.VerificationFlag,
        "patient": [str(document.PatientName), document.PatientID],
        "study": [document.StudyInstanceUID, evidence.StudyInstanceUID],
        "observer": observer.observer_identifying_attributes.name,
        "finding": group.finding_type and group.finding_type.meaning,
        "scores": {found.name.meaning: float(found.value) for found in group.get_measurements()},
        "units": sorted({found.unit.value for found in group.get_measurements()}),
        "findings": {found.name.meaning: found.value.meaning for found in group.get_qualitative_evaluations()},
        "image": image.referenced_sop_instance_uid,
        "frames": None if frames is None else [int(frame) for frame in frames],
        "comments": [comment.TextValue for comment in evaluations.ContentSequence],
    }


print(json.dumps({path.stem: read(path) for path in sorted(pathlib.Path(sys.argv[1]).glob("*.dcm"))}))
