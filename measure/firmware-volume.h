/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walks the UEFI firmware volumes of a firmware file (UEFI Platform Initialization specification 1.8, volume 3):
 * volumes hold files (modules), modules hold sections, and one section holds more volumes, LZMA-compressed.
 */
#pragma once

#include "measure/bytes.h"

#define MEASURE_MODULE_DRIVER 0x07 /* EFI_FV_FILETYPE_DRIVER: a DXE driver */

/**
 * MeasureModule:
 * @type: file type of the module (%MEASURE_MODULE_DRIVER, …)
 * @name: its name as printable ASCII, or its GUID; known once the module was read whole
 * @marks: for the visitor to use; 0 at first
 */
typedef struct {
    guint8 type;
    gchar *name;
    guint marks;
} MeasureModule;

/* A search that looks at an executable sees at least this many of the bytes before each piece again. */
#define MEASURE_VOLUME_OVERLAP 256

/**
 * MeasureVolumeVisitor:
 * @executable: a piece of an executable (PE32, TE or position-independent code) of @module. @first: the executable
 *   begins here; otherwise @bytes begin with the last %MEASURE_VOLUME_OVERLAP bytes of the piece before (all of it,
 *   when it was shorter)
 * @module_end: the module was read whole
 * @user_data: passed to both
 */
typedef struct {
    void (*executable)(MeasureModule *module, MeasureBytes bytes, gboolean first, gpointer user_data);
    void (*module_end)(const MeasureModule *module, gpointer user_data);
    gpointer user_data;
} MeasureVolumeVisitor;

/**
 * MeasureVolumeTrouble:
 * @damaged: (nullable): what is wrong with the file's structure; the walk ended there
 * @unread: (nullable): the first part that was passed over because its format is not read here, or it is too large
 * @searched: bytes of possible volume headers that were added up to find the volumes; at most 4 MiB
 *
 * Why a walk did not see everything. Parts of sentences ("it nests compressed volumes").
 */
typedef struct {
    gchar *damaged;
    gchar *unread;
    gsize searched;
} MeasureVolumeTrouble;

void measure_volume_trouble_clear(MeasureVolumeTrouble *trouble);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MeasureVolumeTrouble, measure_volume_trouble_clear)

/**
 * measure_volume_walk:
 * @file: the whole firmware file; hostile
 * @visitor: what to do with what is found
 * @trouble: (out caller-allocates): filled in when parts could not be seen
 *
 * Reads front to back and decompresses as it goes: memory is one LZMA dictionary (at most 32 MiB are granted) and one
 * buffer, whatever the file claims, and time is linear in the file's size plus at most 64 MiB of decompressed bytes: no
 * byte is read twice but in possible volume headers, of which a limited amount is looked at.
 */
void measure_volume_walk(MeasureBytes file, const MeasureVolumeVisitor *visitor, MeasureVolumeTrouble *trouble);
