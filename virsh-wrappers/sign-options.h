#pragma once
#include "policy/key.h"
#include "virsh-wrappers/context.h"
static inline PolicyKey *cmd_sign_key(const CmdContext *context, const char *name, GError **error)
{
    return policy_key_load_private(cmd_context_get(context, name), POLICY_KEY_P384 | POLICY_KEY_ED25519, "signing key", -1, error);
}
