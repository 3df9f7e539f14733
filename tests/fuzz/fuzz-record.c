/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A record file. */
#include "hooks/record.h"
#include "tests/fuzz/history-fixture.h"

static XmlDomain *domain;
static const char domain_xml[] = "<domain type='kvm'><name>guest1</name><uuid>" UUID "</uuid><vcpu>1</vcpu>"
                                 "<os><type arch='x86_64' machine='q35'>hvm</type></os>"
                                 "<launchSecurity type='sev-snp'><policy>0x30000</policy></launchSecurity></domain>";

static void clean_up(void)
{
    xml_domain_free(domain);
}

static void read_record(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(HookRecord) record = hook_record_read(store, UUID, &error);

    if (!record && !error)
        abort();
    if (record && strcmp(record->uuid, UUID))
        abort();
    /* What can be read can be brought up to date, and read again. */
    if (record && record->launches->len && record->launches->len < 4) {
        const HookLaunch *newest = g_ptr_array_index(record->launches, record->launches->len - 1);
        gboolean added = !strcmp(newest->state, "stopped");
        g_autoptr(HookRecord) again = NULL;

        if (!hook_record_stopped(store, domain, 10, &error))
            abort();
        if (!hook_record_released(store, domain, "destroyed", 10, &error))
            abort();
        again = hook_record_read(store, UUID, &error);
        if (!again || again->launches->len != record->launches->len + (added ? 1 : 0))
            abort();
    } else if (!record) {
        hook_record_stopped(store, domain, 10, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    history_set_up("records");
    if (!domain) {
        domain = xml_domain_parse(domain_xml, -1, NULL);
        if (!domain)
            abort();
        atexit(clean_up);
    }
    history_feed(data, size, read_record);
    return 0;
}
