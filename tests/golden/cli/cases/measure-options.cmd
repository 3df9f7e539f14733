virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf hashes.fd --kernel kernel --initrd initrd --append 'root=/dev/vda ro "quoted" <tag> & ü '
virt-attest measure --mode=snp --vcpus=2 --vcpu-type=EPYC-Milan --ovmf=hashes.fd --kernel=kernel --initrd=initrd --append=quiet
virt-attest measure --mode snp --vcpus 2 --vcpu-sig 0xa00f11 --ovmf hashes.fd --kernel kernel --initrd initrd --append quiet
virt-attest measure --mode snp --vcpus 2 --vcpu-sig 10489617 --ovmf hashes.fd --kernel kernel --initrd initrd --append quiet
virt-attest measure --mode snp --vcpus 2 --vcpu-family 25 --vcpu-model 1 --vcpu-stepping 1 --ovmf hashes.fd --kernel kernel --initrd initrd --append quiet
# family wins over signature over type
virt-attest measure --mode snp --vcpus 2 --vcpu-family 25 --vcpu-model 1 --vcpu-stepping 1 --vcpu-sig 1 --vcpu-type EPYC --ovmf hashes.fd --kernel kernel --initrd initrd --append quiet
virt-attest measure --mode snp --vcpus 2 --vcpu-sig 0xa00f11 --vcpu-type EPYC --ovmf hashes.fd --kernel kernel --initrd initrd --append quiet
virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf hashes.fd --output-format base64
virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf generic.fd
# empty strings count as not given
virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf generic.fd --kernel '' --initrd '' --append ''
virt-attest measure --mode snp:ovmf-hash --ovmf hashes.fd
virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf hashes.fd --kernel kernel --initrd initrd --append quiet --snp-ovmf-hash "$(virt-attest measure --mode snp:ovmf-hash --ovmf hashes.fd)"
virt-attest measure --mode sev --ovmf hashes.fd --kernel kernel --initrd initrd --append 'root=/dev/vda ro "quoted" <tag> & ü '
virt-attest measure --mode seves --vcpus 2 --vcpu-type EPYC-Milan --ovmf hashes.fd --kernel kernel --initrd initrd --append 'root=/dev/vda ro "quoted" <tag> & ü '
virt-attest measure --mode seves --vmsa-fpu legacy --vcpus 2 --vcpu-type EPYC-Milan --ovmf hashes.fd --kernel kernel --initrd initrd --append 'root=/dev/vda ro "quoted" <tag> & ü '
# what cannot be measured: exit 3, nothing on standard output
virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf generic.fd --kernel kernel
virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf plain.fd
virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf broken.fd
virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf nosuch.fd
virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf hashes.fd --kernel nosuch
virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf .
virt-attest measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf /dev/null
virt-attest measure --mode snp:svsm --ovmf hashes.fd --svsm garbage --vars-file plain.fd --vcpus 1 --vcpu-type EPYC
