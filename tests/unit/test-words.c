/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words on the command line as guest/words.h documents them, the initrd's list, the words that lead to a shell. */
#include <glib.h>
#include <string.h>

#include "guest/initrd-list.h"
#include "guest/words.h"

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddee0f"
#define UUID "01234567-89ab-cdef-0123-456789abcdef"
#define VERITY_TAIL ",hash=sha256,data-block=4096,hash-block=4096,data-blocks=1000"
#define VERITY "virt_attest.verity=hash,uuid=" UUID ",salt=a1b2" VERITY_TAIL
#define LEVEL3 "virt_attest.level=3 virt_attest.root=root:2"
#define LEVEL4 "virt_attest.level=4 virt_attest.root=root:2 virt_attest.roothash=" HASH " " VERITY

static GuestWords parsed(const char *cmdline)
{
    GuestWords words;
    char message[GUEST_MESSAGE_MAX];

    if (guest_words_parse(cmdline, &words, message) < 0)
        g_error("'%s': %s", cmdline, message);
    g_assert_cmpstr(message, ==, "");
    g_assert_cmpint(guest_words_present(cmdline), ==, 1);
    return words;
}

static void test_level3(void)
{
    GuestWords words = parsed("console=ttyS0 " LEVEL3 " quiet\n");

    g_assert_cmpuint(words.level, ==, 3);
    g_assert_cmpstr(words.root.serial, ==, "root");
    g_assert_cmpuint(words.root.partition, ==, 2);
    g_assert_cmpstr(words.root_partuuid, ==, "");
    g_assert_cmpstr(words.fs, ==, "ext4");
    g_assert_cmpint(words.upper, ==, GUEST_UPPER_NONE);
    g_assert_cmpuint(words.wait_seconds, ==, 30);
    g_assert_false(words.has_verity);

    words =
        parsed("virt_attest.level=0 virt_attest.root=partuuid:0123ABCD-89ab-cdef-0123-456789abcdeF virt_attest.fs=xfs "
               "virt_attest.wait=600");
    g_assert_cmpuint(words.level, ==, 0);
    g_assert_cmpstr(words.root_partuuid, ==, "0123abcd-89ab-cdef-0123-456789abcdef");
    g_assert_cmpstr(words.root.serial, ==, "");
    g_assert_cmpstr(words.fs, ==, "xfs");
    g_assert_cmpuint(words.wait_seconds, ==, 600);
}

static void test_level4(void)
{
    GuestWords words = parsed(LEVEL4);

    g_assert_true(words.has_verity);
    g_assert_cmpuint(words.hash_size, ==, 32);
    g_assert_cmpuint(words.root_hash[0], ==, 0x00);
    g_assert_cmpuint(words.root_hash[1], ==, 0x11);
    g_assert_cmpuint(words.root_hash[31], ==, 0x0f);
    g_assert_cmpstr(words.hash_disk.serial, ==, "hash");
    g_assert_cmpstr(words.hash_name, ==, "sha256");
    g_assert_cmpuint(words.salt_size, ==, 2);
    g_assert_cmpuint(words.salt[0], ==, 0xa1);
    g_assert_cmpuint(words.salt[1], ==, 0xb2);
    g_assert_cmpuint(words.uuid[0], ==, 0x01);
    g_assert_cmpuint(words.uuid[4], ==, 0x89);
    g_assert_cmpuint(words.uuid[15], ==, 0xef);
    g_assert_cmpuint(words.data_block_size, ==, 4096);
    g_assert_cmpuint(words.hash_block_size, ==, 4096);
    g_assert_cmpuint(words.data_blocks, ==, 1000);

    words = parsed("virt_attest.verity=h,uuid=" UUID ",salt=-,hash=sha512,data-block=512,hash-block=1024,data-blocks=1 "
                   "virt_attest.level=4 virt_attest.roothash=" HASH HASH " virt_attest.root=r");
    g_assert_cmpuint(words.salt_size, ==, 0);
    g_assert_cmpuint(words.hash_size, ==, 64);
    g_assert_cmpuint(words.data_block_size, ==, 512);
    g_assert_cmpuint(words.hash_block_size, ==, 1024);
    g_assert_cmpuint(words.root.partition, ==, 0);
}

