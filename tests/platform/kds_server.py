#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Key Distribution Service on the loopback, for the certificates of the test authority, with a real one's faults.

    GET /vcek/v1/PRODUCT/HWID?[fmcSPL=N&]blSPL=N&teeSPL=N&snpSPL=N&ucodeSPL=N     VCEK, DER
    GET /vcek|vlek/v1/PRODUCT/cert_chain                                          ASK or ASVK, then ARK, PEM
    GET /vcek|vlek/v1/PRODUCT/crl                                                 revocation list, DER

As a module, with Server(authority) as server: server.url is its address,
server.requests what was asked for, and

    server.script('/crl', '429:1', 'good')

gives the next request whose path has '/crl' in it the first word, the one behind it the second, and those that follow
the last one. The words:

    good  404  500  503  …        what it should say, or only this status
    429[:SECONDS|:date]           with Retry-After in seconds or as a date in two seconds
    slow:SECONDS                  the answer after this time
    drip                          one byte every fifth of a second
    cut                           the connection breaks half-way
    silent                        and at once
    corrupt                       one bit of the answer is another one
    oversized  oversized-length   an answer without an end, or with a Content-Length of 10 GiB
    redirect:URL                  302
    loop                          302 to itself
    html  empty                   status 200 with a page for people, or with nothing
    wrong-chip  wrong-tcb         the certificate of another chip, or of another TCB
    foreign                       signed by an authority of the same name with other keys
    stale  revoked  old           a revocation list that has run out, that names ASK and ASVK, or that is two days older
