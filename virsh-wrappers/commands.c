/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/commands.h"

#include "virsh-wrappers/certificates.h"

#define DOMAIN_OPTION {"domain", 0, CMD_VALUE, "DOMAIN", "the domain: name, id or UUID"}
#define FORMAT_OPTION {"format", 0, CMD_VALUE, "table|json", "output for people or for programs (default: table)"}
#define CPU_OPTION                                                                                                     \
    {                                                                                                                  \
        "cpu", 0, CMD_VALUES, "CPU",                                                                                   \
            "CPU types to measure for where the XML leaves the choice to the host: model names, "                      \
            "signatures or FAMILY.MODEL.STEPPING, separated by commas; 'host' is this machine's processor"             \
    }
/* What a reference holds besides what can be measured. */
#define REFERENCE_FACT_OPTIONS                                                                                         \
    {"product", 0, CMD_VALUE, "Milan|Genoa|Siena|Bergamo|Turin", "processor that the guest has to run on"},            \
        {"minimum-tcb", 0, CMD_VALUE, "TCB",                                                                           \
         "lowest acceptable TCB: bootloader=N,tee=N,snp=N,microcode=N[,fmc=N]"},                                       \
        {"platform-info", 0, CMD_VALUE, "VALUE[/MASK]", "platform information that a report must have, under a mask"}
#define OUTPUT_OPTIONS                                                                                                 \
    {"output", 0, CMD_VALUE, "FILE", "write to this file (default: standard output)"},                                 \
        {"force", 0, CMD_FLAG, NULL, "replace an existing file"}
#define PASSPHRASE_OPTION                                                                                              \
    {"passphrase-fd", 0, CMD_VALUE, "FD", "read the passphrase of an encrypted key from this file descriptor"}
#define FLEET_OPTIONS                                                                                                  \
    {"cpu", 0, CMD_VALUES, "CPU",                                                                                      \
     "CPU types to measure for (default: the domain's): model names, signatures or FAMILY.MODEL.STEPPING, separated "  \
     "by commas; 'host' is this machine's processor"},                                                                 \
        {"cpu-types", 0, CMD_VALUE, "FILE", "CPU types to measure for: a list in JSON, or one a line"},                    \
        {"vcpus", 0, CMD_VALUE, "LIST", "vCPU counts to measure for, such as 1,2,4-8 (default: the domain's)"}
#define ID_BLOCK_OPTIONS                                                                                               \
    {"id-key", 0, CMD_VALUE, "KEY", "private key (ECDSA P-384) that signs the ID block: a file or a pkcs11: URI"},     \
        {"author-key", 0, CMD_VALUE, "KEY", "private key (ECDSA P-384) that signs the ID key"}, PASSPHRASE_OPTION,     \
        {"family-id", 0, CMD_VALUE, "HEX", "16 bytes that name the family of the guest (default: zeros)"},             \
        {"image-id", 0, CMD_VALUE, "HEX", "16 bytes that name the image of the guest (default: zeros)"},               \
        {"svn", 0, CMD_VALUE, "N", "security version number of the guest (default: 0)"}
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
    {"no-report-channel", 0, CMD_FLAG, NULL, "no channel over which the host can ask the guest for its report"},
    {"policy", 0, CMD_VALUE, "POLICY",
     "guest policy: hexadecimal, or names such as 'smt' (default: 0x30000 for SEV-SNP)"},
    {"emulator", 0, CMD_VALUE, "FILE", "QEMU program (default: libvirt's choice)"},
    {"type", 0, CMD_VALUE, "kvm|qemu", "domain type (default: kvm)"},
    {"volume", 0, CMD_VALUE, "NAME",
     "take root disk, kernel, initrd and command line from this volume (vol-create); --cmdline adds words"},
    {"pool", 0, CMD_VALUE, "POOL", "storage pool of --volume (default: default)"},
    {"reference", 0, CMD_VALUE, "FILE", "pin what this reference document, signed or not, foresees"},
    {"sign-key", 0, CMD_VALUE, "KEY", "sign the reference with this private key (Ed25519 or ECDSA P-384)"},
    REFERENCE_FACT_OPTIONS,
    ID_BLOCK_OPTIONS,
    {"host-data", 0, CMD_VALUE, "HEX", "32 bytes of host data (default: with --id-key, the digest that binds the reference)"},
    {"allow-debug", 0, CMD_FLAG, NULL, "accept a policy that lets the host read the guest's memory"},
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
    {"keep-records", 0, CMD_FLAG, NULL, "keep what was recorded about its launches and reports"},
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
    {"launches", 0, CMD_VALUE, "N", "how many of the last launches, and verdicts, to show (default: 5)"},
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

