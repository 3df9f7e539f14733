/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In OVMF one driver (QemuKernelLoaderFsDxe) fetches kernel, initrd and command line from QEMU. Only builds that verify
 * them link the three entry GUIDs of the kernel-hash table into it: that is what is looked for. Since only a file
 * that was read whole can be said to lack them, anything that could not be followed makes the answer UNKNOWN.
 *
 * The version is PcdFirmwareVersionString, a UTF-16 constant in several modules (SmbiosPlatformDxe among them). Nothing
 * says where, so every UTF-16 string of the executables is considered whose whole text reads like a version.
 */
#include "measure/firmware-build.h"

#include "measure/firmware-volume.h"

#include <string.h>

#define FILE_MAX (64u * 1024 * 1024) /* bytes */
#define VERSION_MIN 6u
#define VERSION_MAX 63u              /* characters of a version string */
#define VERSIONS_MAX 8

G_STATIC_ASSERT(2 * (VERSION_MAX + 2) <= MEASURE_VOLUME_OVERLAP);

/* edk2-stable202408 is the first release whose verifier halts (tianocore/edk2 pull request 5769); distributions that
 * name the commit's day instead call it 20240813. */
#define HALTS_SINCE_DAY 20240813u
#define HALTS_SINCE_MONTH 202408u

typedef enum {
    ENTRY_KERNEL = 1 << 0,
    ENTRY_INITRD = 1 << 1,
    ENTRY_CMDLINE = 1 << 2,
    ENTRY_ALL = ENTRY_KERNEL | ENTRY_INITRD | ENTRY_CMDLINE,
} Entries;

static const struct {
    Entries entry;
    const char *guid;
    const char *name;
} table_entries[] = {
    { ENTRY_KERNEL, "4de79437-abd2-427f-b835-d5b172d2045b", "kernel" },
    { ENTRY_INITRD, "44baf731-3a2f-4bd7-9af1-41e29169781d", "initrd" },
    { ENTRY_CMDLINE, "97d02dd8-bd20-4c94-aa78-e7714d36ab2a", "command line" },
};

/* What a walk has gathered. */
typedef struct {
    guint8 entry_guids[G_N_ELEMENTS(table_entries)][MEASURE_GUID_SIZE];
    guint drivers;       /* DXE drivers that were searched */
    Entries entries;     /* found in any executable */
    gchar *verifier;     /* (nullable): the driver that names all of them */
    GPtrArray *versions; /* distinct strings */
} Search;

