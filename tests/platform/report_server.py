#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The processor's part of attestation for a guest without one: issues reports of a launch that the platform model has seen.

SIMULATION, NOT A PROCESSOR. The stand-in inside the guest (standin/) passes requests on over a port of its own, and what
goes back is signed by the test authority (authority.py), which nothing trusts unless it is told to.

    server = Server(path, authority.line('Milan'), launch)      listens on a Unix socket, for QEMU's chardev
    server.fault('vmpl-1')                                      from now on; '' ends it
    server.requests                                             (report data, VMPL) of each

One line each way: "report VMPL DATA" and "ok REPORT TABLE" ("-": no table) or "refused EXITINFO2", in hexadecimal.

The faults, each what a hostile host, another guest or another processor would bring about:

    debug-policy  migratable-policy   the launch allowed it
    other-launch                      the measurement of server.other, another launch
    vmpl-1  host-data  id-key  author-key  migration-agent  provisional  old-version  masked-key
    rolled-back                       an older TCB, with the right certificate for it
    other-chip                        its certificate is of another chip
    other-data                        report data of its own
    forged                            signed by a key that is not the one in the certificate
    foreign                           an authority of the same name with other keys
    vlek                              signed by a cloud provider's key
    expired                           the certificate was valid once
    no-table                          no certificates along
    busy  refused                     the firmware does not answer
"""
import argparse
import json
import os
import socket
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import authority as authorities  # noqa: E402

BUSY, FAILED = 2 << 32, 0x16  # exitinfo2: SNP_GUEST_VMM_ERR_BUSY; firmware: INVALID_PARAM
LINE_MAX = 256


class Refused(Exception):
    """With exitinfo2."""


class Server:
    """One processor: a line of products, one chip, one launch."""

    def __init__(self, path, line, launch):
        self.line, self.launch, self.other = line, launch, None
        self.signer = line.vcek()
        self.requests = []
        self._fault = ''
        # A processor keeps the identity of a report for the life of its guest.
        self.report_id = os.urandom(32)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(path)
        self._socket.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def fault(self, word=''):
        if word and word.replace('-', '_') not in FAULTS:
            raise ValueError(f'no fault {word}')
        self._fault = word

    def issue(self, data, vmpl):
        """(report, certificates: list for authority.table())."""
        self.requests.append((data, vmpl))
        order = {'signer': self.signer, 'launch': self.launch, 'report_data': data, 'vmpl': vmpl,
                 'report_id': self.report_id}
        if self._fault:
            order.update(FAULTS[self._fault.replace('-', '_')](self))
        certificates = order.pop('certificates', [order['signer']])
        signer = order.pop('signer')
        return authorities.report(signer, **order), [(each.kind, each.certificate) for each in certificates]

    def answer(self, line):
        words = line.decode('ascii').split()
        if len(words) != 3 or words[0] != 'report' or len(words[2]) != 128:
            raise ValueError('no request')
        try:
            report, certificates = self.issue(bytes.fromhex(words[2]), int(words[1]))
        except Refused as why:
            return f'refused {why.args[0]:x}'
        return f'ok {report.hex()} {authorities.table(certificates).hex() if certificates else "-"}'

    def _accept(self):
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile('rb') as lines:
            while line := lines.readline(LINE_MAX):
                try:
                    connection.sendall(self.answer(line).encode() + b'\n')
                except (ValueError, OSError) as why:
                    print(f'report-server: {why}', file=sys.stderr)
                    return


#
# Faults: what differs from an honest order
#
def older(line):
    return {**authorities.TCB[line.name], 'snp': authorities.TCB[line.name]['snp'] - 1}


def refuse(code):
    raise Refused(code)


def foreign(server):
    """Everything has the right name, nothing the right key."""
    return authorities.Line(server.line.name, authorities.Authority().key).vcek()


FAULTS = {
    'debug_policy': lambda server: {'launch': {**server.launch, 'policy': f'{int(server.launch["policy"], 16) | 1 << 19:#x}'}},
    'migratable_policy': lambda server: {'launch': {**server.launch, 'policy': f'{int(server.launch["policy"], 16) | 1 << 18:#x}'}},
    'other_launch': lambda server: {'launch': server.other},
    'vmpl_1': lambda server: {'vmpl': 1},
    'host_data': lambda server: {'launch': {**server.launch, 'host_data': '12' * 32}},
    'id_key': lambda server: {'launch': {**server.launch, 'id_key_digest': 'cd' * 48}},
    'author_key': lambda server: {'launch': {**server.launch, 'author_key_digest': 'ef' * 48}},
    'migration_agent': lambda server: {'report_id_ma': b'\x11' * 32},
    'provisional': lambda server: {'committed_tcb': older(server.line)},
    'old_version': lambda server: {'version': 1},
    'masked_key': lambda server: {'mask_chip_key': True},
    'rolled_back': lambda server: {'signer': server.line.vcek(tcb=older(server.line))},
    'other_chip': lambda server: {'certificates': [server.line.vcek(hwid=authorities.chip(server.line.name, 'other'))]},
    'other_data': lambda server: {'report_data': os.urandom(64)},
    'forged': lambda server: {'signer': server.line.vcek(key=authorities.Authority.generate('ec')),
                              'certificates': [server.signer]},
    'foreign': lambda server: {'signer': foreign(server)},
    'vlek': lambda server: {'signer': server.line.vlek()},
    'expired': lambda server: {'signer': server.line.vcek(validity=(server.line.now - 9000, server.line.now - 4000))},
    'no_table': lambda server: {'certificates': []},
    'busy': lambda server: refuse(BUSY),
    'refused': lambda server: refuse(FAILED),
}


def main():
    parser = argparse.ArgumentParser(description='Issues reports of a modelled launch. A simulation: NOT A PROCESSOR.')
    parser.add_argument('--folder', required=True, help='keys and certificates of the test authority')
    parser.add_argument('--line', choices=sorted(authorities.LINES), default='Milan')
    parser.add_argument('--launch', required=True, help='document of a modelled launch (JSON)')
    parser.add_argument('--fault', default='', help='one of ' + ', '.join(word.replace('_', '-') for word in FAULTS))
    parser.add_argument('socket', help='Unix socket to listen on')
    options = parser.parse_args()
    with open(options.launch, encoding='utf-8') as document:
        launch = json.load(document)
    server = Server(options.socket, authorities.Authority(options.folder).line(options.line), launch)
    server.fault(options.fault)
    print(f'report-server: {authorities.ORGANISATION}: a simulation', file=sys.stderr)
    threading.Event().wait()


if __name__ == '__main__':
    main()
