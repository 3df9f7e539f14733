/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The g_autoptr() rules for types of other libraries, all in one place.
 * Include this after the headers of the libraries whose types you use: a
 * section exists only when its library's header is there, so that measure/
 * never needs libvirt and the hook never sees it. There is no guard around the
 * whole, since a second inclusion may find more headers than the first.
 */
#include <glib.h>

#if defined(OPENSSL_EVP_H) && !defined(FOREIGN_AUTOPTR_OPENSSL)
#define FOREIGN_AUTOPTR_OPENSSL
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_MD_CTX, EVP_MD_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
#endif

#if defined(OPENSSL_BN_H) && !defined(FOREIGN_AUTOPTR_OPENSSL_BN)
#define FOREIGN_AUTOPTR_OPENSSL_BN
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIGNUM, BN_free)
#endif

#if defined(OPENSSL_EC_H) && !defined(FOREIGN_AUTOPTR_OPENSSL_EC)
#define FOREIGN_AUTOPTR_OPENSSL_EC
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ECDSA_SIG, ECDSA_SIG_free)
#endif

#if defined(OPENSSL_X509_H) && !defined(FOREIGN_AUTOPTR_X509)
#define FOREIGN_AUTOPTR_X509
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_CRL, X509_CRL_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_NAME, X509_NAME_free)
#endif

#if defined(__XML_TREE_H__) && !defined(FOREIGN_AUTOPTR_XML_TREE)
#define FOREIGN_AUTOPTR_XML_TREE
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)
typedef xmlChar XmlString;
static inline void xml_string_free(XmlString *s) { xmlFree(s); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlString, xml_string_free)
#endif

#if defined(__XML_PARSER_H__) && !defined(FOREIGN_AUTOPTR_XML_PARSER)
#define FOREIGN_AUTOPTR_XML_PARSER
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)
#endif

#if defined(LIBVIRT_H) && !defined(FOREIGN_AUTOPTR_LIBVIRT)
#define FOREIGN_AUTOPTR_LIBVIRT
#include <stdlib.h>

typedef virConnect VirConnection;
static inline void vir_connection_close(VirConnection *c) { virConnectClose(c); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirConnection, vir_connection_close)
typedef virDomain VirDomainHandle;
static inline void vir_domain_release(VirDomainHandle *d) { virDomainFree(d); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirDomainHandle, vir_domain_release)
typedef virNetwork VirNetworkHandle;
static inline void vir_network_release(VirNetworkHandle *n) { virNetworkFree(n); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirNetworkHandle, vir_network_release)
typedef virStoragePool VirPoolHandle;
static inline void vir_pool_release(VirPoolHandle *p) { virStoragePoolFree(p); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirPoolHandle, vir_pool_release)
typedef virStorageVol VirVolumeHandle;
static inline void vir_volume_release(VirVolumeHandle *v) { virStorageVolFree(v); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirVolumeHandle, vir_volume_release)

/* What libvirt hands out with malloc(). */
typedef char VirString;
static inline void vir_string_free(VirString *s) { free(s); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirString, vir_string_free)
#endif