static void test_upper(void)
{
    GuestWords words = parsed(LEVEL3 " virt_attest.upper=tmpfs");

    g_assert_cmpint(words.upper, ==, GUEST_UPPER_TMPFS);
    g_assert_cmpuint(words.upper_size.bytes, ==, 0);
    g_assert_cmpuint(words.upper_size.percent, ==, 0);
    words = parsed(LEVEL3 " virt_attest.upper=tmpfs:512M");
    g_assert_cmpuint(words.upper_size.bytes, ==, 536870912);
    words = parsed(LEVEL3 " virt_attest.upper=tmpfs:3K");
    g_assert_cmpuint(words.upper_size.bytes, ==, 3072);
    words = parsed(LEVEL3 " virt_attest.upper=tmpfs:2G");
    g_assert_cmpuint(words.upper_size.bytes, ==, G_GUINT64_CONSTANT(2147483648));
    words = parsed(LEVEL3 " virt_attest.upper=tmpfs:12345");
    g_assert_cmpuint(words.upper_size.bytes, ==, 12345);
    words = parsed(LEVEL3 " virt_attest.upper=tmpfs:100%");
    g_assert_cmpuint(words.upper_size.percent, ==, 100);
    g_assert_cmpuint(words.upper_size.bytes, ==, 0);
    words = parsed(LEVEL3 " virt_attest.upper=encrypted:up.per_+-0123456789a");
    g_assert_cmpint(words.upper, ==, GUEST_UPPER_ENCRYPTED);
    g_assert_cmpstr(words.upper_disk.serial, ==, "up.per_+-0123456789a");
    words = parsed(LEVEL3 " virt_attest.upper=dirs");
    g_assert_cmpint(words.upper, ==, GUEST_UPPER_DIRS);
    words = parsed(LEVEL3 " virt_attest.upper=dirs:tmp=1G,home=10%");
    g_assert_cmpuint(words.dir_sizes[GUEST_DIR_HOME].percent, ==, 10);
    g_assert_cmpuint(words.dir_sizes[GUEST_DIR_TMP].bytes, ==, 1073741824);
    g_assert_cmpuint(words.dir_sizes[GUEST_DIR_ETC].bytes, ==, 0);
}

/* Linux, lib/cmdline.c, next_arg(). */
static void test_quotes(void)
{
    GuestWords words = parsed("\"virt_attest.level=3\" virt_attest.root=\"root:2\"");

    g_assert_cmpuint(words.level, ==, 3);
    g_assert_cmpuint(words.root.partition, ==, 2);
    /* Blanks inside quotes end no word, so these are not ours. */
    g_assert_cmpint(guest_words_present("x=\"a virt_attest.level=3\""), ==, 0);
    g_assert_cmpint(guest_words_present("x=\"a\" virt_attest.level=3"), ==, 1);
    g_assert_cmpint(guest_words_present("\" virt_attest.level=3\""), ==, 0);
    g_assert_cmpint(guest_words_present("xvirt_attest.level=3"), ==, 0);
    g_assert_cmpint(guest_words_present("virt_attest"), ==, 0);
    g_assert_cmpint(guest_words_present(""), ==, 0);
    g_assert_cmpint(guest_words_present("\""), ==, 0);
    /* The kernel's isspace() counts these. */
    parsed("a\t" LEVEL3 "\vb\f\xa0"
           "c");
    g_assert_cmpint(guest_words_present("a\xa0virt_attest.level=3"), ==, 1);
}

static void test_round_trip(void)
{
    /* In the canonical spelling, which must come back byte for byte. */
    static const char *const rows[] = {
        LEVEL3,
        LEVEL4,
        "virt_attest.level=0 virt_attest.root=partuuid:" UUID " virt_attest.fs=btrfs virt_attest.wait=1",
        LEVEL4 " virt_attest.upper=tmpfs",
        LEVEL4 " virt_attest.upper=tmpfs:1023K virt_attest.wait=29",
        LEVEL4 " virt_attest.upper=tmpfs:1025",
        LEVEL4 " virt_attest.upper=tmpfs:5000G",
        LEVEL4 " virt_attest.upper=tmpfs:1%",
        LEVEL4 " virt_attest.upper=encrypted:up",
        LEVEL4 " virt_attest.upper=dirs",
        LEVEL3 " virt_attest.upper=dirs:home=1G,etc=64M,var=50%,tmp=1",
        LEVEL3 " virt_attest.upper=dirs:etc=64M,tmp=1M",
        "virt_attest.level=4 virt_attest.root=r virt_attest.fs=xfs virt_attest.roothash=" HASH HASH
        " virt_attest.verity=h,uuid=" UUID
        ",salt=-,hash=sha512,data-block=512,hash-block=1024,data-blocks=9007199254740991 "
        "virt_attest.upper=tmpfs",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        GuestWords words = parsed(rows[i]);
        char out[2048];
        gsize size = strlen(rows[i]);

        g_assert_cmpuint(guest_words_format(&words, out, sizeof(out)), ==, size);
        g_assert_cmpstr(out, ==, rows[i]);
        /* One byte too few, and none. */
        g_assert_cmpuint(guest_words_format(&words, out, size), ==, 0);
        g_assert_cmpuint(guest_words_format(&words, out, size + 1), ==, size);
        g_assert_cmpuint(guest_words_format(&words, out, 0), ==, 0);
    }
}

