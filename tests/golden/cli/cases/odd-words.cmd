# a FIFO is not waited for; what a shell hands over is read
virt-attest reference snp.xml --output snp.json; mkfifo fifo
timeout 20 virt-attest reference ./fifo
timeout 20 virt-attest reference-sign --key owner.pem fifo
timeout 20 virt-attest level ./fifo
timeout 20 virt-attest define --print-xml ./fifo
timeout 20 virt-attest define --print-xml --reference fifo snp.xml
timeout 20 virt-attest level /dev/zero
bash -c 'virt-attest reference <(cat snp.json) | cmp - snp.json && echo same'
bash -c 'virt-attest reference <(sleep 1; cat snp.xml) | cmp - snp.json; echo $?'
cat snp.json | virt-attest reference /dev/stdin | cmp - snp.json && echo same
(cat snp.json >fifo &); timeout 20 virt-attest reference /dev/stdin <fifo | cmp - snp.json && echo same
virt-attest reference /dev/stdin <snp.json | cmp - snp.json && echo same
# names are one line, whatever is in them
sed 's|<name>snp</name>|<name>a\&#10;error: b</name>|' snp.xml >newline.xml; sed 's|<name>sev</name>|<name>a\&#10;error: b</name>|' sev.xml >newline-sev.xml
sed 's|<name>host-model</name>|<name>a\&#10;error: b</name>|' host-model.xml >newline-cpu.xml
virt-attest reference newline.xml --output newline.json; virt-attest reference newline-cpu.xml --cpu EPYC-Milan,EPYC-Genoa --output newline-cpu.json; virt-attest reference newline-sev.xml --output newline-sev.json
virt-attest define --print-xml --reference newline-sev.json newline.xml
virt-attest define --print-xml --level 4 newline.xml
virt-attest define --print-xml --id-key id.pem newline-sev.xml
virt-attest id-block --domain newline-sev.xml --id-key id.pem --output-dir out
virt-attest id-block --domain ./newline-cpu.json --id-key id.pem --output-dir out
virt-attest id-block --domain ./newline.json --cpu EPYC-Genoa --id-key id.pem --output-dir out
virt-attest id-block --domain newline.xml --policy 0xb0000 --allow-debug --id-key id.pem --output-dir debug >/dev/null
# words of another kind
virt-attest reference ./owner.pem
virt-attest reference - <owner.pem
virt-attest reference nosuch
virt-attest level nosuch
virt-attest reference-sign --key owner.pem - <snp.xml
virt-attest reference-verify --key owner.pem snp.xml
virt-attest define --print-xml --reference snp.xml snp.xml
virt-attest id-block --measurement $(cat id.digest) --policy 196608 --id-key id.pem --output-dir out
virt-attest id-block --measurement $(cat id.digest) --policy 0x196608 --id-key id.pem --output-dir out
virt-attest id-block --measurement $(cat id.digest) --id-key id.pem --output-dir parent/out; ls -d out parent
