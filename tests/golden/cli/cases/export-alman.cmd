# ALman's file has other guests in it: it is merged into, keeps owner and mode, and is never lost.
virt-attest --quiet export --to alman --output alman/expected-measurements.json --cpu EPYC-Milan snp.xml
ls -A alman
grep -c '"al":' alman/expected-measurements.json
grep -A 3 '"mine"' alman/expected-measurements.json
virt-attest import --from alman alman/expected-measurements.json | grep snp
chmod 0640 alman/expected-measurements.json
virt-attest --quiet export --to alman --output alman/expected-measurements.json --cpu EPYC-Genoa snp.xml
stat -c %a alman/expected-measurements.json
virt-attest import --from alman alman/expected-measurements.json | grep snp
virt-attest --quiet export --to alman --output new.json snp.xml
stat -c %a new.json
printf '{"other": {' > torn.json
virt-attest --quiet export --to alman --output torn.json snp.xml
cat torn.json; echo
ln -s new.json link.json
virt-attest --quiet export --to alman --output link.json snp.xml
virt-attest --quiet export --to alman --output nowhere/new.json snp.xml
chmod 0444 new.json; cp new.json before.json
virt-attest --quiet export --to alman --output new.json --cpu EPYC-Genoa snp.xml
cmp new.json before.json
