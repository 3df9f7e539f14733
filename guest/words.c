/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading our words. Values are taken piece by piece (words-scan.c): nothing is passed over, no number wraps, no value
 * has two spellings that differ in meaning.
 */
#include "guest/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "guest/words-private.h"

/* Message texts cut what they quote to this, so that the reason behind it always fits. */
#define QUOTED_MAX 80
/* dm-verity counts in 512-byte sectors in a signed 64-bit number; stay where no sum of ours can wrap. */
#define DEVICE_BYTES_MAX (UINT64_MAX >> 2)
#define WAIT_DEFAULT 30
#define WAIT_MAX 600

const char *const guest_dir_names[GUEST_DIRS] = {"home", "etc", "var", "tmp"};

typedef enum { WORD_LEVEL, WORD_ROOT, WORD_FS, WORD_ROOTHASH, WORD_VERITY, WORD_UPPER, WORD_WAIT, WORDS } Word;
static const char *const word_names[WORDS] = {"level", "root", "fs", "roothash", "verity", "upper", "wait"};

static const char *const fs_names[] = {"ext4", "xfs", "btrfs"};

static const struct {
    const char *name;
    size_t size;
} hashes[] = {{"sha256", 32}, {"sha512", 64}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Always -1. */
static int fail(char *message, const char *word, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int fail(char *message, const char *word, const char *format, ...)
{
    char text[GUEST_MESSAGE_MAX - QUOTED_MAX - sizeof(GUEST_WORD_PREFIX) - 2];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(message, GUEST_MESSAGE_MAX, "%s%.*s: %s", GUEST_WORD_PREFIX, QUOTED_MAX, word, text);
    return -1;
}

static int fail_value(char *message, const char *word, GuestSpan value, const char *expected)
{
    char quoted[QUOTED_MAX];

    guest_span_print(value, quoted, sizeof(quoted));
    return fail(message, word, "'%s' is not %s", quoted, expected);
}

/* The kernel takes "-" and "_" in names for the same; so a word that was meant for us cannot slip by unread. */
static bool is_ours(GuestSpan word)
{
    static const char prefix[] = GUEST_WORD_PREFIX;

    if (word.size < sizeof(prefix) - 1)
        return false;
    for (size_t i = 0; i < sizeof(prefix) - 1; i++) {
        if ((word.text[i] == '-' ? '_' : word.text[i]) != prefix[i])
            return false;
    }
    return true;
}

/* "partuuid" would read as the other form of virt_attest.root. */
static bool take_serial(GuestSpan span, GuestDisk *out)
{
    if (!span.size || span.size > GUEST_SERIAL_MAX || guest_span_is(span, "partuuid"))
        return false;
    for (size_t i = 0; i < span.size; i++) {
        char c = span.text[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
              c == '+' || c == '-'))
            return false;
    }
    memset(out, 0, sizeof(*out));
    memcpy(out->serial, span.text, span.size);
    return true;
}

/* 0 is refused: tmpfs would take it for no limit at all. */
static bool take_size(GuestSpan span, GuestSize *out)
{
    uint64_t value;
    unsigned shift = 0;
    char last = span.size ? span.text[span.size - 1] : '\0';

    memset(out, 0, sizeof(*out));
    if (last == '%') {
        span.size--;
        if (!guest_span_number(span, 100, &value) || !value)
            return false;
        out->percent = (unsigned)value;
        return true;
    }
    if (last == 'K' || last == 'M' || last == 'G') {
        shift = last == 'K' ? 10 : last == 'M' ? 20 : 30;
        span.size--;
    }
    if (!guest_span_number(span, DEVICE_BYTES_MAX >> shift, &value) || !value)
        return false;
    out->bytes = value << shift;
    return true;
}

static int read_root(GuestSpan value, GuestWords *out, char *message)
{
    GuestSpan rest = value, serial;
    uint64_t number = 0;

    if (guest_span_skip(&rest, "partuuid:")) {
        uint8_t unused[16];

        if (!guest_span_uuid(rest, unused))
            return fail_value(message, "root", value, "a partition's UUID");
        for (size_t i = 0; i < rest.size; i++)
            out->root_partuuid[i] =
                (char)(rest.text[i] >= 'A' && rest.text[i] <= 'F' ? rest.text[i] + 32 : rest.text[i]);
        return 0;
    }
    serial = guest_span_split(&rest, ':');
    if (!take_serial(serial, &out->root))
        return fail_value(message, "root", value, "a disk's serial (1 to 20 letters, digits and _.+-)");
    if (rest.text && (!guest_span_number(rest, GUEST_PARTITION_MAX, &number) || !number))
        return fail_value(message, "root", value, "a serial with a partition from 1 to 128");
    out->root.partition = (unsigned)number;
    return 0;
}

static int read_fs(GuestSpan value, GuestWords *out, char *message)
{
    for (size_t i = 0; i < COUNT(fs_names); i++) {
        if (guest_span_is(value, fs_names[i])) {
            snprintf(out->fs, sizeof(out->fs), "%s", fs_names[i]);
            return 0;
        }
    }
    return fail_value(message, "fs", value, "one of ext4, xfs, btrfs");
}

static bool take_block_size(GuestSpan span, uint32_t *out)
{
    uint64_t number;

    if (!guest_span_number(span, 4096, &number) || number < 512 || (number & (number - 1)))
        return false;
    *out = (uint32_t)number;
    return true;
}

static int read_verity(GuestSpan value, GuestWords *out, char *message)
{
    GuestSpan rest = value, field = guest_span_split(&rest, ',');

    if (!take_serial(field, &out->hash_disk))
        return fail_value(message, "verity", field, "a disk's serial (1 to 20 letters, digits and _.+-)");
    field = guest_span_split(&rest, ',');
    if (!guest_span_skip(&field, "uuid=") || !guest_span_uuid(field, out->uuid))
        return fail_value(message, "verity", field, "the second field, uuid=UUID");
    field = guest_span_split(&rest, ',');
    if (!guest_span_skip(&field, "salt=") ||
        (!guest_span_is(field, "-") && !guest_span_hex(field, out->salt, sizeof(out->salt), &out->salt_size)))
        return fail_value(message, "verity", field, "the third field, salt=HEX (at most 256 bytes) or salt=-");
    field = guest_span_split(&rest, ',');
    if (!guest_span_skip(&field, "hash="))
        return fail_value(message, "verity", field, "the fourth field, hash=sha256 or hash=sha512");
    for (size_t i = 0; i < COUNT(hashes); i++) {
        if (guest_span_is(field, hashes[i].name))
            snprintf(out->hash_name, sizeof(out->hash_name), "%s", hashes[i].name);
    }
    if (!out->hash_name[0])
        return fail_value(message, "verity", field, "the fourth field, hash=sha256 or hash=sha512");
    field = guest_span_split(&rest, ',');
    if (!guest_span_skip(&field, "data-block=") || !take_block_size(field, &out->data_block_size))
        return fail_value(message, "verity", field, "the fifth field, data-block=512, 1024, 2048 or 4096");
    field = guest_span_split(&rest, ',');
    if (!guest_span_skip(&field, "hash-block=") || !take_block_size(field, &out->hash_block_size))
        return fail_value(message, "verity", field, "the sixth field, hash-block=512, 1024, 2048 or 4096");
    field = guest_span_split(&rest, ',');
    if (!guest_span_skip(&field, "data-blocks=") ||
        !guest_span_number(field, DEVICE_BYTES_MAX / out->data_block_size, &out->data_blocks) || !out->data_blocks)
        return fail_value(message, "verity", field, "the seventh field, data-blocks=NUMBER");
    if (rest.text)
        return fail(message, "verity", "has more than its seven fields");
    return 0;
}

static int read_dirs(GuestSpan rest, GuestWords *out, char *message)
{
    bool seen[GUEST_DIRS] = {false};

    do {
        GuestSpan size = guest_span_split(&rest, ','), field = size, name = guest_span_split(&size, '=');
        unsigned dir = 0;

        while (dir < GUEST_DIRS && !guest_span_is(name, guest_dir_names[dir]))
            dir++;
        if (dir == GUEST_DIRS || !size.text)
            return fail_value(message, "upper", field, "one of home=SIZE, etc=SIZE, var=SIZE, tmp=SIZE");
        if (seen[dir])
            return fail(message, "upper", "%s is given twice", guest_dir_names[dir]);
        seen[dir] = true;
        if (!take_size(size, &out->dir_sizes[dir]))
            return fail_value(message, "upper", size, "a size (bytes, K, M, G, or 1% to 100%)");
    } while (rest.text);
    return 0;
}

static int read_upper(GuestSpan value, GuestWords *out, char *message)
{
    GuestSpan rest = value, kind = guest_span_split(&rest, ':');

    if (guest_span_is(kind, "none") && !rest.text) {
        out->upper = GUEST_UPPER_NONE;
        return 0;
    }
    if (guest_span_is(kind, "tmpfs")) {
        out->upper = GUEST_UPPER_TMPFS;
        if (rest.text && !take_size(rest, &out->upper_size))
            return fail_value(message, "upper", rest, "a size (bytes, K, M, G, or 1% to 100%)");
        return 0;
    }
    if (guest_span_is(kind, "encrypted") && rest.text) {
        out->upper = GUEST_UPPER_ENCRYPTED;
        if (!take_serial(rest, &out->upper_disk))
            return fail_value(message, "upper", rest, "a disk's serial (1 to 20 letters, digits and _.+-)");
        return 0;
    }
    if (guest_span_is(kind, "dirs")) {
        out->upper = GUEST_UPPER_DIRS;
        return rest.text ? read_dirs(rest, out, message) : 0;
    }
    return fail_value(message, "upper", value, "none, tmpfs[:SIZE], encrypted:SERIAL or dirs[:home=SIZE,...]");
}

static int read_word(Word word, GuestSpan value, GuestWords *out, char *message)
{
    uint64_t number;

    switch (word) {
    case WORD_LEVEL:
        if (!guest_span_number(value, 4, &number) || number == 1 || number == 2)
            return fail_value(message, "level", value, "one of 0, 3, 4");
        out->level = (unsigned)number;
        return 0;
    case WORD_ROOT:
        return read_root(value, out, message);
    case WORD_FS:
        return read_fs(value, out, message);
    case WORD_ROOTHASH:
        if (!guest_span_hex(value, out->root_hash, sizeof(out->root_hash), &out->hash_size))
            return fail_value(message, "roothash", value, "a digest in hex");
        return 0;
    case WORD_VERITY:
        return read_verity(value, out, message);
    case WORD_UPPER:
        return read_upper(value, out, message);
    case WORD_WAIT:
        if (!guest_span_number(value, WAIT_MAX, &number) || !number)
            return fail_value(message, "wait", value, "a number of seconds from 1 to 600");
        out->wait_seconds = (unsigned)number;
        return 0;
    case WORDS:
        break;
    }
    return fail(message, "", "no such word");
}

/* Two roles on one disk: the roles would overlap. */
static int check_disks(const GuestWords *words, char *message)
{
    const char *root = words->root.serial, *hash = words->hash_disk.serial, *upper = words->upper_disk.serial;

    if (*hash && !strcmp(root, hash))
        return fail(message, "verity", "'%s' is the disk of the root as well", hash);
    if (*upper && (!strcmp(root, upper) || !strcmp(hash, upper)))
        return fail(message, "upper", "'%s' is a disk of the root as well", upper);
    return 0;
}

static int check_together(const GuestWords *words, const bool seen[WORDS], char *message)
{
    if (!seen[WORD_LEVEL])
        return fail(message, "level", "is missing");
    if (!seen[WORD_ROOT])
        return fail(message, "root", "is missing");
    if (words->level != 4) {
        if (seen[WORD_ROOTHASH] || seen[WORD_VERITY])
            return fail(message, seen[WORD_ROOTHASH] ? "roothash" : "verity", "belongs to level 4 only");
        return check_disks(words, message);
    }
    if (!seen[WORD_ROOTHASH])
        return fail(message, "roothash", "is missing, level 4 needs it");
    if (!seen[WORD_VERITY])
        return fail(message, "verity", "is missing, level 4 needs it");
    if (words->root_partuuid[0])
        return fail(message, "root", "level 4 takes a disk's serial, no partuuid");
    for (size_t i = 0; i < COUNT(hashes); i++) {
        if (!strcmp(words->hash_name, hashes[i].name) && words->hash_size != hashes[i].size)
            return fail(message, "roothash", "has %zu bytes, %s has %zu", words->hash_size, hashes[i].name,
                        hashes[i].size);
    }
    return check_disks(words, message);
}

int guest_words_parse(const char *cmdline, GuestWords *out, char *message)
{
    bool seen[WORDS] = {false}, any = false;
    GuestSpan text;

    memset(out, 0, sizeof(*out));
    message[0] = '\0';
    memcpy(out->fs, "ext4", 5);
    out->wait_seconds = WAIT_DEFAULT;
    while (guest_next_word(&cmdline, &text)) {
        GuestSpan value, name;
        unsigned word = 0;
        char quoted[QUOTED_MAX];

        if (!is_ours(text))
            continue;
        any = true;
        value = (GuestSpan){text.text + sizeof(GUEST_WORD_PREFIX) - 1, text.size - (sizeof(GUEST_WORD_PREFIX) - 1)};
        name = guest_span_split(&value, '=');
        guest_span_print(name, quoted, sizeof(quoted));
        while (word < WORDS && !guest_span_is(name, word_names[word]))
            word++;
        if (word == WORDS || memcmp(text.text, GUEST_WORD_PREFIX, sizeof(GUEST_WORD_PREFIX) - 1) != 0) {
            guest_span_print((GuestSpan){text.text, (size_t)(name.text - text.text) + name.size}, quoted,
                             sizeof(quoted));
            snprintf(message, GUEST_MESSAGE_MAX, "%s: no such word", quoted);
            return -1;
        }
        if (!value.text)
            return fail(message, quoted, "has no value");
        if (seen[word])
            return fail(message, quoted, "is given twice");
        seen[word] = true;
        if (value.size && value.text[0] == '"') {
            value.text++;
            value.size--;
            if (value.size && value.text[value.size - 1] == '"')
                value.size--;
        }
        if (read_word((Word)word, value, out, message) < 0)
            return -1;
    }
    if (!any) {
        snprintf(message, GUEST_MESSAGE_MAX, "no word %s* on the kernel command line", GUEST_WORD_PREFIX);
        return -1;
    }
    if (check_together(out, seen, message) < 0)
        return -1;
    out->has_verity = out->level == 4;
    return 0;
}

int guest_words_present(const char *cmdline)
{
    GuestSpan word;

    while (guest_next_word(&cmdline, &word)) {
        if (is_ours(word))
            return 1;
    }
    return 0;
}
