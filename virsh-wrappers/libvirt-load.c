/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt, loaded when it is first needed.
 *
 * Linking libvirt makes the dynamic loader bring in some sixty libraries, which takes longer than measuring a
 * small domain; and the offline commands are to work where there is no libvirt at all. So the functions that
 * this folder calls are defined here, each passing on to the real one. The compiler checks them against
 * libvirt's own headers; cmd_libvirt_load() comes before the first call.
 *
 * With LIBVIRT_LINKED nothing of this happens: the address sanitizer stands before functions that libvirt uses (XDR)
 * and calls into nothing when their library comes after it.
 */
#include "virsh-wrappers/connection.h"

#ifdef LIBVIRT_LINKED

gboolean cmd_libvirt_load(GError **error)
{
    return TRUE;
}

gboolean cmd_libvirt_qemu_load(GError **error)
{
    return TRUE;
}

virConnectAuthPtr cmd_libvirt_auth(void)
{
    return virConnectAuthPtrDefault;
}

#else

#include <dlfcn.h>

#include "measure/error.h"

#include <libvirt/libvirt-qemu.h>

#define LIBRARY "libvirt.so.0"
#define QEMU_LIBRARY "libvirt-qemu.so.0"

static void *library, *qemu_library;

static gboolean load(const char *name, void **handle, GError **error)
{
    if (!*handle) {
        *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (!*handle) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "cannot load libvirt: %s; install it (Debian: libvirt0)", dlerror());
        return FALSE;
    }
    return TRUE;
}

gboolean cmd_libvirt_load(GError **error)
{
    return load(LIBRARY, &library, error);
}

gboolean cmd_libvirt_qemu_load(GError **error)
{
    return load(QEMU_LIBRARY, &qemu_library, error);
}

/* Every function here is older than the oldest libvirt that this program builds with. */
static void *symbol(const char *name)
{
    void *found = library ? dlsym(library, name) : NULL;
    if (!found && qemu_library) {
        found = dlsym(qemu_library, name);
    }
    if (!found) {
        g_error("%s has no %s", LIBRARY, name);
    }
    return found;
}

virConnectAuthPtr cmd_libvirt_auth(void)
{
    return *(virConnectAuthPtr *)symbol("virConnectAuthPtrDefault");
}

