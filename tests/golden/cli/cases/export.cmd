# What other programs read, for two CPU types. Their own readers run in consumers.py.
virt-attest export --to alman --cpu EPYC-Milan,0xa00f12 snp.xml | grep -v timestamp_utc
virt-attest export --to alman-cpu-types --cpu EPYC-Milan,0xa00f12 snp.xml
virt-attest export --to alman-legal-cpu-types --cpu EPYC-Milan,0xa00f12 snp.xml
virt-attest export --to savs --product Milan --minimum-tcb bootloader=3,tee=0,snp=14,microcode=209 --cpu EPYC-Milan,0xa00f12 snp.xml
virt-attest export --to rvps --platform-info 0x1/0x3 --cpu EPYC-Milan,0xa00f12 snp.xml
virt-attest export --to rvps-message snp.xml | grep -v payload
virt-attest export --to trustee-policy --minimum-tcb bootloader=3,tee=0,snp=14,microcode=209 --platform-info 0x1/0x3 --cpu EPYC-Milan,0xa00f12 snp.xml
virt-attest export --to snpguard-config snp.xml
virt-attest export --to openend2e --product Genoa --platform-info 0x1 --minimum-tcb bootloader=3,tee=0,snp=14,microcode=209 --cpu EPYC-v4 no-blanks.xml
virt-attest export --to shell --cpu EPYC-Milan,0xa00f12 snp.xml
virt-attest export --to shell sev.xml
# From a reference document, which needs neither libvirt nor the files.
virt-attest reference --cpu EPYC-Milan,0xa00f12 --product Milan --output snp.json snp.xml
mv hashes.fd away.fd
virt-attest export --to savs ./snp.json | grep expected_measurement_hex
virt-attest export --to json ./snp.json | cmp - snp.json
virt-attest export --to corim --output never.corim ./snp.json
mv away.fd hashes.fd
virt-attest export --to corim --output snp.corim snp.xml
virt-attest import --from corim snp.corim
# What a format cannot hold is said, and nothing is written.
virt-attest export snp.xml
virt-attest export --to yaml snp.xml
virt-attest export --to savs snp.xml
virt-attest export --to openend2e --product Milan snp.xml
virt-attest export --to openend2e --product Milan --platform-info 0x1 --minimum-tcb bootloader=3,tee=0,snp=14,microcode=209 --cpu EPYC-v4 snp.xml
virt-attest export --to openend2e --product Milan --platform-info 0x1 --minimum-tcb bootloader=3,tee=0,snp=14,microcode=209 no-blanks.xml
virt-attest export --to alman-conf snp.xml
virt-attest export --to alman-legal-cpu-types --cpu 0xa00f12 snp.xml
virt-attest export --to snpguard-config --cpu 0xa00f12 snp.xml
virt-attest export --to alman --vcpus 1,2 snp.xml
virt-attest export --to corim sev-es.xml
virt-attest export --to json debug.xml
virt-attest export --to rvps --platform-info 0x1 snp.xml
virt-attest export --to trustee-policy --minimum-tcb bootloader=3,tee=0,snp=14,microcode=209,fmc=1 snp.xml
virt-attest export --to openend2e --product Milan --platform-info 0x1 --minimum-tcb bootloader=3,tee=0,snp=14,microcode=209 --cpu EPYC-v4,EPYC-Milan no-blanks.xml
virt-attest export --to json --output - snp.xml
virt-attest export --to corim --product Milan --platform-info 0x1 --minimum-tcb bootloader=3,tee=0,snp=14,microcode=209 snp.xml > left.corim
virt-attest export --to rvps --allow-debug debug.xml | head -n 3
