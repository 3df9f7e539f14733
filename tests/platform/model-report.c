/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * One JSON document per launch, in the folder named by PLATFORM_MODEL_OUT:
 * UUID.json, else NAME.json, else PID.json, after QEMU's own -uuid and -name.
 * With PLATFORM_MODEL_TRACE=1 it lists every step of the digest, and with
 * PLATFORM_MODEL_EXIT=1 QEMU ends as soon as the document is there.
 */
typedef struct {
    char uuid[64];
    char name[256];
} Identity;

static const char *const platform_names[] = {
    [MODEL_PLATFORM_NONE] = "none",
    [MODEL_PLATFORM_SEV] = "sev",
    [MODEL_PLATFORM_SEV_ES] = "sev-es",
    [MODEL_PLATFORM_SNP] = "sev-snp",
};

static bool flag_set(const char *name) {
    const char *value = getenv(name);

    return value != NULL && strcmp(value, "1") == 0;
}

/* A failed allocation or a full disk must not pass for a shorter document. */
static void check(bool good) {
    if (!good) {
        model_die("cannot write the document into the folder named by PLATFORM_MODEL_OUT");
    }
}

void model_report_step(const char *type, uint64_t gpa, const char *contents, const char *after) {
    char *text = NULL;
    int length = asprintf(&text,
                          "%s\n    {\"type\": \"%s\", \"gpa\": \"0x%llx\", \"contents\": \"%s\", \"digest\": \"%s\"}",
                          model_launch.trace_length == 0 ? "" : ",", type, (unsigned long long) gpa, contents, after);

    check(length > 0);
    char *grown = realloc(model_launch.trace, model_launch.trace_length + (size_t) length + 1);
    check(grown != NULL);
    memcpy(grown + model_launch.trace_length, text, (size_t) length + 1);
    model_launch.trace = grown;
    model_launch.trace_length += (size_t) length;
    free(text);
}

/* Steps are kept only when somebody will read them. */
__attribute__((constructor)) static void trace_enable(void) {
    if (flag_set("PLATFORM_MODEL_TRACE")) {
        model_launch.trace = calloc(1, 1);
    }
}

/* "guest=NAME,debug-threads=on" or "NAME"; a comma inside a name is written twice. */
static void parse_name(const char *option, char *name, size_t size) {
    size_t length = 0;

    if (strncmp(option, "guest=", 6) == 0) {
        option += 6;
    }
    while (*option != '\0' && length + 1 < size) {
        if (*option == ',' && *++option != ',') {
            break;
        }
        name[length++] = *option++;
    }
    name[length] = '\0';
}

static void identify(Identity *identity) {
    char *line = NULL;
    size_t size = 0;
    enum { OTHER, UUID, NAME } next = OTHER;

    memset(identity, 0, sizeof *identity);
    FILE *arguments = fopen("/proc/self/cmdline", "re");
    check(arguments != NULL);
    while (getdelim(&line, &size, '\0', arguments) > 0) {
        if (next == UUID) {
            snprintf(identity->uuid, sizeof identity->uuid, "%s", line);
        } else if (next == NAME) {
            parse_name(line, identity->name, sizeof identity->name);
        }
        next = strcmp(line, "-uuid") == 0 ? UUID : strcmp(line, "-name") == 0 ? NAME : OTHER;
    }
    free(line);
    fclose(arguments);
}

static bool usable_as_file_name(const char *text) {
    if (!isalnum((unsigned char) text[0])) {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char) *text) && strchr("-_.", *text) == NULL) {
            return false;
        }
    }
    return true;
}

static void print_string(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char) *text;

        if (byte == '"' || byte == '\\' || byte < 0x20) {
            fprintf(out, "\\u%04x", byte);
        } else {
            fputc(byte, out);
        }
    }
    fputc('"', out);
}

static void print_pages(FILE *out) {
    const uint64_t *pages = model_launch.pages;

    if (model_launch.platform == MODEL_PLATFORM_SNP) {
        fprintf(out,
                "  \"pages\": {\"normal\": %llu, \"vmsa\": %llu, \"zero\": %llu, \"unmeasured\": %llu, "
                "\"secrets\": %llu, \"cpuid\": %llu},\n",
                (unsigned long long) pages[MODEL_PAGE_NORMAL], (unsigned long long) pages[MODEL_PAGE_VMSA],
                (unsigned long long) pages[MODEL_PAGE_ZERO], (unsigned long long) pages[MODEL_PAGE_UNMEASURED],
                (unsigned long long) pages[MODEL_PAGE_SECRETS], (unsigned long long) pages[MODEL_PAGE_CPUID]);
    } else {
        fprintf(out, "  \"data_bytes\": %llu,\n  \"pages\": {\"vmsa\": %llu},\n",
                (unsigned long long) model_launch.data_bytes, (unsigned long long) pages[MODEL_PAGE_VMSA]);
    }
}

