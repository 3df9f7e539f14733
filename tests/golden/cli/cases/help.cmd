virt-attest --help
virt-attest help level
virt-attest level --help
virt-attest --version
