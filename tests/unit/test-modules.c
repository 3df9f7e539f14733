/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which modules go together, and in which order. The texts are as depmod writes them. */
#include "storage/modules.h"

#include <string.h>

#include "guest/initrd-list.h"

/* The lists of depmod: what is loaded first stands last. */
#define DEP                                                                                                            \
    "kernel/fs/ext4/ext4.ko.xz: kernel/fs/mbcache.ko.xz kernel/fs/jbd2/jbd2.ko.xz kernel/lib/libcrc32c.ko.xz\n"        \
    "kernel/fs/mbcache.ko.xz:\n"                                                                                       \
    "kernel/fs/jbd2/jbd2.ko.xz: kernel/lib/libcrc32c.ko.xz\n"                                                          \
    "kernel/lib/libcrc32c.ko.xz:\n"                                                                                    \
    "kernel/crypto/crc32c_generic.ko.xz:\n"                                                                            \
    "kernel/arch/x86/crypto/crc32c-intel.ko.xz:\n"                                                                     \
    "kernel/drivers/md/dm-mod.ko.zst:\n"                                                                               \
    "kernel/drivers/md/dm-verity.ko.gz: kernel/lib/reed_solomon/reed_solomon.ko kernel/drivers/md/dm-bufio.ko "        \
    "kernel/drivers/md/dm-mod.ko.zst\n"                                                                                \
    "kernel/drivers/md/dm-bufio.ko: kernel/drivers/md/dm-mod.ko.zst\n"                                                 \
    "kernel/lib/reed_solomon/reed_solomon.ko:\n"                                                                       \
    "updates/dkms/xts.ko:\n"                                                                                           \
    "kernel/crypto/ecb.ko:\n"
#define SOFTDEP                                                                                                        \
    "# Soft dependencies extracted from modules themselves.\n"                                                         \
    "softdep libcrc32c pre: crc32c\nsoftdep xts pre: ecb absent post: dm_mod\nsoftdep ecb xts\n"
#define ALIAS                                                                                                          \
    "alias crc32c crc32c_generic\nalias crc32c crc32c_intel\nalias crypto-crc32c crc32c_generic\n"                     \
    "alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci\n"

static StorageModules *parse(const char *dep)
{
    StorageModuleTexts texts = {dep, "kernel/drivers/virtio/virtio.ko\nkernel/fs/ext2/ext2.ko\n", SOFTDEP, ALIAS};
    g_autoptr(GError) error = NULL;
    StorageModules *modules = storage_modules_parse(&texts, &error);

    g_assert_no_error(error);
    return modules;
}

static void want(StorageModules *modules, const char *name, gboolean required)
{
    g_autoptr(GError) error = NULL;

    storage_modules_want(modules, name, required, &error);
    g_assert_no_error(error);
}

/* "name!" for required ones, in order. */
static void assert_order(const StorageModules *modules, const char *expected)
{
    const GPtrArray *wanted = storage_modules_wanted(modules);
    g_autoptr(GString) order = g_string_new(NULL);

    for (guint i = 0; i < wanted->len; i++) {
        const StorageModule *module = g_ptr_array_index(wanted, i);

        g_string_append_printf(order, "%s%s%s", i ? " " : "", module->name, module->required ? "!" : "");
    }
    g_assert_cmpstr(order->str, ==, expected);
}

static void test_closure(void)
{
    g_autoptr(StorageModules) modules = parse(DEP);

    g_assert_true(storage_modules_has(modules, "dm_verity"));
    g_assert_true(storage_modules_has(modules, "dm-verity"));
    g_assert_true(storage_modules_has(modules, "crc32c-intel"));
    g_assert_false(storage_modules_has(modules, "virtio"));
    g_assert_true(storage_modules_builtin(modules, "virtio"));
    g_assert_false(storage_modules_builtin(modules, "dm_verity"));

    want(modules, "dm_verity", TRUE);
    assert_order(modules, "dm-mod.ko! dm-bufio.ko! reed_solomon.ko! dm-verity.ko!");
    g_assert_cmpstr(((StorageModule *)g_ptr_array_index(storage_modules_wanted(modules), 0))->path, ==,
                    "kernel/drivers/md/dm-mod.ko.zst");
    want(modules, "dm-mod", FALSE);
    assert_order(modules, "dm-mod.ko! dm-bufio.ko! reed_solomon.ko! dm-verity.ko!");
}

