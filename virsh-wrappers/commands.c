/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/commands.h"

#define DOMAIN_OPTION {"domain", 0, CMD_VALUE, "DOMAIN", "the domain: name, id or UUID"}
#define FORMAT_OPTION {"format", 0, CMD_VALUE, "table|json", "output for people or for programs (default: table)"}
#define CPU_OPTION                                                                                                     \
    {                                                                                                                  \
        "cpu", 0, CMD_VALUES, "CPU",                                                                                   \
            "CPU types to measure for where the XML leaves the choice to the host: model names, "                      \
            "signatures or FAMILY.MODEL.STEPPING, separated by commas; 'host' is this machine's processor"             \
    }
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
    {"vmsa-fpu", 0, CMD_VALUE, "legacy|init2",
     "floating-point state of a SEV-ES VMSA: after KVM_SEV_ES_INIT or KVM_SEV_INIT2 "
     "(default: legacy for a domain XML, init2 with --mode)"},
    {"mode", 0, CMD_VALUE, "snp|seves|sev|snp:ovmf-hash|snp:svsm",
     "measure what these options say instead of a domain XML"},
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
    {"snp-ovmf-hash", 0, CMD_VALUE, "HEX",
     "digest of the firmware pages, as --mode snp:ovmf-hash prints it, instead of hashing them"},
    {"svsm", 0, CMD_VALUE, "FILE", "flat image of the Secure VM Service Module, for --mode snp:svsm"},
    {"vars-size", 0, CMD_VALUE, "N", "bytes of the firmware's variable store, for --mode snp:svsm"},
    {"vars-file", 0, CMD_VALUE, "FILE", "the variable store itself instead of its size"},
    {"dump-vmsa", 0, CMD_FLAG, NULL, "write the measured VMSA pages to vmsa0.bin, vmsa1.bin, …"},
    END,
};

static const CmdOption level_options[] = {
    DOMAIN_OPTION,
    CPU_OPTION,
    FORMAT_OPTION,
    END,
};

static const CmdOption define_options[] = {
    DOMAIN_OPTION,
    {"level", 0, CMD_VALUE, "N", "attestation level that has to be reached, 0 to 4 (default: what can be reached)"},
    {"accept", 0, CMD_FLAG, NULL, "pin anew what differs from the pinned reference, after showing it"},
    {"on-mismatch", 0, CMD_VALUE, "refuse|observe", "what the hook does with a start that differs (default: refuse)"},
    {"print-xml", 0, CMD_FLAG, NULL, "print the domain XML with its metadata and change nothing"},
    CPU_OPTION,
    {"name", 0, CMD_VALUE, "NAME", "compose a new domain of this name from the following options"},
    {"platform", 0, CMD_VALUE, "sev-snp|sev-es|sev", "kind of confidential guest (default: sev-snp)"},
    {"firmware", 0, CMD_VALUE, "FILE", "guest firmware (default: the first of this machine that can carry the level)"},
    {"kernel", 0, CMD_VALUE, "FILE", "kernel, needed from level 3 on"},
    {"initrd", 0, CMD_VALUE, "FILE", "initrd"},
    {"cmdline", 0, CMD_VALUE, "TEXT", "kernel command line"},
    {"memory", 0, CMD_VALUE, "MIB", "memory (default: 2048)"},
    {"vcpus", 0, CMD_VALUE, "N", "virtual CPUs (default: 1)"},
    {"cpu-model", 0, CMD_VALUE, "MODEL", "CPU model, host-model or host-passthrough (default: host-model)"},
    {"disk", 0, CMD_VALUES, "SPEC", "disk: PATH[,format=raw|qcow2][,serial=TEXT][,readonly=on]"},
    {"network", 0, CMD_VALUES, "NETWORK", "libvirt network to connect to"},
    {"policy", 0, CMD_VALUE, "POLICY",
     "guest policy: hexadecimal, or names such as 'smt' (default: 0x30000 for SEV-SNP)"},
    {"emulator", 0, CMD_VALUE, "FILE", "QEMU program (default: libvirt's choice)"},
    {"type", 0, CMD_VALUE, "kvm|qemu", "domain type (default: kvm)"},
    END,
};

static const CmdOption start_options[] = {
    DOMAIN_OPTION,
    {"paused", 0, CMD_FLAG, NULL, "leave the domain paused after its start"},
    {"console", 0, CMD_FLAG, NULL, "attach to the console after the start"},
    {"strict", 0, CMD_FLAG, NULL, "stop the domain again when the hook did not run for this start"},
    END,
};

static const CmdOption console_options[] = {
    DOMAIN_OPTION,
    {"devname", 0, CMD_VALUE, "NAME", "character device to attach to (default: the first console)"},
    {"force", 0, CMD_FLAG, NULL, "disconnect whoever is attached"},
    {"safe", 0, CMD_FLAG, NULL, "attach only if the driver supports safe console handling"},
    END,
};

static const CmdOption destroy_options[] = {
    DOMAIN_OPTION,
    {"graceful", 0, CMD_FLAG, NULL, "do not kill the domain when it does not stop by itself"},
    END,
};

