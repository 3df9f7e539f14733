virt-attest --config trusted.conf define --print-xml --level 3 --id-key id.pem --author-key author.pem --svn 3 snp.xml >with.xml
grep -o -e 'authorKey="[a-z]*"' -e '<idBlock>' -e '<idAuth>' -e '<hostData>' with.xml
virt-attest --config trusted.conf id-block-verify --domain with.xml --id-key id.pem --author-key author.pem
virt-attest --config trusted.conf level with.xml | grep id-block
# the host data binds the reference
test "$(virt-attest --config trusted.conf reference with.xml --format binding | sha256sum | cut -c1-64)" = "$(sed -n 's|.*<hostData>\(.*\)</hostData>.*|\1|p' with.xml | base64 -d | od -An -tx1 -v | tr -d ' \n')" && echo bound
# again: what is there stays; without --id-key too
virt-attest --config trusted.conf define --print-xml --id-key id.pem --author-key author.pem --svn 3 with.xml >again.xml; cmp with.xml again.xml
virt-attest --config trusted.conf define --print-xml with.xml >again.xml; cmp with.xml again.xml
virt-attest --config trusted.conf define --print-xml --id-key other.pem with.xml >other.xml; cmp -s with.xml other.xml; virt-attest -q --config trusted.conf id-block-verify --domain other.xml --id-key other.pem
virt-attest --config trusted.conf define --print-xml --host-data $(printf 'ab%.0s' $(seq 32)) --id-key id.pem snp.xml | grep -o '<hostData>.*</hostData>'
# what would never start
virt-attest --config trusted.conf define --print-xml --id-key id.pem --cpu EPYC-Genoa snp.xml
sed 's|<cmdline>[^<]*</cmdline>|<cmdline>quiet</cmdline>|' with.xml >drifted.xml; virt-attest --config trusted.conf define --print-xml drifted.xml
sed 's|0x30000|0x20000|' with.xml >policy.xml; virt-attest --config trusted.conf define --print-xml policy.xml
virt-attest --config trusted.conf level policy.xml | grep id-block
virt-attest --config trusted.conf define --print-xml --id-key id.pem host-model.xml
virt-attest --config trusted.conf define --print-xml --id-key id.pem sev.xml
virt-attest --config trusted.conf define --print-xml --id-key id.pem --level 0 debug.xml
virt-attest --config trusted.conf define --print-xml --id-key id.pem --level 0 --allow-debug debug.xml | grep -c idBlock
virt-attest --config trusted.conf define --print-xml --author-key author.pem snp.xml
virt-attest --config trusted.conf define --print-xml --host-data 00 snp.xml
virt-attest --config trusted.conf define --print-xml --host-data $(printf 'ab%.0s' $(seq 32)) plain-guest.xml --level 0
