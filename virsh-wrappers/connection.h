/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt: connections, domains, and its errors as ours. */
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "measure/foreign-autoptr.h"
#include "virsh-wrappers/context.h"

/**
 * cmd_libvirt_error:
 * @what: what was tried: "cannot start domain 'x'"
 *
 * Sets %ATTEST_ERROR_LIBVIRT with @what and libvirt's last message; always returns %FALSE.
 */
gboolean cmd_libvirt_error(GError **error, const char *what, ...) G_GNUC_PRINTF(2, 3);

/* Opens what --connect, LIBVIRT_DEFAULT_URI or VIRSH_DEFAULT_CONNECT_URI name; libvirt's default otherwise. */
VirConnection *cmd_connect(const CmdContext *context, GError **error);
/* Loads the library, once; no function of libvirt may be called before. */
gboolean cmd_libvirt_load(GError **error);
/* The same for its second library, which has virDomainQemuAgentCommand() only. */
gboolean cmd_libvirt_qemu_load(GError **error);
/* virConnectAuthPtrDefault: asks on the terminal for what libvirt wants to know. */
virConnectAuthPtr cmd_libvirt_auth(void);

/**
 * cmd_require_local:
 * Measurements read this machine's files: %ATTEST_ERROR_USAGE when @connection goes to another one.
 */
gboolean cmd_require_local(virConnectPtr connection, GError **error);

/**
 * cmd_require_hook:
 * The state folder belongs to the hook of the QEMU driver on this machine: %ATTEST_ERROR_USAGE when @connection is
 * something else, whose domains may have the same UUIDs. For root qemu:///session is the system daemon too.
 */
gboolean cmd_require_hook(virConnectPtr connection, GError **error);

/**
 * cmd_context_store_for:
 * @connection: the libvirt whose domains are meant
 *
 * The state folder that the hook of that libvirt uses: the system's for a system daemon, whoever asks. For reading;
 * owned by @context. cmd_context_store_writable_for() makes it and proves that it can be written, and refuses
 * (%ATTEST_ERROR_NOT_CONFIGURED) a folder where the hook would not look.
 */
PolicyStore *cmd_context_store_for(CmdContext *context, virConnectPtr connection, GError **error);
PolicyStore *cmd_context_store_writable_for(CmdContext *context, virConnectPtr connection, GError **error);

/* The domain of --domain or of the first word. */
const char *cmd_domain_word(const CmdContext *context);
/* By id, UUID or name, tried in virsh's order. */
VirDomainHandle *cmd_domain_lookup(virConnectPtr connection, const char *word, GError **error);
/* Like cmd_domain_lookup(), but a domain that does not exist is NULL without @error. */
gboolean cmd_domain_lookup_name(virConnectPtr connection, const char *name, VirDomainHandle **out, GError **error);

/* The persistent definition with its secrets (not on a read-only connection); the live one of a transient domain. */
gchar *cmd_domain_xml(virDomainPtr domain, GError **error);
/* "running", "shut off", …: virsh's words. */
const char *cmd_domain_state(virDomainPtr domain);
gboolean cmd_domain_uuid(virDomainPtr domain, gchar **out, GError **error);
