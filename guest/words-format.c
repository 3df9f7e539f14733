/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing our words, so that reading them gives the same again. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "guest/words.h"

typedef struct {
    char *out;
    size_t size, used;
    bool full;
} Text;

static void add(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(Text *text, const char *format, ...)
{
    va_list args;
    int n;

    if (text->full)
        return;
    va_start(args, format);
    n = vsnprintf(text->out + text->used, text->size - text->used, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= text->size - text->used)
        text->full = true;
    else
        text->used += (size_t)n;
}

static void add_hex(Text *text, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        add(text, "%02x", bytes[i]);
}

static void add_uuid(Text *text, const uint8_t uuid[16])
{
    for (size_t i = 0; i < 16; i++)
        add(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

/* The largest unit that loses nothing. */
static void add_size(Text *text, const GuestSize *size)
{
    static const char suffixes[] = {'K', 'M', 'G'};
    uint64_t value = size->bytes;
    unsigned unit = 0;

    if (size->percent) {
        add(text, "%u%%", size->percent);
        return;
    }
    while (unit < sizeof(suffixes) && value && value % 1024 == 0) {
        value /= 1024;
        unit++;
    }
    add(text, "%" PRIu64, value);
    if (unit)
        add(text, "%c", suffixes[unit - 1]);
}

static bool size_given(const GuestSize *size)
{
    return size->bytes || size->percent;
}

static void add_upper(Text *text, const GuestWords *words)
{
    char separator = ':';

    switch (words->upper) {
    case GUEST_UPPER_NONE:
        return;
    case GUEST_UPPER_TMPFS:
        add(text, " " GUEST_WORD_PREFIX "upper=tmpfs");
        if (size_given(&words->upper_size)) {
            add(text, ":");
            add_size(text, &words->upper_size);
        }
        return;
    case GUEST_UPPER_ENCRYPTED:
        add(text, " " GUEST_WORD_PREFIX "upper=encrypted:%s", words->upper_disk.serial);
        return;
    case GUEST_UPPER_DIRS:
        add(text, " " GUEST_WORD_PREFIX "upper=dirs");
        for (unsigned i = 0; i < GUEST_DIRS; i++) {
            if (!size_given(&words->dir_sizes[i]))
                continue;
            add(text, "%c%s=", separator, guest_dir_names[i]);
            add_size(text, &words->dir_sizes[i]);
            separator = ',';
        }
        return;
    }
}

size_t guest_words_format(const GuestWords *words, char *out, size_t size)
{
    Text text = {out, size, 0, size == 0};

    if (words->hash_size > sizeof(words->root_hash) || words->salt_size > sizeof(words->salt))
        return 0;
    add(&text, GUEST_WORD_PREFIX "level=%u " GUEST_WORD_PREFIX "root=", words->level);
    if (words->root_partuuid[0])
        add(&text, "partuuid:%s", words->root_partuuid);
    else
        add(&text, "%s", words->root.serial);
    if (!words->root_partuuid[0] && words->root.partition)
        add(&text, ":%u", words->root.partition);
    if (strcmp(words->fs, "ext4") != 0)
        add(&text, " " GUEST_WORD_PREFIX "fs=%s", words->fs);
    if (words->has_verity) {
        add(&text, " " GUEST_WORD_PREFIX "roothash=");
        add_hex(&text, words->root_hash, words->hash_size);
        add(&text, " " GUEST_WORD_PREFIX "verity=%s,uuid=", words->hash_disk.serial);
        add_uuid(&text, words->uuid);
        add(&text, ",salt=");
        add_hex(&text, words->salt, words->salt_size);
        add(&text, "%s,hash=%s,data-block=%" PRIu32 ",hash-block=%" PRIu32 ",data-blocks=%" PRIu64,
            words->salt_size ? "" : "-", words->hash_name, words->data_block_size, words->hash_block_size,
            words->data_blocks);
    }
    add_upper(&text, words);
    if (words->wait_seconds != 30)
        add(&text, " " GUEST_WORD_PREFIX "wait=%u", words->wait_seconds);
    return text.full ? 0 : text.used;
}
