virt-attest reference snp.xml --output snp.json
virt-attest reference-diff snp.json snp.xml
sed 's/<vcpu>2/<vcpu>3/' snp.xml > three.xml; virt-attest reference-diff snp.xml three.xml
sed 's/EPYC-Milan/EPYC-Genoa/' snp.xml > genoa.xml; virt-attest reference-diff snp.xml genoa.xml
virt-attest reference-diff snp.json no-kernel.xml
virt-attest reference-diff --format table snp.json generic.xml
virt-attest reference-diff --format json snp.json sev.xml
# a domain beside a document is measured for what that foresees, in either place, and keeps its rules
virt-attest reference snp.xml --vcpus 1-3 --cpu EPYC-Milan,EPYC-Genoa --product Genoa --output fleet.json
virt-attest reference-diff fleet.json snp.xml
virt-attest reference-diff snp.xml fleet.json
virt-attest reference-diff fleet.json genoa.xml --cpu EPYC-Milan
virt-attest reference-diff snp.json fleet.json
sed 's/root=/root=another/' snp.xml | virt-attest reference-diff fleet.json -
virt-attest -q reference-diff snp.json snp.json
# what the document does not foresee is told as it is
virt-attest reference-diff snp.json genoa.xml
virt-attest reference-diff genoa.xml snp.json
virt-attest reference-diff fleet.json hotplug.xml
sed 's/<vcpu>2/<vcpu>4/' snp.xml > four.xml; virt-attest reference-diff fleet.json four.xml
# SEV-ES has two variants
virt-attest reference sev-es.xml --output es.json
virt-attest reference-diff es.json sev-es.xml
virt-attest reference-diff es.json sev-es.xml --vcpus 1,2
# refused
virt-attest reference-diff snp.json fleet.json --vcpus 2
virt-attest reference-diff - - < snp.xml
virt-attest reference-diff snp.json
virt-attest reference-diff snp.json garbage
virt-attest reference-diff snp.json ./garbage