static void test_bad(void)
{
    static const struct {
        const char *cmdline, *message;
    } rows[] = {
        {"", "no word virt_attest.* on the kernel command line"},
        {"quiet console=ttyS0", "no word virt_attest.* on the kernel command line"},
        {"virt_attest.level=3", "virt_attest.root: is missing"},
        {"virt_attest.root=root", "virt_attest.level: is missing"},
        {LEVEL3 " virt_attest.level=3", "virt_attest.level: is given twice"},
        {LEVEL3 " virt_attest.root=root:2", "virt_attest.root: is given twice"},
        {LEVEL3 " virt_attest.wait=5 virt_attest.wait=5", "virt_attest.wait: is given twice"},
        {LEVEL3 " virt_attest.debug=1", "virt_attest.debug: no such word"},
        {LEVEL3 " virt_attest.", "virt_attest.: no such word"},
        {LEVEL3 " virt_attest.Level=3", "virt_attest.Level: no such word"},
        {LEVEL3 " virt_attest.=3", "virt_attest.: no such word"},
        {LEVEL3 " virt-attest.wait=3", "virt-attest.wait: no such word"},
        {LEVEL3 " \"virt_attest.x y\"=3", "virt_attest.x y\": no such word"},
        {LEVEL3 " virt_attest.\x1b[2J=3", "virt_attest.?[2J: no such word"},
        {LEVEL3 " virt_attest.wait", "virt_attest.wait: has no value"},
        {LEVEL3 " virt_attest.wait=", "virt_attest.wait: '' is not a number of seconds from 1 to 600"},
        {LEVEL3 " virt_attest.wait=0", "virt_attest.wait: '0' is not a number of seconds from 1 to 600"},
        {LEVEL3 " virt_attest.wait=601", "virt_attest.wait: '601' is not a number of seconds from 1 to 600"},
        {LEVEL3 " virt_attest.wait=05", "virt_attest.wait: '05' is not a number of seconds from 1 to 600"},
        {LEVEL3 " virt_attest.wait=+5", "virt_attest.wait: '+5' is not a number of seconds from 1 to 600"},
        {LEVEL3 " virt_attest.wait=18446744073709551617",
         "virt_attest.wait: '18446744073709551617' is not a number of seconds from 1 to 600"},
        {"virt_attest.level=1 virt_attest.root=root", "virt_attest.level: '1' is not one of 0, 3, 4"},
        {"virt_attest.level=5 virt_attest.root=root", "virt_attest.level: '5' is not one of 0, 3, 4"},
        {"virt_attest.level=18446744073709551619 virt_attest.root=root",
         "virt_attest.level: '18446744073709551619' is not one of 0, 3, 4"},
        {"virt_attest.level=3\x01 virt_attest.root=root", "virt_attest.level: '3?' is not one of 0, 3, 4"},
        {"virt_attest.level=3 virt_attest.root=",
         "virt_attest.root: '' is not a disk's serial (1 to 20 letters, digits and _.+-)"},
        {"virt_attest.level=3 virt_attest.root=/dev/vda",
         "virt_attest.root: '/dev/vda' is not a disk's serial (1 to 20 letters, digits and _.+-)"},
        {"virt_attest.level=3 virt_attest.root=abcdefghijklmnopqrstu",
         "virt_attest.root: 'abcdefghijklmnopqrstu' is not a disk's serial (1 to 20 letters, digits and _.+-)"},
        {"virt_attest.level=3 virt_attest.root=root:0",
         "virt_attest.root: 'root:0' is not a serial with a partition from 1 to 128"},
        {"virt_attest.level=3 virt_attest.root=root:129",
         "virt_attest.root: 'root:129' is not a serial with a partition from 1 to 128"},
        {"virt_attest.level=3 virt_attest.root=root:",
         "virt_attest.root: 'root:' is not a serial with a partition from 1 to 128"},
        {"virt_attest.level=3 virt_attest.root=partuuid",
         "virt_attest.root: 'partuuid' is not a disk's serial (1 to 20 letters, digits and _.+-)"},
        {"virt_attest.level=3 virt_attest.root=partuuid:12345678-01",
         "virt_attest.root: 'partuuid:12345678-01' is not a partition's UUID"},
        {"virt_attest.level=3 virt_attest.root=partuuid:0123456789ab-cdef-0123-456789abcdef0",
         "virt_attest.root: 'partuuid:0123456789ab-cdef-0123-456789abcdef0' is not a partition's UUID"},
        {LEVEL3 " virt_attest.fs=ext3", "virt_attest.fs: 'ext3' is not one of ext4, xfs, btrfs"},
        {LEVEL3 " virt_attest.fs=ext4x", "virt_attest.fs: 'ext4x' is not one of ext4, xfs, btrfs"},
        {LEVEL3 " virt_attest.roothash=" HASH, "virt_attest.roothash: belongs to level 4 only"},
        {LEVEL3 " " VERITY, "virt_attest.verity: belongs to level 4 only"},
        {"virt_attest.level=4 virt_attest.root=root:2 " VERITY, "virt_attest.roothash: is missing, level 4 needs it"},
        {"virt_attest.level=4 virt_attest.root=root:2 virt_attest.roothash=" HASH,
         "virt_attest.verity: is missing, level 4 needs it"},
        {"virt_attest.level=4 virt_attest.root=partuuid:" UUID " virt_attest.roothash=" HASH " " VERITY,
         "virt_attest.root: level 4 takes a disk's serial, no partuuid"},
        {"virt_attest.level=4 virt_attest.root=root:2 virt_attest.roothash=00 " VERITY,
         "virt_attest.roothash: has 1 bytes, sha256 has 32"},
        {"virt_attest.level=4 virt_attest.root=root:2 virt_attest.roothash=" HASH HASH " " VERITY,
         "virt_attest.roothash: has 64 bytes, sha256 has 32"},
        {"virt_attest.level=4 virt_attest.root=root:2 virt_attest.roothash=0g " VERITY,
         "virt_attest.roothash: '0g' is not a digest in hex"},
        {"virt_attest.level=4 virt_attest.root=root:2 virt_attest.roothash=000 " VERITY,
         "virt_attest.roothash: '000' is not a digest in hex"},
        {"virt_attest.level=4 virt_attest.root=hash:2 virt_attest.roothash=" HASH " " VERITY,
         "virt_attest.verity: 'hash' is the disk of the root as well"},
        {LEVEL4 " virt_attest.upper=encrypted:hash", "virt_attest.upper: 'hash' is a disk of the root as well"},
        {LEVEL3 " virt_attest.upper=encrypted:root", "virt_attest.upper: 'root' is a disk of the root as well"},
        {LEVEL3 " virt_attest.verity=hash", "virt_attest.verity: '' is not the second field, uuid=UUID"},
        {LEVEL3 " virt_attest.verity=ha/sh",
         "virt_attest.verity: 'ha/sh' is not a disk's serial (1 to 20 letters, digits and _.+-)"},
        {LEVEL3 " virt_attest.verity=h,salt=-", "virt_attest.verity: 'salt=-' is not the second field, uuid=UUID"},
        {LEVEL3 " virt_attest.verity=h,uuid=" UUID ",salt=",
         "virt_attest.verity: '' is not the third field, salt=HEX (at most 256 bytes) or salt=-"},
        {LEVEL3 " virt_attest.verity=h,uuid=" UUID ",salt=-,hash=sha1",
         "virt_attest.verity: 'sha1' is not the fourth field, hash=sha256 or hash=sha512"},
        {LEVEL3 " virt_attest.verity=h,uuid=" UUID ",salt=-,hash=sha256,data-block=8192",
         "virt_attest.verity: '8192' is not the fifth field, data-block=512, 1024, 2048 or 4096"},
        {LEVEL3 " virt_attest.verity=h,uuid=" UUID ",salt=-,hash=sha256,data-block=4096,hash-block=256",
         "virt_attest.verity: '256' is not the sixth field, hash-block=512, 1024, 2048 or 4096"},
        {LEVEL3 " virt_attest.verity=h,uuid=" UUID ",salt=-,hash=sha256,data-block=4096,hash-block=1536",
         "virt_attest.verity: '1536' is not the sixth field, hash-block=512, 1024, 2048 or 4096"},
        {LEVEL3 " virt_attest.verity=h,uuid=" UUID ",salt=-,hash=sha256,data-block=4096,hash-block=4096,data-blocks=0",
         "virt_attest.verity: '0' is not the seventh field, data-blocks=NUMBER"},
        {LEVEL3 " virt_attest.verity=h,uuid=" UUID
                ",salt=-,hash=sha256,data-block=4096,hash-block=4096,data-blocks=4503599627370496",
         "virt_attest.verity: '4503599627370496' is not the seventh field, data-blocks=NUMBER"},
        {LEVEL3 " virt_attest.verity=h,uuid=" UUID
                ",salt=-,hash=sha256,data-block=512,hash-block=4096,data-blocks=9007199254740992",
         "virt_attest.verity: '9007199254740992' is not the seventh field, data-blocks=NUMBER"},
        {LEVEL3 " " VERITY ",x=1", "virt_attest.verity: has more than its seven fields"},
        {LEVEL3 " " VERITY ",", "virt_attest.verity: has more than its seven fields"},
        {LEVEL3 " virt_attest.upper=disk",
         "virt_attest.upper: 'disk' is not none, tmpfs[:SIZE], encrypted:SERIAL or dirs[:home=SIZE,...]"},
        {LEVEL3 " virt_attest.upper=none:1",
         "virt_attest.upper: 'none:1' is not none, tmpfs[:SIZE], encrypted:SERIAL or dirs[:home=SIZE,...]"},
        {LEVEL3 " virt_attest.upper=encrypted",
         "virt_attest.upper: 'encrypted' is not none, tmpfs[:SIZE], encrypted:SERIAL or dirs[:home=SIZE,...]"},
        {LEVEL3 " virt_attest.upper=encrypted:a:1",
         "virt_attest.upper: 'a:1' is not a disk's serial (1 to 20 letters, digits and _.+-)"},
        /* tmpfs takes a size of 0 for no limit. */
        {LEVEL3 " virt_attest.upper=tmpfs:0", "virt_attest.upper: '0' is not a size (bytes, K, M, G, or 1% to 100%)"},
        {LEVEL3 " virt_attest.upper=tmpfs:", "virt_attest.upper: '' is not a size (bytes, K, M, G, or 1% to 100%)"},
        {LEVEL3 " virt_attest.upper=tmpfs:K", "virt_attest.upper: 'K' is not a size (bytes, K, M, G, or 1% to 100%)"},
        {LEVEL3 " virt_attest.upper=tmpfs:1k", "virt_attest.upper: '1k' is not a size (bytes, K, M, G, or 1% to 100%)"},
        {LEVEL3 " virt_attest.upper=tmpfs:101%",
         "virt_attest.upper: '101%' is not a size (bytes, K, M, G, or 1% to 100%)"},
        {LEVEL3 " virt_attest.upper=tmpfs:0%", "virt_attest.upper: '0%' is not a size (bytes, K, M, G, or 1% to 100%)"},
        {LEVEL3 " virt_attest.upper=tmpfs:1M,mode=0777",
         "virt_attest.upper: '1M,mode=0777' is not a size (bytes, K, M, G, or 1% to 100%)"},
        {LEVEL3 " virt_attest.upper=tmpfs:4294967296G",
         "virt_attest.upper: '4294967296G' is not a size (bytes, K, M, G, or 1% to 100%)"},
        {LEVEL3 " virt_attest.upper=dirs:",
         "virt_attest.upper: '' is not one of home=SIZE, etc=SIZE, var=SIZE, tmp=SIZE"},
        {LEVEL3 " virt_attest.upper=dirs:usr=1M",
         "virt_attest.upper: 'usr=1M' is not one of home=SIZE, etc=SIZE, var=SIZE, tmp=SIZE"},
        {LEVEL3 " virt_attest.upper=dirs:home",
         "virt_attest.upper: 'home' is not one of home=SIZE, etc=SIZE, var=SIZE, tmp=SIZE"},
        {LEVEL3 " virt_attest.upper=dirs:home=1M,",
         "virt_attest.upper: '' is not one of home=SIZE, etc=SIZE, var=SIZE, tmp=SIZE"},
        {LEVEL3 " virt_attest.upper=dirs:home=x",
         "virt_attest.upper: 'x' is not a size (bytes, K, M, G, or 1% to 100%)"},
        {LEVEL3 " virt_attest.upper=dirs:home=1M,home=2M", "virt_attest.upper: home is given twice"},
        {LEVEL3 " virt_attest.upper=none virt_attest.upper=none", "virt_attest.upper: is given twice"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        GuestWords words;
        char message[GUEST_MESSAGE_MAX];

        if (guest_words_parse(rows[i].cmdline, &words, message) == 0)
            g_error("'%s' was taken", rows[i].cmdline);
        g_assert_cmpstr(message, ==, rows[i].message);
    }
}

/* Long values are cut in the message, and a salt may fill its field but no more. */
static void test_limits(void)
{
    g_autofree gchar *salt = g_strnfill(2 * GUEST_SALT_MAX, 'a');
    g_autofree gchar *largest = g_strconcat("virt_attest.level=4 virt_attest.root=root:2 virt_attest.roothash=" HASH
                                            " virt_attest.verity=hash,uuid=" UUID ",salt=",
                                            salt, VERITY_TAIL, NULL);
    g_autofree gchar *larger =
        g_strconcat(LEVEL3 " virt_attest.verity=hash,uuid=" UUID ",salt=aa", salt, VERITY_TAIL, NULL);
    g_autofree gchar *endless = g_strnfill(100000, 'x');
    g_autofree gchar *name = g_strconcat(LEVEL3 " virt_attest.", endless, NULL);
    g_autofree gchar *value = g_strconcat(LEVEL3 " virt_attest.fs=", endless, NULL);
    GuestWords words = parsed(largest);
    char message[GUEST_MESSAGE_MAX];

    g_assert_cmpuint(words.salt_size, ==, GUEST_SALT_MAX);
    g_assert_cmpint(guest_words_parse(larger, &words, message), ==, -1);
    g_assert_true(g_str_has_prefix(message, "virt_attest.verity: 'aaaa"));
    g_assert_true(g_str_has_suffix(message, "...' is not the third field, salt=HEX (at most 256 bytes) or salt=-"));
    g_assert_cmpint(guest_words_parse(name, &words, message), ==, -1);
    g_assert_true(g_str_has_suffix(message, "xxx...: no such word"));
    g_assert_cmpint(guest_words_parse(value, &words, message), ==, -1);
    g_assert_true(g_str_has_suffix(message, "xxx...' is not one of ext4, xfs, btrfs"));
}

static void test_shell(void)
{
    static const char *const leading[] = {
        "init=/bin/sh",
        "rdinit=/bin/sh",
        "rdinit",
        "noinitrd",
        "initrd=\\evil.img",
        "initrd=0x1000,4096",
        "initrdmem=1,2",
        "bootconfig",
        "resume=/dev/vdc",
        "resume_offset=1",
        "kgdboc=ttyS0",
        "kgdbwait",
        "ekgdboc=kbd",
        "sysrq_always_enabled",
        "sysrq-always-enabled",
        "nfsroot=10.0.2.2:/",
        "single",
        "s",
        "S",
        "1",
        "-s",
        "-b",
        "emergency",
        "rescue",
        "recovery",
        "rd.emergency",
        "rd.rescue",
        "rd.break",
        "rd.break=pre-mount",
        "rd.shell",
        "rd.shell=1",
        "rd.cmdline=ask",
        "rdbreak",
        "rdshell",
        "break",
        "break=premount",
        "boot=live",
        "systemd.unit=emergency.target",
        "rd.systemd.unit=rescue.target",
        "systemd.unit",
        "systemd.debug_shell",
        "systemd.debug-shell",
        "systemd.debug-shell=1",
        "systemd.debug_shell=ttyS0",
        "rd.systemd.debug_shell",
        "systemd.default_debug_tty=ttyS0",
        "systemd.crash_shell",
        "systemd.crash-shell=yes",
        "systemd.confirm_spawn=ttyS0",
        "systemd.run=/bin/sh",
        "systemd.run_success_action=none",
        "systemd.wants=debug-shell.service",
        "systemd.break=pre-mount",
        "systemd.setenv=LD_PRELOAD=/tmp/x",
        "systemd.set_credential=passwd.plaintext-password.root:x",
        "systemd.set-credential-binary=ssh.authorized_keys.root:eA==",
        "systemd.import_credentials",
        "systemd.import_credentials=yes",
        "systemd.import-credentials=true",
        "rd.systemd.import_credentials=1",
        "systemd.early_core_pattern=|/bin/sh",
        "systemd.mount-extra=/dev/vdc:/usr",
        "systemd.swap-extra=/dev/vdc",
        "systemd.firstboot",
        "systemd.firstboot=yes",
        "systemd.condition_first_boot=1",
        "systemd.random_seed=eA==",
        "systemd.mask=apparmor.service",
        "systemd.mask",
        "systemd.ssh_listen=vsock::22",
        "systemd.ssh_auto=yes",
        "systemd.invented_in_2030=1",
        "systemd.",
        "sysctl.kernel.core_pattern=|/bin/sh",
        "sysctl.kernel/modprobe=/x",
        "sysctl/kernel/core_pattern=x",
        "sysctl.kernel.sysrq=1",
        "sysctl.kernel.core-pattern=x",
        "sysctl.fs.binfmt_misc.register=x",
        "LD_PRELOAD=/x",
        "LD-PRELOAD=/x",
        "SYSTEMD_PROC_CMDLINE=x",
        "PATH=/tmp",
        "mount.usr=/dev/vdc",
        "ds=nocloud;s=http://10.0.2.2/",
        "cc:",
        "cloud-config-url=http://x",
        "cloud-init=enabled",
        "ci.ds=x",
        "ignition.platform.id=qemu",
    };
    static const char *const harmless[] = {
        "",
        " ",
        "quiet",
        "debug",
        "ro",
        "rw",
        "console=ttyS0,115200",
        "initrd=initrd",
        "panic=-1",
        "root=/dev/vda2",
        "2",
        "3",
        "4",
        "5",
        "nosingle",
        "xinit=/bin/sh",
        "init_on_alloc=1",
        "initcall_debug",
        "rd.shell=0",
        "rd.emergency=poweroff",
        "systemd.debug_shell=0",
        "systemd.debug-shell=no",
        "systemd.crash_shell=false",
        "systemd.import_credentials=no",
        "systemd.import_credentials=0",
        "systemd.firstboot=off",
        "systemd.log_level=debug",
        "systemd.show_status=1",
        "systemd.journald.forward_to_console=1",
        "systemd.mask=serial-getty@ttyS0.service",
        "systemd.mask=debug-shell.service",
        "systemd.getty_auto=0",
        "systemd.hostname=a",
        "systemd.ssh_auto=no",
        "net.ifnames=0",
        "sysctl.vm.swappiness=1",
        "sysctl.kernel.panic=1",
        "sysctl.kernel.sysrq=0",
        "cloud-init=disabled",
        "module_blacklist=x",
        "s=1",
        "single=1",
        LEVEL4,
    };
    char word[GUEST_MESSAGE_MAX];

    for (gsize i = 0; i < G_N_ELEMENTS(leading); i++) {
        g_autofree gchar *inside = g_strconcat("console=ttyS0 ", leading[i], " " LEVEL4 "\n", NULL);

        if (guest_words_shell(leading[i], word) != 1)
            g_error("'%s' was overlooked", leading[i]);
        g_assert_cmpstr(word, ==, leading[i]);
        g_assert_cmpint(guest_words_shell(inside, word), ==, 1);
        g_assert_cmpstr(word, ==, leading[i]);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(harmless); i++) {
        if (guest_words_shell(harmless[i], word) != 0)
            g_error("'%s' in '%s' was taken for a way to a shell", word, harmless[i]);
        g_assert_cmpstr(word, ==, "");
    }
}

/* Spellings that one reader of the command line takes for the word, another not. */
static void test_shell_quotes(void)
{
    static const char *const rows[] = {
        "\"init=/bin/sh\"",
        "init=\"/bin/sh\"",
        "'systemd.unit=emergency.target'",
        "sys\"temd.unit\"=x",
        "sys'temd'.unit=x",
        "\"emergency\"",
        "'rescue'",
        "quiet\temergency",
        "quiet\vemergency",
        "quiet\xa0single",
        "-- single",
        "x=\"y rd.break z\"",
        "systemd.debug_shell=0 systemd.debug_shell=1",
        "systemd.unit=x",
        "\"systemd.unit=x y\"",
    };
    g_autofree gchar *endless = g_strnfill(100000, 'x');
    g_autofree gchar *value = g_strconcat("systemd.unit=", endless, NULL);
    g_autofree gchar *quotes = g_strnfill(100000, '\'');
    g_autofree gchar *hidden = g_strconcat(quotes, "emergency", quotes, NULL);
    char word[GUEST_MESSAGE_MAX];

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (guest_words_shell(rows[i], word) != 1)
            g_error("'%s' was overlooked", rows[i]);
    }
    g_assert_cmpint(guest_words_shell(value, word), ==, 1);
    g_assert_true(g_str_has_suffix(word, "xxx..."));
    g_assert_cmpint(guest_words_shell(hidden, word), ==, 1);
    g_assert_cmpint(guest_words_shell(endless, word), ==, 0);
}

