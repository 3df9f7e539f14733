/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding the disks. Serials, sizes and partition tables come from the host: each of them only selects, and a name that
 * two disks claim selects nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fs.h>

#include "guest/init.h"

#define NAME_MAX_BYTES 32 /* of a block device: "vda", "nvme0n1p12" */
#define POLL_MS 50

typedef enum { FOUND_NOT, FOUND_ONCE, FOUND_TWICE, FOUND_DISK } Found;

int guest_device_open(const GuestDevice *device, int flags)
{
    struct stat st;
    char number[sizeof(device->number)];
    int fd = open(device->path, flags | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        guest_stop("cannot open %s: %s", device->path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode))
        guest_stop("%s is no block device", device->path);
    snprintf(number, sizeof(number), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
    if (strcmp(number, device->number) != 0)
        guest_stop("%s is not the device %s", device->path, device->number);
    return fd;
}

/* The path of an attribute of a disk (@part NULL) or a partition. */
static void attribute(char *out, size_t size, const char *disk, const char *part, const char *name)
{
    if (part)
        snprintf(out, size, "/sys/block/%s/%s/%s", disk, part, name);
    else
        snprintf(out, size, "/sys/block/%s/%s", disk, name);
}

static bool describe(const char *disk, const char *part, GuestDevice *out)
{
    const char *name = part ? part : disk;
    char path[160];
    ssize_t size;
    uint64_t sectors;

    snprintf(out->path, sizeof(out->path), "/dev/%s", name);
    attribute(path, sizeof(path), disk, part, "dev");
    size = guest_read_file(path, out->number, sizeof(out->number));
    if (size < 2)
        return false;
    out->number[size - 1] = '\0';
    attribute(path, sizeof(path), disk, part, "size");
    if (!guest_read_number(path, &sectors) || sectors > UINT64_MAX / 512)
        return false;
    out->size = sectors * 512;
    return true;
}

/* Without the blanks that some devices pad with. */
static bool same_serial(const char *text, size_t size, const char *serial)
{
    while (size && (text[size - 1] == ' ' || text[size - 1] == '\n' || text[size - 1] == '\0'))
        size--;
    while (size && *text == ' ') {
        text++;
        size--;
    }
    return size == strlen(serial) && !memcmp(text, serial, size);
}

static bool has_serial(const char *disk, const char *serial)
{
    /* virtio-blk; NVMe. */
    static const char *const places[] = {"serial", "device/serial"};
    char path[160], text[300];
    ssize_t size;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        attribute(path, sizeof(path), disk, NULL, places[i]);
        size = guest_read_file(path, text, sizeof(text));
        if (size > 0)
            return same_serial(text, (size_t)size, serial);
    }
    /* SCSI: the Unit Serial Number page, four bytes in front (SPC-4, section 7.8.16). */
    attribute(path, sizeof(path), disk, NULL, "device/vpd_pg80");
    size = guest_read_file(path, text, sizeof(text));
    return size > 4 && same_serial(text + 4, (size_t)size - 4, serial);
}

/* Calls @match for every disk that is a device, not a mapping or a loop. */
typedef Found (*Match)(const char *disk, const void *wanted, GuestDevice *out);

static Found for_each_disk(Match match, const void *wanted, GuestDevice *out)
{
    DIR *dir = opendir("/sys/block");
    const struct dirent *entry;
    Found result = FOUND_NOT;

    if (!dir)
        guest_stop("/sys/block: %s", strerror(errno));
    while ((entry = readdir(dir))) {
        char path[160];
        GuestDevice candidate = {.path = ""};
        Found found;

        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= NAME_MAX_BYTES)
            continue;
        snprintf(path, sizeof(path), "/sys/block/%.*s/device", NAME_MAX_BYTES, entry->d_name);
        if (access(path, F_OK) < 0)
            continue;
        found = match(entry->d_name, wanted, &candidate);
        if (found == FOUND_NOT)
            continue;
        if (result != FOUND_NOT || found == FOUND_TWICE) {
            result = FOUND_TWICE;
            break;
        }
        result = found;
        *out = candidate;
    }
    closedir(dir);
    return result;
}

