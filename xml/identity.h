/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a domain XML tells the secure processor besides the launch: ID block, its author, host data. */
#pragma once

#include <glib.h>

/**
 * XmlIdentity:
 * @id_block: (nullable): 96 bytes for <idBlock>; %NULL leaves ID block, ID authentication page and authorKey alone
 * @id_auth: 4096 bytes for <idAuth>; needed with @id_block
 * @author_key: for the attribute authorKey, with @id_block
 * @host_data: (nullable): 32 bytes for <hostData>; %NULL leaves it alone
 */
typedef struct {
    const guint8 *id_block, *id_auth;
    gboolean author_key;
    const guint8 *host_data;
} XmlIdentity;

/**
 * xml_document_set_identity:
 * @domain_xml: a domain XML with <launchSecurity type='sev-snp'>
 *
 * Sets the elements, replacing what is there, and keeps everything else, comments and metadata included. New elements
 * come in the order in which libvirt writes them.
 *
 * Returns: (transfer full): the document, in UTF-8; %ATTEST_ERROR_UNREADABLE when it is no domain XML of that type.
 */
gchar *xml_document_set_identity(const char *domain_xml, gssize size, const XmlIdentity *identity, GError **error);
