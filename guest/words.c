/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/words.h"

const char *const guest_dir_names[GUEST_DIRS] = {"home", "etc", "var", "tmp"};