static void search_clear(Search *search)
{
    g_free(search->verifier);
    g_clear_pointer(&search->versions, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Search, search_clear)

static gboolean is_version_character(guint8 c)
{
    return g_ascii_isalnum(c) || (c != '\0' && strchr(".+~:_-", c));
}

/* The number in the @count digits at @text. */
static guint digits_value(const char *text, gsize count)
{
    guint value = 0;
    for (gsize i = 0; i < count; i++)
        value = value * 10 + (guint)(text[i] - '0');
    return value;
}

static gsize digits_count(const char *text)
{
    return strspn(text, "0123456789");
}

/*
 * Whether @version, a whole string, names a date of edk2, and whether the verifier of that date halts. Dates:
 * "202408" (edk2-stable202408), "2024.08" (Debian, Ubuntu, Proxmox) and "20240813" (Fedora, RHEL, snapshots).
 * With more than one the earliest counts: a mistake then asks for the owner's word instead of trusting the build.
 */
static gboolean version_date(const char *version, gboolean *halts)
{
    gboolean dated = FALSE;
    gboolean all_halt = TRUE;
    for (const char *at = version; *at != '\0';) {
        gsize count = digits_count(at);
        if (count == 0) {
            at++;
            continue;
        }
        guint month = 0, day = 0;
        gsize used = count;
        if (count == 4 && at[4] == '.' && digits_count(at + 5) == 2) {
            month = digits_value(at, 4) * 100 + digits_value(at + 5, 2);
            used = 7;
        } else if (count == 6) {
            month = digits_value(at, 6);
        } else if (count == 8) {
            day = digits_value(at, 8);
            month = day / 100;
        }
        at += used;
        if (month < 201500 || month > 209912 || month % 100 < 1 || month % 100 > 12)
            continue;
        if (used == 8 && (day % 100 < 1 || day % 100 > 31))
            continue;
        dated = TRUE;
        if (used == 8 ? day < HALTS_SINCE_DAY : month < HALTS_SINCE_MONTH)
            all_halt = FALSE;
    }
    *halts = dated && all_halt;
    return dated;
}

/*
 * Takes up the UTF-16 string around @at if the whole of it is a version string, and returns where it ends. @first:
 * @bytes begin the section.
 */
static gsize version_collect(Search *search, MeasureBytes bytes, gsize at, gboolean first)
{
    gsize start = at, end = at;
    while (start >= 2 && bytes.data[start - 1] == 0 && is_version_character(bytes.data[start - 2]))
        start -= 2;
    while (bytes.size - end >= 2 && bytes.data[end + 1] == 0 && is_version_character(bytes.data[end]))
        end += 2;
    gsize length = (end - start) / 2;
    guint16 terminator = 1;
    if (length < VERSION_MIN || length > VERSION_MAX || !measure_bytes_u16(bytes, end, &terminator) || terminator != 0)
        return end;
    if (start < 2 && !first)
        return end; /* may begin before the buffer; then it was whole in the one before */
    /* The end of a longer text is no version. '@' is excepted: an x86 padding instruction in front ends in "@\0". */
    if (start >= 2 && bytes.data[start - 1] == 0 && bytes.data[start - 2] != '@' &&
        g_ascii_isprint((gchar)bytes.data[start - 2]))
        return end;
    gchar text[VERSION_MAX + 1] = { 0 };
    for (gsize i = 0; i < length; i++)
        text[i] = (gchar)bytes.data[start + 2 * i];
    gboolean halts;
    if (version_date(text, &halts) && search->versions->len < VERSIONS_MAX &&
        !g_ptr_array_find_with_equal_func(search->versions, text, g_str_equal, NULL))
        g_ptr_array_add(search->versions, g_strdup(text));
    return end;
}

static void search_executable(MeasureModule *module, MeasureBytes bytes, gboolean first, gpointer user_data)
{
    Search *search = user_data;
    for (gsize i = 0; i < G_N_ELEMENTS(table_entries); i++) {
        if (!(module->marks & table_entries[i].entry) &&
            memmem(bytes.data, bytes.size, search->entry_guids[i], MEASURE_GUID_SIZE))
            module->marks |= table_entries[i].entry;
    }
    static const guint8 century[] = { '2', 0, '0', 0 }; /* "20" in UTF-16 */
    for (gsize from = 0; from < bytes.size;) {
        const guint8 *hit = memmem(bytes.data + from, bytes.size - from, century, sizeof century);
        if (!hit)
            break;
        from = version_collect(search, bytes, (gsize)(hit - bytes.data), first);
    }
}

static void search_module_end(const MeasureModule *module, gpointer user_data)
{
    Search *search = user_data;
    search->entries |= module->marks;
    if (module->type != MEASURE_MODULE_DRIVER)
        return;
    search->drivers++;
    if (module->marks == ENTRY_ALL && !search->verifier)
        search->verifier = g_strdup(module->name);
}

/* The build's version: the string, and what it says about halting. NULL when there is none. */
static const char *search_version(const Search *search, gboolean *halts)
{
    const char *version = NULL;
    *halts = FALSE;
    for (guint i = 0; i < search->versions->len; i++) {
        const char *candidate = g_ptr_array_index(search->versions, i);
        gboolean candidate_halts = FALSE;
        version_date(candidate, &candidate_halts);
        if (!version || (*halts && !candidate_halts)) {
            version = candidate;
            *halts = candidate_halts;
        }
    }
    return version;
}

static gchar *entries_describe(Entries entries)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(table_entries); i++) {
        if (entries & table_entries[i].entry)
            g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", table_entries[i].name);
    }
    return g_strdup(text->str);
}

