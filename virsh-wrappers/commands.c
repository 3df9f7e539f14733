/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/commands.h"

#define DOMAIN_OPTION {"domain", 0, CMD_VALUE, "DOMAIN", "the domain: name, id or UUID"}
#define FORMAT_OPTION {"format", 0, CMD_VALUE, "table|json", "output for people or for programs (default: table)"}
#define CPU_OPTION \
    {"cpu", 0, CMD_VALUES, "CPU", "CPU types to measure for where the XML leaves the choice to the host: model names, " \
     "signatures or FAMILY.MODEL.STEPPING, separated by commas; 'host' is this machine's processor"}
#define END {NULL}

const CmdOption cmd_global_options[] = {
    {"connect", 'c', CMD_VALUE, "URI", "connect to this libvirt (default: as virsh chooses)"},
    {"readonly", 'r', CMD_FLAG, NULL, "connect for reading only"},
    {"quiet", 'q', CMD_FLAG, NULL, "print no headings, remarks and warnings"},
    {"config", 0, CMD_VALUE, "FILE", "read this configuration file instead of the default one"},
    {"help", 'h', CMD_FLAG, NULL, "print this help and exit"},
    {"version", 'v', CMD_FLAG, NULL, "print the version and exit"},
    END,
};

static const CmdOption measure_options[] = {
    CPU_OPTION,
    FORMAT_OPTION,
    {"output-format", 0, CMD_VALUE, "hex|base64", "print the digest alone, in this notation"},
    {"guest-features", 0, CMD_VALUE, "N", "SEV features of the guest's VMSA (default: 0x1 for SEV-SNP, 0 for SEV-ES)"},
    {"vmsa-fpu", 0, CMD_VALUE, "legacy|init2", "floating-point state of a SEV-ES VMSA: after KVM_SEV_ES_INIT or KVM_SEV_INIT2 "
     "(default: legacy for a domain XML, init2 with --mode)"},
    {"mode", 0, CMD_VALUE, "snp|seves|sev|snp:ovmf-hash", "measure what these options say instead of a domain XML"},
    {"vcpus", 0, CMD_VALUE, "N", "number of virtual CPUs at launch"},
    {"vcpu-type", 0, CMD_VALUE, "MODEL", "CPU type by QEMU's model name"},
    {"vcpu-sig", 0, CMD_VALUE, "N", "CPU type by signature (CPUID Fn0000_0001_EAX)"},
    {"vcpu-family", 0, CMD_VALUE, "N", "CPU type by family, with --vcpu-model and --vcpu-stepping"},
    {"vcpu-model", 0, CMD_VALUE, "N", "see --vcpu-family"},
    {"vcpu-stepping", 0, CMD_VALUE, "N", "see --vcpu-family"},
    {"vmm-type", 0, CMD_VALUE, "QEMU|ec2|gce", "who launches the guest (default: QEMU)"},
    {"ovmf", 0, CMD_VALUE, "FILE", "guest firmware"},
    {"kernel", 0, CMD_VALUE, "FILE", "kernel; puts the kernel hash table into the measurement"},
    {"initrd", 0, CMD_VALUE, "FILE", "initrd"},
    {"append", 0, CMD_VALUE, "TEXT", "kernel command line"},
    {"snp-ovmf-hash", 0, CMD_VALUE, "HEX", "digest of the firmware pages, as --mode snp:ovmf-hash prints it, instead of hashing them"},
    {"dump-vmsa", 0, CMD_FLAG, NULL, "write the measured VMSA pages to vmsa0.bin, vmsa1.bin, …"},
    END,
};

const CmdCommand cmd_commands[] = {
    {"measure", "[OPTION…] DOMAIN.xml|-\n--mode MODE OPTION…", 0, 1, "expected launch measurement of a domain XML",
     "Computes the launch measurement that the processor will report for a domain, from the domain XML or from explicit options. "
     "Needs neither libvirt nor SEV hardware.",
     measure_options, cmd_measure},
    END,
};

const CmdCommand *cmd_command_find(const char *name) {
    for (const CmdCommand *command = cmd_commands; command->name; command++) {
        if (g_str_equal(command->name, name)) {
            return command;
        }
    }
    return NULL;
}

void cmd_command_tables(const CmdCommand *command, const CmdOption *tables[3]) {
    tables[0] = command->options;
    tables[1] = cmd_global_options;
    tables[2] = NULL;
}
