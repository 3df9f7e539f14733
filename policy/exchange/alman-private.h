/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts that ALman's files share. */
#pragma once

#include "policy/exchange/alman.h"
#include "policy/exchange/json-text.h"

/* {"kind":"type","type":…} and the like, as in expected-measurements.json. */
ExchangeAlmanCpu *exchange_alman_cpu_from_spec(JsonObject *object, const char *where, GError **error);
JsonObject *exchange_alman_cpu_to_spec(const ExchangeAlmanCpu *cpu);
ExchangeAlmanCpu *exchange_alman_cpu_from_measurement(const XmlMeasurement *measurement);
/* Takes @cpu, and FALSE when it was there. */
gboolean exchange_alman_cpus_add(GPtrArray *cpus, ExchangeAlmanCpu *cpu, const char *where, GError **error);
GPtrArray *exchange_alman_cpus_new(void);