static const CmdOption image_build_options[] = {
    {"suite", 0, CMD_VALUE, "SUITE", "Debian or Ubuntu suite: trixie, bookworm, noble, …"},
    {"output", 0, CMD_VALUE, "FILE", "the image to make (qcow2)"},
    {"force", 0, CMD_FLAG, NULL, "replace an existing output, unless volumes are based on it"},
    {"size", 0, CMD_VALUE, "SIZE", "size of the disk, such as 12G (default: 12G)"},
    {"hostname", 0, CMD_VALUE, "NAME", "host name (default: localhost)"},
    {"ssh-key", 0, CMD_VALUES, "FILE", "public key that may log in as root over SSH"},
    {"package", 0, CMD_VALUES, "PACKAGE", "package to install as well"},
    {"script", 0, CMD_VALUE, "FILE", "program to run as root inside the tree at the end"},
    {"console-login", 0, CMD_FLAG, NULL, "let a getty run on the console (it belongs to the host)"},
    {"no-report-agent", 0, CMD_FLAG, NULL, "leave the program out that fetches the guest's report"},
    {"mirror", 0, CMD_VALUE, "URI", "package mirror (default: the one this machine uses)"},
    {"keyring", 0, CMD_VALUE, "FILE", "keys that sign the mirror's suites (default: the distribution's)"},
    {"snapshot", 0, CMD_VALUE, "FILE", "install exactly the versions in this list, made by an earlier build"},
    {"progress", 0, CMD_FLAG, NULL, "show progress even when standard error is no terminal"},
    END,
};

static const CmdOption image_import_options[] = {
    {"output", 0, CMD_VALUE, "FILE", "the image to make (qcow2)"},
    {"force", 0, CMD_FLAG, NULL, "replace an existing output, unless volumes are based on it"},
    {"format", 0, CMD_VALUE, "raw|qcow2", "format of the cloud image (default: by its name)"},
    {"size", 0, CMD_VALUE, "SIZE", "size of the new disk (default: that of the cloud image)"},
    {"hostname", 0, CMD_VALUE, "NAME", "host name (default: what the image has)"},
    {"ssh-key", 0, CMD_VALUES, "FILE", "public key that may log in as root over SSH"},
    {"console-login", 0, CMD_FLAG, NULL, "let a getty run on the console (it belongs to the host)"},
    {"no-report-agent", 0, CMD_FLAG, NULL, "leave the program out that fetches the guest's report"},
    {"progress", 0, CMD_FLAG, NULL, "show progress even when standard error is no terminal"},
    END,
};

#define POOL_OPTION {"pool", 0, CMD_VALUE, "POOL", "storage pool (default: default)"}

static const CmdOption vol_create_options[] = {
    {"level", 0, CMD_VALUE, "N", "attestation level that the volume is for, 0 to 4"},
    {"base", 0, CMD_VALUE, "FILE", "image that it is based on (image-build, image-import)"},
    POOL_OPTION,
    {"capacity", 0, CMD_VALUE, "SIZE", "size of the disk; partition and file system grow with it (default: the base's)"},
    {"upper", 0, CMD_VALUE, "MODE",
     "where the guest's writes go: tmpfs[:SIZE], encrypted[:SIZE], dirs[:home=SIZE,…] or none (default: tmpfs at level "
     "4, none below)"},
    END,
};

static const CmdOption vol_list_options[] = {
    POOL_OPTION,
    FORMAT_OPTION,
    END,
};

static const CmdOption vol_info_options[] = {
    POOL_OPTION,
    FORMAT_OPTION,
    END,
};

static const CmdOption vol_seal_options[] = {
    POOL_OPTION,
    {"salt", 0, CMD_VALUE, "HEX", "salt of the hash tree, '-' for none (default: follows from the base)"},
    {"uuid", 0, CMD_VALUE, "UUID", "UUID of the hash tree (default: follows from the volume)"},
    {"progress", 0, CMD_FLAG, NULL, "show progress even when standard error is no terminal"},
    END,
};

static const CmdOption vol_delete_options[] = {
    POOL_OPTION,
    END,
};

