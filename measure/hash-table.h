/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel hash table that QEMU puts into the guest's memory before it is measured. Internal to measure/. */
#pragma once

#include "measure/launch.h"

/* 168 bytes of table, padded to 16. */
#define MEASURE_HASH_TABLE_SIZE 176

/* @inputs must have a kernel; without an initrd the digest of nothing stands in its place. */
void measure_hash_table_fill(guint8 table[MEASURE_HASH_TABLE_SIZE], const MeasureInputs *inputs);
