virt-attest measure snp.xml
virt-attest measure - < snp.xml
virt-attest measure --output-format hex snp.xml
virt-attest measure --output-format base64 snp.xml
virt-attest -q measure snp.xml
virt-attest measure --output-format hex hotplug.xml
virt-attest measure no-kernel.xml
virt-attest measure sev.xml
virt-attest measure --output-format hex sev-es.xml
virt-attest measure --output-format hex --vmsa-fpu init2 sev-es.xml
virt-attest measure --output-format hex --guest-features 0x21 snp.xml
virt-attest measure host-model.xml
virt-attest measure --output-format hex host-model.xml
virt-attest measure --output-format hex --cpu EPYC-Genoa host-model.xml
virt-attest -q measure --cpu epyc-genoa,25.1.1 --cpu 0xa10f12 host-model.xml
virt-attest measure --output-format hex --cpu EPYC-Milan passthrough.xml
# a state folder or a libvirt is not needed, nothing is written
ls state xdg
