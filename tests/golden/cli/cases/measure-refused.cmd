virt-attest measure nosuch.xml
virt-attest measure garbage
virt-attest measure - < /dev/null
head -c 300 snp.xml > trunc.xml; virt-attest measure trunc.xml
virt-attest measure doctype.xml
virt-attest measure plain-guest.xml
virt-attest measure pflash.xml
virt-attest measure generic.xml
virt-attest measure passthrough.xml
virt-attest measure decimal-policy.xml --output-format hex
virt-attest --config nosuch.conf measure snp.xml
virt-attest --config unknown-key.conf measure snp.xml
rm kernel; virt-attest measure snp.xml
