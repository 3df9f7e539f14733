#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks documents against a JSON Schema: json-validate.py [--invalid] SCHEMA DOCUMENT...

Exit status: 0 all valid (with --invalid: none is), 1 one is not (what is printed), 77 no python3-jsonschema here.
"""
import json
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)

invalid = sys.argv[1] == '--invalid'
arguments = sys.argv[2 if invalid else 1:]
with open(arguments[0], encoding='utf-8') as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for path in arguments[1:]:
    with open(path, encoding='utf-8') as file:
        document = json.load(file)
    error = next(validator.iter_errors(document), None)
    if error and not invalid:
        print(f'{path}: {error.json_path}: {error.message}')
        sys.exit(1)
    if invalid and not error:
        print(f'{path} is valid')
        sys.exit(1)