#define VERITY_SOURCE_OPTIONS                                                                                          \
    {"format", 0, CMD_VALUE, "raw|qcow2", "format of DATA (default: qcow2 for a name that ends so, else raw)"},        \
        {"partition", 0, CMD_VALUE, "N", "number of the GPT partition in DATA (default: the whole of it)"},            \
        {"progress", 0, CMD_FLAG, NULL, "show progress even when standard error is no terminal"}

static const CmdOption verity_format_options[] = {
    VERITY_SOURCE_OPTIONS,
    {"salt", 0, CMD_VALUE, "HEX", "salt, '-' for none (default: 32 random bytes)"},
    {"uuid", 0, CMD_VALUE, "UUID", "UUID of the superblock (default: random)"},
    {"hash", 0, CMD_VALUE, "NAME", "hash algorithm (default: sha256)"},
    {"data-block-size", 0, CMD_VALUE, "N", "512, 1024, 2048 or 4096 bytes (default: 4096)"},
    {"hash-block-size", 0, CMD_VALUE, "N", "512, 1024, 2048 or 4096 bytes (default: 4096)"},
    {"data-blocks", 0, CMD_VALUE, "N", "hash only the first N blocks (default: all)"},
    {"reuse", 0, CMD_VALUE, "FILE", "hash file of the backing file of DATA, made with the same parameters: what DATA "
                                    "does not hold itself is taken from there"},
    {"reuse-root-hash", 0, CMD_VALUE, "HEX", "root hash of the file named by --reuse"},
    END,
};

static const CmdOption verity_verify_options[] = {
    VERITY_SOURCE_OPTIONS,
    END,
};

static const CmdOption initrd_options[] = {
    {"level", 0, CMD_VALUE, "0|3|4", "attestation level that it is for"},
    {"image", 0, CMD_VALUE, "FILE", "image or overlay whose kernel it is for"},
    {"format", 0, CMD_VALUE, "raw|qcow2", "format of the image (default: by its name)"},
    {"kernel", 0, CMD_VALUE, "RELEASE", "kernel release (default: the newest in the image)"},
    {"output", 0, CMD_VALUE, "FILE", "the initrd to make"},
    {"kernel-output", 0, CMD_VALUE, "FILE", "copy the kernel itself to this file"},
    {"force", 0, CMD_FLAG, NULL, "replace existing files"},
    END,
};

static const CmdOption build_options[] = {
    {"base", 0, CMD_VALUE, "FILE", "image to base it on (image-build, image-import)"},
    {"name", 0, CMD_VALUE, "NAME", "name of the domain and of its volumes"},
    {"level", 0, CMD_VALUE, "N", "attestation level, 0 to 4"},
    POOL_OPTION,
    {"capacity", 0, CMD_VALUE, "SIZE", "size of the disk (default: the base's)"},
    {"upper", 0, CMD_VALUE, "MODE",
     "where the guest's writes go: tmpfs[:SIZE], encrypted[:SIZE], dirs[:home=SIZE,…] or none (default: tmpfs at level "
     "4, none below)"},
    {"memory", 0, CMD_VALUE, "MIB", "memory (default: 2048)"},
    {"vcpus", 0, CMD_VALUE, "N", "virtual CPUs (default: 1)"},
    {"cpu-model", 0, CMD_VALUE, "MODEL", "CPU model, host-model or host-passthrough (default: host-model)"},
    {"network", 0, CMD_VALUES, "NETWORK", "libvirt network to connect to"},
    {"no-report-channel", 0, CMD_FLAG, NULL, "no channel over which the host can ask the guest for its report"},
    {"policy", 0, CMD_VALUE, "POLICY", "guest policy (default: 0x30000)"},
    {"firmware", 0, CMD_VALUE, "FILE", "guest firmware (default: the first of this machine that can carry the level)"},
    {"cmdline", 0, CMD_VALUE, "TEXT", "words to add to the kernel command line"},
    {"emulator", 0, CMD_VALUE, "FILE", "QEMU program (default: libvirt's choice)"},
    {"type", 0, CMD_VALUE, "kvm|qemu", "domain type (default: kvm)"},
    {"progress", 0, CMD_FLAG, NULL, "show progress even when standard error is no terminal"},
    {"sign-key", 0, CMD_VALUE, "KEY", "sign the reference with this private key (Ed25519 or ECDSA P-384)"},
    REFERENCE_FACT_OPTIONS,
    ID_BLOCK_OPTIONS,
    {"host-data", 0, CMD_VALUE, "HEX", "32 bytes of host data (default: with --id-key, the digest that binds the reference)"},
    {"allow-debug", 0, CMD_FLAG, NULL, "accept a policy that lets the host read the guest's memory"},
    END,
};

