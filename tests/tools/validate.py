#!/usr/bin/python3
# Holds JSON against tools/loopline/schema: `validate.py FOLDER` reads "NAME<tab>JSON" lines.
#
# Prints a line for each that is refused, and for each schema that is not strict: an object has to
# say additionalProperties false, and a property has to have a description. Exit status 1 if it
# printed any.
import json
import pathlib
import sys

import jsonschema


def strictness(name, schema, defs, at):
    """What a schema leaves open, as sentences."""
    if isinstance(schema, list):
        for index, one in enumerate(schema):
            yield from strictness(name, one, defs, f"{at}/{index}")
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        yield f"{name}: {at or '/'} does not refuse additional properties"
    if "additionalProperties" in schema:
        for key, value in schema.get("properties", {}).items():
            target = defs.get(value.get("$ref", "").rpartition("/")[2], {})
            if "description" not in value and "description" not in target:
                yield f"{name}: {at}/{key} has no description"
    for key, value in schema.items():
        yield from strictness(name, value, defs, f"{at}/{key}")


def main():
    folder = pathlib.Path(sys.argv[1])
    schemas = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    by_id = {schema["$id"]: schema for schema in schemas.values()}
    complaints = []
    for name, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        complaints += strictness(name, schema, schemas["common"]["$defs"], "")

    for line in sys.stdin:
        name, _, text = line.rstrip("\n").partition("\t")
        resolver = jsonschema.RefResolver(schemas[name]["$id"], schemas[name], store=by_id)
        validator = jsonschema.Draft202012Validator(schemas[name], resolver=resolver)
        try:
            errors = list(validator.iter_errors(json.loads(text)))
        except json.JSONDecodeError as error:
            complaints.append(f"{name}: no JSON: {error}: {text[:200]}")
            continue
        for error in errors:
            place = "/".join(str(part) for part in error.absolute_path)
            complaints.append(f"{name}: /{place}: {error.message[:300]}")
    print("\n".join(complaints))
    return 1 if complaints else 0


sys.exit(main())
