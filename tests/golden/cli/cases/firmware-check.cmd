virt-attest firmware-check hashes.fd
virt-attest --config trusted.conf firmware-check hashes.fd > trusted; echo $?; grep -e level -e verifier trusted
virt-attest firmware-check --format json hashes.fd
virt-attest firmware-check generic.fd
virt-attest firmware-check plain.fd
virt-attest firmware-check broken.fd
virt-attest firmware-check nosuch.fd
virt-attest firmware-check
