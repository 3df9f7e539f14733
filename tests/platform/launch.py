#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Launch an unmodified QEMU on the platform model and report what it handed over.

Without libvirt: one QEMU, one launch, the model's JSON document. The guest
does not run, and QEMU ends as soon as its launch is finished.
"""
import argparse
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

QEMU = 'qemu-system-x86_64'
DEFAULT_POLICY = {'sev': 0x1, 'sev-es': 0x5, 'sev-snp': 0x30000}


class LaunchFailed(Exception):
    """QEMU refused the launch, or did not finish it in time. The text is what QEMU said."""


def default_library():
    path = os.environ.get('PLATFORM_MODEL_LIBRARY')
    if not path:
        raise LaunchFailed('name the model: --model-library, or the variable PLATFORM_MODEL_LIBRARY')
    return path


def cbitpos(library):
    """The position of the encryption bit that QEMU will compare with this processor's CPUID."""
    return ctypes.CDLL(os.path.abspath(library)).platform_model_cbitpos()


def confidential_object(platform, policy, kernel_hashes, legacy_vm_type, library, properties):
    kind = 'sev-snp-guest' if platform == 'sev-snp' else 'sev-guest'
    text = f'{kind},id=sev0,cbitpos={cbitpos(library)},reduced-phys-bits=1,policy={policy:#x}'
    if kernel_hashes:
        text += ',kernel-hashes=on'
    if legacy_vm_type is not None:
        text += f',legacy-vm-type={legacy_vm_type}'
    return text + ''.join(f',{name}={value}' for name, value in properties.items())


def command_line(platform, firmware, vcpus, cpu, max_vcpus, kernel, initrd, cmdline, pflash, machine, qemu, sev_object):
    command = [
        qemu, '-nodefaults', '-no-user-config', '-display', 'none', '-monitor', 'none', '-serial', 'none',
        '-parallel', 'none', '-no-reboot',
        '-machine', f'{machine},accel=kvm,confidential-guest-support=sev0,memory-backend=ram0,vmport=off',
        '-object', 'memory-backend-memfd,id=ram0,size=256M,share=on',
        '-m', '256M', '-cpu', cpu, '-smp', f'cpus={vcpus},maxcpus={max_vcpus or vcpus}', '-object', sev_object,
    ]
    if pflash:
        command += ['-drive', f'if=pflash,unit=0,format=raw,readonly=on,file={firmware.replace(",", ",,")}']
    else:
        command += ['-bios', firmware]
    for option, value in ('-kernel', kernel), ('-initrd', initrd), ('-append', cmdline):
        if value is not None:
            command += [option, value]
    return command


def launch(platform, firmware, vcpus=1, cpu='EPYC-Milan', max_vcpus=None, kernel=None, initrd=None, cmdline=None,
           kernel_hashes=False, policy=None, legacy_vm_type=None, pflash=False, machine='q35', properties=None,
           library=None, qemu=QEMU, trace=False, timeout=60):
    """Launch once; return the model's document as a dictionary, or raise LaunchFailed.

    @kernel and @initrd are paths, @cmdline is text, None leaves an option out.
    @properties are further properties of the sev-guest or sev-snp-guest object.
    """
    library = os.path.abspath(library or default_library())
    policy = DEFAULT_POLICY[platform] if policy is None else policy
    sev_object = confidential_object(platform, policy, kernel_hashes, legacy_vm_type, library, properties or {})
    command = command_line(platform, firmware, vcpus, cpu, max_vcpus, kernel, initrd, cmdline, pflash, machine,
                           qemu, sev_object)
    folder = tempfile.mkdtemp(prefix='platform-model-')
    environment = dict(os.environ, LD_PRELOAD=library, PLATFORM_MODEL_OUT=folder, PLATFORM_MODEL_EXIT='1')
    environment['PLATFORM_MODEL_TRACE'] = '1' if trace else '0'
    process = None
    try:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, start_new_session=True)
        try:
            said = process.communicate(timeout=timeout)[1].decode(errors='replace')
        except subprocess.TimeoutExpired:
            raise LaunchFailed(f'no launch within {timeout} s') from None
        documents = [name for name in os.listdir(folder) if name.endswith('.json')]
        if process.returncode != 0 or len(documents) != 1:
            said = '\n'.join(line for line in said.splitlines() if "host doesn't support requested feature" not in line)
            raise LaunchFailed(f'QEMU ended with {process.returncode}: {said}')
        with open(os.path.join(folder, documents[0]), encoding='utf-8') as document:
            return json.load(document)
    finally:
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--platform', choices=sorted(DEFAULT_POLICY), default='sev-snp')
    parser.add_argument('--firmware', required=True)
    parser.add_argument('--pflash', action='store_true', help='give the firmware as flash, not as -bios')
    parser.add_argument('--kernel')
    parser.add_argument('--initrd')
    parser.add_argument('--append', dest='cmdline')
    parser.add_argument('--kernel-hashes', action='store_true')
    parser.add_argument('--vcpus', type=int, default=1)
    parser.add_argument('--max-vcpus', type=int)
    parser.add_argument('--cpu', default='EPYC-Milan')
    parser.add_argument('--machine', default='q35')
    parser.add_argument('--policy', type=lambda text: int(text, 0))
    parser.add_argument('--legacy-vm-type', choices=('on', 'off', 'auto'))
    parser.add_argument('--property', action='append', default=[], metavar='NAME=VALUE',
                        help='a further property of the confidential object, such as id-block=…')
    parser.add_argument('--trace', action='store_true', help='list every step of the digest')
    parser.add_argument('--timeout', type=float, default=60)
    parser.add_argument('--model-library', dest='library')
    parser.add_argument('--qemu', default=QEMU)
    given = vars(parser.parse_args())
    given['properties'] = dict(text.split('=', 1) for text in given.pop('property'))
    try:
        print(json.dumps(launch(**given), indent=2))
    except (LaunchFailed, OSError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
