#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts the single checks of a meson test log.

A program that speaks TAP counts with every point of it, any other with one.
Prints every failed point with the '#' lines behind it, then
'N passed, N failed, N skipped'; exits 1 when something failed, or when nothing
passed at all.
"""
import json
import re
import sys

POINT = re.compile(r"^(not )?ok\b[^#]*(#\s*(skip|todo)?.*)?$", re.IGNORECASE)

LINES_MAX = 60  # of one test
POINT_MAX = 20  # of one point, when there are several
TAIL = 20  # lines of a test that failed without a failed point
# Where a sanitizer, a time-out of Python or an exception begins to speak.
TROUBLE = re.compile(r"ERROR: |runtime error: |^Traceback ")


def shortened(lines, most):
    """Beginning and end: a difference says at the beginning what it is about, a traceback at the end."""
    if len(lines) <= most:
        return lines
    half = most // 2
    return [*lines[:half], f"({len(lines) - most + 1} more lines)", *lines[len(lines) - most + half + 1:]]


def failures(test):
    """Lines that say why a test failed: meson prints only what TAP programs write to stderr."""
    lines, errors = test.get("stdout", "").splitlines(), test.get("stderr", "").splitlines()
    points, behind = [], False
    for line in lines:
        point = POINT.match(line)
        if point:
            behind = bool(point.group(1)) and (point.group(3) or "").lower() != "skip"
        if line.startswith("Bail out!") or behind and point:
            points.append([line])
        elif behind and line.startswith("#"):
            points[-1].append(line)
    found = [line for each in points for line in shortened(each, LINES_MAX if len(points) == 1 else POINT_MAX)]
    trouble = next((number for number, line in enumerate(errors) if TROUBLE.search(line)), None)
    if trouble is not None:
        found += shortened(errors[trouble:], LINES_MAX // 2)
    elif not found or test["result"] not in ("FAIL", "ERROR"):
        # What it did last, when it was ended.
        found += (lines + errors)[-TAIL:]
    return shortened(found, LINES_MAX)


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
            test = json.loads(line)
            counts = count(test)
            totals = [total + value for total, value in zip(totals, counts)]
            if counts[1]:
                print(f"--- {test.get('name', '?')}: {test['result']}", *failures(test), sep="\n")
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 1 if totals[1] or not totals[0] else 0


sys.exit(main())