#define LIST "virt-attest-initrd 1\nlevel 4\nkernel 6.12.57+deb13-cloud-amd64\n"

static void test_list(void)
{
    static const char text[] = LIST "module required 0000-virtio.ko\nmodule optional 0001-sha256-ssse3.ko\n";
    g_autofree GuestInitrdList *list = g_new(GuestInitrdList, 1);
    char message[GUEST_MESSAGE_MAX];

    g_assert_cmpint(guest_initrd_list_parse(text, strlen(text), list, message), ==, 0);
    g_assert_cmpuint(list->level, ==, 4);
    g_assert_cmpstr(list->kernel, ==, "6.12.57+deb13-cloud-amd64");
    g_assert_cmpuint(list->n_modules, ==, 2);
    g_assert_cmpstr(list->modules[0].name, ==, "0000-virtio.ko");
    g_assert_true(list->modules[0].required);
    g_assert_cmpstr(list->modules[1].name, ==, "0001-sha256-ssse3.ko");
    g_assert_false(list->modules[1].required);
    g_assert_cmpint(guest_initrd_list_parse(LIST, strlen(LIST), list, message), ==, 0);
    g_assert_cmpuint(list->n_modules, ==, 0);
}

static void test_list_bad(void)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "initrd.list, line 1: '' is not 'virt-attest-initrd 1'"},
        {"virt-attest-initrd 1", "initrd.list, line 1: '' is not 'virt-attest-initrd 1'"},
        {"virt-attest-initrd 2\n", "initrd.list, line 1: 'virt-attest-initrd 2' is not 'virt-attest-initrd 1'"},
        {"virt-attest-initrd 1\n", "initrd.list, line 2: '' is not 'level 0', 'level 3' or 'level 4'"},
        {"virt-attest-initrd 1\nlevel 1\n", "initrd.list, line 2: 'level 1' is not 'level 0', 'level 3' or 'level 4'"},
        {"virt-attest-initrd 1\nlevel 4\n", "initrd.list, line 3: '' is not 'kernel RELEASE'"},
        {"virt-attest-initrd 1\nlevel 4\nkernel \n", "initrd.list, line 3: '' is not 'kernel RELEASE'"},
        {"virt-attest-initrd 1\nlevel 4\nkernel ../x\n", "initrd.list, line 3: '../x' is not 'kernel RELEASE'"},
        {"virt-attest-initrd 1\nkernel x\nlevel 4\n",
         "initrd.list, line 2: 'kernel x' is not 'level 0', 'level 3' or 'level 4'"},
        {LIST "\n", "initrd.list, line 4: '' is not 'module required|optional NAME'"},
        {LIST "module maybe 0000-x.ko\n",
         "initrd.list, line 4: 'module maybe 0000-x.ko' is not 'module required|optional NAME'"},
        {LIST "module required 0000-x.ko", "initrd.list, line 4: has no newline at its end"},
        {LIST "module required 0001-x.ko\n",
         "initrd.list, line 4: '0001-x.ko' is not a module's file name with its number in front"},
        {LIST "module required 0000-.ko\n",
         "initrd.list, line 4: '0000-.ko' is not a module's file name with its number in front"},
        {LIST "module required 0000-../x.ko\n",
         "initrd.list, line 4: '0000-../x.ko' is not a module's file name with its number in front"},
        {LIST "module required 0000-x.ko.xz\n",
         "initrd.list, line 4: '0000-x.ko.xz' is not a module's file name with its number in front"},
        {LIST "module required 0000-x.ko\nmodule required 0000-x.ko\n",
         "initrd.list, line 5: '0000-x.ko' is not a module's file name with its number in front"},
        {LIST "module required 0000-x\x1b.ko\n",
         "initrd.list, line 4: '0000-x?.ko' is not a module's file name with its number in front"},
    };
    g_autofree GuestInitrdList *list = g_new(GuestInitrdList, 1);
    char message[GUEST_MESSAGE_MAX];

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (guest_initrd_list_parse(rows[i].text, strlen(rows[i].text), list, message) == 0)
            g_error("row %" G_GSIZE_FORMAT " was taken", i);
        g_assert_cmpstr(message, ==, rows[i].message);
    }
}

