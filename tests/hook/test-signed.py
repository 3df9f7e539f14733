#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hook where keys are trusted. Envelopes are made here, with the openssl command line, not by the program."""
import base64
import hashlib
import json
import os
import re
import subprocess

from rig import ROOT, UUID, Rig, Skip, accepted, refused

TYPE = 'application/vnd.virt-attest.reference+json'


def openssl(*arguments, given=None):
    return subprocess.run(['openssl', *arguments], input=given, capture_output=True, check=True).stdout


class Signed(Rig):
    """A rig with a folder of trusted keys and keys that are not in it yet."""

    def __init__(self):
        super().__init__()
        self.keys = self.folder / 'keys'
        for name, arguments in (('ed', ['ED25519']), ('p384', ['EC', '-pkeyopt', 'ec_paramgen_curve:P-384']),
                                ('other', ['ED25519'])):
            openssl('genpkey', '-algorithm', *arguments, '-out', self.key(name))
        self.configure(rest=f'[reference]\ntrusted-keys = {self.keys}')
        self.pinned = self.state / 'references' / f'{UUID}.json'

    def key(self, name):
        return str(self.folder / f'{name}.pem')

    def trust(self, *names):
        self.keys.mkdir(exist_ok=True)
        self.keys.chmod(0o755)
        for path in self.keys.iterdir():
            path.unlink()
        for name in names:
            path = self.keys / f'{name}.pem'
            path.write_bytes(openssl('pkey', '-in', self.key(name), '-pubout'))
            path.chmod(0o644)

    def portable(self):
        """The portable document of the pin: the same text without what belongs to this host."""
        text, count = re.subn(r'\n  "(onMismatch|created)" : [^\n]*', '', self.pinned.read_text())
        assert count == 2, text
        return text.encode()

    def envelope(self, document, *names):
        signed = self.folder / 'pae'
        signed.write_bytes(b'DSSEv1 %d %s %d %s' % (len(TYPE), TYPE.encode(), len(document), document))
        signatures = []
        for name in names:
            if name == 'p384':
                signature = openssl('dgst', '-sha384', '-sign', self.key(name), str(signed))
            else:
                signature = openssl('pkeyutl', '-sign', '-inkey', self.key(name), '-rawin', '-in', str(signed))
            der = openssl('pkey', '-in', self.key(name), '-pubout', '-outform', 'DER')
            signatures.append({'keyid': hashlib.sha256(der).hexdigest(), 'sig': base64.b64encode(signature).decode()})
        return {'payload': base64.b64encode(document).decode(), 'payloadType': TYPE, 'signatures': signatures}

    def put(self, envelope, **changes):
        pin = json.loads(self.pinned.read_text())
        pin['signed'] = envelope
        pin.update(changes)
        self.pinned.write_text(json.dumps({name: value for name, value in pin.items() if value is not None}))


def test_signatures():
    with Signed() as r:
        r.pin()
        refused(r.start(), 'the configuration names it')  # the folder does not exist
        r.trust()
        accepted(r.start())  # it is empty
        r.trust('ed', 'p384')
        refused(r.start(), 'is not signed', str(r.keys), 'virt-attest define --accept --sign-key KEY guest1')
        document = r.portable()
        for names in ('ed',), ('p384',), ('other', 'ed'), ('ed', 'p384'):
            r.pin()
            r.put(r.envelope(document, *names))
            accepted(r.start())
            launch = r.launches()[-1]
            assert launch['verdict'] == 'match' and 'signed by the key ' in launch['summary'], launch
        r.put(r.envelope(document, 'other'))
        refused(r.start(), 'none of the 2 keys')
        assert r.launches()[-1]['verdict'] == 'refused', r.launches()[-1]
        # What is neither pinned nor confidential is not asked.
        accepted(r.start(r.plain_xml(domain='4628b277-cd81-4b55-b30c-ba36606ea5b7')))
        r.pinned.unlink()
        accepted(r.start())
        assert r.launches()[-1]['verdict'] == 'unpinned', r.launches()[-1]


def test_forged():
    """Whoever may write to the state folder has no key."""
    with Signed() as r:
        r.trust('ed')
        r.pin()
        document = r.portable()
        good = r.envelope(document, 'ed')
        other = document.replace(b'"policy" : "0x30000"', b'"policy" : "0x20000"')
        assert other != document
        for what, envelope, changes, says in (
                ('a changed document', dict(good, payload=base64.b64encode(other).decode()), {}, 'is not good'),
                ('another one', r.envelope(other, 'ed'), {}, 'guest policy'),
                ('not canonical', r.envelope(document + b'\n', 'ed'), {}, 'portable form'),
                ('a pin', r.envelope(r.pinned.read_bytes(), 'ed'), {}, 'portable form'),
                ('another type', dict(good, payloadType='text/plain'), {}, 'payloadType'),
                ('no signatures', dict(good, signatures=[]), {}, 'signatures'),
                ('a number', 7, {}, 'signed'),
                ('nothing, observing', None, {'onMismatch': 'observe'}, 'not signed'),
                ('another policy, observing', r.envelope(other, 'ed'), {'onMismatch': 'observe'}, 'guest policy'),
                ('rules of nobody', good, {'product': 'Milan'}, 'product')):
            r.pin()
            r.put(envelope, **changes)
            done = r.start()
            assert done.returncode == 1, (what, done)
            refused(done, says)
        r.pin()
        r.put(good)
        accepted(r.start())
        r.kernel.write_bytes(b'another kernel')
        refused(r.start(), 'kernel', 'was')


def test_keys():
    """A folder or key that cannot be used: no pinned start."""
    with Signed() as r:
        r.trust('ed')
        r.pin()
        r.put(r.envelope(r.portable(), 'ed'))
        accepted(r.start())
        r.keys.chmod(0o777)
        refused(r.start(), 'others than root and the user may write', str(r.keys))
        r.trust('ed')
        (r.keys / 'ed.pem').chmod(0o666)
        refused(r.start(), 'others than root and the user may write', 'ed.pem')
        r.trust('ed')
        (r.keys / 'b.pem').write_text('damaged')
        refused(r.start(), 'b.pem')
        (r.keys / 'b.pem').unlink()
        os.mkfifo(r.keys / 'b.pem')
        refused(r.start(), 'b.pem', 'pipe')
        (r.keys / 'b.pem').unlink()
        (r.keys / 'b.pem').write_bytes(openssl('genrsa', '2048'))
        (r.keys / 'b.pem').chmod(0o644)
        refused(r.start(), 'b.pem', 'private key')
        r.trust('ed')
        (r.keys / 'README').write_text('not a key')
        accepted(r.start())
        r.trust()
        r.keys.rmdir()
        r.keys.write_text('a file')
        refused(r.start(), str(r.keys), 'Not a directory')


def test_foreign_owner():
    if not ROOT:
        raise Skip('giving files away needs root')
    with Signed() as r:
        r.trust('ed')
        r.pin()
        r.put(r.envelope(r.portable(), 'ed'))
        for path in r.keys, r.keys / 'ed.pem':
            os.chown(path, 65534, 0)
            refused(r.start(), 'others than root and the user may write', str(path))
            os.chown(path, 0, 0)
        accepted(r.start())


if __name__ == '__main__':
    import rig
    rig.main([test_signatures, test_forged, test_keys, test_foreign_owner])
