/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What undefine does with the volumes of ours that a domain was defined with. */
#pragma once

#include "storage/volume.h"
#include "virsh-wrappers/connection.h"

/* (element-type StorageVolume): of the domain @uuid. */
GPtrArray *cmd_undefine_find(PolicyStore *store, const char *uuid, GError **error);
/* (element-type utf8): the paths of everything that belongs to @volumes. */
GPtrArray *cmd_undefine_paths(GPtrArray *volumes);
/**
 * cmd_undefine_forget:
 * @volumes: of a domain that is gone
 *
 * A volume whose overlay was removed loses its document, and what the domain did not name; one that stays belongs to
 * nobody from now on.
 */
gboolean cmd_undefine_forget(PolicyStore *store, virConnectPtr connection, GPtrArray *volumes, GError **error);
