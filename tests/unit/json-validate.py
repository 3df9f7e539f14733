#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks documents against a JSON Schema: json-validate.py SCHEMA DOCUMENT...

Exit status: 0 all valid, 1 one is not (the reason is printed), 77 python3-jsonschema is not installed.
"""
import json
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)

with open(sys.argv[1], encoding='utf-8') as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for path in sys.argv[2:]:
    with open(path, encoding='utf-8') as file:
        document = json.load(file)
    for error in validator.iter_errors(document):
        print(f'{path}: {error.json_path}: {error.message}')
        sys.exit(1)
