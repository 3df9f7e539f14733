# A whole folder of ALman, taken over. The records of 'good' and what differs from it come from an independent calculation.
virt-attest import-alman alman
virt-attest --quiet import-alman alman | sed 's/^ *//' | cut -d ' ' -f 1 | sort | uniq -c | sed 's/^ *//'
virt-attest import-alman --output-dir out alman | grep -E '^(Next|good|verity|from-xml)'
ls out
cat out/good.xml
cmp out/from-xml.xml alman/*/xml/from-xml.xml
virt-attest measure --cpu EPYC-Milan,0xa00f12 --format json out/good.xml | grep digest
grep -E '"(source|obtained|digest|cpu)"' out/good.reference.json
# Existing files stay, and no guest is taken over where one cannot be.
mkdir most; touch most/vcpus.xml; virt-attest import-alman --output-dir most alman 2>&1 >/dev/null; ls most
virt-attest import-alman --output-dir out alman 2>&1 >/dev/null
virt-attest import-alman --force --output-dir out alman >/dev/null; echo $?
# The cause is looked for in the first three measurements of a guest that differ.
cp -r alman many
python3 -c 'import json; f = "many/expected-measurements.json"; g = json.load(open(f))["good"]; specs = [{"kind": "sig", "sig": hex(0xa00f10 + i)} for i in range(5)]; json.dump({"many": {**g, "cpu_types": specs, "measurements": {"vcpu-sig=" + s["sig"]: {"cpu_spec": s, "measurement_hex": "5a" * 48} for s in specs}}}, open(f, "w"))'
virt-attest import-alman many | grep '^many, '
# Only what is right: exit status 0.
python3 -c 'import json; f = "alman/expected-measurements.json"; d = json.load(open(f)); json.dump({"good": d["good"], "broken": d["broken"]}, open(f, "w"))'
virt-attest import-alman --format json alman
# Parts that are missing or torn.
printf '{' > alman/expected-measurements.json; printf 'X=1\n' > alman/alman.conf; rm alman/cpu-types.json
virt-attest import-alman alman
rm -r alman/work; virt-attest import-alman alman
virt-attest import-alman nonexistent
virt-attest import-alman