#define PASS_ON(type, name, parameters, arguments)           \
    type name parameters {                                   \
        static type(*function) parameters;                   \
        if (!function) {                                     \
            function = (type(*) parameters)symbol(#name);    \
        }                                                    \
        return function arguments;                           \
    }

PASS_ON(int, virConnectClose, (virConnectPtr c), (c))
PASS_ON(char *, virConnectGetDomainCapabilities,
        (virConnectPtr c, const char *e, const char *a, const char *m, const char *t, unsigned int f),
        (c, e, a, m, t, f))
PASS_ON(int, virConnectGetLibVersion, (virConnectPtr c, unsigned long *v), (c, v))
PASS_ON(char *, virConnectGetURI, (virConnectPtr c), (c))
PASS_ON(int, virConnectIsAlive, (virConnectPtr c), (c))
PASS_ON(int, virConnectListAllDomains, (virConnectPtr c, virDomainPtr **d, unsigned int f), (c, d, f))
PASS_ON(int, virConnectListAllNetworks, (virConnectPtr c, virNetworkPtr **n, unsigned int f), (c, n, f))
PASS_ON(int, virConnectListAllStoragePools, (virConnectPtr c, virStoragePoolPtr **p, unsigned int f), (c, p, f))
PASS_ON(virConnectPtr, virConnectOpenAuth, (const char *u, virConnectAuthPtr a, unsigned int f), (u, a, f))
PASS_ON(int, virDomainCreateWithFlags, (virDomainPtr d, unsigned int f), (d, f))
PASS_ON(virDomainPtr, virDomainDefineXML, (virConnectPtr c, const char *x), (c, x))
PASS_ON(int, virDomainDestroy, (virDomainPtr d), (d))
PASS_ON(int, virDomainDestroyFlags, (virDomainPtr d, unsigned int f), (d, f))
PASS_ON(int, virDomainFree, (virDomainPtr d), (d))
PASS_ON(virConnectPtr, virDomainGetConnect, (virDomainPtr d), (d))
PASS_ON(unsigned int, virDomainGetID, (virDomainPtr d), (d))
PASS_ON(const char *, virDomainGetName, (virDomainPtr d), (d))
PASS_ON(int, virDomainGetState, (virDomainPtr d, int *s, int *r, unsigned int f), (d, s, r, f))
PASS_ON(int, virDomainGetUUIDString, (virDomainPtr d, char *u), (d, u))
PASS_ON(char *, virDomainGetXMLDesc, (virDomainPtr d, unsigned int f), (d, f))
PASS_ON(int, virDomainIsActive, (virDomainPtr d), (d))
PASS_ON(int, virDomainIsPersistent, (virDomainPtr d), (d))
PASS_ON(virDomainPtr, virDomainLookupByID, (virConnectPtr c, int i), (c, i))
PASS_ON(virDomainPtr, virDomainLookupByName, (virConnectPtr c, const char *n), (c, n))
PASS_ON(virDomainPtr, virDomainLookupByUUIDString, (virConnectPtr c, const char *u), (c, u))
PASS_ON(int, virDomainInterfaceAddresses,
        (virDomainPtr d, virDomainInterfacePtr **i, unsigned int s, unsigned int f), (d, i, s, f))
PASS_ON(void, virDomainInterfaceFree, (virDomainInterfacePtr i), (i))
PASS_ON(int, virDomainOpenChannel, (virDomainPtr d, const char *n, virStreamPtr s, unsigned int f), (d, n, s, f))
PASS_ON(char *, virDomainQemuAgentCommand, (virDomainPtr d, const char *c, int t, unsigned int f), (d, c, t, f))
PASS_ON(int, virDomainSetMetadata,
        (virDomainPtr d, int t, const char *m, const char *k, const char *u, unsigned int f), (d, t, m, k, u, f))
PASS_ON(int, virDomainUndefine, (virDomainPtr d), (d))
PASS_ON(int, virDomainUndefineFlags, (virDomainPtr d, unsigned int f), (d, f))
PASS_ON(int, virEventAddTimeout, (int t, virEventTimeoutCallback c, void *o, virFreeCallback f), (t, c, o, f))
PASS_ON(int, virEventRegisterDefaultImpl, (void), ())
PASS_ON(int, virEventRemoveTimeout, (int t), (t))
PASS_ON(int, virEventRunDefaultImpl, (void), ())
PASS_ON(virErrorPtr, virGetLastError, (void), ())
PASS_ON(int, virGetLastErrorCode, (void), ())
PASS_ON(const char *, virGetLastErrorMessage, (void), ())
PASS_ON(int, virNetworkFree, (virNetworkPtr n), (n))
PASS_ON(const char *, virNetworkGetName, (virNetworkPtr n), (n))
PASS_ON(int, virStoragePoolFree, (virStoragePoolPtr p), (p))
PASS_ON(const char *, virStoragePoolGetName, (virStoragePoolPtr p), (p))
PASS_ON(int, virStoragePoolGetUUIDString, (virStoragePoolPtr p, char *u), (p, u))
PASS_ON(char *, virStoragePoolGetXMLDesc, (virStoragePoolPtr p, unsigned int f), (p, f))
PASS_ON(int, virStoragePoolIsActive, (virStoragePoolPtr p), (p))
PASS_ON(int, virStoragePoolListAllVolumes, (virStoragePoolPtr p, virStorageVolPtr **v, unsigned int f), (p, v, f))
PASS_ON(virStoragePoolPtr, virStoragePoolLookupByName, (virConnectPtr c, const char *n), (c, n))
PASS_ON(int, virStoragePoolRefresh, (virStoragePoolPtr p, unsigned int f), (p, f))
PASS_ON(virStorageVolPtr, virStorageVolCreateXML, (virStoragePoolPtr p, const char *x, unsigned int f), (p, x, f))
PASS_ON(int, virStorageVolDelete, (virStorageVolPtr v, unsigned int f), (v, f))
PASS_ON(int, virStorageVolFree, (virStorageVolPtr v), (v))
PASS_ON(const char *, virStorageVolGetName, (virStorageVolPtr v), (v))
PASS_ON(char *, virStorageVolGetPath, (virStorageVolPtr v), (v))
PASS_ON(char *, virStorageVolGetXMLDesc, (virStorageVolPtr v, unsigned int f), (v, f))
PASS_ON(virStorageVolPtr, virStorageVolLookupByName, (virStoragePoolPtr p, const char *n), (p, n))
PASS_ON(int, virStreamAbort, (virStreamPtr s), (s))
PASS_ON(int, virStreamEventAddCallback,
        (virStreamPtr s, int e, virStreamEventCallback c, void *o, virFreeCallback f), (s, e, c, o, f))
PASS_ON(int, virStreamEventRemoveCallback, (virStreamPtr s), (s))
PASS_ON(int, virStreamEventUpdateCallback, (virStreamPtr s, int e), (s, e))
PASS_ON(int, virStreamFree, (virStreamPtr s), (s))
PASS_ON(virStreamPtr, virStreamNew, (virConnectPtr c, unsigned int f), (c, f))
PASS_ON(int, virStreamRecv, (virStreamPtr s, char *d, size_t n), (s, d, n))
PASS_ON(int, virStreamSend, (virStreamPtr s, const char *d, size_t n), (s, d, n))
PASS_ON(void, virSetErrorFunc, (void *u, virErrorFunc h), (u, h))

#endif
