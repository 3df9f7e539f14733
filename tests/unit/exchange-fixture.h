/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A reference that has everything which foreign formats can carry, written by hand. */
#pragma once

#include <string.h>

#include "policy/exchange/digests.h"

#define HEX8(c) c c c c c c c c
#define HEX48(c) HEX8(c) HEX8(c) HEX8(c) HEX8(c) HEX8(c) HEX8(c)
/* 96 digits each. */
#define DIGEST_MILAN HEX48("a1")
#define DIGEST_SIGNATURE HEX48("b2")
#define SHA_A HEX8("aa") HEX8("aa") HEX8("aa") HEX8("aa")
#define SHA_B HEX8("bb") HEX8("bb") HEX8("bb") HEX8("bb")
#define SHA_C HEX8("cc") HEX8("cc") HEX8("cc") HEX8("cc")
#define HOST_DATA HEX8("d4") HEX8("d4") HEX8("d4") HEX8("d4")
/* The digest is sha256sum's, of the text and one NUL. */
#define CMDLINE_JSON "root=/dev/vda2 a=\\\"b c\\\" 'quoted' $(x) `y` \\\\ &"
#define CMDLINE "root=/dev/vda2 a=\"b c\" 'quoted' $(x) `y` \\ &"
#define CMDLINE_SIZE "44"
#define CMDLINE_SHA "1f5f238b2775c4b3ef3b894036d03c5e5618b324b4410760e76af17ce9e64003"

#define FIXTURE_MEASUREMENT_MILAN                                                                                      \
    "{\"cpu\":\"EPYC-Milan\",\"signature\":\"0xa00f11\",\"features\":\"0x1\",\"vcpus\":2,\"digest\":\"" DIGEST_MILAN   \
    "\"}"
#define FIXTURE_MEASUREMENT_SIGNATURE                                                                                  \
    "{\"cpu\":\"0xa00f12\",\"signature\":\"0xa00f12\",\"features\":\"0x1\",\"vcpus\":2,\"digest\":\"" DIGEST_SIGNATURE \
    "\"}"
#define FIXTURE_IDENTITY                                                                                               \
    "\"idBlock\":{\"idKeyDigest\":\"" HEX48("11") "\",\"authorKeyDigest\":\"" HEX48(                                   \
        "22") "\","                                                                                                    \
              "\"familyId\":\"000102030405060708090a0b0c0d0e0f\",\"imageId\":\"101112131415161718191a1b1c1d1e1f\","    \
              "\"guestSvn\":300},"
#define FIXTURE_RULES                                                                                                  \
    "\"product\":\"Milan\",\"minimumTcb\":{\"bootloader\":3,\"tee\":0,\"snp\":14,\"microcode\":209},"                  \
    "\"platformInfo\":{\"value\":\"0x1\",\"mask\":\"0xffffffffffffffff\"},"

#define FIXTURE_TEXT                                                                                                   \
    "{\"format\":\"virt-attest-reference-1\",\"domain\":{\"name\":\"guest\"},\"platform\":\"sev-snp\",\"level\":3,"    \
    "\"findings\":[],\"measurements\":[" FIXTURE_MEASUREMENT_MILAN "," FIXTURE_MEASUREMENT_SIGNATURE "],"              \
    "\"inputs\":{\"firmware\":{\"path\":\"/fw/OVMF.fd\",\"size\":4194304,\"sha256\":\"" SHA_A "\"},"                   \
    "\"kernel\":{\"path\":\"/boot/vmlinuz\",\"size\":8,\"sha256\":\"" SHA_B "\"},"                                     \
    "\"initrd\":{\"path\":\"/boot/initrd\",\"size\":9,\"sha256\":\"" SHA_C "\"},"                                      \
    "\"cmdline\":{\"text\":\"" CMDLINE_JSON "\",\"size\":" CMDLINE_SIZE ",\"sha256\":\"" CMDLINE_SHA "\"}},"           \
    "\"policy\":\"0x30000\",\"kernelHashes\":true,\"fpu\":\"init2\",\"hostData\":\"" HOST_DATA                         \
    "\",\"authorKey\":true,"                                                                                           \
    "\"vcek\":true," FIXTURE_IDENTITY FIXTURE_RULES "\"emulator\":\"/usr/bin/qemu-system-x86_64\","                    \
    "\"tool\":\"virt-attest 0.1.0\"}"

static inline PolicyReference *fixture_parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    PolicyReference *reference = policy_reference_parse(text, -1, &error);

    g_assert_no_error(error);
    return reference;
}

/* FIXTURE_TEXT with @old, which must be there, replaced. */
static inline PolicyReference *fixture_changed(const char *old_part, const char *new_part)
{
    const char *at = strstr(FIXTURE_TEXT, old_part);
    g_autofree gchar *head = NULL;
    g_autofree gchar *text = NULL;

    if (!at)
        g_error("'%s' is not in the fixture", old_part);
    head = g_strndup(FIXTURE_TEXT, (gsize)(at - FIXTURE_TEXT));
    text = g_strconcat(head, new_part, at + strlen(old_part), NULL);
    return fixture_parse(text);
}

static inline PolicyReference *fixture(void)
{
    return fixture_parse(FIXTURE_TEXT);
}

/* One measurement only. */
static inline PolicyReference *fixture_single(void)
{
    return fixture_changed("," FIXTURE_MEASUREMENT_SIGNATURE, "");
}

/* @error says @words and has @code. */
static inline void assert_refused(GError *error, gint code, const char *words)
{
    g_assert_error(error, ATTEST_ERROR, code);
    if (!strstr(error->message, words))
        g_error("'%s' is not in '%s'", words, error->message);
}
