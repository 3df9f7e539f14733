# Every wrong line: what is wrong on standard error, nothing on standard output, exit 2.
virt-attest
virt-attest mesure
virt-attest frobnicate
virt-attest --conect x list
virt-attest measure
virt-attest measure snp.xml --mode snp
virt-attest measure --krenel x
virt-attest measure --format yaml snp.xml
virt-attest measure --format
virt-attest measure --format=json --format=json snp.xml
virt-attest measure snp.xml generic.xml
virt-attest measure --vcpus 2 snp.xml
virt-attest measure --mode snp --cpu EPYC-Milan --ovmf hashes.fd
virt-attest measure --mode snp --ovmf hashes.fd --vcpu-type EPYC-Milan
virt-attest measure --mode snp --ovmf hashes.fd --vcpus 2
virt-attest measure --mode snp --ovmf hashes.fd --vcpus 0 --vcpu-type EPYC-Milan
virt-attest measure --mode snp --ovmf hashes.fd --vcpus 2x --vcpu-type EPYC-Milan
virt-attest measure --mode snp --ovmf hashes.fd --vcpus 2 --vcpu-type EPYC-Milam
virt-attest measure --mode snp --ovmf hashes.fd --vcpus 2 --vcpu-family 25
virt-attest measure --mode snp --ovmf hashes.fd --vcpus 2 --vcpu-type EPYC-Milan --append quiet
virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan
virt-attest measure --mode sev --ovmf hashes.fd --snp-ovmf-hash 00
virt-attest measure --mode snp --ovmf hashes.fd --vcpus 1 --vcpu-type EPYC --snp-ovmf-hash 00
virt-attest measure --mode seves --ovmf hashes.fd --vcpus 1 --vcpu-type EPYC --vmm-type ec2
virt-attest measure --mode snp:svsm --ovmf hashes.fd
virt-attest measure --mode snp:svsm --ovmf hashes.fd --svsm kernel --vcpus 1 --vcpu-type EPYC
virt-attest measure --mode snp:svsm --ovmf hashes.fd --svsm kernel --kernel kernel
virt-attest measure --mode snp --ovmf hashes.fd --svsm kernel --vcpus 1 --vcpu-type EPYC
virt-attest measure --mode tdx --ovmf hashes.fd
virt-attest level
virt-attest level --domain a b
virt-attest list extra
virt-attest define
virt-attest define --name x snp.xml
virt-attest define --print-xml --name x
virt-attest define --level 5 snp.xml
virt-attest define snp.xml --vcpus 16 --kernel /no/such
virt-attest define guest --disk disk.img
virt-attest define --print-xml --policy smt snp.xml
virt-attest measure --format json --output-format hex snp.xml
virt-attest measure --output-format base64 --format table snp.xml
virt-attest -r define snp.xml
virt-attest firmware-check --kernel kernel hashes.fd