static MeasureFirmwareBuild *search_judge(const Search *search, const MeasureVolumeTrouble *trouble)
{
    gboolean halts;
    const char *version = search_version(search, &halts);
    g_autofree gchar *reason = NULL;
    MeasureVerifier verifier = MEASURE_VERIFIER_UNKNOWN;
    if (trouble->damaged) {
        reason = g_strdup_printf("the firmware cannot be looked into: %s", trouble->damaged);
    } else if (search->verifier && !version) {
        verifier = MEASURE_VERIFIER_UNDATED;
        reason = g_strdup_printf("driver '%s' knows all entries of the kernel-hash table, as in builds that verify "
                                 "it, but no version tells whether it halts on a mismatch (edk2-stable202408 and later "
                                 "do)", search->verifier);
    } else if (search->verifier) {
        verifier = halts ? MEASURE_VERIFIER_PRESENT : MEASURE_VERIFIER_WEAK;
        reason = g_strdup_printf("driver '%s' knows all entries of the kernel-hash table, as in builds that verify "
                                 "it, and version %s %s (edk2-stable202408 and later do)", search->verifier, version,
                                 halts ? "halts on a mismatch" : "does not halt on a mismatch");
    } else if (search->entries == ENTRY_ALL) {
        reason = g_strdup("the entries of the kernel-hash table are named in it, but not by one driver");
    } else if (search->entries) {
        g_autofree gchar *names = entries_describe(search->entries);
        reason = g_strdup_printf("only some entries of the kernel-hash table are named in it: %s", names);
    } else if (trouble->unread) {
        reason = g_strdup_printf("the firmware cannot be looked into: %s", trouble->unread);
    } else if (search->drivers == 0) {
        reason = g_strdup("no UEFI driver was found in the file: it is not a whole firmware, or of another kind");
    } else {
        verifier = MEASURE_VERIFIER_ABSENT;
        reason = g_strdup_printf("none of its %u drivers knows an entry of the kernel-hash table: nothing verifies the "
                                 "kernel, and any will boot",
                                 search->drivers);
    }
    return measure_firmware_build_new(verifier, version, reason);
}

MeasureFirmwareBuild *measure_firmware_build_judge(MeasureBytes file)
{
    if (file.size > FILE_MAX)
        return measure_firmware_build_new(MEASURE_VERIFIER_UNKNOWN, NULL, "the file is larger than 64 MiB");
    g_auto(Search) search = { .versions = g_ptr_array_new_with_free_func(g_free) };
    for (gsize i = 0; i < G_N_ELEMENTS(table_entries); i++)
        measure_guid_parse(table_entries[i].guid, search.entry_guids[i]);
    MeasureVolumeVisitor visitor = { search_executable, search_module_end, &search };
    g_auto(MeasureVolumeTrouble) trouble;
    measure_volume_walk(file, &visitor, &trouble);
    return search_judge(&search, &trouble);
}

MeasureFirmwareBuild *measure_firmware_build_new(MeasureVerifier verifier, const char *version, const char *reason)
{
    MeasureFirmwareBuild *build = g_new0(MeasureFirmwareBuild, 1);
    build->verifier = verifier;
    build->version = g_strdup(version);
    build->reason = g_strdup(reason);
    return build;
}

void measure_firmware_build_free(MeasureFirmwareBuild *build)
{
    if (!build)
        return;
    g_free(build->version);
    g_free(build->reason);
    g_free(build);
}

static const char *const verifier_names[] = {
    [MEASURE_VERIFIER_UNKNOWN] = "unknown",
    [MEASURE_VERIFIER_ABSENT] = "absent",
    [MEASURE_VERIFIER_WEAK] = "weak",
    [MEASURE_VERIFIER_UNDATED] = "undated",
    [MEASURE_VERIFIER_PRESENT] = "present",
};

const char *measure_verifier_name(MeasureVerifier verifier)
{
    g_return_val_if_fail((gsize)verifier < G_N_ELEMENTS(verifier_names), "unknown");
    return verifier_names[verifier];
}

gboolean measure_verifier_from_name(const char *name, MeasureVerifier *out)
{
    for (gsize i = 0; name && i < G_N_ELEMENTS(verifier_names); i++) {
        if (g_str_equal(name, verifier_names[i])) {
            *out = (MeasureVerifier)i;
            return TRUE;
        }
    }
    return FALSE;
}
