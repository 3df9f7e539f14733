# Reference values, and openend2e's guest.
virt-attest import --from savs policies.json
virt-attest import --from savs --format json policies.json
virt-attest import --from rvps values.json
virt-attest --quiet import --from rvps message.json
virt-attest --quiet import --from rvps - < message.json
virt-attest import --from rvps - < policies.json
virt-attest import --from alman alman/expected-measurements.json | grep -v '^---'
virt-attest import --from openend2e vm-config.toml
virt-attest import --from openend2e --output-dir out vm-config.toml
virt-attest import --from openend2e --format json --name other --output-dir out vm-config.toml
cat out/vm-config.xml
virt-attest measure --guest-features 0x21 --output-format hex out/vm-config.xml
grep -A 9 '"product"' out/vm-config.reference.json
# Out again, and the same bytes come back, but for comments, notation and what openend2e does not know. IDs for an ID block
# are in a reference only together with the key's digest.
sed -e 's/^image_id.*/image_id = "00000000000000000000000000000000"/' -e 's/ #.*//' -e '/^mine/d' -e 's/0x3_0000/0x30000/' -e "s/= '\(.*\)'/= \"\1\"/" -e 's/^.min_/\n&/' vm-config.toml > plain.toml
virt-attest --quiet import --from openend2e --name plain --output-dir out plain.toml | tail -n 1
virt-attest export --to openend2e --output again.toml out/plain.reference.json
cmp plain.toml again.toml
# Refused.
virt-attest import --from openend2e --output-dir out vm-config.toml
virt-attest import --from openend2e --output-dir out debug.toml
virt-attest import --from openend2e debug.toml
virt-attest import --from openend2e --name other --output-dir - vm-config.toml
touch file; virt-attest import --from openend2e --output-dir file/below vm-config.toml
# Where one of both files is there, the other one is not written either.
touch out/half.xml; virt-attest import --from openend2e --name half --output-dir out vm-config.toml
ls out | grep half
virt-attest import --from snpguard -
virt-attest import --from openend2e no-microcode.toml
virt-attest import --from openend2e --name ../x --output-dir out vm-config.toml
virt-attest import --from savs --output-dir out policies.json
virt-attest import --from alman --name x alman/expected-measurements.json
virt-attest import --from savs values.json
virt-attest import --from rvps policies.json
virt-attest import --from corim garbage
virt-attest import --from openend2e garbage
virt-attest import --from alman nonexistent.json
virt-attest import policies.json
