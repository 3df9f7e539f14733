/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "xml/document.h"
#include "xml/domain.h"

/* Fills the launch fields of @domain from the <launchSecurity> below @root, if there is one. */
gboolean xml_read_launch_security(xmlNode *root, XmlDomain *domain, GError **error);
