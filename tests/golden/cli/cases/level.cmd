virt-attest level ./snp.xml
virt-attest --config trusted.conf level snp.xml
virt-attest --config trusted.conf -q level snp.xml
virt-attest level --format json no-kernel.xml
virt-attest level plain-guest.xml
virt-attest level debug.xml
virt-attest level generic.xml
virt-attest -q level - < pflash.xml
virt-attest level test
virt-attest level 1
virt-attest level 6695eb01-f6a4-8304-79aa-97f2502e193f
virt-attest level --domain test
virt-attest level nosuch
virt-attest level -- --version
