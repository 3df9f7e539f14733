virt-attest verify report.bin
virt-attest -q verify report.bin --any-report-data --measurement 000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
virt-attest verify report.bin --domain ./snp.xml --any-report-data --at 2026-11-28T00:00:00Z --format json
virt-attest verify report.bin --domain ./sev.xml
virt-attest verify report.bin --domain ./snp.xml --reference ./snp.xml
virt-attest verify report.bin --nonce 00
virt-attest verify report.bin --report-data 0g
virt-attest verify report.bin --measurement 00
virt-attest verify report.bin --at yesterday
virt-attest verify report.bin --vmpl 4
virt-attest verify report.bin --fetch --offline
virt-attest verify garbage
virt-attest verify missing.bin
virt-attest verify report.bin --policy garbage
virt-attest verify report.bin --certificates garbage
virt-attest verify report.bin --trust-anchor garbage
virt-attest verify
virt-attest nonce 5
