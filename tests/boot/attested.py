# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a running guest's report must survive: the stand-in for its SNP devices, and the attacks, each with its own reason.

A SIMULATION: the stand-in is plugged into the guest over SSH, as hardware would be there from the start; the reports come
from the test authority. Everything between them is the real thing: the guest's program and its service, the channel, libvirt
and the verifier.
"""
import base64
import dataclasses
import os

import rig

FOLDER = '/sys/kernel/config'
# As the kernel has it on such a processor: a folder, or where that is missing a device.
FOLDER_SCRIPT = f'''
mount -t tmpfs -o mode=755 tmpfs {FOLDER} && mkdir -p {FOLDER}/tsm/report && modprobe fuse
setsid /run/standin folder {FOLDER}/tsm/report >/run/standin.log 2>&1 </dev/null &
for turn in $(seq 1000); do grep -q "^test-stand-in" /proc/mounts && exit 0; sleep 0.1; done
cat /run/standin.log; exit 1
'''
# The device that CUSE makes has a number of its own, which the sandbox of the service learns when it starts.
DEVICE_SCRIPT = '''
modprobe cuse
setsid /run/standin device sev-guest >/run/standin.log 2>&1 </dev/null &
for turn in $(seq 1000); do [ -c /dev/sev-guest ] && exec systemctl restart virt-attest-report; sleep 0.1; done
cat /run/standin.log; exit 1
'''


class Devices:
    """The stand-in inside a guest that somebody is logged in to."""

    def __init__(self, login):
        self.login = login
        program = os.path.join(os.environ['VIRT_ATTEST_BUILD'], 'tests/platform/standin/standin')
        text = base64.encodebytes(rig.read(program)).decode()
        login.run(f'base64 -d >/run/standin <<END\n{text}END\nchmod 755 /run/standin\n')

    def plug_folder(self):
        self.login.run(FOLDER_SCRIPT)

    def plug_device(self):
        self.login.run(DEVICE_SCRIPT)


@dataclasses.dataclass(frozen=True)
class Attack:
    """@fault: word of report_server.py; @launch: key of a launch that its reports are about; @checks: those that fail and
    no others, each with a piece of its text."""
    name: str
    checks: dict
    fault: str = ''
    launch: str = ''
    words: tuple = ()


def attacks(tcb, revoked):
    """@tcb: the present one, as an option; @revoked: a revocation list that names the ASK."""
    return (
        Attack('another image', {'measurement': "the measurement of domain 'other-image'"}, launch='image'),
        Attack('another command line', {'measurement': "the measurement of domain 'other-words'"}, launch='command line'),
        Attack('another initrd', {'measurement': 'other firmware, kernel or initrd'}, launch='initrd'),
        Attack('the debug policy', {'policy': 'another policy than the rules ask for',
                                    'debug': "lets the host read and change the guest's memory"}, 'debug-policy'),
        Attack('a guest that may be migrated', {'policy': 'another policy than the rules ask for'}, 'migratable-policy'),
        Attack("another chip's certificate", {'signature': "this certificate's key has not made it",
                                              'chip': 'of another chip than the report'}, 'other-chip'),
        Attack('a revoked ASK', {'revocation': 'SEV-Milan has been revoked'}, words=('--crl', revoked)),
        Attack('a rolled-back TCB', {'reported-tcb': 'older than the rules accept'}, 'rolled-back',
               words=('--minimum-reported-tcb', tcb)),
        Attack('provisional firmware', {'provisional': 'can go back to the committed one'}, 'provisional'),
        Attack('VMPL 1', {'vmpl': 'another privilege level'}, 'vmpl-1'),
        Attack('a foreign ID key', {'id-key': 'launched with an ID key, and no rule expects one'}, 'id-key'),
        Attack('a foreign author key', {'author-key': 'launched with an author key, and no rule expects one'}, 'author-key'),
        Attack('other host data', {'host-data': 'the host has set host data'}, 'host-data'),
        Attack('a forged signature', {'signature': "this certificate's key has not made it"}, 'forged'),
        Attack('a foreign authority', {'chain': 'SEV-Milan has not signed this certificate'}, 'foreign'),
        Attack("a cloud provider's key", {'signer': 'the key of a cloud provider'}, 'vlek'),
        Attack('a migration agent', {'report-id-ma': 'a migration agent is bound'}, 'migration-agent'),
        Attack('a masked chip key', {'signature': 'MASK_CHIP_KEY'}, 'masked-key'),
        Attack('an expired certificate', {'chain': 'the VCEK has expired'}, 'expired'),
    )


# What never becomes a report: fault, exit code, a piece of the message.
REFUSED = (
    ('other-data', 3, 'does not have the report data that was asked for'),
    ('refused', 3, 'Input/output error'),
    ('old-version', 3, 'version'),
    ('no-table', 4, 'no certificate of the key that signed the report'),
)
