virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf generic.fd --dump-vmsa
ls vmsa*; stat -c %s vmsa0.bin vmsa1.bin
virt-attest measure --mode sev --ovmf generic.fd --dump-vmsa