"""
import argparse
import email.utils
import http.server
import os
import re
import socket
import sys
import threading
import time
import urllib.parse

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import authority as authorities  # noqa: E402

TCB_WORDS = (('fmcSPL', 'fmc'), ('blSPL', 'bootloader'), ('teeSPL', 'tee'), ('snpSPL', 'snp'),
             ('ucodeSPL', 'microcode'))


class NotFound(Exception):
    pass


def tcb_of(line, query):
    """The TCB of a query, which must have every number of the line's once and nothing else, as for the real service."""
    given = urllib.parse.parse_qsl(query, keep_blank_values=True)
    wanted = [key for key, _ in TCB_WORDS if key != 'fmcSPL' or line == 'Turin']
    if sorted(key for key, _ in given) != sorted(wanted):
        raise NotFound(f'parameters {given}')
    words = dict(TCB_WORDS)
    tcb = {}
    for key, value in given:
        if not re.fullmatch('[0-9]{1,3}', value) or int(value) > 255:
            raise NotFound(f'{key}={value}')
        tcb[words[key]] = int(value)
    return tcb


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server_version = 'kds-server'

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def answer(self, status, body=b'', headers=(), length=None):
        self.send_response(status)
        self.send_header('Content-Type', 'application/octet-stream')
        self.send_header('Content-Length', str(len(body) if length is None else length))
        for key, value in headers:
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self):
        self.close_connection = True
        self.wfile.flush()

    def do_GET(self):
        try:
            self.respond(*self.server.owner.next_word(self.path))
        except NotFound as why:
            self.answer(404, str(why).encode())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def do_CONNECT(self):
        """As a proxy it leads nowhere, but tells who wanted to go where."""
        self.server.owner.next_word(f'CONNECT {self.path}')
        self.answer(403)

    def respond(self, word, argument):
        owner = self.server.owner
        if word.isdigit() and word != '429':
            self.answer(int(word), b'no')
        elif word == '429':
            value = argument
            if argument == 'date':
                value = email.utils.formatdate(time.time() + 2, usegmt=True)
            self.answer(429, b'later', [('Retry-After', value)] if value else ())
        elif word == 'slow':
            owner.stopped.wait(float(argument))
            self.answer(200, owner.document(self.path, word))
        elif word == 'drip':
            body = owner.document(self.path, word)
            self.answer(200, length=len(body))
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if owner.stopped.wait(0.2):
                    break
            self.hang_up()
        elif word in ('cut', 'silent'):
            body = owner.document(self.path, word)
            if word == 'cut':
                self.answer(200, body[:len(body) // 2], length=len(body))
            self.hang_up()
        elif word == 'oversized-length':
            self.answer(200, length=10 << 30)
            self.hang_up()
        elif word == 'oversized':
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            # What counts is what was taken, not what waits on the way.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            while not owner.stopped.is_set():
                self.wfile.write(bytes(65536))
                owner.sent += 65536
        elif word in ('redirect', 'loop'):
            self.answer(302, headers=[('Location', argument if word == 'redirect' else self.path)])
        elif word == 'html':
            self.answer(200, b'<html><body>Please log in to the network.</body></html>')
        elif word == 'empty':
            self.answer(200)
        else:
            self.answer(200, owner.document(self.path, word))


class Server:
    """Serves until it is left; every request gets a thread."""

    def __init__(self, authority, port=0, tls=None):
        self.authority = authority
        self.requests, self.scripts = [], []
        self.sent = 0
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.foreign = None
        self.http = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
        self.http.daemon_threads = True
        self.http.owner = self
        if tls:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True)
        self.url = f'{"https" if tls else "http"}://127.0.0.1:{self.http.server_address[1]}'

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.http.shutdown()
        self.http.server_close()

    def script(self, part, *words):
        """What requests with PART in their path get; the newest script for a path counts."""
        with self.lock:
            self.scripts.insert(0, (part, list(words)))

    def reset(self):
        with self.lock:
            self.scripts.clear()
            self.requests.clear()
            self.sent = 0

    def next_word(self, path):
        with self.lock:
            self.requests.append(path)
            for part, words in self.scripts:
                if part in path:
                    word = words.pop(0) if len(words) > 1 else words[0]
                    word, _, argument = word.partition(':')
                    return word, argument
        return 'good', ''

    def line(self, name, word):
        if name not in authorities.LINES:
            raise NotFound(f'no product {name}')
        if word != 'foreign':
            return self.authority.line(name)
        with self.lock:
            if not self.foreign:
                folder = self.authority.folder
                self.foreign = authorities.Authority(folder + '-foreign' if folder else None)
        return self.foreign.line(name)

    def document(self, path, word):
        """What the path names, as WORD wants it."""
        url = urllib.parse.urlsplit(path)
        found = re.fullmatch('/(vcek|vlek)/v1/([A-Za-z]+)/([0-9a-z_]+)', url.path)
        if not found:
            raise NotFound(url.path)
        kind, name, what = found.groups()
        line = self.line(name, word)
        if what == 'cert_chain':
            body = line.chain(kind).encode()
        elif what == 'crl':
            body = self.crl(line, word)
        elif kind == 'vcek':
            body = self.vcek(line, what, tcb_of(name, url.query), word)
        else:
            raise NotFound('VLEKs are for cloud operators')
        if word == 'corrupt':
            body = bytearray(body)
            body[len(body) * 2 // 3] ^= 1
        return bytes(body)

    @staticmethod
    def crl(line, word):
        day = 86400
        if word == 'stale':
            return line.crl(this_update=line.now - 40 * day, next_update=line.now - 10 * day)
        if word == 'old':
            return line.crl(this_update=line.now - 2 * day, next_update=line.now + 20 * day)
        return line.crl(revoked=[line.serials['ask'], line.serials['asvk']] if word == 'revoked' else ())

    @staticmethod
    def vcek(line, what, tcb, word):
        if not re.fullmatch('[0-9a-f]{%d}' % (16 if line.name == 'Turin' else 128), what):
            raise NotFound('hwid')
        hwid = bytes.fromhex(what)
        if word == 'wrong-chip':
            hwid = authorities.chip(line.name, 'another')
        if word == 'wrong-tcb':
            tcb = dict(tcb, snp=tcb['snp'] ^ 1)
        return line.vcek(hwid, tcb).certificate


def main():
    parser = argparse.ArgumentParser(description='A local Key Distribution Service of a test authority: NOT AMD.')
    parser.add_argument('--folder', required=True, help='of the authority\'s keys')
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('script', nargs='*', help='PART=WORD[,WORD…], such as /crl=429:1,good')
    options = parser.parse_args()
    with Server(authorities.Authority(options.folder), options.port) as server:
        for each in options.script:
            part, _, words = each.partition('=')
            server.script(part, *words.split(','))
        print(server.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == '__main__':
    main()
