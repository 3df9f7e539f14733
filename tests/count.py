#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts the single checks of a meson test log.

A program that speaks TAP counts with every point of it, any other with one.
Prints 'N passed, N failed, N skipped'; exits 1 when something failed, or when
nothing passed at all.
"""
import json
import re
import sys

POINT = re.compile(r"^(not )?ok\b[^#]*(#\s*(skip|todo)?.*)?$", re.IGNORECASE)


def count(test):
    """(passed, failed, skipped) of one row of testlog.json."""
    points = [match for match in map(POINT.match, test.get("stdout", "").splitlines()) if match]
    passed = failed = skipped = 0
    for match in points:
        if (match.group(3) or "").lower() == "skip":
            skipped += 1
        elif match.group(1):
            failed += 1
        else:
            passed += 1
    result = test["result"]
    if not points:
        return (int(result == "OK"), int(result not in ("OK", "SKIP")), int(result == "SKIP"))
    # A crash, a time-out or a wrong exit code after good points is a failure of its own.
    if result not in ("OK", "SKIP") and failed == 0:
        failed = 1
    return passed, failed, skipped


def main():
    totals = [0, 0, 0]
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            for index, value in enumerate(count(json.loads(line))):
                totals[index] += value
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 1 if totals[1] or not totals[0] else 0


sys.exit(main())
