virt-attest --config trusted.conf reference snp.xml
virt-attest reference --format table snp.xml
virt-attest -q reference --format table --vcpus 1-3 --cpu EPYC-Milan,EPYC-Genoa --product Milan --minimum-tcb bootloader=3,tee=0,snp=14,microcode=209 --platform-info 0x1/0x3 snp.xml
virt-attest reference --format binding sev.xml
virt-attest -q reference --format table sev-es.xml
virt-attest -q reference --format table host-model.xml --cpu EPYC-Turin
# the CPU types count whatever the XML names
printf '[{"family":25,"model":17,"stepping":1},{"vcpu_sig":"0xa00f12"}]' > types.json
printf '# Milan\n0xa00f12\n\n25.17.1 # Genoa\n' > types.txt
virt-attest reference --vcpus 3,1 --cpu-types types.json snp.xml --output json.json
virt-attest reference --vcpus 1,3 --cpu-types types.txt snp.xml --output text.json
cmp json.json text.json && virt-attest -q reference --format table text.json
virt-attest reference --vcpus 3,1,3 --cpu 0xa00f12,0xa00f12 --cpu-types types.json snp.xml | cmp - text.json && echo same
# the same facts, the same bytes: another folder, another order of everything
cp snp.xml "$PWD/state.xml"; (cd / && virt-attest reference --vcpus 1,3 --cpu 25.17.1 --cpu 0xa00f12 "$OLDPWD/state.xml") | cmp - text.json && echo same
python3 -c "import json,sys; d=json.load(open('text.json')); d['measurements'].reverse(); turn=lambda v: {k: turn(v[k]) for k in reversed(v)} if isinstance(v, dict) else [turn(e) for e in v] if isinstance(v, list) else v; json.dump(turn(d), sys.stdout)" | virt-attest reference - | cmp - text.json && echo same
# what host data binds
test "$(virt-attest reference --format table text.json | sed -n 's/^Binding: *//p')" = "$(virt-attest reference --format binding text.json | sha256sum | cut -d' ' -f1)" && echo same
# a plain document takes the owner's rules, and keeps them
virt-attest reference text.json --product Turin --minimum-tcb bootloader=3,tee=0,snp=14,microcode=209,fmc=1 --output ruled.json
virt-attest reference ruled.json --platform-info 5 | sed -n '/product/,/^  },/p;/platformInfo/,/^  },/p'
# refused
virt-attest reference text.json --vcpus 2
virt-attest reference text.json --output ruled.json
virt-attest reference ruled.json --product Milan
virt-attest reference sev.xml --product Milan
virt-attest reference snp.xml --minimum-tcb bootloader=3
virt-attest reference snp.xml --platform-info 4/3
virt-attest reference snp.xml --platform-info 4/
virt-attest reference snp.xml --vcpus 4-2
virt-attest reference snp.xml --vcpus 1-4096 --cpu EPYC-Milan,EPYC-Genoa
virt-attest reference snp.xml --cpu-types kernel
virt-attest reference snp.xml --cpu-types nosuch
virt-attest reference snp.xml --format xml
virt-attest reference plain-guest.xml
virt-attest reference host-model.xml --vcpus 1 --cpu EPYC-Millan
virt-attest reference passthrough.xml | grep -c cpu
virt-attest reference debug.xml
virt-attest reference --allow-debug debug.xml | grep '"level" : 0'
virt-attest reference nosuch.json
virt-attest reference nosuch
virt-attest reference
printf '{"format":"virt-attest-reference-2"}' > new.json; virt-attest reference new.json
ls state xdg
