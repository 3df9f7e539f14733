virt-attest firmware-check hashes.fd
virt-attest --config trusted.conf firmware-check hashes.fd > trusted; echo $?; grep -e level -e verifier trusted
virt-attest firmware-check --format json hashes.fd
virt-attest firmware-check generic.fd
virt-attest firmware-check plain.fd
virt-attest firmware-check broken.fd
virt-attest firmware-check nosuch.fd
virt-attest firmware-check
cp hashes.fd "$(printf 'a\001b')"; virt-attest firmware-check "$(printf 'a\001b')"
cp hashes.fd "$(printf 'a\377b')"; virt-attest firmware-check "$(printf 'a\377b')"
virt-attest firmware-check --format json "$(printf 'a\377b')"
