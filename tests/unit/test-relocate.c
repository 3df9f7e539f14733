/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain XML that goes to another host: what changes, and that nothing else does. */
#include "xml/relocate.h"

#include <string.h>

#include "measure/error.h"

static const char *const source =
    "<!-- before -->\n"
    "<domain xmlns:app='urn:example' type='kvm'>\n"
    "  <name>guest</name>\n"
    "  <uuid>4628b277-cd81-4b55-b30c-ba36606ea5b6</uuid>\n"
    "  <metadata><app:note>a &lt; b &amp; müsli<![CDATA[ <raw> ]]></app:note></metadata>\n"
    "  <memory unit='KiB'>1024</memory>\n"
    "  <os firmware='efi'>\n"
    "    <type arch='x86_64' machine='pc-q35-10.0'>hvm</type>\n"
    "    <firmware><feature enabled='no' name='secure-boot'/></firmware>\n"
    "    <loader type='rom' format='raw'>/usr/share/ovmf/OVMF.amdsev.fd</loader>\n"
    "    <kernel>/boot/vmlinuz</kernel>\n"
    "    <initrd>/boot/initrd</initrd>\n"
    "    <cmdline>a  &quot;b&quot;</cmdline>\n"
    "  </os>\n"
    "  <devices>\n"
    "    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n"
    "    <disk type='block' device='disk'>\n"
    "      <driver name='qemu' type='raw'/>\n"
    "      <source dev='/dev/x' index='1'/>\n"
    "      <backingStore type='file'><source file='/base'/></backingStore>\n"
    "      <target dev='vda' bus='virtio'/>\n"
    "      <readonly/>\n"
    "    </disk>\n"
    "    <disk type='file' device='cdrom'>\n"
    "      <target dev='sda' bus='sata'/>\n"
    "    </disk>\n"
    "    <graphics type='vnc' port='-1' passwd='hunter2' passwdValidTo='2030-01-01T00:00:00'/>\n"
    "  </devices>\n"
    "</domain>\n";

/* @source with the pairs (old, new) exchanged, each of which is in it once. */
static gchar *expected(const char *first, ...)
{
    g_autoptr(GString) text = g_string_new(source);
    va_list args;
    const char *from = first;

    va_start(args, first);
    while (from) {
        g_assert_cmpuint(g_string_replace(text, from, va_arg(args, const char *), 0), ==, 1);
        from = va_arg(args, const char *);
    }
    va_end(args);
    /* libxml2 writes attributes in double quotes, and a quotation mark in a text as it is. */
    g_string_replace(text, "'", "\"", 0);
    g_string_replace(text, "&quot;", "\"", 0);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void assert_result(const XmlRelocate *changes, gchar *wanted)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *found = xml_relocate(source, -1, changes, &error);
    g_autofree gchar *text = wanted;

    g_assert_no_error(error);
    g_assert_cmpstr(found, ==, text);
}

static void test_nothing(void)
{
    XmlRelocate changes = {NULL};

    assert_result(&changes, expected(NULL));
}

static void test_boot_files(void)
{
    XmlRelocate changes = {.firmware = "firmware", .kernel = "/a & b/<k>", .initrd = "initrd"};

    assert_result(&changes, expected("/usr/share/ovmf/OVMF.amdsev.fd", "firmware", "/boot/vmlinuz",
                                     "/a &amp; b/&lt;k&gt;", "/boot/initrd", "initrd", NULL));
    changes = (XmlRelocate){.firmware = "/f", .fixed_firmware = TRUE};
    assert_result(&changes, expected("/usr/share/ovmf/OVMF.amdsev.fd", "/f", " firmware='efi'", "",
                                     "<firmware><feature enabled='no' name='secure-boot'/></firmware>", "", NULL));
}

static void test_identity(void)
{
    XmlRelocate changes = {.name = "a&b", .uuid = "00000000-0000-4000-8000-000000000001"};

    assert_result(&changes, expected("guest", "a&amp;b", "4628b277-cd81-4b55-b30c-ba36606ea5b6",
                                     "00000000-0000-4000-8000-000000000001", NULL));
    changes = (XmlRelocate){.uuid = ""};
    assert_result(&changes, expected("<uuid>4628b277-cd81-4b55-b30c-ba36606ea5b6</uuid>", "", NULL));
}

static void test_devices(void)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)xml_disk_move_free);
    XmlRelocate changes = {.drop_secrets = TRUE};
    XmlDiskMove *move = g_new0(XmlDiskMove, 1);

    assert_result(&changes, expected(" passwd='hunter2' passwdValidTo='2030-01-01T00:00:00'", "", NULL));
    changes = (XmlRelocate){.emulator = ""};
    assert_result(&changes, expected("<emulator>/usr/bin/qemu-system-x86_64</emulator>", "", NULL));
    move->target = g_strdup("vda");
    move->path = g_strdup("/images/a & b.qcow2");
    g_ptr_array_add(disks, move);
    changes = (XmlRelocate){.disks = disks};
    assert_result(&changes, expected("type='block'", "type='file'", "<source dev='/dev/x' index='1'/>", "",
                                     "<backingStore type='file'><source file='/base'/></backingStore>", "",
                                     "<target dev='vda'", "<source file='/images/a &amp; b.qcow2'/><target dev='vda'",
                                     NULL));
    g_free(move->target);
    g_free(move->path);
    move->target = g_strdup("sda");
    move->path = g_strdup("/dev/cdrom");
    assert_result(&changes, expected("<disk type='file' device", "<disk type='block' device", "<target dev='sda'",
                                     "<source dev='/dev/cdrom'/><target dev='sda'", NULL));
}

static void refused(const char *xml, const XmlRelocate *changes, int code, const char *says)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(xml_relocate(xml, -1, changes, &error));
    g_assert_error(error, ATTEST_ERROR, code);
    if (!strstr(error->message, says))
        g_error("'%s' does not say '%s'", error->message, says);
}

static void test_refused(void)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)xml_disk_move_free);
    XmlRelocate nothing = {NULL}, kernel = {.kernel = "kernel"}, control = {.name = "a\x01"}, disk = {.disks = disks};
    XmlDiskMove *move = g_new0(XmlDiskMove, 1);

    move->target = g_strdup("vd\x1b");
    move->path = g_strdup("/x");
    g_ptr_array_add(disks, move);
    refused(source, &disk, ATTEST_ERROR_USAGE, "the domain has no disk 'vd\\x1b': it has vda, sda");
    refused(source, &control, ATTEST_ERROR_USAGE, "cannot be written in XML");
    refused("<domain><os/></domain>", &kernel, ATTEST_ERROR_UNREADABLE, "there is no <kernel> inside <os>");
    refused("<domain/>", &nothing, ATTEST_ERROR_UNREADABLE, "there is no <os>");
    refused("<domain><os/><os/></domain>", &nothing, ATTEST_ERROR_UNREADABLE, "a second <os>");
    refused("<!DOCTYPE x><domain/>", &nothing, ATTEST_ERROR_UNREADABLE, "DOCTYPE");
    refused("text", &nothing, ATTEST_ERROR_UNREADABLE, "line 1");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relocate/nothing", test_nothing);
    g_test_add_func("/relocate/boot-files", test_boot_files);
    g_test_add_func("/relocate/identity", test_identity);
    g_test_add_func("/relocate/devices", test_devices);
    g_test_add_func("/relocate/refused", test_refused);
    return g_test_run();
}