/* As many modules as there is room for, and one more; a zero byte; a list that is too long. */
static void test_list_limits(void)
{
    g_autofree GuestInitrdList *list = g_new(GuestInitrdList, 1);
    g_autoptr(GString) text = g_string_new(LIST);
    char message[GUEST_MESSAGE_MAX];

    for (int i = 0; i < GUEST_INITRD_MODULES_MAX; i++)
        g_string_append_printf(text, "module optional %04d-m.ko\n", i);
    g_assert_cmpint(guest_initrd_list_parse(text->str, text->len, list, message), ==, 0);
    g_assert_cmpuint(list->n_modules, ==, GUEST_INITRD_MODULES_MAX);
    g_string_append_printf(text, "module optional %04d-m.ko\n", GUEST_INITRD_MODULES_MAX);
    g_assert_cmpint(guest_initrd_list_parse(text->str, text->len, list, message), ==, -1);
    g_assert_cmpstr(message, ==, "initrd.list, line 516: more than 512 modules");
    g_string_assign(text, LIST);
    g_string_append_len(text, "module optional 0000-x\0.ko\n", 27);
    g_assert_cmpint(guest_initrd_list_parse(text->str, text->len, list, message), ==, -1);
    g_string_set_size(text, GUEST_INITRD_LIST_MAX + 1);
    g_assert_cmpint(guest_initrd_list_parse(text->str, text->len, list, message), ==, -1);
    g_assert_cmpstr(message, ==, "initrd.list, line 1: the list is larger than 65536 bytes");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/words/level-3", test_level3);
    g_test_add_func("/words/level-4", test_level4);
    g_test_add_func("/words/upper", test_upper);
    g_test_add_func("/words/quotes", test_quotes);
    g_test_add_func("/words/round-trip", test_round_trip);
    g_test_add_func("/words/bad", test_bad);
    g_test_add_func("/words/limits", test_limits);
    g_test_add_func("/words/shell", test_shell);
    g_test_add_func("/words/shell-quotes", test_shell_quotes);
    g_test_add_func("/initrd-list/good", test_list);
    g_test_add_func("/initrd-list/bad", test_list_bad);
    g_test_add_func("/initrd-list/limits", test_list_limits);
    return g_test_run();
}
