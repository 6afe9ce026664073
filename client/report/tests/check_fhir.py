"""Checks bundles with fhir.resources (R4B) and fhirclient (R4, which must give the same JSON back) and prints what they say, as
JSON by file name: a list of complaints, empty where there are none.

    python check_fhir.py FOLDER
"""
import json
import pathlib
import sys

import fhirclient.models.bundle
from fhir.resources.R4B.bundle import Bundle


def complaints(path):
    bundle = json.loads(path.read_text())
    found = []
    try:
        Bundle.model_validate(bundle)
    except Exception as error:
        found.append(f"fhir.resources: {error}")
    try:
        if fhirclient.models.bundle.Bundle(bundle, strict=True).as_json() != bundle:
            found.append("fhirclient: reads something else")
    except Exception as error:
        found.append(f"fhirclient: {error}")
    return found


print(json.dumps({path.stem: complaints(path) for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json"))}))