static const CmdOption reference_options[] = {
    DOMAIN_OPTION,
    FLEET_OPTIONS,
    REFERENCE_FACT_OPTIONS,
    {"format", 0, CMD_VALUE, "json|table|binding",
     "json: the document; table: for people; binding: the bytes whose SHA-256 host data carries (default: json)"},
    OUTPUT_OPTIONS,
    {"allow-debug", 0, CMD_FLAG, NULL, "accept a policy that lets the host read the guest's memory"},
    END,
};

static const CmdOption reference_sign_options[] = {
    {"key", 0, CMD_VALUE, "KEY", "private key (Ed25519 or ECDSA P-384): a file or a pkcs11: URI"},
    PASSPHRASE_OPTION,
    OUTPUT_OPTIONS,
    {"allow-debug", 0, CMD_FLAG, NULL, "accept a policy that lets the host read the guest's memory"},
    END,
};

static const CmdOption reference_verify_options[] = {
    {"key", 0, CMD_VALUES, "FILE", "public key that must have signed it (default: the configured trusted keys)"},
    FORMAT_OPTION,
    END,
};

static const CmdOption reference_diff_options[] = {
    FLEET_OPTIONS,
    {"format", 0, CMD_VALUE, "text|table|json", "sentences, a table, or output for programs (default: text)"},
    END,
};

static const CmdOption id_block_options[] = {
    {"measurement", 0, CMD_VALUE, "HEX", "launch digest of 48 bytes"},
    {"domain", 0, CMD_VALUE, "DOMAIN", "take digest and policy from this domain, domain XML, reference or bundle"},
    CPU_OPTION,
    {"vcpus", 0, CMD_VALUE, "LIST", "number of vCPUs to make it for (default: the domain's)"},
    {"policy", 0, CMD_VALUE, "POLICY", "guest policy: hexadecimal, or names such as 'smt' (default: 0x30000, or the domain's)"},
    {"allow-debug", 0, CMD_FLAG, NULL, "accept a policy that lets the host read the guest's memory"},
    ID_BLOCK_OPTIONS,
    {"output-dir", 0, CMD_VALUE, "DIR", "folder that gets id-block.bin, id-auth.bin and both as .base64"},
    {"force", 0, CMD_FLAG, NULL, "replace existing files"},
    FORMAT_OPTION,
    END,
};

static const CmdOption id_block_verify_options[] = {
    {"id-block", 0, CMD_VALUE, "FILE", "ID block, binary or base64 (default: the domain's own)"},
    {"id-auth", 0, CMD_VALUE, "FILE", "ID authentication page, binary or base64 (default: the domain's own)"},
    {"domain", 0, CMD_VALUE, "DOMAIN", "compare with this domain, domain XML, reference or bundle"},
    CPU_OPTION,
    {"id-key", 0, CMD_VALUE, "KEY", "public or private ID key that it must be signed with, or its digest in hexadecimal"},
    {"author-key", 0, CMD_VALUE, "KEY", "public or private author key, or its digest in hexadecimal"},
    {"allow-debug", 0, CMD_FLAG, NULL, "accept a policy that lets the host read the guest's memory"},
    FORMAT_OPTION,
    END,
};

static const CmdOption export_options[] = {
    {"to", 0, CMD_VALUE,
     "alman|alman-cpu-types|alman-legal-cpu-types|alman-conf|openend2e|snpguard|snpguard-config|savs|rvps|rvps-message|"
     "trustee-policy|corim|table|json|shell",
     "format to write"},
    FLEET_OPTIONS,
    REFERENCE_FACT_OPTIONS,
    OUTPUT_OPTIONS,
    {"allow-debug", 0, CMD_FLAG, NULL, "accept a policy that lets the host read the guest's memory"},
    END,
};

static const CmdOption import_options[] = {
    {"from", 0, CMD_VALUE, "alman|openend2e|snpguard|savs|rvps|corim", "format of FILE"},
    {"name", 0, CMD_VALUE, "NAME", "name of the domain (default: from the file)"},
    {"output-dir", 0, CMD_VALUE, "DIR", "folder that gets domain XML, reference and the files of an archive"},
    {"force", 0, CMD_FLAG, NULL, "replace existing files"},
    {"format", 0, CMD_VALUE, "table|json", "how to print what the file holds (default: table)"},
    END,
};

