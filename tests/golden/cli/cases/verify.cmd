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
# What would be left aside without a word is an error: a key with nothing to check, a service that cannot be asked, an empty file.
virt-attest verify report.bin --key id.pem
virt-attest verify report.bin --domain ./snp.xml --any-report-data --key id.pem
virt-attest verify report.bin --kds ftp://127.0.0.1
: > empty; virt-attest verify report.bin --certificates empty
virt-attest verify report.bin --ssh-host-key empty
virt-attest verify report.bin --auxblob garbage
virt-attest verify .
virt-attest known-hosts
virt-attest ssh
# Why a key is not trusted stands behind the line that says so.
ssh-keygen -q -t ed25519 -N '' -C '' -f host < /dev/null; virt-attest known-hosts --report report.bin --ssh-host-key host.pub --reference snp.xml --host 10.0.0.5
virt-attest nonce --help
