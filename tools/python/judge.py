"""Holds a document against its official JSON schema, and reads it back; exits with 1 and the reasons where it fails.

  judge.py spdx SCHEMA FILE        SPDX 2.3, by the schema in that file
  judge.py cyclonedx FILE          CycloneDX 1.6, by the schema that cyclonedx-python-lib ships, then read into its model
  judge.py sarif SCHEMA FILE       SARIF 2.1.0, by the schema in that file
"""
import json
import sys


def spdx(schema, file):
    from jsonschema import Draft7Validator

    with open(schema) as opened:
        validator = Draft7Validator(json.load(opened))
    with open(file) as opened:
        document = json.load(opened)
    faults = [f"{list(fault.absolute_path)}: {fault.message}" for fault in validator.iter_errors(document)]
    return faults, len(document["packages"])


def cyclonedx(file):
    from cyclonedx.model.bom import Bom
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    with open(file) as opened:
        text = opened.read()
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault:
        return [str(fault)], 0
    bom = Bom.from_json(json.loads(text))
    bom.validate()
    return [], len(bom.components)


def sarif(schema, file):
    from jsonschema import Draft4Validator, FormatChecker

    with open(schema) as opened:
        validator = Draft4Validator(json.load(opened), format_checker=FormatChecker())
    with open(file) as opened:
        document = json.load(opened)
    faults = [f"{list(fault.absolute_path)}: {fault.message}" for fault in validator.iter_errors(document)]
    return faults, sum(len(run["results"]) for run in document["runs"])


faults, count = {"spdx": spdx, "cyclonedx": cyclonedx, "sarif": sarif}[sys.argv[1]](*sys.argv[2:])
for fault in faults[:20]:
    print(fault[:2000])
print(f"{count} {'results' if sys.argv[1] == 'sarif' else 'packages'}")
sys.exit(1 if faults else 0)