static const CmdOption import_alman_options[] = {
    {"output-dir", 0, CMD_VALUE, "DIR", "folder that gets a domain XML and a reference for every guest"},
    {"force", 0, CMD_FLAG, NULL, "replace existing files"},
    {"format", 0, CMD_VALUE, "table|json", "output for people or for programs (default: table)"},
    END,
};

static const CmdOption bundle_options[] = {
    DOMAIN_OPTION,
    FLEET_OPTIONS,
    REFERENCE_FACT_OPTIONS,
    {"reference", 0, CMD_VALUE, "FILE", "put this reference, signed or not, into the bundle instead of a new one"},
    {"sign-key", 0, CMD_VALUE, "KEY", "sign the reference with this private key (Ed25519 or ECDSA P-384)"},
    PASSPHRASE_OPTION,
    {"output", 0, CMD_VALUE, "FILE", "the bundle to make (tar)"},
    {"force", 0, CMD_FLAG, NULL, "replace an existing file"},
    END,
};

static const CmdOption bundle_verify_options[] = {
    {"key", 0, CMD_VALUES, "FILE", "public key that must have signed the reference (default: the configured trusted keys)"},
    FORMAT_OPTION,
    END,
};

static const CmdOption bundle_define_options[] = {
    {"key", 0, CMD_VALUES, "FILE", "public key that must have signed the reference (default: the configured trusted keys)"},
    {"name", 0, CMD_VALUE, "NAME", "name of the domain (default: the bundle's)"},
    {"disk", 0, CMD_VALUES, "TARGET=PATH", "where a disk of the domain lies on this host, such as vda=/images/guest.qcow2"},
    {"emulator", 0, CMD_VALUE, "FILE", "QEMU program on this host (default: libvirt's choice)"},
    {"accept", 0, CMD_FLAG, NULL, "pin anew what differs from the pinned reference, after showing it"},
    {"allow-debug", 0, CMD_FLAG, NULL, "accept a policy that lets the host read the guest's memory"},
    {"print-xml", 0, CMD_FLAG, NULL, "print the domain XML and change nothing"},
    END,
};

static const CmdOption report_show_options[] = {
    {"certificates", 0, CMD_VALUE, "FILE",
     "what came beside the report: a certificate table (auxblob), or certificates in PEM or DER"},
    FORMAT_OPTION,
    END,
};

static const CmdOption certs_options[] = {
    {"product", 0, CMD_VALUE, "PRODUCT", "fetch for this processor: Milan, Genoa (Bergamo, Siena) or Turin"},
    {"chip", 0, CMD_VALUE, "HEX", "the chip: CHIP_ID of its reports, 128 digits, on Turin 16"},
    {"tcb", 0, CMD_VALUE, "TCB", "its reported TCB: bootloader=N,tee=N,snp=N,microcode=N[,fmc=N]"},
    {"refresh", 0, CMD_FLAG, NULL, "fetch anew what is in the cache already"},
    CMD_CERTIFICATE_OPTIONS,
    {"table", 0, CMD_VALUE, "FILE", "export the certificate table that the host of REPORT would give to its guests"},
    {"force", 0, CMD_FLAG, NULL, "replace existing files"},
    FORMAT_OPTION,
    END,
};

