/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a running command knows: its arguments, and configuration and state, which are read when first asked for. */
#pragma once

#include "policy/store.h"
#include "virsh-wrappers/options.h"

typedef struct CmdContext CmdContext;

/**
 * CmdHandler:
 * Returns: the exit code. When @error is set the program prints it and exits with its code instead.
 */
typedef int (*CmdHandler)(CmdContext *context, GError **error);

/**
 * CmdCommand:
 * @name: the command's name; %NULL ends the table
 * @arguments: forms of the command line behind the name, one a line
 * @words_min, @words_max: how many words it takes besides options
 * @summary: one phrase
 * @description: what it does, in one paragraph, for --help
 * @options: its own options
 * @run: the handler
 */
typedef struct {
    const char *name, *arguments;
    guint words_min, words_max;
    const char *summary, *description;
    const CmdOption *options;
    CmdHandler run;
} CmdCommand;

struct CmdContext {
    const CmdCommand *command;
    CmdArguments *globals;   /* given before the command's name */
    CmdArguments *arguments; /* given behind it, global ones included */
    PolicyConfig *config;
    PolicyStore *store;
    struct CmdDefineIdentity *identity; /* see cmd_define_identity() */
    struct CmdDefineSigning *signing;   /* see cmd_define_signing() */
    struct CmdGuard *guard;             /* (nullable): the one in force; see cmd_guard_new(), as the next two */
    gint64 deadline;                    /* monotonic time in microseconds */
    guint timeout;                      /* seconds; 0: no guard was there yet */
};

/* A global or own option wherever it was given; an option that the command does not have is not given. */
gboolean cmd_context_has(const CmdContext *context, const char *name);
const char *cmd_context_get(const CmdContext *context, const char *name);
/* The n-th word, or NULL. */
const char *cmd_context_word(const CmdContext *context, guint n);
gboolean cmd_context_quiet(const CmdContext *context);
gboolean cmd_context_json(const CmdContext *context);

/* The configuration (--config, or the default one); owned by @context. */
PolicyConfig *cmd_context_config(CmdContext *context, GError **error);
/* The state folder, for reading; owned by @context. */
PolicyStore *cmd_context_store(CmdContext *context, GError **error);
/**
 * cmd_context_store_writable:
 * Like cmd_context_store(), but makes the folder and proves that it can be written, before anything else is touched.
 * Errors: %ATTEST_ERROR_NOT_CONFIGURED with what to do.
 */
PolicyStore *cmd_context_store_writable(CmdContext *context, GError **error);

/* A lock that is given back when it goes out of scope: g_auto(CmdLock) lock = -1; */
typedef int CmdLock;
void cmd_lock_release(CmdLock *lock);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdLock, cmd_lock_release)
/**
 * cmd_lock:
 * @store: a state folder that can be written
 * @uuid: of a domain, 36 lower-case characters
 *
 * Keeps other runs of this program from changing the domain's definition, metadata and pinned reference. Waits ten
 * seconds for one that does.
 */
gboolean cmd_lock(PolicyStore *store, const char *uuid, CmdLock *lock, GError **error);

/**
 * cmd_context_cpus:
 * Reads the option --cpu: model names, signatures or FAMILY.MODEL.STEPPING, separated by commas; "host" is this
 * machine's processor. @out is %NULL when the option was not given.
 */
gboolean cmd_context_cpus(const CmdContext *context, GPtrArray **out, GError **error);

void cmd_context_clear(CmdContext *context);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdContext, cmd_context_clear)