static void print_bytes(FILE *out, const char *name, const uint8_t *bytes, size_t size) {
    char text[2 * MODEL_DIGEST_SIZE + 1];

    model_hex(bytes, size, text);
    fprintf(out, "  \"%s\": \"%s\",\n", name, text);
}

static void print_identity(FILE *out) {
    const ModelIdentity *identity = &model_launch.identity;

    fprintf(out, "  \"id_block\": %s,\n  \"author_key\": %s,\n", model_launch.id_block ? "true" : "false",
            identity->author_key ? "true" : "false");
    print_bytes(out, "id_key_digest", identity->id_key_digest, sizeof identity->id_key_digest);
    print_bytes(out, "author_key_digest", identity->author_key_digest, sizeof identity->author_key_digest);
    print_bytes(out, "family_id", identity->family_id, sizeof identity->family_id);
    print_bytes(out, "image_id", identity->image_id, sizeof identity->image_id);
    fprintf(out, "  \"guest_svn\": %lu,\n", (unsigned long) identity->guest_svn);
    print_bytes(out, "host_data", model_launch.host_data, sizeof model_launch.host_data);
}

static void print_document(FILE *out, const Identity *identity) {
    bool snp = model_launch.platform == MODEL_PLATFORM_SNP;
    char digest[2 * MODEL_DIGEST_SIZE + 1];
    char measure[2 * sizeof model_launch.measure + 1];

    model_hex(model_launch.digest, snp ? 48 : 32, digest);
    model_hex(model_launch.measure, sizeof model_launch.measure, measure);

    fprintf(out, "{\n  \"model\": \"" MODEL_STATEMENT "\",\n  \"platform\": \"%s\",\n  \"digest\": \"%s\",\n",
            platform_names[model_launch.platform], digest);
    fprintf(out, "  \"state\": \"%s\",\n  \"policy\": \"0x%llx\",\n  \"guest_features\": \"0x%llx\",\n",
            model_launch.finished ? "finished" : "measured", (unsigned long long) model_launch.policy,
            (unsigned long long) model_launch.features);
    fprintf(out, "  \"vm_type\": %lu,\n  \"vcpus\": %u,\n  \"rdx\": \"0x%llx\",\n", model_launch.vm_type, model_n_vcpus,
            (unsigned long long) model_launch.rdx);
    print_pages(out);
    if (snp) {
        print_identity(out);
    } else {
        fprintf(out, "  \"measure\": \"%s\",\n", measure);
    }
    fputs("  \"uuid\": ", out);
    print_string(out, identity->uuid);
    fputs(",\n  \"name\": ", out);
    print_string(out, identity->name);
    fprintf(out, ",\n  \"pid\": %ld", (long) getpid());
    if (model_launch.trace != NULL) {
        fprintf(out, ",\n  \"steps\": [%s\n  ]", model_launch.trace);
    }
    fputs("\n}\n", out);
}

void model_report_write(void) {
    const char *folder = getenv("PLATFORM_MODEL_OUT");
    Identity identity;
    char *path = NULL;
    char *temporary = NULL;

    fprintf(stderr, MODEL_STATEMENT ": %s launch %s with %u vCPUs\n", platform_names[model_launch.platform],
            model_launch.finished ? "finished" : "measured", model_n_vcpus);
    if (folder != NULL && *folder != '\0') {
        identify(&identity);
        if (usable_as_file_name(identity.uuid)) {
            check(asprintf(&path, "%s/%s.json", folder, identity.uuid) > 0);
        } else if (usable_as_file_name(identity.name)) {
            check(asprintf(&path, "%s/%s.json", folder, identity.name) > 0);
        } else {
            check(asprintf(&path, "%s/%ld.json", folder, (long) getpid()) > 0);
        }
        check(asprintf(&temporary, "%s/.%ld.partial", folder, (long) getpid()) > 0);
        FILE *out = fopen(temporary, "we");
        check(out != NULL);
        print_document(out, &identity);
        check(fflush(out) == 0 && !ferror(out));
        check(fclose(out) == 0);
        check(rename(temporary, path) == 0);
        free(path);
        free(temporary);
    }
    if (model_launch.finished && flag_set("PLATFORM_MODEL_EXIT")) {
        _exit(0);
    }
}