static const CmdOption undefine_options[] = {
    DOMAIN_OPTION,
    {"storage", 0, CMD_FLAG, NULL, "remove the writable disks of the domain from their storage pools too"},
    {"nvram", 0, CMD_FLAG, NULL, "remove its NVRAM file"},
    {"keep-nvram", 0, CMD_FLAG, NULL, "keep its NVRAM file"},
    {"tpm", 0, CMD_FLAG, NULL, "remove the state of its TPM"},
    {"keep-tpm", 0, CMD_FLAG, NULL, "keep the state of its TPM"},
    {"managed-save", 0, CMD_FLAG, NULL, "remove its managed save image"},
    {"snapshots-metadata", 0, CMD_FLAG, NULL, "remove the metadata of its snapshots"},
    {"checkpoints-metadata", 0, CMD_FLAG, NULL, "remove the metadata of its checkpoints"},
    {"keep-records", 0, CMD_FLAG, NULL, "keep what was recorded about its launches"},
    {"leftover", 0, CMD_FLAG, NULL, "remove what a domain left that is gone; DOMAIN is its UUID"},
    END,
};

static const CmdOption list_options[] = {
    {"all", 0, CMD_FLAG, NULL, "domains that run and domains that do not"},
    {"inactive", 0, CMD_FLAG, NULL, "only domains that do not run"},
    FORMAT_OPTION,
    END,
};

static const CmdOption show_options[] = {
    DOMAIN_OPTION,
    {"launches", 0, CMD_VALUE, "N", "how many of the last launches to show (default: 5)"},
    FORMAT_OPTION,
    END,
};

static const CmdOption check_options[] = {
    DOMAIN_OPTION,
    FORMAT_OPTION,
    END,
};

static const CmdOption host_check_options[] = {
    {"root", 0, CMD_VALUE, "DIR", "look at a machine whose files lie below this folder; libvirt is not asked"},
    {"domcapabilities", 0, CMD_VALUE, "FILE", "use this output of 'virsh domcapabilities' instead of asking libvirt"},
    FORMAT_OPTION,
    END,
};

static const CmdOption firmware_check_options[] = {
    {"boot", 0, CMD_FLAG, NULL,
     "boot the firmware without SEV and prove that it verifies the kernel hashes (takes about a minute)"},
    {"kernel", 0, CMD_VALUE, "FILE", "kernel for --boot (default: the newest of this machine)"},
    {"initrd", 0, CMD_VALUE, "FILE", "initrd for --boot"},
    FORMAT_OPTION,
    END,
};

const CmdCommand cmd_commands[] = {
    {"measure", "[OPTION…] DOMAIN.xml|-\n--mode MODE OPTION…", 0, 1, "expected launch measurement of a domain XML",
     "Computes the launch measurement that the processor will report for a domain, from the domain XML or from "
     "explicit options. "
     "Needs neither libvirt nor SEV hardware.",
     measure_options, cmd_measure},
    {"level", "[OPTION…] DOMAIN|FILE|-", 1, 1, "attestation level of a domain, and why",
     "Derives the attestation level from the domain and its files and lists every rule with what was found. A word "
     "with a '/' in it, "
     "with the ending '.xml', or '-' is a file; everything else is a domain.",
     level_options, cmd_level},
    {"define", "[OPTION…] FILE|-|DOMAIN\n--name NAME --level N [OPTION…]", 0, 1,
     "give a domain its expected measurement",
     "Defines a domain from a domain XML or from options, or takes one that exists, measures it, writes the expected "
     "measurement into "
     "its metadata and pins it for the hook.",
     define_options, cmd_define},
    {"start", "[OPTION…] DOMAIN", 1, 1, "start a domain and show the verdict",
     "Starts a domain as virsh does, showing the expected measurement before and the hook's verdict after.",
     start_options, cmd_start},
    {"console", "[OPTION…] DOMAIN", 1, 1, "show the verdict, then attach to the console",
     "Shows the level and the verdict of the running domain, then becomes 'virsh console'.", console_options,
     cmd_console},
    {"destroy", "[OPTION…] DOMAIN", 1, 1, "stop a domain at once",
     "Stops a domain at once, as virsh does. Its definition stays.", destroy_options, cmd_destroy},
    {"undefine", "[OPTION…] DOMAIN", 1, 1, "remove a domain with its pinned reference",
     "Removes the definition of a domain, its pinned reference and the records of its launches, and its volumes if "
     "asked to.",
     undefine_options, cmd_undefine},
    {"list", "[OPTION…]", 0, 0, "domains with their levels and verdicts",
     "Lists the running domains with the attestation level that is pinned and the verdict about the last start.",
     list_options, cmd_list},
    {"show", "[OPTION…] DOMAIN", 1, 1, "pinned reference and launches of a domain",
     "Shows what is pinned for a domain, whether its metadata agrees, and its last launches with their verdicts.",
     show_options, cmd_show},
    {"check", "[OPTION…] DOMAIN", 1, 1, "measure a domain again and name what changed",
     "Measures a domain as it is now and names everything that differs from its pinned reference, old and new value.",
     check_options, cmd_check},
    {"host-check", "[OPTION…]", 0, 0, "whether this machine can launch and gate confidential guests",
     "Checks each prerequisite on this machine and says why it is missing and what to do.", host_check_options,
     cmd_host_check_command},
    {"firmware-check", "[OPTION…] FILE", 1, 1, "what a guest firmware file can carry",
     "Reads a guest firmware file: tables, SEV metadata, whether it verifies the kernel hashes, and the attestation "
     "level it can carry.",
     firmware_check_options, cmd_firmware_check},
    END,
};

const CmdCommand *cmd_command_find(const char *name)
{
    for (const CmdCommand *command = cmd_commands; command->name; command++) {
        if (g_str_equal(command->name, name)) {
            return command;
        }
    }
    return NULL;
}

void cmd_command_tables(const CmdCommand *command, const CmdOption *tables[3])
{
    tables[0] = command->options;
    tables[1] = cmd_global_options;
    tables[2] = NULL;
}
