# SPDX-License-Identifier: LGPL-2.1-or-later
"""Logging in to a guest as its owner would: the host key must be the one whose fingerprint the console showed."""
import base64
import hashlib
import os
import re
import time

import rig

# What the init prints about the host key of this boot (guest/ documents it).
FINGERPRINT = rb'(SHA256:[A-Za-z0-9+/]{43})'


def fingerprint(key):
    """OpenSSH's notation for the key in a line "TYPE BASE64"."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return 'SHA256:' + base64.b64encode(digest).decode().rstrip('=')


class Login:
    """A connection to the SSH server of a guest, opened as soon as it answers."""

    def __init__(self, guest, key, user='root', timeout=rig.BOOT):
        self.guest, self.key, self.user = guest, key, user
        found = guest.wait_for(FINGERPRINT, timeout)
        self.shown = found.group(1).decode() if found else None
        self.host_key = self._scan(timeout)
        self.known_hosts = os.path.join(guest.folder, f'{guest.name}.known_hosts')
        self.seconds = guest.age()
        rig.write(self.known_hosts, f'[127.0.0.1]:{guest.port} {self.host_key}\n')

    def _scan(self, timeout):
        end = time.monotonic() + timeout
        while time.monotonic() < end and self.guest.process.poll() is None:
            done = rig.call('ssh-keyscan', '-T', '60', '-t', 'ed25519', '-p', str(self.guest.port), '127.0.0.1',
                            check=False)
            found = re.search(r'(ssh-ed25519 \S+)', done.stdout)
            if found:
                return found.group(1)
            time.sleep(1)
        raise rig.Failed(f'{self.guest.name}: no SSH server answers; console:\n{self.guest.tail()}')

    def arguments(self, *options, key=None):
        return ['ssh', '-F', '/dev/null', '-q', '-p', str(self.guest.port), '-i', key or self.key,
                '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes',
                '-o', f'UserKnownHostsFile={self.known_hosts}', '-o', 'ConnectTimeout=120', *options,
                f'{self.user}@127.0.0.1']

    def run(self, script, check=True, timeout=rig.BOOT):
        """Run a shell script in the guest; what it printed on standard output."""
        with open(rig.write(os.path.join(self.guest.folder, f'{self.guest.name}.script'), script), 'rb') as stdin:
            done = rig.call(*self.arguments(), 'sh', '-s', check=False, timeout=timeout, stdin=stdin)
        if check and done.returncode != 0:
            raise rig.Failed(f'{self.guest.name}: ended with {done.returncode}:\n{script}\n{done.stdout}{done.stderr}\n'
                             f'{self.guest.tail()}')
        return done.stdout

    def facts(self, **scripts):
        """Answers of several scripts in one connection, each without the newline at its end."""
        mark = '=== virt-attest'
        text = self.run('exec 2>&1\n' + ''.join(f'printf "\\n%s\\n" "{mark} {name}"\n{{ {script}\n}} </dev/null\n'
                                                for name, script in scripts.items()) + 'true\n')
        parts = re.split(rf'^{mark} (\w+)\n', text, flags=re.M)[1:]
        return {name: answer.strip('\n') for name, answer in zip(parts[::2], parts[1::2])}

    def refused(self, key=None, *options):
        """Whether a login with another key or by other means is refused."""
        return rig.call(*self.arguments(*options, key=key), 'true', check=False).returncode == 255
