virt-attest define --print-xml snp.xml
virt-attest define --print-xml other-metadata.xml
virt-attest define --print-xml --on-mismatch observe - < no-kernel.xml
virt-attest define --print-xml --level 3 snp.xml
virt-attest --config trusted.conf define --print-xml --level 3 snp.xml | grep level=
virt-attest define --print-xml --level 2 plain-guest.xml
virt-attest define --print-xml --level 0 plain-guest.xml
# what was printed is measured and annotated to the same
virt-attest define --print-xml snp.xml > once.xml; virt-attest define --print-xml once.xml | cmp - once.xml && echo same
# composing needs no libvirt either
virt-attest define --print-xml --name new --level 2 --firmware $PWD/hashes.fd --cpu-model EPYC-Milan --vcpus 2 --memory 256
virt-attest define --print-xml --name a/b --level 2 --firmware $PWD/hashes.fd --cpu-model EPYC-Milan
virt-attest define --print-xml --name new --level 3 --firmware $PWD/hashes.fd --cpu-model EPYC-Milan
ls state xdg