/* What verify, known-hosts and ssh judge by. */
#define VERIFY_OPTIONS                                                                                                 \
    {"reference", 0, CMD_VALUE, "FILE", "the same, from a reference document, a bundle or a domain XML"},              \
    {"key", 0, CMD_VALUES, "FILE", "public key that must have signed the reference (default: the configured trusted keys)"}, \
    {"measurement", 0, CMD_VALUES, "HEX", "launch digest that is accepted; several with commas or by giving it again"}, \
    {"policy", 0, CMD_VALUE, "FILE", "policy file with further rules"},                                                \
    {"nonce", 0, CMD_VALUE, "HEX", "the report data, a nonce from 'virt-attest nonce'; good once"},                    \
    {"report-data", 0, CMD_VALUE, "HEX", "the report data, where they were chosen in another way; zeros follow"},      \
    {"any-report-data", 0, CMD_FLAG, NULL, "accept any report data: a report that may be an old one"},                 \
    {"host-data", 0, CMD_VALUE, "HEX", "host data that must be there, or 'any' (default: the reference's, else zeros)"}, \
    {"vmpl", 0, CMD_VALUE, "N", "privilege level of the guest that asked for the report (default: 0)"},                \
    {"signing-key", 0, CMD_VALUE, "vcek|vlek|any", "key of the chip, of a cloud provider, or either (default: vcek)"}, \
    {"id-key-digest", 0, CMD_VALUES, "HEX", "ID key that is accepted"},                                                \
    {"author-key-digest", 0, CMD_VALUES, "HEX", "author key that is accepted"},                                        \
    {"minimum-svn", 0, CMD_VALUE, "N", "lowest security version number of the guest"},                                 \
    {"minimum-reported-tcb", 0, CMD_VALUE, "TCB",                                                                      \
     "lowest reported TCB: bootloader=N,tee=N,snp=N,microcode=N[,fmc=N]"},                                             \
    {"maximum-age", 0, CMD_VALUE, "N", "seconds since the nonce was issued"},                                          \
    {"certificates", 0, CMD_VALUES, "PATH", "certificates that did not come with the report: a file or a folder"},     \
    {"crl", 0, CMD_VALUES, "FILE", "revocation list of AMD"},                                                          \
    {"require-crl", 0, CMD_FLAG, NULL, "reject where no fresh revocation list is there"},                              \
    {"fetch", 0, CMD_FLAG, NULL, "ask the Key Distribution Service for what is neither here nor in the cache"},        \
    CMD_CERTIFICATE_OPTIONS,                                                                                           \
    {"auxblob", 0, CMD_VALUE, "FILE", "certificate table that came beside the report (auxblob of configfs-tsm)"},      \
    {"at", 0, CMD_VALUE, "TIME", "judge the certificates as of this time (default: now)"},                             \
    {"ssh-host-key", 0, CMD_VALUE, "FILE", "the report data must be the digest of this public key (and --nonce, of 32 bytes)"}, \
    {"via", 0, CMD_VALUE, "channel|agent|auto", "how a running guest is asked (default: auto, the channel if it has one)"}, \
    {"save", 0, CMD_VALUE, "FILE", "keep what a running guest has answered"}

static const CmdOption verify_options[] = {
    {"domain", 0, CMD_VALUE, "DOMAIN", "what must have been launched: a domain (its pinned reference), or a domain XML"},
    VERIFY_OPTIONS,
    FORMAT_OPTION,
    END,
};

#define ATTESTED_OPTIONS                                                                                               \
    DOMAIN_OPTION, VERIFY_OPTIONS,                                                                                     \
        {"report", 0, CMD_VALUE, "FILE", "judge this report instead of asking the running guest"},                     \
        {"host", 0, CMD_VALUES, "ADDRESS", "address or host name of the guest (default: what libvirt knows)"},         \
        {"port", 0, CMD_VALUE, "N", "port of its SSH server (default: 22)"}

static const CmdOption known_hosts_options[] = {
    ATTESTED_OPTIONS,
    {"output", 0, CMD_VALUE, "FILE", "put the line into this file, in place of others about the host (default: print it)"},
    END,
};

static const CmdOption ssh_options[] = {
    ATTESTED_OPTIONS,
    {"login", 0, CMD_VALUE, "USER", "who to log in as (default: as ssh chooses)"},
    {"identity", 0, CMD_VALUE, "FILE", "private key to log in with (default: as ssh chooses)"},
    END,
};

static const CmdOption report_get_options[] = {
    {"data", 0, CMD_VALUE, "HEX", "report data, at most 64 bytes; zeros follow"},
    {"nonce", 0, CMD_VALUE, "FILE", "report data: the nonce in this file, binary or in hexadecimal"},
    {"ssh-host-key", 0, CMD_VALUE, "FILE",
     "bind this public key, or 'auto' for the SSH server's: its SHA-256, then a nonce of 32 bytes"},
    {"vmpl", 0, CMD_VALUE, "N", "privilege level to ask for, 0 to 3 (default: the kernel's choice)"},
    {"format", 0, CMD_VALUE, "binary|extended|hex|json", "the report alone, with certificates, as text, or as evidence document"},
    {"output", 0, CMD_VALUE, "FILE", "write to this file (default: standard output)"},
    {"certificates", 0, CMD_VALUE, "FILE", "write the certificate table that the host gave along to this file"},
    {"tsm", 0, CMD_VALUE, "FOLDER", "where configfs-tsm is (default: /sys/kernel/config/tsm/report)"},
    {"device", 0, CMD_VALUE, "FILE", "the other way to ask (default: /dev/sev-guest)"},
    END,
};