/* Soft dependencies come before, by alias too, and are never required. */
static void test_soft(void)
{
    g_autoptr(StorageModules) modules = parse(DEP);

    want(modules, "ext4", TRUE);
    assert_order(modules, "crc32c_generic.ko crc32c-intel.ko libcrc32c.ko! jbd2.ko! mbcache.ko! ext4.ko!");
    /* Words before "pre:" and behind "post:" are none. */
    want(modules, "xts", FALSE);
    assert_order(modules,
                 "crc32c_generic.ko crc32c-intel.ko libcrc32c.ko! jbd2.ko! mbcache.ko! ext4.ko! ecb.ko xts.ko");
}

/* What is optional first and required later is required, with all that it needs. */
static void test_upgrade(void)
{
    g_autoptr(StorageModules) modules = parse(DEP);

    want(modules, "dm_verity", FALSE);
    assert_order(modules, "dm-mod.ko dm-bufio.ko reed_solomon.ko dm-verity.ko");
    want(modules, "dm_bufio", TRUE);
    assert_order(modules, "dm-mod.ko! dm-bufio.ko! reed_solomon.ko dm-verity.ko");
}

static void refused(const char *dep, const char *name, const char *says)
{
    StorageModuleTexts texts = {.dep = dep};
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageModules) modules = storage_modules_parse(&texts, &error);

    if (modules && name)
        g_assert_false(storage_modules_want(modules, name, TRUE, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, says))
        g_error("'%s' is not in '%s'", says, error->message);
}

static void test_refused(void)
{
    g_autoptr(GString) chain = g_string_new(NULL);
    g_autoptr(GString) many = g_string_new("a.ko:");

    refused("../../etc/shadow.ko:\n", NULL, "no module below");
    refused("/etc/x.ko:\n", NULL, "no module below");
    refused("kernel/./x.ko:\n", NULL, "no module below");
    refused("kernel//x.ko:\n", NULL, "no module below");
    refused("kernel/x.txt:\n", NULL, "no module below");
    refused("kernel/.ko:\n", NULL, "no module below");
    refused("kernel/a b.ko:\n", NULL, "no module below");
    refused("kernel/\x1b[2J.ko:\n", NULL, "\\x1b[2J");
    refused("kernel/x.ko\n", NULL, "no line of depmod");
    refused("kernel/x.ko:\nkernel/y/x.ko.xz:\n", NULL, "twice");
    refused("a.ko: b.ko\n", "a", "no line of its own");
    refused("a.ko: ../../b.ko\nb.ko:\n", "a", "no line of its own");
    refused("a.ko: b.ko\nb.ko: a.ko\n", "a", "depends on itself");
    refused("a.ko: a.ko\n", "a", "depends on itself");
    for (guint i = 0; i < 3000; i++)
        g_string_append_printf(chain, "m%u.ko: m%u.ko\n", i, i + 1);
    g_string_append(chain, "m3000.ko:\n");
    refused(chain->str, "m0", "one module too many");
    for (guint i = 0; i <= GUEST_INITRD_MODULES_MAX; i++)
        g_string_append_printf(many, " m%u.ko", i);
    g_string_append(many, "\n");
    for (guint i = 0; i <= GUEST_INITRD_MODULES_MAX; i++)
        g_string_append_printf(many, "m%u.ko:\n", i);
    refused(many->str, "a", "one module too many");
    {
        g_autofree gchar *lines = g_strnfill(70000, '\n');
        refused(lines, NULL, "too many lines");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/modules/closure", test_closure);
    g_test_add_func("/modules/soft", test_soft);
    g_test_add_func("/modules/upgrade", test_upgrade);
    g_test_add_func("/modules/refused", test_refused);
    return g_test_run();
}
