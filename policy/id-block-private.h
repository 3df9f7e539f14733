/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Layout of the ID authentication page. SEV-SNP Firmware ABI (56860): ID Authentication Information Structure, and the
 * formats of ECDSA public keys (curve, Qx, Qy) and signatures (R, S). Every number is little-endian in 72 bytes.
 */
#pragma once

#include "policy/id-block.h"

#define ID_ALGORITHM_ECDSA_P384_SHA384 1u
#define ID_CURVE_P384 2u

#define ID_NUMBER_SIZE 72
#define ID_COORDINATE_SIZE 48 /* of the 72 bytes, what a number of P-384 can fill */
#define ID_SIGNATURE_SIZE 512

#define ID_AUTH_ID_KEY_ALGORITHM 0x0
#define ID_AUTH_AUTHOR_KEY_ALGORITHM 0x4
#define ID_AUTH_BLOCK_SIGNATURE 0x40
#define ID_AUTH_ID_KEY 0x240
#define ID_AUTH_KEY_SIGNATURE 0x680
#define ID_AUTH_AUTHOR_KEY 0x880

#define ID_KEY_CURVE 0x0
#define ID_KEY_X 0x4
#define ID_KEY_Y (ID_KEY_X + ID_NUMBER_SIZE)
#define ID_KEY_END (ID_KEY_Y + ID_NUMBER_SIZE)

#define ID_SIGNATURE_R 0x0
#define ID_SIGNATURE_S ID_NUMBER_SIZE
#define ID_SIGNATURE_END (2 * ID_NUMBER_SIZE)

#define ID_BLOCK_FAMILY_ID 0x30
#define ID_BLOCK_IMAGE_ID 0x40
#define ID_BLOCK_VERSION 0x50
#define ID_BLOCK_GUEST_SVN 0x54
#define ID_BLOCK_POLICY 0x58

/* SHA-384; aborts where OpenSSL has none: a digest of zeros must never come out. */
void policy_sha384(gconstpointer data, gsize size, guint8 out[MEASURE_SHA384_SIZE]);
