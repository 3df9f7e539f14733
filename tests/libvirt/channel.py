# SPDX-License-Identifier: LGPL-2.1-or-later
"""The far end of a domain's report channel, for tests that answer in the guest's place: nothing runs in the guest."""
import socket
import threading


class Service:
    """Listens at @path, to which QEMU connects for the domain, and libvirt for everybody who opens its channel. @play is
    called with the connection and the nonce of every request, and closes the connection by returning True."""

    def __init__(self, path, play=None):
        if play:
            self.play = play
        self.requests, self.asked = [], threading.Event()
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.server.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile('rb') as lines:
            for line in lines:
                words = line.split()
                if len(words) != 2 or words[0] != b'virt-attest-report-1':
                    continue
                self.requests.append(words[1].decode())
                self.asked.set()
                try:
                    if self.play(connection, words[1].decode()):
                        return
                except OSError:
                    return

    def play(self, connection, nonce):
        """Says nothing."""