/* The partition @number of @disk, as the kernel has read the table. */
static Found find_partition(const char *disk, unsigned number, GuestDevice *out)
{
    char path[160];
    const struct dirent *entry;
    Found result = FOUND_DISK;
    DIR *dir;

    snprintf(path, sizeof(path), "/sys/block/%s", disk);
    dir = opendir(path);
    if (!dir)
        return FOUND_DISK;
    while (result == FOUND_DISK && (entry = readdir(dir))) {
        uint64_t value;

        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= NAME_MAX_BYTES)
            continue;
        attribute(path, sizeof(path), disk, entry->d_name, "partition");
        if (guest_read_number(path, &value) && value == number && describe(disk, entry->d_name, out))
            result = FOUND_ONCE;
    }
    closedir(dir);
    return result;
}

static Found match_serial(const char *disk, const void *wanted, GuestDevice *out)
{
    const GuestDisk *name = wanted;

    if (!has_serial(disk, name->serial))
        return FOUND_NOT;
    if (name->partition)
        return find_partition(disk, name->partition, out);
    return describe(disk, NULL, out) ? FOUND_ONCE : FOUND_NOT;
}

static int read_device(void *context, void *out, size_t size, uint64_t offset)
{
    return guest_read_at(*(int *)context, out, size, offset);
}

static Found match_partuuid(const char *disk, const void *wanted, GuestDevice *out)
{
    char path[160];
    GuestDevice device;
    uint64_t block_size;
    int fd, number;

    attribute(path, sizeof(path), disk, NULL, "queue/logical_block_size");
    if (!describe(disk, NULL, &device) || !guest_read_number(path, &block_size) || block_size > 4096)
        return FOUND_NOT;
    /* An empty drive cannot be opened, and is not what we look for. */
    fd = open(device.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return FOUND_NOT;
    number = guest_gpt_find(read_device, &fd, device.size, (uint32_t)block_size, wanted);
    close(fd);
    return number > 0 ? find_partition(disk, (unsigned)number, out) : FOUND_NOT;
}

/* Has @deadline passed, it stops; true when the device is there. */
static bool look(const char *role, const GuestDisk *name, const char *partuuid, int64_t deadline, GuestDevice *out)
{
    Found found = partuuid ? for_each_disk(match_partuuid, partuuid, out) : for_each_disk(match_serial, name, out);

    if (found == FOUND_ONCE)
        return true;
    if (found == FOUND_TWICE && partuuid)
        guest_stop("%s: two disks have a partition with the UUID %s", role, partuuid);
    if (found == FOUND_TWICE)
        guest_stop("%s: two disks have the serial '%s'", role, name->serial);
    if (guest_clock_ms() < deadline)
        return false;
    if (partuuid)
        guest_stop("%s: no disk has a partition with the UUID %s", role, partuuid);
    if (found == FOUND_DISK)
        guest_stop("%s: the disk '%s' has no partition %u", role, name->serial, name->partition);
    guest_stop("%s: no disk has the serial '%s'", role, name->serial);
}

void guest_disks_find(const GuestWords *names, GuestDisks *out)
{
    int64_t deadline = guest_clock_ms() + (int64_t)names->wait_seconds * 1000;
    const char *partuuid = names->root_partuuid[0] ? names->root_partuuid : NULL;

    memset(out, 0, sizeof(*out));
    for (;;) {
        bool all = look("root", &names->root, partuuid, deadline, &out->root);

        if (names->has_verity)
            all = look("verity", &names->hash_disk, NULL, deadline, &out->hash) && all;
        if (names->upper == GUEST_UPPER_ENCRYPTED)
            all = look("upper", &names->upper_disk, NULL, deadline, &out->upper) && all;
        if (all)
            return;
        guest_sleep_ms(POLL_MS);
    }
}