static const CmdOption nonce_options[] = {
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
     "Shows what is pinned for a domain, whether its metadata agrees, its last launches, and the last verdicts about "
     "its reports.",
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
    {"build", "--base FILE --name NAME --level N [OPTION…]", 0, 0, "from a base image to a defined domain in one go",
     "Makes the volumes, seals the root file system, builds the initrd, and defines and pins the domain.", build_options,
     cmd_build},
    {"image-build", "--suite SUITE --output FILE [OPTION…]", 0, 0, "make a base image from a distribution",
     "Builds a disk image from the packages of a Debian or Ubuntu suite: reproducible, without mounts and loop devices, "
     "without passwords, host keys and data sources that a host could answer.",
     image_build_options, cmd_image_build},
    {"image-import", "IMAGE --output FILE [OPTION…]", 1, 1, "make a base image from a cloud image",
     "Takes the root file system of an existing cloud image, cleans it as image-build does, and makes a base image of it.",
     image_import_options, cmd_image_import},
    {"vol-create", "NAME --level N --base FILE [OPTION…]", 1, 1, "make the volumes of a guest",
     "Makes an overlay on a base image in a libvirt storage pool, and what its level needs beside it.", vol_create_options,
     cmd_vol_create},
    {"vol-list", "[OPTION…]", 0, 0, "volumes of guests", "Lists the volumes that vol-create made in a storage pool.",
     vol_list_options, cmd_vol_list},
    {"vol-info", "[OPTION…] NAME", 1, 1, "level, base, root hash and state of a volume",
     "Shows what is known of a volume, and whether it is still what was sealed.", vol_info_options, cmd_vol_info},
    {"vol-seal", "[OPTION…] NAME", 1, 1, "compute the hash tree of a volume",
     "Computes the dm-verity tree over the root file system of a volume and records its root hash.", vol_seal_options,
     cmd_vol_seal},
    {"vol-delete", "[OPTION…] NAME", 1, 1, "remove the volumes of a guest",
     "Removes the volumes that vol-create made, unless something uses them.", vol_delete_options, cmd_vol_delete},
    {"verity-format", "[OPTION…] DATA HASH", 2, 2, "compute a dm-verity hash tree",
     "Writes the hash tree of DATA to the file HASH, as 'veritysetup format' does, and prints the root hash. Holes cost "
     "nothing.",
     verity_format_options, cmd_verity_format},
    {"verity-verify", "[OPTION…] DATA HASH ROOT-HASH", 3, 3, "check data against a dm-verity hash tree",
     "Checks DATA and the tree in HASH against a root hash and names the first bad block.", verity_verify_options,
     cmd_verity_verify},
    {"initrd", "--level N --image FILE --output FILE [OPTION…]", 0, 0, "build the initrd of a level",
     "Builds an initrd without a shell from the guest's init and the kernel modules of an image.", initrd_options,
     cmd_initrd},
    {"reference", "[OPTION…] DOMAIN|FILE", 1, 1, "reference document: what a domain may measure, and why",
     "Measures a domain, a domain XML or a bundle for every CPU type and vCPU count asked for and prints one document: "
     "measurements, inputs with their digests, level, policy and minimum TCB. The same facts give the same bytes.",
     reference_options, cmd_reference},
    {"reference-sign", "--key KEY [OPTION…] FILE", 1, 1, "sign a reference document",
     "Signs a reference document with the owner's key, or adds a signature to a signed one.", reference_sign_options,
     cmd_reference_sign},
    {"reference-verify", "[OPTION…] FILE", 1, 1, "check the signatures of a reference document",
     "Checks that a reference document is signed by one of the keys and shows what it holds.", reference_verify_options,
     cmd_reference_verify},
    {"reference-diff", "[OPTION…] OLD NEW", 2, 2, "what changed between two references, in words",
     "Compares two references, domains or domain XMLs and says what changed.", reference_diff_options,
     cmd_reference_diff},
    {"id-block", "--measurement HEX --id-key KEY --output-dir DIR\n--domain D --id-key KEY --output-dir DIR", 0, 0,
     "make ID block and ID authentication page",
     "Makes the signed ID block by which the processor itself refuses to launch anything else (SEV-SNP).",
     id_block_options, cmd_id_block},
    {"id-block-verify", "--domain D [OPTION…]\n--id-block FILE --id-auth FILE [OPTION…]", 0, 0,
     "check ID block and ID authentication page",
     "Checks both signatures of an ID block, the digests of its keys, and its digest and policy against a domain.",
     id_block_verify_options, cmd_id_block_verify},
    {"export", "--to FORMAT [OPTION…] DOMAIN|FILE", 1, 1, "write reference values for other programs",
     "Writes what a domain must measure in the format of another program.", export_options, cmd_export},
    {"import", "--from FORMAT [OPTION…] FILE", 1, 1, "read what other programs have written",
     "Reads reference values or a guest from the format of another program.", import_options, cmd_import},
    {"import-alman", "[OPTION…] DIR", 1, 1, "take over a folder of ALman",
     "Reads configuration, CPU types, recorded measurements and disks of an ALman folder, measures each guest again and "
     "makes a domain XML and a reference of it.",
     import_alman_options, cmd_import_alman},
    {"bundle", "--output FILE [OPTION…] DOMAIN|FILE", 1, 1, "pack everything that a launch is made of into one file",
     "Writes domain XML, firmware, kernel, initrd, reference, ID block and a manifest with their digests into one tar "
     "archive.",
     bundle_options, cmd_bundle},
    {"bundle-verify", "[OPTION…] BUNDLE", 1, 1, "check a bundle and measure what is in it",
     "Checks every file of a bundle against its manifest, signatures and ID block, and measures the launch anew.",
     bundle_verify_options, cmd_bundle_verify},
    {"bundle-define", "[OPTION…] BUNDLE", 1, 1, "define a domain from a bundle",
     "Checks a bundle, puts its files into the state folder, defines the domain and pins its reference.",
     bundle_define_options, cmd_bundle_define},
    {"report-show", "[OPTION…] FILE|-", 1, 1, "every field of an attestation report, unverified",
     "Prints every field of an attestation report with its name, and the certificates that came along. Nothing is "
     "verified.",
     report_show_options, cmd_report_show},
    {"certs",
     "fetch [OPTION…] REPORT…\n"
     "fetch --product P [--chip HEX --tcb TCB] [OPTION…]\n"
     "list [OPTION…]\n"
     "import [OPTION…] FILE|DIR…\n"
     "export [OPTION…] DIR\n"
     "export --table FILE [OPTION…] REPORT",
     1, 1001, "keep the certificates that reports are verified with",
     "Brings certificates and revocation lists from AMD's Key Distribution Service, a mirror or files into the cache, "
     "after checking them against the roots, lists what is there, and writes it out for machines without a network.",
     certs_options, cmd_certs},
    {"report-get", "[OPTION…]", 0, 0, "get an attestation report, inside a guest",
     "Asks the processor for an attestation report about the given report data. Works inside an SEV-SNP guest only; images of "
     "image-build and image-import have a small program of the same name for it.",
     report_get_options, cmd_report_get},
    {"verify", "[OPTION…] REPORT|-\n[OPTION…] --domain NAME", 0, 1, "judge an attestation report",
     "Checks who signed a report and whether it says what it must: every check is listed with what was found and what was "
     "expected. Without a REPORT the running domain is asked for one. Asks the network only with --fetch or --kds.",
     verify_options, cmd_verify},
    {"known-hosts", "[OPTION…] DOMAIN\n--report FILE --ssh-host-key FILE --host ADDRESS", 0, 1,
     "trust the SSH host key of an attested guest",
     "Asks a running guest for a report about its SSH host key and judges it. Only when it is accepted, the key becomes a line "
     "for SSH's list of known hosts.",
     known_hosts_options, cmd_known_hosts},
    {"ssh", "[OPTION…] DOMAIN [-- COMMAND…]\n[OPTION…] --report FILE [-- COMMAND…]", 0, G_MAXUINT16, "log in to an attested guest",
     "Asks a running guest for a report about its SSH host key, judges it, and runs ssh only when it is accepted, for this key "
     "alone: nothing secret leaves before.",
     ssh_options, cmd_ssh},
    {"nonce", "[OPTION…]", 0, 0, "report data that is good once",
     "Prints a nonce for a guest to put into its report, and remembers it: 'verify --nonce' accepts it once.", nonce_options,
     cmd_nonce},
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
